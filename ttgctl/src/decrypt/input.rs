//! What `decrypt` is given: keys as typed, the capture, the file to write.

use std::{
    fs::{self, File},
    io::{self, BufReader, Read, Write},
    path::Path,
};

use anyhow::{Context, bail};
use dot11::{
    element::Ssid,
    rsn::{Passphrase, Pmk, Tk, pmk_from_passphrase},
};

use super::Given;
use crate::cli::Decrypt;

/// What stands for standard input and output.
pub const DASH: &str = "-";

/// The keys. A passphrase takes milliseconds to become one.
pub fn given(arguments: &Decrypt) -> anyhow::Result<Given> {
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
        let key = hex::<32>(text).with_context(|| digits("--pmk", 64, text))?;
        given.pmks.push(Pmk::new(key));
    }
    for text in tk {
        let key = hex::<16>(text).with_context(|| digits("--tk", 32, text))?;
        given.tks.push(Tk::new(key));
    }
    Ok(given)
}

/// The capture, unpacked where it is gzip.
pub fn open(path: &Path) -> anyhow::Result<Box<dyn Read>> {
    let name = || format!("cannot read {}", path.display());
    let mut stream: Box<dyn Read> = if path == Path::new(DASH) {
        Box::new(io::stdin().lock())
    } else {
        Box::new(File::open(path).with_context(name)?)
    };
    let mut magic = Vec::with_capacity(2);
    stream.by_ref().take(2).read_to_end(&mut magic).with_context(name)?;
    // RFC 1952 §2.3.1.
    let packed = magic == [0x1f, 0x8b];
    let whole = BufReader::new(io::Cursor::new(magic).chain(stream));
    if packed {
        return Ok(Box::new(BufReader::new(Unpacked(flate2::read::MultiGzDecoder::new(whole)))));
    }
    Ok(Box::new(whole))
}

/// The file for the plaintext.
pub fn create(path: &Path, input: &Path) -> anyhow::Result<Box<dyn Write>> {
    if path == Path::new(DASH) {
        return Ok(Box::new(io::stdout().lock()));
    }
    // Creating it would empty the capture before it is read.
    if let (Ok(out), Ok(input)) = (fs::canonicalize(path), fs::canonicalize(input))
        && out == input
    {
        bail!("{} is the capture itself: name another file for the plaintext", path.display());
    }
    Ok(Box::new(File::create(path).with_context(|| format!("cannot write {}", path.display()))?))
}

/// A gzip stream whose errors say what is the matter.
struct Unpacked<R>(flate2::read::MultiGzDecoder<R>);

impl<R: Read> Read for Unpacked<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.read(into).map_err(|error| {
            let what = match error.kind() {
                io::ErrorKind::UnexpectedEof => "the gzip file is cut off",
                io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => "the gzip file is damaged",
                _ => return error,
            };
            io::Error::new(error.kind(), format!("{what} ({error}). What precedes was read; copy it again"))
        })
    }
}

fn digits(option: &str, expected: usize, text: &str) -> String {
    let got = text.chars().count();
    let odd = if text.chars().all(|c| c.is_ascii_hexdigit()) { "" } else { ", not all of them hexadecimal" };
    format!("{option} takes {expected} hexadecimal digits; this one has {got} characters{odd}")
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
