//! The operator's command line as a library, so that tests drive the same code.

pub mod admin;
pub mod cli;
pub mod decrypt;

use std::process::ExitCode;

use anyhow::Context;
use clap::CommandFactory;

use cli::{Cli, Command};

/// Does what was typed.
pub fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    match cli.command {
        Command::Decrypt(arguments) => decrypt::run(&arguments),
        Command::Completion { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "ttgctl", &mut std::io::stdout());
            Ok(ExitCode::SUCCESS)
        }
        Command::Man { directory } => {
            std::fs::create_dir_all(&directory)
                .and_then(|()| clap_mangen::generate_to(Cli::command(), &directory))
                .with_context(|| format!("cannot write man pages to {}", directory.display()))?;
            Ok(ExitCode::SUCCESS)
        }
        command => {
            let output = command.output().or(cli.show.form()).unwrap_or_default();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(admin::run(&cli.server, &cli.access, output, command))
        }
    }
}

/// Whether the reader of our output went away.
pub fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
    })
}
