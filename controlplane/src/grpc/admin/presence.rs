//! What the matchmaker knows now: registered radios, networks and their instances; why something is shown; who is refused; draining.

use matchmaker::{
    Explanation, Outcome, Uuid, WhyNot,
    objects::Service,
    presence::{Instance, RadioView},
};
use proto::admin::{
    self, DrainGatewayRequest, DrainGatewayResponse, ExplainRequest, ExplainResponse, ForgiveClientRequest,
    ForgiveClientResponse, ListNetworksRequest, ListNetworksResponse, ListRegisteredRadiosRequest,
    ListRegisteredRadiosResponse,
};
use tonic::Status;
use visibility::Band;

use super::{AdminService, PLACES, page::Page, text};
use crate::{
    core::{Drained, Query},
    matchmaking::Desk,
};

impl AdminService {
    pub(super) async fn registered_radios(
        &self,
        asked: ListRegisteredRadiosRequest,
    ) -> Result<ListRegisteredRadiosResponse, Status> {
        let read = |text: &str| text.parse::<dot11::MacAddr>().ok().map(|mac| mac.0);
        let mut page = Page::asked(asked.page_size, &asked.page_token, read)?;
        let mut from = 0;
        loop {
            let gather = move |desk: &mut Desk, now| {
                for radio in desk.matchmaker.radios_within(from..from + PLACES, now) {
                    let mac = radio.registration.mac.0;
                    if radio.registered && page.wants(|other| mac.cmp(other)) {
                        let account = desk.matchmaker.accounts().id(radio.owner.account);
                        page.add(mac, radio_message(text::account_text(account), &radio));
                    }
                }
                (page, desk.matchmaker.radio_places())
            };
            let places;
            (page, places) = super::there(self.matchmaker()?.ask(gather).await)?;
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
                    page.add(service.uuid, network_message(service, live));
                }
            }
            page.finish()
        };
        let (networks, next) = super::there(self.matchmaker()?.ask(gather).await)?;
        let next_page_token = next.map(|uuid| uuid.to_string()).unwrap_or_default();
        Ok(ListNetworksResponse { networks, next_page_token })
    }

    pub(super) async fn why(&self, asked: ExplainRequest) -> Result<ExplainResponse, Status> {
        let client = text::mac("client", &asked.client)?;
        let radio = text::mac("radio", &asked.radio)?;
        let service =
            (!asked.service.is_empty()).then(|| text::uuid("service", &asked.service)).transpose()?;
        let explain = move |desk: &mut Desk, now| desk.matchmaker.explain(client, radio, service, None, now);
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
        match self.ask(|reply| Query::Drain { gateway, drain, reply }).await? {
            Drained::Done { changed } => Ok(DrainGatewayResponse { changed }),
            Drained::NoGateway => Err(Status::not_found(format!(
                "gateway: no gateway `{name}` is attached; `ttgctl gateways` shows which are"
            ))),
            Drained::NoMatchmaker => Err(super::no_matchmaker()),
        }
    }
}

fn radio_message(account: String, radio: &RadioView) -> admin::RegisteredRadio {
    let said = &radio.registration;
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
    }
}

fn network_message<'a>(service: &Service, instances: impl Iterator<Item = &'a Instance>) -> admin::Network {
    admin::Network {
        uuid: service.uuid.to_string(),
        ssid: String::from_utf8_lossy(service.ssid.as_bytes()).into_owned(),
        security: service.security.to_string(),
        account: text::account_text(service.owner.account()),
        policy: text::policy_message(&service.policy),
        instances: instances.map(instance_message).collect(),
    }
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

fn explanation_message(explanation: &Explanation) -> admin::Explanation {
    let mut message = admin::Explanation {
        service: explanation.service.to_string(),
        text: explanation.to_string(),
        ..admin::Explanation::default()
    };
    match &explanation.outcome {
        Outcome::Offered { binding, policy, .. } => {
            (message.offered, message.binding) = (true, *binding);
            message.policy = text::policy_message(policy);
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
