//! Contracts of services with subscribers, as far as they exist: made, listed, deleted. Nothing is charged yet.

use matchmaker::{
    Change,
    objects::{self, AccountId, ContractId, ContractKind, Subscriber},
};
use proto::admin::{
    self, CreateContractRequest, CreateContractResponse, DeleteContractRequest, DeleteContractResponse,
    GetContractRequest, ListContractsRequest, ListContractsResponse,
};
use records::{Draft, NewContract};
use tonic::Status;

use super::{AdminService, objects::owner_of, page::Page, text};
use crate::matchmaking::Desk;

/// The only kind.
const DATA: &str = "data";
/// Octets of an identity: what RADIUS can carry as User-Name (RFC 2865 section 5.1).
const MAX_IDENTITY: usize = 253;

impl AdminService {
    pub(super) async fn contracts(
        &self,
        asked: ListContractsRequest,
    ) -> Result<ListContractsResponse, Status> {
        let read = |text: &str| {
            let (id, account) = text.split_once(' ')?;
            Some((account.to_owned(), id.parse::<ContractId>().ok()?))
        };
        let mut page = Page::asked(asked.page_size, &asked.page_token, read)?;
        let gather = move |desk: &mut Desk, _| {
            for (account, contract) in desk.matchmaker.contracts() {
                let name = account.map_or("", AccountId::as_str);
                if page.wants(|(of, id)| (name, contract.id).cmp(&(of.as_str(), *id))) {
                    page.add((name.to_owned(), contract.id), message(account, contract));
                }
            }
            page.finish()
        };
        let (contracts, next) = super::there(self.matchmaker()?.ask(gather).await)?;
        let token = |(account, id)| format!("{id} {account}");
        Ok(ListContractsResponse { contracts, next_page_token: next.map(token).unwrap_or_default() })
    }

    pub(super) async fn contract(&self, asked: GetContractRequest) -> Result<admin::Contract, Status> {
        let account = text::account_or_none("account", &asked.account)?;
        let found =
            super::there(self.matchmaker()?.ask(move |desk, _| of(desk, account.as_ref(), asked.id)).await)?;
        found.ok_or_else(|| no_contract(&asked.account, asked.id))
    }

    pub(super) async fn new_contract(
        &self,
        asked: CreateContractRequest,
    ) -> Result<CreateContractResponse, Status> {
        let said = asked
            .contract
            .ok_or_else(|| text::invalid("contract", "it is missing; say service and client, or identity"))?;
        let contract = new(&said)?;
        let account = text::account_or_none("contract.account", &said.account)?;
        let service = contract.service;
        let configured = self.control.services.contains(&service);
        let plan = move |desk: &mut Desk, _| owner_of(desk, account, service, configured);
        let account = super::there(self.matchmaker()?.ask(plan).await)??;
        let outcome = self.commit(Draft::NewContract { account, contract }).await?;
        let Change::PutContract { account, contract } = &outcome.change else {
            return Err(Status::internal("the records answered with something else than a contract"));
        };
        let contract = Some(message(account.as_ref(), contract));
        Ok(CreateContractResponse { contract, created: outcome.made })
    }

    pub(super) async fn remove_contract(
        &self,
        asked: DeleteContractRequest,
    ) -> Result<DeleteContractResponse, Status> {
        let account = text::account_or_none("account", &asked.account)?;
        let outcome = self.commit(Draft::Change(Change::DeleteContract { account, id: asked.id })).await?;
        if !outcome.made {
            return Err(no_contract(&asked.account, asked.id));
        }
        Ok(DeleteContractResponse {})
    }
}

/// The contract with this identifier.
pub(super) fn of(desk: &Desk, account: Option<&AccountId>, id: ContractId) -> Option<admin::Contract> {
    let same =
        |(of, contract): &(Option<&AccountId>, &objects::Contract)| *of == account && contract.id == id;
    desk.matchmaker.contracts().find(same).map(|(account, contract)| message(account, contract))
}

fn new(said: &admin::Contract) -> Result<NewContract, Status> {
    let subscriber = match (said.client.as_str(), said.identity.as_str()) {
        (client, "") if !client.is_empty() => Subscriber::Client(text::device("contract.client", client)?),
        ("", identity) if !identity.is_empty() => {
            if identity.len() > MAX_IDENTITY || identity.contains(char::is_control) {
                return Err(text::invalid(
                    "contract.identity",
                    format!("one line of at most {MAX_IDENTITY} octets, such as user@example.org"),
                ));
            }
            Subscriber::Identity(identity.to_owned())
        }
        _ => {
            return Err(text::invalid("contract.client", "name a client or an identity, one of them"));
        }
    };
    if !["", DATA].contains(&said.kind.as_str()) {
        let text = format!("`{}` is none; the only kind is {DATA}", said.kind);
        return Err(text::invalid("contract.kind", text));
    }
    let limit = |bandwidth: u64| (bandwidth != 0).then_some(bandwidth);
    Ok(NewContract {
        service: text::uuid("contract.service", &said.service)?,
        subscriber,
        kind: ContractKind::Data,
        max_bandwidth_up: limit(said.max_bandwidth_up),
        max_bandwidth_down: limit(said.max_bandwidth_down),
        capture: said.capture,
    })
}

pub(super) fn message(account: Option<&AccountId>, contract: &objects::Contract) -> admin::Contract {
    let (client, identity) = match &contract.subscriber {
        Subscriber::Client(client) => (client.to_string(), String::new()),
        Subscriber::Identity(identity) => (String::new(), identity.clone()),
    };
    admin::Contract {
        id: contract.id,
        account: text::account_text(account),
        service: contract.service.to_string(),
        client,
        identity,
        kind: match contract.kind {
            ContractKind::Data => DATA.to_owned(),
        },
        max_bandwidth_up: contract.max_bandwidth_up.unwrap_or(0),
        max_bandwidth_down: contract.max_bandwidth_down.unwrap_or(0),
        capture: contract.capture,
    }
}

fn no_contract(account: &str, id: ContractId) -> Status {
    let whose = if account.is_empty() { "nobody's account" } else { account };
    Status::not_found(format!(
        "id: {whose} has no contract {id}; `ttgctl contracts` shows which there are, and whose"
    ))
}
