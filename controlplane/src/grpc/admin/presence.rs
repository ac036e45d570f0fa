//! What the matchmaker knows now: registered radios, networks and their instances; why something is shown; who is refused; draining.

use std::time::Duration;

use matchmaker::{
    Change, Explanation, Ground, Outcome, Unknown, Uuid, WhyNot,
    objects::{AccountId, Owner, Radio, Service},
    presence::{Instance, Location, RadioView},
};
use proto::admin::{
    self, CreateRadioRequest, CreateRadioResponse, DeleteNetworkRequest, DeleteNetworkResponse,
    DeleteRadioRequest, DeleteRadioResponse, DrainGatewayRequest, DrainGatewayResponse, ExplainRequest,
    ExplainResponse, ForgiveClientRequest, ForgiveClientResponse, GetNetworkRequest,
    GetRegisteredRadioRequest, ListNetworksRequest, ListNetworksResponse, ListRegisteredRadiosRequest,
    ListRegisteredRadiosResponse, UpdateNetworkRequest,
};
use records::Draft;
use tonic::Status;
use visibility::{Band, Policy, Verdict};

use super::{AdminService, PLACES, PLANS, page::Page, text};
use crate::{
    core::{Drained, Query},
    matchmaking::{Desk, NotDurable},
};

impl AdminService {
    pub(super) async fn registered_radios(
        &self,
        asked: ListRegisteredRadiosRequest,
    ) -> Result<ListRegisteredRadiosResponse, Status> {
        let read = |text: &str| text.parse::<dot11::MacAddr>().ok().map(|mac| mac.0);
        let mut page = Page::asked(asked.page_size, &asked.page_token, read)?;
        let mut wanted = Radios::read("filter", asked.filter.as_ref())?;
        let mut from = 0;
        loop {
            let gather = move |desk: &mut Desk, now| {
                for radio in desk.matchmaker.radios_within(from..from + PLACES, now) {
                    let mac = radio.registration.mac.0;
                    if wanted.wants(desk, &radio) && page.wants(|other| mac.cmp(other)) {
                        page.add(mac, radio_message(desk, &radio));
                    }
                }
                (page, wanted, desk.matchmaker.radio_places())
            };
            let places;
            (page, wanted, places) = super::there(self.matchmaker()?.ask(gather).await)?;
            from += PLACES;
            if from >= places {
                break;
            }
        }
        let (radios, next) = page.finish();
        let next_page_token = next.map(|mac| dot11::MacAddr(mac).to_string()).unwrap_or_default();
        Ok(ListRegisteredRadiosResponse { radios, next_page_token })
    }

    pub(super) async fn networks(&self, asked: ListNetworksRequest) -> Result<ListNetworksResponse, Status> {
        let read = |text: &str| text.parse::<Uuid>().ok();
        let mut page = Page::asked(asked.page_size, &asked.page_token, read)?;
        let gather = move |desk: &mut Desk, now| {
            for (service, instances) in desk.matchmaker.services() {
                if page.wants(|other| service.uuid.cmp(other)) {
                    let live = instances.iter().filter(|instance| instance.is_live(now));
                    let policy = desk.matchmaker.policy_of(service.uuid).copied().unwrap_or_default();
                    page.add(service.uuid, network_message(service, &policy, live));
                }
            }
            page.finish()
        };
        let (networks, next) = super::there(self.matchmaker()?.ask(gather).await)?;
        let next_page_token = next.map(|uuid| uuid.to_string()).unwrap_or_default();
        Ok(ListNetworksResponse { networks, next_page_token })
    }

    pub(super) async fn network(&self, asked: GetNetworkRequest) -> Result<admin::Network, Status> {
        let uuid = text::uuid("uuid", &asked.uuid)?;
        let found = super::there(self.matchmaker()?.ask(move |desk, now| network(desk, uuid, now)).await)?;
        found.ok_or_else(|| no_network(uuid))
    }

