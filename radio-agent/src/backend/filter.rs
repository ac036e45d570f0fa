//! A socket filter for monitor interfaces, so that the neighbours' traffic does not even wake the agent: of
//! radiotap messages it passes probe requests and frames whose receiver is one of our BSSes, control frames excepted.
//!
//! With matchmaking it is to be known who is near. Then management frames of strangers pass, but of beacons, probe
//! responses and data frames towards access points only one of [`SAMPLE`], drawn by the kernel.

use std::io;
use std::os::fd::AsRawFd;

use dot11::MacAddr;

use crate::sys;

/// Puts the filter on `socket`.
pub(super) fn attach(socket: &impl AsRawFd, bssids: &[MacAddr], strangers: bool) -> io::Result<()> {
    let mut program = program(bssids, strangers);
    let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    sys::set_option(socket, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &filter)
}

/// Classic BPF; loads are big endian, a load behind the end drops the message.
fn program(bssids: &[MacAddr], strangers: bool) -> Vec<libc::sock_filter> {
    use libc::{
        BPF_ABS, BPF_ALU, BPF_AND, BPF_B, BPF_H, BPF_IND, BPF_JEQ, BPF_JMP, BPF_JSET, BPF_K, BPF_LD, BPF_LSH,
        BPF_MISC, BPF_OR, BPF_RET, BPF_TAX, BPF_W, BPF_X,
    };
    let op = |code: u32, k: u32| libc::sock_filter { code: code as u16, jt: 0, jf: 0, k };
    let jump =
        |k: u32, jt: u8, jf: u8| libc::sock_filter { code: (BPF_JMP | BPF_JEQ | BPF_K) as u16, jt, jf, k };
    let jump_set =
        |k: u32, jt: u8, jf: u8| libc::sock_filter { code: (BPF_JMP | BPF_JSET | BPF_K) as u16, jt, jf, k };
    let (drop, pass) = (op(BPF_RET | BPF_K, 0), op(BPF_RET | BPF_K, u32::MAX));
    let mut program = vec![
        // X = radiotap length, little endian in octets 2 and 3
        op(BPF_LD | BPF_B | BPF_ABS, 3),
        op(BPF_ALU | BPF_LSH | BPF_K, 8),
        op(BPF_MISC | BPF_TAX, 0),
        op(BPF_LD | BPF_B | BPF_ABS, 2),
        op(BPF_ALU | BPF_OR | BPF_X, 0),
        op(BPF_MISC | BPF_TAX, 0),
        // Frame Control, first octet: a probe request, or no control frame
        op(BPF_LD | BPF_B | BPF_IND, 0),
        jump(0x40, 0, 1),
        pass,
        op(BPF_ALU | BPF_AND | BPF_K, 0x0c),
        jump(0x04, 0, 1),
        drop,
    ];
    for MacAddr([a, b, c, d, e, f]) in bssids {
        program.extend([
            // Address 1
            op(BPF_LD | BPF_W | BPF_IND, 4),
            jump(u32::from_be_bytes([*a, *b, *c, *d]), 0, 3),
            op(BPF_LD | BPF_H | BPF_IND, 8),
            jump(u32::from_be_bytes([0, 0, *e, *f]), 0, 1),
            pass,
        ]);
    }
    if strangers {
        program.extend([
            // Data towards an access point, beacons and probe responses: some
            op(BPF_LD | BPF_H | BPF_IND, 0),
            op(BPF_ALU | BPF_AND | BPF_K, 0x0c03),
            jump(0x0801, 6, 0),
            op(BPF_LD | BPF_B | BPF_IND, 0),
            jump(0x80, 4, 0),
            jump(0x50, 3, 0),
            // Other management frames: all; the rest: none
            op(BPF_ALU | BPF_AND | BPF_K, 0x0c),
            jump(0x00, 3, 0),
            drop,
            op(BPF_LD | BPF_W | BPF_ABS, RANDOM),
            jump_set(SAMPLE - 1, 1, 0),
            pass,
        ]);
    }
    program.push(drop);
    program
}

/// <linux/filter.h>: SKF_AD_OFF + SKF_AD_RANDOM, a random word.
const RANDOM: u32 = (-0x1000i32 + 56) as u32;

/// One of so many is heard; a power of two.
const SAMPLE: u32 = 16;

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;

    use super::*;

    #[test]
    fn the_kernel_passes_only_what_is_ours() {
        let ours = [MacAddr([2, 0xaa, 0, 0, 0, 1]), MacAddr([2, 0xaa, 0, 0, 0, 2])];
        let (air, agent) = UnixDatagram::pair().unwrap();
        agent.set_nonblocking(true).unwrap();
        attach(&agent, &ours, false).unwrap();
        let frame = |control: u8, receiver: MacAddr, radiotap: usize| {
            let mut message = vec![0; radiotap];
            message[2..4].copy_from_slice(&(radiotap as u16).to_le_bytes());
            message.extend_from_slice(&[control, 0, 0, 0]);
            message.extend_from_slice(&receiver.0);
            message.extend_from_slice(&[0x11; 14]);
            // A message that the filter drops may be reported as refused.
            let _ = air.send(&message);
            agent.recv(&mut [0; 1024]).is_ok()
        };
        for radiotap in [8, 15, 300] {
            for receiver in ours {
                assert!(frame(0xb0, receiver, radiotap), "authentication");
                assert!(frame(0x88, receiver, radiotap), "QoS data");
                assert!(!frame(0xa4, receiver, radiotap), "PS-Poll");
            }
            let others = [MacAddr([2, 0xaa, 0, 0, 0, 3]), MacAddr([2, 0xab, 0, 0, 0, 1]), MacAddr::BROADCAST];
            for receiver in others {
                assert!(!frame(0x88, receiver, radiotap), "somebody else's data");
                assert!(frame(0x40, receiver, radiotap), "a probe request");
            }
        }
        attach(&agent, &ours, true).unwrap();
        for (control, flags, some) in
            [(0xb0, 0, 1.0), (0x40, 0, 1.0), (0x80, 0, 0.0625), (0x50, 0, 0.0625), (0x88, 1, 0.0625)]
        {
            let passed = (0..2000).filter(|_| {
                let _ = air.send(&[&[0, 0, 8, 0, 0, 0, 0, 0, control, flags][..], &[0x11; 22]].concat());
                agent.recv(&mut [0; 1024]).is_ok()
            });
            let part = passed.count() as f64 / 2000.0;
            // Eight standard deviations of a draw of one in sixteen.
            assert!((part - some).abs() < 0.044, "{control:x}: {part}");
        }
        for (control, flags) in [(0x88, 2), (0x88, 0), (0xa4, 0), (0xd4, 1)] {
            let _ = air.send(&[&[0, 0, 8, 0, 0, 0, 0, 0, control, flags][..], &[0x11; 22]].concat());
            assert!(agent.recv(&mut [0; 1024]).is_err(), "{control:x} {flags}");
        }
        let _ = air.send(&[0, 0, 200]);
        assert!(agent.recv(&mut [0; 1024]).is_err(), "too short");
    }
}
