//! Objects that administrators make and delete: bindings, accounts, grants. Durable before the answer.

use matchmaker::{
    Binding, Change, Pattern, Uuid,
    objects::{Account, AccountId, Grantee, NewBinding, Origin},
    presence::RadioView,
    scope::AccountRef,
};
use proto::admin::{
    self, CreateAccountRequest, CreateAccountResponse, CreateBindingRequest, CreateBindingResponse,
    CreateGrantRequest, CreateGrantResponse, DeleteAccountRequest, DeleteAccountResponse,
    DeleteBindingRequest, DeleteBindingResponse, DeleteGrantRequest, DeleteGrantResponse, GetAccountRequest,
    GetBindingRequest, GetGrantRequest, ListAccountsRequest, ListAccountsResponse, ListBindingsRequest,
    ListBindingsResponse, ListGrantsRequest, ListGrantsResponse, UpdateBindingRequest,
};
use records::Draft;
use tonic::{Code, Status};
use visibility::Policy;

use super::{AdminService, PLACES, PLANS, bindings::Bindings, page::Page, text};
use crate::{
    core::Query,
    matchmaking::{CONFIGURED, Desk, NotDurable},
};

/// Standing bindings of the configuration, then those of the matchmaker by account and identifier.
type BindingKey = (u8, String, u64);

fn binding_token(text: &str) -> Option<BindingKey> {
    let mut parts = text.splitn(3, ' ');
    let (class, id, account) = (parts.next()?, parts.next()?, parts.next()?);
    Some((class.parse().ok()?, account.to_owned(), id.parse().ok()?))
}

impl AdminService {
    pub(super) async fn bindings(&self, asked: ListBindingsRequest) -> Result<ListBindingsResponse, Status> {
        let mut page = Page::asked(asked.page_size, &asked.page_token, binding_token)?;
        let mut wanted = Bindings::read("filter", asked.filter.as_ref())?;
        for binding in self.ask(Query::Bindings).await? {
            if wanted.wants_message(&binding) {
                page.add((0, String::new(), binding.id), binding);
            }
        }
        let mut from = 0;
        while let Ok(matchmaking) = self.matchmaker() {
            let gather = move |desk: &mut Desk, _| {
                let (bindings, accounts) = (desk.matchmaker.bindings(), desk.matchmaker.accounts());
                for (account, binding) in bindings.within(from..from + PLACES) {
                    let account = accounts.id(account);
                    if !wanted.wants(account, &binding) {
                        continue;
                    }
                    let name = account.map_or("", AccountId::as_str);
                    if page.wants(|(class, of, id)| (1, name, binding.id).cmp(&(*class, of.as_str(), *id))) {
                        let message = text::binding_message(account, &binding);
                        page.add((1, name.to_owned(), binding.id), message);
                    }
                }
                (page, wanted, bindings.places())
            };
            let places;
            (page, wanted, places) = super::there(matchmaking.ask(gather).await)?;
            from += PLACES;
            if from >= places {
                break;
            }
        }
        let (bindings, next) = page.finish();
        let token = |(class, account, id)| format!("{class} {id} {account}");
        Ok(ListBindingsResponse { bindings, next_page_token: next.map(token).unwrap_or_default() })
    }

    pub(super) async fn new_binding(
        &self,
        asked: CreateBindingRequest,
    ) -> Result<CreateBindingResponse, Status> {
        let binding = NewBinding {
            service: text::uuid("service", &asked.service)?,
            client: text::pattern("client", &asked.client)?,
            radio: text::pattern("radio", &asked.radio)?,
            policy: text::policy(asked.policy.as_ref())?,
            origin: Origin::Administrator,
        };
        can_say(binding.client, &binding.policy)?;
        let account = text::account_or_none("account", &asked.account)?;
        let configured = self.control.services.contains(&binding.service);
        let plan = move |desk: &mut Desk, _| {
            let account = owner_of(desk, account, binding.service, configured)?;
            let bindings = desk.matchmaker.bindings();
            let number = desk.matchmaker.accounts().find(account.as_ref());
            let same = number.and_then(|number| bindings.get(number, bindings.same(number, &binding)?));
            Ok::<_, Status>((account, same))
        };
        let (account, same) = super::there(self.matchmaker()?.ask(plan).await)??;
        // Of what is on record another process may know more by now: the store finds it if it is there.
        if let Some(same) = same.filter(|same| same.id >= CONFIGURED) {
            says_the_same(account.as_ref(), &same, &binding.policy)?;
            let binding = Some(text::binding_message(account.as_ref(), &same));
            return Ok(CreateBindingResponse { binding, created: false });
        }
        let outcome = self.commit(Draft::NewBinding { account, binding }).await?;
        let (account, there) = binding_put(&outcome.change)?;
        if !outcome.made {
            says_the_same(account, there, &binding.policy)?;
        }
        let binding = Some(text::binding_message(account, there));
        Ok(CreateBindingResponse { binding, created: outcome.made })
    }