    pub(super) async fn update_network(&self, asked: UpdateNetworkRequest) -> Result<admin::Network, Status> {
        let uuid = text::uuid("uuid", &asked.uuid)?;
        let policy = asked.policy.as_ref().map(|policy| text::policy(Some(policy))).transpose()?;
        if let Some(url) = &asked.capture_url
            && (!(url.is_empty() || url.starts_with("http://") || url.starts_with("https://"))
                || url.len() > 1024
                || url.contains(|c: char| c.is_control() || c.is_whitespace()))
        {
            return Err(text::invalid(
                "capture_url",
                format!("`{url}` is no URL such as https://portal.example.org/ of at most 1024 characters"),
            ));
        }
        for _ in 0..PLANS {
            let find = move |desk: &mut Desk, _| {
                let configured = desk.matchmaker.configured_policy(uuid).is_some();
                desk.matchmaker.service(uuid).cloned().map(|service| (service, configured))
            };
            let (seen, configured) =
                super::there(self.matchmaker()?.ask(find).await)?.ok_or_else(|| no_network(uuid))?;
            if policy.is_some() && configured {
                return Err(Status::failed_precondition(format!(
                    "policy: that of service {uuid} is of the configuration: change it in its [[service]] there and restart control"
                )));
            }
            let mut service = seen.clone();
            if let Some(policy) = policy {
                service.policy = policy;
            }
            if let Some(url) = &asked.capture_url {
                service.capture_url.clone_from(url);
            }
            // What others say of it meanwhile, also at other processes, is not to be undone.
            let draft = Draft::change_if(Some(Change::PutService(seen)), Change::PutService(service));
            match self.try_commit(draft).await? {
                Ok(_) => return self.network(GetNetworkRequest { uuid: asked.uuid }).await,
                Err(NotDurable { changed: Some(_), .. }) => {}
                Err(why) => return Err(super::not_durable(why)),
            }
        }
        Err(Status::aborted(format!(
            "uuid: others change service {uuid} all the time, and nothing was changed for you: do it again; if it stays so, look for \
             gateways that describe the service differently"
        )))
    }

    pub(super) async fn remove_network(
        &self,
        asked: DeleteNetworkRequest,
    ) -> Result<DeleteNetworkResponse, Status> {
        let uuid = text::uuid("uuid", &asked.uuid)?;
        let find = move |desk: &mut Desk, now| {
            desk.matchmaker.service(uuid)?;
            let served = desk.matchmaker.instances(uuid).iter().any(|instance| instance.is_live(now));
            Some((served, desk.matchmaker.bindings().of_service(uuid).next().is_some()))
        };
        let in_use = match super::there(self.matchmaker()?.ask(find).await)? {
            None => return Err(no_network(uuid)),
            Some((true, _)) => "a gateway serves it; remove it from that one's control",
            Some((_, true)) => "it has bindings; `ttgctl bindings` shows them",
            Some((false, false)) => {
                self.commit(Draft::Change(Change::DeleteService(uuid))).await?;
                return Ok(DeleteNetworkResponse {});
            }
        };
        Err(Status::failed_precondition(format!("uuid: service {uuid} is in use: {in_use}")))
    }

    pub(super) async fn registered_radio(
        &self,
        asked: GetRegisteredRadioRequest,
    ) -> Result<admin::RegisteredRadio, Status> {
        let mac = text::mac("radio", &asked.radio)?;
        let find = move |desk: &mut Desk, now| {
            let radio = desk.matchmaker.radio(mac, now).filter(is_known)?;
            Some(radio_message(desk, &radio))
        };
        let found = super::there(self.matchmaker()?.ask(find).await)?;
        found.ok_or_else(|| {
            Status::not_found(format!(
                "radio: nothing is known of {mac}: it is not registered, and there is no record of it; `ttgctl radios --registered` shows which \
                 are, `ttgctl radios --recorded` of which there is one"
            ))
        })
    }

    pub(super) async fn new_radio(&self, asked: CreateRadioRequest) -> Result<CreateRadioResponse, Status> {
        let mac = text::device("radio", &asked.radio)?;
        let account = text::account("account", &asked.account)?;
        self.known(&account).await?.ok_or_else(|| super::objects::no_account("account", &account))?;
        let radio = Radio { mac, owner: Owner::Account(account) };
        let outcome = self.commit(Draft::Change(Change::PutRadio(radio))).await?;
        Ok(CreateRadioResponse { created: outcome.made })
    }

    pub(super) async fn remove_radio(
        &self,
        asked: DeleteRadioRequest,
    ) -> Result<DeleteRadioResponse, Status> {
        let mac = text::mac("radio", &asked.radio)?;
        let known = self.matchmaker()?.ask(move |desk, now| desk.matchmaker.radio(mac, now).is_some()).await;
        let known = super::there(known)?;
        // Also if it only registered: then that ends.
        let outcome = self.commit(Draft::Change(Change::DeleteRadio(mac))).await?;
        if !outcome.made && !known {
            return Err(Status::not_found(format!("radio: nothing is known of {mac}")));
        }
        Ok(DeleteRadioResponse {})
    }

    pub(super) async fn why(&self, asked: ExplainRequest) -> Result<ExplainResponse, Status> {
        let client = text::mac("client", &asked.client)?;
        let radio = text::mac("radio", &asked.radio)?;
        let service =
            (!asked.service.is_empty()).then(|| text::uuid("service", &asked.service)).transpose()?;
        let signal = text::dbm("rssi_dbm", asked.rssi_dbm)?;
        let explain =
            move |desk: &mut Desk, now| desk.matchmaker.explain(client, radio, service, signal, now);
        let explanations = super::there(self.matchmaker()?.ask(explain).await)?;
        Ok(ExplainResponse { explanations: explanations.iter().map(explanation_message).collect() })
    }

