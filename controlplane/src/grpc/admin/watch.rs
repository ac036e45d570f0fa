//! Watching objects: what there is, then what changes. The desk and the core only say which object changed; how it is now is asked for when
//! the watcher can take it, so a slow one costs no memory and misses no last state: it is told that it lost changes, and begins again.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, HashMap, HashSet},
    ops::Range,
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use dot11::MacAddr;
use futures_util::Stream;
use matchmaker::{Uuid, objects::AccountId};
use proto::admin::{
    self, ObjectChange, ObjectKind, SessionChange, WatchRequest, WatchSessionsRequest, object_change::Object,
    session_change::Kind,
};
use tokio::{
    sync::{broadcast, mpsc},
    time::{MissedTickBehavior, interval},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::{AdminService, bindings::Bindings, clients, contracts, live, objects, presence, text};
use crate::{
    Control,
    core::{Query, SessionsOf},
    matchmaking::{Desk, Matchmaking, Touched},
};

pub(super) type Changes<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// Changes on their way to a watcher.
const DEPTH: usize = 64;
/// Places that are gone through before the desk does something else, and the watcher gets what was found.
const PIECE: u32 = 1024;
/// What nobody announces is looked at that often.
const LOOK: Duration = Duration::from_secs(1);

/// There is nobody left to tell, or nothing to be told.
struct Over;

type Told = Result<(), Over>;

struct Watcher<T> {
    out: mpsc::Sender<Result<T, Status>>,
}

impl<T> Watcher<T> {
    async fn tell(&self, change: T) -> Told {
        self.out.send(Ok(change)).await.map_err(|_| Over)
    }
}

impl Watcher<ObjectChange> {
    async fn object(&self, kind: Kind, object: Object) -> Told {
        self.tell(ObjectChange { kind: kind.into(), object: Some(object) }).await
    }

    async fn word(&self, kind: Kind) -> Told {
        self.tell(ObjectChange { kind: kind.into(), object: None }).await
    }
}

/// Runs one until it is over.
fn stream<T, F>(feed: impl FnOnce(Watcher<T>) -> F) -> Changes<T>
where
    T: Send + 'static,
    F: Future<Output = Told> + Send + 'static,
{
    let (out, changes) = mpsc::channel(DEPTH);
    let feed = feed(Watcher { out: out.clone() });
    tokio::spawn(async move {
        tokio::select! {
            _ = feed => {}
            () = out.closed() => {}
        }
    });
    Box::pin(ReceiverStream::new(changes))
}

impl AdminService {
    pub(super) fn watch_of(&self, asked: &WatchRequest) -> Result<Changes<ObjectChange>, Status> {
        let control = self.control.clone();
        let wanted = Wanted::read(asked)?;
        Ok(match asked.of() {
            ObjectKind::Unspecified => {
                return Err(text::invalid("of", "say which objects, such as OBJECT_KIND_BINDING"));
            }
            ObjectKind::Radio => stream(|watcher| radios(control, watcher)),
            ObjectKind::Service => stream(|watcher| looked_at(control, watcher, look_at_services)),
            ObjectKind::Gateway => stream(|watcher| looked_at(control, watcher, look_at_gateways)),
            of => {
                let matchmaking = self.matchmaker()?.clone();
                let what = Of { matchmaking, of, wanted, configured: control.accounts };
                stream(move |watcher| of_desk(what, watcher))
            }
        })
    }

    pub(super) fn watch_of_sessions(
        &self,
        asked: &WatchSessionsRequest,
    ) -> Result<Changes<SessionChange>, Status> {
        let control = self.control.clone();
        let of = live::sessions_of(&asked.client, &asked.service)?;
        Ok(stream(move |watcher| sessions(control, of, watcher)))
    }
}

async fn sessions(control: Control, of: SessionsOf, watcher: Watcher<SessionChange>) -> Told {
    let client = of.client.map(|client| client.to_string());
    let service = of.service.map(|service| service.to_string());
    let meant = |session: &admin::Session| {
        client.as_ref().is_none_or(|client| *client == session.client)
            && service.as_ref().is_none_or(|service| *service == session.service)
    };
    let change = |kind: Kind, session| SessionChange { kind: kind.into(), session, reason: String::new() };
    loop {
        // Before the first is looked at: what changes meanwhile comes behind them all.
        let mut changes = control.ask(Query::Watch).await.ok_or(Over)?;
        for session in live::all_sessions(&control, of).await.ok_or(Over)? {
            watcher.tell(change(Kind::Present, Some(session))).await?;
        }
        watcher.tell(change(Kind::Synced, None)).await?;
        while let Some(change) = next(&mut changes).await? {
            if change.session.as_ref().is_some_and(meant) {
                watcher.tell(change).await?;
            }
        }
        watcher.tell(change(Kind::Lost, None)).await?;
    }
}

/// `None`: some are lost.
async fn next<T: Clone>(changes: &mut broadcast::Receiver<T>) -> Result<Option<T>, Over> {
    match changes.recv().await {
        Ok(change) => Ok(Some(change)),
        Err(broadcast::error::RecvError::Lagged(_)) => Ok(None),
        Err(broadcast::error::RecvError::Closed) => Err(Over),
    }
}

async fn radios(control: Control, watcher: Watcher<ObjectChange>) -> Told {
    loop {
        let mut touched = control.ask(Query::WatchRadios).await.ok_or(Over)?;
        // What was told last: a session that says how it is touches its virtual BSS as well.
        let mut told = BTreeMap::new();
        for radio in live::all_radios(&control).await.ok_or(Over)? {
            told.insert(radio.bssid.clone(), radio.clone());
            watcher.object(Kind::Present, Object::Radio(radio)).await?;
        }
        watcher.word(Kind::Synced).await?;
        while let Some(bssid) = next(&mut touched).await? {
            let key = bssid.to_string();
            match control.ask(|reply| Query::Radio { bssid, reply }).await.ok_or(Over)? {
                Some(radio) if told.get(&key) == Some(&radio) => {}
                Some(radio) => {
                    told.insert(key, radio.clone());
                    watcher.object(Kind::Updated, Object::Radio(radio)).await?;
                }
                None => {
                    if told.remove(&key).is_some() {
                        let gone = admin::Radio { bssid: key, ..admin::Radio::default() };
                        watcher.object(Kind::Removed, Object::Radio(gone)).await?;
                    }
                }
            }
        }
        watcher.word(Kind::Lost).await?;
    }
}

/// How a few objects are now, by name, each beside what identifies it when it is gone.
type Looked = BTreeMap<String, (Object, Object)>;

async fn look_at_services(control: Control) -> Option<Looked> {
    let services = control.ask(Query::Services).await?;
    let entry = |service: admin::Service| {
        let gone = admin::Service { uuid: service.uuid.clone(), ..admin::Service::default() };
        (service.uuid.clone(), (Object::Service(service), Object::Service(gone)))
    };
    Some(services.into_iter().map(entry).collect())
}

async fn look_at_gateways(control: Control) -> Option<Looked> {
    let gateways = control.ask(Query::Gateways).await?;
    let entry = |gateway: admin::Gateway| {
        let gone = admin::Gateway { name: gateway.name.clone(), ..admin::Gateway::default() };
        (gateway.name.clone(), (Object::Gateway(gateway), Object::Gateway(gone)))
    };
    Some(gateways.into_iter().map(entry).collect())
}

async fn looked_at<F: Future<Output = Option<Looked>>>(
    control: Control,
    watcher: Watcher<ObjectChange>,
    look: impl Fn(Control) -> F,
) -> Told {
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut before = Looked::new();
    let mut first = true;
    loop {
        looks.tick().await;
        let now = look(control.clone()).await.ok_or(Over)?;
        for (name, (object, _)) in &now {
            if before.get(name).is_none_or(|(before, _)| before != object) {
                let kind = if first { Kind::Present } else { Kind::Updated };
                watcher.object(kind, object.clone()).await?;
            }
        }
        for (name, (_, gone)) in &before {
            if !now.contains_key(name) {
                watcher.object(Kind::Removed, gone.clone()).await?;
            }
        }
        if std::mem::take(&mut first) {
            watcher.word(Kind::Synced).await?;
        }
        before = now;
    }
}

/// A radio that says nothing more is gone when its time is over, or is silent if there is a record of it; until then it may have registered
/// again, which is no change. A device that is refused is not when its time is over.
#[derive(Default)]
struct Lifetimes {
    known: HashMap<[u8; 6], Duration>,
    ends: BinaryHeap<Reverse<(Duration, [u8; 6])>>,
}

impl Lifetimes {
    fn until(&mut self, radio: MacAddr, until: Duration) {
        if self.known.get(&radio.0).is_none_or(|known| until < *known) {
            self.known.insert(radio.0, until);
            self.ends.push(Reverse((until, radio.0)));
        }
    }

    /// It was over before.
    fn end(&mut self, radio: MacAddr) {
        self.known.remove(&radio.0);
    }

    fn over(&mut self, now: Duration) -> Option<MacAddr> {
        loop {
            let Reverse((until, radio)) =
                self.ends.peek().copied().filter(|Reverse((until, _))| *until <= now)?;
            self.ends.pop();
            if self.known.get(&radio) == Some(&until) {
                self.known.remove(&radio);
                return Some(MacAddr(radio));
            }
        }
    }
}

/// Which objects of a kind.
enum Wanted {
    All,
    Radios(presence::Radios),
    Bindings(Bindings),
}

impl Wanted {
    fn read(asked: &WatchRequest) -> Result<Wanted, Status> {
        let goes_with = |field: &str, of: ObjectKind| match asked.of() == of {
            true => Ok(()),
            false => Err(text::invalid(field, format!("it goes with {}; leave it out", of.as_str_name()))),
        };
        if asked.radios.is_some() {
            goes_with("radios", ObjectKind::RegisteredRadio)?;
            return presence::Radios::read("radios", asked.radios.as_ref()).map(Wanted::Radios);
        }
        if asked.bindings.is_some() {
            goes_with("bindings", ObjectKind::Binding)?;
            return Bindings::read("bindings", asked.bindings.as_ref()).map(Wanted::Bindings);
        }
        Ok(Wanted::All)
    }

    fn wants(&self, object: &Object) -> bool {
        match (self, object) {
            (Wanted::Radios(wanted), Object::RegisteredRadio(radio)) => wanted.wants_message(radio),
            (Wanted::Bindings(wanted), Object::Binding(binding)) => wanted.wants_message(binding),
            _ => true,
        }
    }
}

/// Tells of the objects that are wanted, and once more of one that no longer is.
struct Teller<'a> {
    watcher: &'a Watcher<ObjectChange>,
    wanted: &'a Wanted,
    /// What identifies those that were told last, if not all are wanted.
    told: HashSet<String>,
}

