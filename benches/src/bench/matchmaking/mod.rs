//! Look-ups in process: a million radios, and ten thousand or ten million bindings; beside them what a Redis server and a name
//! server take to answer.
//!
//! ```json
//! {
//!   "radios": 1000000, "octets_per_radio": 180.0,
//!   "look_ups": [{ "bindings": 10000, "devices": 1, "at_a_time": 16, "nanoseconds": 500.0, "per_second": 2000000.0,
//!                  "offers": 1.5 }, …],           // offers: on the average
//!   "growth": [1.2, 1.2, 1.2],                    // most bindings / fewest, in the order of `look_ups`
//!   "octets_per_binding": 60.0,                   // of the set that has most
//!   "sealed": { "nanoseconds": 2000.0, "offers": 1.5, "udp": { "per_second": 200000.0, "wall": 150000.0 },
//!               "echo": { … }, "ratio": 0.7 },    // with most bindings; per second of the server's processor time
//!   "peers": [{ "peer": "redis", "per_second": 500000.0, "wall": 300000.0, "objects": 1000000 }, …]
//!                                                 // per second of its processor time; by the clock
//! }
//! ```

#[cfg(all(feature = "daemons", feature = "peers"))]
mod peers;
#[cfg(feature = "daemons")]
mod sealed;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dot11::MacAddr;
use dot11::element::Ssid;
use matchmaker::gate::{Rate, Rates};
use matchmaker::objects::{Account, AccountId, KeyId, NewBinding, Origin, Owner, Security, Service};
use matchmaker::presence::RadioRegistration;
use matchmaker::{Change, Matchmaker, Near, Offers, Pattern, Seed, Settings, Uuid};
use serde_json::json;
use visibility::{Band, Policy};

use super::section::{Goal, Section, Target, table};
use super::{clock, turns};

/// What to measure, and how often.
pub struct Plan {
    radios: u32,
    /// The fewest, and the most.
    bindings: [u32; 2],
    rounds: usize,
    /// Look-ups in a turn.
    look_ups: usize,
    /// For each peer.
    #[cfg_attr(
        not(all(feature = "daemons", feature = "peers")),
        allow(dead_code, reason = "there are none")
    )]
    time: Duration,
}

impl Plan {
    /// What `make bench` does.
    pub const FULL: Plan = Plan {
        radios: 1_000_000,
        bindings: [10_000, 10_000_000],
        rounds: 201,
        look_ups: 1024,
        time: Duration::from_millis(1500),
    };
}

/// Accounts that radios, services and bindings are spread over.
const ACCOUNTS: u32 = 100;
const SERVICES: u32 = 10_000;
/// Octets of the elements of a beacon: name, RSN, HT, VHT, WMM.
const TEMPLATE: usize = 140;
/// Radios that show something to anybody.
const OPEN_RADIOS: u32 = 1000;
/// Devices in a look-up, and look-ups at a time: as they come when few ask, and when many do.
const KINDS: [(usize, usize); 3] = [(1, 1), (1, AT_A_TIME), (16, 1)];
const AT_A_TIME: usize = 16;

