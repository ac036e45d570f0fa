//! What must hold for any octets that the parsers of `dataplane` are given. Each function is the body of one fuzz target;
//! `dataplane/tests/corpus.rs` replays the committed corpora through the same functions.

use dataplane::capture::{CaptureReader, MAX_RECORD, PcapWriter, Resolution};

/// A fuzz target: its name and its body.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: &[Target] = &[("dataplane_capture", capture)];

/// A capture of either format: bounded records, numbered, nothing after an error; and what was read can be written and read again.
pub fn capture(data: &[u8]) {
    let Ok(mut reader) = CaptureReader::new(data) else { return };
    let (mut number, mut writer, mut records) = (0, None, Vec::new());
    loop {
        match reader.next_record() {
            Ok(Some(record)) => {
                number += 1;
                assert_eq!(record.number, number);
                assert!(record.data.len() <= data.len() && record.data.len() <= MAX_RECORD as usize);
                let writer = writer.get_or_insert_with(|| {
                    PcapWriter::new(Vec::new(), record.link_type, Resolution::Nanos)
                        .expect("writing to memory")
                });
                writer.write(record.timestamp.unwrap_or(0), record.data).expect("writing to memory");
                records.push(record.data.to_vec());
            }
            Ok(None) => break,
            Err(error) => {
                assert!(!error.to_string().is_empty());
                assert!(matches!(reader.next_record(), Ok(None)));
                break;
            }
        }
    }
    let Some(writer) = writer else { return };
    let file = writer.into_inner();
    let mut reader = CaptureReader::new(&file[..]).expect("what was written has a header");
    for expected in records {
        let record = reader.next_record().expect("what was written is whole").expect("every record is there");
        assert_eq!(record.data, expected);
    }
    assert!(matches!(reader.next_record(), Ok(None)));
}
