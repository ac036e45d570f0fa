//! What becomes of the frames of a synthetic network, to the last count and octet.

mod common;

use common::{
    BSSID, DEVICE, GROUP, HOST, Network,
    capture::{radiotap, radiotap_pcap, rec},
    ethernet, gtk, hex, null, retried,
    run::{Run, decrypt, keys},
    udp,
};
use dataplane::capture::LinkType;
use dot11::{
    MacAddr, ManagementSubtype, QosControl, SequenceControl,
    amsdu::AmsduBuilder,
    build::{self, DataHeader},
    ccmp::{self, Ccmp, Pn},
    eapol::key::{KeyFrameBuilder, KeyInfo},
    llc::{self, EtherType},
    rsn::{Akm, CipherSuite, Tk},
};

fn run(frames: &[Vec<u8>]) -> Run {
    decrypt(&radiotap_pcap(frames), &keys()).succeeded()
}

/// The Ethernet frame of a decrypted EAPOL PDU.
fn eapol(da: MacAddr, sa: MacAddr, pdu: &[u8]) -> Vec<u8> {
    [&da.0[..], &sa.0, &[0x88, 0x8e], pdu].concat()
}

fn eapol_msdu(pdu: &[u8]) -> Vec<u8> {
    llc::msdu(EtherType::EAPOL, pdu)
}

#[test]
fn a_device_joins_talks_and_leaves() {
    for akm in [Akm::Psk, Akm::PskSha256, Akm::Sae] {
        let mut net = Network::new(akm);
        let mut air = vec![net.beacon(), net.association_request()];
        air.extend(net.join(gtk(0)));
        air.push(net.up(None, &udp(b"one")));
        air.push(net.up(Some(QosControl::new(5)), &udp(b"two")));
        air.push(net.down(None, &udp(b"three")));
        air.push(net.down(Some(QosControl::new(0)), &udp(b"four")));
        air.push(net.group(&udp(b"five")));
        air.push(null());
        air.push(build::ack(DEVICE).to_vec());
        let pmk = vec!["--pmk".to_owned(), hex(net.pmk.as_bytes())];
        let given = if akm == Akm::Sae { pmk } else { keys() };
        let run = decrypt(&radiotap_pcap(&air), &given).succeeded();
        assert_eq!(run.counts(), [13, 5, 0, 0, 0], "{akm}");
        let expected = [
            ethernet(HOST, DEVICE, b"one"),
            ethernet(HOST, DEVICE, b"two"),
            ethernet(DEVICE, HOST, b"three"),
            ethernet(DEVICE, HOST, b"four"),
            ethernet(GROUP, HOST, b"five"),
        ];
        assert_eq!(run.ethernet, expected, "{akm}");
    }
}

#[test]
fn an_802_1x_pmk_opens_akms_1_and_5() {
    for akm in [Akm::Ieee8021x, Akm::Ieee8021xSha256] {
        let mut net = Network::new(akm);
        net.pmk = dot11::rsn::Pmk::new([0x31; 32]);
        let mut air = net.join(gtk(0));
        air.push(net.up(None, &udp(b"one")));
        let given = vec!["--pmk".to_owned(), "31".repeat(32), "--pmk".to_owned(), "32".repeat(32)];
        assert_eq!(decrypt(&radiotap_pcap(&air), &given).succeeded().counts(), [5, 1, 0, 0, 0], "{akm}");
    }
}

#[test]
fn sixty_four_digits_are_the_key_itself() {
    let mut net = Network::new(Akm::Psk);
    let mut air = net.join(gtk(0));
    air.push(net.up(None, &udp(b"one")));
    let given =
        ["--ssid", "whatever", "--passphrase", &hex(net.pmk.as_bytes()).to_uppercase()].map(String::from);
    assert_eq!(decrypt(&radiotap_pcap(&air), &given).succeeded().counts(), [5, 1, 0, 0, 0]);
}

