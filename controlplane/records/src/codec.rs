//! Objects as octets: what follows their key in a store. The first octet is the format.

use std::time::Duration;

use dot11::{MacAddr, element::Ssid};
use matchmaker::{
    Pattern, Uuid,
    objects::{
        Account, AccountKey, Binding, Cause, Change, Client, Contract, ContractKind, KeyId, Origin, Owner,
        Radio, Security, Service, Subscriber,
    },
};
use visibility::Policy;

use crate::key::{Key, Kind, Name, Says, unscope};

const FORMAT: u8 = 1;

/// What a change puts, without its key; `None`: it deletes.
pub(crate) fn encode(change: &Change) -> Option<Vec<u8>> {
    let mut out = Writer(vec![FORMAT]);
    match change {
        Change::PutAccount(account) => out.option(account.key.as_ref(), |out, key| out.bytes(&key.0)),
        Change::PutGrant(_) => {}
        Change::PutRadio(radio) => out.owner(&radio.owner),
        Change::PutService(service) => {
            out.owner(&service.owner);
            out.long(service.ssid.as_bytes());
            out.byte(match service.security {
                Security::Open => 0,
                Security::Personal => 1,
                Security::Enterprise => 2,
            });
            out.long(service.capture_url.as_bytes());
            out.long(&service.template);
            out.policy(&service.policy);
        }
        Change::PutClient(client) => out.long(client.name.as_bytes()),
        Change::PutDrained(_) => {}
        Change::PutBinding { binding, .. } => {
            out.bytes(binding.service.as_bytes());
            out.pattern(binding.client);
            out.pattern(binding.radio);
            out.byte(match binding.origin {
                Origin::Administrator => 0,
                Origin::AutoBind(Cause::Local) => 1,
                Origin::AutoBind(Cause::Wired) => 2,
                Origin::AutoBind(Cause::Remote) => 3,
                Origin::Configuration => 4,
            });
            out.policy(&binding.policy);
        }
        Change::PutContract { contract, .. } => {
            out.bytes(contract.service.as_bytes());
            out.subscriber(&contract.subscriber);
            out.byte(match contract.kind {
                ContractKind::Data => 0,
            });
            out.option(contract.max_bandwidth_up, |out, rate| out.bytes(&rate.to_be_bytes()));
            out.option(contract.max_bandwidth_down, |out, rate| out.bytes(&rate.to_be_bytes()));
            out.byte(contract.capture.into());
        }
        Change::DeleteAccount(_)
        | Change::DeleteGrant(_)
        | Change::DeleteRadio(_)
        | Change::DeleteService(_)
        | Change::DeleteClient(_)
        | Change::DeleteDrained(_)
        | Change::DeleteBinding { .. }
        | Change::DeleteContract { .. } => return None,
    }
    Some(out.0)
}

/// The change that puts what [`encode`] wrote, or that deletes it; `None` if it cannot be read.
pub(crate) fn decode(key: &Key, body: Option<&[u8]>) -> Option<Change> {
    let name = key.name()?;
    let Some(body) = body else { return Some(name.delete()) };
    let mut from = Reader(body);
    if from.byte()? != FORMAT {
        return None;
    }
    let change = match name {
        Name::Account(id) => {
            Change::PutAccount(Account { id, key: from.option(|from| from.array().map(AccountKey))? })
        }
        Name::Grant(grant) => Change::PutGrant(grant),
        Name::Radio(mac) => Change::PutRadio(Radio { mac, owner: from.owner()? }),
        Name::Service(uuid) => Change::PutService(Service {
            uuid,
            owner: from.owner()?,
            ssid: Ssid::parse(from.long()?).ok()?,
            security: match from.byte()? {
                0 => Security::Open,
                1 => Security::Personal,
                2 => Security::Enterprise,
                _ => return None,
            },
            capture_url: from.text()?,
            template: from.long()?.to_vec(),
            policy: from.policy()?,
        }),
        Name::Client(mac) => Change::PutClient(Client { mac, name: from.text()? }),
        Name::Drained(gateway) => Change::PutDrained(gateway),
        Name::Binding(account, id) => Change::PutBinding {
            account,
            binding: Binding {
                id,
                service: Uuid::from_bytes(from.array()?),
                client: from.pattern()?,
                radio: from.pattern()?,
                origin: match from.byte()? {
                    0 => Origin::Administrator,
                    1 => Origin::AutoBind(Cause::Local),
                    2 => Origin::AutoBind(Cause::Wired),
                    3 => Origin::AutoBind(Cause::Remote),
                    4 => Origin::Configuration,
                    _ => return None,
                },
                policy: from.policy()?,
            },
        },
        Name::Contract(account, id) => Change::PutContract {
            account,
            contract: Contract {
                id,
                service: Uuid::from_bytes(from.array()?),
                subscriber: from.subscriber()?,
                kind: match from.byte()? {
                    0 => ContractKind::Data,
                    _ => return None,
                },
                max_bandwidth_up: from.option(|from| from.array().map(u64::from_be_bytes))?,
                max_bandwidth_down: from.option(|from| from.array().map(u64::from_be_bytes))?,
                capture: from.flag()?,
            },
        },
    };
    from.0.is_empty().then_some(change)
}

