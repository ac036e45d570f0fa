//! Networks of the configuration, and what the program says of mistakes.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Output;
use std::time::Instant;

use dot11::frame::management::Beacon;
use dot11::{Frame, MacAddr, ManagementSubtype, QosControl, build};
use proto::tunnel::*;

use super::bench::*;

#[test]
fn a_device_and_a_gateway_hear_each_other() {
    let bench = Bench::new("127.0.0.1:0");
    let agent = bench.start(&[]);
    let gateway = &bench.gateway;
    let (asked, from) = gateway.keep_alive();
    let hello = asked.hello.unwrap();
    assert_eq!((hello.bssid, hello.radio), (BSSID, BSSID));

    // Closed: the device hears nothing, not even an answer to its probe request.
    let device = Device::attach(&bench.air);
    device.send(&probe_request());
    gateway.answer_until_open(&device);

    device.send(&probe_request());
    let response = device.hear(ManagementSubtype::ProbeResponse);
    assert_eq!(Frame::parse(&response).unwrap().addr1(), DEVICE);

    let up =
        build::DataHeader::to_ap(BSSID, MacAddr([2; 6]), DEVICE, Some(QosControl::new(5))).frame(&[7; 2000]);
    device.send(&up);
    let (frame, info, datagrams) = gateway.frame();
    assert_eq!((frame, datagrams), (up, 2), "as it is, in datagrams that fit the path");
    assert_eq!(info, Some(FrameInfo { rssi: -61, snr: 0, rate: 240 }));

    let down = build::DataHeader::from_ap(BSSID, DEVICE, MacAddr([2; 6]), Some(QosControl::new(5)))
        .frame(&[9; 2000]);
    for part in fragment(Header::DATA, &down, 1472, 1).unwrap() {
        gateway.socket.send_to(&part.datagram(), from).unwrap();
    }
    assert_eq!(device.hear_data(), down);

    agent.terminate();
    assert!(!bench.air.exists(), "the socket is removed");
}

#[test]
fn beacons_come_every_100_time_units() {
    let bench = Bench::new("127.0.0.1:0");
    let _agent = bench.start(&[]);
    let device = Device::attach(&bench.air);
    bench.gateway.answer_until_open(&device);
    let mut first = None;
    for count in 0..10 {
        let beacon = device.hear(ManagementSubtype::Beacon);
        let frame = Frame::parse(&beacon).unwrap();
        let body = Beacon::parse(frame.body()).unwrap();
        assert_eq!(body.elements.ssid().unwrap().unwrap().as_bytes(), b"home");
        let number = u64::from(frame.sequence().unwrap().number());
        let (begin, number_then) = *first.get_or_insert((body.timestamp, number));
        assert_eq!(number - number_then, count);
        // Each may be late on a busy machine, the first by less than an interval, but none is early.
        assert!(body.timestamp - begin >= count.saturating_sub(1) * 102_400, "beacon {count}");
    }
}

#[test]
fn the_tunnel_goes_over_ipv6_too() {
    let bench = Bench::new("[::1]:0");
    let agent = bench.start(&[]);
    let device = Device::attach(&bench.air);
    bench.gateway.answer_until_open(&device);
    agent.terminate();
}

#[test]
fn a_gateway_is_found_by_name() {
    let bench = Bench::new("127.0.0.1:0");
    let port = bench.gateway.socket.local_addr().unwrap().port();
    bench.configure(&format!("localhost:{port}"), "");
    let _agent = bench.start(&[]);
    // localhost may be ::1 first; then the agent asks there and this gateway hears nothing of it.
    let v6 = ("localhost", port);
    let first = std::net::ToSocketAddrs::to_socket_addrs(&v6).unwrap().next().unwrap();
    if first.is_ipv4() {
        bench.gateway.keep_alive();
    } else {
        Gateway::bind(&first.to_string()).keep_alive();
    }
}

#[test]
fn the_bss_closes_when_the_gateway_is_silent_and_opens_again() {
    let bench = Bench::new("127.0.0.1:0");
    let _agent = bench.start(&[]);
    let device = Device::attach(&bench.air);
    let session = bench.gateway.answer_until_open(&device);
    // Silence: keep-alives of the same session go unanswered until the radio gives up and draws a new one.
    let started = Instant::now();
    let again = loop {
        let (asked, from) = bench.gateway.keep_alive();
        if asked.session_id != session {
            break (asked.session_id, from);
        }
        assert!(started.elapsed() < PATIENCE);
    };
    device.drain();
    device.send(&probe_request());
    device.send(&build::DataHeader::to_ap(BSSID, MacAddr([2; 6]), DEVICE, None).frame(&[1]));
    bench.gateway.echo(again.0, again.1);
    // What was sent while the BSS was closed never arrives; what the device hears first is of the new opening.
    let beacon = device.hear(ManagementSubtype::Beacon);
    assert_eq!(Frame::parse(&beacon).unwrap().sequence().unwrap().number(), 0);
}