#[test]
fn any_two_messages_that_show_both_nonces_are_enough() {
    // Which messages were heard, how many frames open: one of the device, one of the group.
    let cases: &[(&[usize], u64)] = &[
        (&[0, 1, 2, 3], 2),
        (&[0, 1], 1),
        (&[1, 2], 2),
        (&[0, 1, 3], 1),
        (&[0, 2, 3], 0),
        (&[1, 3], 0),
        (&[0, 3], 0),
        // Captured in another order, or repeated.
        (&[2, 1, 0, 3], 2),
        (&[0, 1, 2, 2, 3, 2, 3, 0], 2),
        (&[0, 0, 1, 1, 2, 3], 2),
    ];
    for (heard, opens) in cases {
        let mut net = Network::new(Akm::Psk);
        let messages = net.join(gtk(0));
        let mut air: Vec<Vec<u8>> = heard.iter().map(|i| messages[*i].clone()).collect();
        air.push(net.up(None, &udp(b"one")));
        air.push(net.group(&udp(b"two")));
        let counts = run(&air).counts();
        assert_eq!(counts, [air.len() as u64, *opens, 0, 0, 2 - opens], "{heard:?}");
    }
}

#[test]
fn message_1_again_with_another_nonce() {
    let mut net = Network::new(Akm::Psk);
    // The AP gives up on its first attempt; the device answers the second with the nonce it had.
    let first = net.join(gtk(0));
    let second = net.join(gtk(0));
    let mut air = vec![first[0].clone(), second[0].clone(), first[1].clone(), second[1].clone()];
    air.extend_from_slice(&second[2..]);
    air.push(net.down(None, &udp(b"one")));
    assert_eq!(run(&air).counts(), [7, 1, 0, 0, 0]);
}

#[test]
fn rekeys_in_the_clear_and_under_the_old_key() {
    for encrypted in [false, true] {
        let mut net = Network::new(Akm::PskSha256);
        let mut air = net.join(gtk(0));
        let mut expected = Vec::new();
        air.push(net.up(None, &udp(b"before")));
        expected.push(ethernet(HOST, DEVICE, b"before"));
        // What travels under the old key during the handshake, some of it captured after it.
        let late = net.up(None, &udp(b"late"));
        let (old, pn) = (net.tk(), net.pn);
        let handshake = net.handshake(gtk(1));
        for (i, pdu) in handshake.messages.iter().enumerate() {
            if !encrypted {
                air.push(if i % 2 == 0 { net.clear_down(pdu) } else { net.clear_up(pdu) });
                continue;
            }
            let (da, sa) = if i % 2 == 0 { (DEVICE, BSSID) } else { (BSSID, DEVICE) };
            let mut header = match i % 2 {
                0 => DataHeader::from_ap(BSSID, da, sa, Some(QosControl::new(6))),
                _ => DataHeader::to_ap(BSSID, da, sa, Some(QosControl::new(6))),
            };
            header.sequence = SequenceControl::new(100 + i as u16, 0);
            let pn = Pn::new(pn[i % 2] + i as u64).unwrap();
            air.push(ccmp::seal(&old, 0, pn, &header.frame(&eapol_msdu(pdu))).unwrap());
            expected.push(eapol(da, sa, pdu));
        }
        air.push(net.up(None, &udp(b"after")));
        air.push(late);
        air.push(net.group(&udp(b"group")));
        expected.push(ethernet(HOST, DEVICE, b"after"));
        expected.push(ethernet(HOST, DEVICE, b"late"));
        expected.push(ethernet(GROUP, HOST, b"group"));
        let run = run(&air);
        let opened = if encrypted { 8 } else { 4 };
        assert_eq!(run.counts(), [12, opened, 0, 0, 0], "encrypted: {encrypted}");
        assert_eq!(run.ethernet, expected, "encrypted: {encrypted}");
    }
}