/// Measures everything.
///
/// # Errors
/// A peer does not start.
pub fn run(plan: &Plan) -> anyhow::Result<Section> {
    let hz = if clock::CYCLES { clock::hz() } else { 1e9 };
    let mut worlds: Vec<World> =
        plan.bindings.iter().map(|&bindings| World::new(plan.radios, bindings)).collect();
    let octets_per_radio = worlds[0].octets_per_radio;
    let memory = worlds[1].m.memory().0;
    let octets_per_binding =
        (memory.places + memory.index + memory.others) as f64 / worlds[1].m.bindings().len() as f64;

    let mut offers = Offers::default();
    let mut found = [0usize; 2 * KINDS.len()];
    let samples = turns::take(found.len(), plan.rounds, |whose| {
        let (world, (devices, at_a_time)) = (&mut worlds[whose % 2], KINDS[whose / 2]);
        // As many devices in each turn.
        let look_ups = plan.look_ups / devices.min(4);
        let asked: Vec<_> = (0..look_ups).map(|_| world.ask(devices)).collect();
        let mut seen = 0;
        let mut ahead = Vec::with_capacity(AT_A_TIME);
        let start = clock::now();
        for some in asked.chunks(at_a_time) {
            if devices == 1 {
                ahead.clear();
                ahead.extend(some.iter().map(|(radio, near)| (*radio, near[0].client)));
                world.m.fetch(&ahead);
            }
            for (radio, near) in some {
                // A radio that is not registered gets nothing, and the count below tells.
                if world.m.look_up(*radio, near, &[], world.now, &mut offers).is_ok() {
                    seen += offers.offers.len();
                }
            }
        }
        let taken = clock::now() - start;
        found[whose] = seen * 100 / look_ups;
        taken as f64 / hz * 1e9 / look_ups as f64
    });

    let (mut lines, mut values) = (Vec::new(), Vec::new());
    for (at, ((devices, at_a_time), bindings)) in
        KINDS.iter().flat_map(|kind| plan.bindings.map(|bindings| (kind, bindings))).enumerate()
    {
        let nanoseconds = samples.median(at);
        let offers = found[at] as f64 / 100.0;
        lines.push([
            devices.to_string(),
            at_a_time.to_string(),
            bindings.to_string(),
            format!("{nanoseconds:.0}"),
            format!("{:.0}", 1e9 / nanoseconds),
            format!("{offers:.1}"),
            if at % 2 == 1 { format!("{:.2}", samples.ratio(at, at - 1)) } else { "1".to_owned() },
        ]);
        values.push(json!({
            "bindings": bindings, "devices": devices, "at_a_time": at_a_time, "nanoseconds": nanoseconds, "per_second": 1e9 / nanoseconds, "offers": offers,
        }));
    }
    let growth = [samples.ratio(1, 0), samples.ratio(3, 2), samples.ratio(5, 4)];
    let with_most = worlds.pop();
    drop(worlds);
    let mut text = format!(
        "Look-ups in process, one core, {} radios, {SERVICES} services of {ACCOUNTS} accounts:\n\n{}\n\
         Of the devices half are bound: nine of ten to their service near any radio, the tenth near one; each account has a network for\n\
         anybody, and so have {OPEN_RADIOS} radios. One radio in {IDLE} asks, the others are silent. All are drawn at random, and what comes of a look-up\n\
         is remembered: who was where.\n\
         A binding takes {octets_per_binding:.0} octets, a silent radio {octets_per_radio:.0}, all counted.\n",
        plan.radios,
        table(&["devices", "at a time", "bindings", "ns each", "a second", "offers", "x fewest"], lines),
    );
    let mut goals = Vec::new();
    let sealed = match with_most {
        Some(world) => sealed(world, plan, &mut text, &mut goals)?,
        None => json!({}),
    };
    let peers = peers(plan, &mut text)?;
    let json = json!({
        "radios": plan.radios, "octets_per_radio": octets_per_radio, "look_ups": values,
        "growth": growth, "octets_per_binding": octets_per_binding, "sealed": sealed, "peers": peers,
    });
    let most = plan.bindings[1];
    goals.extend([
        Goal::new(
            format!("look-ups a second, one core, {most} bindings, one device each, {AT_A_TIME} at a time"),
            1e9 / samples.median(3),
            Target::AtLeast(400_000.0),
        ),
        Goal::new(
            format!(
                "time of a look-up, {most} / {} bindings, one device, {AT_A_TIME} at a time",
                plan.bindings[0]
            ),
            growth[1],
            Target::AtMost(1.5),
        ),
        Goal::new("the same, one at a time", growth[0], Target::AtMost(1.5)),
        Goal::new("the same, 16 devices", growth[2], Target::AtMost(1.5)),
        Goal::new("octets of memory per binding", octets_per_binding, Target::AtMost(80.0)),
        Goal::new("octets of memory per silent radio", octets_per_radio, Target::AtMost(200.0)),
    ]);
    Ok(Section { text, json, goals })
}

#[cfg(feature = "daemons")]
fn sealed(
    world: World,
    plan: &Plan,
    text: &mut String,
    goals: &mut Vec<Goal>,
) -> anyhow::Result<serde_json::Value> {
    let bindings = world.bindings;
    let found = sealed::run(world, plan.rounds)?;
    let rate = |what: &str, (core, clock): (f64, f64)| {
        [what.to_owned(), format!("{core:.0}"), format!("{clock:.0}")]
    };
    let ours = [found.sealed, found.sealed].map(|nanoseconds| 1e9 / nanoseconds);
    let lines = [
        rate("sealed, in process", ours.into()),
        rate("sealed, UDP on loopback", found.look_ups),
        rate("echo on the same socket code", found.echo),
    ];
    text.push_str(&format!(
        "\nThe same as radios send them, {bindings} bindings, one device each, {:.1} offers on the average: opened, decided, sealed, answered.\n\n{}",
        found.offers,
        table(&["", "its core", "by the clock"], lines),
    ));
    let ratio = found.look_ups.0 / found.echo.0;
    goals.push(Goal::new(
        "authenticated look-ups a second, one core, in process, as they come in datagrams",
        1e9 / found.sealed,
        Target::AtLeast(400_000.0),
    ));
    goals.push(Goal::new(
        "over UDP on loopback, a second of the core: look-ups / echoes",
        ratio,
        Target::AtLeast(0.7),
    ));
    Ok(json!({
        "nanoseconds": found.sealed, "offers": found.offers,
        "udp": { "per_second": found.look_ups.0, "wall": found.look_ups.1 },
        "echo": { "per_second": found.echo.0, "wall": found.echo.1 }, "ratio": ratio,
    }))
}

