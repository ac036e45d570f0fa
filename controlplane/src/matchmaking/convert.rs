//! Between the messages of `ttg.matchmaking.v1` and the matchmaker's own types. What peers send was checked by `proto`; what it does not
//! check is checked here.

use std::{net::SocketAddr, time::Duration};

use dot11::{MacAddr, element::Ssid};
use matchmaker::{
    Introduction, Refusal,
    objects::{Cause, KeyId, Owner, Security, Service},
    presence::{InstanceId, Load, Location, RadioRegistration, SessionKey},
};
use proto::matchmaking::{
    PublicKey,
    check::MAX_ENDPOINTS,
    messages::{self as pb, failure::Reason},
};
use sha2::{Digest, Sha256};
use uuid::Uuid;
use visibility::{Band, Policy};

/// Names a peer's static key in records.
pub(super) fn key_id(key: &PublicKey) -> KeyId {
    KeyId(half(&key.0))
}

/// The first half of a SHA-256.
pub(super) fn half(octets: &[u8]) -> [u8; 16] {
    let digest = Sha256::digest(octets);
    let mut half = [0; 16];
    half.copy_from_slice(&digest[..16]);
    half
}

/// Of six octets; `proto` has counted them.
pub(super) fn mac(octets: &[u8]) -> MacAddr {
    octets.try_into().map_or(MacAddr::ZERO, MacAddr)
}

/// Of sixteen octets; `proto` has counted them.
pub(super) fn sixteen(octets: &[u8]) -> [u8; 16] {
    octets.try_into().unwrap_or_default()
}

pub(super) fn uuid(octets: &[u8]) -> Uuid {
    Uuid::from_bytes(sixteen(octets))
}

/// The tunnel that a BSS has, if the radio names one.
pub(super) fn tunnel(said: &pb::Connect) -> Option<(InstanceId, SessionKey)> {
    let key = said.key.as_slice().try_into().ok()?;
    Some((said.instance.as_slice().try_into().ok()?, SessionKey(key)))
}

/// In dBm; 0 is unknown.
pub(super) fn rssi(dbm: i32) -> Option<i8> {
    i8::try_from(dbm).ok().filter(|&dbm| dbm != 0)
}

pub(super) fn registration(said: &pb::RegisterRadio, endpoint: SocketAddr) -> RadioRegistration {
    RadioRegistration {
        mac: mac(&said.radio),
        endpoint,
        band: match said.band() {
            pb::Band::Band5Ghz => Band::Ghz5,
            pb::Band::Band6Ghz => Band::Ghz6,
            pb::Band::Band24Ghz | pb::Band::Unspecified => Band::Ghz2_4,
        },
        channel: clamp(said.channel),
        bssids: clamp(said.bssids),
        up_kbps: said.up_kbps,
        down_kbps: said.down_kbps,
        load_permille: clamp(said.load_permille),
        // Bits: those that have no room have no meaning yet.
        capabilities: (said.capabilities & 0xff) as u8,
        location: said.location.as_ref().map(location),
        neighbours: said.neighbours.iter().map(|octets| mac(octets)).collect(),
    }
}

fn location(said: &pb::Location) -> Location {
    Location {
        latitude_e7: said.latitude_e7,
        longitude_e7: said.longitude_e7,
        civic: said.civic.as_str().into(),
    }
}

/// What a gateway says of a service. Owner and policy are not its to say.
pub(super) fn service(said: &pb::RegisterService) -> Service {
    Service {
        uuid: uuid(&said.service),
        owner: Owner::Key(KeyId([0; 16])),
        ssid: Ssid::parse(said.ssid.as_bytes()).unwrap_or(Ssid::WILDCARD),
        security: match said.security() {
            pb::Security::Enterprise => Security::Enterprise,
            pb::Security::Personal => Security::Personal,
            pb::Security::Open | pb::Security::Unspecified => Security::Open,
        },
        capture_url: said.capture_url.clone(),
        template: said.template.clone(),
        policy: Policy::default(),
    }
}

pub(super) fn load(said: &pb::Load) -> Load {
    Load {
        load_permille: clamp(said.load_permille),
        sessions: said.sessions,
        admissions_per_second: said.admissions_per_second,
        draining: said.draining,
    }
}

pub(super) fn cause(said: pb::auto_bind::Cause) -> Cause {
    match said {
        pb::auto_bind::Cause::Wired => Cause::Wired,
        pb::auto_bind::Cause::Remote => Cause::Remote,
        pb::auto_bind::Cause::Local | pb::auto_bind::Cause::Unspecified => Cause::Local,
    }
}