#[test]
fn group_keys_are_renewed() {
    let mut net = Network::new(Akm::Psk);
    let mut air = net.join(gtk(0));
    air.push(net.group(&udp(b"one")));
    for n in 1..4 {
        let pdu = net.group_message(gtk(n));
        air.push(net.down(Some(QosControl::new(7)), &eapol_msdu(&pdu)));
        air.push(net.group(&udp(&[n])));
        air.push(net.group(&udp(&[n, n])));
    }
    assert_eq!(run(&air).counts(), [14, 10, 0, 0, 0]);
}

#[test]
fn eapol_in_an_a_msdu_is_followed_too() {
    let mut net = Network::new(Akm::Psk);
    let mut air = net.join(gtk(0));
    let pdu = net.group_message(gtk(1));
    let mut body = AmsduBuilder::new();
    body.push(DEVICE, HOST, &udp(b"one")).unwrap();
    body.push(DEVICE, BSSID, &eapol_msdu(&pdu)).unwrap();
    air.push(net.down(Some(QosControl::new(0).with_amsdu_present(true)), &body.finish()));
    air.push(net.group(&udp(b"two")));
    let run = run(&air);
    assert_eq!(run.counts(), [6, 2, 0, 0, 0]);
    let expected =
        [ethernet(DEVICE, HOST, b"one"), eapol(DEVICE, BSSID, &pdu), ethernet(GROUP, HOST, b"two")];
    assert_eq!(run.ethernet, expected);
}

#[test]
fn heard_twice_is_decrypted_once() {
    let mut net = Network::new(Akm::Psk);
    let mut air = net.join(gtk(0));
    let frame = net.up(Some(QosControl::new(0)), &udp(b"one"));
    let group = net.group(&udp(b"two"));
    let message = retried(&air[2]);
    // The same numbers under other traffic identifiers, and in the other direction, are other frames.
    let same_numbers = ccmp::seal(
        &net.tk(),
        0,
        Pn::new(1).unwrap(),
        &net.up_header(Some(QosControl::new(5))).frame(&udp(b"three")),
    );
    let down = net.down(Some(QosControl::new(0)), &udp(b"four"));
    air.extend([frame.clone(), retried(&frame), group.clone(), group, message, frame]);
    air.extend([same_numbers.unwrap(), down]);
    assert_eq!(run(&air).counts(), [12, 4, 0, 3, 0]);
}

#[test]
fn out_of_order_is_not_a_replay() {
    let mut net = Network::new(Akm::Psk);
    let mut air = net.join(gtk(0));
    let mut frames: Vec<Vec<u8>> = (0..64u8).map(|n| net.up(Some(QosControl::new(0)), &udp(&[n]))).collect();
    frames.reverse();
    air.extend(frames.iter().cloned());
    air.extend(frames);
    assert_eq!(run(&air).counts(), [132, 64, 0, 64, 0]);
}

#[test]
fn changed_frames_are_mic_failures_and_only_those_of_known_keys() {
    let mut net = Network::new(Akm::Psk);
    let mut air = net.join(gtk(0));
    let mut changed = net.up(None, &udp(b"one"));
    *changed.last_mut().unwrap() ^= 1;
    let mut group = net.group(&udp(b"two"));
    group[40] ^= 1;
    // Another device, of which nothing was heard, and another network.
    let mut other = Network::new(Akm::Psk);
    other.device = MacAddr([2, 2, 2, 2, 2, 2]);
    other.join(gtk(0));
    let mut stranger = Network::new(Akm::Psk);
    stranger.bssid = MacAddr([2, 4, 4, 4, 4, 4]);
    stranger.join(gtk(0));
    air.extend([changed, group, other.up(None, &udp(b"three")), stranger.group(&udp(b"four"))]);
    assert_eq!(run(&air).counts(), [8, 0, 2, 0, 2]);
}

#[test]
fn a_wrong_passphrase_makes_no_mic_failures() {
    let mut net = Network::new(Akm::Psk);
    let mut air = net.join(gtk(0));
    air.extend([net.up(None, &udp(b"one")), net.down(None, &udp(b"two")), net.group(&udp(b"three"))]);
    let wrong = [
        "--ssid",
        "Harbour",
        "--passphrase",
        "boats and nuts",
        "--tk",
        "00112233445566778899aabbccddeeff",
        "--pmk",
        &"ab".repeat(32),
    ];
    let run = decrypt(&radiotap_pcap(&air), &wrong.map(String::from)).succeeded();
    assert_eq!(run.counts(), [7, 0, 0, 0, 3]);
    assert!(run.ethernet.is_empty());
}

