//! Lists: all of them, a page, or what changes.

use std::io::Write;

use anyhow::anyhow;
use proto::admin::{
    BindingFilter, ListAccountsRequest, ListBindingsRequest, ListClientsRequest, ListContractsRequest,
    ListGatewaysRequest, ListGrantsRequest, ListNetworksRequest, ListRadiosRequest,
    ListRegisteredRadiosRequest, ListServicesRequest, ListSessionsRequest, ListSuggestionsRequest,
    ListUsageRequest, ObjectKind, RadioFilter, WatchRequest, WatchSessionsRequest, object_change::Object,
    session_change::Kind,
};

use super::{
    connect::{Client, said},
    print,
};
use crate::cli::{Output, Page, Pages};

/// A page if one is asked for, otherwise all of them, each asked for by the token of the one before.
macro_rules! pages {
    ($client:expr, $rpc:ident, $request:ty, $items:ident, $page:expr, $out:expr, $output:expr) => {{
        let mut asked = <$request>::default();
        asked_pages!($client, $rpc, asked, $items, $page, $out, $output)
    }};
}

/// The same, of those that are asked for.
macro_rules! asked_pages {
    ($client:expr, $rpc:ident, $asked:ident, $items:ident, $page:expr, $out:expr, $output:expr) => {{
        let asked = &mut $asked;
        let mut all = Vec::new();
        asked.page_size = $page.page_size.unwrap_or_default();
        asked.page_token = $page.page_token.clone().unwrap_or_default();
        loop {
            let page = $client.$rpc(asked.clone()).await.map_err(said)?.into_inner();
            all.extend(page.$items);
            asked.page_token = page.next_page_token;
            if asked.page_token.is_empty() || $page.page_size.is_some() {
                break;
            }
        }
        print::list($out, $output, &all)?;
        if !asked.page_token.is_empty() {
            eprintln!("more with --page-size {} --page-token '{}'", asked.page_size, asked.page_token);
        }
    }};
}

/// Prints a list.
pub(super) async fn list(
    client: &mut Client,
    out: &mut impl Write,
    output: Output,
    of: ObjectKind,
    pages: &Pages,
) -> anyhow::Result<()> {
    if pages.list.watch {
        let request = WatchRequest { of: of.into(), ..WatchRequest::default() };
        return watch(client, out, output, request).await;
    }
    let page = &pages.page;
    match of {
        ObjectKind::Account => {
            pages!(client, list_accounts, ListAccountsRequest, accounts, page, out, output)
        }
        ObjectKind::Grant => pages!(client, list_grants, ListGrantsRequest, grants, page, out, output),
        ObjectKind::Binding => {
            return bindings(client, out, output, BindingFilter::default(), pages).await;
        }
        ObjectKind::Network => {
            pages!(client, list_networks, ListNetworksRequest, networks, page, out, output)
        }
        ObjectKind::Client => pages!(client, list_clients, ListClientsRequest, clients, page, out, output),
        ObjectKind::Contract => {
            pages!(client, list_contracts, ListContractsRequest, contracts, page, out, output)
        }
        ObjectKind::RegisteredRadio => {
            return radios(client, out, output, RadioFilter::default(), pages).await;
        }
        ObjectKind::Service => {
            pages!(client, list_services, ListServicesRequest, services, page, out, output);
        }
        ObjectKind::Radio => pages!(client, list_radios, ListRadiosRequest, radios, page, out, output),
        ObjectKind::Gateway => {
            pages!(client, list_gateways, ListGatewaysRequest, gateways, page, out, output);
        }
        ObjectKind::Unspecified => return Err(anyhow!("not a kind of objects")),
    }
    Ok(())
}

