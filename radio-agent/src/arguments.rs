//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::config::is_email;

/// What `--help` prints.
pub const HELP: &str = "\
Usage: radio-agent --config FILE [-B] [-P FILE] [--account EMAIL] [-v]

Makes virtual Wi-Fi access points of this radio whose other half is a gateway
behind UDP.

  -c, --config FILE    what to do, see README.md
  -B, --background     go to the background once everything is in place
  -P, --pidfile FILE   write the process number there, remove it at the end
      --account EMAIL  the account this radio belongs to, instead of the one
                       in the file
  -v, --verbose        log every event, not only what goes wrong
  -V, --version        print the version
  -h, --help           print this

TERM, INT and HUP end it cleanly; USR1 logs its counters (with -v).
";

/// What the command line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Do the work.
    Run(Arguments),
    /// Print [`HELP`].
    Help,
    /// Print the version.
    Version,
}

/// How to do the work.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Arguments {
    /// `--config`
    pub config: PathBuf,
    /// `-B`
    pub background: bool,
    /// `-P`
    pub pid_file: Option<PathBuf>,
    /// `--account`
    pub account: Option<String>,
    /// `-v`
    pub verbose: bool,
}

/// A command line that is not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}; see radio-agent --help")]
pub struct ArgumentError(String);

/// Reads the command line, without the program's name. Values follow their option, or with `=` a long one.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, ArgumentError> {
    let mut arguments = arguments.into_iter();
    let mut config = None;
    let mut parsed = Arguments::default();
    while let Some(argument) = arguments.next() {
        let text = argument.to_str().unwrap_or_default();
        let (name, mut value) = match text.split_once('=') {
            Some((name, value)) if name.starts_with("--") => (name, Some(OsString::from(value))),
            _ => (text, None),
        };
        let given = value.is_some();
        let mut take = || {
            let next = value.take().or_else(|| arguments.next()).filter(|value| !value.is_empty());
            next.ok_or_else(|| ArgumentError(format!("{name} wants a value")))
        };
        let mut takes_value = true;
        match name {
            "-c" | "--config" => config = Some(PathBuf::from(take()?)),
            "-P" | "--pidfile" => parsed.pid_file = Some(PathBuf::from(take()?)),
            "--account" => {
                let account = take()?.into_string().ok().filter(|account| is_email(account));
                let wrong =
                    || ArgumentError("--account wants an e-mail address such as me@example.org".to_owned());
                parsed.account = Some(account.ok_or_else(wrong)?);
            }
            _ => takes_value = false,
        }
        if takes_value {
            continue;
        }
        if given {
            return Err(ArgumentError(format!("{text} is unknown")));
        }
        match name {
            "-B" | "--background" => parsed.background = true,
            "-v" | "--verbose" => parsed.verbose = true,
            "-h" | "--help" => return Ok(Command::Help),
            "-V" | "--version" => return Ok(Command::Version),
            _ => return Err(ArgumentError(format!("{} is unknown", argument.display()))),
        }
    }
    parsed.config = config.ok_or_else(|| ArgumentError("--config FILE is missing".to_owned()))?;
    Ok(Command::Run(parsed))
}