#[cfg(not(feature = "daemons"))]
fn sealed(_: World, _: &Plan, _: &mut String, _: &mut Vec<Goal>) -> anyhow::Result<serde_json::Value> {
    Ok(json!({}))
}

#[cfg(all(feature = "daemons", feature = "peers"))]
fn peers(plan: &Plan, text: &mut String) -> anyhow::Result<serde_json::Value> {
    let measured = peers::run(plan.radios, plan.time)?;
    let line = |peer: &peers::Measured| {
        [
            peer.what.to_owned(),
            peer.objects.to_string(),
            format!("{:.0}", peer.per_second),
            format!("{:.0}", peer.wall),
        ]
    };
    text.push_str(&format!(
        "\nOthers, over their sockets on this machine, 64 questions at a time:\n\n{}\n\
         \"its core\": in a second of the server's processor time, its system calls included; what it takes to ask is not. Ours has\n\
         no socket in the first table above.\n",
        table(&["", "objects", "its core", "by the clock"], measured.iter().map(line)),
    ));
    let value = |peer: &peers::Measured| json!({ "peer": peer.name, "objects": peer.objects, "per_second": peer.per_second, "wall": peer.wall });
    Ok(measured.iter().map(value).collect())
}

#[cfg(not(all(feature = "daemons", feature = "peers")))]
fn peers(_: &Plan, _: &mut String) -> anyhow::Result<serde_json::Value> {
    Ok(json!([]))
}

struct World {
    m: Matchmaker,
    radios: u32,
    bindings: u32,
    octets_per_radio: f64,
    random: u64,
    /// When everybody registered.
    now: Duration,
}

impl World {
    fn new(radios: u32, bindings: u32) -> World {
        let day = Duration::from_secs(86_400);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        // They are kept count of, and nobody is refused.
        let rate = Rate { per_second: 1_000_000_000, burst: 1_000_000_000 };
        let rates = Rates { source: rate, radio: rate, account: rate, ..Rates::default() };
        let settings = Settings { radio_lifetime: day, instance_lifetime: day, rates, ..Settings::default() };
        let mut m = Matchmaker::new(settings, Seed::new(*b"matchmaker bench"));
        for n in 0..ACCOUNTS {
            m.apply(&Change::PutAccount(Account { id: account(n), key: None }));
        }
        let peers: Vec<_> = (0..ACCOUNTS)
            .map(|n| m.peer(Some(&account(n)), KeyId([1; 16])))
            .collect::<Result<_, _>>()
            .unwrap_or_default();
        let endpoint = ([192, 0, 2, 1], 5247).into();
        for n in 0..radios {
            let said = RadioRegistration {
                mac: address(0x10, n),
                endpoint,
                band: Band::Ghz5,
                channel: 36,
                bssids: 8,
                up_kbps: 10_000,
                down_kbps: 100_000,
                load_permille: 0,
                capabilities: 0,
                location: None,
                neighbours: Vec::new(),
            };
            // All of them are new.
            let _ = m.register_radio(peers[(n % ACCOUNTS) as usize], &said, now);
        }
        let memory = m.memory().1;
        let octets_per_radio = (memory.places + memory.index) as f64 / f64::from(radios);
        for n in 0..SERVICES {
            let uuid = service(n);
            m.apply(&Change::PutService(Service {
                uuid,
                owner: Owner::Account(account(n % ACCOUNTS)),
                ssid: Ssid::try_from(format!("service {n}").as_str()).unwrap_or(Ssid::WILDCARD),
                security: Security::Personal,
                capture_url: String::new(),
                template: vec![0; TEMPLATE],
                policy: Policy { min_rssi_dbm: Some(-75), ..Policy::default() },
            }));
            let _ = m.register_instance(peers[(n % ACCOUNTS) as usize], uuid, [1; 16], &[endpoint], 0, now);
        }
        let mut put = |of: u32, service, client, radio| {
            let (policy, origin) = (Policy::default(), Origin::Configuration);
            let id = m.bindings().len() as u64 + 1;
            let binding = NewBinding { service, client, radio, policy, origin }.with_id(id);
            m.apply(&Change::PutBinding { account: Some(account(of)), binding });
        };
        for n in 0..ACCOUNTS {
            put(n, service(n), Pattern::Any, Pattern::Any);
        }
        for n in 0..OPEN_RADIOS {
            let radio = address(0x10, radio_of(n, radios));
            put(n % ACCOUNTS, service(ACCOUNTS + n % ACCOUNTS), Pattern::Any, Pattern::Exactly(radio));
        }
        for n in 0..bindings - ACCOUNTS - OPEN_RADIOS {
            let radio = match at_one_radio(n) {
                true => Pattern::Exactly(address(0x10, radio_of(n, radios))),
                false => Pattern::Any,
            };
            put(n % ACCOUNTS, service(n % SERVICES), Pattern::Exactly(address(0x00, n)), radio);
        }
        let mut world = World { m, radios, bindings, octets_per_radio, random: 1, now };
        world.warm_up();
        world
    }

