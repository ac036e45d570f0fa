//! What cannot be done, and how that is said; and what the program says of itself.

mod common;

use std::path::Path;

use common::{
    Network, capture, gtk,
    run::{Run, decrypt, keys, ttgctl},
    udp,
};
use dataplane::capture::LinkType;
use dot11::rsn::Akm;

fn air() -> Vec<Vec<u8>> {
    let mut net = Network::new(Akm::Psk);
    let mut air = net.join(gtk(0));
    air.extend((0..20u8).map(|n| net.up(None, &udp(&[n; 100]))));
    air
}

/// One paragraph that begins with the program's name and says all of these.
fn says(stderr: &str, expected: &[&str]) {
    assert!(stderr.starts_with("ttgctl: ") && stderr.trim_end().lines().count() == 1, "{stderr}");
    for expected in expected {
        assert!(stderr.contains(expected), "{expected:?} is not in: {stderr}");
    }
}

#[test]
fn files_that_are_no_captures() {
    let good = capture::radiotap_pcap(&air());
    let cases: &[(&str, Vec<u8>, &[&str])] = &[
        ("empty", Vec::new(), &["in.cap", "not a capture", "it is empty"]),
        (
            "text",
            b"frame 1, frame 2\n".to_vec(),
            &["not a capture", "66 72 61 6d", "neither pcap nor pcapng"],
        ),
        ("one octet", vec![0xd4], &["not a capture"]),
        ("header cut", good[..10].to_vec(), &["truncated capture", "file header"]),
        ("gzip of text", capture::gzip(b"hello"), &["not a capture"]),
        ("gzip cut", capture::gzip(&good)[..12].to_vec(), &["gzip file is cut off"]),
        ("not gzip after all", vec![0x1f, 0x8b, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9], &["gzip file is damaged"]),
    ];
    for (what, file, expected) in cases {
        let run = decrypt(file, &keys());
        assert_eq!(run.code, Some(1), "{what}: {run:?}");
        assert_eq!(run.stdout, "", "{what}");
        says(&run.stderr, expected);
    }
}

#[test]
fn captures_without_802_11_frames() {
    let packet = capture::ipv4([1, 1, 1, 1], [2, 2, 2, 2], 53, 53, b"what");
    let cases: &[(&str, LinkType, Vec<u8>, &[&str])] = &[
        (
            "Ethernet",
            LinkType::ETHERNET,
            capture::ethernet(&[], 0x0800, &packet),
            &["Ethernet (link type 1)", "none of them", "port 5247", "monitor interface"],
        ),
        ("ZigBee", LinkType(195), vec![1; 30], &["link type 195", "never has 802.11 frames"]),
    ];
    for (what, link_type, record, expected) in cases {
        let run = decrypt(&capture::pcap(*link_type, &[record.clone(), record.clone()]), &keys());
        assert_eq!(run.code, Some(1), "{what}: {run:?}");
        assert_eq!(run.counts(), [0; 5]);
        says(&run.stderr, expected);
    }
    // Nothing was captured: nothing is wrong.
    let run = decrypt(&capture::pcap(LinkType::ETHERNET, &[]), &keys()).succeeded();
    assert_eq!(run.counts(), [0; 5]);
}

#[test]
fn what_precedes_damage_is_decrypted() {
    let good = capture::radiotap_pcap(&air());
    // One record and its header: radiotap 15, MAC header 24, CCMP 16, LLC 8, IP and UDP 28, payload 100.
    const RECORD: usize = 16 + 15 + 24 + 16 + 8 + 28 + 100;
    let long = {
        let mut long = good.clone();
        let at = long.len() - RECORD + 8;
        long[at..at + 4].copy_from_slice(&u32::MAX.to_ne_bytes());
        long
    };
    let packed = capture::gzip(&good);
    let records: Vec<_> = air()
        .iter()
        .map(|frame| capture::rec(LinkType::IEEE802_11_RADIOTAP, capture::radiotap(frame)))
        .collect();
    let pcapng = capture::pcapng(&records);
    let cases: &[(&str, &[u8], &[&str])] = &[
        ("in a record", &good[..good.len() - 10], &["truncated capture", "record 24", "copy the file again"]),
        ("in a record header", &good[..good.len() - RECORD + 5], &["truncated capture", "after record 23"]),
        ("record too long", &long, &["damaged capture", "record 24"]),
        ("pcapng", &pcapng[..pcapng.len() - 10], &["truncated capture"]),
        ("gzip", &packed[..packed.len() - 9], &["gzip file is cut off"]),
    ];
    for (what, file, expected) in cases {
        let run: Run = decrypt(file, &keys());
        assert_eq!(run.code, Some(1), "{what}: {run:?}");
        let [frames, decrypted, rest @ ..] = run.counts();
        // The decompressor gives out less than is there.
        let least = if *what == "gzip" { 4 } else { 23 };
        assert!((least..=24).contains(&frames), "{what}: {run:?}");
        assert_eq!((decrypted, rest), (frames - 4, [0; 3]), "{what}");
        assert_eq!(run.ethernet.len() as u64, decrypted, "{what}: what was opened is written");
        says(&run.stderr, expected);
    }
}

