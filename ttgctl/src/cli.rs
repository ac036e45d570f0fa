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
    /// How lists are printed.
    #[arg(short, long, global = true, value_enum, default_value_t = Output::Table)]
    pub output: Output,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Output forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
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
    },
    /// Virtual BSSes now on radios.
    Radios,
    /// Configured networks.
    Services,
    /// Attached gateways.
    Gateways,
    /// Which radio may show which service to whom.
    Bindings,
    /// Deauthenticates a device.
    Disconnect {
        /// The device.
        mac: String,
        /// 802.11 reason code (802.11-2020 table 9-49).
        #[arg(long, default_value_t = 3)]
        reason: u16,
    },
    /// Renews the pairwise key of a device, or the group keys of a service.
    Rekey {
        /// The device.
        #[arg(required_unless_present = "service", conflicts_with = "service")]
        mac: Option<String>,
        /// The service.
        #[arg(long, value_name = "UUID")]
        service: Option<String>,
    },
    /// Counters of control and of every gateway; drops by reason.
    Stats,
    /// Runs a capture through the gateway's own parsing and crypto, and writes the plaintext as Ethernet frames.
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

/// Arguments of `decrypt`. Keys may be repeated and combined; a passphrase goes with the SSID named before it.
#[derive(Debug, clap::Args)]
pub struct Decrypt {
    /// pcap or pcapng, plain or gzip; radiotap, PPI, raw 802.11, or IP carrying CAPWAP. `-` reads standard input.
    #[arg(value_name = "IN")]
    pub input: PathBuf,
    /// Where the plaintext goes, as a pcap of Ethernet frames.
    #[arg(short = 'o', long = "out", value_name = "OUT.pcap")]
    pub out: Option<PathBuf>,
    /// SSID that the next --passphrase belongs to.
    #[arg(long, value_name = "SSID")]
    pub ssid: Vec<String>,
    /// Passphrase of the SSID in the same position.
    #[arg(long, value_name = "PASSPHRASE")]
    pub passphrase: Vec<String>,
    /// Pairwise master key, 64 hexadecimal digits.
    #[arg(long, value_name = "HEX")]
    pub pmk: Vec<String>,
    /// Temporal key, 32 hexadecimal digits.
    #[arg(long, value_name = "HEX")]
    pub tk: Vec<String>,
    /// Print the counts as one JSON object.
    #[arg(long)]
    pub json: bool,
}
