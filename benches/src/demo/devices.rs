//! The demo's devices, on a thread of their own: they connect, get an address, and ping what is behind the gateway.

use std::{
    net::Ipv4Addr,
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::Context;
use dot11::{Akm, MacAddr, ReasonCode};
use station::{
    air::{Air, DeviceId, Place},
    device::{Command, Device, Event},
    eap, host,
    profile::{DeviceConfig, Profile},
};

use super::world::{FAR, Meeting, NETWORKS, Network, ROUTER, USER, World};

/// How far a device has come.
#[derive(Debug, Clone)]
pub struct Progress {
    /// What the demo calls it.
    pub name: &'static str,
    /// Its address.
    pub mac: MacAddr,
    /// Its network.
    pub ssid: &'static str,
    /// Too far away to be shown its network.
    pub far: bool,
    /// In words.
    pub state: &'static str,
    /// From DHCP.
    pub address: Option<Ipv4Addr>,
    /// Echo requests answered by the network behind the gateway.
    pub echoes: u32,
    /// Those that were not.
    pub lost: u32,
    /// Associations so far.
    pub associations: u32,
    /// Of the last one answered.
    pub round_trip: Option<Duration>,
}

/// The running devices.
pub struct Devices {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<anyhow::Result<()>>>,
}

struct Shared {
    progress: Mutex<Vec<Progress>>,
    leave: AtomicBool,
}

/// Between two echo requests of a device.
const PING_INTERVAL: Duration = Duration::from_millis(200);
/// Octets of an echo request's payload.
const PING_SIZE: usize = 1000;
/// How often the loop looks at the clock.
const ROUND: Duration = Duration::from_millis(20);

impl Devices {
    /// Switches three devices on: two at home, one a subscriber of the operator. If a matchmaker decides what is shown to whom, there is
    /// a fourth, which passes by at some distance.
    pub fn start(world: &World) -> anyhow::Result<Devices> {
        let [alice, operator] = &NETWORKS;
        let mut plan =
            vec![("laptop", 0x11, alice, -48), ("phone", 0x12, alice, -61), ("tablet", 0x13, operator, -55)];
        if world.meeting == Meeting::Matchmaker {
            plan.push(("visitor", 0x14, &FAR, -78));
        }
        let mut air = Air::new(&world.air);
        let mut progress = Vec::new();
        let ca = world.radius.ca_certificate();
        for &(name, last, network, signal) in &plan {
            let mac = MacAddr([0x02, 0, 0, 0, 0, last]);
            let mut config = DeviceConfig::new(mac, profile(network, &ca)?);
            if network.passphrase.is_empty() {
                config = config.with_credentials(Arc::new(eap::Credentials::new(USER.0, USER.1)));
            }
            let mut seed = [0; 16];
            getrandom::fill(&mut seed).context("the operating system has no entropy")?;
            air.add(Device::new(config, seed), Place { signal, ..Place::default() })
                .context("simulated air")?;
            progress.push(Progress {
                name,
                mac,
                ssid: network.ssid,
                far: network.ssid == FAR.ssid,
                state: "looking",
                address: None,
                echoes: 0,
                lost: 0,
                associations: 0,
                round_trip: None,
            });
        }
        let shared = Arc::new(Shared { progress: Mutex::new(progress), leave: AtomicBool::new(false) });
        let (running, devices) = (shared.clone(), plan.len());
        let thread = std::thread::Builder::new()
            .name("devices".to_owned())
            .spawn(move || drive(&mut air, &running, devices))?;
        Ok(Devices { shared, thread: Some(thread) })
    }

    /// Where everybody is.
    pub fn progress(&self) -> Vec<Progress> {
        self.shared.lock().clone()
    }

    /// Has every device say goodbye, and waits until they have.
    pub fn leave(&mut self) -> anyhow::Result<()> {
        self.shared.leave.store(true, Ordering::Relaxed);
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            Some(Err(_)) => anyhow::bail!("the devices' thread panicked"),
            None => Ok(()),
        }
    }
}

impl Drop for Devices {
    fn drop(&mut self) {
        let _ = self.leave();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Vec<Progress>> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn profile(network: &Network, ca: &Path) -> anyhow::Result<Arc<Profile>> {
    let profile = if network.passphrase.is_empty() {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let ca = std::fs::read(ca).context("the RADIUS server's CA certificate")?;
        let trust = eap::Config::new(&ca, Some(radius::testkit::SERVER_NAME), now)?;
        Profile::enterprise(network.ssid, Akm::Ieee8021x, trust)?
    } else {
        Profile::psk(network.ssid, network.passphrase, Akm::Psk)?
    };
    let host = host::Config { host_name: Some("demo".to_owned()), ..host::Config::default() };
    Ok(Arc::new(Profile { reconnect: Some(Duration::from_secs(1)), ..profile.with_host(host) }))
}

fn drive(air: &mut Air, shared: &Shared, devices: usize) -> anyhow::Result<()> {
    for id in 0..devices {
        air.command(DeviceId(id), Command::Connect);
    }
    let mut next_ping = Instant::now();
    let mut sequence = 0u16;
    while !shared.leave.load(Ordering::Relaxed) {
        let events = air.poll(Some(ROUND)).context("simulated air")?;
        let mut progress = shared.lock();
        for (DeviceId(id), event) in events {
            follow(&mut progress[id], event);
        }
        if Instant::now() >= next_ping {
            next_ping += PING_INTERVAL;
            sequence = sequence.wrapping_add(1);
            for id in (0..devices).filter(|&id| progress[id].address.is_some()) {
                air.command(DeviceId(id), Command::Ping { to: ROUTER, sequence, size: PING_SIZE });
            }
        }
    }
    for id in 0..devices {
        air.command(DeviceId(id), Command::Disconnect(ReasonCode::LEAVING_NETWORK_DEAUTH));
    }
    // The goodbyes leave with the next round.
    air.poll(Some(ROUND)).context("simulated air")?;
    Ok(())
}

fn follow(progress: &mut Progress, event: Event) {
    match event {
        Event::Associated { .. } => {
            progress.state = "associated";
            progress.associations += 1;
        }
        Event::Authenticated => progress.state = "authenticated",
        Event::Online => progress.state = "online",
        Event::Leased(lease) => progress.address = Some(lease.address),
        Event::EchoReply { round_trip, .. } => {
            progress.echoes += 1;
            progress.round_trip = Some(round_trip);
        }
        Event::EchoLost { .. } => progress.lost += 1,
        Event::LeaseLost => progress.address = None,
        Event::Refused { .. } => progress.state = "refused",
        Event::Disconnected { .. } | Event::BeaconsLost | Event::NoAnswer(_) => {
            progress.state = "looking";
            progress.address = None;
            progress.round_trip = None;
        }
        _ => {}
    }
}
