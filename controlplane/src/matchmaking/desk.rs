//! The desk: takes what radios and service instances ask, has the matchmaker decide, and answers. No socket and no task: datagrams, requests
//! and the time in, [`Output`]s out. What must be durable before it is answered waits for [`Desk::committed`].

mod accounting;
mod burst;
mod instances;
mod look_up;
mod routes;
mod share;
mod store;
#[cfg(test)]
mod tests;
mod waiting;
mod watch;

use std::{collections::VecDeque, net::SocketAddr, time::Duration};

use dot11::MacAddr;
use matchmaker::{
    AutoBind, Change, Connect, Introduction, Matchmaker, Refusal, Seed, Settings,
    objects::{AccountId, KeyId},
    presence::Peer,
    scope::AccountRef,
};
use proto::matchmaking::{
    check,
    messages::{self as pb, answer::Answer, failure::Reason, push::Push, request::Request},
    server::{self, PeerIdentity, ReplyToken, Server},
};
use records::{Draft, Report, Version};
use tokio::sync::broadcast;

use self::routes::{Route, Routes, Which};
use self::waiting::{After, Waiting};
pub(crate) use self::watch::Touched;
use super::accounts::AccountTable;
use super::convert::{self, key_id, mac, rssi, sixteen, uuid};
use super::presence::Share;
use crate::core::Connection;

/// What is to be done.
#[derive(Debug)]
pub(crate) enum Output {
    /// Send a datagram.
    Send(SocketAddr, Vec<u8>),
    /// Answer an instance of this process.
    Answer { to: Local, answer: Answer },
    /// Tell an instance of this process something.
    Push { to: Connection, push: Push },
    /// Make this durable; then [`Desk::committed`] with the same number.
    Commit { number: u64, drafts: Vec<Draft> },
    /// Put this on record; then [`Desk::accounted`] with the same number.
    Account { number: u64, report: Box<Report> },
    /// Other processes are to know this.
    Share(Share),
}

/// A request of an instance of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Local {
    /// Which gateway.
    pub connection: Connection,
    /// Which request.
    pub id: u32,
}

/// Who asks.
#[derive(Debug, Clone)]
enum Asker {
    Peer { identity: PeerIdentity, reply: ReplyToken },
    Local(Local),
}

/// How often what the desk did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    pub look_ups: u64,
    pub devices: u64,
    pub offers: u64,
    pub introductions: u64,
    pub refused: u64,
    /// Of these, because who proves nothing has too many services.
    pub services_refused: u64,
    pub commits: u64,
    pub conflicts: u64,
    pub pushes_lost: u64,
}

impl Counters {
    fn named(&self) -> [(&'static str, u64); 9] {
        [
            ("look_ups", self.look_ups),
            ("devices", self.devices),
            ("offers", self.offers),
            ("introductions", self.introductions),
            ("refused", self.refused),
            ("services_refused", self.services_refused),
            ("commits", self.commits),
            ("conflicts", self.conflicts),
            ("pushes_lost", self.pushes_lost),
        ]
    }
}

/// See the module.
pub(crate) struct Desk {
    pub matchmaker: Matchmaker,
    settings: Settings,
    server: Server<AccountTable>,
    /// The account that instances of this process act for.
    own: Option<AccountId>,
    routes: Routes,
    waiting: Waiting,
    behind: Vec<store::Behind>,
    /// All commits up to this one are applied.
    version: Version,
    outputs: VecDeque<Output>,
    looked_up: look_up::Kept,
    scratch: Vec<u8>,
    /// Datagrams that were sent, to be written anew.
    sent: Vec<Vec<u8>>,
    opened: burst::Opened,
    /// With other processes, if there may be any.
    sharing: Option<share::Sharing>,
    pub counters: Counters,
    touched: broadcast::Sender<Touched>,
}

/// From the operating system.
fn entropy(out: &mut [u8]) {
    getrandom::fill(out).expect("the operating system has entropy");
}

impl Desk {
    pub fn new(config: server::Config, settings: Settings, own: Option<AccountId>, now: Duration) -> Desk {
        let mut seed = [0; 16];
        entropy(&mut seed);
        let seed = Seed::new(seed);
        Desk {
            matchmaker: Matchmaker::new(settings, seed),
            settings,
            server: Server::new(config, AccountTable::new(seed), now, &mut entropy),
            own,
            routes: Routes::default(),
            waiting: Waiting::default(),
            behind: Vec::new(),
            version: 0,
            outputs: VecDeque::new(),
            looked_up: look_up::Kept::default(),
            scratch: Vec::new(),
            sent: Vec::new(),
            opened: burst::Opened::default(),
            sharing: None,
            counters: Counters::default(),
            touched: watch::channel(),
        }
    }

    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// A datagram of an [`Output::Send`] was sent.
    pub fn sent(&mut self, datagram: Vec<u8>) {
        if self.sent.len() < burst::BURST {
            self.sent.push(datagram);
        }
    }

