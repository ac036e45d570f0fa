//! Lets a town live under a matchmaker.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::SocketAddr;
use std::time::Duration;

use dot11::MacAddr;
use dot11::element::Ssid;
use matchmaker::objects::{Binding, KeyId, Origin, Owner, Security, Service};
use matchmaker::presence::RadioRegistration;
use matchmaker::{Change, Connect, Matchmaker, Near, Offers, Pattern, Predictions, Seed, Settings, Uuid};
use visibility::{Band, Policy};

use super::radio::{BSSIDS, Radio};
use super::town::{Belongs, Draw, OPERATORS, Plan, Scanning, Stay, Town};

/// What the matchmaker goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scheme {
    /// Addresses, names in probe requests, places, prediction.
    All,
    /// Addresses and places.
    AddressOnly,
}

/// Arrivals, and how many of them saw their network in time.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Tally {
    pub arrivals: u64,
    pub seen: u64,
}

impl Tally {
    pub fn share(&self) -> f64 {
        self.seen as f64 / self.arrivals.max(1) as f64
    }

    fn count(&mut self, seen: bool) {
        self.arrivals += 1;
        self.seen += u64::from(seen);
    }

    fn and(self, other: Tally) -> Tally {
        Tally { arrivals: self.arrivals + other.arrivals, seen: self.seen + other.seen }
    }
}

#[derive(Debug, Default)]
pub(super) struct Tallies {
    at_home: Tally,
    operator: Tally,
    own_address: Tally,
    names: Tally,
    silent: Tally,
}

impl Tallies {
    pub fn rows(&self) -> Vec<(&'static str, Tally)> {
        vec![
            ("at home", self.at_home),
            ("away, own address", self.own_address),
            ("away, throw-away address, with names", self.names),
            ("away, throw-away address, silent", self.silent),
            ("subscribers of an operator", self.operator),
            ("all", self.all()),
        ]
    }

    /// Everybody.
    pub fn all(&self) -> Tally {
        [self.operator, self.own_address, self.names, self.silent].into_iter().fold(self.at_home, Tally::and)
    }

    /// Away from home with a throw-away address.
    pub fn hidden(&self) -> Tally {
        self.names.and(self.silent)
    }

    fn of(&mut self, belongs: Belongs, scanning: Scanning, at_home: bool) -> &mut Tally {
        match (belongs, scanning, at_home) {
            (Belongs::Operator(_), ..) => &mut self.operator,
            (_, _, true) => &mut self.at_home,
            (_, Scanning::OwnAddress, _) => &mut self.own_address,
            (_, Scanning::Names, _) => &mut self.names,
            (_, Scanning::Silent, _) => &mut self.silent,
        }
    }
}

/// In time means within this.
const IN_TIME: Duration = Duration::from_secs(3);
/// Who is not connected looks again this often, and so does a radio for who is.
const AGAIN: Duration = Duration::from_secs(30);
const CONNECTED: Duration = Duration::from_secs(60);
/// And so often when it has been there for a while without finding any.
const LATER: Duration = Duration::from_secs(600);
/// Who does not stay so long has not arrived.
const STAYS: Duration = Duration::from_secs(60);

/// What happens to somebody at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Leaves,
    Arrives,
    InTime,
    Looks,
    Stays,
}

struct World<'a> {
    town: &'a Town,
    scheme: Scheme,
    matchmaker: Matchmaker,
    radios: Vec<Radio>,
    names: Vec<Ssid>,
    /// Where a person is connected.
    connected: Vec<Option<usize>>,
    draw: Draw,
    offers: Offers,
    queue: BinaryHeap<Reverse<(Duration, What, Stay)>>,
    tallies: Tallies,
    counting: bool,
}

