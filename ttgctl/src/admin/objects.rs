//! The verbs about objects of the matchmaker: what is made, removed and shown.

use std::{io::Write, path::Path};

use anyhow::{Context, bail};
use proto::admin::{
    Contract, CreateAccountRequest, CreateBindingRequest, CreateClientRequest, CreateContractRequest,
    CreateGrantRequest, CreateRadioRequest, DeleteAccountRequest, DeleteBindingRequest, DeleteClientRequest,
    DeleteContractRequest, DeleteGrantRequest, DeleteNetworkRequest, DeleteRadioRequest, DrainGatewayRequest,
    ExplainRequest, ForgiveClientRequest, GetAccountRequest, GetBindingRequest, GetClientRequest,
    GetContractRequest, GetGrantRequest, GetNetworkRequest, GetRegisteredRadioRequest, Grant, Policy,
    UpdateBindingRequest, UpdateNetworkRequest,
};
use tls::files;

use super::{
    connect::{Client, said},
    print,
};
use crate::cli::{
    AccountsVerb, BindingsVerb, ClientsVerb, ContractsVerb, GrantsVerb, NetworksVerb, NewBinding,
    NewContract, Numbered, OfGrant, Output, PolicyFlags, RadiosVerb,
};

pub(super) async fn bindings(
    client: &mut Client,
    out: &mut impl Write,
    output: Output,
    verb: BindingsVerb,
) -> anyhow::Result<()> {
    match verb {
        BindingsVerb::Add(new) => {
            let answer = client.create_binding(binding(new)).await.map_err(said)?.into_inner();
            let binding = answer.binding.unwrap_or_default();
            let sentence = match answer.created {
                true => format!("binding {} made", binding.id),
                false => format!("binding {} says so already ({})", binding.id, binding.origin),
            };
            print::made(out, output, answer.created, &binding, "binding", &sentence)?;
        }
        BindingsVerb::Set { which: Numbered { id, account, .. }, policy: flags, clear_policy } => {
            let policy = policy(&flags);
            if !clear_policy && policy == Policy::default() {
                bail!(
                    "say what binding {id} is to say, such as --min-rssi -75, all of it; or --clear-policy if it is to say nothing \
                     differently from its service"
                );
            }
            let account = account.unwrap_or_default();
            let request = UpdateBindingRequest { account, id, policy: Some(policy) };
            print::one(out, output, &client.update_binding(request).await.map_err(said)?.into_inner())?;
        }
        BindingsVerb::Remove(Numbered { id, account, .. }) => {
            let request = DeleteBindingRequest { account: account.unwrap_or_default(), id };
            client.delete_binding(request).await.map_err(said)?;
            print::done(out, output, "removed", 1, &format!("binding {id} removed"))?;
        }
        BindingsVerb::Show(Numbered { id, account, .. }) => {
            let request = GetBindingRequest { account: account.unwrap_or_default(), id };
            print::one(out, output, &client.get_binding(request).await.map_err(said)?.into_inner())?;
        }
    }
    Ok(())
}

fn binding(new: NewBinding) -> CreateBindingRequest {
    CreateBindingRequest {
        service: new.service,
        client: new.client,
        radio: new.radio,
        account: new.account.unwrap_or_default(),
        policy: Some(policy(&new.policy)),
    }
}

fn policy(flags: &PolicyFlags) -> Policy {
    Policy {
        min_rssi_dbm: flags.min_rssi,
        min_up_kbps: flags.min_up,
        min_down_kbps: flags.min_down,
        delay_ms: flags.delay,
        max_mobility: flags.max_mobility,
        steer_delay_ms: flags.steer_delay,
        dwell_seconds: flags.dwell,
        kick_rssi_dbm: flags.kick_rssi,
        suppress_rssi_dbm: flags.suppress_rssi,
        max_clients: flags.max_clients,
        hidden: flags.hidden,
        yields_to_home: flags.yields_to_home,
    }
}

pub(super) async fn networks(
    client: &mut Client,
    out: &mut impl Write,
    output: Output,
    verb: NetworksVerb,
) -> anyhow::Result<()> {
    match verb {
        NetworksVerb::Set { uuid, policy: flags, clear_policy, capture_url, .. } => {
            let policy = policy(&flags);
            let policy = (clear_policy || policy != Policy::default()).then_some(policy);
            let request = UpdateNetworkRequest { uuid, policy, capture_url };
            print::one(out, output, &client.update_network(request).await.map_err(said)?.into_inner())?;
        }
        NetworksVerb::Remove { uuid, .. } => {
            client.delete_network(DeleteNetworkRequest { uuid: uuid.clone() }).await.map_err(said)?;
            print::done(out, output, "removed", 1, &format!("network {uuid} removed"))?;
        }
        NetworksVerb::Show { uuid, .. } => {
            let network = client.get_network(GetNetworkRequest { uuid }).await.map_err(said)?;
            print::one(out, output, &network.into_inner())?;
        }
    }
    Ok(())
}

