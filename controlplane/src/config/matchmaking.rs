//! What the configuration says of matchmaking.

use std::{
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use matchmaker::objects::AccountId;
use proto::matchmaking::PublicKey;
use serde::{Deserialize, Deserializer, de::Error};

/// The matchmaker in this process.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Matchmaker {
    /// UDP: where radios, and gateways of others, reach it.
    #[serde(default = "listen")]
    pub listen: SocketAddr,
    /// Its file of keys, which all processes of one name share; absent: `matchmaker.key` in the state directory.
    pub key_file: Option<PathBuf>,
    /// Whose the services of this configuration are: the e-mail address of an account; absent: nobody's.
    #[serde(default, deserialize_with = "account")]
    pub account: Option<AccountId>,
    /// Days for which is kept what devices used, after the last report of it; 0: for ever.
    #[serde(default = "sessions_days")]
    pub sessions_days: u32,
    /// Services of all together who prove nothing: keys without account, and accounts without key; 0: none.
    #[serde(default = "services_of_strangers")]
    pub services_of_strangers: u32,
    /// Radios and gateways that speak at about the same time: of so many, the last requests are remembered.
    #[serde(default = "peers")]
    pub peers: u32,
    /// Devices of which is known where they were lately, 64 octets each: rounded down to a power of two.
    #[serde(default = "sightings")]
    pub sightings: usize,
}

/// More would take over 4 GiB.
const MAX_SIGHTINGS: usize = 1 << 26;
/// The same, of 32 octets each.
const MAX_PEERS: u32 = 1 << 27;

impl Matchmaker {
    /// What does not fit, in words for the operator.
    pub(super) fn check(&self) -> Result<(), String> {
        if !(1..=MAX_PEERS).contains(&self.peers) {
            return Err(format!(
                "[matchmaker] has peers = {}: it takes 1 to {MAX_PEERS} radios and gateways, 32 octets each",
                self.peers
            ));
        }
        match self.sightings {
            1..=MAX_SIGHTINGS => Ok(()),
            many => Err(format!(
                "[matchmaker] has sightings = {many}: it takes 1 to {MAX_SIGHTINGS} devices, 64 octets each"
            )),
        }
    }

    /// Where its keys are.
    pub fn key_file(&self, state: &Path) -> PathBuf {
        self.key_file.clone().unwrap_or_else(|| state.join("matchmaker.key"))
    }
}

/// A matchmaker elsewhere.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Matchmaking {
    /// `HOST:PORT`.
    pub server: String,
    /// Its public key: 64 hexadecimal digits, as it says when it starts.
    pub key: PublicKeyText,
    /// Whose the services are: an e-mail address.
    pub account: Option<String>,
    /// The key of that account: 64 hexadecimal digits.
    pub account_key: Option<SharedKey>,
}

/// A legal entity.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// Its e-mail address.
    #[serde(deserialize_with = "account_id")]
    pub id: AccountId,
    /// What its radios and gateways must prove to have: 64 hexadecimal digits.
    pub key: Option<SharedKey>,
}

/// When a network is shown; see `visibility::Policy`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// Least signal of the device, in dBm.
    pub min_rssi_dbm: Option<i8>,
    /// Least spare capacity from the device, in kbit/s.
    pub min_up_kbps: Option<u32>,
    /// The same towards it.
    pub min_down_kbps: Option<u32>,
    /// How long the device must have been near, in milliseconds.
    pub delay_ms: Option<u32>,
    /// Radios that it may have been near in the last ten minutes: at most seven.
    pub max_mobility: Option<u32>,
    /// More delay at 2.4 GHz for devices that can do another band, in milliseconds.
    pub steer_delay_ms: Option<u32>,
    /// Shown at least so long once shown, in seconds.
    pub dwell_seconds: Option<u32>,
    /// A connected device is sent away below, in dBm.
    pub kick_rssi_dbm: Option<i8>,
    /// Probe requests below are not answered, in dBm.
    pub suppress_rssi_dbm: Option<i8>,
    /// Most clients on one radio.
    pub max_clients: Option<u32>,
    /// The beacon does not name the network.
    pub hidden: Option<bool>,
    /// Not shown while the client's own network is heard.
    pub yields_to_home: Option<bool>,
}

impl From<Policy> for visibility::Policy {
    fn from(policy: Policy) -> visibility::Policy {
        let milliseconds = |time: u32| Duration::from_millis(time.into());
        visibility::Policy {
            min_rssi_dbm: policy.min_rssi_dbm,
            min_up_kbps: policy.min_up_kbps,
            min_down_kbps: policy.min_down_kbps,
            delay: policy.delay_ms.map(milliseconds),
            max_mobility: policy.max_mobility,
            steer_delay: policy.steer_delay_ms.map(milliseconds),
            dwell: policy.dwell_seconds.map(|seconds| Duration::from_secs(seconds.into())),
            kick_rssi_dbm: policy.kick_rssi_dbm,
            suppress_rssi_dbm: policy.suppress_rssi_dbm,
            max_clients: policy.max_clients,
            hidden: policy.hidden,
            yields_to_home: policy.yields_to_home,
        }
    }
}

/// A public key as people write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicKeyText(pub PublicKey);

impl<'de> Deserialize<'de> for PublicKeyText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(PublicKeyText).map_err(D::Error::custom)
    }
}

/// A secret of 32 octets. Prints as `…`.
#[derive(Clone, PartialEq, Eq)]
pub struct SharedKey(pub [u8; 32]);

impl<'de> Deserialize<'de> for SharedKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        // The same form as a public key, and not to be shown if it is wrong.
        let key: PublicKey = text.parse().map_err(|_| {
            D::Error::custom("a key is 64 hexadecimal digits (`openssl rand -hex 32` makes one)")
        })?;
        Ok(SharedKey(key.0))
    }
}

impl fmt::Debug for SharedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

fn account<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<AccountId>, D::Error> {
    account_id(deserializer).map(Some)
}

fn account_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<AccountId, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
}

/// A year, and what bills of it take.
fn sessions_days() -> u32 {
    400
}

fn peers() -> u32 {
    1 << 20
}

fn services_of_strangers() -> u32 {
    matchmaker::Settings::default().services_of_strangers
}

fn sightings() -> usize {
    matchmaker::Settings::default().sightings
}

fn listen() -> SocketAddr {
    SocketAddr::from(([0, 0, 0, 0], 5248))
}