/// Lets the town live for as long as planned.
pub(super) fn simulate(plan: &Plan, scheme: Scheme) -> (Tallies, Predictions) {
    let mut draw = Draw::new(plan.side as u64);
    let town = Town::new(plan.side, &mut draw);
    let mut world = World::new(&town, scheme);
    let (mut before, mut tidy) = (Predictions::default(), Duration::ZERO);
    for day in 0..plan.warm_up + plan.days {
        if day == plan.warm_up {
            (world.counting, before) = (true, world.matchmaker.predictions());
        }
        for stay in town.day(day, &mut draw) {
            world.queue.push(Reverse((stay.from, What::Arrives, stay)));
        }
        while let Some(Reverse((now, what, stay))) = world.queue.pop() {
            world.happens(now, what, stay);
            if now >= tidy {
                world.matchmaker.expire(now);
                tidy = now + AGAIN;
            }
        }
    }
    let Predictions { offered, hits, misses } = world.matchmaker.predictions();
    let since = Predictions {
        offered: offered - before.offered,
        hits: hits - before.hits,
        misses: misses - before.misses,
    };
    (world.tallies, since)
}

fn household(home: usize) -> Uuid {
    Uuid::from_u128(0x1000_0000 + home as u128)
}

fn operator(number: usize) -> Uuid {
    Uuid::from_u128(1 + number as u128)
}

fn mac(first: u8, number: usize) -> MacAddr {
    let [a, b, c, d] = (number as u32).to_be_bytes();
    MacAddr([first, 0, a, b, c, d])
}

/// A radio's permanent address.
fn radio(place: usize) -> MacAddr {
    mac(0x10, place)
}

/// The address that a person's device has in its network: of its own making, and always the same.
fn address(person: usize) -> MacAddr {
    mac(0x0a, person)
}

