//! How each object is shown: a row of a table for people, an object of JSON for programs.

use proto::admin::{
    Account, Binding, Client, Contract, Gateway, Grant, Network, Policy, Radio, RegisteredRadio, Service,
    Session, Suggestion, Usage, UsageTotals,
};
use serde_json::{Value, json};

use super::print::{age, dash, octets, until};

/// Something that is listed.
pub(super) trait Item {
    /// Of its columns.
    const HEADER: &'static [&'static str];
    /// Its columns.
    fn row(&self) -> Vec<String>;
    /// All of it.
    fn json(&self) -> Value;
}

impl Item for Session {
    const HEADER: &'static [&'static str] =
        &["CLIENT", "SSID", "STATE", "IDENTITY", "ADDRESS", "RADIO", "SIGNAL", "UP", "DOWN", "AGE"];

    fn row(&self) -> Vec<String> {
        vec![
            self.client.clone(),
            self.ssid.clone(),
            self.state.clone(),
            dash(&self.identity),
            dash(&self.addresses.join(" ")),
            self.radio.clone(),
            if self.rssi_dbm == 0 { "-".to_owned() } else { format!("{} dBm", self.rssi_dbm) },
            octets(self.up_octets),
            octets(self.down_octets),
            age(self.since_unix_ms),
        ]
    }

    fn json(&self) -> Value {
        json!({
            "client": self.client, "service": self.service, "ssid": self.ssid, "bssid": self.bssid, "radio": self.radio,
            "gateway": self.gateway, "state": self.state, "identity": self.identity, "addresses": self.addresses,
            "since_unix_ms": self.since_unix_ms, "online_unix_ms": self.online_unix_ms,
            "up_packets": self.up_packets, "up_octets": self.up_octets,
            "down_packets": self.down_packets, "down_octets": self.down_octets,
            "rssi_dbm": self.rssi_dbm, "vlan": self.vlan, "akm": self.akm,
            "acct_session_id": self.acct_session_id, "rekeys": self.rekeys,
        })
    }
}

impl Item for Radio {
    const HEADER: &'static [&'static str] =
        &["RADIO", "BSSID", "SSID", "ENDPOINT", "GATEWAY", "CLIENTS", "AGE"];

    fn row(&self) -> Vec<String> {
        vec![
            dash(&self.radio),
            self.bssid.clone(),
            dash(&self.ssid),
            dash(&self.endpoint),
            dash(&self.gateway),
            self.clients.to_string(),
            age(self.since_unix_ms),
        ]
    }

    fn json(&self) -> Value {
        json!({
            "radio": self.radio, "bssid": self.bssid, "service": self.service, "ssid": self.ssid,
            "endpoint": self.endpoint, "gateway": self.gateway, "clients": self.clients,
            "since_unix_ms": self.since_unix_ms,
        })
    }
}

impl Item for Service {
    const HEADER: &'static [&'static str] = &["SSID", "UUID", "SECURITY", "VLAN", "CLIENTS", "BLOCKED"];

    fn row(&self) -> Vec<String> {
        vec![
            dash(&self.ssid),
            self.uuid.clone(),
            dash(&self.security),
            if self.vlan == 0 { "-".to_owned() } else { self.vlan.to_string() },
            self.clients.to_string(),
            self.blocked.to_string(),
        ]
    }

    fn json(&self) -> Value {
        json!({
            "uuid": self.uuid, "ssid": self.ssid, "security": self.security, "vlan": self.vlan,
            "clients": self.clients, "blocked": self.blocked,
        })
    }
}

impl Item for Gateway {
    const HEADER: &'static [&'static str] =
        &["GATEWAY", "VERSION", "LISTEN", "TUNNELS", "STATIONS", "ATTACHED", "NEWCOMERS"];

    fn row(&self) -> Vec<String> {
        vec![
            self.name.clone(),
            dash(&self.version),
            dash(&self.listen.join(" ")),
            self.tunnels.to_string(),
            self.stations.to_string(),
            age(self.attached_unix_ms),
            if self.draining { "no" } else { "yes" }.to_owned(),
        ]
    }

    fn json(&self) -> Value {
        json!({
            "name": self.name, "version": self.version, "listen": self.listen, "tunnels": self.tunnels,
            "stations": self.stations, "attached_unix_ms": self.attached_unix_ms, "draining": self.draining,
        })
    }
}

impl Item for Binding {
    const HEADER: &'static [&'static str] =
        &["ID", "SERVICE", "CLIENT", "RADIO", "ACCOUNT", "ORIGIN", "POLICY"];

    fn row(&self) -> Vec<String> {
        vec![
            self.id.to_string(),
            dash(&self.service),
            dash(&self.client),
            dash(&self.radio),
            dash(&self.account),
            dash(&self.origin),
            dash(&policy_words(self.policy.as_ref())),
        ]
    }

    fn json(&self) -> Value {
        json!({
            "id": self.id, "service": self.service, "client": self.client, "radio": self.radio,
            "account": self.account, "origin": self.origin, "policy": policy(self.policy.as_ref()),
        })
    }
}

