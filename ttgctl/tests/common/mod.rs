//! A network, a device and a capture of the two, made with `dot11`; and `ttgctl` run on it.
#![allow(dead_code, reason = "each test file uses its own part")]

pub mod capture;
pub mod run;

use dot11::{
    FrameControl, FrameKind, MacAddr, ManagementSubtype, QosControl, SequenceControl,
    build::{self, DataHeader},
    ccmp::{self, Pn},
    eapol::{
        kde::KeyDataBuilder,
        key::{KeyFrameBuilder, KeyInfo},
    },
    element::{Elements, Rsn, Ssid},
    llc::{self, EtherType},
    rsn::{self, Akm, CipherSuite, Passphrase, Pmk, Ptk, Tk, derive_ptk, pmk_from_passphrase, wrap_key_data},
};

pub const BSSID: MacAddr = MacAddr([0x02, 0xaa, 0, 0, 0, 1]);
pub const DEVICE: MacAddr = MacAddr([0x02, 0xbb, 0, 0, 0, 2]);
pub const HOST: MacAddr = MacAddr([0x02, 0xcc, 0, 0, 0, 3]);
pub const GROUP: MacAddr = MacAddr([0x01, 0, 0x5e, 0, 0, 9]);

pub const SSID: &str = "Harbour";
pub const PASSPHRASE: &str = "boats and nets";

/// The PMK of [`PASSPHRASE`] at [`SSID`].
pub fn pmk() -> Pmk {
    pmk_from_passphrase(&Passphrase::new(PASSPHRASE).unwrap(), &Ssid::parse(SSID.as_bytes()).unwrap())
}

/// Hexadecimal digits.
pub fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// An AP and a device that sends and receives under what the two have agreed.
pub struct Network {
    pub akm: Akm,
    pub pmk: Pmk,
    pub bssid: MacAddr,
    pub device: MacAddr,
    pub pairwise: CipherSuite,
    pub group: CipherSuite,
    pub ptk: Option<Ptk>,
    pub gtk: Option<(u8, Tk)>,
    /// Packet number of the next frame of each of the three: AP, device, group.
    pub pn: [u64; 3],
    sequence: u16,
    replay_counter: u64,
    nonces: u8,
}

/// Messages of a 4-way handshake, EAPOL PDUs.
pub struct Handshake {
    pub messages: [Vec<u8>; 4],
}

impl Network {
    pub fn new(akm: Akm) -> Self {
        Network {
            akm,
            pmk: pmk(),
            bssid: BSSID,
            device: DEVICE,
            pairwise: CipherSuite::Ccmp128,
            group: CipherSuite::Ccmp128,
            ptk: None,
            gtk: None,
            pn: [1; 3],
            sequence: 1,
            replay_counter: 1,
            nonces: 0,
        }
    }

    pub fn tk(&self) -> Tk {
        self.ptk.as_ref().unwrap().tk.clone()
    }

    fn rsne(&self) -> Vec<u8> {
        Rsn { pairwise: vec![self.pairwise], group: self.group, ..Rsn::ccmp(&[self.akm]) }.to_vec()
    }

    fn version(&self) -> u8 {
        self.akm.descriptor_version()
    }

    fn info(&self, flags: &[KeyInfo]) -> KeyInfo {
        flags.iter().fold(KeyInfo(0).with_descriptor_version(self.version()), |info, flag| info.with(*flag))
    }

    fn signed(&self, ptk: &Ptk, builder: KeyFrameBuilder<'_>) -> Vec<u8> {
        let mut pdu = builder.build();
        rsn::sign(self.akm, &ptk.kck, &mut pdu).unwrap();
        pdu
    }