    pub(super) async fn forgive(&self, asked: ForgiveClientRequest) -> Result<ForgiveClientResponse, Status> {
        let client = text::mac("client", &asked.client)?;
        let forgive = move |desk: &mut Desk, now| desk.forgive(client, now);
        let was_refused = super::there(self.matchmaker()?.ask(forgive).await)?;
        Ok(ForgiveClientResponse { was_refused })
    }

    pub(super) async fn drain(&self, asked: DrainGatewayRequest) -> Result<DrainGatewayResponse, Status> {
        let DrainGatewayRequest { gateway, drain } = asked;
        let name = gateway.clone();
        if name.contains(char::is_control) {
            return Err(text::invalid("gateway", "a name of one line"));
        }
        // One after the other, so that what is on disk last is what holds.
        let mut file = self.control.drained.lock().await;
        match self.ask(|reply| Query::Drain { gateway, drain, reply }).await? {
            Drained::Done { changed, all } => {
                let written = match &self.control.matchmaker {
                    Some(_) if drain => self.try_commit(Draft::Change(Change::PutDrained(name))).await?,
                    Some(_) => self.try_commit(Draft::Change(Change::DeleteDrained(name))).await?,
                    None => {
                        let written = file.write(all).await.map_err(|error| error.to_string());
                        return written
                            .map(|()| DrainGatewayResponse { changed })
                            .map_err(|e| not_written(&e));
                    }
                };
                written.map_err(|why| not_written(&why.text))?;
                Ok(DrainGatewayResponse { changed })
            }
            Drained::NoGateway => Err(Status::not_found(format!(
                "gateway: no gateway `{name}` is attached; `ttgctl gateways` shows which are"
            ))),
            Drained::NoMatchmaker => Err(super::no_matchmaker()),
        }
    }
}

fn not_written(error: &str) -> Status {
    Status::unavailable(format!(
        "it holds until control restarts, because it cannot be written down ({error}); say it again when that is mended"
    ))
}

/// Which radios are meant.
#[derive(Debug, Clone, Default)]
pub(super) struct Radios {
    registered: bool,
    recorded: bool,
    /// As messages have it.
    account: Option<String>,
}

impl Radios {
    pub fn read(field: &str, said: Option<&admin::RadioFilter>) -> Result<Radios, Status> {
        let Some(said) = said else { return Ok(Radios::default()) };
        let read = |account: &String| text::account_or_none(&format!("{field}.account"), account);
        let account = said.account.as_ref().map(read).transpose()?;
        let account = account.map(|account| text::account_text(account.as_ref()));
        Ok(Radios { registered: said.registered, recorded: said.recorded, account })
    }

    fn wants(&self, desk: &Desk, radio: &RadioView) -> bool {
        let account = || desk.matchmaker.accounts().id(radio.owner.account).map_or("", AccountId::as_str);
        is_known(radio) && self.want(radio.registered, radio.recorded, account)
    }

    /// The same of one that a watcher is to be told of.
    pub fn wants_message(&self, radio: &admin::RegisteredRadio) -> bool {
        self.want(radio.registered, radio.recorded, || &radio.account)
    }

    fn want<'a>(&self, registered: bool, recorded: bool, account: impl FnOnce() -> &'a str) -> bool {
        (registered || !self.registered)
            && (recorded || !self.recorded)
            && self.account.as_ref().is_none_or(|wanted| wanted == account())
    }
}

/// Not one whose time is over, and which is not swept away yet.
pub(super) fn is_known(radio: &RadioView) -> bool {
    radio.registered || radio.recorded
}

pub(super) fn radio_message(desk: &Desk, radio: &RadioView) -> admin::RegisteredRadio {
    let account = text::account_text(desk.matchmaker.accounts().id(radio.owner.account));
    let said = &radio.registration;
    if !radio.registered {
        // What it said when it was is not how it is.
        let (radio, recorded) = (said.mac.to_string(), radio.recorded);
        return admin::RegisteredRadio { radio, account, recorded, ..admin::RegisteredRadio::default() };
    }
    admin::RegisteredRadio {
        radio: said.mac.to_string(),
        endpoint: said.endpoint.to_string(),
        account,
        band: match said.band {
            Band::Ghz2_4 => "2.4 GHz",
            Band::Ghz5 => "5 GHz",
            Band::Ghz6 => "6 GHz",
        }
        .to_owned(),
        channel: said.channel.into(),
        bssids: said.bssids.into(),
        up_kbps: said.up_kbps,
        down_kbps: said.down_kbps,
        load_permille: said.load_permille.into(),
        until_unix_ms: text::unix_ms(radio.until),
        neighbours: said.neighbours.iter().map(ToString::to_string).collect(),
        location: said.location.as_ref().map(location_message),
        capabilities: capability_names(said.capabilities),
        registered: true,
        recorded: radio.recorded,
    }
}

