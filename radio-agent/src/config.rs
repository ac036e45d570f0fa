//! The agent's configuration: what the file may say, checked completely before anything is touched.

mod matchmaking;
mod toml;

use std::fmt;

use dot11::{Akm, MacAddr};
use proto::tunnel::ServiceUuid;
use toml::{Entry, Table, Value};

pub use matchmaking::{Location, Matchmaking, is_email};

/// Virtual BSSes that one agent takes.
pub const MAX_BSSES: usize = 16;

/// Everything the file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// `radio`: the radio's permanent address; the backend knows it otherwise.
    pub radio: Option<MacAddr>,
    /// `mtu`: octets of the path to the gateways, IP and UDP headers included.
    pub mtu: usize,
    /// `[backend]`
    pub backend: BackendConfig,
    /// `channel` of `[backend]`
    pub channel: Channel,
    /// `[[bss]]`
    pub bsses: Vec<BssConfig>,
    /// `[matchmaking]`
    pub matchmaking: Option<Matchmaking>,
}

/// Where the air is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BackendConfig {
    /// A Wi-Fi device of this machine, by the name of its phy.
    Nl80211 {
        /// For instance `phy0`.
        phy: String,
    },
    /// Simulated devices on a Unix socket.
    Air {
        /// Where the socket is made.
        socket: String,
    },
}

/// A 20 MHz channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Channel(u8);

impl Channel {
    /// Channels 1 to 14 of 2.4 GHz and 36 to 177 of 5 GHz.
    pub const fn new(number: u8) -> Option<Channel> {
        match number {
            1..=14 | 36..=177 => Some(Channel(number)),
            _ => None,
        }
    }

    /// The channel's number.
    pub const fn number(self) -> u8 {
        self.0
    }

    /// Its centre in MHz (802.11-2020 Annex E).
    pub const fn frequency(self) -> u32 {
        match self.0 {
            14 => 2484,
            number @ 1..=13 => 2407 + 5 * number as u32,
            number => 5000 + 5 * number as u32,
        }
    }

    /// In the 2.4 GHz band.
    pub const fn is_2ghz(self) -> bool {
        self.0 <= 14
    }
}

/// One virtual BSS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BssConfig {
    /// `bssid`
    pub bssid: MacAddr,
    /// `ssid`, 1 to 32 octets
    pub ssid: Vec<u8>,
    /// `service`
    pub service: ServiceUuid,
    /// `security`
    pub security: Security,
    /// `gateway`: host or address
    pub host: String,
    /// `gateway`: port
    pub port: u16,
}

/// What the beacon says of authentication: nothing, or RSN with these suites. It must be what the service's
/// authenticator says, since devices compare the two (802.11-2020 §12.7.6.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Security {
    /// No RSN.
    Open,
    /// CCMP-128 with these suites, in the order given.
    Rsn(Vec<Akm>),
}

impl Security {
    /// The names mean what they mean in the configuration of services: `-sha256` offers the suite with SHA-256 beside
    /// the one without.
    fn parse(name: &str) -> Option<Security> {
        let akms: &[Akm] = match name {
            "open" => return Some(Security::Open),
            "psk" => &[Akm::Psk],
            "psk-sha256" => &[Akm::Psk, Akm::PskSha256],
            "eap" => &[Akm::Ieee8021x],
            "eap-sha256" => &[Akm::Ieee8021x, Akm::Ieee8021xSha256],
            _ => return None,
        };
        Some(Security::Rsn(akms.to_vec()))
    }
}

/// What is wrong with a configuration, and in which line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong.
    pub problem: Problem,
}

/// What is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// Not of the subset of TOML that is read.
    Syntax(String),
    /// Said twice.
    Repeated(String),
    /// A key or table that is not known.
    Unknown {
        /// What it is called.
        name: String,
        /// Where it stands.
        place: String,
        /// What may stand there.
        known: &'static str,
    },
    /// Needed and not there.
    Missing {
        /// The key or table.
        name: &'static str,
        /// Where it should stand.
        place: String,
        /// What to write.
        example: &'static str,
    },
    /// A value that does not fit.
    Value {
        /// The key.
        key: String,
        /// What it should be.
        wanted: String,
    },
}

impl std::error::Error for ConfigError {}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.problem {
            Problem::Syntax(what) => write!(f, "{what}"),
            Problem::Repeated(what) => write!(f, "{what} is there twice; keep one"),
            Problem::Unknown { name, place, known } => {
                write!(f, "unknown {name} {place}; known here: {known}")
            }
            Problem::Missing { name, place, example } => {
                write!(f, "{name} is missing {place}; add for instance: {example}")
            }
            Problem::Value { key, wanted } => write!(f, "`{key}` must be {wanted}"),
        }
    }
}