    /// When [`Desk::due`] has something to do.
    pub fn deadline(&self) -> Option<Duration> {
        self.server.deadline()
    }

    /// A change is durable.
    pub fn apply(&mut self, change: &Change) {
        let touched = self.touched_by(change);
        self.forget_instances(change);
        self.matchmaker.apply(change);
        let known = self.matchmaker.accounts();
        self.server.accounts.apply(change, |id| known.find(Some(id)));
        touched.into_iter().for_each(|what| self.touch(what));
    }

    /// All records are applied, as of this version; 0: they will be, and until then every commit is news.
    pub fn loaded(&mut self, version: Version) {
        self.version = version;
        self.loaded_again(version);
    }

    /// A commit comes in, of this process or another. What was applied when it was acknowledged is not applied again: something later may have
    /// been by now.
    pub fn step(&mut self, version: Version, changes: &[Change]) {
        if version > self.version {
            changes.iter().for_each(|change| self.apply(change));
            self.version = version;
        }
    }

    /// The accounts and their keys.
    pub fn accounts(&self) -> &AccountTable {
        &self.server.accounts
    }

    /// Whose the services of this process are.
    pub fn own(&self) -> Option<&AccountId> {
        self.own.as_ref()
    }

    /// Everything counted so far.
    pub fn counted(&self) -> Vec<(&'static str, u64)> {
        self.counters.named().into_iter().chain(self.server.counters().named()).collect()
    }

    /// An instance of this process asks.
    pub fn local(&mut self, local: Local, request: Request, now: Duration) {
        self.request(Asker::Local(local), request, now);
    }

    /// Pushes that wait for the time.
    pub fn due(&mut self, now: Duration) {
        self.pushes(now);
    }

    /// Forgets what is over, a part of it; once a second.
    pub fn tick(&mut self, now: Duration) {
        for (service, instance) in self.matchmaker.expire(now) {
            self.touch(Touched::Network(service));
            self.forget_route((service, instance));
            self.share_gone((service, instance));
        }
        self.plan_again(now);
        self.pushes(now);
    }

    fn request(&mut self, asker: Asker, request: Request, now: Duration) {
        let answer = match self.peer(&asker) {
            Ok(peer) => self.decide(&asker, peer, request, now),
            Err(refusal) => Err(refusal),
        };
        match answer {
            Ok(Some(answer)) => self.answer(&asker, answer),
            Ok(None) => {}
            Err(refusal) => {
                let failure = self.refused(&refusal);
                self.answer(&asker, failure);
            }
        }
        self.pushes(now);
    }

    fn refused(&mut self, refusal: &Refusal) -> Answer {
        self.counters.refused += 1;
        self.counters.services_refused += u64::from(*refusal == Refusal::TooManyServices);
        Answer::Failure(convert::failure(refusal))
    }

    fn peer(&self, asker: &Asker) -> Result<Peer, Refusal> {
        match asker {
            Asker::Peer { identity, .. } => {
                self.matchmaker.peer_of(self.account(identity)?, key_id(&identity.key))
            }
            Asker::Local(_) => self.matchmaker.peer(self.own.as_ref(), KeyId::OWN),
        }
    }

    fn account(&self, identity: &PeerIdentity) -> Result<AccountRef, Refusal> {
        match &identity.account {
            Some(id) => self.server.accounts.number(id).ok_or(Refusal::UnknownAccount),
            None => Ok(AccountRef::POOL),
        }
    }

