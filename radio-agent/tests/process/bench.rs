//! What the tests start and speak to: the program, gateways and devices.

use std::fs;
use std::io;
use std::net::UdpSocket;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use dot11::element::ElementsBuilder;
use dot11::{Frame, FrameKind, MacAddr, ManagementSubtype, build, radiotap};
use proto::tunnel::*;

pub const BSSID: MacAddr = MacAddr([2, 0xaa, 0, 0, 0, 1]);
pub const DEVICE: MacAddr = MacAddr([2, 0x5e, 0, 0, 0, 0x42]);

/// Far longer than anything here takes; what is waited for ends the wait.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A directory with a configuration, and the gateway that it names.
pub struct Bench {
    pub directory: tempfile::TempDir,
    pub config: PathBuf,
    pub air: PathBuf,
    pub gateway: Gateway,
}

impl Bench {
    pub fn new(gateway: &str) -> Bench {
        let directory = tempfile::tempdir().unwrap();
        let (config, air) = (directory.path().join("agent.toml"), directory.path().join("air"));
        let bench = Bench { config, air, gateway: Gateway::bind(gateway), directory };
        let gateway = bench.gateway.socket.local_addr().unwrap().to_string();
        bench.configure(&gateway, "");
        bench
    }

    pub fn configure(&self, gateway: &str, more: &str) {
        let text = format!(
            "[backend]\nkind = \"air\"\nsocket = \"{}\"\nchannel = 6\n{more}\n[[bss]]\nbssid = \"{BSSID}\"\n\
             ssid = \"home\"\nservice = \"3f2b6c1e-54a7-4d1b-9a34-0c2f6f1f8a11\"\nsecurity = \"psk\"\n\
             gateway = \"{gateway}\"\n",
            self.air.display()
        );
        fs::write(&self.config, text).unwrap();
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_radio-agent"));
        command.arg("--config").arg(&self.config).args(arguments);
        command
    }

    pub fn start(&self, arguments: &[&str]) -> Agent {
        Agent(self.command(arguments).stdin(Stdio::null()).spawn().unwrap())
    }
}

/// The process; killed if the test ends before it.
pub struct Agent(pub Child);

impl Agent {
    pub fn terminate(mut self) {
        Daemon(self.0.id() as i32).signal(libc::SIGTERM);
        assert!(self.0.wait().unwrap().success());
    }

    pub fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A process that is not our child.
pub struct Daemon(pub i32);

impl Daemon {
    pub fn signal(&self, signal: i32) {
        // SAFETY: no pointers.
        unsafe { libc::kill(self.0, signal) };
    }
}

/// The network side of the tunnel.
pub struct Gateway {
    pub socket: UdpSocket,
}

impl Gateway {
    pub fn bind(address: &str) -> Gateway {
        let socket = UdpSocket::bind(address).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Gateway { socket }
    }

    pub fn receive(&self, buffer: &mut [u8]) -> (usize, std::net::SocketAddr) {
        loop {
            match self.socket.recv_from(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                received => return received.expect("a datagram"),
            }
        }
    }

    /// The next keep-alive and where it came from.
    pub fn keep_alive(&self) -> (KeepAlive, std::net::SocketAddr) {
        let mut buffer = [0; 2048];
        loop {
            let (len, from) = self.receive(&mut buffer);
            let (header, payload) = DataHeader::parse(&buffer[..len]).unwrap();
            if header.keep_alive() {
                return (KeepAlive::parse(payload).unwrap(), from);
            }
        }
    }

    pub fn echo(&self, session_id: SessionId, to: std::net::SocketAddr) {
        self.socket.send_to(&KeepAlive { session_id, hello: None, proof: None }.datagram(), to).unwrap();
    }

    /// Answers one keep-alive; returns when `device` hears the first beacon.
    pub fn answer_until_open(&self, device: &Device) -> SessionId {
        let (asked, from) = self.keep_alive();
        self.echo(asked.session_id, from);
        let beacon = device.hear(ManagementSubtype::Beacon);
        assert_eq!(Frame::parse(&beacon).unwrap().addr2(), Some(BSSID));
        asked.session_id
    }

