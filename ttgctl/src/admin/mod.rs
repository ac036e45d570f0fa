//! The verbs that ask the control daemon: a thin client of `ttg.admin.v1`.

mod connect;
mod objects;
mod print;

use std::{io::Write, process::ExitCode};

use anyhow::anyhow;
use proto::admin::{
    DisconnectRequest, ExplainRequest, ForgiveClientRequest, GetStatsRequest, ListGatewaysRequest,
    ListRadiosRequest, ListServicesRequest, ListSessionsRequest, RekeyRequest, WatchSessionsRequest,
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
    match command {
        Command::Sessions { client: mac, service, watch: false, .. } => {
            let request =
                ListSessionsRequest { client: mac.unwrap_or_default(), service: service.unwrap_or_default() };
            let sessions = client.list_sessions(request).await.map_err(said)?.into_inner().sessions;
            print::sessions(&mut out, output, &sessions)?;
        }
        Command::Sessions { client: mac, service, watch: true, .. } => {
            let mut changes =
                client.watch_sessions(WatchSessionsRequest {}).await.map_err(said)?.into_inner();
            while let Some(change) = changes.message().await.map_err(said)? {
                let Some(session) = &change.session else { continue };
                if mac.as_ref().is_none_or(|m| session.client.eq_ignore_ascii_case(m))
                    && service.as_ref().is_none_or(|s| session.service.eq_ignore_ascii_case(s))
                {
                    print::change(&mut out, output, &change, session)?;
                    out.flush()?;
                }
            }
        }
        Command::Radios { registered: true, .. } => {
            objects::registered_radios(&mut client, &mut out, output).await?;
        }
        Command::Radios { registered: false, .. } => {
            let radios = client.list_radios(ListRadiosRequest {}).await.map_err(said)?.into_inner().radios;
            print::radios(&mut out, output, &radios)?;
        }
        Command::Services(_) => {
            let services =
                client.list_services(ListServicesRequest {}).await.map_err(said)?.into_inner().services;
            print::services(&mut out, output, &services)?;
        }
        Command::Gateways(_) => {
            let gateways =
                client.list_gateways(ListGatewaysRequest {}).await.map_err(said)?.into_inner().gateways;
            print::gateways(&mut out, output, &gateways)?;
        }
        Command::Bindings { verb, .. } => {
            objects::bindings(&mut client, &mut out, output, verb).await?;
        }
        Command::Accounts { verb, .. } => {
            objects::accounts(&mut client, &mut out, output, verb).await?;
        }
        Command::Explain { client: device, radio, service, .. } => {
            let request = ExplainRequest { client: device, radio, service: service.unwrap_or_default() };
            objects::explain(&mut client, &mut out, output, request).await?;
        }
        Command::Drain { gateway, off, .. } => {
            objects::drain(&mut client, &mut out, output, gateway, !off).await?;
        }
        Command::Forgive { client: device, .. } => {
            let request = ForgiveClientRequest { client: device.clone() };
            let refused = client.forgive_client(request).await.map_err(said)?.into_inner().was_refused;
            let what = if refused { "is refused no more" } else { "was not refused everywhere" };
            print::done(&mut out, output, "forgiven", refused.into(), &format!("{device} {what}"))?;
        }
        Command::Disconnect { mac, reason, .. } => {
            let request = DisconnectRequest { client: mac.clone(), reason: reason.into() };
            let sessions = client.disconnect(request).await.map_err(said)?.into_inner().sessions;
            print::done(&mut out, output, "disconnected", sessions, &format!("{mac} disconnected"))?;
        }
        Command::Rekey { mac, service, .. } => {
            let request =
                RekeyRequest { client: mac.unwrap_or_default(), service: service.unwrap_or_default() };
            let started = client.rekey(request).await.map_err(said)?.into_inner().started;
            print::done(
                &mut out,
                output,
                "started",
                started,
                &format!("{started} {} started", if started == 1 { "rekey" } else { "rekeys" }),
            )?;
        }
        Command::Stats(_) => {
            let stats = client.get_stats(GetStatsRequest {}).await.map_err(said)?.into_inner();
            print::stats(&mut out, output, &stats)?;
        }
        Command::Decrypt(_) | Command::Completion { .. } | Command::Man { .. } => {
            return Err(anyhow!("not a question for the control daemon"));
        }
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}
