//! A small world: an operator, a home without account, radios, gateways.
#![allow(dead_code, reason = "not every test uses all of it")]

use std::net::SocketAddr;
use std::time::Duration;

use dot11::MacAddr;
use dot11::element::Ssid;
use matchmaker::objects::{
    Account, AccountId, AccountKey, Grant, Grantee, KeyId, NewBinding, Origin, Owner, Security, Service,
};
use matchmaker::presence::{Load, Peer, RadioRegistration};
use matchmaker::{
    BindingId, Change, Connect, Matchmaker, Near, Offer, Offers, Pattern, Refusal, Seed, Settings, Uuid,
};
use visibility::{Band, Policy};

pub const HOME: Uuid = Uuid::from_u128(1);
pub const WORK: Uuid = Uuid::from_u128(2);
pub const CARRIER: Uuid = Uuid::from_u128(3);
pub const PHONE: MacAddr = MacAddr([0, 0x4a, 0x71, 0, 0, 1]);
pub const LAPTOP: MacAddr = MacAddr([0, 0x4a, 0x71, 0, 0, 2]);
/// An address that a device made for itself.
pub const RANDOM: MacAddr = MacAddr([0x06, 1, 2, 3, 4, 5]);
pub const KITCHEN: MacAddr = MacAddr([0, 0x25, 0x86, 0, 0, 1]);
pub const OFFICE: MacAddr = MacAddr([0, 0x25, 0x86, 0, 0, 2]);
pub const STREET: MacAddr = MacAddr([0, 0x25, 0x86, 0, 0, 3]);

pub fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub fn account(text: &str) -> AccountId {
    text.parse().unwrap()
}

pub fn ssid(text: &str) -> Ssid {
    Ssid::try_from(text).unwrap()
}

pub fn mac(first: u8, n: u32) -> MacAddr {
    let [a, b, c, d] = n.to_be_bytes();
    MacAddr([first, 0, a, b, c, d])
}

pub fn near(client: MacAddr) -> Near<'static> {
    Near { client, rssi_dbm: Some(-60), ssids: &[], connected: false }
}

pub struct World {
    pub m: Matchmaker,
    next: BindingId,
}

impl World {
    pub fn new() -> World {
        World::with(Settings::default())
    }

    pub fn with(settings: Settings) -> World {
        World { m: Matchmaker::new(settings, Seed::new([9; 16])), next: 1 }
    }

    pub fn account(&mut self, text: &str) {
        let key = Some(AccountKey([7; 32]));
        self.m.apply(&Change::PutAccount(Account { id: account(text), key }));
    }

    /// One whose peers prove nothing.
    pub fn account_without_key(&mut self, text: &str) {
        self.m.apply(&Change::PutAccount(Account { id: account(text), key: None }));
    }

    /// A gateway of this service says that the client failed. Gives for how long it is refused.
    pub fn failed(
        &mut self,
        of: Option<&str>,
        service: Uuid,
        client: MacAddr,
        failures: u32,
        now: Duration,
    ) -> Result<Option<Duration>, Refusal> {
        let peer = self.peer(of, 100);
        let refused = self.m.report_failures((peer, false), service, client, failures, now)?;
        Ok(refused.map(|(_, refused)| refused))
    }

    /// A peer; each key is that of one device.
    pub fn peer(&self, of: Option<&str>, key: u8) -> Peer {
        self.m.peer(of.map(account).as_ref(), KeyId([key; 16])).unwrap()
    }

    pub fn radio(&mut self, of: Option<&str>, mac: MacAddr, now: Duration) -> Result<(), Refusal> {
        self.radio_near(of, mac, Band::Ghz2_4, &[], now)
    }

    pub fn radio_near(
        &mut self,
        of: Option<&str>,
        mac: MacAddr,
        band: Band,
        neighbours: &[MacAddr],
        now: Duration,
    ) -> Result<(), Refusal> {
        let peer = self.peer(of, mac.0[5]);
        self.m.register_radio(peer, &registration(mac, band, neighbours), now)
    }

