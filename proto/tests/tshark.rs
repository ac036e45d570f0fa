//! What we put on the wire, seen by somebody else: packets of ours in a pcap file, dissected by `tshark`
//! (Debian package `tshark`), field by field, without a malformed mark.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;

use dot11::MacAddr;
use proto::tunnel::*;

const BSSID: MacAddr = MacAddr([0x02, 0xaa, 0, 0, 0, 0x01]);
const STATION: MacAddr = MacAddr([0x02, 0x5e, 0, 0, 0, 0x42]);
const RADIO: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 10);
const GATEWAY: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

#[test]
fn frames_up_are_dissected() {
    let info = FrameInfo { rssi: -61, snr: 34, rate: 540 };
    let packets = [
        up(&datagram(Header::received(info), &authentication())),
        up(&datagram(Header::received(info), &association())),
    ];
    let rows = dissect(
        "up",
        &packets,
        &[
            "capwap.header.length",
            "capwap.header.wbid",
            "capwap.header.flags.t",
            "capwap.header.flags.w",
            "capwap.header.wireless.data.ieee80211.fi.rssi",
            "capwap.header.wireless.data.ieee80211.fi.snr",
            "capwap.header.wireless.data.ieee80211.fi.data_rate",
            "wlan.fc.type_subtype",
            "wlan.ta",
            "wlan.bssid",
            "wlan.fixed.auth_seq",
            "wlan.ssid",
            "wlan.rsn.akms.type",
        ],
    );
    let common = "4|1|1|1|-61|34|540";
    assert_eq!(rows[0], format!("{common}|0x000b|02:5e:00:00:00:42|02:aa:00:00:00:01|0x0001||"));
    // Older versions print the SSID as octets.
    assert_eq!(
        rows[1].replace("73706c6974", "split"),
        format!("{common}|0x0000|02:5e:00:00:00:42|02:aa:00:00:00:01||split|2")
    );
}

#[test]
fn protected_data_is_dissected_both_ways() {
    let info = FrameInfo { rssi: -70, snr: 0, rate: 60 };
    let packets = [
        up(&datagram(Header::received(info), &qos_data(true, 64))),
        down(&datagram(
            Header { wireless: Some(Wireless::DestinationWlans(1)), ..Header::DATA },
            &qos_data(false, 64),
        )),
        down(&datagram(Header::DATA, &qos_data(false, 64))),
    ];
    let rows = dissect(
        "data",
        &packets,
        &[
            "capwap.header.wireless.data.ieee80211.fi.rssi",
            "capwap.header.wireless.data.ieee80211.dw.wlan_id_bitmap",
            "wlan.fc.type_subtype",
            "wlan.fc.ds",
            "wlan.fc.protected",
            "wlan.qos.tid",
            "wlan.seq",
            "wlan.ccmp.extiv",
        ],
    );
    assert_eq!(rows[0], "-70||0x0028|0x01|1|5|1110|0x000000000201");
    assert_eq!(rows[1], "|1|0x0028|0x02|1|5|1110|0x000000000201");
    assert_eq!(rows[2], "||0x0028|0x02|1|5|1110|0x000000000201");
}

#[test]
fn keep_alives_are_dissected() {
    let session_id = SessionId(*b"0123456789abcdef");
    let service = "00112233-4455-6677-8899-aabbccddeeff".parse().unwrap();
    let hello = Hello { bssid: BSSID, radio: MacAddr([2, 0xbb, 0, 0, 0, 2]), service };
    let packets = [
        up(&KeepAlive { session_id, hello: Some(hello), proof: None }.datagram()),
        down(&KeepAlive { session_id, hello: None, proof: None }.datagram()),
    ];
    let rows = dissect(
        "keep-alive",
        &packets,
        &[
            "capwap.header.flags.k",
            "capwap.keep_alive.length",
            "capwap.message_element.type",
            "capwap.control.message_element.session_id",
            "capwap.control.message_element.vsp.vendor_identifier",
            "capwap.control.message_element.vsp.vendor_element_id",
            "capwap.control.message_element.vsp.vendor_data",
        ],
    );
    let session = "30313233343536373839616263646566";
    assert_eq!(
        rows[0],
        format!("1|60|35,37|{session}|32473|1|02aa0000000102bb0000000200112233445566778899aabbccddeeff")
    );
    assert_eq!(rows[1], format!("1|22|35|{session}|||"));
}

#[test]
fn a_fragmented_frame_is_put_together() {
    let frame = qos_data(true, 1500);
    let info = FrameInfo { rssi: -50, snr: 40, rate: 540 };
    let packets: Vec<_> = fragment(Header::received(info), &frame, max_datagram(1500, false), 0x1234)
        .unwrap()
        .map(|part| up(&part.datagram()))
        .collect();
    assert_eq!(packets.len(), 2);
    assert!(packets.iter().all(|packet| packet.len() <= 14 + 1500));
    let rows = dissect(
        "fragments",
        &packets,
        &[
            "capwap.header.flags.f",
            "capwap.header.flags.l",
            "capwap.header.fragment.id",
            "capwap.header.fragment.offset",
            "capwap.fragment.count",
            "capwap.reassembled.length",
            "wlan.fc.type_subtype",
            "wlan.seq",
        ],
    );
    assert_eq!(rows[0], "1|0|4660|0||||");
    assert_eq!(rows[1], format!("1|1|4660|182|2|{}|0x0028|1110", frame.len()));
}

