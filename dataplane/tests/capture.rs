//! Captures: both formats, both byte orders, every kind of damage, and the tools of others as a check.

use std::process::Command;

use dataplane::capture::{CaptureError, CaptureReader, LinkType, MAX_RECORD, PcapWriter, Resolution};
use proptest::prelude::*;

/// A record with its data.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Owned {
    link_type: LinkType,
    timestamp: Option<u64>,
    original_len: u32,
    data: Vec<u8>,
}

/// Everything up to the end or the first error.
fn read(octets: &[u8]) -> (Vec<Owned>, Option<CaptureError>) {
    let mut records = Vec::new();
    let mut reader = match CaptureReader::new(octets) {
        Ok(reader) => reader,
        Err(error) => return (records, Some(error)),
    };
    loop {
        match reader.next_record() {
            Ok(Some(record)) => {
                assert_eq!(record.number, records.len() as u64 + 1);
                records.push(Owned {
                    link_type: record.link_type,
                    timestamp: record.timestamp,
                    original_len: record.original_len,
                    data: record.data.to_vec(),
                });
            }
            Ok(None) => return (records, None),
            Err(error) => {
                assert!(matches!(reader.next_record(), Ok(None)), "there is nothing after an error");
                return (records, Some(error));
            }
        }
    }
}

fn read_all(octets: &[u8]) -> Vec<Owned> {
    let (records, error) = read(octets);
    assert!(error.is_none(), "{error:?}");
    records
}

fn error_of(octets: &[u8]) -> CaptureError {
    read(octets).1.expect("an error")
}

/// Writes integers in one of the byte orders.
#[derive(Clone, Copy)]
struct Order {
    big: bool,
}

const ORDERS: [Order; 2] = [Order { big: false }, Order { big: true }];

impl Order {
    fn u16(self, value: u16) -> Vec<u8> {
        if self.big { value.to_be_bytes().to_vec() } else { value.to_le_bytes().to_vec() }
    }

    fn u32(self, value: u32) -> Vec<u8> {
        if self.big { value.to_be_bytes().to_vec() } else { value.to_le_bytes().to_vec() }
    }

    fn words(self, values: &[u32]) -> Vec<u8> {
        values.iter().flat_map(|&v| self.u32(v)).collect()
    }

    fn pcap(self, magic: u32, link_type: u32, records: &[(u32, u32, &[u8], u32)]) -> Vec<u8> {
        let mut file =
            [self.u32(magic), self.u16(2), self.u16(4), self.words(&[0, 0, 65_535, link_type])].concat();
        for (seconds, ticks, data, original) in records {
            file.extend(self.words(&[*seconds, *ticks, data.len() as u32, *original]));
            file.extend(*data);
        }
        file
    }

    fn block(self, kind: u32, body: &[u8]) -> Vec<u8> {
        let padded = body.len().next_multiple_of(4);
        let length = self.u32(padded as u32 + 12);
        [self.u32(kind), length.clone(), body.to_vec(), vec![0; padded - body.len()], length].concat()
    }

    fn section(self, options: &[u8]) -> Vec<u8> {
        let body =
            [self.u32(0x1a2b_3c4d), self.u16(1), self.u16(0), vec![0xff; 8], options.to_vec()].concat();
        self.block(0x0a0d_0d0a, &body)
    }

    fn option(self, code: u16, value: &[u8]) -> Vec<u8> {
        let padding = vec![0; value.len().next_multiple_of(4) - value.len()];
        [self.u16(code), self.u16(value.len() as u16), value.to_vec(), padding].concat()
    }

    fn interface(self, link_type: u16, snapshot: u32, options: &[u8]) -> Vec<u8> {
        self.block(1, &[self.u16(link_type), self.u16(0), self.u32(snapshot), options.to_vec()].concat())
    }

    fn enhanced(self, interface: u32, ticks: u64, data: &[u8], original: u32) -> Vec<u8> {
        let head = [interface, (ticks >> 32) as u32, ticks as u32, data.len() as u32, original];
        let data = [data.to_vec(), vec![0; data.len().next_multiple_of(4) - data.len()]].concat();
        // With a comment behind the data.
        self.block(6, &[self.words(&head), data, self.option(1, b"comment"), self.option(0, b"")].concat())
    }

    fn obsolete(self, interface: u16, ticks: u64, data: &[u8], original: u32) -> Vec<u8> {
        let rest = [(ticks >> 32) as u32, ticks as u32, data.len() as u32, original];
        self.block(2, &[self.u16(interface), self.u16(9), self.words(&rest), data.to_vec()].concat())
    }

