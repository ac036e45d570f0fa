//! One behaviour, over the model in memory and over real Redis servers: one, and a cluster. Every test has processes that know nothing of each
//! other but what the store passes on, and waits for what they are told.

#[path = "../../../tests/common/redis.rs"]
mod server;
mod servers;

use std::{sync::Arc, time::Duration};

use authenticator::{CachedPmk, Time};
use dot11::{
    MacAddr,
    rsn::{Akm, Pmk},
};
use matchmaker::{
    Uuid,
    objects::KeyId,
    presence::{Load, SessionKey},
    shared::{SharedInstance, SharedTunnel, Struck},
};
use proto::matchmaking::{
    Key, StaticSecret,
    messages::{Withdrawal, push::Push},
    server::TicketKey,
};
use tokio::{sync::mpsc, time::timeout};

use self::server::Server;
use super::{
    Counters, ForCore, ProcessId, Share, Shared,
    driver::Driver,
    memory::Memory,
    redis::Redis,
    seal::Sealer,
    store::{Connection, Op, Store},
};
use crate::{
    config, core,
    matchmaking::{keys::Keys, run::Message},
};

const PATIENCE: Duration = Duration::from_secs(30);
const PHONE: MacAddr = MacAddr([2, 0, 0, 0, 0, 7]);
const LAPTOP: MacAddr = MacAddr([2, 0, 0, 0, 0, 8]);
const LATE: MacAddr = MacAddr([2, 0, 0, 0, 0, 0x1b]);
const RADIO: MacAddr = MacAddr([2, 0, 0, 0, 0, 9]);
const HOME: Uuid = Uuid::from_u128(7);
const SECRET: [u8; 32] = [0x5e; 32];

fn keys(secret: u8) -> Keys {
    let ticket = TicketKey { id: 1, key: Key([2; 32]) };
    Keys { secret: StaticSecret::new([secret; 32]), ticket }
}

fn now() -> Duration {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap()
}

/// What a control process has of it: the driver, and what its desk and core hear.
struct Process {
    shares: mpsc::Sender<Share>,
    desk: mpsc::Receiver<Message>,
    core: mpsc::Receiver<core::Message>,
    counters: Arc<Counters>,
    _alive: (mpsc::Sender<Message>, mpsc::Sender<core::Message>),
}

impl Process {
    fn start(store: impl Store, secret: u8) -> Process {
        let (shares, inbox) = mpsc::channel(1024);
        let (to_desk, desk) = mpsc::channel(1024);
        let (to_core, core) = mpsc::channel(1024);
        let counters = Arc::new(Counters::default());
        let sealer = Sealer::new(&keys(secret));
        let driver =
            Driver::new(store, sealer, inbox, to_desk.downgrade(), to_core.downgrade(), counters.clone());
        tokio::spawn(driver.run());
        Process { shares, desk, core, counters, _alive: (to_desk, to_core) }
    }

    async fn say(&self, share: Share) {
        self.shares.send(share).await.unwrap();
    }

    /// The next thing that the desk hears for which there is something.
    async fn hears<T>(&mut self, mut wanted: impl FnMut(Shared) -> Option<T>) -> T {
        let hears = async {
            loop {
                if let Message::Shared(shared) = self.desk.recv().await.unwrap()
                    && let Some(found) = wanted(shared)
                {
                    return found;
                }
            }
        };
        timeout(PATIENCE, hears).await.expect("the desk hears of it")
    }

    async fn core_hears<T>(&mut self, mut wanted: impl FnMut(ForCore) -> Option<T>) -> T {
        let hears = async {
            loop {
                if let core::Message::Presence(said) = self.core.recv().await.unwrap()
                    && let Some(found) = wanted(said)
                {
                    return found;
                }
            }
        };
        timeout(PATIENCE, hears).await.expect("the core hears of it")
    }