    fn draw(&mut self, below: u32) -> u32 {
        self.random =
            self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.random >> 33) % u64::from(below)) as u32
    }

    /// Each of the busy radios has seen devices before.
    fn warm_up(&mut self) {
        let mut offers = Offers::default();
        for n in 0..self.radios / IDLE {
            let radio = address(0x10, busy_radio(n % ACCOUNTS, n / ACCOUNTS));
            let (_, near) = self.ask(matchmaker::MAX_DEVICES);
            let near: Vec<_> = near.iter().map(|near| self.moved(near, n % ACCOUNTS)).collect();
            // Who is not registered is found out later, by the count of offers.
            let _ = self.m.look_up(radio, &near, &[], self.now, &mut offers);
        }
    }

    /// Another device, of this account.
    fn moved(&mut self, near: &Near<'static>, account: u32) -> Near<'static> {
        let client = self.draw(self.clients()) / ACCOUNTS * ACCOUNTS + account;
        Near { client: address(near.client.0[0], client), ..*near }
    }

    /// Of every account as many.
    fn clients(&self) -> u32 {
        (self.bindings - ACCOUNTS - OPEN_RADIOS) / ACCOUNTS * ACCOUNTS
    }

    /// A radio with so many devices, each second of them bound.
    fn ask(&mut self, devices: usize) -> (MacAddr, Vec<Near<'static>>) {
        let clients = self.clients();
        let first = self.draw(clients);
        let radio = match at_one_radio(first) {
            true => radio_of(first, self.radios),
            false => busy_radio(first % ACCOUNTS, self.draw(self.radios / (IDLE * ACCOUNTS))),
        };
        let near = |client| Near { client, rssi_dbm: Some(-60), ssids: &[], connected: false };
        let half = self.draw(2) as usize;
        let device = |n: usize| {
            let client =
                if n == 0 { first } else { self.draw(clients) / ACCOUNTS * ACCOUNTS + first % ACCOUNTS };
            near(address(if (n + half).is_multiple_of(2) { 0x00 } else { 0x04 }, client))
        };
        (address(0x10, radio), (0..devices).map(device).collect())
    }
}

fn account(n: u32) -> AccountId {
    // Written so that it is one.
    format!("{n}@example.org").parse().unwrap_or_else(|error| panic!("{error}"))
}

fn service(n: u32) -> Uuid {
    Uuid::from_u128(u128::from(n) + 1)
}

/// Individual, and not locally administered.
fn address(first: u8, n: u32) -> MacAddr {
    let [a, b, c, d] = n.to_be_bytes();
    MacAddr([first, 0, a, b, c, d])
}

/// Every tenth radio of an account is busy; the others are silent.
const IDLE: u32 = 10;

/// The busy radio of the account, by number.
fn busy_radio(of: u32, n: u32) -> u32 {
    n * IDLE * ACCOUNTS + of
}

/// Whose the radio is.
#[cfg(feature = "daemons")]
fn account_of(radio: MacAddr) -> u32 {
    let [_, _, a, b, c, d] = radio.0;
    u32::from_be_bytes([a, b, c, d]) % ACCOUNTS
}

/// A busy radio of the account that the device belongs to, scattered.
fn radio_of(client: u32, radios: u32) -> u32 {
    let n = ((u64::from(client) * 0x9e37_79b9) >> 7) % u64::from(radios / (IDLE * ACCOUNTS));
    busy_radio(client % ACCOUNTS, n as u32)
}

/// Named by its binding, one in ten.
fn at_one_radio(client: u32) -> bool {
    (client / ACCOUNTS).is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_devices_find_their_network() {
        let plan = Plan {
            radios: 2000,
            bindings: [2000, 20_000],
            rounds: 1,
            look_ups: 4000,
            time: Duration::from_millis(20),
        };
        let section = run(&plan).unwrap();
        let look_ups = section.json["look_ups"].as_array().unwrap();
        assert_eq!(look_ups.len(), 2 * KINDS.len());
        for look_up in look_ups {
            // One for anybody, seldom another, and those of the half that is bound.
            let (devices, offers) =
                (look_up["devices"].as_f64().unwrap(), look_up["offers"].as_f64().unwrap());
            assert!((1.0 + 0.4 * devices..2.6 + 0.6 * devices).contains(&offers), "{look_up}");
        }
        assert_eq!(section.goals.len(), if cfg!(feature = "daemons") { 8 } else { 6 });
    }
}