    fn simple(self, data: &[u8], original: u32) -> Vec<u8> {
        self.block(3, &[self.u32(original), data.to_vec()].concat())
    }
}

fn record(link_type: LinkType, timestamp: impl Into<Option<u64>>, data: &[u8], original_len: u32) -> Owned {
    Owned { link_type, timestamp: timestamp.into(), original_len, data: data.to_vec() }
}

#[test]
fn pcap_in_both_byte_orders_and_resolutions() {
    for order in ORDERS {
        for (magic, unit) in [(0xa1b2_c3d4, 1000), (0xa1b2_3c4d, 1)] {
            // The upper half of the link type says that there is an FCS of two 16-bit words.
            let file = order.pcap(
                magic,
                0x2400_0069,
                &[(7, 5, b"one", 3), (8, 999, b"", 0), (u32::MAX, u32::MAX, b"cut", 1500)],
            );
            let last = u64::from(u32::MAX);
            assert_eq!(
                read_all(&file),
                [
                    record(LinkType::IEEE802_11, 7_000_000_000 + 5 * unit, b"one", 3),
                    record(LinkType::IEEE802_11, 8_000_000_000 + 999 * unit, b"", 0),
                    record(LinkType::IEEE802_11, last * 1_000_000_000 + last * unit, b"cut", 1500),
                ]
            );
        }
    }
}

/// Two interfaces with their own link types and clocks, all packet blocks, blocks that are passed over, and a second section which starts anew.
fn pcapng(order: Order, other: Order) -> Vec<u8> {
    let resolution = |value: u8| order.option(9, &[value]);
    let offset: i64 = 100;
    let offset = if order.big { offset.to_be_bytes() } else { offset.to_le_bytes() };
    [
        order.section(&order.option(2, b"hardware")),
        order.interface(127, 0, &[order.option(2, b"wlan0"), resolution(9), order.option(0, b"")].concat()),
        order.interface(1, 4, &[resolution(0x80 | 10), order.option(14, &offset)].concat()),
        order.enhanced(0, 1_234_567_890_123, b"enhanced", 900),
        order.block(0x4000_0bad, b"unknown"),
        order.enhanced(1, 2048 + 512, b"y", 1),
        order.obsolete(0, 77, b"obsolete", 8),
        order.simple(b"simple", 6),
        other.section(b""),
        other.interface(105, 4, b""),
        other.simple(b"simp", 6),
        other.enhanced(0, 1_000_001, b"", 0),
    ]
    .concat()
}

#[test]
fn pcapng_in_both_byte_orders() {
    for order in ORDERS {
        for other in ORDERS {
            let (radiotap, raw) = (LinkType::IEEE802_11_RADIOTAP, LinkType::IEEE802_11);
            assert_eq!(
                read_all(&pcapng(order, other)),
                [
                    record(radiotap, 1_234_567_890_123, b"enhanced", 900),
                    record(LinkType::ETHERNET, 102_500_000_000, b"y", 1),
                    record(radiotap, 77, b"obsolete", 8),
                    record(radiotap, None, b"simple", 6),
                    record(raw, None, b"simp", 6),
                    record(raw, 1_000_001_000, b"", 0),
                ]
            );
        }
    }
}

#[test]
fn every_resolution_is_read_without_overflow() {
    let order = ORDERS[0];
    let time = |resolution: u8, offset: i64, ticks| {
        let options = [order.option(9, &[resolution]), order.option(14, &offset.to_le_bytes())].concat();
        let file =
            [order.section(b""), order.interface(1, 0, &options), order.enhanced(0, ticks, b"", 0)].concat();
        read_all(&file)[0].timestamp.unwrap()
    };
    assert_eq!(time(0, 0, 3), 3_000_000_000);
    assert_eq!(time(3, 1, 1500), 2_500_000_000);
    assert_eq!(time(12, 0, 7_999), 7);
    assert_eq!(time(0x80, 0, 3), 3_000_000_000);
    assert_eq!(time(0x80 | 32, 0, 3 << 31), 1_500_000_000);
    assert_eq!(time(9, -5, 5_000_000_001), 1);
    assert_eq!(time(9, -6, 5_000_000_001), 0);
    assert_eq!(time(0, i64::MAX, u64::MAX), u64::MAX);
    for resolution in 0..=255 {
        for (offset, ticks) in [(0, u64::MAX), (i64::MIN, u64::MAX), (i64::MAX, 0)] {
            time(resolution, offset, ticks);
        }
    }
}

