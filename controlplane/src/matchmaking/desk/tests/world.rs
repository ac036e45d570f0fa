//! A desk with peers that speak to it by datagrams, and a store that does at once, or never, what it is asked: no socket and no clock.

use std::{collections::HashMap, net::SocketAddr};

use dot11::MacAddr;
use matchmaker::{
    Uuid,
    objects::{NewBinding, Origin, Pattern},
};
use proto::matchmaking::{
    Key, PublicKey, StaticSecret,
    peer::{self, Peer},
};
use records::{Committed, Outcome};

use super::*;

pub(super) const BSSID: MacAddr = MacAddr([2, 0xaa, 0, 0, 0, 1]);
pub(super) const HOME: Uuid = Uuid::from_u128(1);
pub(super) const PHONE: MacAddr = MacAddr([2, 0, 0, 0, 0, 7]);
pub(super) const RADIO: MacAddr = MacAddr([0, 0, 0, 0, 0, 9]);
pub(super) const SESSION: [u8; 16] = [5; 16];

const HERE: &str = "192.0.2.1:5248";

pub(super) struct World {
    pub desk: Desk,
    pub now: Duration,
    /// What the store is asked is kept, and not done.
    pub store_hangs: bool,
    pub kept: Vec<Output>,
    public: PublicKey,
    version: Version,
    mail: HashMap<SocketAddr, Vec<Vec<u8>>>,
    bindings: u64,
    clients: u8,
}

/// A radio or an instance.
pub(super) struct Client {
    peer: Peer,
    pub at: SocketAddr,
    pub pushed: Vec<Push>,
    config: peer::Config,
}

impl World {
    pub fn new() -> World {
        World::with(server::Limits::default(), Settings::default())
    }

    /// One with a radio and a gateway, between which there is a tunnel.
    pub fn introduced() -> (World, Client, Client) {
        let mut world = World::new();
        let (mut radio, mut gateway) = (world.client(), world.client());
        world.radio(&mut radio, RADIO);
        world.instance(&mut gateway, HOME, 1);
        world.bind(None, HOME, None);
        assert!(matches!(world.ask(&mut radio, connect(PHONE, HOME)), Answer::Connected(_)));
        (world, radio, gateway)
    }

    pub fn with(limits: server::Limits, settings: Settings) -> World {
        let state = tempfile::tempdir().unwrap();
        let keys = keys::load_or_make(&state.path().join("matchmaker.key")).unwrap();
        let public = keys.secret.public();
        let config = server::Config {
            secret: keys.secret,
            tickets: server::TicketKeys::new(&keys.ticket, None),
            ticket_lifetime: Duration::from_secs(12 * 3600),
            epoch: 1,
            limits,
        };
        let now = Duration::from_secs(1_000_000);
        World {
            desk: Desk::new(config, settings, None, now),
            now,
            store_hangs: false,
            kept: Vec::new(),
            public,
            version: 0,
            mail: HashMap::new(),
            bindings: 0,
            clients: 0,
        }
    }

    pub fn client(&mut self) -> Client {
        self.client_of(None)
    }

    /// With the name and the key of its account.
    pub fn client_of(&mut self, account: Option<(&str, [u8; 32])>) -> Client {
        let config = peer::Config {
            secret: StaticSecret::generate(&mut entropy),
            matchmaker: self.public,
            account: account.map(|(name, key)| (name.to_owned(), Key(key))),
            software: "test".into(),
            instance: 1,
            patience: Duration::from_secs(20),
        };
        self.started(config)
    }

    /// The same one, of which nothing but its key is left.
    pub fn restarted(&mut self, client: Client) -> Client {
        self.started(peer::Config { instance: client.config.instance + 1, ..client.config })
    }

    fn started(&mut self, config: peer::Config) -> Client {
        self.clients += 1;
        let mut peer = Peer::new(config.clone(), &mut entropy);
        peer.set_addresses(&[HERE.parse().unwrap()]);
        let at = SocketAddr::from(([198, 51, 100, self.clients], 5247));
        Client { peer, at, pushed: Vec::new(), config }
    }

    pub fn change(&mut self, change: Change) {
        self.version += 1;
        self.desk.step(self.version, &[change]);
    }

    /// An answer, at once or after the peer has repeated itself.
    pub fn ask(&mut self, client: &mut Client, request: Request) -> Answer {
        self.try_ask(client, request).expect("an answer")
    }

    /// `None`: it gives up.
    pub fn try_ask(&mut self, client: &mut Client, request: Request) -> Option<Answer> {
        let wanted = client.peer.request(request, self.now).unwrap();
        loop {
            if let Some(answer) = self.exchange(client, Some(wanted)) {
                return answer;
            }
            let next = client.peer.deadline().expect("it repeats or gives up");
            self.now = self.now.max(next);
        }
    }

    /// What was sent to it meanwhile.
    pub fn deliver(&mut self, client: &mut Client) {
        self.exchange(client, None);
    }