impl Teller<'_> {
    async fn tell(&mut self, kind: Kind, object: Object) -> Told {
        if !matches!(self.wanted, Wanted::All) {
            let key = key(&object);
            let wanted = kind != Kind::Removed && self.wanted.wants(&object);
            let before = if wanted { !self.told.insert(key) } else { self.told.remove(&key) };
            if !wanted && !before {
                return Ok(());
            }
        }
        self.watcher.object(kind, object).await
    }
}

/// What identifies those of which only some may be wanted.
fn key(object: &Object) -> String {
    match object {
        Object::RegisteredRadio(radio) => radio.radio.clone(),
        Object::Binding(binding) => format!("{} {}", binding.id, binding.account),
        _ => String::new(),
    }
}

/// Which objects, and where.
struct Of {
    matchmaking: Matchmaking,
    of: ObjectKind,
    wanted: Wanted,
    configured: Arc<[AccountId]>,
}

impl Of {
    /// What identifies an object, and how it is, if it is there.
    async fn find(&self, what: Touched) -> Result<(Object, Option<Object>), Over> {
        let configured = self.configured.clone();
        self.matchmaking.ask(move |desk, now| find(desk, &what, &configured, now)).await.ok_or(Over)
    }
}

async fn of_desk(what: Of, watcher: Watcher<ObjectChange>) -> Told {
    let (matchmaking, of) = (&what.matchmaking, what.of);
    loop {
        let mut touched = matchmaking.ask(|desk, _| desk.watch()).await.ok_or(Over)?;
        let mut lifetimes = Lifetimes::default();
        let mut teller = Teller { watcher: &watcher, wanted: &what.wanted, told: HashSet::new() };
        let mut from = 0;
        loop {
            let configured = what.configured.clone();
            let found = move |desk: &mut Desk, now| there_is(desk, of, from..from + PIECE, &configured, now);
            let (objects, places) = matchmaking.ask(found).await.ok_or(Over)?;
            for object in objects {
                remember(&mut lifetimes, &object);
                teller.tell(Kind::Present, object).await?;
            }
            from += PIECE;
            if from >= places {
                break;
            }
        }
        watcher.word(Kind::Synced).await?;
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                change = next(&mut touched) => {
                    let Some(touched) = change? else { break };
                    if kind(&touched) == of {
                        match what.find(touched).await? {
                            (_, Some(object)) => {
                                remember(&mut lifetimes, &object);
                                teller.tell(Kind::Updated, object).await?;
                            }
                            (gone, None) => teller.tell(Kind::Removed, gone).await?,
                        }
                    }
                }
                _ = looks.tick(), if of == ObjectKind::RegisteredRadio || of == ObjectKind::Client => {
                    let now = matchmaking.ask(|_, now| now).await.ok_or(Over)?;
                    while let Some(mac) = lifetimes.over(now) {
                        let over =
                            if of == ObjectKind::Client { Touched::Client(mac) } else { Touched::Radio(mac) };
                        match what.find(over).await? {
                            (_, Some(still)) => {
                                remember(&mut lifetimes, &still);
                                // One that there is a record of: a device may come again, a radio is silent.
                                if !matches!(&still, Object::RegisteredRadio(radio) if radio.registered) {
                                    teller.tell(Kind::Updated, still).await?;
                                }
                            }
                            (gone, None) => teller.tell(Kind::Removed, gone).await?,
                        }
                    }
                }
            }
        }
        watcher.word(Kind::Lost).await?;
    }
}

