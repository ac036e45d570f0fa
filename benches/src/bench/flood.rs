//! The load generator's engine: sends prepared packets to a gateway through whatever moves packets, takes what comes back, and says what was lost
//! and how long the others were under way.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use dataplane::endpoint::Endpoint;
use dataplane::io::PacketIo;
use dataplane::io::udp::UdpIo;
use dataplane::packet::{Burst, Pool, PoolConfig};

/// Datagrams, or frames, of one length, ready to send.
pub struct Datagrams {
    /// Octets of each.
    pub len: usize,
    /// One behind the other.
    pub octets: Vec<u8>,
}

impl Datagrams {
    /// How many.
    pub fn count(&self) -> usize {
        self.octets.len() / self.len
    }
}

/// How fast to send.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// So many at most under way.
    Window(usize),
    /// So many a second, whatever comes back.
    Rate(f64),
}

/// What became of a run.
pub struct Outcome {
    /// Datagrams sent.
    pub sent: usize,
    /// Of these came back.
    pub received: usize,
    /// From the first sent to the last received.
    pub seconds: f64,
    /// From sent to received, sorted.
    under_way: Vec<u32>,
}

impl Outcome {
    /// Received per second.
    pub fn rate(&self) -> f64 {
        self.received as f64 / self.seconds
    }

    /// Share of those sent that did not come back.
    pub fn loss(&self) -> f64 {
        1.0 - self.received as f64 / self.sent.max(1) as f64
    }

    /// Microseconds under way, at a percentile.
    pub fn microseconds(&self, percent: f64) -> f64 {
        let at = (self.under_way.len().saturating_sub(1) as f64 * percent / 100.0).round() as usize;
        self.under_way.get(at).map_or(f64::NAN, |&time| f64::from(time) / 1e3)
    }
}

/// A port that takes nothing and brings nothing for so long is given up.
const PATIENCE: Duration = Duration::from_secs(5);

/// A socket, or other port, and its packets.
pub struct Flood<P = UdpIo> {
    io: P,
    pool: Pool,
    /// How long after the last that came back the others count as lost.
    silence: Duration,
}

impl Flood<UdpIo> {
    /// On any port of loopback, with GSO and GRO.
    ///
    /// # Errors
    /// The system's.
    pub fn udp() -> anyhow::Result<Flood> {
        let io = UdpIo::bind(SocketAddr::from(([127, 0, 0, 1], 0)), false)?;
        Ok(Flood::new(io, Pool::new(PoolConfig::default())))
    }

    /// Where gateways find it.
    pub fn address(&self) -> SocketAddr {
        self.io.local_addr()
    }
}

impl<P: PacketIo> Flood<P> {
    /// Through this port, with packets of this pool.
    pub fn new(io: P, pool: Pool) -> Flood<P> {
        Flood { io, pool, silence: Duration::from_millis(300) }
    }

    /// What it sends and receives through.
    pub fn io(&mut self) -> &mut P {
        &mut self.io
    }

    /// Takes what has come, and throws it away.
    pub fn drain(&mut self) {
        let mut burst = Burst::new();
        while self.io.rx_burst(&self.pool, &mut burst) > 0 {
            burst.clear();
        }
    }

    /// Sends all of it, to an endpoint if the port knows such; `whose` says which of the sent ones came back.
    pub fn run(
        &mut self,
        to: Endpoint,
        datagrams: &Datagrams,
        pace: Pace,
        mut whose: impl FnMut(&[u8]) -> Option<usize>,
    ) -> Outcome {
        let count = datagrams.count();
        let start = Instant::now();
        let since = |time: Instant| (time - start).as_nanos() as u64;
        let (mut sent_at, mut under_way) = (vec![0u64; count], Vec::with_capacity(count));
        let (mut out, mut back) = (Burst::new(), Burst::new());
        let (mut queued, mut last_back, mut last_move) = (0, start, start);
        let mut seen = vec![false; count];
        while under_way.len() < count {
            let now = Instant::now();
            let quiet = now - last_back;
            if queued == count && quiet > self.silence || now - last_move > PATIENCE {
                break;
            }
            let allowed = match pace {
                Pace::Window(window) if quiet > self.silence => queued + window,
                Pace::Window(window) => under_way.len() + window,
                Pace::Rate(rate) => (now - start).as_secs_f64().mul_add(rate, 1.0) as usize,
            };
            while queued < count.min(allowed) && !out.is_full() {
                let Some(mut packet) = self.pool.alloc() else { break };
                let at = queued * datagrams.len;
                packet.copy_from(&datagrams.octets[at..at + datagrams.len]);
                packet.meta.endpoint = to;
                sent_at[queued] = since(now);
                queued += 1;
                // There is room, as was asked.
                let _ = out.push(packet);
            }
            if !out.is_empty() && self.io.tx_burst(&mut out) > 0 {
                last_move = now;
            }
            if self.io.rx_burst(&self.pool, &mut back) > 0 {
                let now = Instant::now();
                for packet in back.drain() {
                    let Some(n) = whose(packet.data()).filter(|&n| n < count && !seen[n]) else { continue };
                    seen[n] = true;
                    (last_back, last_move) = (now, now);
                    under_way.push(u32::try_from(since(now).saturating_sub(sent_at[n])).unwrap_or(u32::MAX));
                }
            } else {
                // Those that it waits for may need the core.
                std::thread::yield_now();
            }
        }
        under_way.sort_unstable();
        let seconds = (last_back - start).as_secs_f64();
        Outcome { sent: queued, received: under_way.len(), seconds, under_way }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends everything back but every fourth.
    fn echo(io: &mut UdpIo, total: usize) {
        let (pool, mut burst) = (Pool::new(PoolConfig::default()), Burst::new());
        let mut heard = 0;
        while heard < total {
            let mut out = Burst::new();
            heard += io.rx_burst(&pool, &mut burst);
            for packet in burst.drain() {
                if packet.data()[0] % 4 != 0 {
                    assert!(out.push(packet).is_ok());
                }
            }
            while !out.is_empty() {
                io.tx_burst(&mut out);
            }
        }
    }

    #[test]
    fn what_does_not_come_back_is_lost() {
        let mut io = UdpIo::bind(SocketAddr::from(([127, 0, 0, 1], 0)), false).unwrap();
        let to = io.local_addr();
        let peer = std::thread::spawn(move || echo(&mut io, 400));
        let mut flood = Flood { silence: Duration::from_secs(3), ..Flood::udp().unwrap() };
        let octets = (0..400u16).flat_map(|n| [(n % 256) as u8, (n / 256) as u8, 0, 0]).collect();
        let datagrams = Datagrams { len: 4, octets };
        let whose = |octets: &[u8]| Some(usize::from(octets[0]) + 256 * usize::from(octets[1]));
        let outcome = flood.run(to.into(), &datagrams, Pace::Window(400), whose);
        peer.join().unwrap();
        assert_eq!((outcome.sent, outcome.received), (400, 300));
        assert!((outcome.loss() - 0.25).abs() < 1e-9);
        assert!(outcome.microseconds(50.0) <= outcome.microseconds(99.0));
    }
}
