//! `ttgctl decrypt`: runs a capture through the gateway's own parsing and crypto.
//!
//! ```text
//! file (gzip?) → pcap, pcapng → link layer → 802.11 frames → handshakes followed, keys tried → Ethernet frames
//! ```
//!
//! A frame is decrypted once: heard again, or played again, it counts as a replay. A capture has no block-ack
//! reordering, so one that arrives late but was not heard before is still decrypted; the gateway itself, which
//! declines block ack, takes nothing but increasing packet numbers.
//!
//! A frame that does not open is a MIC failure only where the key in use is known. It is not while a device
//! (re)associates, after a handshake that could not be followed, or once a group key identifier was handed to another
//! key: then the frame counts as one without a key, as do those of other ciphers.

mod air;
mod ethernet;
mod handshake;
mod input;
mod keys;
mod link;
mod msdu;
mod seen;
mod tunnel;

use std::{
    io::{self, BufWriter, Write},
    path::Path,
    process::ExitCode,
};

use anyhow::{Context, anyhow};
use dataplane::capture::{CaptureReader, LinkType, PcapWriter, Resolution};

pub use air::{Air, Counts, Heard};
pub use keys::Given;
pub use link::{Content, Link};

use crate::cli::Decrypt;

/// Decrypts one capture and prints what became of its frames. What precedes damage in the file is decrypted all the
/// same; the exit status then says that something was wrong.
pub fn run(arguments: &Decrypt) -> anyhow::Result<ExitCode> {
    let given = input::given(arguments)?;
    let name = arguments.input.display();
    let mut reader = CaptureReader::new(input::open(&arguments.input)?).with_context(|| format!("{name}"))?;
    let mut out = match &arguments.out {
        Some(path) => {
            let stream = BufWriter::new(input::create(path, &arguments.input)?);
            Some(PcapWriter::new(stream, LinkType::ETHERNET, Resolution::Micros)?)
        }
        None => None,
    };
    let (mut link, mut air) = (Link::default(), Air::new(given));
    let (mut records, mut link_types) = (0, LinkTypes::default());
    let damage = loop {
        let record = match reader.next_record() {
            Ok(Some(record)) => record,
            Ok(None) => break None,
            Err(error) => break Some(error),
        };
        records += 1;
        let time = record.timestamp.unwrap_or(0);
        let heard = match link.content(&record) {
            Content::Frame(heard) => heard,
            content => {
                link_types.note(record.link_type, content == Content::Foreign);
                continue;
            }
        };
        let mut written = Ok(());
        air.frame(time, &heard, &mut |ethernet| {
            if let (Some(out), Ok(())) = (&mut out, &written) {
                written = out.write(time, ethernet);
            }
        });
        written.context("cannot write the plaintext")?;
    };
    if let Some(mut out) = out {
        out.flush().context("cannot write the plaintext")?;
    }
    let counts = air.counts();
    if arguments.out.as_deref() == Some(Path::new(input::DASH)) {
        report(&mut io::stderr().lock(), counts, arguments.json)?;
    } else {
        report(&mut io::stdout().lock(), counts, arguments.json)?;
    }
    if counts.cut > 0 {
        eprintln!(
            "ttgctl: {} protected frames could not be checked, since the capture has only their beginning: capture \
             with a longer snapshot length (tcpdump -s 0)",
            counts.cut
        );
    }
    if let Some(damage) = damage {
        return Err(anyhow::Error::new(damage).context(format!("{name}")));
    }
    if counts.frames == 0 && records > 0 {
        return Err(anyhow!("{name}: {}", link_types.complaint()));
    }
    Ok(ExitCode::SUCCESS)
}

/// Which link types the records without an 802.11 frame have: the first that never has one, and the first that may.
#[derive(Default)]
struct LinkTypes {
    foreign: Option<LinkType>,
    other: Option<LinkType>,
}

impl LinkTypes {
    fn note(&mut self, link_type: LinkType, foreign: bool) {
        (if foreign { &mut self.foreign } else { &mut self.other }).get_or_insert(link_type);
    }

    fn complaint(&self) -> String {
        let (found, why) = match (self.other, self.foreign) {
            (Some(other), _) => (other.to_string(), "none of them has an 802.11 frame in it"),
            (None, Some(foreign)) => (foreign.to_string(), "which never has 802.11 frames in it"),
            (None, None) => (String::new(), "nothing"),
        };
        format!(
            "no 802.11 frames: the capture's records are {found}, {why}. Capture on a monitor interface, or the tunnel to \
             the gateway (UDP port 5247)"
        )
    }
}

fn report(out: &mut impl Write, counts: Counts, json: bool) -> io::Result<()> {
    let Counts { frames, decrypted, mic_failures, replays, no_key, .. } = counts;
    if json {
        // In this order, which a map would not keep.
        write!(out, r#"{{"frames":{frames},"decrypted":{decrypted},"mic_failures":{mic_failures},"#)?;
        writeln!(out, r#""replays":{replays},"no_key":{no_key}}}"#)
    } else {
        writeln!(
            out,
            "{frames} frames: {decrypted} decrypted, {mic_failures} MIC failures, {replays} replays, {no_key} without a key"
        )
    }
}
