//! How a device and its BSS are named: Calling-Station-Id and Called-Station-Id (RFC 3580 §3.20, §3.21).

use std::fmt::Write;

/// A MAC address in the form of RFC 3580: `AA-BB-CC-DD-EE-FF`.
pub fn mac_text(mac: [u8; 6]) -> String {
    let mut text = String::with_capacity(17);
    for (index, octet) in mac.iter().enumerate() {
        let separator = if index == 0 { "" } else { "-" };
        write!(text, "{separator}{octet:02X}").expect("writing to a String");
    }
    text
}

/// Called-Station-Id: `AA-BB-CC-DD-EE-FF:SSID`. The SSID is octets, not necessarily text.
pub fn called_station_id(bssid: [u8; 6], ssid: &[u8]) -> Vec<u8> {
    let mut value = mac_text(bssid).into_bytes();
    value.push(b':');
    value.extend(ssid);
    value
}

/// Calling-Station-Id: the device's MAC address.
pub fn calling_station_id(station: [u8; 6]) -> String {
    mac_text(station)
}

/// Reads a MAC address with or without `-`, `:` or `.` between the digits, as servers write them in requests.
pub fn parse_mac_text(text: &str) -> Option<[u8; 6]> {
    let mut mac = [0; 6];
    let mut digits = text.chars().filter(|c| !matches!(c, '-' | ':' | '.'));
    for octet in &mut mac {
        let (high, low) = (digits.next()?.to_digit(16)?, digits.next()?.to_digit(16)?);
        *octet = (high << 4 | low) as u8;
    }
    digits.next().is_none().then_some(mac)
}