impl Config {
    /// Reads and checks the text of a configuration file.
    pub fn parse(text: &str) -> Result<Config, ConfigError> {
        let mut radio = None;
        let mut mtu = 1500;
        let mut backend = None;
        let mut matchmaking = None;
        let mut bsses: Vec<BssConfig> = Vec::new();
        for table in toml::parse(text)? {
            match (table.name.as_str(), table.array) {
                ("", _) => {
                    let mut keys = Keys::new(&table, "at the top of the file", TOP)?;
                    radio =
                        keys.take("radio", unicast, "a unicast MAC address such as \"02:00:00:00:00:01\"")?;
                    mtu = keys.take("mtu", path_mtu, "a path MTU from 128 to 9216")?.unwrap_or(mtu);
                    keys.finish()?;
                }
                ("backend", false) => backend = Some(backend_of(&table)?),
                ("matchmaking", false) => matchmaking = Some(matchmaking::matchmaking_of(&table)?),
                ("bss", true) => {
                    let bss = bss_of(&table)?;
                    if bsses.iter().any(|other| other.bssid == bss.bssid) {
                        let what = format!("bssid {}", bss.bssid);
                        return Err(ConfigError { line: table.line, problem: Problem::Repeated(what) });
                    }
                    if bsses.len() == MAX_BSSES {
                        let wanted = format!("given at most {MAX_BSSES} times");
                        let problem = Problem::Value { key: "[[bss]]".to_owned(), wanted };
                        return Err(ConfigError { line: table.line, problem });
                    }
                    bsses.push(bss);
                }
                (name, array) => {
                    let name = if array { format!("[[{name}]]") } else { format!("[{name}]") };
                    let problem = Problem::Unknown { name, place: String::new(), known: TABLES };
                    return Err(ConfigError { line: table.line, problem });
                }
            }
        }
        let line = text.lines().count().max(1);
        let missing = |name, example| ConfigError {
            line,
            problem: Problem::Missing { name, place: "in the file".to_owned(), example },
        };
        let (backend, channel) = backend
            .ok_or_else(|| missing("[backend]", "[backend] kind = \"nl80211\" phy = \"phy0\" channel = 6"))?;
        if bsses.is_empty() && matchmaking.is_none() {
            let example =
                "[matchmaking] with server and key, or [[bss]] with bssid, ssid, service, security, gateway";
            return Err(missing("[matchmaking] or [[bss]]", example));
        }
        let simulated = matches!(backend, BackendConfig::Air { .. });
        if simulated && bsses.is_empty() && radio.is_none() {
            return Err(missing(
                "radio, which a simulated radio has not by itself,",
                "radio = \"02:bb:00:00:00:07\"",
            ));
        }
        Ok(Config { radio, mtu, backend, channel, bsses, matchmaking })
    }
}

const TABLES: &str = "[backend], [matchmaking], [[bss]]";
const TOP: &str = "radio, mtu, [backend], [matchmaking], [[bss]]";

fn backend_of(table: &Table) -> Result<(BackendConfig, Channel), ConfigError> {
    let mut keys = Keys::new(table, "in [backend]", "kind, phy, socket, channel")?;
    let kind = keys.need("kind", string, "\"nl80211\" or \"air\"", "kind = \"nl80211\"")?;
    let channel = |value: &Value| integer(value).and_then(|number| Channel::new(u8::try_from(number).ok()?));
    let channel = keys.need("channel", channel, "a channel: 1 to 14 or 36 to 177", "channel = 6")?;
    let backend = match kind.as_str() {
        "nl80211" => {
            let phy = |value: &Value| string(value).filter(|phy| is_phy(phy));
            BackendConfig::Nl80211 {
                phy: keys.need("phy", phy, "the name of a phy as `iw phy` lists it", "phy = \"phy0\"")?,
            }
        }
        "air" => {
            let socket = |value: &Value| string(value).filter(|path| (1..108).contains(&path.len()));
            let wanted = "a path of at most 107 octets";
            BackendConfig::Air { socket: keys.need("socket", socket, wanted, "socket = \"/run/air\"")? }
        }
        _ => return Err(keys.wrong("kind", "\"nl80211\" or \"air\"")),
    };
    keys.finish()?;
    Ok((backend, channel))
}