    /// The store is there for it; what is said before is said again by who knows it.
    async fn is_up(&mut self) {
        self.hears(|shared| matches!(shared, Shared::Up).then_some(())).await;
        self.core_hears(|said| matches!(said, ForCore::Up).then_some(())).await;
    }

    /// Who has this instance, and how it is.
    async fn hears_of(&mut self, id: u8) -> (ProcessId, SharedInstance) {
        self.hears(|shared| match shared {
            Shared::Instances { process, there, .. } => {
                there.into_iter().find(|said| said.instance == [id; 16]).map(|said| (process, said))
            }
            _ => None,
        })
        .await
    }

    fn count(&self, name: &str) -> u64 {
        self.counters.named().into_iter().find(|(known, _)| *known == name).unwrap().1
    }
}

fn instance(id: u8, load_permille: u16) -> SharedInstance {
    SharedInstance {
        service: HOME,
        instance: [id; 16],
        key: KeyId([0; 16]),
        endpoints: vec!["192.0.2.1:5247".parse().unwrap()],
        load: Load { load_permille, ..Load::default() },
        at: Duration::from_millis(now().as_millis() as u64),
    }
}

fn tunnel(session: u8, at: u64) -> SharedTunnel {
    SharedTunnel {
        bssid: MacAddr([2, 0xaa, 0, 0, 0, 1]),
        radio: RADIO,
        run: 7,
        service: HOME,
        instance: [1; 16],
        session_id: [session; 16],
        key: SessionKey([0x5e; 16]),
        at: Duration::from_secs(at),
    }
}

fn pmk(made: Duration, life: Duration) -> CachedPmk {
    CachedPmk {
        pmk: Pmk::new(SECRET),
        akm: Akm::Ieee8021x,
        bssid: MacAddr([2, 0xaa, 0, 0, 0, 1]),
        made: Time::default() + made,
        expires: Time::default() + made + life,
        identity: b"alice".to_vec(),
        class: vec![b"gold".to_vec()],
        vlan: Some(7),
        interim_interval: None,
        session_end: None,
    }
}

fn withdrawal(n: u8) -> Push {
    Push::Withdrawal(Withdrawal { bssid: vec![n; 6], client: Vec::new() })
}

/// Instances are known everywhere, at once and to who comes later; and are told things through who keeps them, once and in order.
async fn instances<S: Store>(store: S) {
    let mut first = Process::start(store.clone(), 1);
    let mut second = Process::start(store.clone(), 1);
    first.say(Share::Instance(instance(1, 10))).await;
    let (keeper, said) = second.hears_of(1).await;
    assert_eq!(said.load.load_permille, 10);
    first.say(Share::Instance(instance(1, 20))).await;
    assert_eq!(second.hears_of(1).await.1.load.load_permille, 20);
    let mut third = Process::start(store, 1);
    assert_eq!(third.hears_of(1).await.0, keeper);
    for n in 0..100 {
        let push = withdrawal(n);
        second.say(Share::Push { to: keeper, which: (HOME, [1; 16]), push }).await;
    }
    for n in 0..100 {
        let heard = first.hears(|shared| match shared {
            Shared::Push { which, push } => Some((which, push)),
            _ => None,
        });
        assert_eq!(heard.await, ((HOME, [1; 16]), withdrawal(n)));
    }
    first.say(Share::InstanceGone { service: HOME, instance: [1; 16] }).await;
    for process in [&mut second, &mut third] {
        let gone = process.hears(|shared| match shared {
            Shared::Instances { gone, .. } => gone.into_iter().next(),
            _ => None,
        });
        assert_eq!(gone.await, (HOME, [1; 16]));
        let alive = process.hears(|shared| match shared {
            Shared::Beat { alive } => Some(alive),
            _ => None,
        });
        assert!(alive.await.contains(&keeper));
    }
    // Nothing is on its way any more, and nothing came twice.
    let late = timeout(
        Duration::from_millis(1200),
        first.hears(|shared| match shared {
            Shared::Push { push, .. } => Some(push),
            _ => None,
        }),
    );
    assert!(late.await.is_err());
    assert_eq!((second.count("presence_pushed"), second.count("presence_given_up")), (100, 0));
    assert_eq!((first.count("presence_malformed"), second.count("presence_malformed")), (0, 0));
}