    pub(super) async fn change_binding(&self, asked: UpdateBindingRequest) -> Result<admin::Binding, Status> {
        let account = text::account_or_none("account", &asked.account)?;
        let policy = asked.policy.as_ref().ok_or_else(|| {
            text::invalid("policy", "it is missing; an empty one says nothing differently from the service")
        })?;
        let policy = text::policy(Some(policy))?;
        let id = asked.id;
        if id >= CONFIGURED {
            return Err(binding_of_configuration(id, "change"));
        }
        for _ in 0..PLANS {
            let of = account.clone();
            let find = move |desk: &mut Desk, _| {
                desk.matchmaker.bindings().get(desk.matchmaker.accounts().find(of.as_ref())?, id)
            };
            let Some(seen) = super::there(self.matchmaker()?.ask(find).await)? else {
                let standing = account.is_none()
                    && self.ask(Query::Bindings).await?.iter().any(|binding| binding.id == id);
                return Err(match standing {
                    true => binding_of_configuration(id, "change"),
                    false => no_binding(account.as_ref(), id),
                });
            };
            can_say(seen.client, &policy)?;
            let put = |binding| Change::PutBinding { account: account.clone(), binding };
            // One that somebody removes meanwhile, perhaps at another process, is not to come back.
            let draft = Draft::change_if(Some(put(seen)), put(Binding { policy, ..seen }));
            match self.try_commit(draft).await? {
                Ok(outcome) => {
                    let (account, binding) = binding_put(&outcome.change)?;
                    return Ok(text::binding_message(account, binding));
                }
                Err(NotDurable { changed: Some(_), .. }) => {}
                Err(why) => return Err(super::not_durable(why)),
            }
        }
        Err(Status::aborted(format!(
            "id: others change binding {id} all the time, and nothing was changed for you: do it again"
        )))
    }

    pub(super) async fn remove_binding(
        &self,
        asked: DeleteBindingRequest,
    ) -> Result<DeleteBindingResponse, Status> {
        let account = text::account_or_none("account", &asked.account)?;
        let id = asked.id;
        let (of, matchmaking) = (account.clone(), self.matchmaker()?);
        if id >= CONFIGURED {
            return Err(binding_of_configuration(id, "remove"));
        }
        let find = move |desk: &mut Desk, _| {
            let number = desk.matchmaker.accounts().find(of.as_ref())?;
            desk.matchmaker.bindings().get(number, id)
        };
        let found = super::there(matchmaking.ask(find).await)?;
        let outcome =
            self.commit(Draft::Change(Change::DeleteBinding { account: account.clone(), id })).await?;
        let binding = match found {
            Some(found) => text::binding_message(account.as_ref(), &found),
            // Made by another process a moment ago.
            None if outcome.made => admin::Binding {
                id,
                account: account.as_ref().map(ToString::to_string).unwrap_or_default(),
                ..admin::Binding::default()
            },
            None => return Err(no_binding(account.as_ref(), id)),
        };
        Ok(DeleteBindingResponse { binding: Some(binding) })
    }

    pub(super) async fn accounts(&self, asked: ListAccountsRequest) -> Result<ListAccountsResponse, Status> {
        let mut page = Page::asked(asked.page_size, &asked.page_token, |text| Some(text.to_owned()))?;
        let configured = self.control.accounts.clone();
        let gather = move |desk: &mut Desk, _| {
            for id in desk.matchmaker.accounts().known() {
                if page.wants(|other: &String| id.as_str().cmp(other)) {
                    page.add(id.to_string(), account_of(desk, id, &configured));
                }
            }
            page.finish()
        };
        let (accounts, next) = super::there(self.matchmaker()?.ask(gather).await)?;
        Ok(ListAccountsResponse { accounts, next_page_token: next.unwrap_or_default() })
    }

