//! Sends two pings in one A-MSDU out of a monitor interface, in the name of a device whose key is known.
//!
//! ```text
//! amsdu INTERFACE TK BSSID DEVICE SOURCE-ADDRESS GATEWAY-MAC GATEWAY-ADDRESS [disguised]
//! ```
//!
//! The lab does it because mac80211's simulated radios never aggregate MSDUs themselves. With `disguised`, one ordinary
//! MSDU is sent with the A-MSDU Present bit set, the bit that CCMP does not protect: what an attacker in the middle can
//! make of any frame (CVE-2020-24588), and a receiver must drop.
//!
//! The echo requests have the identifier 0x5454. They go under TID 5 and far ahead in packet numbers, so that the
//! device's own frames under TID 0 stay ahead of their replay counter.

use std::env;
use std::error::Error;
use std::net::Ipv4Addr;

use dataplane::io::PacketIo;
use dataplane::io::af_packet::AfPacketIo;
use dataplane::packet::{Burst, Pool, PoolConfig};
use dot11::amsdu::AmsduBuilder;
use dot11::build::DataHeader;
use dot11::ccmp::{self, Pn};
use dot11::llc::{self, EtherType};
use dot11::rsn::Tk;
use dot11::{MacAddr, QosControl, SequenceControl, radiotap};

const TID_AND_AMSDU_PRESENT: QosControl = QosControl(5 | 1 << 7);
const PN: u64 = 0x0100_0000;
const SEQUENCE: u16 = 3000;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let (interface, tk, bssid, device, source, gateway_mac, gateway, disguised) = match &arguments[..] {
        [a, b, c, d, e, f, g] => (a, b, c, d, e, f, g, false),
        [a, b, c, d, e, f, g, word] if word == "disguised" => (a, b, c, d, e, f, g, true),
        _ => return Err("see the first lines of the source for the arguments".into()),
    };
    let tk = key(tk).ok_or("the TK is not 32 hexadecimal digits")?;
    let (bssid, device, gateway_mac): (MacAddr, MacAddr, MacAddr) =
        (bssid.parse()?, device.parse()?, gateway_mac.parse()?);
    let (source, gateway): (Ipv4Addr, Ipv4Addr) = (source.parse()?, gateway.parse()?);
    let msdu = |number| llc::msdu(EtherType::IPV4, &echo_request(source, gateway, number));

    let body = if disguised {
        msdu(3)
    } else {
        let mut amsdu = AmsduBuilder::new();
        amsdu.push(gateway_mac, device, &msdu(1))?;
        amsdu.push(gateway_mac, device, &msdu(2))?;
        amsdu.finish()
    };
    // The third address of a frame that carries an A-MSDU is the BSSID (802.11-2020 table 9-30).
    let da = if disguised { gateway_mac } else { bssid };
    let mut header = DataHeader::to_ap(bssid, da, device, Some(TID_AND_AMSDU_PRESENT));
    let later = u16::from(disguised);
    header.sequence = SequenceControl::new(SEQUENCE + later, 0);
    let pn = Pn::new(PN + u64::from(later)).ok_or("no such packet number")?;
    let frame = ccmp::seal(&tk, 0, pn, &header.frame(&body))?;

    let mut packet = radiotap::tx_header(radiotap::TX_FLAG_NOSEQNO).to_vec();
    packet.extend_from_slice(&frame);
    send(interface, &packet)
}

fn send(interface: &str, octets: &[u8]) -> Result<(), Box<dyn Error>> {
    let mut io = AfPacketIo::open(interface)?;
    let pool = Pool::new(PoolConfig::default());
    let mut packet = pool.alloc().ok_or("no packet")?;
    if !packet.copy_from(octets) {
        return Err("the frame is too long".into());
    }
    let mut burst = Burst::new();
    burst.push(packet).map_err(|_| "the burst is full")?;
    match io.tx_burst(&mut burst) {
        1 => Ok(()),
        _ => Err(format!("{interface} did not take the frame").into()),
    }
}

/// RFC 791 and RFC 792, without options.
fn echo_request(source: Ipv4Addr, destination: Ipv4Addr, number: u8) -> Vec<u8> {
    let payload = [0x5a; 32];
    let mut icmp = vec![8, 0, 0, 0, 0x54, 0x54, 0, number];
    icmp.extend_from_slice(&payload);
    let sum = checksum(&icmp);
    icmp[2..4].copy_from_slice(&sum.to_be_bytes());

    let length = 20 + icmp.len() as u16;
    let mut ip = vec![0x45, 0];
    ip.extend_from_slice(&length.to_be_bytes());
    ip.extend_from_slice(&[0, number, 0, 0, 64, 1, 0, 0]);
    ip.extend_from_slice(&source.octets());
    ip.extend_from_slice(&destination.octets());
    let sum = checksum(&ip);
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    ip.extend_from_slice(&icmp);
    ip
}

/// RFC 1071, for an even number of octets.
fn checksum(octets: &[u8]) -> u16 {
    let sum: u32 = octets.chunks_exact(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
    !((sum & 0xffff) + (sum >> 16)) as u16
}

fn key(digits: &str) -> Option<Tk> {
    let mut octets = [0; 16];
    if digits.len() != 32 || !digits.is_ascii() {
        return None;
    }
    for (octet, pair) in octets.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
        *octet = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(Tk::new(octets))
}