pub(super) async fn radios(
    client: &mut Client,
    out: &mut impl Write,
    output: Output,
    verb: RadiosVerb,
) -> anyhow::Result<()> {
    match verb {
        RadiosVerb::Add { radio, account, .. } => {
            let request = CreateRadioRequest { radio: radio.clone(), account: account.clone() };
            let created = client.create_radio(request).await.map_err(said)?.into_inner().created;
            let already = if created { "" } else { " already" };
            let sentence = format!("radio {radio} is {account}'s{already}");
            print::done(out, output, "created", created.into(), &sentence)?;
        }
        RadiosVerb::Remove { radio, .. } => {
            client.delete_radio(DeleteRadioRequest { radio: radio.clone() }).await.map_err(said)?;
            print::done(out, output, "removed", 1, &format!("radio {radio} removed"))?;
        }
        RadiosVerb::Show { radio, .. } => {
            let radio =
                client.get_registered_radio(GetRegisteredRadioRequest { radio }).await.map_err(said)?;
            print::one(out, output, &radio.into_inner())?;
        }
    }
    Ok(())
}

pub(super) async fn clients(
    client: &mut Client,
    out: &mut impl Write,
    output: Output,
    verb: ClientsVerb,
) -> anyhow::Result<()> {
    match verb {
        ClientsVerb::Add { client: device, name, .. } => {
            let request = CreateClientRequest { client: device.clone(), name };
            let answer = client.create_client(request).await.map_err(said)?.into_inner();
            let what = if answer.created { "is on record" } else { "is on record already" };
            let made = answer.client.unwrap_or_default();
            print::made(out, output, answer.created, &made, "client", &format!("device {device} {what}"))?;
        }
        ClientsVerb::Remove { client: device, .. } => {
            client.delete_client(DeleteClientRequest { client: device.clone() }).await.map_err(said)?;
            print::done(out, output, "removed", 1, &format!("device {device} removed"))?;
        }
        ClientsVerb::Show { client: device, .. } => {
            let found = client.get_client(GetClientRequest { client: device }).await.map_err(said)?;
            print::one(out, output, &found.into_inner())?;
        }
    }
    Ok(())
}

pub(super) async fn accounts(
    client: &mut Client,
    out: &mut impl Write,
    output: Output,
    verb: AccountsVerb,
) -> anyhow::Result<()> {
    match verb {
        AccountsVerb::Add { id, key_file, replace_key, remove_key, .. } => {
            let key = key_file.as_deref().map(read_key).transpose()?.unwrap_or_default();
            // Servers that do not know `remove_key` take the other one, without a key, for it.
            let replace_key = replace_key || remove_key;
            let request = CreateAccountRequest { id, key, replace_key, remove_key };
            let answer = client.create_account(request).await.map_err(said)?.into_inner();
            let account = answer.account.unwrap_or_default();
            let what = if answer.created { "made" } else { "is there" };
            let sentence = format!("account {} {what}", account.id);
            print::made(out, output, answer.created, &account, "account", &sentence)?;
        }
        AccountsVerb::Remove { id, .. } => {
            client.delete_account(DeleteAccountRequest { id: id.clone() }).await.map_err(said)?;
            print::done(out, output, "removed", 1, &format!("account {id} removed"))?;
        }
        AccountsVerb::Show { id, .. } => {
            let account = client.get_account(GetAccountRequest { id }).await.map_err(said)?;
            print::one(out, output, &account.into_inner())?;
        }
    }
    Ok(())
}

/// A key is in a file, so that no list of processes shows it.
fn read_key(path: &Path) -> anyhow::Result<String> {
    let text = if path == Path::new("-") {
        std::io::read_to_string(std::io::stdin()).context("cannot read the key from standard input")?
    } else {
        String::from_utf8_lossy(&files::secret("key file", path)?).into_owned()
    };
    let key = text.trim();
    // No text would be no key: an account that everybody may act for.
    if key.is_empty() {
        bail!(
            "there is no key in {}: it must have 64 hexadecimal digits (`openssl rand -hex 32` makes them); without --key-file the \
             account needs none",
            path.display()
        );
    }
    Ok(key.to_owned())
}