    pub(super) async fn account(&self, asked: GetAccountRequest) -> Result<admin::Account, Status> {
        let id = text::account("id", &asked.id)?;
        let (of, configured) = (id.clone(), self.control.accounts.clone());
        let find =
            move |desk: &mut Desk, _| desk.accounts().key(&of).map(|_| account_of(desk, &of, &configured));
        super::there(self.matchmaker()?.ask(find).await)?.ok_or_else(|| no_account("id", &id))
    }

    pub(super) async fn binding(&self, asked: GetBindingRequest) -> Result<admin::Binding, Status> {
        let account = text::account_or_none("account", &asked.account)?;
        let (of, id) = (account.clone(), asked.id);
        let found =
            super::there(self.matchmaker()?.ask(move |desk, _| binding_of(desk, of.as_ref(), id)).await)?;
        found.ok_or_else(|| no_binding(account.as_ref(), id))
    }

    pub(super) async fn new_account(
        &self,
        asked: CreateAccountRequest,
    ) -> Result<CreateAccountResponse, Status> {
        let id = text::account("id", &asked.id)?;
        let key = text::key("key", &asked.key)?;
        match (&key, asked.replace_key, asked.remove_key) {
            (Some(_), _, true) => {
                return Err(text::invalid("remove_key", "there is a key beside it: leave one of them out"));
            }
            (None, true, false) => {
                return Err(text::invalid(
                    "key",
                    format!(
                        "it is missing, and account {id} would have none: say which key, or remove_key (`ttgctl accounts add {id} --remove-key`) \
                     if whoever names the account is to be believed"
                    ),
                ));
            }
            (None, _, true) => drop(self.known(&id).await?.ok_or_else(|| no_account("id", &id))?),
            _ => {}
        }
        let has_key = key.is_some();
        let account = Some(account_message(&id, has_key, &self.control.accounts));
        if self.control.accounts.contains(&id) {
            let wanted = key.as_ref().map_or([0; 32], |key| key.0);
            let of = id.clone();
            let known = self.matchmaker()?.ask(move |desk, _| desk.accounts().key(&of)).await;
            return if super::there(known)? == Some(wanted) {
                Ok(CreateAccountResponse { account, created: false })
            } else {
                Err(of_configuration(&id))
            };
        }
        let change = Change::PutAccount(Account { id: id.clone(), key });
        // The records decide whether it is new: of two who make it at the same time, one does.
        let new = Draft::change_if(None, change.clone());
        let created = match self.try_commit(new).await? {
            Ok(outcome) => outcome.made,
            Err(NotDurable { changed: Some(_), .. }) if asked.replace_key || asked.remove_key => {
                self.commit(Draft::Change(change)).await?;
                false
            }
            Err(NotDurable { changed: Some(_), .. }) => return Err(has_another_key(&id, has_key)),
            Err(why) => return Err(super::not_durable(why)),
        };
        Ok(CreateAccountResponse { account, created })
    }

    pub(super) async fn remove_account(
        &self,
        asked: DeleteAccountRequest,
    ) -> Result<DeleteAccountResponse, Status> {
        let id = text::account("id", &asked.id)?;
        if self.matchmaker().is_ok() && self.control.accounts.contains(&id) {
            return Err(of_configuration(&id));
        }
        let number = self.known(&id).await?.ok_or_else(|| no_account("id", &id))?;
        let still = |what: &str, list: &str, remove: &str| {
            Status::failed_precondition(format!(
                "id: account {id} still has {what}; `ttgctl {list}` shows them, `ttgctl {remove}` removes one"
            ))
        };
        let mut from = 0;
        loop {
            let has = move |desk: &mut Desk, now| {
                let (bindings, radios) = (desk.matchmaker.bindings(), desk.matchmaker.radio_places());
                let places = from..from + PLACES;
                let bound = bindings.within(places.clone()).any(|(account, _)| account == number);
                let owned = |radio: RadioView| radio.recorded && radio.owner.account == number;
                let owns = desk.matchmaker.radios_within(places, now).any(owned);
                (bound, owns, bindings.places().max(radios))
            };
            let (bound, owns, places) = super::there(self.matchmaker()?.ask(has).await)?;
            if bound {
                let list = format!("bindings --account {id}");
                return Err(still("bindings", &list, &format!("bindings remove ID --account {id}")));
            }
            // Nobody could register them any more.
            if owns {
                let list = format!("radios --recorded --account {id}");
                return Err(still("radios on record", &list, "radios remove MAC"));
            }
            from += PLACES;
            if from >= places {
                break;
            }
        }
        let of = id.clone();
        let has = move |desk: &mut Desk, _| {
            let serves = desk.matchmaker.services().any(|(service, _)| service.owner.account() == Some(&of));
            (serves, desk.matchmaker.contracts().any(|(account, _)| account == Some(&of)))
        };
        match super::there(self.matchmaker()?.ask(has).await)? {
            (true, _) => return Err(still("services", "networks", "networks remove UUID")),
            (_, true) => {
                return Err(still("contracts", "contracts", &format!("contracts remove ID --account {id}")));
            }
            (false, false) => {}
        }
        self.commit(Draft::Change(Change::DeleteAccount(id))).await?;
        Ok(DeleteAccountResponse {})
    }