    pub fn refusal(&mut self, client: &mut Client, request: Request) -> (Reason, u32) {
        match self.ask(client, request) {
            Answer::Failure(failure) => (failure.reason(), failure.retry_seconds),
            other => panic!("{other:?}"),
        }
    }

    fn exchange(&mut self, client: &mut Client, wanted: Option<u32>) -> Option<Option<Answer>> {
        loop {
            self.outputs();
            for mut datagram in self.mail.remove(&client.at).unwrap_or_default() {
                client.peer.datagram(HERE.parse().unwrap(), &mut datagram, self.now);
            }
            let output = client.peer.poll_output(self.now, &mut entropy)?;
            match output {
                peer::Output::Send { mut datagram, .. } => {
                    self.desk.datagrams([(client.at, &mut datagram[..])].into_iter(), self.now)
                }
                peer::Output::Answered { id, answer } if Some(id) == wanted => return Some(answer.ok()),
                peer::Output::Pushed(push) => client.pushed.push(push),
                _ => {}
            }
        }
    }

    /// Does what the desk wants done.
    pub fn outputs(&mut self) {
        while let Some(output) = self.desk.poll_output() {
            match output {
                Output::Send(to, datagram) => self.mail.entry(to).or_default().push(datagram),
                Output::Commit { .. } | Output::Account { .. } if self.store_hangs => self.kept.push(output),
                Output::Commit { number, drafts } => self.commit(number, drafts),
                Output::Account { number, report } => {
                    self.kept.push(Output::Account { number, report });
                    self.desk.accounted(number, Ok(()));
                }
                other => self.kept.push(other),
            }
        }
    }

    pub fn commit(&mut self, number: u64, drafts: Vec<Draft>) {
        self.version += 1;
        let outcomes = drafts.into_iter().map(|draft| Outcome { change: self.made(draft), made: true });
        let committed = Committed { outcomes: outcomes.collect(), version: self.version };
        self.desk.committed(number, Ok(committed), self.now);
    }

    fn made(&mut self, draft: Draft) -> Change {
        match draft {
            Draft::Change(change) | Draft::ChangeIf { change, .. } => change,
            Draft::NewBinding { account, binding } => {
                self.bindings += 1;
                Change::PutBinding { account, binding: binding.with_id(self.bindings) }
            }
            other => panic!("{other:?}"),
        }
    }

    /// A binding of the pool, or of an account.
    pub fn bind(&mut self, account: Option<&str>, service: Uuid, client: Option<MacAddr>) {
        let binding = NewBinding {
            service,
            client: client.map_or(Pattern::Any, Pattern::Exactly),
            radio: Pattern::Any,
            policy: Default::default(),
            origin: Origin::Administrator,
        };
        let account = account.map(|name| name.parse().unwrap());
        let change = self.made(Draft::NewBinding { account, binding });
        self.change(change);
    }

    /// Registers a radio.
    pub fn radio(&mut self, client: &mut Client, mac: MacAddr) {
        let said = pb::RegisterRadio { radio: mac.0.to_vec(), channel: 6, bssids: 4, ..Default::default() };
        let answer = self.ask(client, Request::RegisterRadio(said));
        assert!(matches!(answer, Answer::Registered(_)), "{answer:?}");
    }

    /// Registers an instance.
    pub fn instance(&mut self, client: &mut Client, service: Uuid, instance: u8) {
        let answer = self.ask(client, register(service, instance));
        assert!(matches!(answer, Answer::Registered(_)), "{answer:?}");
    }
}

impl Client {
    /// How many introductions it was told of.
    pub fn introductions(&self) -> usize {
        self.pushed.iter().filter(|push| matches!(push, Push::Introduction(_))).count()
    }

    /// Of which virtual BSSes as a whole it was told that they are gone.
    pub fn withdrawals(&self) -> Vec<Vec<u8>> {
        let withdrawn = |push: &Push| match push {
            Push::Withdrawal(said) if said.client.is_empty() => Some(said.bssid.clone()),
            _ => None,
        };
        self.pushed.iter().filter_map(withdrawn).collect()
    }
}

pub(super) fn register(service: Uuid, instance: u8) -> Request {
    Request::RegisterService(pb::RegisterService {
        service: service.as_bytes().to_vec(),
        instance: vec![instance; 16],
        ssid: "net".into(),
        security: pb::Security::Open.into(),
        endpoints: vec!["192.0.2.2:5247".into()],
        ..Default::default()
    })
}

pub(super) fn unregister(service: Uuid, instance: u8) -> Request {
    Request::Unregister(pb::Unregister {
        service: service.as_bytes().to_vec(),
        instance: vec![instance; 16],
        ..Default::default()
    })
}

pub(super) fn connect(client: MacAddr, service: Uuid) -> Request {
    Request::Connect(pb::Connect {
        radio: RADIO.0.to_vec(),
        client: client.0.to_vec(),
        service: service.as_bytes().to_vec(),
        bssid: BSSID.0.to_vec(),
        session_id: SESSION.to_vec(),
        rssi_dbm: -60,
        ..Default::default()
    })
}
