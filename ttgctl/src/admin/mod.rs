//! The verbs that ask the control daemon: a thin client of `ttg.admin.v1`.

mod connect;
mod items;
mod lists;
mod objects;
mod print;

use std::{io::Write, process::ExitCode};

use anyhow::anyhow;
use proto::admin::{
    BindingFilter, DisconnectRequest, ExplainRequest, GetStatsRequest, ListSessionsRequest, ListUsageRequest,
    ObjectKind, RadioFilter, RekeyRequest,
};

use self::connect::{connect, said};
use crate::cli::{Access, Command, Output};

/// Asks `server` and prints the answer.
pub async fn run(
    server: &str,
    access: &Access,
    output: Output,
    command: Command,
) -> anyhow::Result<ExitCode> {
    let mut client = connect(server, access).await?;
    let mut out = std::io::stdout().lock();
    let out = &mut out;
    let client = &mut client;
    match command {
        Command::Sessions { client: mac, service, pages } => {
            let request = ListSessionsRequest {
                client: mac.unwrap_or_default(),
                service: service.unwrap_or_default(),
                ..ListSessionsRequest::default()
            };
            lists::sessions(client, out, output, request, &pages).await?;
        }
        // An account before the verb is not whose the object is, and is not to be taken for it.
        Command::Radios { verb: Some(_), account: Some(_), .. }
        | Command::Bindings { verb: Some(_), account: Some(_), .. } => {
            return Err(anyhow!("--account before the verb chooses what is listed: say it behind the verb"));
        }
        Command::Radios { verb: Some(verb), .. } => objects::radios(client, out, output, verb).await?,
        Command::Radios { verb: None, registered: false, recorded: false, pages, .. } => {
            lists::list(client, out, output, ObjectKind::Radio, &pages).await?;
        }
        Command::Radios { verb: None, registered, recorded, account, pages } => {
            let filter = RadioFilter { registered, recorded, account };
            lists::radios(client, out, output, filter, &pages).await?;
        }
        Command::Services(pages) => {
            lists::list(client, out, output, ObjectKind::Service, &pages).await?;
        }
        Command::Gateways(pages) => {
            lists::list(client, out, output, ObjectKind::Gateway, &pages).await?;
        }
        Command::Networks { verb: Some(verb), .. } => objects::networks(client, out, output, verb).await?,
        Command::Networks { verb: None, pages } => {
            lists::list(client, out, output, ObjectKind::Network, &pages).await?;
        }
        Command::Bindings { verb: Some(verb), .. } => objects::bindings(client, out, output, verb).await?,
        Command::Bindings { verb: None, client: device, radio, service, account, pages } => {
            let said = Option::unwrap_or_default;
            let filter =
                BindingFilter { client: said(device), radio: said(radio), service: said(service), account };
            lists::bindings(client, out, output, filter, &pages).await?;
        }
        Command::Clients { verb: Some(verb), .. } => objects::clients(client, out, output, verb).await?,
        Command::Clients { verb: None, pages } => {
            lists::list(client, out, output, ObjectKind::Client, &pages).await?;
        }
        Command::Suggestions { page, .. } => lists::suggestions(client, out, output, &page).await?,
        Command::Accounts { verb: Some(verb), .. } => objects::accounts(client, out, output, verb).await?,
        Command::Accounts { verb: None, pages } => {
            lists::list(client, out, output, ObjectKind::Account, &pages).await?;
        }
        Command::Grants { verb: Some(verb), .. } => objects::grants(client, out, output, verb).await?,
        Command::Grants { verb: None, pages } => {
            lists::list(client, out, output, ObjectKind::Grant, &pages).await?;
        }
        Command::Contracts { verb: Some(verb), .. } => objects::contracts(client, out, output, verb).await?,
        Command::Contracts { verb: None, pages } => {
            lists::list(client, out, output, ObjectKind::Contract, &pages).await?;
        }
        Command::Forgive { client: device, .. } => objects::forgive(client, out, output, device).await?,
        Command::Usage { account, radio, service, last, page, .. } => {
            let request = ListUsageRequest {
                from_unix_ms: last.map_or(0, print::hours_ago),
                to_unix_ms: 0,
                account,
                radio: radio.unwrap_or_default(),
                service: service.unwrap_or_default(),
                ..ListUsageRequest::default()
            };
            lists::usage(client, out, output, request, &page).await?;
        }
        Command::Explain { client: device, radio, service, signal, .. } => {
            let service = service.unwrap_or_default();
            let request = ExplainRequest { client: device, radio, service, rssi_dbm: signal };
            objects::explain(client, out, output, request).await?;
        }
        Command::Drain { gateway, off, .. } => {
            objects::drain(client, out, output, gateway, !off).await?;
        }
        Command::Disconnect { mac, reason, .. } => {
            let request = DisconnectRequest { client: mac.clone(), reason: reason.into() };
            let sessions = client.disconnect(request).await.map_err(said)?.into_inner().sessions;
            print::done(out, output, "disconnected", sessions, &format!("{mac} disconnected"))?;
        }
        Command::Rekey { mac, service, .. } => {
            let request =
                RekeyRequest { client: mac.unwrap_or_default(), service: service.unwrap_or_default() };
            let started = client.rekey(request).await.map_err(said)?.into_inner().started;
            print::done(
                out,
                output,
                "started",
                started,
                &format!("{started} {} started", if started == 1 { "rekey" } else { "rekeys" }),
            )?;
        }
        Command::Stats(_) => {
            let stats = client.get_stats(GetStatsRequest {}).await.map_err(said)?.into_inner();
            print::stats(out, output, &stats)?;
        }
        Command::Decrypt(_) | Command::Completion { .. } | Command::Man { .. } => {
            return Err(anyhow!("not a question for the control daemon"));
        }
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}
