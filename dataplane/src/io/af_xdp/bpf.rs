//! The bpf(2) calls that an XDP program on an interface needs: a map of sockets, a program, a link that holds it there.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use super::asm::Instruction;

/// A map from receive queue to AF_XDP socket (`BPF_MAP_TYPE_XSKMAP`).
pub(super) fn socket_map(queues: u32) -> io::Result<OwnedFd> {
    #[derive(Default)]
    #[repr(C)]
    struct Attributes {
        kind: u32,
        key_size: u32,
        value_size: u32,
        max_entries: u32,
        flags: u32,
        inner_map: u32,
        numa_node: u32,
        name: [u8; 16],
    }
    let attributes = Attributes {
        kind: 17,
        key_size: 4,
        value_size: 4,
        max_entries: queues,
        name: name(b"ttg_sockets"),
        ..Default::default()
    };
    // SAFETY: no pointer is in the attributes; the result is a new descriptor.
    unsafe { Ok(descriptor(bpf(BPF_MAP_CREATE, &attributes)?)) }
}

/// Puts the socket of a queue into the map.
pub(super) fn set_socket(map: BorrowedFd<'_>, queue: u32, socket: BorrowedFd<'_>) -> io::Result<()> {
    #[repr(C)]
    struct Attributes {
        map: u32,
        padding: u32,
        key: u64,
        value: u64,
        flags: u64,
    }
    let socket = socket.as_raw_fd();
    let attributes = Attributes {
        map: map.as_raw_fd() as u32,
        padding: 0,
        key: (&raw const queue) as u64,
        value: (&raw const socket) as u64,
        flags: 0,
    };
    // SAFETY: key and value are of the sizes that the map was made with.
    unsafe { bpf(BPF_MAP_UPDATE_ELEM, &attributes) }.map(drop)
}

/// Loads an XDP program, which the kernel verifies.
pub(super) fn load(program: &[Instruction]) -> io::Result<OwnedFd> {
    load_logging(program, &mut [])
}

/// Loads an XDP program; what the verifier says goes into `log`.
pub(super) fn load_logging(program: &[Instruction], log: &mut [u8]) -> io::Result<OwnedFd> {
    #[derive(Default)]
    #[repr(C)]
    struct Attributes {
        kind: u32,
        count: u32,
        instructions: u64,
        license: u64,
        log_level: u32,
        log_size: u32,
        log: u64,
        kernel_version: u32,
        flags: u32,
        name: [u8; 16],
        interface: u32,
        attach_type: u32,
    }
    let attributes = Attributes {
        kind: 6,
        count: program.len() as u32,
        instructions: program.as_ptr() as u64,
        license: c"Apache-2.0".as_ptr() as u64,
        log_level: u32::from(!log.is_empty()),
        log_size: log.len() as u32,
        log: if log.is_empty() { 0 } else { log.as_mut_ptr() as u64 },
        name: name(b"ttg_steer"),
        attach_type: BPF_XDP,
        ..Default::default()
    };
    // SAFETY: the pointers are valid for as much as the counts say; the result is a new descriptor.
    unsafe { Ok(descriptor(bpf(BPF_PROG_LOAD, &attributes)?)) }
}

/// Where an XDP program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hook {
    /// In the driver.
    Driver,
    /// In the kernel's generic receive path.
    Generic,
}

/// Attaches the program to the interface for as long as the returned descriptor is open, so at the latest until this process ends.
pub(super) fn attach(program: BorrowedFd<'_>, interface: u32, hook: Hook) -> io::Result<OwnedFd> {
    #[repr(C)]
    struct Attributes {
        program: u32,
        interface: u32,
        attach_type: u32,
        flags: u32,
    }
    const XDP_FLAGS_SKB_MODE: u32 = 1 << 1;
    const XDP_FLAGS_DRV_MODE: u32 = 1 << 2;
    let attributes = Attributes {
        program: program.as_raw_fd() as u32,
        interface,
        attach_type: BPF_XDP,
        flags: match hook {
            Hook::Driver => XDP_FLAGS_DRV_MODE,
            Hook::Generic => XDP_FLAGS_SKB_MODE,
        },
    };
    // SAFETY: no pointer is in the attributes; the result is a new descriptor.
    unsafe { Ok(descriptor(bpf(BPF_LINK_CREATE, &attributes)?)) }
}

/// Ends what [`attach`] began at once, even if a child process still has a copy of the descriptor.
pub(super) fn detach(link: BorrowedFd<'_>) -> io::Result<()> {
    let link = link.as_raw_fd();
    // SAFETY: no pointer is in the attributes.
    unsafe { bpf(BPF_LINK_DETACH, &link) }.map(drop)
}

/// Runs an XDP program on a frame; what it decides.
#[cfg(test)]
pub(super) fn run(program: BorrowedFd<'_>, frame: &[u8]) -> io::Result<u32> {
    #[derive(Default)]
    #[repr(C)]
    struct Attributes {
        program: u32,
        result: u32,
        size_in: u32,
        size_out: u32,
        data_in: u64,
        data_out: u64,
        repeat: u32,
        duration: u32,
    }
    let mut attributes = Attributes {
        program: program.as_raw_fd() as u32,
        size_in: frame.len() as u32,
        data_in: frame.as_ptr() as u64,
        repeat: 1,
        ..Default::default()
    };
    // SAFETY: the pointer is valid for as much as the size says, and the kernel may write the results.
    unsafe { bpf_mut(BPF_PROG_TEST_RUN, &mut attributes) }?;
    Ok(attributes.result)
}

const BPF_MAP_CREATE: libc::c_int = 0;
const BPF_MAP_UPDATE_ELEM: libc::c_int = 2;
const BPF_PROG_LOAD: libc::c_int = 5;
#[cfg(test)]
const BPF_PROG_TEST_RUN: libc::c_int = 10;
const BPF_LINK_CREATE: libc::c_int = 28;
const BPF_LINK_DETACH: libc::c_int = 34;
/// The attach type.
const BPF_XDP: u32 = 37;

fn name(text: &[u8]) -> [u8; 16] {
    let mut name = [0; 16];
    name[..text.len()].copy_from_slice(text);
    name
}

/// # Safety
/// Every pointer in `attributes` is valid for what the command does with it, and the command does not write to `attributes`.
unsafe fn bpf<T>(command: libc::c_int, attributes: &T) -> io::Result<libc::c_int> {
    // SAFETY: the caller's promise.
    unsafe { call(command, (&raw const *attributes).cast_mut().cast(), size_of::<T>()) }
}

/// # Safety
/// Every pointer in `attributes` is valid for what the command does with it.
#[cfg(test)]
unsafe fn bpf_mut<T>(command: libc::c_int, attributes: &mut T) -> io::Result<libc::c_int> {
    // SAFETY: the caller's promise.
    unsafe { call(command, (&raw mut *attributes).cast(), size_of::<T>()) }
}

/// # Safety
/// As [`bpf`], of `size` octets of attributes.
unsafe fn call(command: libc::c_int, attributes: *mut u8, size: usize) -> io::Result<libc::c_int> {
    // SAFETY: the caller's promise.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, attributes, size) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result as libc::c_int) }
}

/// # Safety
/// `fd` is a descriptor that nobody else owns.
unsafe fn descriptor(fd: libc::c_int) -> OwnedFd {
    // SAFETY: the caller's promise.
    unsafe { OwnedFd::from_raw_fd(fd) }
}