#[test]
fn options_that_make_no_sense() {
    let directory = tempfile::tempdir().unwrap();
    let input = directory.path().join("in.pcap");
    std::fs::write(&input, capture::radiotap_pcap(&air())).unwrap();
    let input = input.to_str().unwrap();
    let missing = directory.path().join("missing.pcap");
    let unwritable = directory.path().join("no/such/directory/out.pcap");
    let (missing, unwritable) = (missing.to_str().unwrap(), unwritable.to_str().unwrap());
    let long = "x".repeat(33);
    let cases: &[(&[&str], &[&str])] = &[
        (&[input, "--ssid", "a"], &["1 --ssid and 0 --passphrase", "pairs"]),
        (&[input, "--passphrase", "long enough"], &["0 --ssid and 1 --passphrase"]),
        (&[input, "--ssid", "a", "--passphrase", "short"], &["--passphrase", "8 to 63", "this one 5"]),
        (&[input, "--ssid", "a", "--passphrase", "grüße an alle"], &["--passphrase", "ASCII"]),
        (&[input, "--ssid", &long, "--passphrase", "long enough"], &["--ssid xxx"]),
        (&[input, "--pmk", "abcd"], &["--pmk takes 64 hexadecimal digits", "4 characters"]),
        (&[input, "--pmk", &"0".repeat(63)], &["--pmk takes 64", "63 characters"]),
        (&[input, "--tk", &"g".repeat(32)], &["--tk takes 32", "not all of them hexadecimal"]),
        (&[input, "--tk", &"0".repeat(64)], &["--tk takes 32", "64 characters"]),
        (&[missing], &["cannot read", "missing.pcap", "No such file"]),
        (&[directory.path().to_str().unwrap()], &["cannot read", "directory"]),
        (&[input, "-o", unwritable], &["cannot write", "out.pcap", "No such file"]),
        (&[input, "-o", input], &["is the capture itself"]),
    ];
    for (arguments, expected) in cases {
        let output = ttgctl(&[&["decrypt"][..], arguments].concat());
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
        says(std::str::from_utf8(&output.stderr).unwrap(), expected);
    }
    assert!(!std::fs::read(input).unwrap().is_empty(), "the capture is still there");
}

#[test]
fn help_of_every_verb() {
    let help = |arguments: &[&str]| {
        let output = ttgctl(arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.lines().all(|line| line.chars().count() <= 120), "{text}");
        text
    };
    let all = help(&["--help"]);
    for verb in [
        "sessions",
        "radios",
        "services",
        "networks",
        "gateways",
        "bindings",
        "accounts",
        "grants",
        "contracts",
        "usage",
        "explain",
        "forgive",
        "drain",
        "disconnect",
        "rekey",
        "stats",
        "decrypt",
        "completion",
        "man",
    ] {
        assert!(all.contains(&format!("  {verb} ")), "{verb}: {all}");
        assert!(help(&[verb, "--help"]).starts_with(|c: char| c.is_uppercase()), "{verb}");
    }
    let decrypt = help(&["decrypt", "--help"]);
    for option in ["-o, --out <OUT.pcap>", "--ssid", "--passphrase", "--pmk", "--tk", "--json", "<IN>"] {
        assert!(decrypt.contains(option), "{option}: {decrypt}");
    }
}

#[test]
fn completion_scripts_and_man_pages() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = ttgctl(&["completion", shell]);
        assert!(output.status.success(), "{shell}");
        let script = String::from_utf8(output.stdout).unwrap();
        assert!(script.contains("decrypt") && script.contains("passphrase"), "{shell}");
    }
    let directory = tempfile::tempdir().unwrap();
    let pages = directory.path().join("man1");
    assert!(ttgctl(&["man", pages.to_str().unwrap()]).status.success());
    let page = std::fs::read_to_string(pages.join("ttgctl-decrypt.1")).unwrap();
    assert!(page.contains(".TH") && page.contains("Temporal key"), "{page}");
    assert!(Path::new(&pages.join("ttgctl.1")).exists());
}

#[test]
fn the_form_of_an_answer_before_and_behind_the_verb() {
    // Nobody listens there; what counts is that the options are understood.
    for arguments in [
        &["-o", "json", "sessions"][..],
        &["sessions", "-o", "json"],
        &["radios", "--output", "table"],
        &["stats", "-o", "json"],
        &["-o", "table", "services", "-o", "json"],
    ] {
        let output = ttgctl(&[&["--server", "http://127.0.0.1:1"][..], arguments].concat());
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {output:?}");
        says(
            std::str::from_utf8(&output.stderr).unwrap(),
            &["cannot ask the control daemon", "Connection refused", "--server"],
        );
    }
    assert_eq!(ttgctl(&["radios", "-o", "xml"]).status.code(), Some(2));
}