    pub(super) async fn grants(&self, asked: ListGrantsRequest) -> Result<ListGrantsResponse, Status> {
        let read = |text: &str| text.split_once(' ').map(|(on, of)| (on.to_owned(), of.to_owned()));
        let mut page = Page::asked(asked.page_size, &asked.page_token, read)?;
        let gather = move |desk: &mut Desk, _| {
            for grant in desk.matchmaker.accounts().grants() {
                let message = text::grant_message(&grant);
                page.add((message.radios_of.clone(), message.services_of.clone()), message);
            }
            page.finish()
        };
        let (grants, next) = super::there(self.matchmaker()?.ask(gather).await)?;
        let token = |(on, of)| format!("{on} {of}");
        Ok(ListGrantsResponse { grants, next_page_token: next.map(token).unwrap_or_default() })
    }

    pub(super) async fn grant(&self, asked: GetGrantRequest) -> Result<admin::Grant, Status> {
        let grant = text::grant(asked.grant.as_ref())?;
        let message = text::grant_message(&grant);
        let find = move |desk: &mut Desk, _| desk.matchmaker.accounts().grants().any(|other| other == grant);
        if !super::there(self.matchmaker()?.ask(find).await)? {
            return Err(no_grant());
        }
        Ok(message)
    }

    pub(super) async fn new_grant(&self, asked: CreateGrantRequest) -> Result<CreateGrantResponse, Status> {
        let grant = text::grant(asked.grant.as_ref())?;
        let message = Some(text::grant_message(&grant));
        let radios_of = &grant.radios_of;
        self.known(radios_of).await?.ok_or_else(|| no_account("grant.radios_of", radios_of))?;
        if let Grantee::Account(other) = &grant.services_of {
            self.known(other).await?.ok_or_else(|| no_account("grant.services_of", other))?;
        }
        let outcome = self.commit(Draft::Change(Change::PutGrant(grant))).await?;
        Ok(CreateGrantResponse { grant: message, created: outcome.made })
    }

    pub(super) async fn remove_grant(
        &self,
        asked: DeleteGrantRequest,
    ) -> Result<DeleteGrantResponse, Status> {
        let grant = text::grant(asked.grant.as_ref())?;
        let outcome = self.commit(Draft::Change(Change::DeleteGrant(grant))).await?;
        if !outcome.made {
            return Err(no_grant());
        }
        Ok(DeleteGrantResponse {})
    }

    /// The number of an account that there is a record of.
    pub(super) async fn known(&self, id: &AccountId) -> Result<Option<AccountRef>, Status> {
        let id = id.clone();
        let find = move |desk: &mut Desk, _| {
            let accounts = desk.matchmaker.accounts();
            accounts.find(Some(&id)).filter(|&number| accounts.is_known(number))
        };
        super::there(self.matchmaker()?.ask(find).await)
    }
}

/// Whose a new binding or contract is: the account of its service. If nobody knows that service yet, it must be said: a binding of the wrong
/// account would never show anything. `configured`: it is one of ours, which only has to be registered yet.
pub(super) fn owner_of(
    desk: &Desk,
    said: Option<AccountId>,
    uuid: Uuid,
    configured: bool,
) -> Result<Option<AccountId>, Status> {
    let service = desk.matchmaker.service(uuid);
    match (said, service.map(|service| service.owner.account())) {
        (Some(said), Some(owner)) if owner != Some(&said) => {
            let owner = owner.map_or("nobody's".to_owned(), |owner| format!("{owner}'s"));
            Err(text::invalid(
                "account",
                format!("{said} cannot bind service {uuid}, which is {owner}: leave `account` out"),
            ))
        }
        (Some(said), _) if desk.accounts().key(&said).is_none() => Err(no_account("account", &said)),
        (Some(said), _) => Ok(Some(said)),
        (None, Some(owner)) => Ok(owner.cloned()),
        (None, None) if configured => Ok(desk.own().cloned()),
        (None, None) => Err(Status::not_found(format!(
            "service: no service {uuid} is known, so nobody knows whose this would be: say `account` (--account of ttgctl), or wait until a \
             gateway has registered it; `ttgctl networks` shows which are"
        ))),
    }
}