#[test]
fn in_the_background_it_is_a_daemon() {
    let bench = Bench::new("127.0.0.1:0");
    let pid_file = bench.directory.path().join("agent.pid");
    let arguments = ["-B", "-P", pid_file.to_str().unwrap(), "--account", "me@example.org"];
    let output = bench.command(&arguments).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
    let pid: i32 = fs::read_to_string(&pid_file).unwrap().trim().parse().unwrap();
    let daemon = Daemon(pid);
    bench.gateway.keep_alive();
    assert_eq!(fs::read_link(format!("/proc/{pid}/cwd")).unwrap(), Path::new("/"));
    assert_eq!(fs::read_link(format!("/proc/{pid}/fd/2")).unwrap(), Path::new("/dev/null"));

    let second = bench.command(&["-P", pid_file.to_str().unwrap()]).output().unwrap();
    let message = String::from_utf8_lossy(&second.stderr);
    assert!(
        !second.status.success() && message.contains(&format!("another agent, process {pid}")),
        "{message}"
    );
    assert!(pid_file.exists(), "the second leaves the first's file alone");

    daemon.signal(libc::SIGTERM);
    wait_for(|| !pid_file.exists());
    assert!(!bench.air.exists());
}

#[test]
fn what_goes_wrong_is_said_before_the_background() {
    let bench = Bench::new("127.0.0.1:0");
    // what to do to the configuration, arguments, exit status, words of the message
    let missing = bench.directory.path().join("missing/agent.pid");
    let fail = |output: Output, code: i32, words: &[&str]| {
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{message}");
        assert_eq!(message.lines().count(), 1, "one paragraph: {message}");
        for word in words {
            assert!(message.contains(word), "{word}: {message}");
        }
    };
    fail(bench.command(&["--frobnicate"]).output().unwrap(), 2, &["--frobnicate is unknown", "--help"]);
    let arguments = ["-B", "-P", missing.to_str().unwrap()];
    fail(bench.command(&arguments).output().unwrap(), 1, &["cannot use pid file", "No such file"]);

    let config = bench.config.to_str().unwrap();
    bench.configure("127.0.0.1:1", "chanel = 7\n");
    fail(bench.command(&["-B"]).output().unwrap(), 1, &[config, ":5: unknown key `chanel` in [backend]"]);

    bench.configure("127.0.0.1:1", "");
    fs::write(&bench.air, "in the way").unwrap();
    fail(bench.command(&["-B"]).output().unwrap(), 1, &["cannot listen", "air", "choose another path"]);
    assert_eq!(fs::read_to_string(&bench.air).unwrap(), "in the way", "what is not ours is left alone");
    fs::remove_file(&bench.air).unwrap();

    let running = bench.start(&[]);
    wait_for(|| bench.air.exists());
    fail(bench.command(&["-B"]).output().unwrap(), 1, &["cannot listen", "Another agent serves that socket"]);
    running.kill();
    assert!(bench.air.exists(), "left over");
    let next = bench.start(&[]);
    Device::attach(&bench.air);
    next.terminate();

    let text = fs::read_to_string(&bench.config).unwrap();
    fs::write(
        &bench.config,
        text.replace("kind = \"air\"", "kind = \"nl80211\"").replace("socket =", "phy ="),
    )
    .unwrap();
    fail(bench.command(&["-B"]).output().unwrap(), 1, &["`phy` must be"]);
    let text = fs::read_to_string(&bench.config).unwrap();
    let phy = text.lines().find(|line| line.starts_with("phy =")).unwrap();
    fs::write(&bench.config, text.replace(phy, "phy = \"phy99\"")).unwrap();
    // Without capabilities, without Wi-Fi in the kernel, or without that phy, whichever is missing here.
    let output = bench.command(&["-B"]).output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    let known = ["Run the agent as root", "load the radio's driver", "`iw phy` lists"];
    assert!(known.iter().any(|known| message.contains(known)), "{message}");
    assert_eq!(output.status.code(), Some(1));

    fs::remove_file(&bench.config).unwrap();
    fail(bench.command(&[]).output().unwrap(), 1, &["cannot read configuration", "No such file"]);
}

#[test]
fn without_capabilities_it_says_which() {
    let bench = Bench::new("127.0.0.1:0");
    let text = fs::read_to_string(&bench.config).unwrap();
    let air = format!("socket = \"{}\"", bench.air.display());
    fs::write(
        &bench.config,
        text.replace("kind = \"air\"", "kind = \"nl80211\"").replace(&air, "phy = \"phy0\""),
    )
    .unwrap();
    let mut command = bench.command(&[]);
    // SAFETY: geteuid has no arguments and cannot fail; between fork and exec only prctl is called. Who is not root has
    // no capabilities to lose.
    unsafe {
        if libc::geteuid() == 0 {
            std::os::unix::process::CommandExt::pre_exec(&mut command, || {
                for capability in [12, 13] {
                    if libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) != 0 {
                        return Err(io::Error::last_os_error());
                    }
                }
                Ok(())
            });
        }
    }
    let output = command.output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(message.contains("without CAP_NET_ADMIN and CAP_NET_RAW"), "{message}");
    assert!(message.contains("setcap") && message.lines().count() == 1, "{message}");
}
