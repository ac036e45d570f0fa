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
    /// What is shown to it, and believed of it.
    #[command(flatten)]
    pub access: Access,
    /// How answers are printed, where the verb does not say.
    #[command(flatten)]
    pub show: Show,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Who the server must be, and who asks.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "TLS and tokens")]
pub struct Access {
    /// Authority of the server's certificate; https needs it.
    #[arg(long, global = true, env = "TTGCTL_CA", value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// The operator's certificate.
    #[arg(long, global = true, env = "TTGCTL_CERT", value_name = "FILE")]
    pub cert: Option<PathBuf>,
    /// The key of --cert.
    #[arg(long, global = true, env = "TTGCTL_KEY", value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// File with the operator's token.
    #[arg(long, global = true, env = "TTGCTL_TOKEN_FILE", value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Name in the server's certificate, if not as in --server.
    #[arg(long, global = true, env = "TTGCTL_SERVER_NAME", value_name = "NAME")]
    pub server_name: Option<String>,
}

/// How answers are printed. Not global, since `-o` of `decrypt` is the file to write.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub struct Show {
    /// How answers are printed: `table` unless told.
    #[arg(short, long, value_enum, value_name = "FORM")]
    pub output: Option<Output>,
    /// The same as `--output json`.
    #[arg(long, conflicts_with = "output")]
    pub json: bool,
}

impl Show {
    /// The form, if one is said.
    pub fn form(&self) -> Option<Output> {
        if self.json { Some(Output::Json) } else { self.output }
    }
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
    Radios {
        /// Radios that are registered with the matchmaker, whatever they show.
        #[arg(long)]
        registered: bool,
        /// Form of the answer.
        #[command(flatten)]
        show: Show,
    },
    /// Configured networks.
    Services(Show),
    /// Attached gateways.
    Gateways(Show),
    /// Which radio may show which service to whom.
    Bindings {
        /// What to do; a list unless told.
        #[command(subcommand)]
        verb: Option<BindingsVerb>,
        /// Form of the answer.
        #[command(flatten)]
        show: Show,
    },
    /// Why a radio shows a device what it shows, or does not.
    Explain {
        /// The device.
        #[arg(value_name = "CLIENT")]
        client: String,
        /// The radio.
        #[arg(value_name = "RADIO")]
        radio: String,
        /// Only this service; otherwise all that bindings name for the device or near the radio.
        #[arg(long, value_name = "UUID")]
        service: Option<String>,
        /// Form of the answer.
        #[command(flatten)]
        show: Show,
    },
    /// Whose radios and services there are.
    Accounts {
        /// What to do; a list unless told.
        #[command(subcommand)]
        verb: Option<AccountsVerb>,
        /// Form of the answer.
        #[command(flatten)]
        show: Show,
    },
    /// Lets a gateway take no newcomers; its devices stay.
    Drain {
        /// The gateway.
        #[arg(value_name = "GATEWAY")]
        gateway: String,
        /// It takes newcomers again.
        #[arg(long)]
        off: bool,
        /// Form of the answer.
        #[command(flatten)]
        show: Show,
    },
    /// Lets a device come again that is refused because it failed to authenticate.
    Forgive {
        /// The device.
        #[arg(value_name = "CLIENT")]
        client: String,
        /// Form of the answer.
        #[command(flatten)]
        show: Show,
    },
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
            | Command::Radios { show, .. }
            | Command::Explain { show, .. }
            | Command::Drain { show, .. }
            | Command::Forgive { show, .. }
            | Command::Services(show)
            | Command::Gateways(show)
            | Command::Disconnect { show, .. }
            | Command::Rekey { show, .. }
            | Command::Stats(show) => show.form(),
            Command::Bindings { verb, show } => match verb {
                Some(
                    BindingsVerb::Add(NewBinding { show: own, .. }) | BindingsVerb::Remove { show: own, .. },
                ) => own.form().or(show.form()),
                None => show.form(),
            },
            Command::Accounts { verb, show } => match verb {
                Some(AccountsVerb::Add { show: own, .. } | AccountsVerb::Remove { show: own, .. }) => {
                    own.form().or(show.form())
                }
                None => show.form(),
            },
            Command::Decrypt(_) | Command::Completion { .. } | Command::Man { .. } => None,
        }
    }
}

/// What can be done with bindings.
#[derive(Debug, Subcommand)]
pub enum BindingsVerb {
    /// Makes a service visible to a device, or to any, near a radio, or near any.
    Add(NewBinding),
    /// Takes a binding back.
    Remove {
        /// Its identifier.
        id: u64,
        /// Whose it is: an e-mail address; nobody's unless told.
        #[arg(long, value_name = "ACCOUNT")]
        account: Option<String>,
        /// Form of the answer.
        #[command(flatten)]
        show: Show,
    },
}

/// What a new binding says.
#[derive(Debug, clap::Args)]
pub struct NewBinding {
    /// Which service.
    #[arg(long, value_name = "UUID")]
    pub service: String,
    /// Which device; * is any.
    #[arg(long, value_name = "MAC", default_value = "*")]
    pub client: String,
    /// Near which radio; * is any.
    #[arg(long, value_name = "MAC", default_value = "*")]
    pub radio: String,
    /// Whose it is: an e-mail address; the service's account unless told.
    #[arg(long, value_name = "ACCOUNT")]
    pub account: Option<String>,
    /// Least signal of the device, in dBm.
    #[arg(long, value_name = "DBM", allow_negative_numbers = true)]
    pub min_rssi: Option<i32>,
    /// Least spare capacity from the device, in kbit/s.
    #[arg(long, value_name = "KBPS")]
    pub min_up: Option<u32>,
    /// Least spare capacity towards the device, in kbit/s.
    #[arg(long, value_name = "KBPS")]
    pub min_down: Option<u32>,
    /// How long the device must have been near, in milliseconds.
    #[arg(long, value_name = "MS")]
    pub delay: Option<u32>,
    /// Radios that the device may have been near in the last ten minutes.
    #[arg(long, value_name = "N")]
    pub max_mobility: Option<u32>,
    /// Most clients on one radio.
    #[arg(long, value_name = "N")]
    pub max_clients: Option<u32>,
    /// The beacon does not name the network.
    #[arg(long)]
    pub hidden: bool,
    /// Form of the answer.
    #[command(flatten)]
    pub show: Show,
}

/// What can be done with accounts.
#[derive(Debug, Subcommand)]
pub enum AccountsVerb {
    /// Makes an account.
    Add {
        /// Its e-mail address.
        id: String,
        /// File with the key that its radios and gateways prove to have, 64 hexadecimal digits; `-`: standard input. Without, they need none.
        #[arg(long, value_name = "FILE")]
        key_file: Option<PathBuf>,
        /// If it is there with another key, it gets this one.
        #[arg(long)]
        replace_key: bool,
        /// Form of the answer.
        #[command(flatten)]
        show: Show,
    },
    /// Removes an account, with the grants by and to it.
    Remove {
        /// Its e-mail address.
        id: String,
        /// Form of the answer.
        #[command(flatten)]
        show: Show,
    },
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
