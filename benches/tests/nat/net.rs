//! An internet of network namespaces: the matchmaker's, two routers that may do NAT, the gateway behind one, the radio behind the other.
//! Made by `ip` and `nft`, gone when it is dropped.
//!
//! ```text
//! gateway 10.1.0.2 ─ router A 198.51.100.10 ─┐
//!                                            internet, matchmaker 192.0.2.1
//! radio   10.2.0.2 ─ router B 203.0.113.10 ──┘
//! ```
//!
//! Inside addresses are routed only where a router does no NAT. A router that does drops what comes from outside and belongs to nothing
//! that went out, as home routers do: else Linux would remember what it did not ask for, and map what goes out later to another port.

use std::{
    io::Write,
    process::{Command, Output, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

/// What a router does with UDP (RFC 4787 has better names, these are what people say).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nat {
    /// It routes.
    None,
    /// One outside port for an inside port, whoever is spoken to, and who sends to it reaches the inside: masquerading, which keeps ports, and
    /// DNAT of every port to the host inside. That is endpoint-independent mapping and filtering, because there is only one host.
    FullCone,
    /// The same outside port for all, and only who was sent to is let in: masquerading, with the kernel's connection tracking as filter.
    PortRestricted,
    /// The same, and the outside port is another than the inside one.
    Shifted,
    /// Another, random, outside port for everybody who is sent to, and only who was sent to is let in.
    Symmetric,
}

/// All there are.
pub const NATS: [Nat; 5] = [Nat::None, Nat::FullCone, Nat::PortRestricted, Nat::Shifted, Nat::Symmetric];

impl Nat {
    /// What is sent to the address that the matchmaker sees arrives, from anybody.
    pub fn lets_anybody_in(self) -> bool {
        matches!(self, Nat::None | Nat::FullCone)
    }
}

/// Where a program runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Internet,
    RouterA,
    RouterB,
    Gateway,
    Radio,
}

pub struct Net {
    id: String,
}

/// Address of the matchmaker.
pub const MATCHMAKER: &str = "192.0.2.1";

/// Seconds for which a router remembers a flow of UDP without a datagram; real ones do for 30 and more. Longer than the longest time
/// between two keep-alives, not than two of them.
const REMEMBERS: u32 = 8;

impl Net {
    pub fn new(gateway: Nat, radio: Nat) -> Net {
        static NETS: AtomicU32 = AtomicU32::new(0);
        let id = format!("ttgn{}-{}", std::process::id() % 1_000_000, NETS.fetch_add(1, Ordering::Relaxed));
        // From here on dropping it removes what is there.
        let net = Net { id };
        for place in [Place::Internet, Place::RouterA, Place::RouterB, Place::Gateway, Place::Radio] {
            run(Command::new("ip").args(["netns", "add", &net.name(place)]), "");
            net.ip(place, "link set lo up\n");
        }
        let (a, b) = (net.name(Place::RouterA), net.name(Place::RouterB));
        let route = |nat: Nat, inside: &str, router: &str| match nat {
            Nat::None => format!("route add {inside}/24 via {router}\n"),
            _ => String::new(),
        };
        net.ip(
            Place::Internet,
            &format!(
                "addr add {MATCHMAKER}/32 dev lo\n\
                 link add toa type veth peer name wan netns {a}\nlink add tob type veth peer name wan netns {b}\n\
                 addr add 198.51.100.1/24 dev toa\naddr add 203.0.113.1/24 dev tob\n\
                 link set toa up\nlink set tob up\n{}{}",
                route(gateway, "10.1.0.0", "198.51.100.10"),
                route(radio, "10.2.0.0", "203.0.113.10"),
            ),
        );
        let sides = [
            (Place::RouterA, Place::Gateway, gateway, "198.51.100", "10.1.0"),
            (Place::RouterB, Place::Radio, radio, "203.0.113", "10.2.0"),
        ];
        for (router, host, nat, outside, inside) in sides {
            net.ip(
                router,
                &format!(
                    "link add lan type veth peer name eth netns {}\naddr add {outside}.10/24 dev wan\n\
                     addr add {inside}.1/24 dev lan\nlink set wan up\nlink set lan up\nroute add default via {outside}.1\n",
                    net.name(host)
                ),
            );
            let host_side = format!(
                "addr add {inside}.2/24 dev eth\nlink set eth up\nroute add default via {inside}.1\n"
            );
            net.ip(host, &host_side);
            net.sysctl(router, "net/ipv4/ip_forward", 1);
            net.set(router, nat, 40_000);
            for timeout in ["nf_conntrack_udp_timeout", "nf_conntrack_udp_timeout_stream"] {
                net.sysctl(router, &format!("net/netfilter/{timeout}"), REMEMBERS);
            }
        }
        net.sysctl(Place::Internet, "net/ipv4/ip_forward", 1);
        net
    }

