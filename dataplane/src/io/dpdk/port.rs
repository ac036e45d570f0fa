//! Ports: opening a device with one queue for each worker, its link, its counters, its end.

use std::ffi::{CStr, CString};
use std::sync::{Arc, Mutex};

use dpdk_sys::{dpdk_info, dpdk_link, dpdk_pool, dpdk_port, dpdk_setup, dpdk_stats};

use super::super::IoError;
use super::eal::{explained, lock};
use super::{DpdkIo, Mempool};

/// How a port is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortConfig {
    /// A PCI address, or a virtual device with its arguments: `0000:03:00.0`, `net_tap0,iface=dtap0`, `net_af_packet0,iface=eth1`,
    /// `net_memif0,role=client,socket=/run/memif.sock`. DPDK's guides of its drivers have them.
    pub device: String,
    /// Octets of payload in a frame; `None` leaves the device as it is.
    pub mtu: Option<u16>,
    /// Receive frames for whichever address.
    pub promiscuous: bool,
    /// Let the device do IPv4 and UDP checksums, as far as it can: [`DpdkPort::offloads`] says what came of it.
    pub checksums: bool,
    /// Packets that each receive queue holds.
    pub rx_descriptors: u16,
    /// Packets that each transmit queue holds.
    pub tx_descriptors: u16,
}

impl PortConfig {
    /// A device that receives everything, with queues of 1024 packets and all checksums left to us.
    pub fn new(device: impl Into<String>) -> Self {
        Self {
            device: device.into(),
            mtu: None,
            promiscuous: true,
            checksums: false,
            rx_descriptors: 1024,
            tx_descriptors: 1024,
        }
    }
}

/// Checksums that the device does, so that nobody else need. On receiving, a frame that the device finds wrong is dropped and counted; one that it did not
/// look at (it is of a form that the device does not know) comes as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offloads {
    /// Verifies those of IPv4 headers.
    pub rx_ipv4: bool,
    /// Verifies those of UDP.
    pub rx_udp: bool,
    /// Fills in those of IPv4 headers.
    pub tx_ipv4: bool,
    /// Fills in those of UDP over IPv4, where there is one, and IPv6.
    pub tx_udp: bool,
}

/// State of a port's link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Whether it is up.
    pub up: bool,
    /// Mbit/s, if known.
    pub mbits: Option<u32>,
    /// Whether both directions work at a time.
    pub full_duplex: bool,
}

/// A port, shared by its queues. It is closed when the last of them is dropped, and may then be opened again.
#[derive(Debug)]
pub struct DpdkPort {
    name: String,
    driver: String,
    mac: [u8; 6],
    pub(super) port: dpdk_port,
    /// The queues receive into them.
    _mempools: Vec<Mempool>,
}

/// DPDK wants no two ports opened or closed at a time.
static OPENING: Mutex<Vec<String>> = Mutex::new(Vec::new());

impl DpdkPort {
    /// Opens the device with a queue for each of `mempools`, receiving into it, and starts it. The queues are returned in order.
    ///
    /// # Errors
    /// [`IoError::Dpdk`]: there is no such device, it is open already, it has too few queues, its frames do not fit the packets, or its driver says no.
    ///
    /// # Panics
    /// If there is no mempool.
    pub fn open(config: &PortConfig, mempools: &[Mempool]) -> Result<Vec<DpdkIo>, IoError> {
        assert!(!mempools.is_empty(), "a port has at least one queue");
        let refused = |reason: String, advice: &str| IoError::Dpdk {
            what: format!("open the device `{}`", config.device),
            reason,
            advice: advice.to_owned(),
        };
        let name = config.device.split(',').next().unwrap_or_default().to_owned();
        let (Ok(c_name), Ok(c_device)) = (CString::new(&*name), CString::new(&*config.device)) else {
            return Err(refused("there is a zero octet in its name".to_owned(), ADVICE));
        };
        let mut open = lock(&OPENING);
        if open.contains(&name) {
            return Err(refused("this process has it open already".to_owned(), "Configure each device once"));
        }
        let mut number = 0;
        // SAFETY: DPDK runs, since there is a mempool; both are C strings.
        explained(|| unsafe {
            dpdk_sys::dpdk_port_probe(c_device.as_ptr(), c_name.as_ptr(), &raw mut number)
        })
        .map_err(|reason| refused(reason, ADVICE))?;
        let set_up = set_up(number, config, mempools).map_err(|(reason, advice)| refused(reason, &advice));
        let (port, info) = match set_up {
            Ok(set_up) => set_up,
            Err(error) => {
                // SAFETY: the port was probed and nobody uses it. That it cannot be closed either is no news.
                let _ = explained(|| unsafe { dpdk_sys::dpdk_port_close(number) });
                return Err(error);
            }
        };
        open.push(name.clone());
        // SAFETY: the shim ends it with a zero octet.
        let driver = unsafe { CStr::from_ptr(info.driver.as_ptr()) }.to_string_lossy().into_owned();
        let port = Arc::new(Self { name, driver, mac: info.mac, port, _mempools: mempools.to_vec() });
        Ok(mempools
            .iter()
            .enumerate()
            .map(|(queue, pool)| DpdkIo::new(port.clone(), queue, pool.clone()))
            .collect())
    }

    /// The device's name, without arguments.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its driver's name.
    pub fn driver(&self) -> &str {
        &self.driver
    }

    /// Its hardware address.
    pub fn mac(&self) -> [u8; 6] {
        self.mac
    }

    /// Octets of payload in a frame.
    pub fn mtu(&self) -> u16 {
        self.port.mtu
    }