    /// The answer; `None` if it comes later.
    fn decide(
        &mut self,
        asker: &Asker,
        peer: Peer,
        request: Request,
        now: Duration,
    ) -> Result<Option<Answer>, Refusal> {
        if let Asker::Peer { identity, .. } = asker {
            self.matchmaker.admit(identity.endpoint.ip(), peer, now)?;
        }
        let done = Answer::Done(pb::Done {});
        Ok(Some(match request {
            Request::RegisterRadio(said) => {
                let Some(endpoint) = asker.endpoint() else { return Ok(Some(not_for_instances())) };
                let said = convert::registration(&said, endpoint);
                let before = self.watched_radio(said.mac, now);
                self.matchmaker.register_radio(peer, &said, now)?;
                for (bssid, which) in self.matchmaker.restarted(said.mac, asker.run()) {
                    self.released(said.mac, bssid, which, now);
                }
                if self.watchers() > 0 && before.as_ref() != Some(&said) {
                    self.touch(Touched::Radio(said.mac));
                }
                // It may come from another process. When it connects it says which tunnel it has, so nothing waits.
                self.share(Share::Fetch(said.mac));
                registered(asker, self.settings.radio_lifetime)
            }
            // Those of datagrams are answered before they come here.
            Request::LookUp(_) => not_for_instances(),
            Request::Connect(said) => self.connect(asker, peer, &said, now)?,
            Request::Release(said) => {
                self.release(peer, &said, now)?;
                done
            }
            Request::RegisterService(said) => {
                self.register_service(asker, peer, said, store::PLANS, now)?;
                return Ok(None);
            }
            Request::AutoBind(said) => {
                let radio = (!said.radio.is_empty()).then(|| mac(&said.radio));
                let (service, client) = (uuid(&said.service), mac(&said.client));
                let cause = convert::cause(said.cause());
                match self.matchmaker.plan_auto_bind(peer, service, client, radio, cause)? {
                    AutoBind::Existing(id) => Answer::Bound(pb::Bound { binding: id, created: false }),
                    AutoBind::Create { account, binding } => {
                        let draft = Draft::NewBinding { account, binding };
                        self.commit_for(asker, &Request::AutoBind(said), vec![draft], After::AutoBind)?;
                        return Ok(None);
                    }
                }
            }
            Request::AuthenticationFailures(said) => {
                let (service, client) = (uuid(&said.service), mac(&said.client));
                // Those of this process are of the configuration.
                let peer = (peer, matches!(asker, Asker::Local(_)));
                let refused = self.matchmaker.report_failures(peer, service, client, said.failures, now)?;
                if let Some((whom, refused)) = refused {
                    let everywhere = whom.within.is_none();
                    tracing::warn!(%client, %service, everywhere, seconds = refused.as_secs(), "client refused");
                    self.share_refusal(&whom);
                    self.tell_instances(&whom, refused, now);
                }
                done
            }
            Request::Load(said) => {
                let (service, instance) = (uuid(&said.service), sixteen(&said.instance));
                let load = convert::load(&said);
                let news = self.watchers() > 0
                    && !self.matchmaker.instances(service).iter().any(|i| i.id == instance && i.load == load);
                self.matchmaker.load(peer, service, instance, load, now)?;
                if let Some(seen) = asker.endpoint() {
                    self.matchmaker.instance_at(peer, service, instance, seen, now)?;
                }
                if news {
                    self.touch(Touched::Network(service));
                }
                self.share_instance(service, instance, now);
                done
            }
            Request::Accounting(said) => {
                let report = Box::new(self.report(asker, peer, &said, now)?);
                if !said.ended {
                    self.matchmaker.keep(mac(&said.bssid), mac(&said.client), now);
                }
                if let Some(number) = self.wait_for(asker, &Request::Accounting(said), After::Account)? {
                    self.outputs.push_back(Output::Account { number, report });
                }
                return Ok(None);
            }
            Request::Unregister(said) if said.radio.is_empty() => {
                self.unregister_instance(asker, peer, &said, now)?;
                done
            }
            Request::Unregister(said) => {
                self.matchmaker.unregister_radio(peer, mac(&said.radio))?;
                self.touch(Touched::Radio(mac(&said.radio)));
                done
            }
            // The server of datagrams has dealt with it.
            Request::Acknowledge(_) => done,
        }))
    }

    fn connect(
        &mut self,
        asker: &Asker,
        peer: Peer,
        said: &pb::Connect,
        now: Duration,
    ) -> Result<Answer, Refusal> {
        let asked = Connect {
            radio: mac(&said.radio),
            run: asker.run(),
            client: mac(&said.client),
            service: uuid(&said.service),
            bssid: mac(&said.bssid),
            session_id: sixteen(&said.session_id),
            rssi_dbm: rssi(said.rssi_dbm),
            tunnel: convert::tunnel(said),
        };
        self.matchmaker.admit_radio(peer, asked.radio, now)?;
        // The hole in its NAT may be another one than when it registered.
        if let Some(seen) = asker.endpoint() {
            self.matchmaker.radio_at(asked.radio, seen);
        }
        let mut key = [0; 16];
        entropy(&mut key);
        let introduction = self.matchmaker.connect(&asked, now, key)?;
        self.counters.introductions += 1;
        if !introduction.existing_tunnel {
            self.share_tunnel(introduction.bssid);
        }
        self.introduce(&introduction, now);
        Ok(Answer::Connected(convert::connected(&introduction)))
    }