#[test]
fn a_truncated_record_says_which_and_how_much_is_missing() {
    let full = [0xab; 1500];
    let records = vec![(1, 0, &full[..], 1500); 17];
    let mut file = ORDERS[0].pcap(0xa1b2_c3d4, 127, &records);
    file.truncate(file.len() - 1500 + 312);
    let (read, error) = read(&file);
    assert_eq!(read.len(), 16);
    let text = error.unwrap().to_string();
    assert!(text.starts_with("truncated capture: record 17 says 1500 octets, file has 312 left."), "{text}");
    assert!(text.contains("copy the file again") && !text.contains('\n'), "{text}");
}

/// Cut anywhere, a capture gives the records that are whole, and an error unless it was cut between two.
#[test]
fn every_truncation_is_told() {
    let pcap = ORDERS[1].pcap(0xa1b2_c3d4, 1, &[(1, 1, b"one", 3), (2, 2, b"two!", 4), (3, 3, b"", 0)]);
    for file in [pcap, pcapng(ORDERS[0], ORDERS[1])] {
        let all = read_all(&file);
        let mut clean = 0;
        for len in 0..file.len() {
            let (records, error) = read(&file[..len]);
            assert_eq!(records, all[..records.len()]);
            match error {
                None => clean += 1,
                Some(CaptureError::UnknownFormat(begin)) => assert_eq!(begin, file[..len]),
                Some(CaptureError::Truncated { record, wanted, left }) => {
                    assert_eq!(record, records.len() as u64 + 1);
                    assert!(left < wanted);
                }
                Some(CaptureError::TruncatedHeader { record, wanted, left, .. }) => {
                    // The last record's data was read, but its block has no end.
                    assert!(record.abs_diff(records.len() as u64) <= 1);
                    assert!(left < wanted);
                }
                Some(other) => panic!("cut at {len}: {other}"),
            }
        }
        // Behind the header and behind each record or block, but for the whole file.
        assert_eq!(clean, if all.len() == 3 { 3 } else { 11 });
    }
}

#[test]
fn what_is_no_capture_is_told() {
    let table: [(&[u8], &str); 3] = [
        (b"", "begins with nothing (it is empty)"),
        (b"\x1f\x8b\x08\x00\x00", "begins with 1f 8b 08 00,"),
        (b"\xa1\xb2", "begins with a1 b2,"),
    ];
    for (file, part) in table {
        let text = error_of(file).to_string();
        assert!(text.starts_with("not a capture") && text.contains(part), "{text}");
    }
}

#[test]
fn contradictions_are_errors() {
    for order in ORDERS {
        let section = || order.section(b"");
        let interface = || order.interface(1, 0, b"");
        let packet = |captured: u32| {
            order.block(6, &[order.words(&[0, 0, 0, captured, 4]), b"data".to_vec()].concat())
        };
        let mut ends_differ = order.block(5, b"data");
        *ends_differ.last_mut().unwrap() ^= 0x10;
        let tables: [(&str, Vec<Vec<u8>>); 12] = [
            ("not described", vec![section(), packet(4)]),
            ("not described", vec![section(), interface(), section(), packet(4)]),
            ("not described", vec![section(), order.simple(b"x", 1)]),
            ("not described", vec![section(), order.obsolete(1, 0, b"x", 1)]),
            ("longer than its block", vec![section(), interface(), packet(5)]),
            ("longer than its block", vec![section(), interface(), packet(u32::MAX)]),
            ("longer than its block", vec![section(), interface(), order.simple(b"data", 5)]),
            ("two lengths differ", vec![section(), ends_differ]),
            ("impossible length", vec![section(), order.words(&[5, 11, 11])]),
            ("impossible length", vec![section(), order.words(&[5, 13, 13, 13, 13])]),
            ("impossible length", vec![section(), interface(), order.block(6, &[0; 16])]),
            ("option longer", vec![section(), order.interface(1, 0, &order.u32(0xffff_ffff))]),
        ];
        for (part, blocks) in tables {
            let text = error_of(&blocks.concat()).to_string();
            assert!(text.starts_with("damaged capture") && text.contains(part), "{part:?} in {text:?}");
        }
        let too_many = [section(), interface().repeat(4097)].concat();
        assert!(error_of(&too_many).to_string().contains("one interface description too many"));
        assert!(read(&too_many[..too_many.len() - interface().len()]).1.is_none());
    }
}

