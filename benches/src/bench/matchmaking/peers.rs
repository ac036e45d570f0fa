//! What answers a question from memory elsewhere: a Redis server (GET, pipelined over a Unix socket) and a name server
//! (unbound, local data, UDP on loopback).

use std::io::{Read, Write};
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use super::super::daemons::{Daemon, free_udp};

/// What was found.
pub struct Measured {
    /// Of the peer, for programs.
    pub name: &'static str,
    /// For people.
    pub what: &'static str,
    /// That it answers from.
    pub objects: u32,
    /// Answers in a second of its processor time.
    pub per_second: f64,
    /// Answers in a second.
    pub wall: f64,
}

/// Questions at a time.
const BATCH: u32 = 64;
/// Octets of a value in Redis.
const VALUE: usize = 64;
/// Names that the name server knows.
const NAMES: u32 = 10_000;

/// Measures both.
///
/// # Errors
/// One of them does not start or answers with something else.
pub fn run(objects: u32, time: Duration) -> anyhow::Result<Vec<Measured>> {
    Ok(vec![redis(objects, time)?, unbound(time)?])
}

fn redis(objects: u32, time: Duration) -> anyhow::Result<Measured> {
    let directory = tempfile::tempdir()?;
    let socket = directory.path().join("redis");
    let mut command = Command::new("redis-server");
    command.args(["--port", "0", "--save", "", "--appendonly", "no", "--dir"]).arg(directory.path());
    command.arg("--unixsocket").arg(&socket);
    let mut daemon = Daemon::spawn(directory.path(), "redis-server", command)
        .context("deploy/setup.sh bench installs redis-server")?;
    daemon.wait("redis-server listens", || UnixStream::connect(&socket).is_ok())?;
    let mut stream = UnixStream::connect(&socket)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let value = "x".repeat(VALUE);
    for first in (0..objects).step_by(1000) {
        let of = first..objects.min(first + 1000);
        let sets: String = of.clone().map(|n| request(&["SET", &key(n), &value])).collect();
        stream.write_all(sets.as_bytes())?;
        expect(&mut stream, b"+OK\r\n", of.len())?;
    }
    let answer = format!("${VALUE}\r\n{value}\r\n");
    let mut random = 1u64;
    let measured = measure(&daemon, time, || {
        let gets: String = (0..BATCH).map(|_| request(&["GET", &key(draw(&mut random, objects))])).collect();
        stream.write_all(gets.as_bytes())?;
        expect(&mut stream, answer.as_bytes(), BATCH as usize)
    })?;
    Ok(Measured {
        name: "redis",
        what: "Redis GET, Unix socket",
        objects,
        per_second: measured.0,
        wall: measured.1,
    })
}

fn unbound(time: Duration) -> anyhow::Result<Measured> {
    let directory = tempfile::tempdir()?;
    let listen = free_udp()?;
    let config = directory.path().join("unbound.conf");
    std::fs::write(&config, unbound_config(directory.path(), listen))?;
    let mut command = Command::new("unbound");
    command.arg("-d").arg("-c").arg(&config);
    let mut daemon = Daemon::spawn(directory.path(), "unbound", command)
        .context("deploy/setup.sh bench installs unbound")?;
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.connect(listen)?;
    socket.set_read_timeout(Some(Duration::from_millis(50)))?;
    let mut buffer = [0; 1500];
    daemon.wait("unbound answers", || {
        let sent = socket.send(&query(0, 0)).is_ok();
        sent && socket.recv(&mut buffer).is_ok_and(|len| is_answer(&buffer[..len]))
    })?;
    // Answers to questions that were repeated.
    while socket.recv(&mut buffer).is_ok() {}
    socket.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut random = 1u64;
    let measured = measure(&daemon, time, || {
        for n in 0..BATCH {
            socket.send(&query(n as u16, draw(&mut random, NAMES)))?;
        }
        for _ in 0..BATCH {
            let len = socket.recv(&mut buffer)?;
            if !is_answer(&buffer[..len]) {
                bail!("unbound answers with something else: {:?}", &buffer[..len]);
            }
        }
        Ok(())
    })?;
    let what = "unbound, A of local data, UDP";
    Ok(Measured { name: "unbound", what, objects: NAMES, per_second: measured.0, wall: measured.1 })
}

/// Answers in a second of the server's processor time, and of the clock.
fn measure(
    daemon: &Daemon,
    time: Duration,
    mut batch: impl FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<(f64, f64)> {
    batch()?;
    let (before, start) = (daemon.cpu()?, Instant::now());
    let mut answers = 0;
    while start.elapsed() < time {
        batch()?;
        answers += BATCH;
    }
    let (wall, cpu) = (start.elapsed().as_secs_f64(), daemon.cpu()?.since(before).total());
    Ok((f64::from(answers) / cpu, f64::from(answers) / wall))
}

fn key(n: u32) -> String {
    format!("radio:{n:08}")
}

/// In the protocol's words (RESP).
fn request(words: &[&str]) -> String {
    let words: String = words.iter().map(|word| format!("${}\r\n{word}\r\n", word.len())).collect();
    format!("*{}\r\n{words}", words.matches('$').count())
}

/// So many of these.
fn expect(stream: &mut UnixStream, answer: &[u8], times: usize) -> anyhow::Result<()> {
    let mut read = vec![0; answer.len() * times];
    stream.read_exact(&mut read).context("Redis does not answer")?;
    match read.chunks(answer.len()).find(|&other| other != answer) {
        Some(other) => bail!("Redis answers {}", String::from_utf8_lossy(other)),
        None => Ok(()),
    }
}

fn unbound_config(directory: &Path, listen: SocketAddr) -> String {
    let records: String =
        (0..NAMES).map(|n| format!("  local-data: \"n{n:06}.test. A 192.0.2.1\"\n")).collect();
    format!(
        "server:\n  interface: {}@{}\n  do-daemonize: no\n  username: \"\"\n  chroot: \"\"\n  directory: \"{}\"\n  pidfile: \"\"\n  use-syslog: no\n  \
         num-threads: 1\n  module-config: iterator\n  local-zone: \"test.\" static\n{records}remote-control:\n  control-enable: no\n",
        listen.ip(),
        listen.port(),
        directory.display(),
    )
}

/// For the address of a name (RFC 1035 section 4.1).
fn query(id: u16, n: u32) -> Vec<u8> {
    let mut query = id.to_be_bytes().to_vec();
    query.extend([0x00, 0, 0, 1, 0, 0, 0, 0, 0, 0, 7]);
    query.extend(format!("n{n:06}").bytes());
    query.extend(*b"\x04test\x00\x00\x01\x00\x01");
    query
}

/// A response without error that has an answer.
fn is_answer(message: &[u8]) -> bool {
    matches!(message, [_, _, flags, code, _, _, _, 1, ..] if flags & 0x80 != 0 && code & 0x0f == 0)
}

fn draw(random: &mut u64, below: u32) -> u32 {
    *random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    ((*random >> 33) % u64::from(below)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_as_their_protocols_have_them() {
        assert_eq!(request(&["GET", "a"]), "*2\r\n$3\r\nGET\r\n$1\r\na\r\n");
        assert_eq!(query(1, 2).len(), 12 + 1 + 7 + 1 + 4 + 1 + 4);
        assert!(!is_answer(&query(1, 2)));
    }
}
