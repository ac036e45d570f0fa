//! The verbs that ask the control daemon: a thin client of `ttg.admin.v1`.

mod objects;
mod print;

use std::{io::Write, process::ExitCode};

use anyhow::{Context, anyhow};
use proto::admin::{
    DisconnectRequest, ExplainRequest, GetStatsRequest, ListGatewaysRequest, ListRadiosRequest,
    ListServicesRequest, ListSessionsRequest, RekeyRequest, WatchSessionsRequest, admin_client::AdminClient,
};
use tonic::{Status, transport::Channel};

use crate::cli::{Command, Output};

type Client = AdminClient<Channel>;

/// Asks `server` and prints the answer.
pub async fn run(server: &str, output: Output, command: Command) -> anyhow::Result<ExitCode> {
    let mut client = connect(server).await?;
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

async fn connect(server: &str) -> anyhow::Result<Client> {
    let channel = Channel::from_shared(server.to_owned())
        .with_context(|| format!("--server {server} is not a URL such as http://127.0.0.1:7400"))?
        .connect_timeout(std::time::Duration::from_secs(5))
        .connect()
        .await
        .map_err(|error| {
            let cause = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
            anyhow!(
                "no control daemon answers at {server} ({cause}). Start `controlplane run` or `ttg standalone`, or name \
                 the right address with --server or TTGCTL_SERVER."
            )
        })?;
    Ok(AdminClient::new(channel))
}

fn said(status: Status) -> anyhow::Error {
    anyhow!("{}", status.message())
}