fn account_message(id: &AccountId, has_key: bool, configured: &[AccountId]) -> admin::Account {
    let origin = if configured.contains(id) { "configuration" } else { "administrator" };
    admin::Account { id: id.to_string(), has_key, origin: origin.to_owned() }
}

/// An account that the desk knows.
pub(super) fn account_of(desk: &Desk, id: &AccountId, configured: &[AccountId]) -> admin::Account {
    account_message(id, desk.accounts().key(id).is_some_and(|key| key != [0; 32]), configured)
}

/// A binding of the matchmaker, if it is there.
pub(super) fn binding_of(desk: &Desk, account: Option<&AccountId>, id: u64) -> Option<admin::Binding> {
    let number = desk.matchmaker.accounts().find(account)?;
    let binding = desk.matchmaker.bindings().get(number, id)?;
    Some(text::binding_message(account, &binding))
}

/// What the records say about a binding.
fn binding_put(change: &Change) -> Result<(Option<&AccountId>, &Binding), Status> {
    match change {
        Change::PutBinding { account, binding } => Ok((account.as_ref(), binding)),
        _ => Err(Status::internal("the records answered with something else than a binding")),
    }
}

/// Where a device was lately is known of those that a binding names.
fn can_say(client: Pattern, policy: &Policy) -> Result<(), Status> {
    if client == Pattern::Any && policy.max_mobility.is_some_and(|most| most != 0) {
        return Err(text::invalid(
            "policy.max_mobility",
            "it counts for devices that a binding names, and this one is for any; name the client, or leave it out",
        ));
    }
    Ok(())
}

/// Who makes a binding that is there is told if it is not as wanted.
fn says_the_same(account: Option<&AccountId>, there: &Binding, wanted: &Policy) -> Result<(), Status> {
    if there.policy == *wanted {
        return Ok(());
    }
    let id = there.id;
    let whose = account.map(|account| format!(" --account {account}")).unwrap_or_default();
    let what = match id >= CONFIGURED {
        true => "it is of the configuration: change its [[binding]] there and restart control".to_owned(),
        false => format!(
            "UpdateBinding (`ttgctl bindings set {id}{whose}`, with the whole policy) changes it, `ttgctl bindings show {id}{whose}` shows it"
        ),
    };
    let text = format!("binding {id} is for the same service, client and radio, with another policy; {what}");
    Err(text::refused(Code::AlreadyExists, "policy", text))
}

fn binding_of_configuration(id: u64, what: &str) -> Status {
    Status::failed_precondition(format!(
        "id: binding {id} is of the configuration: {what} its [[binding]] there and restart control"
    ))
}

fn no_binding(account: Option<&AccountId>, id: u64) -> Status {
    let whose = account.map_or("nobody's account".to_owned(), ToString::to_string);
    Status::not_found(format!(
        "id: {whose} has no binding {id}; `ttgctl bindings` shows which there are, and whose"
    ))
}

fn no_grant() -> Status {
    Status::not_found("grant: there is none such; `ttgctl grants` shows which there are")
}

pub(super) fn no_account(field: &str, id: &AccountId) -> Status {
    Status::not_found(format!(
        "{field}: there is no account {id}; `ttgctl accounts` shows which there are, `ttgctl accounts add {id}` makes it"
    ))
}

/// `said`: another one is in the request, rather than none.
fn has_another_key(id: &AccountId, said: bool) -> Status {
    let (than, what) = match said {
        true => ("another key", "replace_key (`ttgctl accounts add --replace-key`) if it is to get this one"),
        false => ("a key", "remove_key (`ttgctl accounts add --remove-key`) if it is to have none"),
    };
    Status::already_exists(format!("id: account {id} is there with {than}; say {what}"))
}

fn of_configuration(id: &AccountId) -> Status {
    Status::failed_precondition(format!(
        "id: account {id} is of the configuration: change its [[account]] there and restart control"
    ))
}