#[test]
fn what_follows_a_handshake_that_was_missed_is_without_a_key() {
    // The device comes back with a passphrase that is not ours; or its request to associate is all that was heard;
    // or its handshake with message 2 missing; or its own messages of one with another passphrase.
    for heard in 0..4 {
        let mut net = Network::new(Akm::Psk);
        let mut air = net.join(gtk(0));
        air.push(net.up(None, &udp(b"one")));
        if heard == 0 || heard == 3 {
            net.pmk = dot11::rsn::Pmk::new([1; 32]);
        }
        let request = net.association_request();
        let messages = net.join(gtk(0));
        match heard {
            0 => air.extend(messages),
            1 => air.push(request),
            2 => air.extend([messages[0].clone(), messages[2].clone(), messages[3].clone()]),
            _ => air.extend([messages[1].clone(), messages[3].clone()]),
        }
        air.push(net.up(None, &udp(b"two")));
        air.push(net.down(None, &udp(b"three")));
        assert_eq!(run(&air).counts(), [air.len() as u64, 1, 0, 0, 2], "{heard}");
    }
}

#[test]
fn a_group_key_identifier_that_comes_back_is_a_new_key() {
    let mut net = Network::new(Akm::Psk);
    let mut air = net.join(gtk(0));
    air.push(net.group(&udp(b"one")));
    // Two group handshakes were missed, and with them the keys 1 and 2: 2 has the identifier of 0.
    for n in 1..3 {
        net.group_message(gtk(n));
        air.push(net.group(&udp(&[n])));
    }
    assert_eq!(run(&air).counts(), [7, 1, 0, 0, 2]);
}

#[test]
fn temporal_keys_are_tried_for_everyone() {
    let mut net = Network::new(Akm::Psk);
    net.join(gtk(0));
    let mut air = vec![net.up(None, &udp(b"one")), net.down(None, &udp(b"two")), net.group(&udp(b"three"))];
    air.push(air[1].clone());
    let mut changed = net.up(None, &udp(b"four"));
    *changed.last_mut().unwrap() ^= 1;
    air.push(changed);
    let tk = hex(net.tk().as_bytes());
    // A rekey is announced under the key that is known; the frames after it are under one that is not.
    let pdu = {
        use KeyInfo as K;
        let info = K::PAIRWISE.with(K::ACK).with(K::SECURE).with_descriptor_version(2);
        KeyFrameBuilder { info, key_length: 16, nonce: [0x77; 32], ..Default::default() }.build()
    };
    air.push(net.down(None, &eapol_msdu(&pdu)));
    air.push(net.up(None, &udp(b"five")));
    net.join(gtk(0));
    air.push(net.up(None, &udp(b"six")));
    let given = ["--tk", &"00".repeat(16), "--tk", &tk].map(String::from);
    let run = decrypt(&radiotap_pcap(&air), &given).succeeded();
    assert_eq!(run.counts(), [8, 4, 1, 1, 2]);
}

#[test]
fn fragments_are_put_together() {
    let long: Vec<u8> = (0..1000u32).map(|n| n as u8).collect();
    let mut net = Network::new(Akm::Psk);
    let mut air = net.join(gtk(0));
    let whole = net.fragments(Some(QosControl::new(3)), &udp(&long), 256);
    let plain = net.fragments(None, &udp(b"without a TID"), 20);
    let missed = net.fragments(None, &udp(&long), 256);
    // Interleaved with other traffic, one heard twice, one with a part missing.
    for (i, fragment) in whole.iter().enumerate() {
        air.push(fragment.clone());
        if i == 1 {
            air.push(retried(fragment));
            air.push(net.down(None, &udp(b"between")));
        }
    }
    air.extend(plain.clone());
    air.extend([missed[0].clone(), missed[2].clone(), missed[3].clone(), missed[4].clone()]);
    let run = run(&air);
    let opened = (whole.len() + 1 + plain.len() + 4) as u64;
    assert_eq!(run.counts(), [4 + opened + 1, opened, 0, 1, 0]);
    let expected = [
        ethernet(DEVICE, HOST, b"between"),
        ethernet(HOST, DEVICE, &long),
        ethernet(HOST, DEVICE, b"without a TID"),
    ];
    assert_eq!(run.ethernet, expected);
}