/// When it is shown to a device of this mobility.
pub(super) fn policy(policy: &Policy, mobility: u32) -> pb::Policy {
    let milliseconds = |time: Option<Duration>| time.map_or(0, |time| clamp(time.as_millis()));
    pb::Policy {
        min_rssi_dbm: policy.min_rssi_dbm.unwrap_or(0).into(),
        min_up_kbps: policy.min_up_kbps.unwrap_or(0),
        min_down_kbps: policy.min_down_kbps.unwrap_or(0),
        delay_ms: milliseconds(policy.delay),
        max_mobility: policy.max_mobility.unwrap_or(0),
        steer_delay_ms: milliseconds(policy.steer_delay),
        dwell_seconds: policy.dwell.map_or(0, |time| clamp(time.as_secs())),
        kick_rssi_dbm: policy.kick_rssi_dbm.unwrap_or(0).into(),
        suppress_rssi_dbm: policy.suppress_rssi_dbm.unwrap_or(0).into(),
        max_clients: policy.max_clients.unwrap_or(0),
        hidden: policy.hidden.unwrap_or(false),
        yields_to_home: policy.yields_to_home.unwrap_or(false),
        mobility,
    }
}

pub(super) fn connected(introduction: &Introduction) -> pb::Connected {
    pb::Connected {
        instance: introduction.instance.to_vec(),
        // With the one that the matchmaker sees they may be more than a radio takes.
        endpoints: introduction.endpoints.iter().take(MAX_ENDPOINTS).map(ToString::to_string).collect(),
        key: introduction.key.0.to_vec(),
        valid_seconds: clamp(introduction.valid.as_secs()),
    }
}

pub(super) fn introduction(introduction: &Introduction) -> pb::Introduction {
    pb::Introduction {
        service: introduction.service.as_bytes().to_vec(),
        instance: introduction.instance.to_vec(),
        radio: introduction.radio.0.to_vec(),
        endpoint: introduction.radio_endpoint.to_string(),
        client: introduction.client.0.to_vec(),
        bssid: introduction.bssid.0.to_vec(),
        session_id: introduction.session_id.to_vec(),
        key: introduction.key.0.to_vec(),
        valid_seconds: clamp(introduction.valid.as_secs()),
        rssi_dbm: introduction.rssi_dbm.unwrap_or(0).into(),
        location: introduction.location.as_ref().map(|at| pb::Location {
            latitude_e7: at.latitude_e7,
            longitude_e7: at.longitude_e7,
            civic: at.civic.to_string(),
        }),
        specific: introduction.specific,
    }
}

/// Why the matchmaker does not do it, as the peer is told.
pub(super) fn failure(refusal: &Refusal) -> pb::Failure {
    let (reason, retry) = match refusal {
        Refusal::NotRegistered => (Reason::NotRegistered, None),
        Refusal::UnknownAccount => (Reason::UnknownAccount, None),
        Refusal::NotYours | Refusal::NotIntroduced => (Reason::NotYours, None),
        Refusal::NoBinding => (Reason::NoBinding, None),
        Refusal::NoInstance => (Reason::NoInstance, None),
        Refusal::Refused { retry } => (Reason::Refused, Some(retry)),
        Refusal::Overload { retry, .. } => (Reason::Overload, Some(retry)),
        Refusal::Rate { retry, .. } => (Reason::Rate, Some(retry)),
        Refusal::TooManyBindings | Refusal::TooManyServices | Refusal::TooManyInstances => {
            (Reason::Rate, None)
        }
        Refusal::UnknownService => (Reason::UnknownService, None),
    };
    // Rounded up: not again before that.
    let seconds = retry.map_or(0, |retry| clamp(retry.as_millis().div_ceil(1000)));
    pb::Failure { reason: reason.into(), text: refusal.to_string(), retry_seconds: seconds }
}

/// As large as it gets in the narrower type.
fn clamp<A, B: TryFrom<A> + Bounded>(value: A) -> B {
    B::try_from(value).unwrap_or(B::LARGEST)
}

trait Bounded {
    const LARGEST: Self;
}

impl Bounded for u8 {
    const LARGEST: u8 = u8::MAX;
}

impl Bounded for u16 {
    const LARGEST: u16 = u16::MAX;
}

impl Bounded for u32 {
    const LARGEST: u32 = u32::MAX;
}
