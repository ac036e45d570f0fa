//! The same frames behind every link layer and in every file format give the same.

mod common;

use common::{
    DEVICE, GROUP, HOST, Network, capture,
    capture::{Rec, rec, with_fcs},
    ethernet, gtk,
    run::{Run, decrypt, decrypt_file, keys, ttgctl},
    udp,
};
use dataplane::capture::LinkType;
use dot11::{QosControl, rsn::Akm};

/// A handshake, three frames, and one of them again.
fn air() -> Vec<Vec<u8>> {
    let mut net = Network::new(Akm::Psk);
    let mut air = net.join(gtk(0));
    air.push(net.up(Some(QosControl::new(0)), &udp(b"one")));
    air.push(net.down(None, &udp(&[0x55; 1400])));
    air.push(net.group(&udp(b"three")));
    air.push(air[4].clone());
    air
}

fn check(run: Run, what: &str) {
    let run = run.succeeded();
    assert_eq!(run.counts(), [8, 3, 0, 1, 0], "{what}");
    let expected = [
        ethernet(HOST, DEVICE, b"one"),
        ethernet(DEVICE, HOST, &[0x55; 1400]),
        ethernet(GROUP, HOST, b"three"),
    ];
    assert_eq!(run.ethernet, expected, "{what}");
}

fn check_records(link_type: LinkType, what: &str, records: Vec<Vec<u8>>) {
    check(decrypt(&capture::pcap(link_type, &records), &keys()), what);
    let records: Vec<Rec> = records.into_iter().map(|data| rec(link_type, data)).collect();
    check(decrypt(&capture::gzip(&capture::pcapng(&records)), &keys()), what);
}

fn padded(frame: &[u8]) -> Vec<u8> {
    let length = dot11::Frame::parse(frame).unwrap().header_len();
    let (header, body) = frame.split_at(length);
    [header, &[0; 3][..length.next_multiple_of(4) - length], body].concat()
}

#[test]
fn link_layers_of_monitor_interfaces() {
    type Wrap = fn(&[u8]) -> Vec<u8>;
    let cases: &[(&str, LinkType, Wrap)] = &[
        ("bare", LinkType::IEEE802_11, |f| f.to_vec()),
        ("bare with FCS", LinkType::IEEE802_11, |f| with_fcs(f)),
        ("radiotap", LinkType::IEEE802_11_RADIOTAP, |f| capture::radiotap(f)),
        ("radiotap with FCS", LinkType::IEEE802_11_RADIOTAP, |f| capture::radiotap_flags(0x10, &with_fcs(f))),
        ("radiotap with FCS unsaid", LinkType::IEEE802_11_RADIOTAP, |f| capture::radiotap(&with_fcs(f))),
        ("radiotap without fields", LinkType::IEEE802_11_RADIOTAP, |f| {
            [&[0, 0, 8, 0, 0, 0, 0, 0][..], f].concat()
        }),
        ("radiotap with padding", LinkType::IEEE802_11_RADIOTAP, |f| {
            capture::radiotap_flags(0x20, &padded(f))
        }),
        ("radiotap with padding and FCS", LinkType::IEEE802_11_RADIOTAP, |f| {
            let padded_with_fcs = [&padded(f)[..], &with_fcs(f)[f.len()..]].concat();
            capture::radiotap_flags(0x30, &padded_with_fcs)
        }),
        ("radiotap with a field that does not fit", LinkType::IEEE802_11_RADIOTAP, |f| {
            [&[0, 0, 8, 0, 0x01, 0, 0, 0][..], f].concat()
        }),
        ("PPI", LinkType::PPI, |f| capture::ppi(0, f)),
        ("PPI with FCS", LinkType::PPI, |f| capture::ppi(1, &with_fcs(f))),
        ("PPI with fields padded", LinkType::PPI, |f| capture::ppi_aligned(1, &with_fcs(f))),
        ("PPI with FCS unsaid", LinkType::PPI, |f| capture::ppi(0, &with_fcs(f))),
        ("PPI with radiotap", LinkType::PPI, |f| {
            [&[0, 0, 8, 0, 127, 0, 0, 0][..], &capture::radiotap(f)].concat()
        }),
        ("Prism", LinkType::IEEE802_11_PRISM, |f| capture::prism(false, f)),
        ("Prism of a big-endian machine", LinkType::IEEE802_11_PRISM, |f| capture::prism(true, &with_fcs(f))),
        ("AVS", LinkType::IEEE802_11_AVS, |f| capture::avs(f)),
        ("AVS with FCS, said to be Prism", LinkType::IEEE802_11_PRISM, |f| capture::avs(&with_fcs(f))),
        ("cooked radiotap", LinkType::LINUX_SLL, |f| {
            let mut header = vec![0, 0, 0x03, 0x23];
            header.resize(16, 0);
            [header, capture::radiotap(f)].concat()
        }),
    ];
    for (what, link_type, wrap) in cases {
        check_records(*link_type, what, air().iter().map(|frame| wrap(frame)).collect());
    }
}

