//! `ttgctl`: the operator's command line.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    // A closed pipe (`ttgctl sessions | head`) ends the program quietly, as it does for other tools.
    match ttgctl::run(ttgctl::cli::Cli::parse()) {
        Ok(code) => code,
        Err(error) if ttgctl::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ttgctl: {error:#}");
            ExitCode::FAILURE
        }
    }
}