    /// What it does of checksums.
    pub fn offloads(&self) -> Offloads {
        let on = |flag| self.port.offloads & flag != 0;
        Offloads {
            rx_ipv4: on(dpdk_sys::DPDK_RX_IPV4),
            rx_udp: on(dpdk_sys::DPDK_RX_UDP),
            tx_ipv4: on(dpdk_sys::DPDK_TX_IPV4),
            tx_udp: on(dpdk_sys::DPDK_TX_UDP),
        }
    }

    /// Its link now. A driver that does not say is taken to be up.
    pub fn link(&self) -> Link {
        let mut link = dpdk_link { mbits: 0, up: 1, full_duplex: 1 };
        // SAFETY: the port is open; the answer goes to a place of ours. On an error it stays as it is.
        let _ = unsafe { dpdk_sys::dpdk_port_link(self.port.port, &raw mut link) };
        Link {
            up: link.up != 0,
            mbits: (link.mbits != 0).then_some(link.mbits),
            full_duplex: link.full_duplex != 0,
        }
    }

    /// What the device counted.
    pub(super) fn stats(&self) -> dpdk_stats {
        let mut stats = dpdk_stats { rx_missed: 0, rx_errors: 0, rx_no_memory: 0, tx_errors: 0 };
        // SAFETY: as above.
        let _ = unsafe { dpdk_sys::dpdk_port_stats(self.port.port, &raw mut stats) };
        stats
    }
}

impl Drop for DpdkPort {
    fn drop(&mut self) {
        let mut open = lock(&OPENING);
        // SAFETY: the last queue is gone.
        if let Err(reason) = explained(|| unsafe { dpdk_sys::dpdk_port_close(self.port.port) }) {
            // Its name stays taken.
            eprintln!("dpdk: cannot close the device `{}`: {reason}", self.name);
            return;
        }
        open.retain(|name| *name != self.name);
    }
}

const ADVICE: &str = "A device is a PCI address that DPDK was started with and whose driver is vfio-pci (`dpdk-devbind.py --status`), or a virtual \
                      device with its arguments, such as `net_tap0,iface=NAME`";

/// Configures and starts; or says why not and what to do.
fn set_up(
    number: u16,
    config: &PortConfig,
    mempools: &[Mempool],
) -> Result<(dpdk_port, dpdk_info), (String, String)> {
    const DRIVER: &str = "Look the driver up in DPDK's guides";
    // SAFETY: all zeros is a valid one.
    let mut info: dpdk_info = unsafe { std::mem::zeroed() };
    // SAFETY: the port was probed; the answer goes to a place of ours.
    explained(|| unsafe { dpdk_sys::dpdk_port_info(number, &raw mut info) })
        .map_err(|reason| (reason, DRIVER.to_owned()))?;
    let queues = info.max_rx_queues.min(info.max_tx_queues);
    if usize::from(queues) < mempools.len() {
        return Err((
            format!("it has {queues} queues, and {} workers need one each", mempools.len()),
            format!("Configure {queues} workers, or another device"),
        ));
    }
    let mtu = config.mtu.unwrap_or(info.mtu);
    if config.mtu.is_some() && !(info.min_mtu..=info.max_mtu).contains(&mtu) {
        let range = format!("it can {} to {}", info.min_mtu, info.max_mtu);
        return Err((format!("it cannot have an MTU of {mtu}"), format!("Configure one that {range}")));
    }
    let smallest = mempools.iter().map(|pool| pool.config().buffer).min().unwrap_or(0);
    let needed = DRIVERS_HEADROOM + usize::from(mtu) + FRAME_OVERHEAD;
    if smallest < needed {
        return Err((
            format!("its frames need packets of {needed} octets, and these have {smallest}"),
            "Configure a smaller MTU, or larger packets".to_owned(),
        ));
    }
    let pools: Vec<*mut dpdk_pool> = mempools.iter().map(Mempool::as_ptr).collect();
    let setup = dpdk_setup {
        pools: pools.as_ptr(),
        queues: pools.len() as u16,
        rx_descriptors: config.rx_descriptors,
        tx_descriptors: config.tx_descriptors,
        mtu: config.mtu.unwrap_or(0),
        promiscuous: config.promiscuous.into(),
        checksums: config.checksums.into(),
    };
    let (mut port, mut step) = (dpdk_port { port: number, mtu, offloads: 0 }, dpdk_sys::DPDK_STEP_CONFIGURE);
    // SAFETY: there are as many pools as queues, all of which live as long as the port; the answers go to places of ours.
    explained(|| unsafe {
        dpdk_sys::dpdk_port_setup(number, &raw const setup, &raw mut port, &raw mut step)
    })
    .map_err(|reason| {
        let step = match step {
            dpdk_sys::DPDK_STEP_MTU => "set its MTU",
            dpdk_sys::DPDK_STEP_RX_QUEUE => "set a receive queue up",
            dpdk_sys::DPDK_STEP_TX_QUEUE => "set a transmit queue up",
            dpdk_sys::DPDK_STEP_START => "start it",
            dpdk_sys::DPDK_STEP_PROMISCUOUS => "make it promiscuous",
            _ => "configure it",
        };
        (format!("the driver does not {step}: {reason}"), DRIVER.to_owned())
    })?;
    Ok((port, info))
}

/// What drivers leave free in front of a received frame, and Ethernet's header, two VLAN tags and check sequence around the payload.
const DRIVERS_HEADROOM: usize = 128;
const FRAME_OVERHEAD: usize = 14 + 2 * 4 + 4;
