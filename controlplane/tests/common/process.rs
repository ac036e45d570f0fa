//! The program itself: to be killed, as it dies in the field.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
};

/// A control process with a matchmaker; killed when dropped, as by kill -9.
pub struct Process {
    child: Child,
    /// Where its matchmaker listens.
    pub matchmaker: SocketAddr,
    /// Where operators and gateways connect to.
    pub admin: String,
    _state: tempfile::TempDir,
}

impl Process {
    /// With this configuration behind its state directory; it is up when this returns.
    pub fn start(text: &str) -> Process {
        Process::start_seeing(text, |_| {})
    }

    /// The same; `see` is given the lines of its log until it is up.
    pub fn start_seeing(text: &str, mut see: impl FnMut(&str)) -> Process {
        let state = tempfile::tempdir().unwrap();
        let path = super::written(state.path(), text);
        let mut child = Command::new(env!("CARGO_BIN_EXE_controlplane"))
            .args(["run", "--config"])
            .arg(path)
            .env("NO_COLOR", "1")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let mut listens = |what: &str| {
            let mut is_there = |line: &String| {
                see(line);
                line.contains(what)
            };
            let line = log.find(|line| is_there(line)).expect(what);
            line.split("listen=").nth(1).unwrap().split_whitespace().next().unwrap().to_owned()
        };
        let matchmaker = listens("matchmaker is up").parse().unwrap();
        let admin = format!("http://{}", listens("control is up"));
        // So that it can go on writing.
        std::thread::spawn(move || log.for_each(drop));
        Process { child, matchmaker, admin, _state: state }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
