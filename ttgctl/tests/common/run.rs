//! `ttgctl decrypt` really run, and what it says and writes.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use dataplane::capture::{CaptureReader, LinkType};
use serde_json::Value;
use tempfile::TempDir;

use super::{PASSPHRASE, SSID};

/// What a run gave.
#[derive(Debug)]
pub struct Run {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    /// Ethernet frames written.
    pub ethernet: Vec<Vec<u8>>,
}

/// Frames, decrypted, MIC failures, replays, without a key.
pub type Counts = [u64; 5];

impl Run {
    /// The counts, from the JSON object that is the whole of standard output.
    pub fn counts(&self) -> Counts {
        let value: Value = serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}: {self:?}"));
        assert_eq!(value.as_object().unwrap().len(), 5, "{value}");
        ["frames", "decrypted", "mic_failures", "replays", "no_key"].map(|name| value[name].as_u64().unwrap())
    }

    pub fn succeeded(self) -> Self {
        assert_eq!(self.code, Some(0), "{self:?}");
        self
    }
}

/// Keys as options, of the network that [`super::Network::new`] makes.
pub fn keys() -> Vec<String> {
    ["--ssid", SSID, "--passphrase", PASSPHRASE].map(String::from).to_vec()
}

/// Runs `ttgctl` with these arguments.
pub fn ttgctl(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ttgctl")).args(arguments).output().expect("ttgctl runs")
}

/// Runs `ttgctl decrypt --json` on this file with these key options.
pub fn decrypt(file: &[u8], keys: &[String]) -> Run {
    let directory = tempfile::tempdir().unwrap();
    let input = directory.path().join("in.cap");
    std::fs::write(&input, file).unwrap();
    decrypt_file(&directory, &input, keys)
}

pub fn decrypt_file(directory: &TempDir, input: &Path, keys: &[String]) -> Run {
    let out: PathBuf = directory.path().join("out.pcap");
    let mut arguments = vec!["decrypt", input.to_str().unwrap(), "-o", out.to_str().unwrap(), "--json"];
    arguments.extend(keys.iter().map(String::as_str));
    let Output { status, stdout, stderr } = ttgctl(&arguments);
    Run {
        code: status.code(),
        stdout: String::from_utf8(stdout).unwrap(),
        stderr: String::from_utf8(stderr).unwrap(),
        ethernet: std::fs::read(&out).map(|file| frames(&file)).unwrap_or_default(),
    }
}

/// The frames of a capture of Ethernet.
pub fn frames(file: &[u8]) -> Vec<Vec<u8>> {
    let mut reader = CaptureReader::new(file).unwrap();
    let mut frames = Vec::new();
    while let Some(record) = reader.next_record().unwrap() {
        assert_eq!(record.link_type, LinkType::ETHERNET);
        frames.push(record.data.to_vec());
    }
    frames
}