/// A process that goes without a word is missed.
async fn silence<S: Store>(store: S) {
    let first = Process::start(store.clone(), 1);
    let mut second = Process::start(store.clone(), 1);
    first.say(Share::Instance(instance(1, 10))).await;
    let (keeper, _) = second.hears_of(1).await;
    drop(first);
    second
        .hears(|shared| match shared {
            Shared::Beat { alive } => (!alive.contains(&keeper)).then_some(()),
            _ => None,
        })
        .await;
}

/// How many there are all know: each admits its share.
async fn processes<S: Store>(store: S) {
    let mut all: Vec<Process> = (0..3).map(|_| Process::start(store.clone(), 1)).collect();
    let others = async |process: &mut Process, wanted: usize| {
        let alive = |shared| match shared {
            Shared::Beat { alive } => (alive.len() == wanted).then_some(()),
            _ => None,
        };
        process.hears(alive).await;
    };
    for process in &mut all {
        others(process, 2).await;
    }
    drop(all.pop());
    for process in &mut all {
        others(process, 1).await;
    }
    all.push(Process::start(store, 1));
    for process in &mut all {
        others(process, 2).await;
    }
}

/// Who is refused by one is refused by all, also by who comes later; the later word counts.
async fn refusals<S: Store>(store: S) {
    let mut first = Process::start(store.clone(), 1);
    let mut second = Process::start(store.clone(), 1);
    first.is_up().await;
    second.is_up().await;
    let hears = async |process: &mut Process, client: MacAddr| {
        process
            .hears(|shared| match shared {
                Shared::Refusals(all) => {
                    all.into_iter().find(|(other, _)| *other == client.into()).map(|found| found.1)
                }
                _ => None,
            })
            .await
    };
    let at = Duration::from_millis(now().as_millis() as u64);
    let struck = |strikes, at: Duration| Struck { strikes, until: at + Duration::from_secs(60), at };
    first.say(Share::Refusal(PHONE.into(), struck(1, at))).await;
    first.say(Share::Refusal(LAPTOP.into(), struck(2, at))).await;
    assert_eq!(hears(&mut second, PHONE).await, struck(1, at));
    assert_eq!(hears(&mut second, LAPTOP).await, struck(2, at));
    // Forgiven; an earlier word that comes late does not undo it.
    let forgiven = Struck { strikes: 0, until: Duration::ZERO, at: at + Duration::from_millis(5) };
    second.say(Share::Refusal(LAPTOP.into(), forgiven)).await;
    first.say(Share::Everything { tunnels: vec![], refusals: vec![(LAPTOP.into(), struck(2, at))] }).await;
    let mut third = Process::start(store, 1);
    let (mut phone, mut laptop) = (None, None);
    while phone.is_none() || laptop.is_none() {
        let all = third.hears(|shared| match shared {
            Shared::Refusals(all) => Some(all),
            _ => None,
        });
        for (client, struck) in all.await {
            *if client.client == PHONE { &mut phone } else { &mut laptop } = Some(struck);
        }
    }
    assert_eq!((phone, laptop), (Some(struck(1, at)), Some(forgiven)));
    // What others write again after it has read all, it does not miss for long.
    let began = std::time::Instant::now();
    first.say(Share::Everything { tunnels: vec![], refusals: vec![(LATE.into(), struck(3, at))] }).await;
    assert_eq!(hears(&mut third, LATE).await, struck(3, at));
    assert!(began.elapsed() < PATIENCE / 2, "{:?}", began.elapsed());
}