impl Item for Account {
    const HEADER: &'static [&'static str] = &["ACCOUNT", "KEY", "ORIGIN"];

    fn row(&self) -> Vec<String> {
        vec![self.id.clone(), if self.has_key { "yes" } else { "no" }.to_owned(), dash(&self.origin)]
    }

    fn json(&self) -> Value {
        json!({"id": self.id, "has_key": self.has_key, "origin": self.origin})
    }
}

impl Item for Grant {
    const HEADER: &'static [&'static str] = &["RADIOS OF", "SERVICES OF"];

    fn row(&self) -> Vec<String> {
        vec![self.radios_of.clone(), self.services_of.clone()]
    }

    fn json(&self) -> Value {
        json!({"radios_of": self.radios_of, "services_of": self.services_of})
    }
}

impl Item for RegisteredRadio {
    const HEADER: &'static [&'static str] = &[
        "RADIO",
        "ENDPOINT",
        "ACCOUNT",
        "BAND",
        "CHANNEL",
        "BSSIDS",
        "LOAD",
        "REGISTERED",
        "RECORDED",
        "CAPABILITIES",
        "LOCATION",
    ];

    fn row(&self) -> Vec<String> {
        let now = |text: String| if self.registered { text } else { "-".to_owned() };
        let location = self.location.as_ref().map(|at| {
            let civic = if at.civic.is_empty() { String::new() } else { format!(", {}", at.civic) };
            // As it is written in the radio's configuration.
            format!("{}, {}{civic}", at.latitude, at.longitude)
        });
        vec![
            self.radio.clone(),
            dash(&self.endpoint),
            dash(&self.account),
            dash(&self.band),
            now(self.channel.to_string()),
            now(self.bssids.to_string()),
            now(percent(self.load_permille)),
            yes(self.registered),
            yes(self.recorded),
            dash(&self.capabilities.join(", ")),
            dash(&location.unwrap_or_default()),
        ]
    }

    fn json(&self) -> Value {
        let location = self
            .location
            .as_ref()
            .map(|at| json!({"latitude": at.latitude, "longitude": at.longitude, "civic": at.civic}));
        json!({
            "radio": self.radio, "endpoint": self.endpoint, "account": self.account, "band": self.band,
            "channel": self.channel, "bssids": self.bssids, "up_kbps": self.up_kbps, "down_kbps": self.down_kbps,
            "load_permille": self.load_permille, "until_unix_ms": self.until_unix_ms, "neighbours": self.neighbours,
            "location": location, "capabilities": self.capabilities,
            "registered": self.registered, "recorded": self.recorded,
        })
    }
}

impl Item for Network {
    const HEADER: &'static [&'static str] =
        &["SSID", "UUID", "SECURITY", "ACCOUNT", "INSTANCES", "SESSIONS", "POLICY"];

    fn row(&self) -> Vec<String> {
        let instances = self.instances.iter().map(|instance| {
            let draining = if instance.draining { " draining" } else { "" };
            let endpoint = instance.endpoints.first().map_or("-", String::as_str);
            format!("{endpoint} ({}{draining})", percent(instance.load_permille))
        });
        let sessions: u64 = self.instances.iter().map(|instance| u64::from(instance.sessions)).sum();
        vec![
            dash(&self.ssid),
            self.uuid.clone(),
            dash(&self.security),
            dash(&self.account),
            dash(&instances.collect::<Vec<_>>().join(", ")),
            sessions.to_string(),
            dash(&policy_words(self.policy.as_ref())),
        ]
    }

    fn json(&self) -> Value {
        let instances = self.instances.iter().map(|i| {
            json!({
                "id": i.id, "endpoints": i.endpoints, "load_permille": i.load_permille, "sessions": i.sessions,
                "admissions_per_second": i.admissions_per_second, "draining": i.draining,
                "until_unix_ms": i.until_unix_ms,
            })
        });
        json!({
            "uuid": self.uuid, "ssid": self.ssid, "security": self.security, "account": self.account,
            "capture_url": self.capture_url, "policy": policy(self.policy.as_ref()),
            "instances": instances.collect::<Vec<_>>(),
        })
    }
}

impl Item for Contract {
    const HEADER: &'static [&'static str] =
        &["ID", "SERVICE", "SUBSCRIBER", "ACCOUNT", "KIND", "UP", "DOWN", "CAPTURE"];

    fn row(&self) -> Vec<String> {
        let limit = |bits: u64| if bits == 0 { "-".to_owned() } else { format!("{bits} bit/s") };
        vec![
            self.id.to_string(),
            dash(&self.service),
            dash(if self.client.is_empty() { &self.identity } else { &self.client }),
            dash(&self.account),
            dash(&self.kind),
            limit(self.max_bandwidth_up),
            limit(self.max_bandwidth_down),
            if self.capture { "yes" } else { "no" }.to_owned(),
        ]
    }

    fn json(&self) -> Value {
        json!({
            "id": self.id, "account": self.account, "service": self.service, "client": self.client,
            "identity": self.identity, "kind": self.kind, "max_bandwidth_up": self.max_bandwidth_up,
            "max_bandwidth_down": self.max_bandwidth_down, "capture": self.capture,
        })
    }
}

