//! Tables for people, JSON for programs.

use std::{
    io::{self, Write},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use comfy_table::{ContentArrangement, Table, presets};
use proto::admin::{Explanation, GetStatsResponse, session_change::Kind};
use serde_json::{Value, json};

use super::items::{Item, policy};
use crate::cli::Output;

/// A list.
pub(super) fn list<T: Item>(out: &mut impl Write, output: Output, items: &[T]) -> io::Result<()> {
    match output {
        Output::Json => {
            let list: Vec<Value> = items.iter().map(Item::json).collect();
            writeln!(out, "{:#}", Value::Array(list))
        }
        Output::Table => {
            let mut table = Table::new();
            table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
            table.set_header(T::HEADER);
            for item in items {
                table.add_row(item.row());
            }
            for line in table.lines() {
                writeln!(out, "{}", line.trim())?;
            }
            Ok(())
        }
    }
}

/// One object: what it says, a line each.
pub(super) fn one<T: Item>(out: &mut impl Write, output: Output, item: &T) -> io::Result<()> {
    match output {
        Output::Json => writeln!(out, "{:#}", item.json()),
        Output::Table => {
            for (name, value) in T::HEADER.iter().zip(item.row()) {
                writeln!(out, "{:12} {value}", name.to_lowercase())?;
            }
            Ok(())
        }
    }
}

/// A change of one, on a line. What is gone has little to say.
pub(super) fn change<T: Item>(
    out: &mut impl Write,
    output: Output,
    (kind, reason): (Kind, &str),
    item: &T,
    name: &str,
) -> io::Result<()> {
    let kind = match kind {
        Kind::Present => "present",
        Kind::Removed => "removed",
        _ => "updated",
    };
    match output {
        Output::Json => writeln!(out, "{}", json!({"change": kind, "reason": reason, name: item.json()})),
        Output::Table => {
            let row = item.row().into_iter().filter(|word| word != "-").collect::<Vec<_>>().join("  ");
            writeln!(out, "{}", format!("{kind:8} {row}  {reason}").trim_end())
        }
    }
}

/// Changes were lost; what there is comes once more.
pub(super) fn lost(out: &mut impl Write, output: Output) -> io::Result<()> {
    match output {
        Output::Json => writeln!(out, "{}", json!({"change": "lost"})),
        Output::Table => writeln!(out, "lost     some changes; what there is follows once more"),
    }
}

/// Something was made, or is there already.
pub(super) fn made<T: Item>(
    out: &mut impl Write,
    output: Output,
    created: bool,
    item: &T,
    name: &str,
    sentence: &str,
) -> io::Result<()> {
    match output {
        Output::Json => writeln!(out, "{:#}", json!({"created": created, name: item.json()})),
        Output::Table => writeln!(out, "{sentence}"),
    }
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
                    "verdict": e.verdict, "rssi_dbm": e.rssi_dbm, "heard_seconds": e.heard_seconds, "unknown": e.unknown,
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

pub(super) fn dash(text: &str) -> String {
    if text.is_empty() { "-".to_owned() } else { text.to_owned() }
}

/// Octets in the largest binary unit that keeps at least one digit before the point.
pub(super) fn octets(count: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = count as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{count} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

/// In Unix time; not before it began.
pub(super) fn hours_ago(hours: u32) -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let then = now.saturating_sub(Duration::from_secs(u64::from(hours) * 3600));
    i64::try_from(then.as_millis()).unwrap_or(i64::MAX)
}

pub(super) fn age(since_unix_ms: i64) -> String {
    let Some(since) = u64::try_from(since_unix_ms).ok().filter(|&since| since != 0) else {
        return "-".to_owned();
    };
    let then = UNIX_EPOCH + Duration::from_millis(since);
    for_people(SystemTime::now().duration_since(then).unwrap_or_default().as_secs())
}

/// How long it is until then; nothing, if that is over or there is no such time.
pub(super) fn until(unix_ms: i64) -> String {
    let then = UNIX_EPOCH + Duration::from_millis(u64::try_from(unix_ms).unwrap_or_default());
    then.duration_since(SystemTime::now()).map_or("-".to_owned(), |left| for_people(left.as_secs()))
}

fn for_people(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3600..86400 => format!("{}h{:02}m", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{}d{:02}h", seconds / 86400, seconds % 86400 / 3600),
    }
}

#[cfg(test)]
mod tests {
    use proto::admin::Session;

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
        list::<Session>(&mut out, Output::Table, &[]).unwrap();
        assert!(String::from_utf8(out).unwrap().starts_with("CLIENT"));
        let mut out = Vec::new();
        list::<Session>(&mut out, Output::Json, &[]).unwrap();
        assert_eq!(out, b"[]\n");
    }
}