/// A radio's tunnels are found by the process that it comes to.
async fn tunnels<S: Store>(store: S) {
    let mut first = Process::start(store.clone(), 1);
    let mut second = Process::start(store, 1);
    first.is_up().await;
    first.say(Share::Tunnel(tunnel(2, 20))).await;
    first.say(Share::Everything { tunnels: vec![tunnel(1, 10)], refusals: vec![] }).await;
    first.say(Share::Tunnel(SharedTunnel { radio: LAPTOP, ..tunnel(3, 30) })).await;
    // Nobody says when it is written: ask until it is.
    let found = loop {
        second.say(Share::Fetch(RADIO)).await;
        let found = second.hears(|shared| match shared {
            Shared::Tunnels(found) => Some(Some(found)),
            Shared::Beat { .. } => Some(None),
            _ => None,
        });
        if let Some(found) = found.await {
            break found;
        }
    };
    assert_eq!(found, [tunnel(2, 20)], "the later one, and that of no other radio");
}

/// A PMK is found by another process as long as it is good.
async fn pmks<S: Store>(store: S) {
    let mut first = Process::start(store.clone(), 1);
    let mut second = Process::start(store.clone(), 1);
    first.is_up().await;
    second.is_up().await;
    let entry = pmk(now(), Duration::from_secs(3600));
    first.say(Share::Pmk { service: HOME, client: PHONE, entry: Box::new(entry.clone()) }).await;
    // An older one that is told with all must not replace the first.
    let older = CachedPmk { made: Time(entry.made.0 - 1_000_000), ..entry.clone() };
    first.say(Share::AllPmks(vec![(HOME, PHONE, older.clone())])).await;
    let found = fetch(&mut second, PHONE).await;
    assert_eq!(found, entry);
    second.say(Share::PmkGone { service: HOME, client: PHONE, at: now() }).await;
    assert!(forgets(&mut first, PHONE).await >= Duration::from_micros(entry.made.0));
    // Who did not hear of it, and says again what it has, is told, and hides it from nobody.
    let mut third = Process::start(store.clone(), 1);
    third.is_up().await;
    third.say(Share::AllPmks(vec![(HOME, PHONE, entry.clone())])).await;
    forgets(&mut third, PHONE).await;
    third.say(Share::Pmk { service: HOME, client: PHONE, entry: Box::new(older) }).await;
    second.say(Share::PmkWanted { service: HOME, client: PHONE }).await;
    let revoked = second.core_hears(|said| match said {
        ForCore::Pmk { .. } => Some(false),
        ForCore::Forget { .. } => Some(true),
        ForCore::Up => None,
    });
    assert!(revoked.await, "a revoked PMK is found");
    let anew = pmk(now() + Duration::from_millis(5), Duration::from_secs(3600));
    first.say(Share::Pmk { service: HOME, client: PHONE, entry: Box::new(anew.clone()) }).await;
    assert_eq!(fetch(&mut third, PHONE).await, anew);
}

/// Until when PMKs that were made are good no longer.
async fn forgets(process: &mut Process, client: MacAddr) -> Duration {
    let forgotten = process.core_hears(|said| match said {
        ForCore::Forget { service: HOME, client: of, at } if of == client => Some(at),
        _ => None,
    });
    forgotten.await
}

/// A PMK that is revoked while the store is away is known as revoked when it is back, even empty.
#[tokio::test]
async fn a_pmk_is_revoked_while_the_store_is_away() {
    let store = Memory::default();
    store.set_away(false);
    let mut first = Process::start(store.clone(), 1);
    let mut second = Process::start(store.clone(), 1);
    first.is_up().await;
    second.is_up().await;
    let entry = pmk(now(), Duration::from_secs(3600));
    store.set_away(true);
    first.say(Share::PmkGone { service: HOME, client: PHONE, at: now() }).await;
    store.set_away(false);
    // Whatever comes first: the one's revocation, or what the other has.
    second.is_up().await;
    second.say(Share::AllPmks(vec![(HOME, PHONE, entry)])).await;
    forgets(&mut second, PHONE).await;
    let mut third = Process::start(store, 1);
    third.is_up().await;
    third.say(Share::PmkWanted { service: HOME, client: PHONE }).await;
    let revoked = third.core_hears(|said| match said {
        ForCore::Pmk { .. } => Some(false),
        ForCore::Forget { .. } => Some(true),
        ForCore::Up => None,
    });
    assert!(revoked.await, "a revoked PMK is found");
}

