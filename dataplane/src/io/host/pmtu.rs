//! What the paths to the peers take, as far as routers told (RFC 1191, RFC 8201): bounded, shared by all workers, forgotten after ten minutes.

use std::net::Ipv6Addr;
use std::time::Duration;

use super::board::Board;
use crate::clock::Time;

/// The longest packets that paths take.
#[derive(Debug)]
pub struct PathMtus {
    board: Board,
    link: u16,
}

/// How long a narrow path is remembered (RFC 1191 §6.3, RFC 8201 §5.3).
pub const AGE: Duration = Duration::from_secs(600);
/// Below this an IPv4 packet is not made for any path, whoever says so: what is smaller there, routers cut (Linux draws the same line).
pub const LEAST_IPV4: u16 = 552;
/// Every link takes that (RFC 8200 §5).
pub const LEAST_IPV6: u16 = 1280;
/// No link takes less (RFC 791 §3.2).
const POSSIBLE_IPV4: u16 = 68;

impl PathMtus {
    /// Paths over a link with this MTU, of which `paths` may be narrower.
    pub fn new(link: u16, paths: usize, seed: u64) -> Self {
        Self { board: Board::new(paths, seed), link }
    }

    /// The longest packet to `peer`.
    #[inline]
    pub fn to(&self, peer: Ipv6Addr, now: Time) -> u16 {
        match self.board.read(peer) {
            Some(note) if now.since(note.at) < AGE => (note.value as u16).min(self.link),
            _ => self.link,
        }
    }

    /// Whether a packet of this length may go to `peer` whole. Most are answered without looking the path up.
    #[inline]
    pub fn takes(&self, len: usize, peer: Ipv6Addr, now: Time) -> bool {
        let least = if peer.to_ipv4_mapped().is_some() { LEAST_IPV4 } else { LEAST_IPV6 };
        len <= least.min(self.link).into() || len <= self.to(peer, now).into()
    }

    /// A router says what the path to `peer` takes. `None` if that cannot be; otherwise whether it is news.
    pub fn lower(&self, peer: Ipv6Addr, mtu: u32, now: Time) -> Option<bool> {
        let ipv4 = peer.to_ipv4_mapped().is_some();
        let possible = if ipv4 { POSSIBLE_IPV4 } else { LEAST_IPV6 };
        if mtu < possible.into() {
            return None;
        }
        let mtu = u16::try_from(mtu).unwrap_or(u16::MAX).max(if ipv4 { LEAST_IPV4 } else { LEAST_IPV6 });
        if mtu >= self.to(peer, now) {
            return Some(false);
        }
        Some(self.board.write(peer, mtu.into(), now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inet::mapped;

    #[test]
    fn a_path_only_narrows_and_is_forgotten() {
        let paths = PathMtus::new(1500, 64, 1);
        let (v4, v6) = (mapped("192.0.2.1".parse().unwrap()), "2001:db8::1".parse().unwrap());
        let now = Time::from_nanos(1);
        assert_eq!(
            (paths.to(v4, now), paths.lower(v4, 1400, now), paths.to(v4, now)),
            (1500, Some(true), 1400)
        );
        assert_eq!((paths.lower(v4, 1450, now), paths.lower(v4, 1500, now)), (Some(false), Some(false)));
        assert_eq!((paths.lower(v4, 100, now), paths.to(v4, now)), (Some(true), LEAST_IPV4));
        assert_eq!((paths.lower(v4, 67, now), paths.lower(v6, 1279, now)), (None, None));
        assert_eq!((paths.lower(v6, 1280, now), paths.to(v6, now)), (Some(true), 1280));
        assert!(paths.takes(552, v4, now) && !paths.takes(553, v4, now));
        assert!(paths.takes(1280, v6, now) && !paths.takes(1281, v6, now));
        assert_eq!(paths.to(v4, now + AGE), 1500);
        assert!(paths.takes(1500, v6, now + AGE) && !paths.takes(1501, v6, now + AGE));
    }
}