    /// A 4-way handshake with fresh nonces, which installs a new pairwise key and this group key.
    pub fn handshake(&mut self, gtk: (u8, Tk)) -> Handshake {
        self.nonces += 1;
        let (anonce, snonce) = ([self.nonces; 32], [0x80 + self.nonces; 32]);
        // SAE's keys derive as those of PSK with SHA-256 do.
        let derived = if self.akm == Akm::Sae { Akm::PskSha256 } else { self.akm };
        let ptk = derive_ptk(derived, &self.pmk, self.bssid, self.device, &anonce, &snonce).unwrap();
        let rsne = self.rsne();
        let key_data =
            KeyDataBuilder::new().elements(Elements::new(&rsne)).gtk(gtk.0, false, gtk.1.as_bytes()).build();
        let wrapped = wrap_key_data(&ptk.kek, &key_data).unwrap();
        let counter = self.replay_counter;
        self.replay_counter += 2;
        use KeyInfo as K;
        let messages = [
            KeyFrameBuilder {
                info: self.info(&[K::PAIRWISE, K::ACK]),
                key_length: 16,
                replay_counter: counter,
                nonce: anonce,
                ..Default::default()
            }
            .build(),
            self.signed(
                &ptk,
                KeyFrameBuilder {
                    info: self.info(&[K::PAIRWISE, K::MIC]),
                    replay_counter: counter,
                    nonce: snonce,
                    key_data: &rsne,
                    ..Default::default()
                },
            ),
            self.signed(
                &ptk,
                KeyFrameBuilder {
                    info: self.info(&[
                        K::PAIRWISE,
                        K::ACK,
                        K::MIC,
                        K::INSTALL,
                        K::SECURE,
                        K::ENCRYPTED_KEY_DATA,
                    ]),
                    key_length: 16,
                    replay_counter: counter + 1,
                    nonce: anonce,
                    key_data: &wrapped,
                    ..Default::default()
                },
            ),
            self.signed(
                &ptk,
                KeyFrameBuilder {
                    info: self.info(&[K::PAIRWISE, K::MIC, K::SECURE]),
                    replay_counter: counter + 1,
                    ..Default::default()
                },
            ),
        ];
        if self.gtk.as_ref().is_none_or(|(_, tk)| *tk != gtk.1) {
            self.pn[2] = 1;
        }
        self.ptk = Some(ptk);
        self.gtk = Some(gtk);
        (self.pn[0], self.pn[1]) = (1, 1);
        Handshake { messages }
    }

    /// A group key handshake's message 1, an EAPOL PDU, which installs this group key.
    pub fn group_message(&mut self, gtk: (u8, Tk)) -> Vec<u8> {
        use KeyInfo as K;
        let ptk = self.ptk.clone().unwrap();
        let key_data = KeyDataBuilder::new().gtk(gtk.0, false, gtk.1.as_bytes()).build();
        let wrapped = wrap_key_data(&ptk.kek, &key_data).unwrap();
        let counter = self.replay_counter;
        self.replay_counter += 1;
        self.gtk = Some(gtk);
        self.pn[2] = 1;
        let info = self.info(&[K::ACK, K::MIC, K::SECURE, K::ENCRYPTED_KEY_DATA]);
        let builder =
            KeyFrameBuilder { info, replay_counter: counter, key_data: &wrapped, ..Default::default() };
        self.signed(&ptk, builder)
    }

    /// The four messages as frames in the clear.
    pub fn join(&mut self, gtk: (u8, Tk)) -> Vec<Vec<u8>> {
        let handshake = self.handshake(gtk);
        let [m1, m2, m3, m4] = &handshake.messages;
        vec![self.clear_down(m1), self.clear_up(m2), self.clear_down(m3), self.clear_up(m4)]
    }

    /// An EAPOL PDU from the AP, in the clear.
    pub fn clear_down(&mut self, pdu: &[u8]) -> Vec<u8> {
        let mut header = DataHeader::from_ap(self.bssid, self.device, self.bssid, None);
        header.sequence = self.next_sequence();
        header.frame(&llc::msdu(EtherType::EAPOL, pdu))
    }

    /// An EAPOL PDU from the device, in the clear.
    pub fn clear_up(&mut self, pdu: &[u8]) -> Vec<u8> {
        let mut header = DataHeader::to_ap(self.bssid, self.bssid, self.device, None);
        header.sequence = self.next_sequence();
        header.frame(&llc::msdu(EtherType::EAPOL, pdu))
    }

    /// The header of a frame from the device to [`HOST`].
    pub fn up_header(&mut self, qos: Option<QosControl>) -> DataHeader {
        let mut header = DataHeader::to_ap(self.bssid, HOST, self.device, qos);
        header.sequence = self.next_sequence();
        header
    }

    /// The header of a frame from [`HOST`] to the device.
    pub fn down_header(&mut self, qos: Option<QosControl>) -> DataHeader {
        let mut header = DataHeader::from_ap(self.bssid, self.device, HOST, qos);
        header.sequence = self.next_sequence();
        header
    }

