//! The control daemon's configuration: one TOML file, unknown keys refused with file and line.

mod access;
mod check;
mod matchmaking;
mod presence;
mod read;
mod records;

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf};

use dot11::MacAddr;
use matchmaker::Pattern;
use serde::Deserialize;
use uuid::Uuid;

pub use access::Tls;
pub(crate) use check::no_limit;
pub use matchmaking::{Account, Matchmaker, Matchmaking, Policy, PublicKeyText, SharedKey};
pub use presence::{Presence, host_and_port};
pub use read::{ConfigError, load, parse};
pub use records::Records;

/// The whole file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where gateways and operators reach this process over gRPC.
    #[serde(default = "defaults::listen")]
    pub listen: SocketAddr,
    /// Without, `listen` is a loopback address.
    pub tls: Option<Tls>,
    /// File with the tokens of operators; without, on loopback, everybody on this machine is one.
    pub tokens: Option<PathBuf>,
    /// Directory for what must survive a restart: accounting not yet acknowledged.
    #[serde(default = "defaults::state")]
    pub state: PathBuf,
    /// Where Prometheus scrapes; absent: nowhere.
    pub metrics: Option<SocketAddr>,
    /// Name this process goes by towards RADIUS servers (NAS-Identifier).
    #[serde(default = "defaults::name")]
    pub name: String,
    /// RADIUS server groups, by name.
    #[serde(default, rename = "radius")]
    pub radius: Vec<RadiusGroup>,
    /// The networks.
    #[serde(default, rename = "service")]
    pub services: Vec<Service>,
    /// Which radio may show which service to whom.
    #[serde(default, rename = "binding")]
    pub bindings: Vec<Binding>,
    /// The matchmaker, in this process.
    pub matchmaker: Option<Matchmaker>,
    /// Where the matchmaker keeps what it must not forget; absent: in a file of its own.
    pub records: Option<Records>,
    /// A matchmaker elsewhere, that the services are registered with.
    pub matchmaking: Option<Matchmaking>,
    /// Redis, that several control processes of one matchmaker share what they know by; absent: this process is alone.
    pub presence: Option<Presence>,
    /// Legal entities that radios and services belong to.
    #[serde(default, rename = "account")]
    pub accounts: Vec<Account>,
    /// Devices that one gateway takes; the matchmaker sends newcomers elsewhere, or demands more of them, as it fills.
    #[serde(default = "defaults::capacity")]
    pub capacity: u64,
    /// Newcomers that one gateway takes in a second; 0: no limit.
    #[serde(default)]
    pub admissions_per_second: u32,
}

/// Servers that answer for the same users; the first that works is used.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RadiusGroup {
    /// What services call it.
    pub name: String,
    /// Authentication servers, in order of preference.
    pub auth: Vec<SocketAddr>,
    /// Accounting servers, in order of preference; none: no accounting is sent.
    #[serde(default)]
    pub acct: Vec<SocketAddr>,
    /// Shared secret.
    pub secret: String,
    /// Accept replies without Message-Authenticator. Only for servers that cannot send it: it opens the
    /// authentication to forgery (CVE-2024-3596).
    #[serde(default)]
    pub allow_unsigned_replies: bool,
    /// Seconds between accounting interim updates when the server sends no Acct-Interim-Interval; 0: none.
    #[serde(default = "defaults::interim_seconds")]
    pub interim_seconds: u32,
}

/// How devices are authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Security {
    /// Not at all; nothing is encrypted.
    Open,
    /// WPA2-Personal, AKM 00-0F-AC:2.
    Psk,
    /// WPA2-Personal with SHA-256, AKM 00-0F-AC:6, beside AKM 2.
    PskSha256,
    /// WPA2-Enterprise, AKM 00-0F-AC:1.
    Eap,
    /// WPA2-Enterprise with SHA-256, AKM 00-0F-AC:5, beside AKM 1.
    EapSha256,
}

impl Security {
    /// Whether a RADIUS server decides.
    pub fn is_eap(self) -> bool {
        matches!(self, Security::Eap | Security::EapSha256)
    }

    /// Whether passphrases decide.
    pub fn is_psk(self) -> bool {
        matches!(self, Security::Psk | Security::PskSha256)
    }

    /// As written in the file.
    pub fn name(self) -> &'static str {
        match self {
            Security::Open => "open",
            Security::Psk => "psk",
            Security::PskSha256 => "psk-sha256",
            Security::Eap => "eap",
            Security::EapSha256 => "eap-sha256",
        }
    }
}