#[test]
fn fragments_of_different_keys_or_numbers_or_frames_do_not_mix() {
    let mut net = Network::new(Akm::Psk);
    let mut air = net.join(gtk(0));
    let mut header = net.up_header(None);
    let mut part = |net: &mut Network, number: u8, more: bool, body: &[u8]| {
        header.sequence = SequenceControl::new(header.sequence.number(), number);
        header.control = header.control.with_more_fragments(more);
        net.seal_up(&header.frame(body))
    };
    let msdu = udp(b"in two halves");
    let (first, second) = msdu.split_at(20);
    // Under one key, but with a packet number between.
    air.push(part(&mut net, 0, true, first));
    net.pn[1] += 1;
    air.push(part(&mut net, 1, false, second));
    // Of two frames, with consecutive packet numbers.
    air.push(part(&mut net, 0, true, first));
    let mut header = net.up_header(None);
    header.sequence = SequenceControl::new(header.sequence.number() + 1, 1);
    air.push(net.seal_up(&header.frame(second)));
    // Under two keys, with consecutive numbers.
    air.push(part(&mut net, 0, true, first));
    let next = net.pn[1];
    air.extend(net.join(gtk(0)));
    net.pn[1] = next;
    air.push(part(&mut net, 1, false, second));
    let run = run(&air);
    assert_eq!(run.counts(), [14, 6, 0, 0, 0]);
    assert!(run.ethernet.is_empty());
}

#[test]
fn fragmented_handshakes_are_followed() {
    let mut net = Network::new(Akm::Psk);
    let handshake = net.handshake(gtk(0));
    let mut air = Vec::new();
    for (i, pdu) in handshake.messages.iter().enumerate() {
        let whole = if i % 2 == 0 { net.clear_down(pdu) } else { net.clear_up(pdu) };
        let frame = dot11::Frame::parse(&whole).unwrap();
        let chunks: Vec<&[u8]> = frame.body().chunks(64).collect();
        for (n, chunk) in chunks.iter().enumerate() {
            let mut fragment = [frame.header(), chunk].concat();
            fragment[22] |= n as u8;
            fragment[1] |= if n + 1 < chunks.len() { 0x04 } else { 0 };
            air.push(fragment.clone());
            air.push(retried(&fragment));
        }
    }
    air.push(net.up(None, &udp(b"one")));
    assert_eq!(run(&air).counts(), [air.len() as u64, 1, 0, 0, 0]);
}

#[test]
fn a_msdus_are_taken_apart() {
    let present = Some(QosControl::new(0).with_amsdu_present(true));
    let mut net = Network::new(Akm::Psk);
    let mut air = net.join(gtk(0));
    let mut body = AmsduBuilder::new();
    for payload in [&b"one"[..], b"two two", b"three"] {
        body.push(HOST, DEVICE, &udp(payload)).unwrap();
    }
    let body = body.finish();
    air.push(net.up(present, &body));
    // The same with the A-MSDU Present bit authenticated.
    let plain = net.up_header(present).frame(&body);
    let spp = Ccmp::new(&net.tk()).with_spp_amsdu(true);
    air.push(spp.seal(0, Pn::new(90).unwrap(), &plain).unwrap());
    // An ordinary MSDU whose bit somebody set.
    let mut disguised = net.up(Some(QosControl::new(0)), &udp(b"four"));
    disguised[24] |= 0x80;
    air.push(disguised);
    let run = run(&air);
    assert_eq!(run.counts(), [7, 3, 0, 0, 0]);
    let three = [&b"one"[..], b"two two", b"three"].map(|payload| ethernet(HOST, DEVICE, payload));
    assert_eq!(run.ethernet, [three.clone(), three].concat());
}

