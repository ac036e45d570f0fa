//! What is known of devices: those that there is a record of, which says how people call them, and those that are refused everywhere. A record decides
//! nothing: whoever has no record is offered networks like everybody else.

use std::collections::BTreeMap;
use std::time::Duration;

use dot11::MacAddr;

use crate::Matchmaker;
use crate::objects::{Change, Client};

/// A device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientView<'a> {
    /// Its address.
    pub mac: MacAddr,
    /// How people call it, if there is a record of it.
    pub name: Option<&'a str>,
    /// It is refused everywhere until then, if it is.
    pub refused: Option<Duration>,
    /// How often it was refused since it was last forgiven.
    pub strikes: u32,
}

/// The records.
#[derive(Debug, Default)]
pub(crate) struct Clients(BTreeMap<MacAddr, Box<str>>);

impl Clients {
    pub(crate) fn apply(&mut self, change: &Change) {
        match change {
            Change::PutClient(Client { mac, name }) => {
                self.0.insert(*mac, name.as_str().into());
            }
            Change::DeleteClient(mac) => {
                self.0.remove(mac);
            }
            _ => {}
        }
    }
}

impl Matchmaker {
    /// A device that there is a record of, or that is refused everywhere.
    pub fn client(&self, mac: MacAddr, now: Duration) -> Option<ClientView<'_>> {
        let name = self.clients.0.get(&mac).map(|name| &**name);
        let struck = self.failures.get(mac).filter(|struck| now < struck.until);
        (name.is_some() || struck.is_some()).then(|| ClientView {
            mac,
            name,
            refused: struck.map(|struck| struck.until),
            strikes: struck.map_or(0, |struck| struck.strikes),
        })
    }

    /// Up to so many devices that there is a record of, by address, behind one; and all that are refused and behind it.
    pub fn clients(
        &self,
        after: Option<MacAddr>,
        most: usize,
        now: Duration,
    ) -> impl Iterator<Item = ClientView<'_>> {
        let recorded = self.recorded_clients(after).take(most);
        let refused = self.failures.iter().filter(move |(mac, struck)| {
            now < struck.until && after.is_none_or(|after| *mac > after) && !self.clients.0.contains_key(mac)
        });
        recorded.chain(refused.map(|(mac, _)| mac)).filter_map(move |mac| self.client(mac, now))
    }

    /// The addresses of those that there is a record of, ordered, behind one.
    pub fn recorded_clients(&self, after: Option<MacAddr>) -> impl Iterator<Item = MacAddr> {
        use std::ops::Bound::{Excluded, Unbounded};
        self.clients.0.range((after.map_or(Unbounded, Excluded), Unbounded)).map(|(mac, _)| *mac)
    }
}
