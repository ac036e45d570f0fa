//! RADIUS on behalf of the core: requests run beside it and answer with a message; accounting is durable before it
//! counts as sent.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use authenticator::{Accept, Akm, Msk, RadiusResult};
use radius::{
    accounting::{AccountingConfig, AccountingQueue, AcctRecord},
    client::{
        AccessRequest, Association, AuthClient, ClientConfig, ExchangeError, Nas, Outcome, Reply, Server,
        ServerId,
    },
    packet::{Secret, TerminateCause, TerminationAction, Vlan},
};
use tokio::sync::{mpsc, oneshot};

use crate::{
    StartError,
    config::{Config, RadiusGroup},
    core::{Message, SessionKey},
};

/// One Access-Request to make.
pub(crate) struct Authenticate {
    pub key: SessionKey,
    pub serial: u64,
    pub request: u32,
    /// Name of the RADIUS group.
    pub group: String,
    pub ssid: String,
    pub eap: Vec<u8>,
    pub state: Option<Vec<u8>>,
    pub identity: Vec<u8>,
    pub server: Option<ServerId>,
    pub akm: Option<Akm>,
}

/// What came of it.
pub(crate) struct AaaAnswer {
    pub key: SessionKey,
    /// Of the question.
    pub serial: u64,
    pub request: u32,
    pub server: Option<ServerId>,
    pub chargeable_user_identity: Option<Vec<u8>>,
    pub result: RadiusResult,
}

/// The RADIUS clients.
pub(crate) struct Aaa {
    groups: HashMap<String, Group>,
    messages: mpsc::WeakSender<Message>,
    writer: mpsc::UnboundedSender<Write>,
}

struct Group {
    client: AuthClient,
    accounting: Option<Arc<AccountingQueue>>,
    interim: Duration,
}

/// To the thread that makes records durable: the core does not wait for the disk.
enum Write {
    Record(Arc<AccountingQueue>, Box<AcctRecord>),
    CloseOrphans(Arc<AccountingQueue>, HashSet<String>),
    Flush(oneshot::Sender<()>),
}

impl Aaa {
    pub async fn start(config: &Config, messages: mpsc::WeakSender<Message>) -> Result<Aaa, StartError> {
        let mut groups = HashMap::new();
        for group in &config.radius {
            groups.insert(group.name.clone(), Group::start(config, group).await?);
        }
        let (writer, mut queue) = mpsc::unbounded_channel();
        std::thread::Builder::new()
            .name("accounting".to_owned())
            .spawn(move || {
                while let Some(write) = queue.blocking_recv() {
                    match write {
                        Write::Record(accounting, record) => {
                            if let Err(error) = accounting.submit(*record) {
                                tracing::error!(%error, "an accounting record could not be kept");
                            }
                        }
                        Write::CloseOrphans(accounting, live) => close_orphans(&accounting, &live),
                        Write::Flush(done) => drop(done.send(())),
                    }
                }
            })
            .map_err(|error| StartError::State { path: config.state.clone(), error })?;
        Ok(Aaa { groups, messages, writer })
    }

    /// Asks; the core hears an [`AaaAnswer`] whatever happens.
    pub fn authenticate(&self, ask: Authenticate) {
        let Some(group) = self.groups.get(&ask.group) else { return };
        let client = group.client.clone();
        let Some(messages) = self.messages.upgrade() else { return };
        tokio::spawn(async move {
            let (key, serial, request, group) = (ask.key, ask.serial, ask.request, ask.group.clone());
            let answer = match client.exchange(access_request(ask)).await {
                Ok(reply) => answer(key, serial, request, reply),
                Err(error) => {
                    complain(&group, &error);
                    AaaAnswer {
                        key,
                        serial,
                        request,
                        server: None,
                        chargeable_user_identity: None,
                        result: RadiusResult::TimedOut,
                    }
                }
            };
            let _ = messages.send(Message::Aaa(answer)).await;
        });
    }

    /// Keeps the record until a server of the group has acknowledged it. Groups without accounting servers keep none.
    pub fn account(&self, group: &str, record: AcctRecord) {
        if let Some(accounting) = self.groups.get(group).and_then(|group| group.accounting.clone()) {
            let _ = self.writer.send(Write::Record(accounting, Box::new(record)));
        }
    }

    /// Time between interim updates when the server has not said.
    pub fn interim(&self, group: &str) -> Option<Duration> {
        self.groups.get(group).map(|group| group.interim).filter(|interim| !interim.is_zero())
    }

    /// Records that no server has acknowledged yet.
    pub fn accounting_pending(&self) -> u64 {
        self.groups
            .values()
            .filter_map(|group| group.accounting.as_ref())
            .map(|queue| queue.pending() as u64)
            .sum()
    }

    /// Ends, in accounting, the sessions of an earlier process that nobody carries on: all that are not in `live`.
    pub fn close_orphans(&self, live: HashSet<String>) {
        for accounting in self.groups.values().filter_map(|group| group.accounting.clone()) {
            let _ = self.writer.send(Write::CloseOrphans(accounting, live.clone()));
        }
    }

    /// Resolves when every record handed over is on disk.
    pub async fn flush(&self) {
        let (done, flushed) = oneshot::channel();
        if self.writer.send(Write::Flush(done)).is_ok() {
            let _ = flushed.await;
        }
    }
}

