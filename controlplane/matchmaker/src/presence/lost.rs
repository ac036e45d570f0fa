//! Who says that an instance is lost, and from when on everybody believes it.

use std::net::{IpAddr, Ipv6Addr};

use dot11::MacAddr;

use crate::scope::Scope;

/// So many witnesses make it true for everybody.
const WITNESSES: usize = 3;

/// Radios remembered of one instance. For one that is forgotten others do not go first any more; those that count are not.
const REMEMBERED: usize = 32;

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Witness {
    pub(crate) radio: MacAddr,
    /// Whose the radio is.
    pub(crate) owner: Scope,
    /// Where its datagrams come from.
    pub(crate) from: IpAddr,
    /// The owner is who it says, by an account's key, or has the service too.
    pub(crate) trusted: bool,
}

/// What is said of one instance since it spoke.
///
/// Of an owner that is trusted each radio is a witness: most radios may be one carrier's. Everybody else may make as many keys and radios as it
/// likes, so all its radios are one witness together, and so are all of strangers that come from one address (or IPv6 network of 64 bits).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Lost {
    for_all: bool,
    /// With whether it counts, the oldest first.
    said: Vec<(Witness, bool)>,
}

impl Lost {
    /// Others go first for every radio, without witnesses: its control lost it.
    pub(crate) fn for_all() -> Lost {
        Lost { for_all: true, said: Vec::new() }
    }

    /// A radio hears nothing of it.
    pub(crate) fn say(&mut self, witness: Witness) {
        if self.is_for(witness.radio) {
            return;
        }
        let counted = || self.said.iter().filter(|(_, counts)| *counts).map(|(other, _)| other);
        let counts = witness.trusted || !counted().any(|other| other.is_same_stranger(&witness));
        if counted().count() + usize::from(counts) >= WITNESSES {
            *self = Lost::for_all();
            return;
        }
        if self.said.len() == REMEMBERED {
            let oldest = self.said.iter().position(|(_, counts)| !counts);
            self.said.remove(oldest.unwrap_or_default());
        }
        self.said.push((witness, counts));
    }

    /// Whether others go first for this radio.
    pub(crate) fn is_for(&self, radio: MacAddr) -> bool {
        self.for_all || self.said.iter().any(|(witness, _)| witness.radio == radio)
    }
}

impl Witness {
    fn is_same_stranger(&self, other: &Witness) -> bool {
        !self.trusted && (self.owner == other.owner || network(self.from) == network(other.from))
    }
}

/// What one customer of an access provider has for itself.
fn network(from: IpAddr) -> IpAddr {
    match from {
        IpAddr::V4(_) => from,
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::KeyId;
    use crate::scope::AccountRef;

    const OTHER: MacAddr = MacAddr([2, 0, 0, 0, 0, 0xff]);

    /// As radios speak one after the other: an owner (a capital letter: one that is trusted) and an address.
    fn said(who: &str) -> Lost {
        let mut lost = Lost::default();
        for (n, one) in who.split_whitespace().enumerate() {
            let (owner, from) = one.split_once('@').unwrap();
            let name = owner.as_bytes()[0];
            let owner = match name {
                b'K'.. if name.is_ascii_uppercase() => Scope::Account(AccountRef(name.into())),
                _ => Scope::Key(KeyId([name; 16])),
            };
            let radio = MacAddr([2, 0, 0, 0, 0, n as u8]);
            let trusted = name.is_ascii_uppercase();
            let witness = Witness { radio, owner, from: from.parse().unwrap(), trusted };
            lost.say(witness);
            lost.say(witness);
            assert!(lost.is_for(radio), "{who}");
        }
        lost
    }

    #[test]
    fn whom_others_believe() {
        let cases = [
            // Strangers at home: each has a key and an address.
            ("a@192.0.2.1 b@192.0.2.2", false),
            ("a@192.0.2.1 b@192.0.2.2 c@192.0.2.3", true),
            // One of them with many radios, many keys, or many addresses.
            ("a@192.0.2.1 a@192.0.2.1 a@192.0.2.1 a@192.0.2.1", false),
            ("a@192.0.2.1 b@192.0.2.1 c@192.0.2.1 d@192.0.2.1", false),
            ("a@192.0.2.1 a@192.0.2.2 a@192.0.2.3 a@192.0.2.4", false),
            ("a@2001:db8::1 b@2001:db8::2 c@2001:db8::3 d@2001:db8::4", false),
            ("a@2001:db8:0:1::1 b@2001:db8:0:2::1 c@2001:db8:0:3::1", true),
            ("a@192.0.2.1 a@192.0.2.2 b@192.0.2.1 b@192.0.2.2 c@192.0.2.1", false),
            ("a@192.0.2.1 a@192.0.2.2 b@192.0.2.1 b@192.0.2.2 c@192.0.2.3", true),
            // A carrier that owns all radios, behind one address.
            ("M@192.0.2.1 M@192.0.2.1", false),
            ("M@192.0.2.1 M@192.0.2.1 M@192.0.2.1", true),
            // The key that has the service.
            ("A@192.0.2.1 A@192.0.2.1 A@192.0.2.1", true),
            // Both kinds, also at one address.
            ("a@192.0.2.1 b@192.0.2.1 M@192.0.2.1", false),
            ("a@192.0.2.1 M@192.0.2.1 M@192.0.2.1", true),
            ("M@192.0.2.1 N@192.0.2.2 a@192.0.2.3", true),
        ];
        for (who, all) in cases {
            assert_eq!(said(who).is_for(OTHER), all, "{who}");
        }
        assert!(Lost::for_all().is_for(OTHER));
    }

    #[test]
    fn a_stranger_with_many_radios_takes_little_room_and_puts_out_no_witness() {
        let many = "s@192.0.2.9 ".repeat(200);
        let lost = said(&["a@192.0.2.1 ", &many].concat());
        assert_eq!((lost.said.len(), lost.is_for(OTHER)), (REMEMBERED, false));
        assert!(said(&["a@192.0.2.1 ", &many, "b@192.0.2.2"].concat()).is_for(OTHER));
    }
}
