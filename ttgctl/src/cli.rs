//! What can be typed. `completion` and `man` are generated from the same definitions.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

mod objects;

pub use objects::{
    AccountsVerb, BindingsVerb, ClientsVerb, ContractsVerb, GrantsVerb, NetworksVerb, NewBinding,
    NewContract, Numbered, OfGrant, PolicyFlags, RadiosVerb,
};

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
// A verb of the same name has a group of its own.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
#[group(skip)]
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

/// A list: all of it, a page, or all of it and then what changes.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct List {
    /// Keep printing changes, one line each, until interrupted.
    #[arg(short, long, conflicts_with_all = ["page_size", "page_token"])]
    pub watch: bool,
    /// Form of the answer.
    #[command(flatten)]
    pub show: Show,
}

/// A part of a list.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Page {
    /// Only so many, and how to get the next ones on standard error; otherwise all.
    #[arg(long, value_name = "N")]
    pub page_size: Option<u32>,
    /// Those behind the page that said so.
    #[arg(long, value_name = "TOKEN")]
    pub page_token: Option<String>,
}

/// A list that may be long.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Pages {
    /// Which part.
    #[command(flatten)]
    pub page: Page,
    /// How it is shown.
    #[command(flatten)]
    pub list: List,
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
        /// How it is shown.
        #[command(flatten)]
        pages: Pages,
    },
    /// Virtual BSSes now on radios, or the radios themselves.
    #[command(group(clap::ArgGroup::new("themselves").multiple(true)))]
    Radios {
        /// What to do; a list unless told.
        #[command(subcommand)]
        verb: Option<RadiosVerb>,
        /// Radios that are registered with the matchmaker now, whatever they show.
        #[arg(long, group = "themselves")]
        registered: bool,
        /// Radios that there is a record of, because somebody said whose they are, registered now or not.
        #[arg(long, group = "themselves")]
        recorded: bool,
        /// Of these only those of this account; empty: nobody's.
        #[arg(long, value_name = "ACCOUNT", requires = "themselves")]
        account: Option<String>,
        /// How it is shown.
        #[command(flatten)]
        pages: Pages,
    },
    /// Networks of this control process's configuration, and how many devices they have.
    Services(Pages),
    /// Networks that the matchmaker knows, and the gateways that serve them.
    Networks {
        /// What to do; a list unless told.
        #[command(subcommand)]
        verb: Option<NetworksVerb>,
        /// How it is shown.
        #[command(flatten)]
        pages: Pages,
    },
    /// Attached gateways.
    Gateways(Pages),
    /// Which radio may show which service to whom.
    Bindings {
        /// What to do; a list unless told.
        #[command(subcommand)]
        verb: Option<BindingsVerb>,
        /// Only those that name this device; *: those for any.
        #[arg(long, value_name = "MAC")]
        client: Option<String>,
        /// Only those that name this radio; *: those near any.
        #[arg(long, value_name = "MAC")]
        radio: Option<String>,
        /// Only those of this service.
        #[arg(long, value_name = "UUID")]
        service: Option<String>,
        /// Only this account's; empty: nobody's.
        #[arg(long, value_name = "ACCOUNT")]
        account: Option<String>,
        /// How it is shown.
        #[command(flatten)]
        pages: Pages,
    },
    /// Devices that have a name, and those that are refused because they failed to authenticate too often.
    Clients {
        /// What to do; a list unless told.
        #[command(subcommand)]
        verb: Option<ClientsVerb>,
        /// How it is shown.
        #[command(flatten)]
        pages: Pages,
    },
    /// Bindings that nobody has made, and without which nobody sees a network.
    Suggestions {
        /// Which part.
        #[command(flatten)]
        page: Page,
        /// Form of the answer.
        #[command(flatten)]
        show: Show,
    },
    /// Whose radios and services there are.
    Accounts {
        /// What to do; a list unless told.
        #[command(subcommand)]
        verb: Option<AccountsVerb>,
        /// How it is shown.
        #[command(flatten)]
        pages: Pages,
    },
    /// Whose services may be shown on whose radios.
    Grants {
        /// What to do; a list unless told.
        #[command(subcommand)]
        verb: Option<GrantsVerb>,
        /// How it is shown.
        #[command(flatten)]
        pages: Pages,
    },
    /// What services have agreed with subscribers.
    Contracts {
        /// What to do; a list unless told.
        #[command(subcommand)]
        verb: Option<ContractsVerb>,
        /// How it is shown.
        #[command(flatten)]
        pages: Pages,
    },
    /// What devices used, as radio and gateway report it, the oldest first.
    Usage {
        /// Only of this account's services or radios; empty: of nobody's.
        #[arg(long, value_name = "ACCOUNT")]
        account: Option<String>,
        /// Only at this radio.
        #[arg(long, value_name = "MAC")]
        radio: Option<String>,
        /// Only of this service.
        #[arg(long, value_name = "UUID")]
        service: Option<String>,
        /// Only what was first reported in the last hours.
        #[arg(long, value_name = "HOURS")]
        last: Option<u32>,
        /// Which part.
        #[command(flatten)]
        page: Page,
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
        /// Its signal at the radio, in dBm; otherwise as it was heard in the last ten minutes.
        #[arg(long, value_name = "DBM", allow_negative_numbers = true)]
        signal: Option<i32>,
        /// Form of the answer.
        #[command(flatten)]
        show: Show,
    },
    /// Lets a device that failed to authenticate too often come again.
    Forgive {
        /// The device.
        #[arg(value_name = "CLIENT")]
        client: String,
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
            Command::Sessions { pages, .. } | Command::Services(pages) | Command::Gateways(pages) => {
                pages.list.show.form()
            }
            Command::Suggestions { show, .. }
            | Command::Usage { show, .. }
            | Command::Explain { show, .. }
            | Command::Forgive { show, .. }
            | Command::Drain { show, .. }
            | Command::Disconnect { show, .. }
            | Command::Rekey { show, .. }
            | Command::Stats(show) => show.form(),
            Command::Radios { verb, pages, .. } => of(verb.as_ref().map(RadiosVerb::show), pages),
            Command::Networks { verb, pages } => of(verb.as_ref().map(NetworksVerb::show), pages),
            Command::Bindings { verb, pages, .. } => of(verb.as_ref().map(BindingsVerb::show), pages),
            Command::Clients { verb, pages } => of(verb.as_ref().map(ClientsVerb::show), pages),
            Command::Accounts { verb, pages } => of(verb.as_ref().map(AccountsVerb::show), pages),
            Command::Grants { verb, pages } => of(verb.as_ref().map(GrantsVerb::show), pages),
            Command::Contracts { verb, pages } => of(verb.as_ref().map(ContractsVerb::show), pages),
            Command::Decrypt(_) | Command::Completion { .. } | Command::Man { .. } => None,
        }
    }
}

fn of(verb: Option<&Show>, pages: &Pages) -> Option<Output> {
    verb.and_then(Show::form).or(pages.list.show.form())
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
