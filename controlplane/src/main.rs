//! `controlplane`: decides who may connect, and can be restarted at any time.

use std::{path::PathBuf, process::ExitCode};

// The allocator.
use allocator as _;
use anyhow::Context;
use clap::{Parser, Subcommand};
use controlplane::{Control, Sessions, config, grpc, logging, metrics, migrate, shutdown};

/// The control daemon of a Wi-Fi over IP network.
#[derive(Debug, Parser)]
#[command(name = "controlplane", version, max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves gateways and operators until TERM or INT.
    Run {
        /// TOML; README.md explains the keys.
        #[arg(short, long, value_name = "FILE", default_value = "/etc/ttg/controlplane.toml")]
        config: PathBuf,
    },
    /// Reads the configuration, says what is wrong with it, and exits.
    Check {
        /// TOML; README.md explains the keys.
        #[arg(short, long, value_name = "FILE", default_value = "/etc/ttg/controlplane.toml")]
        config: PathBuf,
    },
    /// Moves the records of a control process that does not run from its file into the database of [records]: all or none.
    ///
    /// The file is left as it is. Repeating it does no harm.
    Migrate {
        /// TOML; README.md explains the keys.
        #[arg(short, long, value_name = "FILE", default_value = "/etc/ttg/controlplane.toml")]
        config: PathBuf,
        /// Deletes what other records the database has.
        #[arg(long)]
        replace: bool,
    },
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Run { config } => run(&config),
        Command::Check { config } => check(&config),
        Command::Migrate { config, replace } => migrate(&config, replace),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("controlplane: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn check(path: &std::path::Path) -> anyhow::Result<()> {
    let config = config::load(path)?;
    grpc::Access::new(&config)?;
    println!("{}: fine", path.display());
    Ok(())
}

fn run(path: &std::path::Path) -> anyhow::Result<()> {
    let config = config::load(path)?;
    logging::start();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("tokio")?;
    runtime.block_on(async {
        let access = grpc::Access::new(&config)?;
        let listener = grpc::bind(config.listen).await?;
        if let Some(listen) = config.metrics {
            metrics::serve(listen)?;
        }
        let (control, core) = Control::start(config).await?;
        tracing::info!(listen = %listener.local_addr()?, "control is up");
        let mut server = grpc::Server::start_for(listener, control.clone(), access);
        tokio::select! {
            () = shutdown::requested() => {}
            ended = server.ended() => return ended.context("the gRPC server ended"),
        }
        control.shutdown(Sessions::GoOn).await;
        core.await?;
        server.stop().await;
        Ok(())
    })
}

fn migrate(path: &std::path::Path, replace: bool) -> anyhow::Result<()> {
    let config = config::load(path)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("tokio")?;
    runtime.block_on(migrate::run(&config, replace, &mut std::io::stdout(), &mut std::io::stderr()))?;
    Ok(())
}
