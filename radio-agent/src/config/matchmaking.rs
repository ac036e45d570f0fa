//! `[matchmaking]`: which matchmaker, whose radio, what it has to give.

use super::toml::{Table, Value};
use super::{ConfigError, Keys, endpoint, integer, string};
use crate::agent::MAX_SLOTS;
use proto::matchmaking::{Key, PublicKey};

/// What the file says about matchmaking.
#[derive(Debug, Clone)]
pub struct Matchmaking {
    /// `server`: host or address
    pub host: String,
    /// `server`: port
    pub port: u16,
    /// `key`: the matchmaker's static public key
    pub key: PublicKey,
    /// `account`: e-mail address
    pub account: Option<String>,
    /// `account_key`
    pub account_key: Option<Key>,
    /// `secret_file`: where the radio's static key is kept, if not at the usual place
    pub secret_file: Option<String>,
    /// `bssids`: virtual BSSes at a time
    pub bssids: usize,
    /// `up_kbps`: of the backhaul
    pub up_kbps: Option<u32>,
    /// `down_kbps`: of the backhaul
    pub down_kbps: Option<u32>,
    /// `location`
    pub location: Option<Location>,
}

/// Keys do not take part: they are secrets, and are not compared.
impl PartialEq for Matchmaking {
    fn eq(&self, other: &Matchmaking) -> bool {
        let of = |config: &Matchmaking| {
            (
                (config.host.clone(), config.port, config.key, config.account.clone()),
                (config.account_key.is_some(), config.secret_file.clone(), config.bssids),
                (config.up_kbps, config.down_kbps, config.location.clone()),
            )
        };
        of(self) == of(other)
    }
}

impl Eq for Matchmaking {}

/// Where the radio is (WGS 84).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// Degrees times 10^7.
    pub latitude_e7: i32,
    /// Degrees times 10^7.
    pub longitude_e7: i32,
    /// For people.
    pub civic: String,
}

const KEYS: &str = "server, key, account, account_key, secret_file, bssids, up_kbps, down_kbps, location";

pub(super) fn matchmaking_of(table: &Table) -> Result<Matchmaking, ConfigError> {
    let mut keys = Keys::new(table, "in [matchmaking]", KEYS)?;
    let server = |value: &Value| endpoint(&string(value)?);
    let (host, port) = keys.need(
        "server",
        server,
        "\"host:port\" or \"[IPv6 address]:port\"",
        "server = \"matchmaker.example:5248\"",
    )?;
    let key = |value: &Value| string(value)?.parse().ok();
    let example = "key = \"…\", the line that the matchmaker prints when it starts";
    let key = keys.need("key", key, "the matchmaker's public key, 64 hexadecimal digits", example)?;
    let account = |value: &Value| string(value).filter(|account| is_email(account));
    let account = keys.take("account", account, "an e-mail address such as \"me@example.org\"")?;
    let secret = |value: &Value| string(value)?.parse::<PublicKey>().ok().map(|octets| Key(octets.0));
    let account_key = keys.take("account_key", secret, "the account's key, 64 hexadecimal digits")?;
    let file = |value: &Value| string(value).filter(|path| !path.is_empty());
    let secret_file = keys.take("secret_file", file, "the path of a file with 64 hexadecimal digits")?;
    let bssids =
        |value: &Value| usize::try_from(integer(value)?).ok().filter(|count| (1..=MAX_SLOTS).contains(count));
    let wanted =
        format!("from 1 to {MAX_SLOTS}; `iw phy` (valid interface combinations) says what the radio takes");
    let bssids = keys.take("bssids", bssids, &wanted)?.unwrap_or(4);
    let kbps = |value: &Value| u32::try_from(integer(value)?).ok().filter(|&kbps| kbps > 0);
    let up_kbps = keys.take("up_kbps", kbps, "the backhaul's capacity in kbit/s, such as 40000")?;
    let down_kbps = keys.take("down_kbps", kbps, "the backhaul's capacity in kbit/s, such as 100000")?;
    let place = |value: &Value| location(&string(value)?);
    let wanted = "\"latitude, longitude\" in degrees, and after another comma words for people: \"52.5163, 13.3777, gate\"";
    let location = keys.take("location", place, wanted)?;
    keys.finish()?;
    Ok(Matchmaking {
        host,
        port,
        key,
        account,
        account_key,
        secret_file,
        bssids,
        up_kbps,
        down_kbps,
        location,
    })
}

/// Whether this is the name of an account.
pub fn is_email(text: &str) -> bool {
    let parts = text.split_once('@');
    text.len() <= 254
        && !text.contains(|character: char| character.is_whitespace() || character.is_control())
        && parts.is_some_and(|(user, domain)| !user.is_empty() && !domain.is_empty() && !domain.contains('@'))
}

fn location(text: &str) -> Option<Location> {
    let mut parts = text.splitn(3, ',');
    let latitude_e7 = degrees(parts.next()?, 90)?;
    let longitude_e7 = degrees(parts.next()?, 180)?;
    let civic = parts.next().unwrap_or_default().trim().to_owned();
    let line = civic.len() <= 120 && !civic.contains(char::is_control);
    line.then_some(Location { latitude_e7, longitude_e7, civic })
}

/// Decimal degrees times 10^7; further digits do not count.
fn degrees(text: &str, most: i32) -> Option<i32> {
    let text = text.trim();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let decimal = |digits: &str| digits.bytes().all(|digit| digit.is_ascii_digit());
    if whole.is_empty() || whole.len() > 3 || !decimal(whole) || !decimal(part) {
        return None;
    }
    let mut value: i32 = whole.parse().ok()?;
    for digit in part.bytes().chain(std::iter::repeat(b'0')).take(7) {
        value = value.checked_mul(10)?.checked_add(i32::from(digit - b'0'))?;
    }
    (value <= most * 10_000_000).then_some(if negative { -value } else { value })
}
