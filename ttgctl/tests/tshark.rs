//! `tshark` decrypts the same captures to the same: an oracle that shares no code with us.

mod common;

use std::process::Command;

use common::{
    BSSID, DEVICE, HOST, Network, PASSPHRASE, SSID, capture, gtk, hex,
    run::{decrypt_file, keys},
    udp,
};
use dataplane::capture::LinkType;
use dot11::{
    QosControl, SequenceControl,
    amsdu::AmsduBuilder,
    build::DataHeader,
    ccmp::{self, Pn},
    llc::{self, EtherType},
    rsn::Akm,
};

/// One line for each packet of the file that the filter takes: the fields, tabs between.
fn tshark(file: &std::path::Path, filter: &str, keys: &[String], fields: &[&str]) -> Vec<String> {
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new("tshark");
    command.env("HOME", home.path()).args(["-n", "-r"]).arg(file).args(["-Y", filter, "-T", "fields"]);
    command.args(["-o", "wlan.enable_decryption:TRUE", "-o", "capwap.swap_fc:FALSE"]);
    for key in keys {
        command.args(["-o", &format!("uat:80211_keys:{key}")]);
    }
    for field in fields {
        command.args(["-e", field]);
    }
    let output = command.output().expect("tshark is installed (deploy/setup.sh)");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// Decrypts a capture of `air` with both, and compares how many frames opened and every UDP datagram in them.
/// Returns our counts.
fn compare(what: &str, file: &[u8], ours: &[String], theirs: &[String]) -> common::run::Counts {
    let directory = tempfile::tempdir().unwrap();
    let input = directory.path().join("in.cap");
    std::fs::write(&input, file).unwrap();
    let run = decrypt_file(&directory, &input, ours).succeeded();
    let [frames, decrypted, _, replays, _] = run.counts();
    // Every frame is one to tshark as well.
    assert_eq!(tshark(&input, "wlan", theirs, &["frame.number"]).len() as u64, frames, "{what}");
    // It shows the key of every protected frame that it has opened, replays among them.
    let opened = "wlan.fc.protected == 1 && (wlan.analysis.tk || wlan.analysis.gtk)";
    let opened = tshark(&input, opened, theirs, &["frame.number"]).len() as u64;
    assert_eq!(opened, decrypted + replays, "{what}");
    assert!(decrypted > 0, "{what}");
    // Each datagram once: repeated frames are repeated datagrams there. Several are in one packet of an A-MSDU.
    let datagrams = |lines: Vec<String>| {
        let all = lines.iter().flat_map(|line| line.split(',')).filter(|line| !line.is_empty());
        let mut all: Vec<String> = all.map(str::to_owned).collect();
        all.sort();
        all
    };
    let mut expected = datagrams(tshark(&input, "udp", theirs, &["udp.payload"]));
    expected.dedup();
    let out = directory.path().join("out.pcap");
    assert_eq!(datagrams(tshark(&out, "udp", &[], &["udp.payload"])), expected, "{what}");
    // Addresses, where one frame is one datagram.
    let fields = ["udp.payload", "wlan.sa", "wlan.da"];
    let single = tshark(&input, "udp && !wlan_aggregate && wlan.fc.retry == 0", theirs, &fields);
    let written = tshark(&out, "udp", &[], &["udp.payload", "eth.src", "eth.dst"]);
    for line in single {
        assert!(written.contains(&line), "{what}: {line}");
    }
    run.counts()
}

/// Keys as tshark takes them: the passphrase.
fn passphrase() -> Vec<String> {
    vec![format!("\"wpa-pwd\",\"{PASSPHRASE}:{SSID}\"")]
}

/// Joins, talks in every way, renews its keys twice, and leaves traffic under each of them.
fn life(akm: Akm) -> Vec<Vec<u8>> {
    let mut net = Network::new(akm);
    let mut air = vec![net.beacon(), net.association_request()];
    air.extend(net.join(gtk(0)));
    let mut serial = 0u8;
    let mut traffic = |net: &mut Network, air: &mut Vec<Vec<u8>>| {
        for tid in [None, Some(0), Some(5)] {
            serial += 3;
            let qos = tid.map(QosControl::new);
            air.push(net.up(qos, &udp(&[serial; 30])));
            air.push(net.down(qos, &udp(&[serial + 1; 400])));
            air.push(net.group(&udp(&[serial + 2; 50])));
        }
    };
    traffic(&mut net, &mut air);
    // The group's key alone; then both, in a handshake under the old key.
    let pdu = net.group_message(gtk(1));
    air.push(net.down(Some(QosControl::new(0)), &llc::msdu(EtherType::EAPOL, &pdu)));
    traffic(&mut net, &mut air);
    let (old, pn) = (net.tk(), net.pn);
    let handshake = net.handshake(gtk(2));
    for (i, pdu) in handshake.messages.iter().enumerate() {
        let mut header = match i % 2 {
            0 => DataHeader::from_ap(BSSID, DEVICE, BSSID, None),
            _ => DataHeader::to_ap(BSSID, BSSID, DEVICE, None),
        };
        header.sequence = SequenceControl::new(500 + i as u16, 0);
        let pn = Pn::new(pn[i % 2] + i as u64).unwrap();
        air.push(ccmp::seal(&old, 0, pn, &header.frame(&llc::msdu(EtherType::EAPOL, pdu))).unwrap());
    }
    traffic(&mut net, &mut air);
    air
}

#[test]
fn handshakes_rekeys_and_groups() {
    for akm in [Akm::Psk, Akm::PskSha256] {
        let counts = compare(&akm.to_string(), &capture::radiotap_pcap(&life(akm)), &keys(), &passphrase());
        assert_eq!(counts, [38, 32, 0, 0, 0], "{akm}");
    }
}

#[test]
fn pairwise_master_keys() {
    let pmk = hex(common::pmk().as_bytes());
    let theirs = vec![format!("\"wpa-psk\",\"{pmk}\"")];
    for akm in [Akm::Psk, Akm::PskSha256, Akm::Sae] {
        let given = vec!["--pmk".to_owned(), pmk.clone()];
        let counts = compare(&akm.to_string(), &capture::radiotap_pcap(&life(akm)), &given, &theirs);
        assert_eq!(counts, [38, 32, 0, 0, 0], "{akm}");
    }
}

#[test]
fn temporal_keys() {
    let mut net = Network::new(Akm::Psk);
    net.join(gtk(0));
    let air = vec![
        net.up(Some(QosControl::new(0)), &udp(b"one")),
        net.down(None, &udp(b"two")),
        net.group(&udp(b"three")),
    ];
    let tk = hex(net.tk().as_bytes());
    let given = vec!["--tk".to_owned(), tk.clone()];
    let counts = compare("TK", &capture::radiotap_pcap(&air), &given, &[format!("\"tk\",\"{tk}\"")]);
    // Its group key was not given.
    assert_eq!(counts, [3, 2, 0, 0, 1]);
}

#[test]
fn fragments_and_a_msdus() {
    let long: Vec<u8> = (0..1400u32).map(|n| n as u8).collect();
    let mut net = Network::new(Akm::Psk);
    let mut air = net.join(gtk(0));
    air.extend(net.fragments(Some(QosControl::new(2)), &udp(&long), 256));
    air.extend(net.fragments(None, &udp(&long[1..]), 500));
    let mut body = AmsduBuilder::new();
    for n in 0..3 {
        body.push(HOST, DEVICE, &udp(&long[..100 + n])).unwrap();
    }
    air.push(net.up(Some(QosControl::new(0).with_amsdu_present(true)), &body.finish()));
    // Heard twice, and a MIC failure.
    let again = net.up(Some(QosControl::new(0)), &udp(b"again"));
    air.push(again.clone());
    air.push(common::retried(&again));
    let mut changed = net.up(None, &udp(b"changed"));
    changed[60] ^= 4;
    air.push(changed);
    let counts = compare("fragments", &capture::radiotap_pcap(&air), &keys(), &passphrase());
    assert_eq!(counts, [17, 11, 1, 1, 0]);
}

#[test]
fn link_layers() {
    type Wrap = fn(&[u8]) -> Vec<u8>;
    let cases: &[(LinkType, Wrap)] = &[
        (LinkType::IEEE802_11, |f| f.to_vec()),
        (LinkType::IEEE802_11_RADIOTAP, |f| capture::radiotap_flags(0x10, &capture::with_fcs(f))),
        (LinkType::IEEE802_11_RADIOTAP, |f| capture::radiotap(f)),
        (LinkType::PPI, |f| capture::ppi(1, &capture::with_fcs(f))),
        (LinkType::IEEE802_11_PRISM, |f| capture::prism(false, f)),
        (LinkType::IEEE802_11_AVS, |f| capture::avs(f)),
    ];
    for (link_type, wrap) in cases {
        let records: Vec<Vec<u8>> = life(Akm::Psk).iter().map(|frame| wrap(frame)).collect();
        let file = capture::pcap(*link_type, &records);
        let counts = compare(&link_type.to_string(), &file, &keys(), &passphrase());
        assert_eq!(counts, [38, 32, 0, 0, 0], "{link_type}");
    }
    let records: Vec<_> =
        life(Akm::Psk).into_iter().map(|frame| capture::rec(LinkType::IEEE802_11, frame)).collect();
    let file = capture::gzip(&capture::pcapng(&records));
    compare("packed pcapng", &file, &keys(), &passphrase());
}

#[test]
fn the_tunnel() {
    let mut records = Vec::new();
    for (id, frame) in life(Akm::Psk).iter().enumerate() {
        for datagram in capture::capwap(frame, 1452, id as u16) {
            let packet = capture::ipv4([10, 1, 1, 1], [10, 1, 1, 2], 5247, 5247, &datagram);
            records.push(capture::ethernet(&[], 0x0800, &packet));
        }
    }
    let directory = tempfile::tempdir().unwrap();
    let input = directory.path().join("in.pcap");
    std::fs::write(&input, capture::pcap(LinkType::ETHERNET, &records)).unwrap();
    let run = decrypt_file(&directory, &input, &keys()).succeeded();
    assert_eq!(run.counts(), [38, 32, 0, 0, 0]);
    // The outer datagram is one too; the inner one is the last in the line.
    let mut theirs: Vec<String> = tshark(&input, "wlan.fc.protected == 1", &passphrase(), &["udp.payload"])
        .iter()
        .filter_map(|line| Some(line.rsplit_once(',')?.1.to_owned()))
        .collect();
    let mut ours = tshark(&directory.path().join("out.pcap"), "udp", &[], &["udp.payload"]);
    theirs.sort();
    ours.sort();
    assert!(!ours.is_empty());
    assert_eq!(ours, theirs);
}