fn bss_of(table: &Table) -> Result<BssConfig, ConfigError> {
    let mut keys = Keys::new(table, "in [[bss]]", "bssid, ssid, service, security, gateway")?;
    let bssid = keys.need(
        "bssid",
        unicast,
        "a unicast MAC address such as \"02:aa:00:00:00:01\"",
        "bssid = \"02:aa:00:00:00:01\"",
    )?;
    let ssid =
        |value: &Value| string(value).map(String::into_bytes).filter(|ssid| (1..=32).contains(&ssid.len()));
    let ssid = keys.need("ssid", ssid, "a string of 1 to 32 octets", "ssid = \"home\"")?;
    let uuid = |value: &Value| string(value)?.parse().ok();
    let service = keys.need(
        "service",
        uuid,
        "a UUID such as \"3f2b6c1e-54a7-4d1b-9a34-0c2f6f1f8a11\"",
        "service = \"3f2b6c1e-54a7-4d1b-9a34-0c2f6f1f8a11\"",
    )?;
    let security = |value: &Value| Security::parse(&string(value)?);
    let security = keys.need(
        "security",
        security,
        "one of \"open\", \"psk\", \"psk-sha256\", \"eap\", \"eap-sha256\"",
        "security = \"psk\"",
    )?;
    let gateway = |value: &Value| endpoint(&string(value)?);
    let (host, port) = keys.need(
        "gateway",
        gateway,
        "\"host:port\" or \"[IPv6 address]:port\"",
        "gateway = \"gateway.example:5247\"",
    )?;
    keys.finish()?;
    Ok(BssConfig { bssid, ssid, service, security, host, port })
}

/// The keys of one table: each is taken once, what is left over is unknown.
struct Keys<'a> {
    table: &'a Table,
    place: &'static str,
    known: &'static str,
    taken: Vec<&'static str>,
}

impl<'a> Keys<'a> {
    /// `known` lists what may stand there; anything else is refused at once, since a key that seems to be missing is
    /// most often a misspelt one.
    fn new(table: &'a Table, place: &'static str, known: &'static str) -> Result<Keys<'a>, ConfigError> {
        let keys = Keys { table, place, known, taken: Vec::new() };
        keys.refuse(|entry| !known.split(", ").any(|name| name == entry.key))?;
        Ok(keys)
    }

    fn take<T>(
        &mut self,
        key: &'static str,
        read: impl Fn(&Value) -> Option<T>,
        wanted: &str,
    ) -> Result<Option<T>, ConfigError> {
        self.taken.push(key);
        let Some(Entry { value, .. }) = self.table.entries.iter().find(|entry| entry.key == key) else {
            return Ok(None);
        };
        read(value).map(Some).ok_or_else(|| self.wrong(key, wanted))
    }

    fn need<T>(
        &mut self,
        key: &'static str,
        read: impl Fn(&Value) -> Option<T>,
        wanted: &str,
        example: &'static str,
    ) -> Result<T, ConfigError> {
        self.take(key, read, wanted)?.ok_or_else(|| ConfigError {
            line: self.table.line,
            problem: Problem::Missing { name: key, place: self.place.to_owned(), example },
        })
    }

    fn wrong(&self, key: &str, wanted: &str) -> ConfigError {
        let entry = self.table.entries.iter().find(|entry| entry.key == key);
        let line = entry.map_or(self.table.line, |entry| entry.line);
        ConfigError { line, problem: Problem::Value { key: key.to_owned(), wanted: wanted.to_owned() } }
    }

    fn finish(self) -> Result<(), ConfigError> {
        self.refuse(|entry| !self.taken.contains(&entry.key.as_str()))
    }

    /// Names the first key that is not wanted.
    fn refuse(&self, unwanted: impl Fn(&Entry) -> bool) -> Result<(), ConfigError> {
        let Some(entry) = self.table.entries.iter().find(|entry| unwanted(entry)) else { return Ok(()) };
        let problem = Problem::Unknown {
            name: format!("key `{}`", entry.key),
            place: self.place.to_owned(),
            known: self.known,
        };
        Err(ConfigError { line: entry.line, problem })
    }
}

fn string(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        _ => None,
    }
}

fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Integer(number) => Some(*number),
        _ => None,
    }
}

fn unicast(value: &Value) -> Option<MacAddr> {
    string(value)?.parse().ok().filter(|address: &MacAddr| !address.is_group())
}

fn path_mtu(value: &Value) -> Option<usize> {
    let mtu = usize::try_from(integer(value)?).ok()?;
    (128..=9216).contains(&mtu).then_some(mtu)
}

/// A name that is one component of a path.
fn is_phy(name: &str) -> bool {
    (1..32).contains(&name.len()) && !name.contains('/') && !name.starts_with('.')
}

fn endpoint(text: &str) -> Option<(String, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let port = port.parse().ok().filter(|port| *port != 0)?;
    let host = match host.strip_prefix('[') {
        Some(host) => host.strip_suffix(']')?,
        None => Some(host).filter(|host| !host.contains(':'))?,
    };
    (!host.is_empty()).then(|| (host.to_owned(), port))
}