fn remember(lifetimes: &mut Lifetimes, object: &Object) {
    let (mac, until) = match object {
        Object::RegisteredRadio(radio) if radio.registered => (&radio.radio, radio.until_unix_ms),
        Object::RegisteredRadio(radio) => {
            return radio.radio.parse().into_iter().for_each(|mac| lifetimes.end(mac));
        }
        Object::Client(client) if client.refused_until_unix_ms != 0 => {
            (&client.client, client.refused_until_unix_ms)
        }
        _ => return,
    };
    if let (Ok(mac), Ok(until)) = (mac.parse::<MacAddr>(), u64::try_from(until)) {
        lifetimes.until(mac, Duration::from_millis(until));
    }
}

fn kind(what: &Touched) -> ObjectKind {
    match what {
        Touched::Account(_) => ObjectKind::Account,
        Touched::Grant(_) => ObjectKind::Grant,
        Touched::Binding(..) => ObjectKind::Binding,
        Touched::Network(_) => ObjectKind::Network,
        Touched::Radio(_) => ObjectKind::RegisteredRadio,
        Touched::Contract(..) => ObjectKind::Contract,
        Touched::Client(_) => ObjectKind::Client,
    }
}

/// What there is of a kind within a range of places, and how many places there are. What is few is all in the first.
fn there_is(
    desk: &Desk,
    of: ObjectKind,
    range: Range<u32>,
    configured: &[AccountId],
    now: Duration,
) -> (Vec<Object>, u32) {
    let matchmaker = &desk.matchmaker;
    let accounts = matchmaker.accounts();
    match of {
        ObjectKind::Binding => {
            let bindings = matchmaker.bindings().within(range);
            let message = |(account, binding)| text::binding_message(accounts.id(account), &binding);
            (bindings.map(message).map(Object::Binding).collect(), matchmaker.bindings().places())
        }
        ObjectKind::RegisteredRadio => {
            let radios = matchmaker.radios_within(range, now).filter(presence::is_known);
            let message = |radio| presence::radio_message(desk, &radio);
            (radios.map(message).map(Object::RegisteredRadio).collect(), matchmaker.radio_places())
        }
        ObjectKind::Account => {
            let known = accounts.known().map(|id| Object::Account(objects::account_of(desk, id, configured)));
            (known.collect(), 0)
        }
        ObjectKind::Grant => {
            (accounts.grants().map(|grant| Object::Grant(text::grant_message(&grant))).collect(), 0)
        }
        ObjectKind::Network => {
            let all = matchmaker.services().map(|(service, _)| service.uuid).collect::<Vec<Uuid>>();
            (
                all.into_iter()
                    .filter_map(|uuid| presence::network(desk, uuid, now))
                    .map(Object::Network)
                    .collect(),
                0,
            )
        }
        ObjectKind::Contract => {
            let message =
                |(account, contract): (Option<&AccountId>, &_)| contracts::message(account, contract);
            (matchmaker.contracts().map(message).map(Object::Contract).collect(), 0)
        }
        ObjectKind::Client => {
            let all = matchmaker.clients(None, usize::MAX, now);
            (all.map(|client| Object::Client(clients::message(&client))).collect(), 0)
        }
        // These are the core's.
        ObjectKind::Service | ObjectKind::Radio | ObjectKind::Gateway | ObjectKind::Unspecified => {
            (Vec::new(), 0)
        }
    }
}

