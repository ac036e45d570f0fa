//! What the backhaul's interface counts. The backhaul is where the default route goes.

use std::fs;

/// Octets sent and received; `None` without a default route.
pub(super) fn octets() -> Option<(u64, u64)> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let v4 = read("/proc/net/route");
    let v6 = default_v4(&v4).is_none().then(|| read("/proc/net/ipv6_route"));
    let name = default_v4(&v4).or_else(|| default_v6(v6.as_deref()?))?;
    let count = |what| read(&format!("/sys/class/net/{name}/statistics/{what}")).trim().parse().ok();
    Some((count("tx_bytes")?, count("rx_bytes")?))
}

/// The interface of the default route with the least metric in `/proc/net/route`.
fn default_v4(table: &str) -> Option<&str> {
    let routes = table.lines().skip(1).filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (name, metric) = (*fields.first()?, fields.get(6)?.parse::<u32>().ok()?);
        (fields.get(1) == Some(&"00000000") && fields.get(7) == Some(&"00000000")).then_some((metric, name))
    });
    routes.min_by_key(|(metric, _)| *metric).map(|(_, name)| name)
}

/// The same of `/proc/net/ipv6_route`, where unreachable defaults go to the loopback.
fn default_v6(table: &str) -> Option<&str> {
    let routes = table.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (name, metric) = (*fields.get(9)?, u32::from_str_radix(fields.get(5)?, 16).ok()?);
        let is_default = fields[0].bytes().all(|digit| digit == b'0') && fields[1] == "00" && name != "lo";
        is_default.then_some((metric, name))
    });
    routes.min_by_key(|(metric, _)| *metric).map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_route_with_the_least_metric_counts() {
        let v4 = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n\
                  wan1\t00000000\t010200C0\t0003\t0\t0\t200\t00000000\t0\t0\t0\n\
                  lan0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n\
                  wan0\t00000000\t010200C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n";
        assert_eq!(default_v4(v4), Some("wan0"));
        assert_eq!(default_v4("Iface\n"), None);
        assert_eq!(default_v4("Iface\nwan0 00000000\n\n"), None);
        let zero = "0".repeat(32);
        let v6 = format!(
            "{zero} 00 {zero} 00 fe80{z28} 00000400 00000001 00000000 00000003 wan6\n\
             20010db8{z24} 20 {zero} 00 {zero} 00000100 00000001 00000000 00000001 lan0\n\
             {zero} 00 {zero} 00 {zero} ffffffff 00000001 00000000 00200200       lo\n",
            z28 = "0".repeat(28),
            z24 = "0".repeat(24),
        );
        assert_eq!(default_v6(&v6), Some("wan6"));
        assert_eq!(default_v6("x\n"), None);
    }
}