/// Bindings, perhaps only some.
pub(super) async fn bindings(
    client: &mut Client,
    out: &mut impl Write,
    output: Output,
    filter: BindingFilter,
    pages: &Pages,
) -> anyhow::Result<()> {
    // Who asks for all is answered by servers that know no filter, too.
    let filter = Some(filter).filter(|filter| *filter != BindingFilter::default());
    if pages.list.watch {
        let of = ObjectKind::Binding.into();
        let request = WatchRequest { of, bindings: filter, ..WatchRequest::default() };
        return watch(client, out, output, request).await;
    }
    let mut request = ListBindingsRequest { filter, ..ListBindingsRequest::default() };
    asked_pages!(client, list_bindings, request, bindings, pages.page, out, output);
    Ok(())
}

/// Radios at the matchmaker, not what they show.
pub(super) async fn radios(
    client: &mut Client,
    out: &mut impl Write,
    output: Output,
    filter: RadioFilter,
    pages: &Pages,
) -> anyhow::Result<()> {
    if pages.list.watch {
        let radios = Some(filter);
        let of = ObjectKind::RegisteredRadio.into();
        let request = WatchRequest { of, radios, ..WatchRequest::default() };
        return watch(client, out, output, request).await;
    }
    let mut request =
        ListRegisteredRadiosRequest { filter: Some(filter), ..ListRegisteredRadiosRequest::default() };
    asked_pages!(client, list_registered_radios, request, radios, pages.page, out, output);
    Ok(())
}

async fn watch(
    client: &mut Client,
    out: &mut impl Write,
    output: Output,
    request: WatchRequest,
) -> anyhow::Result<()> {
    let mut changes = client.watch(request).await.map_err(said)?.into_inner();
    while let Some(change) = changes.message().await.map_err(said)? {
        let kind = (change.kind(), "");
        match &change.object {
            Some(Object::Account(item)) => print::change(out, output, kind, item, "account")?,
            Some(Object::Grant(item)) => print::change(out, output, kind, item, "grant")?,
            Some(Object::Binding(item)) => print::change(out, output, kind, item, "binding")?,
            Some(Object::Network(item)) => print::change(out, output, kind, item, "network")?,
            Some(Object::RegisteredRadio(item)) => print::change(out, output, kind, item, "radio")?,
            Some(Object::Contract(item)) => print::change(out, output, kind, item, "contract")?,
            Some(Object::Service(item)) => print::change(out, output, kind, item, "service")?,
            Some(Object::Radio(item)) => print::change(out, output, kind, item, "radio")?,
            Some(Object::Client(item)) => print::change(out, output, kind, item, "client")?,
            Some(Object::Gateway(item)) => print::change(out, output, kind, item, "gateway")?,
            None if change.kind() == Kind::Lost => print::lost(out, output)?,
            None => {}
        }
        out.flush()?;
    }
    Ok(())
}

/// What operators forgot.
pub(super) async fn suggestions(
    client: &mut Client,
    out: &mut impl Write,
    output: Output,
    page: &Page,
) -> anyhow::Result<()> {
    pages!(client, list_suggestions, ListSuggestionsRequest, suggestions, page, out, output);
    Ok(())
}

/// What devices used: one page if its size is said, otherwise all.
pub(super) async fn usage(
    client: &mut Client,
    out: &mut impl Write,
    output: Output,
    mut request: ListUsageRequest,
    page: &Page,
) -> anyhow::Result<()> {
    asked_pages!(client, list_usage, request, usage, page, out, output);
    Ok(())
}

/// Sessions, perhaps of one device or service.
pub(super) async fn sessions(
    client: &mut Client,
    out: &mut impl Write,
    output: Output,
    mut request: ListSessionsRequest,
    pages: &Pages,
) -> anyhow::Result<()> {
    if !pages.list.watch {
        asked_pages!(client, list_sessions, request, sessions, pages.page, out, output);
        return Ok(());
    }
    let request = WatchSessionsRequest { client: request.client, service: request.service };
    let mut changes = client.watch_sessions(request).await.map_err(said)?.into_inner();
    while let Some(change) = changes.message().await.map_err(said)? {
        match &change.session {
            Some(session) => {
                print::change(out, output, (change.kind(), &change.reason), session, "session")?;
            }
            None if change.kind() == Kind::Lost => print::lost(out, output)?,
            None => {}
        }
        out.flush()?;
    }
    Ok(())
}
