//! Devices that there is a record of, and those that are refused.

use std::time::Duration;

use dot11::MacAddr;
use matchmaker::{Change, ClientView, objects::Client};
use proto::admin::{
    self, CreateClientRequest, CreateClientResponse, DeleteClientRequest, DeleteClientResponse,
    GetClientRequest, ListClientsRequest, ListClientsResponse,
};
use records::Draft;
use tonic::Status;

use super::{
    AdminService,
    page::{self, Page},
    text,
};
use crate::matchmaking::Desk;

/// Octets of a name.
const MAX_NAME: usize = 128;

impl AdminService {
    pub(super) async fn clients(&self, asked: ListClientsRequest) -> Result<ListClientsResponse, Status> {
        let read = |text: &str| text.parse::<MacAddr>().ok();
        let (size, after) = page::size_and_token(asked.page_size, &asked.page_token, read)?;
        let mut page = Page::asked(asked.page_size, &asked.page_token, read)?;
        let gather = move |desk: &mut Desk, now| {
            for client in desk.matchmaker.clients(after, size + 1, now) {
                if page.wants(|other: &MacAddr| client.mac.cmp(other)) {
                    page.add(client.mac, message(&client));
                }
            }
            page.finish()
        };
        let (clients, next) = super::there(self.matchmaker()?.ask(gather).await)?;
        let next_page_token = next.map(|mac| mac.to_string()).unwrap_or_default();
        Ok(ListClientsResponse { clients, next_page_token })
    }

    pub(super) async fn client(&self, asked: GetClientRequest) -> Result<admin::Client, Status> {
        let mac = text::mac("client", &asked.client)?;
        let found = super::there(self.matchmaker()?.ask(move |desk, now| of(desk, mac, now)).await)?;
        found.ok_or_else(|| {
            Status::not_found(format!(
                "client: there is no record of {mac}, and it is not refused; `ttgctl clients` shows of whom there is one"
            ))
        })
    }

    pub(super) async fn new_client(
        &self,
        asked: CreateClientRequest,
    ) -> Result<CreateClientResponse, Status> {
        let mac = text::device("client", &asked.client)?;
        let name = asked.name;
        if name.len() > MAX_NAME || name.contains(char::is_control) {
            return Err(text::invalid(
                "name",
                format!("one line of at most {MAX_NAME} octets, such as Anna's phone"),
            ));
        }
        let outcome = self.commit(Draft::Change(Change::PutClient(Client { mac, name }))).await?;
        let client = super::there(self.matchmaker()?.ask(move |desk, now| of(desk, mac, now)).await)?;
        Ok(CreateClientResponse { client, created: outcome.made })
    }

    pub(super) async fn remove_client(
        &self,
        asked: DeleteClientRequest,
    ) -> Result<DeleteClientResponse, Status> {
        let mac = text::mac("client", &asked.client)?;
        if !self.commit(Draft::Change(Change::DeleteClient(mac))).await?.made {
            return Err(Status::not_found(format!(
                "client: there is no record of {mac}; `ttgctl forgive {mac}` lets one that is refused come again"
            )));
        }
        Ok(DeleteClientResponse {})
    }
}

/// How a device is, if anything is known of it.
pub(super) fn of(desk: &Desk, mac: MacAddr, now: Duration) -> Option<admin::Client> {
    desk.matchmaker.client(mac, now).map(|client| message(&client))
}

pub(super) fn message(client: &ClientView<'_>) -> admin::Client {
    admin::Client {
        client: client.mac.to_string(),
        recorded: client.name.is_some(),
        name: client.name.unwrap_or_default().to_owned(),
        refused_until_unix_ms: client.refused.map_or(0, text::unix_ms),
        strikes: client.strikes,
    }
}