    /// The next frame, how it was received, and in how many datagrams it came.
    pub fn frame(&self) -> (Vec<u8>, Option<FrameInfo>, usize) {
        let mut reassembler = Reassembler::new(Limits::default());
        let mut buffer = [0; 2048];
        let mut datagrams = 0;
        loop {
            let (len, _) = self.receive(&mut buffer);
            assert!(len <= 1472);
            let (header, payload) = DataHeader::parse(&buffer[..len]).unwrap();
            if header.keep_alive() {
                continue;
            }
            datagrams += 1;
            if let Some(whole) = reassembler.push((), &header, payload, Duration::ZERO).unwrap() {
                return (whole.frame.to_vec(), whole.info, datagrams);
            }
        }
    }
}

/// A simulated device.
pub struct Device(OwnedFd);

impl Device {
    /// Waits until somebody listens.
    pub fn attach(air: &Path) -> Device {
        let mut device = None;
        wait_for(|| {
            device = connect(air).ok();
            device.is_some()
        });
        Device(device.unwrap())
    }

    pub fn send(&self, frame: &[u8]) {
        let message = [&radiotap::rx_header(48, 2437, -61)[..], frame].concat();
        // SAFETY: `message` is valid for reads of its length.
        let sent = unsafe { libc::send(self.0.as_raw_fd(), message.as_ptr().cast(), message.len(), 0) };
        assert_eq!(sent, message.len() as isize);
    }

    /// The next message's frame.
    pub fn receive(&self, flags: i32) -> io::Result<Vec<u8>> {
        let mut buffer = vec![0; 16_384];
        let got = loop {
            // SAFETY: `buffer` is valid for writes of its length.
            let got =
                unsafe { libc::recv(self.0.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len(), flags) };
            match usize::try_from(got).map_err(|_| io::Error::last_os_error()) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                got => break got?,
            }
        };
        let tap = radiotap::parse(&buffer[..got]).unwrap();
        assert_eq!((tap.signal_dbm, tap.fcs_present()), (Some(-40), false));
        Ok(buffer[tap.len..got].to_vec())
    }

    /// The next management frame of this subtype.
    pub fn hear(&self, subtype: ManagementSubtype) -> Vec<u8> {
        loop {
            let frame = self.receive(0).expect("a frame");
            if Frame::parse(&frame).unwrap().kind() == FrameKind::Management(subtype) {
                return frame;
            }
        }
    }

    /// The next data frame.
    pub fn hear_data(&self) -> Vec<u8> {
        loop {
            let frame = self.receive(0).expect("a frame");
            if Frame::parse(&frame).unwrap().control().is_data() {
                return frame;
            }
        }
    }

    pub fn drain(&self) {
        while self.receive(libc::MSG_DONTWAIT).is_ok() {}
    }
}

pub fn connect(path: &Path) -> io::Result<OwnedFd> {
    // SAFETY: the descriptor is new; all structures are valid, the path terminated, for the length of each call.
    unsafe {
        let fd = libc::socket(libc::AF_UNIX, libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC, 0);
        assert!(fd >= 0);
        let fd = OwnedFd::from_raw_fd(fd);
        let mut address: libc::sockaddr_un = std::mem::zeroed();
        address.sun_family = libc::AF_UNIX as libc::sa_family_t;
        for (to, from) in address.sun_path.iter_mut().zip(path.as_os_str().as_bytes()) {
            *to = *from as libc::c_char;
        }
        let len = size_of::<libc::sockaddr_un>() as libc::socklen_t;
        if libc::connect(fd.as_raw_fd(), std::ptr::from_ref(&address).cast(), len) < 0 {
            return Err(io::Error::last_os_error());
        }
        let patience = libc::timeval { tv_sec: PATIENCE.as_secs() as libc::time_t, tv_usec: 0 };
        let len = size_of::<libc::timeval>() as libc::socklen_t;
        let value = std::ptr::from_ref(&patience).cast();
        libc::setsockopt(fd.as_raw_fd(), libc::SOL_SOCKET, libc::SO_RCVTIMEO, value, len);
        Ok(fd)
    }
}

pub fn probe_request() -> Vec<u8> {
    let elements = ElementsBuilder::new().element(dot11::element::ElementId::SSID, b"home").build();
    let all = MacAddr::BROADCAST;
    build::management(ManagementSubtype::ProbeRequest, all, DEVICE, all, &elements)
}

/// Waits for a condition that no descriptor tells of.
pub fn wait_for(mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < PATIENCE, "waited in vain");
        std::thread::sleep(Duration::from_millis(5));
    }
}