#[test]
fn other_headers() {
    let mut net = Network::new(Akm::Psk);
    let mut air = net.join(gtk(0));
    // Four addresses, to and from; with HT Control; an LLC PDU without SNAP; a SNAP type that reads as a length.
    let far = MacAddr([2, 9, 9, 9, 9, 9]);
    let plain = DataHeader::four_address(BSSID, DEVICE, HOST, far, Some(QosControl::new(0)));
    air.push(net.seal_up(&plain.frame(&udp(b"one"))));
    let plain = DataHeader::four_address(DEVICE, BSSID, far, HOST, None);
    air.push(net.seal_down(&plain.frame(&udp(b"two"))));
    let mut header = net.up_header(Some(QosControl::new(0)));
    header.control = header.control.with_order(true);
    air.push(net.seal_up(&header.frame(&udp(b"three"))));
    let bpdu = [0x42, 0x42, 0x03, 0, 0, 0, 0, 0];
    air.push(net.up(None, &bpdu));
    let odd = llc::msdu(EtherType(0x0004), b"????");
    air.push(net.up(None, &odd));
    let run = run(&air);
    assert_eq!(run.counts(), [9, 5, 0, 0, 0]);
    let expected = [
        ethernet(HOST, far, b"one"),
        ethernet(far, HOST, b"two"),
        ethernet(HOST, DEVICE, b"three"),
        [&HOST.0[..], &DEVICE.0, &[0, 8], &bpdu].concat(),
        [&HOST.0[..], &DEVICE.0, &[0, 12], &odd].concat(),
    ];
    assert_eq!(run.ethernet, expected);
}

#[test]
fn protected_management_frames_count() {
    let mut net = Network::new(Akm::PskSha256);
    let mut air = net.join(gtk(0));
    let leave = build::management(ManagementSubtype::Deauthentication, BSSID, DEVICE, BSSID, &[3, 0]);
    let sealed = net.seal_up(&leave);
    let mut changed = net.seal_up(&leave);
    *changed.last_mut().unwrap() ^= 1;
    air.extend([sealed.clone(), sealed, changed, leave]);
    let run = run(&air);
    assert_eq!(run.counts(), [8, 1, 1, 1, 0]);
    assert!(run.ethernet.is_empty());
}

#[test]
fn other_ciphers_are_without_a_key() {
    // Pairwise cipher, group cipher, frames that open: one of the pair, one of the group.
    let cases = [
        (CipherSuite::Ccmp128, CipherSuite::Tkip, 1),
        (CipherSuite::Gcmp128, CipherSuite::Gcmp128, 0),
        (CipherSuite::Tkip, CipherSuite::Tkip, 0),
        (CipherSuite::Ccmp256, CipherSuite::Ccmp128, 1),
    ];
    for (pairwise, group, opens) in cases {
        let mut net = Network::new(Akm::Psk);
        (net.pairwise, net.group) = (pairwise, group);
        let mut air = net.join(gtk(0));
        let (device, multicast) = (net.up(None, &udp(b"one")), net.group(&udp(b"two")));
        // What is not CCMP here is at least changed, so that it cannot open by mistake.
        let spoil = |mut frame: Vec<u8>, cipher| {
            *frame.last_mut().unwrap() ^= u8::from(cipher != CipherSuite::Ccmp128);
            frame
        };
        air.push(spoil(device, pairwise));
        air.push(spoil(multicast, group));
        assert_eq!(run(&air).counts(), [6, opens, 0, 0, 2 - opens], "{pairwise} {group}");
    }
}

