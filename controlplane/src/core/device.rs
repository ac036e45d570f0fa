//! From a configured service to what its devices' state machines need.

use std::time::Duration;

use authenticator::{FailureTable, Limits, NamedPsk, Security};
use dot11::{
    element::{ElementsBuilder, Rsn, RsnCapabilities, Ssid},
    rsn::{Akm, Passphrase, Pmk, pmk_from_passphrase},
};

use crate::config;

/// Pairwise master keys kept per service.
pub(super) const PMK_CACHE: usize = 65_536;

/// The configuration has been checked, so every passphrase has a possible form.
pub(super) fn authenticator_service(config: &config::Service) -> authenticator::Service {
    let ssid = config.ssid.as_bytes();
    let mut service = match config.security {
        config::Security::Open => authenticator::Service::open(ssid),
        config::Security::Psk | config::Security::PskSha256 => {
            let passphrases =
                config.passphrases.iter().map(|passphrase| named_psk(passphrase, ssid)).collect();
            authenticator::Service::psk(ssid, passphrases)
        }
        config::Security::Eap | config::Security::EapSha256 => authenticator::Service::eap(ssid),
    };
    service.akms = akms(config.security);
    debug_assert!(matches!(service.security, Security::Open) == service.akms.is_empty());
    service.timings.ptk_rekey = seconds(config.ptk_rekey_seconds);
    service.timings.gtk_rekey = seconds(config.gtk_rekey_seconds);
    service.limits = limits(config);
    service
}

pub(super) fn failure_table(config: &config::Service) -> FailureTable {
    FailureTable::new(limits(config))
}

fn limits(config: &config::Service) -> Limits {
    Limits {
        max_failures: config.max_failures,
        block: Duration::from_secs(config.block_seconds.into()),
        ..Limits::default()
    }
}

fn named_psk(passphrase: &config::Passphrase, ssid: &[u8]) -> NamedPsk {
    let text = &passphrase.passphrase;
    let pmk = match hex_key(text) {
        Some(key) => Pmk::new(key),
        None => {
            let passphrase = Passphrase::new(text.as_str()).expect("the configuration was checked");
            pmk_from_passphrase(&passphrase, &Ssid::parse(ssid).expect("the configuration was checked"))
        }
    };
    NamedPsk {
        name: passphrase.name.as_str().into(),
        pmk,
        vlan: passphrase.vlan,
        client: passphrase.client.map(|mac| mac.0),
    }
}

/// What beacons of the service say of it: name and security. What they say of the radio is the radio's.
pub(super) fn beacon_elements(config: &config::Service) -> Vec<u8> {
    let ssid = Ssid::parse(config.ssid.as_bytes()).expect("the configuration was checked");
    let elements = ElementsBuilder::new().ssid(&ssid);
    let akms = akms(config.security);
    if akms.is_empty() {
        return elements.build();
    }
    // With QoS the gateway keeps a replay counter for each TID.
    let capabilities = RsnCapabilities::default().with_16_ptksa_replay_counters();
    elements.rsn(&Rsn { capabilities, ..Rsn::ccmp(&akms) }).build()
}

fn akms(security: config::Security) -> Vec<Akm> {
    match security {
        config::Security::Open => Vec::new(),
        config::Security::Psk => vec![Akm::Psk],
        config::Security::PskSha256 => vec![Akm::Psk, Akm::PskSha256],
        config::Security::Eap => vec![Akm::Ieee8021x],
        config::Security::EapSha256 => vec![Akm::Ieee8021x, Akm::Ieee8021xSha256],
    }
}

/// 64 hexadecimal digits are the key itself, not a passphrase.
fn hex_key(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 {
        return None;
    }
    let mut key = [0; 32];
    for (octet, digits) in key.iter_mut().zip(text.as_bytes().chunks(2)) {
        *octet = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(key)
}

fn seconds(count: u32) -> Option<Duration> {
    (count > 0).then(|| Duration::from_secs(count.into()))
}

/// How operators call an AKM: the names of `wpa_supplicant`'s configuration.
pub(super) fn akm_name(akm: Akm) -> &'static str {
    match akm {
        Akm::Ieee8021x => "WPA-EAP",
        Akm::Psk => "WPA-PSK",
        Akm::Ieee8021xSha256 => "WPA-EAP-SHA256",
        Akm::PskSha256 => "WPA-PSK-SHA256",
        _ => "other",
    }
}