/// Runs `tshark` over `packets` (Ethernet) and gives for each the named fields, joined by `|`.
fn dissect(name: &str, packets: &[Vec<u8>], fields: &[&str]) -> Vec<String> {
    let file = pcap(name, packets);
    let malformed = tshark(&file, &["-Y", "_ws.malformed || _ws.expert.severity >= 0x800000"]);
    assert_eq!(malformed, "", "tshark found errors");
    let mut arguments = vec!["-T", "fields", "-E", "separator=|"];
    for field in fields {
        arguments.extend(["-e", field]);
    }
    let rows: Vec<_> = tshark(&file, &arguments).lines().map(str::to_owned).collect();
    assert_eq!(rows.len(), packets.len());
    rows
}

fn tshark(file: &Path, arguments: &[&str]) -> String {
    let output = Command::new("tshark")
        .args(["-n", "-o", "capwap.swap_fc:FALSE", "-r"])
        .arg(file)
        .args(arguments)
        .output()
        .expect("tshark is needed by this test: apt-get install tshark");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A classic pcap file with link type Ethernet.
fn pcap(name: &str, packets: &[Vec<u8>]) -> PathBuf {
    let mut out = Vec::new();
    for word in [0xa1b2_c3d4, 0x0004_0002, 0, 0, 65_535, 1u32] {
        out.extend_from_slice(&word.to_le_bytes());
    }
    for (at, packet) in packets.iter().enumerate() {
        let len = packet.len() as u32;
        for word in [at as u32, 0, len, len] {
            out.extend_from_slice(&word.to_le_bytes());
        }
        out.extend_from_slice(packet);
    }
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("tunnel-{name}.pcap"));
    std::fs::write(&path, out).unwrap();
    path
}

fn up(datagram: &[u8]) -> Vec<u8> {
    udp((RADIO, 40_000), (GATEWAY, DATA_PORT), datagram)
}

fn down(datagram: &[u8]) -> Vec<u8> {
    udp((GATEWAY, DATA_PORT), (RADIO, 40_000), datagram)
}

/// Ethernet, IPv4 and UDP (without checksum, RFC 768) around `payload`.
fn udp(from: (Ipv4Addr, u16), to: (Ipv4Addr, u16), payload: &[u8]) -> Vec<u8> {
    let len = payload.len() as u16 + 8;
    let mut ip = vec![0x45, 0];
    ip.extend_from_slice(&(len + 20).to_be_bytes());
    ip.extend_from_slice(&[0, 0, 0x40, 0, 64, 17, 0, 0]);
    ip.extend_from_slice(&from.0.octets());
    ip.extend_from_slice(&to.0.octets());
    let mut sum: u32 = ip.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
    sum = (sum & 0xffff) + (sum >> 16);
    ip[10..12].copy_from_slice(&(!(sum as u16)).to_be_bytes());
    let mut out = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
    out.extend_from_slice(&ip);
    for field in [from.1, to.1, len, 0] {
        out.extend_from_slice(&field.to_be_bytes());
    }
    out.extend_from_slice(payload);
    out
}

/// A frame in one datagram.
fn datagram(header: Header, frame: &[u8]) -> Vec<u8> {
    let mut parts = fragment(header, frame, 1472, 0).unwrap();
    let whole = parts.next().unwrap().datagram();
    assert!(parts.next().is_none());
    whole
}

fn management(subtype: u8, body: &[u8]) -> Vec<u8> {
    [&[subtype << 4, 0, 0x3a, 0x01], &BSSID.0[..], &STATION.0, &BSSID.0, &[0x10, 0], body].concat()
}

fn authentication() -> Vec<u8> {
    management(11, &[0, 0, 1, 0, 0, 0])
}

fn association() -> Vec<u8> {
    let ssid = b"\x00\x05split";
    let rates = b"\x01\x08\x82\x84\x8b\x96\x0c\x12\x18\x24";
    let rsn = b"\x30\x14\x01\x00\x00\x0f\xac\x04\x01\x00\x00\x0f\xac\x04\x01\x00\x00\x0f\xac\x02\x00\x00";
    management(0, &[&[0x11, 0x04, 10, 0], &ssid[..], rates, rsn].concat())
}

/// A protected QoS data frame: sequence number 1110, TID 5, CCMP header with PN 0x0201, `len` octets, MIC.
fn qos_data(to_ds: bool, len: usize) -> Vec<u8> {
    let network = MacAddr([2, 0, 0, 0, 0, 2]);
    let (flags, addresses) =
        if to_ds { (0x41, [BSSID, STATION, network]) } else { (0x42, [STATION, BSSID, network]) };
    let mut out = vec![0x88, flags, 0x3a, 0x01];
    addresses.iter().for_each(|address| out.extend_from_slice(&address.0));
    out.extend_from_slice(&(1110u16 << 4).to_le_bytes());
    out.extend_from_slice(&[5, 0]);
    out.extend_from_slice(&[0x01, 0x02, 0, 0x20, 0, 0, 0, 0]);
    out.extend((0..len + 8).map(|at| at as u8));
    out
}