fn location_message(said: &Location) -> admin::Location {
    let degrees = |e7: i32| f64::from(e7) / 1e7;
    admin::Location {
        latitude: degrees(said.latitude_e7),
        longitude: degrees(said.longitude_e7),
        civic: said.civic.to_string(),
    }
}

/// Of the bits of `RegisterRadio.capabilities`.
fn capability_names(bits: u8) -> Vec<String> {
    const NAMES: [&str; 4] = ["5 GHz", "HT", "VHT", "HE"];
    let set = (0..8).filter(|bit| bits >> bit & 1 != 0);
    set.map(|bit| NAMES.get(bit).map_or_else(|| format!("bit {bit}"), |&name| name.to_owned())).collect()
}

/// A service and its instances, if it is known.
pub(super) fn network(desk: &Desk, uuid: Uuid, now: Duration) -> Option<admin::Network> {
    let instances = desk.matchmaker.instances(uuid).iter().filter(|instance| instance.is_live(now));
    let policy = desk.matchmaker.policy_of(uuid)?;
    Some(network_message(desk.matchmaker.service(uuid)?, policy, instances))
}

fn network_message<'a>(
    service: &Service,
    policy: &Policy,
    instances: impl Iterator<Item = &'a Instance>,
) -> admin::Network {
    admin::Network {
        uuid: service.uuid.to_string(),
        ssid: String::from_utf8_lossy(service.ssid.as_bytes()).into_owned(),
        security: service.security.to_string(),
        account: text::account_text(service.owner.account()),
        policy: text::policy_message(policy),
        instances: instances.map(instance_message).collect(),
        capture_url: service.capture_url.clone(),
    }
}

fn no_network(uuid: Uuid) -> Status {
    Status::not_found(format!("uuid: no service {uuid} is known; `ttgctl networks` shows which are"))
}

fn instance_message(instance: &Instance) -> admin::Instance {
    admin::Instance {
        id: Uuid::from_bytes(instance.id).simple().to_string(),
        endpoints: instance.endpoints.iter().map(ToString::to_string).collect(),
        load_permille: instance.load.load_permille.into(),
        sessions: instance.load.sessions,
        admissions_per_second: instance.load.admissions_per_second,
        draining: instance.load.draining,
        until_unix_ms: text::unix_ms(instance.expires),
    }
}

/// Of the policy.
fn field(unknown: &Unknown) -> &'static str {
    match unknown {
        Unknown::Signal(_) => "min_rssi_dbm",
        Unknown::Mobility(_) => "max_mobility",
        Unknown::Clients(_) => "max_clients",
        Unknown::Up(_) => "min_up_kbps",
        Unknown::Down(_) => "min_down_kbps",
        Unknown::Near(_) => "delay_ms",
        Unknown::Steered(_) => "steer_delay_ms",
        Unknown::Home => "yields_to_home",
    }
}

fn explanation_message(explanation: &Explanation) -> admin::Explanation {
    let mut message = admin::Explanation {
        service: explanation.service.to_string(),
        text: explanation.to_string(),
        ..admin::Explanation::default()
    };
    match &explanation.outcome {
        Outcome::Offered { binding, ground, policy, judged } => {
            message.ground = match ground {
                Ground::Bound => "bound",
                Ground::Predicted => "predicted",
                Ground::IfAsked => "asked",
            }
            .to_owned();
            (message.offered, message.binding) = (true, *binding);
            message.policy = text::policy_message(policy);
            message.verdict = match judged.verdict {
                Verdict::No(_) => "not_shown",
                _ if judged.unknown.is_empty() => "shown",
                _ => "depends",
            }
            .to_owned();
            message.rssi_dbm = judged.signal.map(|signal| signal.dbm.into());
            let age = judged.signal.and_then(|signal| signal.age);
            message.heard_seconds = age.map(|age| u32::try_from(age.as_secs()).unwrap_or(u32::MAX));
            message.unknown = judged.unknown.iter().map(|unknown| field(unknown).to_owned()).collect();
        }
        Outcome::Not(why) => {
            let (reason, binding) = match why {
                WhyNot::NoRadio => ("no_radio", 0),
                WhyNot::NoService => ("no_service", 0),
                WhyNot::Refused(_) => ("refused", 0),
                WhyNot::NoBinding => ("no_binding", 0),
                WhyNot::OutOfReach(id, _) => ("out_of_reach", *id),
                WhyNot::NoInstance(id) => ("no_instance", *id),
            };
            (message.reason, message.binding) = (reason.to_owned(), binding);
            if let WhyNot::Refused(rest) = why {
                message.refused_seconds = u32::try_from(rest.as_secs().max(1)).unwrap_or(u32::MAX);
            }
        }
    }
    message
}