    /// A service with one instance, named by the service's first octet.
    pub fn service(&mut self, of: Option<&str>, uuid: Uuid, name: &str, policy: Policy, now: Duration) {
        let owner = match of {
            Some(of) => Owner::Account(account(of)),
            None => Owner::Key(KeyId([100; 16])),
        };
        let security = if of.is_some() { Security::Enterprise } else { Security::Personal };
        self.m.apply(&Change::PutService(Service {
            uuid,
            owner,
            ssid: ssid(name),
            security,
            capture_url: String::new(),
            template: Vec::new(),
            policy,
        }));
        self.instance(of, uuid, 1, now).unwrap();
    }

    pub fn instance(&mut self, of: Option<&str>, uuid: Uuid, id: u8, now: Duration) -> Result<(), Refusal> {
        let peer = self.peer(of, 100);
        let endpoint: SocketAddr = format!("192.0.2.{id}:5247").parse().unwrap();
        self.m.register_instance(peer, uuid, [id; 16], &[endpoint], 0, now)
    }

    pub fn load(&mut self, of: Option<&str>, uuid: Uuid, id: u8, load: Load, now: Duration) {
        let peer = self.peer(of, 100);
        self.m.load(peer, uuid, [id; 16], load, now).unwrap();
    }

    /// `*` is any.
    pub fn bind(
        &mut self,
        of: Option<&str>,
        service: Uuid,
        client: Option<MacAddr>,
        radio: Option<MacAddr>,
        policy: Policy,
    ) -> BindingId {
        let pattern = |address: Option<MacAddr>| address.map_or(Pattern::Any, Pattern::Exactly);
        let origin = Origin::Administrator;
        let new = NewBinding { service, client: pattern(client), radio: pattern(radio), policy, origin };
        let id = self.next;
        self.next += 1;
        self.m.apply(&Change::PutBinding { account: of.map(account), binding: new.with_id(id) });
        id
    }

    pub fn grant(&mut self, radios_of: &str, services_of: Option<&str>) -> Grant {
        let services_of = services_of.map_or(Grantee::Anybody, |of| Grantee::Account(account(of)));
        let grant = Grant { radios_of: account(radios_of), services_of };
        self.m.apply(&Change::PutGrant(grant.clone()));
        grant
    }

    pub fn look_up(&mut self, radio: MacAddr, devices: &[Near<'_>], now: Duration) -> Vec<Offer> {
        let mut offers = Offers::default();
        self.m.look_up(radio, devices, &[], now, &mut offers).unwrap();
        offers.offers
    }

    /// Service and client of each offer.
    pub fn seen(
        &mut self,
        radio: MacAddr,
        devices: &[Near<'_>],
        now: Duration,
    ) -> Vec<(Uuid, Option<MacAddr>)> {
        self.look_up(radio, devices, now).into_iter().map(|offer| (offer.service, offer.client)).collect()
    }
}

pub fn registration(mac: MacAddr, band: Band, neighbours: &[MacAddr]) -> RadioRegistration {
    RadioRegistration {
        mac,
        endpoint: ([198, 51, 100, mac.0[5]], 5247).into(),
        band,
        channel: 6,
        bssids: 4,
        up_kbps: 10_000,
        down_kbps: 50_000,
        load_permille: 0,
        capabilities: 0,
        location: None,
        neighbours: neighbours.to_vec(),
    }
}

pub fn connect(client: MacAddr, service: Uuid, radio: MacAddr) -> Connect {
    // A BSS for each radio and service.
    let bssid = MacAddr([0x02, 0xbb, radio.0[4], radio.0[5], 0, service.as_u128() as u8]);
    let session_id = [radio.0[5]; 16];
    Connect { radio, run: 1, client, service, bssid, session_id, rssi_dbm: Some(-60), tunnel: None }
}

/// Two accounts with a radio and a service each, and a pool with both.
pub fn two_accounts() -> World {
    let mut world = World::new();
    world.account("a@example.org");
    world.account("b@example.org");
    world.radio(None, KITCHEN, at(0)).unwrap();
    world.radio(Some("a@example.org"), OFFICE, at(0)).unwrap();
    world.radio(Some("b@example.org"), STREET, at(0)).unwrap();
    world.service(None, HOME, "home", Policy::default(), at(0));
    world.service(Some("a@example.org"), WORK, "work", Policy::default(), at(0));
    world.service(Some("b@example.org"), CARRIER, "carrier", Policy::default(), at(0));
    world
}