/// One passphrase of a service.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Passphrase {
    /// Shown as the identity of the devices that use it.
    pub name: String,
    /// 8 to 63 printable ASCII characters, or 64 hexadecimal digits for the key itself.
    pub passphrase: String,
    /// Only this device may use it.
    pub client: Option<Mac>,
    /// Its devices go to this VLAN instead of the service's.
    pub vlan: Option<u16>,
}

/// A network: one ESS, identified by its UUID.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// Identifies the service everywhere.
    pub uuid: Uuid,
    /// What devices see, 1 to 32 octets.
    pub ssid: String,
    /// How devices are authenticated.
    pub security: Security,
    /// For `psk`: at least one.
    #[serde(default)]
    pub passphrases: Vec<Passphrase>,
    /// For `eap`: the name of a `[[radius]]` group. For others: where accounting goes, if anywhere.
    pub radius: Option<String>,
    /// VLAN on the network side; 0: untagged.
    #[serde(default)]
    pub vlan: u16,
    /// Devices do not reach each other through the gateway.
    #[serde(default)]
    pub isolate: bool,
    /// Group-addressed frames are sent to each device under its own key.
    #[serde(default = "defaults::yes")]
    pub group_to_unicast: bool,
    /// The gateway answers ARP and neighbour solicitations for devices it knows.
    #[serde(default = "defaults::yes")]
    pub proxy_arp: bool,
    /// Failed authentications after which a device is refused for a growing interval.
    #[serde(default = "defaults::max_failures")]
    pub max_failures: u32,
    /// Seconds a device is refused the first time; doubles with each further block.
    #[serde(default = "defaults::block_seconds")]
    pub block_seconds: u32,
    /// Seconds without a frame after which a device's session ends.
    #[serde(default = "defaults::idle_seconds")]
    pub idle_seconds: u32,
    /// A device that comes through a wildcard binding and proves who it is gets a binding of its own.
    #[serde(default)]
    pub auto_bind: bool,
    /// When it is shown, unless a binding says otherwise.
    #[serde(default)]
    pub policy: Policy,
    /// Seconds between pairwise rekeys; 0: never.
    #[serde(default)]
    pub ptk_rekey_seconds: u32,
    /// Seconds between group rekeys; 0: never.
    #[serde(default = "defaults::gtk_rekey_seconds")]
    pub gtk_rekey_seconds: u32,
}

/// "This service, for this client, at this radio."
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Binding {
    /// UUID of a configured service.
    pub service: Uuid,
    /// A MAC address, or `*`.
    #[serde(default = "defaults::any")]
    pub client: Pattern,
    /// A MAC address, or `*`.
    #[serde(default = "defaults::any")]
    pub radio: Pattern,
    /// It introduces for good, without the matchmaker: for radios that do not speak matchmaking. All bindings do if there is no matchmaker.
    #[serde(default)]
    pub fixed: bool,
    /// What it says differently from the service's policy.
    #[serde(default)]
    pub policy: Policy,
}

/// A MAC address as people write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mac(pub MacAddr);

impl<'de> Deserialize<'de> for Mac {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Mac).map_err(|_| {
            serde::de::Error::custom(format!("`{text}` is not a MAC address such as 02:aa:00:00:00:01"))
        })
    }
}

impl Config {
    /// Whether this binding introduces by itself.
    pub fn is_standing(&self, binding: &Binding) -> bool {
        binding.fixed || (self.matchmaker.is_none() && self.matchmaking.is_none())
    }

    /// Where the records are, unless [`Config::records`] says otherwise.
    pub fn file_of_records(&self) -> PathBuf {
        self.state.join("records.redb")
    }

    /// The RADIUS groups by name.
    pub fn radius_by_name(&self) -> BTreeMap<&str, &RadiusGroup> {
        self.radius.iter().map(|group| (group.name.as_str(), group)).collect()
    }
}

impl std::fmt::Debug for RadiusGroup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RadiusGroup")
            .field("name", &self.name)
            .field("auth", &self.auth)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Passphrase").field("name", &self.name).finish_non_exhaustive()
    }
}

mod defaults {
    use std::{net::SocketAddr, path::PathBuf};

    use matchmaker::Pattern;

    pub fn listen() -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 7400))
    }
    pub fn state() -> PathBuf {
        PathBuf::from("/var/lib/ttg")
    }
    pub fn name() -> String {
        "ttg".to_owned()
    }
    pub fn any() -> Pattern {
        Pattern::Any
    }
    pub fn yes() -> bool {
        true
    }
    pub fn capacity() -> u64 {
        100_000
    }
    pub fn max_failures() -> u32 {
        5
    }
    pub fn block_seconds() -> u32 {
        60
    }
    pub fn idle_seconds() -> u32 {
        600
    }
    pub fn gtk_rekey_seconds() -> u32 {
        3600
    }
    pub fn interim_seconds() -> u32 {
        600
    }
}
