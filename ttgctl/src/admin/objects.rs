//! The verbs about objects of the matchmaker: bindings, accounts, radios, draining, and why something is shown.

use std::{io::Write, path::Path};

use anyhow::Context;
use proto::admin::{
    CreateAccountRequest, CreateBindingRequest, DeleteAccountRequest, DeleteBindingRequest,
    DrainGatewayRequest, ExplainRequest, ListAccountsRequest, ListBindingsRequest,
    ListRegisteredRadiosRequest, Policy,
};

use super::{
    connect::{Client, said},
    print,
};
use crate::cli::{AccountsVerb, BindingsVerb, NewBinding, Output};

/// All pages of a list, asked for by the token of the one before.
macro_rules! pages {
    ($client:expr, $rpc:ident, $request:ty, $items:ident) => {{
        let mut all = Vec::new();
        let mut asked = <$request>::default();
        loop {
            let page = $client.$rpc(asked.clone()).await.map_err(said)?.into_inner();
            all.extend(page.$items);
            asked.page_token = page.next_page_token;
            if asked.page_token.is_empty() {
                break all;
            }
        }
    }};
}

pub(super) async fn bindings(
    client: &mut Client,
    out: &mut impl Write,
    output: Output,
    verb: Option<BindingsVerb>,
) -> anyhow::Result<()> {
    match verb {
        None => {
            let all = pages!(client, list_bindings, ListBindingsRequest, bindings);
            print::bindings(out, output, &all)?;
        }
        Some(BindingsVerb::Add(new)) => {
            let answer = client.create_binding(request(new)).await.map_err(said)?.into_inner();
            let binding = answer.binding.unwrap_or_default();
            print::binding_made(out, output, &binding, answer.created)?;
        }
        Some(BindingsVerb::Remove { id, account, .. }) => {
            let request = DeleteBindingRequest { account: account.unwrap_or_default(), id };
            client.delete_binding(request).await.map_err(said)?;
            print::done(out, output, "removed", 1, &format!("binding {id} removed"))?;
        }
    }
    Ok(())
}

fn request(new: NewBinding) -> CreateBindingRequest {
    let policy = Policy {
        min_rssi_dbm: new.min_rssi,
        min_up_kbps: new.min_up,
        min_down_kbps: new.min_down,
        delay_ms: new.delay,
        max_mobility: new.max_mobility,
        max_clients: new.max_clients,
        hidden: new.hidden.then_some(true),
        ..Policy::default()
    };
    CreateBindingRequest {
        service: new.service,
        client: new.client,
        radio: new.radio,
        account: new.account.unwrap_or_default(),
        policy: Some(policy),
    }
}

pub(super) async fn accounts(
    client: &mut Client,
    out: &mut impl Write,
    output: Output,
    verb: Option<AccountsVerb>,
) -> anyhow::Result<()> {
    match verb {
        None => {
            let all = pages!(client, list_accounts, ListAccountsRequest, accounts);
            print::accounts(out, output, &all)?;
        }
        Some(AccountsVerb::Add { id, key_file, replace_key, .. }) => {
            let key = key_file.as_deref().map(read_key).transpose()?.unwrap_or_default();
            let request = CreateAccountRequest { id, key, replace_key };
            let answer = client.create_account(request).await.map_err(said)?.into_inner();
            let account = answer.account.unwrap_or_default();
            let what = if answer.created { "made" } else { "is there" };
            let sentence = format!("account {} {what}", account.id);
            print::done(out, output, "created", answer.created.into(), &sentence)?;
        }
        Some(AccountsVerb::Remove { id, .. }) => {
            client.delete_account(DeleteAccountRequest { id: id.clone() }).await.map_err(said)?;
            print::done(out, output, "removed", 1, &format!("account {id} removed"))?;
        }
    }
    Ok(())
}

/// A key is in a file, so that no list of processes shows it.
fn read_key(path: &Path) -> anyhow::Result<String> {
    let text = if path == Path::new("-") {
        std::io::read_to_string(std::io::stdin())
    } else {
        std::fs::read_to_string(path)
    };
    let text = text.with_context(|| format!("cannot read the key from {}", path.display()))?;
    Ok(text.trim().to_owned())
}

pub(super) async fn registered_radios(
    client: &mut Client,
    out: &mut impl Write,
    output: Output,
) -> anyhow::Result<()> {
    let all = pages!(client, list_registered_radios, ListRegisteredRadiosRequest, radios);
    Ok(print::registered_radios(out, output, &all)?)
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
