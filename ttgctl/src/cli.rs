//! What can be typed. `completion` and `man` are generated from the same definitions.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

/// Shows and steers Wi-Fi over IP sessions, and decrypts captures with the gateway's own code.
#[derive(Debug, Parser)]
#[command(name = "ttgctl", version, max_term_width = 110)]
pub struct Cli {
    /// The control daemon's gRPC address.
    #[arg(
        long,
        global = true,
        env = "TTGCTL_SERVER",
        default_value = "http://127.0.0.1:7400",
        value_name = "URL"
    )]
    pub server: String,
    /// How answers are printed, where the verb does not say.
    #[command(flatten)]
    pub show: Show,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// How answers are printed. Not global, since `-o` of `decrypt` is the file to write.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub struct Show {
    /// How answers are printed: `table` unless told.
    #[arg(short, long, value_enum, value_name = "FORM")]
    pub output: Option<Output>,
}

/// Output forms.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    #[default]
    Table,
    /// For programs: one JSON document.
    Json,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Devices now connected or connecting.
    Sessions {
        /// Only this device.
        #[arg(long, value_name = "MAC")]
        client: Option<String>,
        /// Only this service.
        #[arg(long, value_name = "UUID")]
        service: Option<String>,
        /// Keep printing changes, one line each, until interrupted.
        #[arg(short, long)]
        watch: bool,
        /// Form of the answer.
        #[command(flatten)]
        show: Show,
    },
    /// Virtual BSSes now on radios.
    Radios(Show),
    /// Configured networks.
    Services(Show),
    /// Attached gateways.
    Gateways(Show),
    /// Which radio may show which service to whom.
    Bindings(Show),
    /// Deauthenticates a device.
    Disconnect {
        /// The device.
        mac: String,
        /// 802.11 reason code (802.11-2020 table 9-49).
        #[arg(long, default_value_t = 3)]
        reason: u16,
        /// Form of the answer.
        #[command(flatten)]
        show: Show,
    },
    /// Renews the pairwise key of a device, or the group keys of a service.
    Rekey {
        /// The device.
        #[arg(required_unless_present = "service", conflicts_with = "service")]
        mac: Option<String>,
        /// The service.
        #[arg(long, value_name = "UUID")]
        service: Option<String>,
        /// Form of the answer.
        #[command(flatten)]
        show: Show,
    },
    /// Counters of control and of every gateway; drops by reason.
    Stats(Show),
    /// Decrypts a capture with the gateway's own parsing and crypto.
    ///
    /// Follows the handshakes and rekeys in it, counts what became of its frames, writes the plaintext as Ethernet.
    Decrypt(Decrypt),
    /// Prints a completion script.
    Completion {
        /// For which shell.
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
    /// Writes the man pages.
    Man {
        /// Into this directory.
        #[arg(value_name = "DIR")]
        directory: PathBuf,
    },
}

impl Command {
    /// The form of the answer, where one is said behind the verb.
    pub fn output(&self) -> Option<Output> {
        match self {
            Command::Sessions { show, .. }
            | Command::Radios(show)
            | Command::Services(show)
            | Command::Gateways(show)
            | Command::Bindings(show)
            | Command::Disconnect { show, .. }
            | Command::Rekey { show, .. }
            | Command::Stats(show) => show.output,
            Command::Decrypt(_) | Command::Completion { .. } | Command::Man { .. } => None,
        }
    }
}

/// Arguments of `decrypt`. Keys may be repeated and combined; a passphrase goes with the SSID named before it.
#[derive(Debug, clap::Args)]
pub struct Decrypt {
    /// pcap or pcapng, gzip or not, of 802.11 (radiotap, PPI, ...) or CAPWAP in IP; `-`: standard input.
    #[arg(value_name = "IN")]
    pub input: PathBuf,
    /// Where the plaintext goes, as a pcap of Ethernet frames; `-`: standard output, and counts to standard error.
    #[arg(short = 'o', long = "out", value_name = "OUT.pcap")]
    pub out: Option<PathBuf>,
    /// SSID that the next --passphrase belongs to.
    #[arg(long, value_name = "SSID")]
    pub ssid: Vec<String>,
    /// Passphrase of the SSID in the same position; 64 hexadecimal digits are the key itself.
    #[arg(long, value_name = "PASSPHRASE")]
    pub passphrase: Vec<String>,
    /// Pairwise master key, 64 hexadecimal digits.
    #[arg(long, value_name = "HEX")]
    pub pmk: Vec<String>,
    /// Temporal key, of whatever pair or group, 32 hexadecimal digits.
    #[arg(long, value_name = "HEX")]
    pub tk: Vec<String>,
    /// Print the counts as one JSON object.
    #[arg(long)]
    pub json: bool,
}