#[test]
fn records_that_no_program_writes_are_refused_unread() {
    let order = ORDERS[0];
    for len in [MAX_RECORD + 1, u32::MAX] {
        let mut file = order.pcap(0xa1b2_c3d4, 1, &[]);
        file.extend(order.words(&[0, 0, len, len]));
        assert!(
            matches!(error_of(&file), CaptureError::RecordTooLong { record: 1, len: l } if l == u64::from(len))
        );
    }
    let longest = vec![7; MAX_RECORD as usize];
    let file = order.pcap(0xa1b2_c3d4, 1, &[(0, 0, &longest, MAX_RECORD)]);
    assert_eq!(read_all(&file)[0].data, longest);
}

#[test]
fn other_versions_are_refused() {
    let mut pcap = ORDERS[0].pcap(0xa1b2_c3d4, 1, &[]);
    pcap[4] = 3;
    assert!(matches!(error_of(&pcap), CaptureError::UnknownVersion { major: 3, minor: 4 }));
    let mut pcapng = ORDERS[1].section(b"");
    pcapng[13] = 2;
    assert!(matches!(error_of(&pcapng), CaptureError::UnknownVersion { major: 2, minor: 0 }));
    pcapng[8] = 0;
    assert!(error_of(&pcapng).to_string().contains("byte-order"));
}

/// A file that another program still writes is read as it grows.
#[test]
fn a_growing_capture_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("growing.pcap");
    let mut writer =
        PcapWriter::new(std::fs::File::create(&path).unwrap(), LinkType::ETHERNET, Resolution::Nanos)
            .unwrap();
    let mut reader =
        CaptureReader::new(std::io::BufReader::new(std::fs::File::open(&path).unwrap())).unwrap();
    for timestamp in [1_000_000_001, 3, 0] {
        assert!(reader.next_record().unwrap().is_none());
        writer.write(timestamp, b"more").unwrap();
        let record = reader.next_record().unwrap().unwrap();
        assert_eq!((record.timestamp, record.data), (Some(timestamp), &b"more"[..]));
    }
}

#[test]
fn what_is_written_is_read_again() {
    for (resolution, unit) in [(Resolution::Micros, 1000), (Resolution::Nanos, 1)] {
        let mut writer = PcapWriter::new(Vec::new(), LinkType::IEEE802_11, resolution).unwrap();
        let long = vec![1; MAX_RECORD as usize + 9];
        writer.write(1_700_000_000_123_456_789, b"a frame").unwrap();
        writer.write(u64::MAX, &long).unwrap();
        let records = read_all(&writer.into_inner());
        let time = 1_700_000_000_123_456_789 / unit * unit;
        assert_eq!(records[0], record(LinkType::IEEE802_11, time, b"a frame", 7));
        assert_eq!((records[1].data.len(), records[1].original_len), (MAX_RECORD as usize, MAX_RECORD + 9));
        assert_eq!(records[1].timestamp.unwrap() / 1_000_000_000, u64::from(u32::MAX));
    }
}

/// Wireshark's `editcap` reads what is written here and converts it to every format that is read here.
#[test]
fn editcap_agrees() {
    let folder = tempfile::tempdir().unwrap();
    let ours = folder.path().join("ours.pcap");
    let file = std::fs::File::create(&ours).unwrap();
    let mut writer = PcapWriter::new(file, LinkType::IEEE802_11, Resolution::Nanos).unwrap();
    for i in 0..50u32 {
        writer
            .write(1_700_000_000_000_000_000 + u64::from(i) * 1_001_001_000, &vec![i as u8; i as usize * 31])
            .unwrap();
    }
    drop(writer);
    let expected = read_all(&std::fs::read(&ours).unwrap());
    assert_eq!(expected.len(), 50);
    for format in ["pcap", "nsecpcap", "pcapng"] {
        let theirs = folder.path().join(format);
        let output = Command::new("editcap").arg("-F").arg(format).args([&ours, &theirs]).output();
        let output = output.expect("`editcap` runs (Debian package wireshark-common)");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(read_all(&std::fs::read(&theirs).unwrap()), expected, "{format}");
    }
}

proptest! {
    #[test]
    fn no_octets_panic(octets in proptest::collection::vec(any::<u8>(), 0..400), magic in 0..6usize) {
        let magics: [&[u8]; 6] =
            [b"", b"\xa1\xb2\xc3\xd4", b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1\x02\0\x04\0", b"\n\r\r\n", b"\n\r\r\n\x1c\0\0\0M<+\x1a\x01\0\0\0"];
        read(&[magics[magic], &octets].concat());
    }

    #[test]
    fn no_damage_panics(
        big in any::<bool>(),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut file = pcapng(Order { big }, Order { big: !big });
        for (at, value) in damage {
            let at = at.index(file.len());
            file[at] = value;
        }
        read(&file);
    }
}