impl Item for Client {
    const HEADER: &'static [&'static str] = &["CLIENT", "NAME", "REFUSED FOR", "STRIKES"];

    fn row(&self) -> Vec<String> {
        vec![
            self.client.clone(),
            dash(&self.name),
            until(self.refused_until_unix_ms),
            self.strikes.to_string(),
        ]
    }

    fn json(&self) -> Value {
        json!({
            "client": self.client, "recorded": self.recorded, "name": self.name,
            "refused_until_unix_ms": self.refused_until_unix_ms, "strikes": self.strikes,
        })
    }
}

impl Item for Suggestion {
    const HEADER: &'static [&'static str] = &["SSID", "SERVICE", "ACCOUNT", "NOBODY SEES IT WITHOUT"];

    fn row(&self) -> Vec<String> {
        vec![
            dash(&self.ssid),
            self.service.clone(),
            dash(&self.account),
            format!("ttgctl bindings add --service {}", self.service),
        ]
    }

    fn json(&self) -> Value {
        let binding = self.binding.as_ref().map(|binding| {
            json!({
                "service": binding.service, "client": binding.client, "radio": binding.radio,
                "account": binding.account,
            })
        });
        json!({"service": self.service, "ssid": self.ssid, "account": self.account, "binding": binding})
    }
}

impl Item for Usage {
    const HEADER: &'static [&'static str] =
        &["CLIENT", "SERVICE", "RADIO", "BY RADIO", "BY SERVICE", "SECONDS", "SINCE", "AGREE"];

    fn row(&self) -> Vec<String> {
        let both = |totals: &Option<UsageTotals>| match totals {
            Some(totals) => format!("{} up, {} down", octets(totals.up_octets), octets(totals.down_octets)),
            None => "-".to_owned(),
        };
        let seconds =
            [&self.by_radio, &self.by_service].into_iter().flatten().map(|totals| totals.seconds).max();
        vec![
            self.client.clone(),
            self.service.clone(),
            self.radio.clone(),
            both(&self.by_radio),
            both(&self.by_service),
            seconds.unwrap_or(0).to_string(),
            age(self.first_unix_ms),
            if self.disagree { "no" } else { "yes" }.to_owned(),
        ]
    }

    fn json(&self) -> Value {
        let totals = |totals: &Option<UsageTotals>| {
            totals.as_ref().map(|t| {
                json!({
                    "up_octets": t.up_octets, "down_octets": t.down_octets, "up_packets": t.up_packets,
                    "down_packets": t.down_packets, "seconds": t.seconds, "rssi_dbm": t.rssi_dbm, "ended": t.ended,
                    "last_unix_ms": t.last_unix_ms,
                })
            })
        };
        json!({
            "session_id": self.session_id, "client": self.client, "service": self.service, "radio": self.radio,
            "service_account": self.service_account, "radio_account": self.radio_account,
            "first_unix_ms": self.first_unix_ms, "by_radio": totals(&self.by_radio),
            "by_service": totals(&self.by_service), "disagree": self.disagree,
        })
    }
}

fn yes(is: bool) -> String {
    if is { "yes" } else { "no" }.to_owned()
}

fn percent(permille: u32) -> String {
    format!("{}.{} %", permille / 10, permille % 10)
}

/// Only what it says.
pub(super) fn policy(policy: Option<&Policy>) -> serde_json::Map<String, Value> {
    let Some(p) = policy else { return serde_json::Map::new() };
    let all = [
        ("min_rssi_dbm", json!(p.min_rssi_dbm)),
        ("min_up_kbps", json!(p.min_up_kbps)),
        ("min_down_kbps", json!(p.min_down_kbps)),
        ("delay_ms", json!(p.delay_ms)),
        ("max_mobility", json!(p.max_mobility)),
        ("steer_delay_ms", json!(p.steer_delay_ms)),
        ("dwell_seconds", json!(p.dwell_seconds)),
        ("kick_rssi_dbm", json!(p.kick_rssi_dbm)),
        ("suppress_rssi_dbm", json!(p.suppress_rssi_dbm)),
        ("max_clients", json!(p.max_clients)),
        ("hidden", json!(p.hidden)),
        ("yields_to_home", json!(p.yields_to_home)),
    ];
    all.into_iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

fn policy_words(said: Option<&Policy>) -> String {
    let words: Vec<String> = policy(said).iter().map(|(name, value)| format!("{name}={value}")).collect();
    words.join(" ")
}
