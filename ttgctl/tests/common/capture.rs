//! Captures of every kind: link headers, pcap, pcapng, gzip.

use std::io::Write;

use dataplane::capture::{LinkType, PcapWriter, Resolution};
use dot11::{fcs, radiotap};
use proto::tunnel;

/// One record: link type, original length where the record is cut, octets.
#[derive(Clone)]
pub struct Rec {
    pub link_type: u16,
    pub missing: u32,
    pub data: Vec<u8>,
}

pub fn rec(link_type: LinkType, data: Vec<u8>) -> Rec {
    Rec { link_type: link_type.0, missing: 0, data }
}

/// A pcap file of frames without FCS, each behind a radiotap header.
pub fn radiotap_pcap(frames: &[Vec<u8>]) -> Vec<u8> {
    let records: Vec<Vec<u8>> = frames.iter().map(|frame| radiotap(frame)).collect();
    pcap(LinkType::IEEE802_11_RADIOTAP, &records)
}

pub fn pcap(link_type: LinkType, records: &[Vec<u8>]) -> Vec<u8> {
    let mut writer = PcapWriter::new(Vec::new(), link_type, Resolution::Micros).unwrap();
    for (i, record) in records.iter().enumerate() {
        writer.write(1_000_000_000 + i as u64 * 1_000_000, record).unwrap();
    }
    writer.into_inner()
}

/// A pcapng file with one interface for each link type that occurs.
pub fn pcapng(records: &[Rec]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut block = |kind: u32, body: &[u8]| {
        let length = (body.len() as u32 + 12).to_le_bytes();
        out.extend_from_slice(&kind.to_le_bytes());
        out.extend_from_slice(&length);
        out.extend_from_slice(body);
        out.extend_from_slice(&length);
    };
    block(0x0a0d_0d0a, &[0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255]);
    let mut interfaces: Vec<u16> = Vec::new();
    for (i, record) in records.iter().enumerate() {
        let interface = interfaces.iter().position(|known| *known == record.link_type).unwrap_or_else(|| {
            let link = record.link_type.to_le_bytes();
            block(1, &[link[0], link[1], 0, 0, 0, 0, 4, 0]);
            interfaces.push(record.link_type);
            interfaces.len() - 1
        });
        let length = record.data.len() as u32;
        let mut body = Vec::new();
        for word in [interface as u32, 0, 1000 + i as u32 * 1000, length, length + record.missing] {
            body.extend_from_slice(&word.to_le_bytes());
        }
        body.extend_from_slice(&record.data);
        body.resize(body.len().next_multiple_of(4), 0);
        block(6, &body);
    }
    out
}

pub fn gzip(file: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(file).unwrap();
    encoder.finish().unwrap()
}

/// Behind a radiotap header that says there is no FCS.
pub fn radiotap(frame: &[u8]) -> Vec<u8> {
    [&radiotap::rx_header(12, 2412, -40)[..], frame].concat()
}

/// Behind a radiotap header with these flags, and nothing else.
pub fn radiotap_flags(flags: u8, octets: &[u8]) -> Vec<u8> {
    [&[0, 0, 9, 0, 0x02, 0, 0, 0, flags][..], octets].concat()
}

pub fn with_fcs(frame: &[u8]) -> Vec<u8> {
    let mut frame = frame.to_vec();
    fcs::append(&mut frame);
    frame
}

/// PPI with an 802.11-Common field, whose flags are as given.
pub fn ppi(flags: u16, octets: &[u8]) -> Vec<u8> {
    let mut common = vec![2, 0, 20, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    common.extend_from_slice(&flags.to_le_bytes());
    common.extend_from_slice(&[12, 0, 0x6c, 0x09, 0x80, 0x04, 0, 0, 0xd8, 0xa0]);
    [&[0, 0, 32, 0, 105, 0, 0, 0][..], &common, octets].concat()
}

/// The same, behind a field of some vendor that has five octets and three of padding, as the header says.
pub fn ppi_aligned(flags: u16, octets: &[u8]) -> Vec<u8> {
    let plain = ppi(flags, octets);
    let vendor = [0x30, 0x75, 5, 0, 1, 2, 3, 4, 5, 0, 0, 0];
    [&[0, 1, 44, 0, 105, 0, 0, 0][..], &vendor, &plain[8..]].concat()
}

/// A Prism header of 144 octets, in either byte order.
pub fn prism(big_endian: bool, octets: &[u8]) -> Vec<u8> {
    let word = |value: u32| if big_endian { value.to_be_bytes() } else { value.to_le_bytes() };
    let mut header = [word(0x44), word(144)].concat();
    header.extend_from_slice(b"wlan0");
    header.resize(144, 0);
    [header, octets.to_vec()].concat()
}

/// An AVS header of 64 octets.
pub fn avs(octets: &[u8]) -> Vec<u8> {
    let mut header = [0x8021_1001u32.to_be_bytes(), 64u32.to_be_bytes()].concat();
    header.resize(64, 0);
    [header, octets.to_vec()].concat()
}

/// Tunnel datagrams of a frame, in fragments of this MTU.
pub fn capwap(frame: &[u8], mtu: usize, id: u16) -> Vec<Vec<u8>> {
    let fragments = tunnel::fragment(tunnel::Header::DATA, frame, mtu, id).unwrap();
    fragments.map(|fragment| fragment.datagram()).collect()
}

/// IPv4 with a UDP datagram.
pub fn ipv4(source: [u8; 4], destination: [u8; 4], from: u16, to: u16, payload: &[u8]) -> Vec<u8> {
    let total = (28 + payload.len()) as u16;
    let mut packet = vec![0x45, 0, 0, 0, 0, 1, 0x40, 0, 64, 17, 0, 0];
    packet[2..4].copy_from_slice(&total.to_be_bytes());
    packet.extend_from_slice(&source);
    packet.extend_from_slice(&destination);
    let sum = checksum(&packet);
    packet[10..12].copy_from_slice(&sum);
    packet.extend_from_slice(&udp(from, to, payload));
    packet
}

/// IPv6 with destination options and a UDP datagram.
pub fn ipv6(from: u16, to: u16, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend_from_slice(&(16 + payload.len() as u16).to_be_bytes());
    packet.extend_from_slice(&[60, 64]);
    packet.extend_from_slice(&[0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    packet.extend_from_slice(&[0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
    packet.extend_from_slice(&[17, 0, 1, 4, 0, 0, 0, 0]);
    packet.extend_from_slice(&udp(from, to, payload));
    packet
}

/// Ethernet, padded to the shortest frame there is.
pub fn ethernet(tags: &[u8], ether_type: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2][..], tags].concat();
    frame.extend_from_slice(&ether_type.to_be_bytes());
    frame.extend_from_slice(payload);
    frame.resize(frame.len().max(60), 0);
    frame
}

fn udp(from: u16, to: u16, payload: &[u8]) -> Vec<u8> {
    let words = [from, to, 8 + payload.len() as u16, 0];
    [words.map(u16::to_be_bytes).as_flattened(), payload].concat()
}

fn checksum(octets: &[u8]) -> [u8; 2] {
    let sum: u32 = octets.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
    (!((sum & 0xffff) + (sum >> 16)) as u16).to_be_bytes()
}
