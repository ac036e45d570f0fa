//! Why a backend could not be opened, told so that the operator knows what to do.

use std::io;
use std::net::SocketAddr;

/// Why a way in or out for packets could not be opened. Displays as one paragraph: what, where, what to do.
#[derive(Debug, thiserror::Error)]
pub enum IoError {
    /// Another socket has the UDP port.
    #[error(
        "UDP port {} of {} is in use by another program. Stop that program (`ss -ulnp 'sport = :{}'` shows which it is), \
         or configure another port", .0.port(), .0.ip(), .0.port()
    )]
    PortInUse(SocketAddr),
    /// No interface has the address.
    #[error(
        "cannot listen on {}: no network interface of this machine has the address {}. Configure one that `ip address` shows, \
         or 0.0.0.0 or [::] for all of them", .0, .0.ip()
    )]
    AddressNotHere(SocketAddr),
    /// The process is not allowed to.
    #[error(
        "no permission to {what}: the process lacks the capability {capability}. Start it as root, or with \
         `AmbientCapabilities={capability}` in its systemd unit, or after `setcap {}+ep` on the program", .capability.to_lowercase()
    )]
    MissingCapability {
        /// What it tried.
        what: String,
        /// The name of the capability, as in capabilities(7).
        capability: &'static str,
    },
    /// The kernel has no TUN/TAP driver, or the container no device file.
    #[error(
        "cannot open a TAP interface: there is no /dev/net/tun. Load the driver with `modprobe tun`; in a container, pass the device in \
         (`--device /dev/net/tun`)"
    )]
    NoTunDevice,
    /// The kernel does not take the name.
    #[error(
        "`{0}` is no name for a network interface: use 1 to 15 printable ASCII characters, none of them a space, `/`, `:` or `%`"
    )]
    BadName(String),
    /// There is no interface of this name in this network namespace.
    #[error(
        "there is no network interface `{0}` here. `ip link` shows those that exist (in this network namespace)"
    )]
    NoSuchInterface(String),
    /// The interface exists and is used by somebody else, or is of another kind.
    #[error(
        "the network interface `{0}` exists already and cannot be opened as a multi-queue TAP interface: another program has it, or it is of \
         another kind. Stop that program, remove the interface with `ip link delete {0}`, or configure another name"
    )]
    InterfaceBusy(String),
    /// Somebody else's XDP program or AF_XDP socket is on the interface.
    #[error(
        "the network interface `{0}` has an XDP program or an AF_XDP socket already (`ip link show {0}` shows a program, `ss --xdp -p` the \
         sockets). Stop the program that uses it, detach a forgotten one with `ip link set {0} xdp off`, or configure another interface"
    )]
    XdpBusy(String),
    /// An interface has not a queue for each worker.
    #[error(
        "the network interface `{interface}` has {queues} receive queues for {workers} workers. Configure at most {queues} workers, or give it \
         more queues with `ethtool -L {interface} combined {workers}`"
    )]
    TooFewQueues {
        /// Which interface.
        interface: String,
        /// What it has.
        queues: u32,
        /// What was asked for.
        workers: usize,
    },
    /// Nothing, or too much, is to be taken from an interface.
    #[error(
        "what AF_XDP takes from an interface must be 1 to 64 UDP ports of at most 64 addresses, or 1 to 64 addresses"
    )]
    BadSelection,
    /// A packet capture file could not be opened or read.
    #[error("cannot use the capture file {path}: {error}")]
    Capture {
        /// Which file.
        path: String,
        /// Why.
        error: crate::capture::CaptureError,
    },
    /// DPDK says no.
    #[error("DPDK cannot {what}: {reason}. {advice}")]
    Dpdk {
        /// What it was to do.
        what: String,
        /// Why it does not, in its words where it has any.
        reason: String,
        /// What to do about it.
        advice: String,
    },
    /// Something that is not expected to fail.
    #[error("cannot {what}: {error}")]
    System {
        /// What was tried.
        what: String,
        /// The system's answer.
        error: io::Error,
    },
}

impl IoError {
    /// From a failed system call that needs `capability`.
    pub(crate) fn of_call(what: impl Into<String>, capability: &'static str, error: io::Error) -> Self {
        let what = what.into();
        match error.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => Self::MissingCapability { what, capability },
            _ => Self::System { what, error },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_say_what_and_where_and_what_to_do() {
        let table: [(IoError, &[&str]); 6] = [
            (
                IoError::PortInUse("127.0.0.1:5247".parse().unwrap()),
                &["UDP port 5247 of 127.0.0.1 is in use", "ss -ulnp 'sport = :5247'", "another port"],
            ),
            (
                IoError::AddressNotHere("[2001:db8::1]:5247".parse().unwrap()),
                &["[2001:db8::1]:5247", "has the address 2001:db8::1", "`ip address`"],
            ),
            (
                IoError::of_call("create `ttg0`", "CAP_NET_ADMIN", io::Error::from_raw_os_error(libc::EPERM)),
                &["create `ttg0`", "CAP_NET_ADMIN", "root", "setcap cap_net_admin+ep"],
            ),
            (IoError::NoTunDevice, &["/dev/net/tun", "modprobe tun", "--device"]),
            (IoError::BadName("a b".into()), &["`a b`", "1 to 15"]),
            (IoError::InterfaceBusy("ttg0".into()), &["`ttg0`", "ip link delete ttg0"]),
        ];
        for (error, parts) in table {
            let text = error.to_string();
            assert!(!text.contains('\n') && !text.contains("  "), "one paragraph: {text}");
            for part in parts {
                assert!(text.contains(part), "{part:?} in {text:?}");
            }
        }
        let other = IoError::of_call("sleep", "CAP_X", io::Error::from_raw_os_error(libc::ENOMEM));
        assert!(matches!(other, IoError::System { .. }));
    }
}