    fn introduce(&mut self, introduction: &Introduction, now: Duration) {
        tracing::debug!(client = %introduction.client, radio = %introduction.radio, service = %introduction.service, "introduced");
        let which = (introduction.service, introduction.instance);
        self.push(which, Push::Introduction(convert::introduction(introduction)), now);
    }

    fn release(&mut self, peer: Peer, said: &pb::Release, now: Duration) -> Result<(), Refusal> {
        let (radio, bssid) = (mac(&said.radio), mac(&said.bssid));
        self.matchmaker.admit_radio(peer, radio, now)?;
        if said.gateway_lost {
            self.matchmaker.lost(radio, bssid);
            self.share(Share::Released { radio, bssid });
        } else if let Some(which) = self.matchmaker.release(radio, bssid) {
            self.released(radio, bssid, which, now);
        }
        Ok(())
    }

    /// The BSS is closed, and with it the tunnel that it had with this instance.
    fn released(&mut self, radio: MacAddr, bssid: MacAddr, which: Which, now: Duration) {
        let withdrawal = pb::Withdrawal { bssid: bssid.0.to_vec(), client: Vec::new() };
        self.push(which, Push::Withdrawal(withdrawal), now);
        self.share(Share::Released { radio, bssid });
    }

    fn answer(&mut self, asker: &Asker, answer: Answer) {
        match asker {
            Asker::Local(local) => self.outputs.push_back(Output::Answer { to: *local, answer }),
            Asker::Peer { reply, .. } => self.answer_peer(reply, answer),
        }
    }

    fn answer_peer(&mut self, reply: &ReplyToken, answer: Answer) {
        let mut out = self.sent.pop().unwrap_or_default();
        if let Ok(to) = self.server.answer(reply, answer, &mut entropy, &mut out) {
            self.outputs.push_back(Output::Send(to, out));
        }
    }

    fn push(&mut self, which: Which, push: Push, now: Duration) {
        debug_assert!(is_push(&push), "no instance takes {push:?}");
        match self.routes.get(which) {
            Some(Route::Local(connection)) => self.outputs.push_back(Output::Push { to: connection, push }),
            Some(Route::Process(to)) => self.share(Share::Push { to, which, push }),
            Some(Route::Peer(key)) if self.server.push(&key, push, now).is_ok() => {}
            _ => self.counters.pushes_lost += 1,
        }
    }

    fn pushes(&mut self, now: Duration) {
        let mut out = Vec::new();
        while let Some(output) = self.server.poll_push(now, &mut entropy, &mut out) {
            match output {
                server::PushOutput::Send(to) => self.outputs.push_back(Output::Send(to, out.clone())),
                server::PushOutput::GaveUp { .. } => self.counters.pushes_lost += 1,
            }
        }
    }
}

impl Asker {
    /// Where it is told things, if it is an instance.
    fn route(&self) -> Route {
        match self {
            Asker::Peer { identity, .. } => Route::Peer(identity.key),
            Asker::Local(local) => Route::Local(local.connection),
        }
    }

    fn endpoint(&self) -> Option<SocketAddr> {
        match self {
            Asker::Peer { identity, .. } => Some(identity.endpoint),
            Asker::Local(_) => None,
        }
    }

    /// Which run of its software it is.
    fn run(&self) -> u64 {
        match self {
            Asker::Peer { identity, .. } => identity.instance,
            Asker::Local(_) => 0,
        }
    }
}

fn is_push(push: &Push) -> bool {
    check::push(&pb::Push { id: 0, push: Some(push.clone()) }).is_ok()
}

fn registered(asker: &Asker, lifetime: Duration) -> Answer {
    Answer::Registered(pb::Registered {
        lifetime_seconds: u32::try_from(lifetime.as_secs()).unwrap_or(u32::MAX),
        endpoint: asker.endpoint().map_or_else(String::new, |endpoint| endpoint.to_string()),
    })
}

fn not_for_instances() -> Answer {
    let text = "only a radio that asks by datagram can register".to_owned();
    Answer::Failure(pb::Failure { reason: Reason::Malformed.into(), text, retry_seconds: 0 })
}