async fn fetch(process: &mut Process, client: MacAddr) -> CachedPmk {
    // Nobody says when it is written: ask until it is.
    loop {
        process.say(Share::PmkWanted { service: HOME, client }).await;
        let found = process.core_hears(|said| match said {
            ForCore::Pmk { client: of, entry, .. } => (of == client).then_some(*entry),
            _ => None,
        });
        if let Ok(found) = timeout(Duration::from_millis(200), found).await {
            return found;
        }
    }
}

/// Who has another key shares nothing, and what stands under our names that is not ours is ignored.
async fn strangers<S: Store>(store: S) {
    let mut first = Process::start(store.clone(), 1);
    first.is_up().await;
    first.say(Share::Instance(instance(1, 10))).await;
    let mut other = Process::start(store.clone(), 9);
    other.say(Share::Instance(instance(2, 10))).await;
    let (connection, _messages) = store.connect(vec!["nothing".into()]).await.unwrap();
    let ttl = Duration::from_secs(60);
    let junk = |key: &str, field: &[u8]| Op::PutField {
        key: key.into(),
        field: field.into(),
        value: vec![1; 80],
        ttl,
    };
    let publish = Op::Publish { channel: "ttg:1:all".into(), message: vec![1; 80] };
    let before = first.count("presence_malformed");
    let ops = vec![junk("ttg:1:processes", &[7; 16]), junk("ttg:1:processes", &[7; 3]), publish];
    connection.run(ops).await.unwrap();
    let mut second = Process::start(store, 1);
    second.hears_of(1).await;
    for _ in 0..2 {
        first.hears(|shared| matches!(shared, Shared::Beat { .. }).then_some(())).await;
    }
    assert!(first.count("presence_malformed") >= before + 3, "{:?}", first.counters.named());
    assert!(other.count("presence_other_key") > 0 && other.count("presence_connected") == 0);
    assert_eq!(first.count("presence_processes"), 1);
    assert!(other.desk.try_recv().is_err(), "it heard something");
}

/// The store comes back empty: instances are there again, and the desks and cores are asked for the rest.
async fn emptied<S: Store>(store: S, mut go: impl FnMut(), mut come: impl AsyncFnMut()) {
    let mut first = Process::start(store.clone(), 1);
    let mut second = Process::start(store.clone(), 1);
    second.is_up().await;
    first.say(Share::Instance(instance(1, 10))).await;
    let (keeper, _) = second.hears_of(1).await;
    go();
    // While it is away nothing waits, and what can wait is done later.
    for n in 0..2000 {
        second.say(Share::Fetch(MacAddr([2, 0, 0, 0, (n >> 8) as u8, n as u8]))).await;
    }
    first.say(Share::Instance(instance(3, 30))).await;
    come().await;
    second.say(Share::Push { to: keeper, which: (HOME, [1; 16]), push: withdrawal(1) }).await;
    second.is_up().await;
    let mut third = Process::start(store, 1);
    let (mut one, mut three) = (false, false);
    while !(one && three) {
        let there = third.hears(|shared| match shared {
            Shared::Instances { process, there, .. } => (process == keeper).then_some(there),
            _ => None,
        });
        let there = there.await;
        one |= there.iter().any(|said| said.instance == [1; 16]);
        three |= there.iter().any(|said| said.instance == [3; 16] && said.load.load_permille == 30);
    }
    let pushed = first.hears(|shared| match shared {
        Shared::Push { push, .. } => Some(push),
        _ => None,
    });
    assert_eq!(pushed.await, withdrawal(1));
    second
        .hears(|shared| match shared {
            Shared::Beat { alive } => alive.contains(&keeper).then_some(()),
            _ => None,
        })
        .await;
}