pub(super) async fn grants(
    client: &mut Client,
    out: &mut impl Write,
    output: Output,
    verb: GrantsVerb,
) -> anyhow::Result<()> {
    let words = |grant: &Grant| {
        let whose = if grant.services_of == "*" { "anybody" } else { &grant.services_of };
        format!("services of {whose} on radios of {}", grant.radios_of)
    };
    match verb {
        GrantsVerb::Add(OfGrant { radios_of, services_of, .. }) => {
            let grant = Grant { radios_of, services_of };
            let request = CreateGrantRequest { grant: Some(grant.clone()) };
            let created = client.create_grant(request).await.map_err(said)?.into_inner().created;
            let already = if created { "" } else { " already" };
            let sentence = format!("{} may be shown{already}", words(&grant));
            print::made(out, output, created, &grant, "grant", &sentence)?;
        }
        GrantsVerb::Remove(OfGrant { radios_of, services_of, .. }) => {
            let grant = Grant { radios_of, services_of };
            client.delete_grant(DeleteGrantRequest { grant: Some(grant.clone()) }).await.map_err(said)?;
            print::done(out, output, "removed", 1, &format!("{} may not be shown any more", words(&grant)))?;
        }
        GrantsVerb::Show(OfGrant { radios_of, services_of, .. }) => {
            let request = GetGrantRequest { grant: Some(Grant { radios_of, services_of }) };
            print::one(out, output, &client.get_grant(request).await.map_err(said)?.into_inner())?;
        }
    }
    Ok(())
}

pub(super) async fn contracts(
    client: &mut Client,
    out: &mut impl Write,
    output: Output,
    verb: ContractsVerb,
) -> anyhow::Result<()> {
    match verb {
        ContractsVerb::Add(new) => {
            let request = CreateContractRequest { contract: Some(contract(new)) };
            let answer = client.create_contract(request).await.map_err(said)?.into_inner();
            let contract = answer.contract.unwrap_or_default();
            let what = if answer.created { "made" } else { "is there already" };
            let sentence = format!("contract {} {what}", contract.id);
            print::made(out, output, answer.created, &contract, "contract", &sentence)?;
        }
        ContractsVerb::Remove(Numbered { id, account, .. }) => {
            let request = DeleteContractRequest { account: account.unwrap_or_default(), id };
            client.delete_contract(request).await.map_err(said)?;
            print::done(out, output, "removed", 1, &format!("contract {id} removed"))?;
        }
        ContractsVerb::Show(Numbered { id, account, .. }) => {
            let request = GetContractRequest { account: account.unwrap_or_default(), id };
            print::one(out, output, &client.get_contract(request).await.map_err(said)?.into_inner())?;
        }
    }
    Ok(())
}

fn contract(new: NewContract) -> Contract {
    Contract {
        service: new.service,
        client: new.client.unwrap_or_default(),
        identity: new.identity.unwrap_or_default(),
        account: new.account.unwrap_or_default(),
        max_bandwidth_up: new.max_up,
        max_bandwidth_down: new.max_down,
        capture: new.capture,
        ..Contract::default()
    }
}

pub(super) async fn explain(
    client: &mut Client,
    out: &mut impl Write,
    output: Output,
    request: ExplainRequest,
) -> anyhow::Result<()> {
    let answer = client.explain(request).await.map_err(said)?.into_inner();
    Ok(print::explanations(out, output, &answer.explanations)?)
}

pub(super) async fn forgive(
    client: &mut Client,
    out: &mut impl Write,
    output: Output,
    device: String,
) -> anyhow::Result<()> {
    let request = ForgiveClientRequest { client: device.clone() };
    let was_refused = client.forgive_client(request).await.map_err(said)?.into_inner().was_refused;
    let was = if was_refused { "" } else { "; the matchmaker did not refuse it" };
    Ok(print::done(out, output, "was_refused", was_refused.into(), &format!("{device} may come again{was}"))?)
}

pub(super) async fn drain(
    client: &mut Client,
    out: &mut impl Write,
    output: Output,
    gateway: String,
    drain: bool,
) -> anyhow::Result<()> {
    let request = DrainGatewayRequest { gateway: gateway.clone(), drain };
    let changed = client.drain_gateway(request).await.map_err(said)?.into_inner().changed;
    let what = if drain { "takes no newcomers" } else { "takes newcomers" };
    let already = if changed { "" } else { " already" };
    print::done(out, output, "changed", changed.into(), &format!("{gateway} {what}{already}"))?;
    Ok(())
}
