//! `radio-agent`: reads the configuration, takes the radio, runs.

use std::io::{self, Write};
use std::process::ExitCode;

use radio_agent::arguments::{self, Arguments, Command};
use radio_agent::backend;
use radio_agent::config::Config;
use radio_agent::daemon::{self, Log, PidFile};
use radio_agent::event_loop::{EventLoop, Signals};

fn main() -> ExitCode {
    let print = |text: &str| match io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    };
    match arguments::parse(std::env::args_os().skip(1)) {
        Ok(Command::Help) => print(arguments::HELP),
        Ok(Command::Version) => print(concat!("radio-agent ", env!("CARGO_PKG_VERSION"), "\n")),
        Ok(Command::Run(arguments)) => {
            let mut log = Log::new(arguments.verbose);
            match run(&arguments, &mut log) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => {
                    log.error(&error);
                    ExitCode::FAILURE
                }
            }
        }
        Err(error) => {
            Log::new(false).error(&error);
            ExitCode::from(2)
        }
    }
}

/// `log` changes when the process goes to the background.
fn run(arguments: &Arguments, log: &mut Log) -> Result<(), String> {
    let file = arguments.config.display();
    let text = std::fs::read_to_string(&arguments.config)
        .map_err(|error| format!("cannot read configuration {file}: {error}"))?;
    let mut config = Config::parse(&text).map_err(|error| format!("{file}:{}: {error}", error.line))?;
    if let Some(account) = &arguments.account {
        log.event(&format_args!("account {account}"));
    }
    if let Some(matchmaking) = &mut config.matchmaking {
        matchmaking.account = arguments.account.clone().or(matchmaking.account.take());
        if matchmaking.account_key.is_some() && matchmaking.account.is_none() {
            let missing = "[matchmaking] has an account_key without account";
            return Err(format!("{file}: {missing}; add account = \"…\" there, or --account to the command"));
        }
    }
    // Everything that can fail comes first, while there is a terminal to say so.
    let signals = Signals::block().map_err(text_of)?;
    let wrong_pid_file = |error| match &arguments.pid_file {
        Some(path) => format!("cannot use pid file {}: {error}", path.display()),
        None => text_of(error),
    };
    let mut pid_file =
        arguments.pid_file.as_deref().map(PidFile::lock).transpose().map_err(wrong_pid_file)?;
    let backend = backend::start(&config).map_err(text_of)?;
    let agent = EventLoop::new(&config, backend, *log).map_err(text_of)?;
    let background = match arguments.background {
        true => Some(daemon::fork().map_err(|error| format!("cannot go to the background: {error}"))?),
        false => None,
    };
    if let Some(pid_file) = &mut pid_file {
        pid_file.write().map_err(wrong_pid_file)?;
    }
    if let Some(background) = background {
        *log = background.ready(*log).map_err(|error| format!("cannot leave the terminal: {error}"))?;
    }
    log.event(&"ready");
    agent.run(&signals, *log).map_err(text_of)
}

fn text_of(error: impl std::fmt::Display) -> String {
    error.to_string()
}
