//! What is there now, of this control process: sessions, virtual BSSes, its services and gateways, in pages.

use dot11::MacAddr;
use proto::admin::{
    self, ListGatewaysRequest, ListGatewaysResponse, ListRadiosRequest, ListRadiosResponse,
    ListServicesRequest, ListServicesResponse, ListSessionsRequest, ListSessionsResponse,
};
use tonic::Status;

use super::{AdminService, page, page::Page, text};
use crate::{
    Control,
    core::{Query, SessionKey, SessionsOf},
};

impl AdminService {
    pub(super) async fn sessions(&self, asked: ListSessionsRequest) -> Result<ListSessionsResponse, Status> {
        let of = sessions_of(&asked.client, &asked.service)?;
        let read = |text: &str| pair(text).map(|(bssid, mac)| SessionKey { bssid, mac });
        let (size, mut after) = page::size_and_token(asked.page_size, &asked.page_token, read)?;
        let mut sessions = Vec::new();
        loop {
            let most = size - sessions.len();
            let part = self.ask(|reply| Query::Sessions { of, after, most, reply }).await?;
            sessions.extend(part.sessions);
            after = part.more;
            if after.is_none() || sessions.len() == size {
                break;
            }
        }
        let next_page_token = after.map(|key| format!("{} {}", key.bssid, key.mac)).unwrap_or_default();
        Ok(ListSessionsResponse { sessions, next_page_token })
    }

    pub(super) async fn radios(&self, asked: ListRadiosRequest) -> Result<ListRadiosResponse, Status> {
        let (most, after) = page::size_and_token(asked.page_size, &asked.page_token, pair)?;
        let (radios, more) = self.ask(|reply| Query::Radios { after, most, reply }).await?;
        let token = |radio: &admin::Radio| format!("{} {}", radio.radio, radio.bssid);
        let next_page_token = radios.last().filter(|_| more).map(token).unwrap_or_default();
        Ok(ListRadiosResponse { radios, next_page_token })
    }

    pub(super) async fn services(&self, asked: ListServicesRequest) -> Result<ListServicesResponse, Status> {
        let read = |text: &str| text.split_once(' ').map(|(uuid, ssid)| (ssid.to_owned(), uuid.to_owned()));
        let mut page = Page::asked(asked.page_size, &asked.page_token, read)?;
        for service in self.ask(Query::Services).await? {
            page.add((service.ssid.clone(), service.uuid.clone()), service);
        }
        let (services, next) = page.finish();
        let token = |(ssid, uuid)| format!("{uuid} {ssid}");
        Ok(ListServicesResponse { services, next_page_token: next.map(token).unwrap_or_default() })
    }

    pub(super) async fn gateways(&self, asked: ListGatewaysRequest) -> Result<ListGatewaysResponse, Status> {
        let mut page = Page::asked(asked.page_size, &asked.page_token, |text| Some(text.to_owned()))?;
        for gateway in self.ask(Query::Gateways).await? {
            page.add(gateway.name.clone(), gateway);
        }
        let (gateways, next) = page.finish();
        Ok(ListGatewaysResponse { gateways, next_page_token: next.unwrap_or_default() })
    }
}

/// Which sessions are asked for.
pub(super) fn sessions_of(client: &str, service: &str) -> Result<SessionsOf, Status> {
    let client = (!client.is_empty()).then(|| text::mac("client", client)).transpose()?;
    let service = (!service.is_empty()).then(|| text::uuid("service", service)).transpose()?;
    Ok(SessionsOf { client, service })
}

/// All of these sessions, a part at a time. `None`: control has ended.
pub(super) async fn all_sessions(control: &Control, of: SessionsOf) -> Option<Vec<admin::Session>> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let part = control.ask(|reply| Query::Sessions { of, after, most: page::MAX, reply }).await?;
        all.extend(part.sessions);
        after = part.more;
        if after.is_none() {
            return Some(all);
        }
    }
}

/// All virtual BSSes, a part at a time.
pub(super) async fn all_radios(control: &Control) -> Option<Vec<admin::Radio>> {
    let (mut all, mut after) = (Vec::<admin::Radio>::new(), None);
    loop {
        let (radios, more) = control.ask(|reply| Query::Radios { after, most: page::MAX, reply }).await?;
        all.extend(radios);
        after = all.last().and_then(|radio| Some((radio.radio.parse().ok()?, radio.bssid.parse().ok()?)));
        if !more || after.is_none() {
            return Some(all);
        }
    }
}

fn pair(text: &str) -> Option<(MacAddr, MacAddr)> {
    let (first, second) = text.split_once(' ')?;
    Some((first.parse().ok()?, second.parse().ok()?))
}