    /// What a router does from now on; it forgets all flows. `port`: where [`Nat::Shifted`] puts its only host.
    pub fn set(&self, router: Place, nat: Nat, port: u16) {
        let masquerade = match nat {
            Nat::None => "accept".to_owned(),
            Nat::FullCone | Nat::PortRestricted => "masquerade".to_owned(),
            Nat::Shifted => format!("masquerade to :{port}"),
            Nat::Symmetric => "masquerade random,fully-random".to_owned(),
        };
        let inside = if router == Place::RouterA { "10.1.0.2" } else { "10.2.0.2" };
        let inward = match nat {
            Nat::FullCone => format!("iifname wan meta l4proto udp dnat to {inside}"),
            _ => String::new(),
        };
        let filter = if nat.lets_anybody_in() { "accept" } else { "ct state new drop" };
        let rules = format!(
            "flush ruleset
             table ip router {{
                 chain out {{
                     type nat hook postrouting priority srcnat;
                     oifname wan meta l4proto udp {masquerade}
                 }}
                 chain in {{
                     type nat hook prerouting priority dstnat;
                     {inward}
                 }}
                 chain forwarded {{
                     type filter hook forward priority filter;
                     iifname wan meta l4proto udp {filter}
                 }}
                 chain received {{
                     type filter hook input priority filter;
                     iifname wan meta l4proto udp drop
                 }}
             }}
            "
        );
        run(self.command(router, "nft").args(["-f", "-"]), &rules);
        self.forget(router);
    }

    /// A router is started again: it forgets all flows.
    pub fn forget(&self, router: Place) {
        run(self.command(router, "conntrack").arg("-F"), "");
    }

    /// A program there.
    pub fn command(&self, place: Place, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name(place)]).arg(program);
        command
    }

    /// Lines for `ip`, there.
    pub fn ip(&self, place: Place, lines: &str) {
        run(Command::new("ip").args(["-n", &self.name(place), "-batch", "-"]), lines);
    }

    fn sysctl(&self, place: Place, name: &str, value: u32) {
        run(self.command(place, "tee").arg(format!("/proc/sys/{name}")), &value.to_string());
    }

    fn name(&self, place: Place) -> String {
        let place = match place {
            Place::Internet => "internet",
            Place::RouterA => "a",
            Place::RouterB => "b",
            Place::Gateway => "gateway",
            Place::Radio => "radio",
        };
        format!("{}-{place}", self.id)
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        for place in [Place::Radio, Place::Gateway, Place::RouterB, Place::RouterA, Place::Internet] {
            let _ = Command::new("ip").args(["netns", "del", &self.name(place)]).output();
        }
    }
}

/// Runs it to its end, which must be a good one.
fn run(command: &mut Command, input: &str) -> Output {
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap_or_else(|error| {
        panic!("{command:?}: {error}; this test needs iproute2, nftables and conntrack: deploy/setup.sh test")
    });
    let mut stdin = child.stdin.take().expect("it is piped");
    // One that does not read its input says why below.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().expect("it was started");
    assert!(
        output.status.success(),
        "{command:?} failed; this test makes network namespaces and NAT, and so needs root and a kernel with nftables: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output
}