#[test]
fn the_tunnel_in_every_kind_of_capture() {
    type Wrap = fn(&[u8]) -> Vec<u8>;
    const TUNNEL: u16 = 5247;
    fn ip(datagram: &[u8]) -> Vec<u8> {
        capture::ipv4([10, 1, 1, 1], [10, 1, 1, 2], 40000, TUNNEL, datagram)
    }
    fn ip6(datagram: &[u8]) -> Vec<u8> {
        capture::ipv6(TUNNEL, 40000, datagram)
    }
    let cases: &[(&str, LinkType, Wrap)] = &[
        ("Ethernet", LinkType::ETHERNET, |d| capture::ethernet(&[], 0x0800, &ip(d))),
        ("VLAN", LinkType::ETHERNET, |d| capture::ethernet(&[0x81, 0, 0, 7], 0x0800, &ip(d))),
        ("VLANs and IPv6", LinkType::ETHERNET, |d| {
            capture::ethernet(&[0x88, 0xa8, 0, 7, 0x81, 0, 0, 9], 0x86dd, &ip6(d))
        }),
        ("raw IPv4", LinkType::RAW, ip),
        ("raw IPv6", LinkType(12), ip6),
        ("BSD loopback", LinkType(0), |d| [&[2, 0, 0, 0][..], &ip(d)].concat()),
        ("cooked", LinkType::LINUX_SLL, |d| {
            let header = [0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0, 0x08, 0x00];
            [&header[..], &ip(d)].concat()
        }),
        ("cooked with a VLAN", LinkType::LINUX_SLL, |d| {
            let header = [0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0, 0x81, 0x00, 0, 7, 0x08, 0x00];
            [&header[..], &ip(d)].concat()
        }),
        ("cooked, version 2, IPv6", LinkType::LINUX_SLL2, |d| {
            let mut header = vec![0x86, 0xdd];
            header.resize(20, 0);
            [header, ip6(d)].concat()
        }),
    ];
    for (what, link_type, wrap) in cases {
        for mtu in [1452, 300] {
            let mut records = Vec::new();
            for (id, frame) in air().iter().enumerate() {
                records.extend(capture::capwap(frame, mtu, id as u16).iter().map(|datagram| wrap(datagram)));
            }
            // Not of the tunnel, or not a frame.
            records.push(wrap(&[0; 7]));
            check_records(*link_type, what, records);
        }
    }
}

#[test]
fn two_tunnels_of_one_gateway_number_their_fragments_alike() {
    let air = air();
    let to = |host: u8, datagram: &[u8]| {
        capture::ethernet(&[], 0x0800, &capture::ipv4([10, 1, 1, 1], [10, 1, 1, host], 5247, 5247, datagram))
    };
    let mut other = Network::new(Akm::Psk);
    other.bssid = dot11::MacAddr([2, 4, 4, 4, 4, 4]);
    let theirs = other.join(gtk(0)).swap_remove(2);
    let mut records = Vec::new();
    for (id, frame) in air.iter().enumerate() {
        let (ours, theirs) = (capture::capwap(frame, 80, id as u16), capture::capwap(&theirs, 80, id as u16));
        for i in 0..ours.len().max(theirs.len()) {
            records.extend(ours.get(i).map(|datagram| to(2, datagram)));
            records.extend(theirs.get(i).map(|datagram| to(3, datagram)));
        }
    }
    let run = decrypt(&capture::pcap(LinkType::ETHERNET, &records), &keys()).succeeded();
    assert_eq!(run.counts(), [16, 3, 0, 1, 0]);
}