    /// A protected frame from the device.
    pub fn up(&mut self, qos: Option<QosControl>, msdu: &[u8]) -> Vec<u8> {
        let plain = self.up_header(qos).frame(msdu);
        self.seal_up(&plain)
    }

    /// A protected frame to the device.
    pub fn down(&mut self, qos: Option<QosControl>, msdu: &[u8]) -> Vec<u8> {
        let plain = self.down_header(qos).frame(msdu);
        self.seal_down(&plain)
    }

    /// A protected group-addressed frame.
    pub fn group(&mut self, msdu: &[u8]) -> Vec<u8> {
        let mut header = DataHeader::from_ap(self.bssid, GROUP, HOST, None);
        header.sequence = self.next_sequence();
        let (key_id, tk) = self.gtk.clone().unwrap();
        let pn = self.next_pn(2);
        ccmp::seal(&tk, key_id, pn, &header.frame(msdu)).unwrap()
    }

    pub fn seal_up(&mut self, plain: &[u8]) -> Vec<u8> {
        let pn = self.next_pn(1);
        ccmp::seal(&self.tk(), 0, pn, plain).unwrap()
    }

    pub fn seal_down(&mut self, plain: &[u8]) -> Vec<u8> {
        let pn = self.next_pn(0);
        ccmp::seal(&self.tk(), 0, pn, plain).unwrap()
    }

    /// A fragmented MSDU from the device, protected.
    pub fn fragments(&mut self, qos: Option<QosControl>, msdu: &[u8], size: usize) -> Vec<Vec<u8>> {
        let header = self.up_header(qos);
        let chunks: Vec<&[u8]> = msdu.chunks(size).collect();
        (0..chunks.len())
            .map(|i| {
                let mut header = header;
                header.sequence = SequenceControl::new(header.sequence.number(), i as u8);
                header.control = header.control.with_more_fragments(i + 1 < chunks.len());
                self.seal_up(&header.frame(chunks[i]))
            })
            .collect()
    }

    pub fn beacon(&self) -> Vec<u8> {
        let mut body = vec![0; 8];
        body.extend_from_slice(&[100, 0, 0x11, 0, 0, SSID.len() as u8]);
        body.extend_from_slice(SSID.as_bytes());
        body.extend_from_slice(&self.rsne());
        build::management(ManagementSubtype::Beacon, MacAddr::BROADCAST, self.bssid, self.bssid, &body)
    }

    pub fn association_request(&mut self) -> Vec<u8> {
        let mut body = vec![0x11, 0, 5, 0, 0, SSID.len() as u8];
        body.extend_from_slice(SSID.as_bytes());
        body.extend_from_slice(&self.rsne());
        build::management(ManagementSubtype::AssociationRequest, self.bssid, self.device, self.bssid, &body)
    }

    fn next_pn(&mut self, whose: usize) -> Pn {
        self.pn[whose] += 1;
        Pn::new(self.pn[whose] - 1).unwrap()
    }

    fn next_sequence(&mut self) -> SequenceControl {
        self.sequence += 1;
        SequenceControl::new(self.sequence % 4096, 0)
    }
}

/// The Retry bit set.
pub fn retried(frame: &[u8]) -> Vec<u8> {
    let mut frame = frame.to_vec();
    frame[1] |= 0x08;
    frame
}

/// A Null frame.
pub fn null() -> Vec<u8> {
    let mut header = DataHeader::to_ap(BSSID, BSSID, DEVICE, None);
    header.control = FrameControl::new(FrameKind::Data(dot11::DataSubtype::Null)).with_to_ds(true);
    header.frame(&[])
}

/// An MSDU: an IPv4 UDP packet with this payload, checksums right (so that `tshark` finds nothing wrong).
pub fn udp(payload: &[u8]) -> Vec<u8> {
    llc::msdu(EtherType::IPV4, &udp_packet(payload))
}

pub fn udp_packet(payload: &[u8]) -> Vec<u8> {
    capture::ipv4([10, 0, 0, 2], [10, 0, 0, 3], 4000, 4001, payload)
}

/// The Ethernet frame that [`udp`]'s MSDU becomes.
pub fn ethernet(da: MacAddr, sa: MacAddr, payload: &[u8]) -> Vec<u8> {
    [&da.0[..], &sa.0, &[0x08, 0x00], &udp_packet(payload)].concat()
}

pub fn gtk(n: u8) -> (u8, Tk) {
    (1 + n % 2, Tk::new([0x60 + n; 16]))
}