fn redis(servers: &[&Server], cluster: bool, password: Option<&str>) -> Redis {
    let redis = servers.iter().map(|server| server.address()).collect();
    let config = config::Presence { redis, cluster, user: None, password_file: None };
    Redis::new(&config, password, Arc::default()).unwrap()
}

macro_rules! suite {
    ($($name:ident),*) => {
        mod in_memory {
            $(#[tokio::test]
            async fn $name() {
                super::$name(super::Memory::default()).await;
            })*
        }
        mod in_redis {
            $(#[tokio::test]
            async fn $name() {
                let server = super::Server::start(&[]);
                super::$name(super::redis(&[&server], false, None)).await;
            })*
        }
    };
}

suite!(instances, silence, processes, refusals, tunnels, pmks, strangers);

#[tokio::test]
async fn what_memory_forgets_is_said_again() {
    let store = Memory::default();
    store.set_away(false);
    emptied(store.clone(), || store.set_away(true), async || store.set_away(false)).await;
}

#[tokio::test]
async fn what_redis_loses_is_said_again() {
    let server = std::sync::Mutex::new(Server::start(&[]));
    let store = redis(&[&server.lock().unwrap()], false, None);
    emptied(store, || server.lock().unwrap().kill(), async || server.lock().unwrap().restart()).await;
}

/// It does not break connections: it forgets under them.
#[tokio::test]
async fn what_is_flushed_is_said_again() {
    let server = Server::start(&[]);
    let store = redis(&[&server], false, None);
    emptied(store, || drop(server.ask(&["FLUSHALL"])), async || {}).await;
}

/// One part of it is, as when one node of a cluster starts again: nobody who still speaks with it is told.
#[tokio::test]
async fn what_is_lost_in_part_is_said_again() {
    let server = Server::start(&[]);
    let store = redis(&[&server], false, None);
    let mut first = Process::start(store.clone(), 1);
    first.is_up().await;
    let at = Duration::from_secs(now().as_secs());
    let struck = Struck { strikes: 3, until: at + Duration::from_secs(60), at };
    first.say(Share::Instance(instance(1, 10))).await;
    first.say(Share::Refusal(PHONE.into(), struck)).await;
    let beat = |shared| matches!(shared, Shared::Beat { .. }).then_some(());
    // Two beats later it has seen them there.
    for _ in 0..3 {
        first.hears(beat).await;
    }
    let keys = String::from_utf8(server.ask(&["KEYS", "ttg:1:instances*"])).unwrap();
    for key in keys.split_whitespace().chain(["ttg:1:refused"]) {
        assert_eq!(server.ask(&["DEL", key]), b"1\n", "{key}");
    }
    first.is_up().await;
    first.say(Share::Everything { tunnels: vec![], refusals: vec![(PHONE.into(), struck)] }).await;
    let mut second = Process::start(store, 1);
    let refused = second.hears(|shared| match shared {
        Shared::Refusals(all) => all.first().map(|(_, struck)| *struck),
        _ => None,
    });
    assert_eq!(refused.await, struck);
    let mut third = Process::start(redis(&[&server], false, None), 1);
    third.hears_of(1).await;
}

/// It stands still, and takes connections all the same: that is noticed, and nobody waits meanwhile.
#[tokio::test]
async fn a_redis_that_stands_still_is_one_that_is_away() {
    let server = Server::start(&[]);
    let store = redis(&[&server], false, None);
    emptied(store, || server.signal("STOP"), async || server.signal("CONT")).await;
}
