//! Tables for people, JSON for programs.

use std::{
    io::{self, Write},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use comfy_table::{ContentArrangement, Table, presets};
use proto::admin::{
    Account, Binding, Explanation, Gateway, GetStatsResponse, Policy, Radio, RegisteredRadio, Service,
    Session, SessionChange, session_change::Kind,
};
use serde_json::{Value, json};

use crate::cli::Output;

fn emit<T>(
    out: &mut impl Write,
    output: Output,
    items: &[T],
    header: &[&str],
    row: impl Fn(&T) -> Vec<String>,
    object: impl Fn(&T) -> Value,
) -> io::Result<()> {
    match output {
        Output::Json => {
            let list: Vec<Value> = items.iter().map(object).collect();
            writeln!(out, "{:#}", Value::Array(list))
        }
        Output::Table => {
            let mut table = Table::new();
            table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
            table.set_header(header);
            for item in items {
                table.add_row(row(item));
            }
            for line in table.lines() {
                writeln!(out, "{}", line.trim())?;
            }
            Ok(())
        }
    }
}

pub(super) fn sessions(out: &mut impl Write, output: Output, sessions: &[Session]) -> io::Result<()> {
    let header = ["CLIENT", "SSID", "STATE", "IDENTITY", "ADDRESS", "RADIO", "SIGNAL", "UP", "DOWN", "AGE"];
    let row = |s: &Session| {
        vec![
            s.client.clone(),
            s.ssid.clone(),
            s.state.clone(),
            dash(&s.identity),
            dash(&s.addresses.join(" ")),
            s.radio.clone(),
            if s.rssi_dbm == 0 { "-".to_owned() } else { format!("{} dBm", s.rssi_dbm) },
            octets(s.up_octets),
            octets(s.down_octets),
            age(s.since_unix_ms),
        ]
    };
    emit(out, output, sessions, &header, row, session)
}

pub(super) fn change(
    out: &mut impl Write,
    output: Output,
    change: &SessionChange,
    of: &Session,
) -> io::Result<()> {
    let kind = match change.kind() {
        Kind::Present => "present",
        Kind::Removed => "removed",
        _ => "updated",
    };
    match output {
        Output::Json => {
            writeln!(out, "{}", json!({"change": kind, "reason": change.reason, "session": session(of)}))
        }
        Output::Table => writeln!(
            out,
            "{kind:8} {} {} {} {} {} {}",
            of.client,
            of.ssid,
            of.state,
            dash(&of.identity),
            dash(&of.addresses.join(" ")),
            change.reason
        ),
    }
}

fn session(s: &Session) -> Value {
    json!({
        "client": s.client, "service": s.service, "ssid": s.ssid, "bssid": s.bssid, "radio": s.radio,
        "gateway": s.gateway, "state": s.state, "identity": s.identity, "addresses": s.addresses,
        "since_unix_ms": s.since_unix_ms, "online_unix_ms": s.online_unix_ms,
        "up_packets": s.up_packets, "up_octets": s.up_octets,
        "down_packets": s.down_packets, "down_octets": s.down_octets,
        "rssi_dbm": s.rssi_dbm, "vlan": s.vlan, "akm": s.akm,
        "acct_session_id": s.acct_session_id, "rekeys": s.rekeys,
    })
}

pub(super) fn radios(out: &mut impl Write, output: Output, radios: &[Radio]) -> io::Result<()> {
    let header = ["RADIO", "BSSID", "SSID", "ENDPOINT", "GATEWAY", "CLIENTS", "AGE"];
    let row = |r: &Radio| {
        vec![
            r.radio.clone(),
            r.bssid.clone(),
            r.ssid.clone(),
            r.endpoint.clone(),
            r.gateway.clone(),
            r.clients.to_string(),
            age(r.since_unix_ms),
        ]
    };
    emit(out, output, radios, &header, row, |r| {
        json!({
            "radio": r.radio, "bssid": r.bssid, "service": r.service, "ssid": r.ssid, "endpoint": r.endpoint,
            "gateway": r.gateway, "clients": r.clients, "since_unix_ms": r.since_unix_ms,
        })
    })
}

pub(super) fn services(out: &mut impl Write, output: Output, services: &[Service]) -> io::Result<()> {
    let header = ["SSID", "UUID", "SECURITY", "VLAN", "CLIENTS", "BLOCKED"];
    let row = |s: &Service| {
        vec![
            s.ssid.clone(),
            s.uuid.clone(),
            s.security.clone(),
            if s.vlan == 0 { "-".to_owned() } else { s.vlan.to_string() },
            s.clients.to_string(),
            s.blocked.to_string(),
        ]
    };
    emit(out, output, services, &header, row, |s| {
        json!({
            "uuid": s.uuid, "ssid": s.ssid, "security": s.security, "vlan": s.vlan, "clients": s.clients,
            "blocked": s.blocked,
        })
    })
}

pub(super) fn gateways(out: &mut impl Write, output: Output, gateways: &[Gateway]) -> io::Result<()> {
    let header = ["GATEWAY", "VERSION", "LISTEN", "TUNNELS", "STATIONS", "ATTACHED"];
    let row = |g: &Gateway| {
        vec![
            g.name.clone(),
            g.version.clone(),
            g.listen.join(" "),
            g.tunnels.to_string(),
            g.stations.to_string(),
            age(g.attached_unix_ms),
        ]
    };
    emit(out, output, gateways, &header, row, |g| {
        json!({
            "name": g.name, "version": g.version, "listen": g.listen, "tunnels": g.tunnels,
            "stations": g.stations, "attached_unix_ms": g.attached_unix_ms, "draining": g.draining,
        })
    })
}

pub(super) fn bindings(out: &mut impl Write, output: Output, bindings: &[Binding]) -> io::Result<()> {
    let header = ["ID", "SERVICE", "CLIENT", "RADIO", "ACCOUNT", "ORIGIN", "POLICY"];
    let row = |b: &Binding| {
        vec![
            b.id.to_string(),
            b.service.clone(),
            b.client.clone(),
            b.radio.clone(),
            dash(&b.account),
            dash(&b.origin),
            dash(&policy_words(b.policy.as_ref())),
        ]
    };
    emit(out, output, bindings, &header, row, binding)
}

pub(super) fn binding_made(
    out: &mut impl Write,
    output: Output,
    made: &Binding,
    created: bool,
) -> io::Result<()> {
    match output {
        Output::Json => writeln!(out, "{:#}", json!({"created": created, "binding": binding(made)})),
        Output::Table if created => writeln!(out, "binding {} made", made.id),
        Output::Table => writeln!(out, "binding {} says so already ({})", made.id, made.origin),
    }
}

pub(super) fn accounts(out: &mut impl Write, output: Output, accounts: &[Account]) -> io::Result<()> {
    let yes = |yes| if yes { "yes" } else { "no" }.to_owned();
    let row = |a: &Account| vec![a.id.clone(), yes(a.has_key), a.origin.clone()];
    emit(
        out,
        output,
        accounts,
        &["ACCOUNT", "KEY", "ORIGIN"],
        row,
        |a| json!({"id": a.id, "has_key": a.has_key, "origin": a.origin}),
    )
}

pub(super) fn registered_radios(
    out: &mut impl Write,
    output: Output,
    radios: &[RegisteredRadio],
) -> io::Result<()> {
    let header = ["RADIO", "ENDPOINT", "ACCOUNT", "BAND", "CHANNEL", "BSSIDS", "LOAD"];
    let row = |r: &RegisteredRadio| {
        vec![
            r.radio.clone(),
            r.endpoint.clone(),
            dash(&r.account),
            r.band.clone(),
            r.channel.to_string(),
            r.bssids.to_string(),
            format!("{}.{} %", r.load_permille / 10, r.load_permille % 10),
        ]
    };
    emit(out, output, radios, &header, row, |r| {
        json!({
            "radio": r.radio, "endpoint": r.endpoint, "account": r.account, "band": r.band, "channel": r.channel,
            "bssids": r.bssids, "up_kbps": r.up_kbps, "down_kbps": r.down_kbps, "load_permille": r.load_permille,
            "until_unix_ms": r.until_unix_ms, "neighbours": r.neighbours,
        })
    })
}

pub(super) fn explanations(
    out: &mut impl Write,
    output: Output,
    explanations: &[Explanation],
) -> io::Result<()> {
    match output {
        Output::Json => {
            let object = |e: &Explanation| {
                json!({
                    "service": e.service, "text": e.text, "offered": e.offered, "binding": e.binding,
                    "policy": policy(e.policy.as_ref()), "reason": e.reason, "refused_seconds": e.refused_seconds,
                })
            };
            writeln!(out, "{:#}", Value::Array(explanations.iter().map(object).collect()))
        }
        Output::Table if explanations.is_empty() => {
            writeln!(out, "nothing is shown: no binding names a service for the device or near the radio")
        }
        Output::Table => explanations.iter().try_for_each(|e| writeln!(out, "{}", e.text)),
    }
}

fn binding(b: &Binding) -> Value {
    json!({
        "id": b.id, "service": b.service, "client": b.client, "radio": b.radio, "account": b.account,
        "origin": b.origin, "policy": policy(b.policy.as_ref()),
    })
}

/// Only what it says.
fn policy(policy: Option<&Policy>) -> serde_json::Map<String, Value> {
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

pub(super) fn done(
    out: &mut impl Write,
    output: Output,
    key: &str,
    count: u32,
    sentence: &str,
) -> io::Result<()> {
    match output {
        Output::Json => writeln!(out, "{}", json!({ key: count })),
        Output::Table => writeln!(out, "{sentence}"),
    }
}

pub(super) fn stats(out: &mut impl Write, output: Output, stats: &GetStatsResponse) -> io::Result<()> {
    match output {
        Output::Json => {
            let gateways: serde_json::Map<String, Value> =
                stats.gateways.iter().map(|(name, g)| (name.clone(), json!(g.counters))).collect();
            writeln!(out, "{:#}", json!({"control": stats.control, "gateways": gateways}))
        }
        Output::Table => {
            let mut section = |title: &str, counters: &std::collections::BTreeMap<String, u64>| {
                writeln!(out, "{title}")?;
                for (name, value) in counters.iter().filter(|&(_, &value)| value != 0) {
                    writeln!(out, "  {name:44} {value:>16}")?;
                }
                Ok::<(), io::Error>(())
            };
            section("control", &stats.control)?;
            for (name, gateway) in &stats.gateways {
                section(&format!("gateway {name}"), &gateway.counters)?;
            }
            Ok(())
        }
    }
}

fn dash(text: &str) -> String {
    if text.is_empty() { "-".to_owned() } else { text.to_owned() }
}

/// Octets in the largest binary unit that keeps at least one digit before the point.
fn octets(count: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = count as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{count} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

fn age(since_unix_ms: i64) -> String {
    let Ok(since) = u64::try_from(since_unix_ms) else { return "-".to_owned() };
    let then = UNIX_EPOCH + Duration::from_millis(since);
    let seconds = SystemTime::now().duration_since(then).unwrap_or_default().as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3600..86400 => format!("{}h{:02}m", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{}d{:02}h", seconds / 86400, seconds % 86400 / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_read_well() {
        assert_eq!(octets(0), "0 B");
        assert_eq!(octets(1023), "1023 B");
        assert_eq!(octets(1536), "1.5 KiB");
        assert_eq!(octets(u64::MAX), "16777216.0 TiB");
    }

    #[test]
    fn an_empty_list_is_a_header_in_a_table_and_an_empty_array_in_json() {
        let mut out = Vec::new();
        sessions(&mut out, Output::Table, &[]).unwrap();
        assert!(String::from_utf8(out).unwrap().starts_with("CLIENT"));
        let mut out = Vec::new();
        sessions(&mut out, Output::Json, &[]).unwrap();
        assert_eq!(out, b"[]\n");
    }
}