#[test]
fn wep_is_without_a_key_even_between_those_whose_keys_are_known() {
    let mut net = Network::new(Akm::Psk);
    let mut air = net.join(gtk(0));
    let mut header = net.up_header(None);
    header.control = header.control.with_protected(true);
    // Initialisation vector and key identifier, without the extended bit.
    air.push(header.frame(&[1, 2, 3, 0x40, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9]));
    let mut authentication =
        build::management(ManagementSubtype::Authentication, BSSID, DEVICE, BSSID, &[0x20; 140]);
    authentication[1] |= 0x40;
    air.push(authentication);
    // A Null frame protects nothing, whatever its bit says.
    let mut nothing = null();
    nothing[1] |= 0x40;
    air.push(nothing);
    assert_eq!(run(&air).counts(), [7, 0, 0, 0, 2]);
}

#[test]
fn wpa_descriptors_with_ccmp() {
    use KeyInfo as K;
    let mut net = Network::new(Akm::Psk);
    let ptk = dot11::rsn::derive_ptk(Akm::Psk, &net.pmk, BSSID, DEVICE, &[1; 32], &[2; 32]).unwrap();
    // The WPA element of a device that chose CCMP for both.
    let element = [
        0xdd, 22, 0x00, 0x50, 0xf2, 1, 1, 0, 0x00, 0x50, 0xf2, 4, 1, 0, 0x00, 0x50, 0xf2, 4, 1, 0, 0x00,
        0x50, 0xf2, 2,
    ];
    let message = |flags: &[K], nonce: [u8; 32], key_data: &[u8], bits: u16| {
        let info = flags.iter().fold(K(2 | bits), |info, flag| info.with(*flag));
        let builder =
            KeyFrameBuilder { descriptor: 254, info, key_length: 16, nonce, key_data, ..Default::default() };
        let mut pdu = builder.build();
        if info.mic() {
            dot11::rsn::sign(Akm::Psk, &ptk.kck, &mut pdu).unwrap();
        }
        pdu
    };
    let group_key = Tk::new([0x51; 16]);
    let wrapped = dot11::rsn::wrap_key_data(&ptk.kek, group_key.as_bytes()).unwrap();
    let m1 = message(&[K::PAIRWISE, K::ACK], [1; 32], &[], 0);
    let m2 = message(&[K::PAIRWISE, K::MIC], [2; 32], &element, 0);
    let m3 = message(&[K::PAIRWISE, K::ACK, K::MIC, K::INSTALL], [1; 32], &element, 0);
    let group = message(&[K::ACK, K::MIC, K::SECURE], [3; 32], &wrapped, 2 << 4);
    net.ptk = Some(ptk.clone());
    net.gtk = Some((2, group_key));
    let air = vec![
        net.clear_down(&m1),
        net.clear_up(&m2),
        net.clear_down(&m3),
        net.down(None, &eapol_msdu(&group)),
        net.up(None, &udp(b"one")),
        net.group(&udp(b"two")),
    ];
    assert_eq!(run(&air).counts(), [6, 3, 0, 0, 0]);
}

#[test]
fn a_cut_capture_reports_what_it_cannot_check() {
    let mut net = Network::new(Akm::Psk);
    let mut records: Vec<_> =
        net.join(gtk(0)).iter().map(|frame| rec(LinkType::IEEE802_11_RADIOTAP, radiotap(frame))).collect();
    let mut stranger = Network::new(Akm::Psk);
    stranger.device = MacAddr([2, 4, 4, 4, 4, 4]);
    stranger.join(gtk(0));
    for frame in [net.up(None, &udp(&[7; 200])), stranger.up(None, &udp(&[7; 200]))] {
        let mut record = rec(LinkType::IEEE802_11_RADIOTAP, radiotap(&frame));
        record.data.truncate(100);
        record.missing = 200;
        records.push(record);
    }
    let run = decrypt(&common::capture::pcapng(&records), &keys()).succeeded();
    assert_eq!(run.counts(), [6, 0, 0, 0, 1]);
    assert!(run.stderr.contains("1 protected frames could not be checked"), "{run:?}");
    assert!(run.stderr.contains("-s 0"), "{run:?}");
}