impl World<'_> {
    fn new(town: &Town, scheme: Scheme) -> World<'_> {
        let forever = Duration::from_secs(1 << 30);
        let settings =
            Settings { radio_lifetime: forever, instance_lifetime: forever, ..Settings::default() };
        let places = town.side * town.side;
        // Some networks have the name that the router came with.
        let name = |place: usize| match place % 10 {
            0..3 => format!("ROUTER-{}", place % 30),
            _ => format!("household {place}"),
        };
        let ssid = |name: String| Ssid::parse(name.as_bytes()).unwrap_or(Ssid::WILDCARD);
        let mut world = World {
            town,
            scheme,
            matchmaker: Matchmaker::new(settings, Seed::new([7; 16])),
            radios: (0..places).map(|_| Radio::default()).collect(),
            names: (0..places).map(|place| ssid(name(place))).collect(),
            connected: vec![None; town.people.len()],
            draw: Draw::new(1),
            offers: Offers::default(),
            queue: BinaryHeap::new(),
            tallies: Tallies::default(),
            counting: false,
        };
        let mut id = 0;
        let mut bind = |m: &mut Matchmaker, service, client, radio, origin| {
            id += 1;
            let binding = Binding { id, service, client, radio, policy: Policy::default(), origin };
            m.apply(&Change::PutBinding { account: None, binding });
        };
        for place in 0..places {
            world.register(place);
            let service = household(place);
            world.serve(service, world.names[place]);
            // Anybody at home, and at other places those who were at home once.
            let home = Pattern::Exactly(radio(place));
            bind(&mut world.matchmaker, service, Pattern::Any, home, Origin::Administrator);
        }
        for number in 0..OPERATORS {
            world.serve(operator(number), ssid(format!("operator {number}")));
            bind(&mut world.matchmaker, operator(number), Pattern::Any, Pattern::Any, Origin::Administrator);
        }
        for (person, is) in town.people.iter().enumerate() {
            if let Belongs::Household(home) = is.belongs {
                let client = Pattern::Exactly(address(person));
                bind(&mut world.matchmaker, household(home), client, Pattern::Any, Origin::Administrator);
            }
        }
        world
    }

    fn register(&mut self, place: usize) {
        let registration = RadioRegistration {
            mac: radio(place),
            endpoint: SocketAddr::from(([192, 0, 2, 1], 5247)),
            band: Band::Ghz5,
            channel: 36,
            bssids: BSSIDS as u8,
            up_kbps: 10_000,
            down_kbps: 50_000,
            load_permille: 0,
            capabilities: 1,
            location: None,
            neighbours: self.town.neighbours(place).into_iter().map(radio).collect(),
        };
        let peer = self.matchmaker.peer(None, KeyId([1; 16])).expect("no account is needed");
        self.matchmaker.register_radio(peer, &registration, Duration::ZERO).expect("a radio may register");
    }

    fn serve(&mut self, uuid: Uuid, ssid: Ssid) {
        self.matchmaker.apply(&Change::PutService(Service {
            uuid,
            owner: Owner::Key(KeyId([1; 16])),
            ssid,
            security: Security::Personal,
            capture_url: String::new(),
            template: Vec::new(),
            policy: Policy::default(),
        }));
        let peer = self.matchmaker.peer(None, KeyId([1; 16])).expect("no account is needed");
        let endpoint = [SocketAddr::from(([192, 0, 2, 2], 5247))];
        let instance = [1; 16];
        let served = self.matchmaker.register_instance(peer, uuid, instance, &endpoint, 0, Duration::ZERO);
        served.expect("an instance may register");
    }

    fn happens(&mut self, now: Duration, what: What, stay: Stay) {
        let person = &self.town.people[stay.person];
        let service = match person.belongs {
            Belongs::Household(home) => household(home),
            Belongs::Operator(number) => operator(number),
        };
        match what {
            What::Leaves => {
                if self.connected[stay.person].take().is_some() {
                    self.radios[stay.place].leave(service, now);
                }
                return;
            }
            What::Arrives => {
                self.queue.push(Reverse((stay.to, What::Leaves, stay)));
                self.look_up(stay, false, now);
                if now + IN_TIME < stay.to {
                    self.queue.push(Reverse((now + IN_TIME, What::InTime, stay)));
                }
                return;
            }
            What::InTime => {
                let seen = self.radios[stay.place].shows(service);
                let at_home = stay.place == person.home;
                if self.counting && stay.to - stay.from >= STAYS {
                    self.tallies.of(person.belongs, person.scanning, at_home).count(seen);
                }
            }
            What::Looks => self.look_up(stay, false, now),
            What::Stays => self.look_up(stay, true, now),
        }
        if self.connected[stay.person].is_none() && self.radios[stay.place].shows(service) {
            self.connect(stay, service, now);
        }
        let (what, after) = match self.connected[stay.person] {
            Some(_) => (What::Stays, CONNECTED),
            None if now - stay.from > 4 * AGAIN => (What::Looks, LATER),
            None => (What::Looks, AGAIN),
        };
        if now + after < stay.to {
            self.queue.push(Reverse((now + after, what, stay)));
        }
    }

    /// The device is heard.
    fn look_up(&mut self, stay: Stay, connected: bool, now: Duration) {
        let person = &self.town.people[stay.person];
        let throw_away = mac(if self.scheme == Scheme::All { 0x02 } else { 0x00 }, self.draw.next() as usize);
        let own = connected || person.scanning == Scanning::OwnAddress;
        let client = if own { address(stay.person) } else { throw_away };
        let name = match person.belongs {
            Belongs::Household(home) => Some(self.names[home]),
            Belongs::Operator(_) => None,
        };
        let says = self.scheme == Scheme::All && person.scanning == Scanning::Names;
        let ssids: Vec<Ssid> = name.filter(|_| says).into_iter().collect();
        let device = Near { client, rssi_dbm: Some(-60), ssids: &ssids, connected };
        let shown = self.radios[stay.place].shown();
        let mut offers = std::mem::take(&mut self.offers);
        self.matchmaker
            .look_up(radio(stay.place), &[device], &shown, now, &mut offers)
            .expect("the radio is registered");
        self.radios[stay.place].offered(&offers.offers, offers.ttl, now);
        self.offers = offers;
    }

    fn connect(&mut self, stay: Stay, service: Uuid, now: Duration) {
        let Some(slot) = self.radios[stay.place].connect(service) else { return };
        let asked = Connect {
            radio: radio(stay.place),
            run: 1,
            client: address(stay.person),
            service,
            bssid: mac(0x06, stay.place * BSSIDS + slot),
            session_id: [1; 16],
            rssi_dbm: Some(-60),
            tunnel: None,
        };
        self.matchmaker.connect(&asked, now, [1; 16]).expect("a binding lets it");
        self.connected[stay.person] = Some(stay.place);
    }
}