/// What no other object of the account may say, for the kinds of which that holds.
pub(crate) fn says(key: &Key, change: &Change) -> Option<Says> {
    let mut out = Writer(Vec::new());
    match change {
        Change::PutBinding { binding: Binding { service, client, radio, .. }, .. } => {
            out.bytes(service.as_bytes());
            out.pattern(*client);
            out.pattern(*radio);
        }
        Change::PutContract { contract: Contract { service, subscriber, .. }, .. } => {
            out.bytes(service.as_bytes());
            out.subscriber(subscriber);
        }
        _ => return None,
    }
    Some(Says { kind: key.kind, scope: key.scope.clone(), what: out.0 })
}

impl Key {
    /// The key as octets that sort by kind, account, identifier.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        scoped(self.kind, &self.scope, &self.id)
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Key> {
        let mut from = Reader(bytes);
        let kind = Kind::of(from.byte()?)?;
        let length = usize::from(from.byte()?);
        let scope = String::from_utf8(from.take(length)?.to_vec()).ok()?;
        unscope(&scope)?;
        Some(Key { kind, scope, id: from.0.to_vec() })
    }
}

/// Octets that sort by kind, account, and what follows. Addresses of accounts have at most 254 octets.
pub(crate) fn scoped(kind: Kind, scope: &str, rest: &[u8]) -> Vec<u8> {
    let mut out = Writer(vec![kind as u8]);
    out.byte(scope.len() as u8);
    out.bytes(scope.as_bytes());
    out.bytes(rest);
    out.0
}

pub(crate) struct Writer(pub(crate) Vec<u8>);

impl Writer {
    pub(crate) fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// Octets with their length in front.
    pub(crate) fn long(&mut self, bytes: &[u8]) {
        self.bytes(&(bytes.len() as u32).to_be_bytes());
        self.bytes(bytes);
    }

    pub(crate) fn option<T>(&mut self, value: Option<T>, put: impl FnOnce(&mut Self, T)) {
        self.byte(value.is_some().into());
        if let Some(value) = value {
            put(self, value);
        }
    }

    fn owner(&mut self, owner: &Owner) {
        match owner {
            Owner::Key(key) => {
                self.byte(0);
                self.bytes(&key.0);
            }
            Owner::Account(account) => {
                self.byte(1);
                self.long(account.as_str().as_bytes());
            }
        }
    }

    fn subscriber(&mut self, subscriber: &Subscriber) {
        match subscriber {
            Subscriber::Client(mac) => {
                self.byte(0);
                self.bytes(&mac.0);
            }
            Subscriber::Identity(identity) => {
                self.byte(1);
                self.long(identity.as_bytes());
            }
        }
    }

    /// The wildcard is the broadcast address, which is no device's.
    fn pattern(&mut self, pattern: Pattern) {
        self.bytes(match &pattern {
            Pattern::Any => &MacAddr::BROADCAST.0,
            Pattern::Exactly(mac) => &mac.0,
        });
    }

    /// A mask of what is there, and that.
    fn policy(&mut self, policy: &Policy) {
        let Policy {
            min_rssi_dbm,
            min_up_kbps,
            min_down_kbps,
            delay,
            max_mobility,
            steer_delay,
            dwell,
            kick_rssi_dbm,
            suppress_rssi_dbm,
            max_clients,
            hidden,
            yields_to_home,
        } = *policy;
        let mut mask = 0u16;
        let mut fields = Writer(Vec::new());
        let mut put = |bit: u16, bytes: Option<&[u8]>| {
            if let Some(bytes) = bytes {
                mask |= 1 << bit;
                fields.bytes(bytes);
            }
        };
        let signal = |value: Option<i8>| value.map(i8::to_be_bytes);
        let number = |value: Option<u32>| value.map(u32::to_be_bytes);
        // Milliseconds, as they are on the wire; u32::MAX is seven weeks.
        let time = |value: Option<Duration>| {
            value.map(|time| u32::try_from(time.as_millis()).unwrap_or(u32::MAX).to_be_bytes())
        };
        let flag = |value: Option<bool>| value.map(|flag| [u8::from(flag)]);
        put(0, signal(min_rssi_dbm).as_ref().map(|b| &b[..]));
        put(1, number(min_up_kbps).as_ref().map(|b| &b[..]));
        put(2, number(min_down_kbps).as_ref().map(|b| &b[..]));
        put(3, time(delay).as_ref().map(|b| &b[..]));
        put(4, number(max_mobility).as_ref().map(|b| &b[..]));
        put(5, time(steer_delay).as_ref().map(|b| &b[..]));
        put(6, time(dwell).as_ref().map(|b| &b[..]));
        put(7, signal(kick_rssi_dbm).as_ref().map(|b| &b[..]));
        put(8, signal(suppress_rssi_dbm).as_ref().map(|b| &b[..]));
        put(9, number(max_clients).as_ref().map(|b| &b[..]));
        put(10, flag(hidden).as_ref().map(|b| &b[..]));
        put(11, flag(yields_to_home).as_ref().map(|b| &b[..]));
        self.bytes(&mask.to_be_bytes());
        self.bytes(&fields.0);
    }
}

pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(crate) fn byte(&mut self) -> Option<u8> {
        Some(self.array::<1>()?[0])
    }

    pub(crate) fn flag(&mut self) -> Option<bool> {
        match self.byte()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    pub(crate) fn long(&mut self) -> Option<&'a [u8]> {
        let length = u32::from_be_bytes(self.array()?);
        self.take(length as usize)
    }

    pub(crate) fn text(&mut self) -> Option<String> {
        String::from_utf8(self.long()?.to_vec()).ok()
    }

    /// The outer `None`: it cannot be read.
    pub(crate) fn option<T>(&mut self, get: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        if self.flag()? { get(self).map(Some) } else { Some(None) }
    }

    fn owner(&mut self) -> Option<Owner> {
        match self.byte()? {
            0 => Some(Owner::Key(KeyId(self.array()?))),
            1 => Some(Owner::Account(self.text()?.parse().ok()?)),
            _ => None,
        }
    }

    fn subscriber(&mut self) -> Option<Subscriber> {
        match self.byte()? {
            0 => Some(Subscriber::Client(MacAddr(self.array()?))),
            1 => Some(Subscriber::Identity(self.text()?)),
            _ => None,
        }
    }

    fn pattern(&mut self) -> Option<Pattern> {
        let mac = MacAddr(self.array()?);
        Some(if mac == MacAddr::BROADCAST { Pattern::Any } else { Pattern::Exactly(mac) })
    }

    fn policy(&mut self) -> Option<Policy> {
        let mask = u16::from_be_bytes(self.array()?);
        if mask >> 12 != 0 {
            return None;
        }
        let has = |bit: u16| mask & (1 << bit) != 0;
        let signal = |from: &mut Self, bit| {
            if has(bit) { from.array().map(|b| Some(i8::from_be_bytes(b))) } else { Some(None) }
        };
        let number = |from: &mut Self, bit| {
            if has(bit) { from.array().map(|b| Some(u32::from_be_bytes(b))) } else { Some(None) }
        };
        let time = |value: Option<u32>| value.map(|ms| Duration::from_millis(ms.into()));
        let flag = |from: &mut Self, bit| if has(bit) { from.flag().map(Some) } else { Some(None) };
        // In the order of the bits.
        Some(Policy {
            min_rssi_dbm: signal(self, 0)?,
            min_up_kbps: number(self, 1)?,
            min_down_kbps: number(self, 2)?,
            delay: time(number(self, 3)?),
            max_mobility: number(self, 4)?,
            steer_delay: time(number(self, 5)?),
            dwell: time(number(self, 6)?),
            kick_rssi_dbm: signal(self, 7)?,
            suppress_rssi_dbm: signal(self, 8)?,
            max_clients: number(self, 9)?,
            hidden: flag(self, 10)?,
            yields_to_home: flag(self, 11)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// What a damaged store holds is unreadable, or says something; what it says reads back.
        #[test]
        fn any_octets_can_be_read(key in prop::collection::vec(any::<u8>(), 0..40), mut body in prop::collection::vec(any::<u8>(), 0..120)) {
            let mut key = key;
            if let Some(kind) = key.first_mut() {
                *kind = *kind % 7 + 1;
            }
            if let Some(format) = body.first_mut() {
                *format = FORMAT;
            }
            if let Some(key) = Key::from_bytes(&key)
                && let Some(change) = decode(&key, Some(&body))
            {
                let key = Key::of(&Name::of(&change));
                let again = decode(&Key::from_bytes(&key.to_bytes()).unwrap(), encode(&change).as_deref());
                prop_assert_eq!(again, Some(change));
            }
        }
    }
}
