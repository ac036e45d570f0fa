//! What an operator is told when a backend cannot be opened.

use std::net::UdpSocket;
use std::path::Path;

use dataplane::io::IoError;
use dataplane::io::af_packet::AfPacketIo;
use dataplane::io::af_xdp::AfXdpIo;
use dataplane::io::pcap::PcapIo;
use dataplane::io::tap::TapIo;
use dataplane::io::udp::UdpIo;

use crate::world;

fn assert_says(error: &IoError, parts: &[&str]) {
    let text = error.to_string();
    for part in parts {
        assert!(text.contains(part), "{part:?} in {text:?}");
    }
}

#[test]
fn a_port_in_use() {
    let other = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap();
    let port = address.port().to_string();
    for reuse_port in [false, true] {
        let error = UdpIo::bind(address, reuse_port).unwrap_err();
        assert!(matches!(error, IoError::PortInUse(_)));
        assert_says(&error, &["in use by another program", &port, "ss -ulnp", "configure another port"]);
    }
}

#[test]
fn an_address_of_another_machine() {
    let error = UdpIo::bind("192.0.2.1:5247".parse().unwrap(), false).unwrap_err();
    assert!(matches!(error, IoError::AddressNotHere(_)));
    assert_says(&error, &["192.0.2.1:5247", "ip address"]);
}

#[test]
fn missing_capabilities() {
    world::a_namespace(|| {
        let (a, _) = world::veth();
        drop_capabilities();
        let error = UdpIo::bind("127.0.0.1:53".parse().unwrap(), false).unwrap_err();
        assert_says(
            &error,
            &["listen on 127.0.0.1:53", "CAP_NET_BIND_SERVICE", "setcap", "AmbientCapabilities="],
        );
        let error = TapIo::open("ttg-test", 1).unwrap_err();
        assert_says(&error, &["TAP interface `ttg-test`", "CAP_NET_ADMIN"]);
        let error = AfPacketIo::open(&a).unwrap_err();
        assert_says(&error, &[&a, "CAP_NET_RAW"]);
        let error = AfXdpIo::open(&a).unwrap_err();
        assert!(matches!(error, IoError::MissingCapability { .. }));
        assert_says(&error, &["AF_XDP", &a, "CAP_NET_RAW", "AmbientCapabilities="]);
        for error in [UdpIo::bind("127.0.0.1:53".parse().unwrap(), true).unwrap_err(), error] {
            assert!(matches!(error, IoError::MissingCapability { .. }));
        }
    });
}

#[test]
fn no_tun_device() {
    world::a_namespace(|| {
        hide_tun_device();
        let error = TapIo::open("ttg-test", 1).unwrap_err();
        assert!(matches!(error, IoError::NoTunDevice));
        assert_says(&error, &["/dev/net/tun", "modprobe tun"]);
    });
}

#[test]
fn interfaces_of_other_names_and_kinds() {
    world::a_namespace(|| {
        let error = AfPacketIo::open("no-such").unwrap_err();
        assert!(matches!(error, IoError::NoSuchInterface(_)));
        assert_says(&error, &["`no-such`", "`ip link`"]);
        assert!(matches!(AfXdpIo::open("no-such").unwrap_err(), IoError::NoSuchInterface(_)));
        let (a, _) = world::veth();
        let error = TapIo::open(&a, 1).unwrap_err();
        assert!(matches!(error, IoError::InterfaceBusy(_)));
        assert_says(&error, &[&a, "exists already", "ip link delete"]);
        for error in
            [TapIo::open("much-too-long-a-name", 1).unwrap_err(), AfPacketIo::open("a b").unwrap_err()]
        {
            assert!(matches!(error, IoError::BadName(_)));
        }
    });
}

#[test]
fn capture_files() {
    let error = PcapIo::replay(Path::new("/nonexistent/x.pcap")).unwrap_err();
    assert_says(&error, &["/nonexistent/x.pcap", "No such file"]);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "#!/bin/sh\n").unwrap();
    let error = PcapIo::replay(file.path()).unwrap_err();
    assert_says(&error, &["not a capture", "23 21 2f 62"]);
}

/// Takes all capabilities from this thread.
fn drop_capabilities() {
    #[repr(C)]
    struct Header {
        version: u32,
        pid: i32,
    }
    const VERSION_3: u32 = 0x2008_0522;
    let (header, none) = (Header { version: VERSION_3, pid: 0 }, [0u32; 6]);
    // SAFETY: version 3 has a header of two words and two times three words of data.
    let result = unsafe { libc::syscall(libc::SYS_capset, &raw const header, none.as_ptr()) };
    assert_eq!(result, 0);
}

/// Puts an empty folder in the place of `/dev/net`, for this thread only.
fn hide_tun_device() {
    let mount = |source: &std::ffi::CStr, target: &std::ffi::CStr, flags| {
        // SAFETY: all are C strings; no data goes in.
        let result = unsafe {
            libc::mount(source.as_ptr(), target.as_ptr(), c"tmpfs".as_ptr(), flags, std::ptr::null())
        };
        assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
    };
    // SAFETY: no pointer goes in.
    assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNS) }, 0);
    mount(c"none", c"/", libc::MS_REC | libc::MS_PRIVATE);
    mount(c"none", c"/dev/net", 0);
}