fn close_orphans(accounting: &AccountingQueue, live: &HashSet<String>) {
    /// RFC 2866 §5.10, NAS Error: the process that had the session is gone.
    const NAS_ERROR: TerminateCause = TerminateCause(9);
    let open = match accounting.open_sessions() {
        Ok(open) => open,
        Err(error) => return tracing::error!(%error, "sessions of an earlier run cannot be read"),
    };
    for session in open.iter().filter(|session| !live.contains(&session.session_id)) {
        match accounting.close(&session.session_id, NAS_ERROR, session.last_event) {
            Ok(_) => tracing::info!(
                session = session.session_id,
                "a session of an earlier run is ended in accounting"
            ),
            Err(error) => {
                tracing::error!(%error, session = session.session_id, "a session of an earlier run cannot be ended")
            }
        }
    }
}

impl Group {
    async fn start(config: &Config, group: &RadiusGroup) -> Result<Group, StartError> {
        let radius = |error: &dyn std::error::Error| {
            StartError::Radius(format!("[[radius]] \"{}\": {error}", group.name))
        };
        let secret = Secret::new(group.secret.as_bytes()).map_err(|e| radius(&e))?;
        let nas = Nas { identifier: Some(config.name.clone()), ..Nas::default() };
        let servers = |addresses: &[std::net::SocketAddr]| -> Vec<Server> {
            addresses
                .iter()
                .map(|&address| {
                    let mut server = Server::new(address, secret.clone());
                    server.require_message_authenticator = !group.allow_unsigned_replies;
                    server
                })
                .collect()
        };
        let client = AuthClient::new(ClientConfig::new(servers(&group.auth), nas.clone()))
            .await
            .map_err(|e| radius(&e))?;
        let accounting = if group.acct.is_empty() {
            None
        } else {
            std::fs::create_dir_all(&config.state)
                .map_err(|error| StartError::State { path: config.state.clone(), error })?;
            let path = config.state.join(format!("accounting-{}.redb", group.name));
            let accounting = AccountingConfig::new(ClientConfig::new(servers(&group.acct), nas));
            let queue = AccountingQueue::open(&path, accounting)
                .await
                .map_err(|error| StartError::Accounting(error.to_string()))?;
            tokio::spawn(queue.clone().run(std::future::pending()));
            Some(queue)
        };
        Ok(Group { client, accounting, interim: Duration::from_secs(group.interim_seconds.into()) })
    }
}

fn access_request(ask: Authenticate) -> AccessRequest {
    let association = association(ask.key, &ask.ssid, ask.akm);
    let mut request = AccessRequest::eap(ask.identity, ask.eap, association);
    request.state = ask.state;
    request.server = ask.server;
    request.chargeable_user_identity = true;
    request
}

/// What authentication and accounting both say of a device.
pub(crate) fn association(key: SessionKey, ssid: &str, akm: Option<Akm>) -> Association {
    /// 00-0F-AC:4, CCMP-128 (802.11-2020 table 9-149).
    const CCMP_128: u32 = 0x000F_AC04;
    let protected = akm.is_some();
    Association {
        bssid: key.bssid.0,
        ssid: ssid.as_bytes().to_vec(),
        station: key.mac.0,
        akm_suite: akm.map(|akm| u32::from_be_bytes(akm.selector())),
        pairwise_cipher: protected.then_some(CCMP_128),
        group_cipher: protected.then_some(CCMP_128),
        ..Association::default()
    }
}

fn answer(key: SessionKey, serial: u64, request: u32, reply: Reply) -> AaaAnswer {
    let mut chargeable_user_identity = None;
    let result = match reply.outcome {
        Outcome::Challenge(challenge) => {
            RadiusResult::Challenge { eap: challenge.eap, state: challenge.state, timeout: challenge.timeout }
        }
        Outcome::Accept(accept) => {
            chargeable_user_identity = accept.chargeable_user_identity;
            RadiusResult::Accept(Box::new(Accept {
                eap: accept.eap.unwrap_or_default(),
                msk: Msk(accept.msk.map(|msk| msk.as_bytes().to_vec()).unwrap_or_default()),
                class: accept.class,
                user_name: accept.user_name,
                session_timeout: accept.session_timeout,
                reauthenticate: accept.termination_action == TerminationAction::RadiusRequest,
                vlan: accept.vlan.and_then(|vlan| match vlan {
                    Vlan::Id(id) => Some(id),
                    Vlan::Name(name) => {
                        tracing::warn!(
                            name,
                            "RADIUS assigned a VLAN by name, which is not supported: ignored"
                        );
                        None
                    }
                }),
                // RFC 2869 §5.16: not below 60 s.
                interim_interval: accept
                    .interim_interval
                    .map(|interval| interval.max(Duration::from_secs(60))),
            }))
        }
        Outcome::Reject(reject) => {
            RadiusResult::Reject { eap: reject.eap.unwrap_or_default(), reply_message: reject.reply_message }
        }
    };
    AaaAnswer { key, serial, request, server: Some(reply.server), chargeable_user_identity, result }
}

/// The error says which server, what is wrong and what to do.
fn complain(group: &str, error: &ExchangeError) {
    metrics::counter!("ttg_radius_failed_exchanges_total").increment(1);
    tracing::error!(group, "{error}");
}
