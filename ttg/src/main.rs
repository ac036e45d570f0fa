//! `ttg`: the tunnel termination gateway.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context;
use clap::{Parser, Subcommand};
use controlplane::{Control, Sessions, grpc, logging, metrics, shutdown};
use ttg::{bridge::Connector, config, gateway::Gateway};

/// The tunnel termination gateway: the rest of the access point, at the other end of UDP.
#[derive(Debug, Parser)]
#[command(name = "ttg", version, max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Moves packets for a control daemon, until TERM or INT. Sessions survive that daemon's restarts.
    Run {
        /// TOML; README.md explains the keys.
        #[arg(short, long, value_name = "FILE", default_value = "/etc/ttg/ttg.toml")]
        config: PathBuf,
    },
    /// Gateway and control in one process: one machine, nothing else to set up.
    Standalone {
        /// TOML with a [gateway] and a [control] table; README.md explains the keys.
        #[arg(short, long, value_name = "FILE", default_value = "/etc/ttg/standalone.toml")]
        config: PathBuf,
    },
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Run { config } => run(&config),
        Command::Standalone { config } => standalone(&config),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ttg: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(path: &std::path::Path) -> anyhow::Result<()> {
    let config = config::load(path)?;
    logging::start();
    let control = config.control.clone().context("the configuration names no control daemon")?;
    runtime()?.block_on(async {
        if let Some(listen) = config.metrics {
            metrics::serve(listen)?;
        }
        let tls = config.tls_files();
        Gateway::start(config)?.run(Connector::Grpc { url: control, tls }, shutdown::requested()).await?;
        Ok(())
    })
}

fn standalone(path: &std::path::Path) -> anyhow::Result<()> {
    let config::Standalone { gateway, control } = config::load_standalone(path)?;
    logging::start();
    runtime()?.block_on(async {
        // Everything that can fail does so before anything runs.
        let access = grpc::Access::new(&control)?;
        let listener = grpc::bind(control.listen).await?;
        for listen in [gateway.metrics, control.metrics].into_iter().flatten().take(1) {
            metrics::serve(listen)?;
        }
        let gateway = Gateway::start(gateway)?;
        let (control, core) = Control::start(control).await?;
        let server = grpc::Server::start_for(listener, control.clone(), access);
        gateway.run(Connector::InProcess(control.clone()), shutdown::requested()).await?;
        control.shutdown(Sessions::End).await;
        core.await?;
        server.stop().await;
        Ok(())
    })
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().context("tokio")
}
