//! `ttgctl decrypt`: runs a capture through the gateway's own parsing and crypto.
//!
//! ```text
//! file (gzip?) → pcap, pcapng → link layer → 802.11 frames → handshakes followed, keys tried → Ethernet frames
//! ```
//!
//! A frame is decrypted once: heard again, or played again, it counts as a replay. A capture has no block-ack
//! reordering, so one that arrives late but was not heard before is still decrypted; the gateway itself, which
//! declines block ack, takes nothing but increasing packet numbers.

mod air;
mod ethernet;
mod handshake;
mod keys;
mod link;
mod seen;

use std::{
    fs::File,
    io::{BufReader, BufWriter, Read, Write},
    path::Path,
    process::ExitCode,
};

use anyhow::{Context, bail};
use dataplane::capture::{CaptureReader, LinkType, PcapWriter, Resolution};
use dot11::{
    element::Ssid,
    rsn::{Passphrase, Pmk, Tk, pmk_from_passphrase},
};

pub use air::{Air, Counts};
pub use keys::Given;
pub use link::{Link, LinkError};

use crate::cli::Decrypt;

/// Decrypts one capture and prints what became of its frames. What precedes damage in the file is decrypted all the
/// same; the exit status then says that something was wrong.
pub fn run(arguments: &Decrypt) -> anyhow::Result<ExitCode> {
    let given = given(arguments)?;
    let input = open(&arguments.input)?;
    let name = arguments.input.display();
    let mut reader = CaptureReader::new(input).with_context(|| format!("{name}"))?;
    let mut out = match &arguments.out {
        Some(path) => {
            let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
            Some(PcapWriter::new(BufWriter::new(file), LinkType::ETHERNET, Resolution::Micros)?)
        }
        None => None,
    };
    let mut link = Link::default();
    let mut air = Air::new(given);
    let damage = loop {
        let record = match reader.next_record() {
            Ok(Some(record)) => record,
            Ok(None) => break None,
            Err(error) => break Some(error),
        };
        let time = record.timestamp.unwrap_or(0);
        let Some(frame) = link.frame(record.link_type, time, record.data)? else { continue };
        let mut written = Ok(());
        air.frame(time, &frame, &mut |ethernet| {
            if let (Some(out), Ok(())) = (&mut out, &written) {
                written = out.write(time, ethernet);
            }
        });
        written.context("cannot write the plaintext")?;
    };
    if let Some(out) = out {
        out.into_inner().flush().context("cannot write the plaintext")?;
    }
    report(&mut std::io::stdout().lock(), air.counts(), arguments.json)?;
    if let Some(damage) = damage {
        return Err(anyhow::Error::new(damage).context(format!("{name}")));
    }
    Ok(ExitCode::SUCCESS)
}

fn report(out: &mut impl Write, counts: Counts, json: bool) -> std::io::Result<()> {
    let Counts { frames, decrypted, mic_failures, replays, no_key } = counts;
    if json {
        writeln!(
            out,
            "{}",
            serde_json::json!({
                "frames": frames, "decrypted": decrypted, "mic_failures": mic_failures, "replays": replays,
                "no_key": no_key,
            })
        )
    } else {
        writeln!(
            out,
            "{frames} frames: {decrypted} decrypted, {mic_failures} MIC failures, {replays} replays, {no_key} without a key"
        )
    }
}

fn open(path: &Path) -> anyhow::Result<Box<dyn Read>> {
    let mut stream: Box<dyn Read> = if path == Path::new("-") {
        Box::new(std::io::stdin().lock())
    } else {
        Box::new(File::open(path).with_context(|| format!("cannot read {}", path.display()))?)
    };
    let mut magic = [0; 2];
    let mut got = 0;
    while got < magic.len() {
        match stream.read(&mut magic[got..]).with_context(|| format!("cannot read {}", path.display()))? {
            0 => break,
            n => got += n,
        }
    }
    let whole = std::io::Cursor::new(magic).take(got as u64).chain(stream);
    // RFC 1952 §2.3.1.
    if magic == [0x1f, 0x8b] {
        return Ok(Box::new(BufReader::new(flate2::read::MultiGzDecoder::new(BufReader::new(whole)))));
    }
    Ok(Box::new(BufReader::new(whole)))
}

fn given(arguments: &Decrypt) -> anyhow::Result<Given> {
    let Decrypt { ssid, passphrase, pmk, tk, .. } = arguments;
    if ssid.len() != passphrase.len() {
        bail!(
            "{} --ssid and {} --passphrase: they go in pairs, since a passphrase makes a key only together with its SSID",
            ssid.len(),
            passphrase.len()
        );
    }
    let mut given = Given::default();
    for (ssid, passphrase) in ssid.iter().zip(passphrase) {
        let ssid = Ssid::parse(ssid.as_bytes()).with_context(|| format!("--ssid {ssid}"))?;
        // 64 hexadecimal digits are the key itself, as in every other program that takes passphrases.
        let pmk = match hex::<32>(passphrase) {
            Some(key) => Pmk::new(key),
            None => {
                pmk_from_passphrase(&Passphrase::new(passphrase.as_str()).context("--passphrase")?, &ssid)
            }
        };
        given.pmks.push(pmk);
    }
    for text in pmk {
        let key = hex::<32>(text).context("--pmk takes 64 hexadecimal digits")?;
        given.pmks.push(Pmk::new(key));
    }
    for text in tk {
        let key = hex::<16>(text).context("--tk takes 32 hexadecimal digits")?;
        given.tks.push(Tk::new(key));
    }
    Ok(given)
}

fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let text = text.as_bytes();
    if text.len() != 2 * N || !text.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let mut key = [0; N];
    for (octet, digits) in key.iter_mut().zip(text.chunks(2)) {
        *octet = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(key)
}