#[test]
fn damaged_frames_count_but_are_no_mic_failures() {
    let mut frames = air();
    let mut wrong = with_fcs(&frames[4]);
    wrong[40] ^= 1;
    let mut records: Vec<Vec<u8>> =
        frames.drain(..).map(|frame| capture::radiotap_flags(0x10, &with_fcs(&frame))).collect();
    // The FCS says so; the receiver says so; PPI says so. And a header without a frame.
    records.push(capture::radiotap_flags(0x10, &wrong));
    records.push(capture::radiotap_flags(0x40, &wrong[..wrong.len() - 4]));
    records.push(capture::radiotap_flags(0, &[]));
    let mut records: Vec<Rec> =
        records.into_iter().map(|data| rec(LinkType::IEEE802_11_RADIOTAP, data)).collect();
    records.push(rec(LinkType::PPI, capture::ppi(5, &wrong)));
    let run = decrypt(&capture::pcapng(&records), &keys()).succeeded();
    assert_eq!(run.counts(), [11, 3, 0, 1, 0]);
}

#[test]
fn a_snapshot_length_that_took_no_more_than_the_fcs() {
    let records: Vec<Rec> = air()
        .iter()
        .enumerate()
        .map(|(i, frame)| {
            let missing = i % 5;
            let mut data = capture::radiotap_flags(0x10, &with_fcs(frame));
            data.truncate(data.len() - missing);
            Rec { link_type: LinkType::IEEE802_11_RADIOTAP.0, missing: missing as u32, data }
        })
        .collect();
    check(decrypt(&capture::pcapng(&records), &keys()), "FCS cut off");
}

#[test]
fn several_interfaces_in_one_file() {
    let mut records = vec![rec(LinkType(147), vec![1; 40]), rec(LinkType::ETHERNET, vec![2; 60])];
    for (i, frame) in air().iter().enumerate() {
        records.push(match i % 4 {
            0 => rec(LinkType::IEEE802_11_RADIOTAP, capture::radiotap(frame)),
            1 => rec(LinkType::IEEE802_11, frame.clone()),
            2 => rec(LinkType::PPI, capture::ppi(1, &with_fcs(frame))),
            _ => {
                let datagram = &capture::capwap(frame, 1452, 1)[0];
                let packet = capture::ipv4([10, 1, 1, 1], [10, 1, 1, 2], 5247, 5247, datagram);
                rec(LinkType::ETHERNET, capture::ethernet(&[], 0x0800, &packet))
            }
        });
    }
    check(decrypt(&capture::pcapng(&records), &keys()), "several interfaces");
}

#[test]
fn standard_input_and_output() {
    use std::process::{Command, Stdio};
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), capture::gzip(&capture::radiotap_pcap(&air()))).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_ttgctl"))
        .args(["decrypt", "-", "-o", "-", "--json"])
        .args(keys())
        .stdin(Stdio::from(std::fs::File::open(file.path()).unwrap()))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let run = Run {
        code: Some(0),
        stdout: String::from_utf8(output.stderr).unwrap(),
        stderr: String::new(),
        ethernet: common::run::frames(&output.stdout),
    };
    check(run, "pipe");
}

#[test]
fn counts_for_people() {
    let directory = tempfile::tempdir().unwrap();
    let input = directory.path().join("in.pcap");
    std::fs::write(&input, capture::radiotap_pcap(&air())).unwrap();
    check(decrypt_file(&directory, &input, &keys()), "a file");
    let mut arguments = vec!["decrypt", input.to_str().unwrap()];
    let keys = keys();
    arguments.extend(keys.iter().map(String::as_str));
    let output = ttgctl(&arguments);
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    // And for programs, exactly so.
    arguments.push("--json");
    let json = r#"{"frames":8,"decrypted":3,"mic_failures":0,"replays":1,"no_key":0}"#;
    assert_eq!(String::from_utf8(ttgctl(&arguments).stdout).unwrap(), format!("{json}\n"));
    assert_eq!(said, "8 frames: 3 decrypted, 0 MIC failures, 1 replays, 0 without a key\n");
}
