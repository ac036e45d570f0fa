//! What the ports of a worker counted, where anybody can read it: packet I/O counts in its worker's thread, and the worker publishes now and then.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::io::PacketIo;

/// The counters of one worker's ports. Which there are is known when the worker has its ports.
#[derive(Default)]
pub struct PortCounters {
    tunnel: OnceLock<Values>,
    network: OnceLock<Values>,
}

/// A side of the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Port {
    /// Towards the radios.
    Tunnel,
    /// Towards the network.
    Network,
}

impl Port {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Tunnel, Self::Network];

    /// Stable name for metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tunnel => "tunnel",
            Self::Network => "network",
        }
    }
}

struct Values {
    names: Vec<&'static str>,
    values: Vec<AtomicU64>,
}

impl PortCounters {
    /// Makes places for what this port counts. Once, before the first [`publish`](Self::publish).
    pub fn prepare(&self, port: Port, io: &impl PacketIo) {
        let mut names = Vec::new();
        io.each_counter(&mut |name, _| names.push(name));
        let values = names.iter().map(|_| AtomicU64::new(0)).collect();
        let _ = self.of(port).set(Values { names, values });
    }

    /// Takes the port's counters over. For the owning worker only; neither allocates nor waits.
    pub fn publish(&self, port: Port, io: &impl PacketIo) {
        let Some(places) = self.of(port).get() else { return };
        let mut values = places.values.iter();
        io.each_counter(&mut |_, value| {
            if let Some(place) = values.next() {
                place.store(value, Relaxed);
            }
        });
    }

    /// Every counter of a port by name; nothing before there is one.
    pub fn read(&self, port: Port) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let places = self.of(port).get();
        places.into_iter().flat_map(|places| {
            places.names.iter().zip(&places.values).map(|(&name, value)| (name, value.load(Relaxed)))
        })
    }

    fn of(&self, port: Port) -> &OnceLock<Values> {
        match port {
            Port::Tunnel => &self.tunnel,
            Port::Network => &self.network,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::memory::MemoryIo;
    use crate::packet::{Burst, Pool, PoolConfig};

    #[test]
    fn what_a_port_counts_is_read_by_name() {
        let pool = Pool::new(PoolConfig { packets: 1, ..PoolConfig::default() });
        let (mut io, _other) = MemoryIo::pair(1);
        let counters = PortCounters::default();
        assert_eq!(counters.read(Port::Tunnel).count(), 0);
        counters.prepare(Port::Tunnel, &io);
        let mut burst = Burst::new();
        let mut packet = pool.alloc().unwrap();
        packet.copy_from(&[0; 7]);
        burst.push(packet).unwrap();
        io.tx_burst(&mut burst);
        let read = |name| counters.read(Port::Tunnel).find(|(n, _)| *n == name).unwrap().1;
        assert_eq!(read("tx_bytes"), 0);
        counters.publish(Port::Tunnel, &io);
        assert_eq!((read("tx_packets"), read("tx_bytes"), read("rx_overflow")), (1, 7, 0));
        assert_eq!(counters.read(Port::Network).count(), 0);
    }
}
