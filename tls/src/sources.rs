//! Handshakes under way by where they come from, so that who says nothing cannot keep out everybody else.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, PoisonError},
};

/// Handshakes of one source at a time.
pub(crate) const MOST: usize = 16;

#[derive(Clone, Default)]
pub(crate) struct Sources(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// A handshake that is under way until this is dropped.
pub(crate) struct UnderWay {
    sources: Sources,
    source: IpAddr,
}

impl Sources {
    /// One more begins; `None`: its source has as many as one may have.
    pub(crate) fn begin(&self, from: IpAddr) -> Option<UnderWay> {
        let source = source(from);
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let under_way = all.entry(source).or_default();
        if *under_way == MOST {
            return None;
        }
        *under_way += 1;
        Some(UnderWay { sources: self.clone(), source })
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut all = self.sources.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(under_way) = all.get_mut(&self.source) {
            *under_way -= 1;
            if *under_way == 0 {
                all.remove(&self.source);
            }
        }
    }
}

/// Of an IPv6 address its first 64 bits: a host has all of such a network for itself (RFC 8981). An IPv4 address may come mapped.
fn source(from: IpAddr) -> IpAddr {
    match from.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_an_ipv4_address_or_an_ipv6_network() {
        let cases = [
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
            ("192.0.2.1", "::ffff:192.0.2.1", true),
            ("::ffff:192.0.2.1", "::ffff:192.0.2.2", false),
            ("2001:db8::1", "2001:db8::ffff:0:0:2", true),
            ("2001:db8:0:1::1", "2001:db8:0:2::1", false),
        ];
        for (one, other, same) in cases {
            assert_eq!(source(one.parse().unwrap()) == source(other.parse().unwrap()), same, "{one} {other}");
        }
    }

    #[test]
    fn what_is_over_is_forgotten() {
        let (sources, from) = (Sources::default(), IpAddr::from([192, 0, 2, 1]));
        let mut under_way: Vec<_> = (0..MOST).map(|_| sources.begin(from).unwrap()).collect();
        assert!(sources.begin(from).is_none());
        assert!(sources.begin(IpAddr::from([192, 0, 2, 2])).is_some());
        under_way.pop();
        under_way.push(sources.begin(from).unwrap());
        assert!(sources.begin(from).is_none());
        drop(under_way);
        assert!(sources.0.lock().unwrap().is_empty());
    }
}