/// What identifies an object, and how it is, if it is there.
fn find(desk: &Desk, what: &Touched, configured: &[AccountId], now: Duration) -> (Object, Option<Object>) {
    let matchmaker = &desk.matchmaker;
    match what {
        Touched::Account(id) => {
            let gone = admin::Account { id: id.to_string(), ..admin::Account::default() };
            let there = desk.accounts().key(id).map(|_| objects::account_of(desk, id, configured));
            (Object::Account(gone), there.map(Object::Account))
        }
        Touched::Grant(grant) => {
            let message = Object::Grant(text::grant_message(grant));
            let there = matchmaker.accounts().grants().any(|other| other == *grant);
            (message.clone(), there.then_some(message))
        }
        Touched::Binding(account, id) => {
            let gone = admin::Binding {
                id: *id,
                account: text::account_text(account.as_ref()),
                ..admin::Binding::default()
            };
            let there = objects::binding_of(desk, account.as_ref(), *id);
            (Object::Binding(gone), there.map(Object::Binding))
        }
        Touched::Network(uuid) => {
            let gone = admin::Network { uuid: uuid.to_string(), ..admin::Network::default() };
            (Object::Network(gone), presence::network(desk, *uuid, now).map(Object::Network))
        }
        Touched::Radio(mac) => {
            let gone = admin::RegisteredRadio { radio: mac.to_string(), ..admin::RegisteredRadio::default() };
            let there = matchmaker.radio(*mac, now).filter(presence::is_known);
            let there = there.map(|radio| Object::RegisteredRadio(presence::radio_message(desk, &radio)));
            (Object::RegisteredRadio(gone), there)
        }
        Touched::Client(mac) => {
            let gone = admin::Client { client: mac.to_string(), ..admin::Client::default() };
            (Object::Client(gone), clients::of(desk, *mac, now).map(Object::Client))
        }
        Touched::Contract(account, id) => {
            let gone = admin::Contract {
                id: *id,
                account: text::account_text(account.as_ref()),
                ..admin::Contract::default()
            };
            (Object::Contract(gone), contracts::of(desk, account.as_ref(), *id).map(Object::Contract))
        }
    }
}

#[cfg(test)]
mod tests;
