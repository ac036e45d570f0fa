//! The CAPWAP data header: checked view and builder (RFC 5415 §4.3, RFC 5416 §4).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! |preamble = 0   |  HLEN   |   RID   |  WBID   |T|F|L|W|M|K| 0 0 0 |
//! |          Fragment ID          |  Fragment Offset (×8)   | 0 0 0 |
//! |  [M] length = 6, Radio MAC Address, padded to 4 octets          |
//! |  [W] length = 4, wireless specific information, padded          |
//! ```

use dot11::MacAddr;

/// Octets of a header without optional parts.
pub const HEADER_LEN: usize = 8;

/// Octets of the longest header that [`Header::encode`] makes: 8, Radio MAC 8, wireless information 8.
pub const MAX_HEADER_LEN: usize = 24;

/// Octets of [`Header::received`].
pub const RECEIVED_LEN: usize = 16;

/// The octets of [`Header::DATA`].
pub const DATA_OCTETS: [u8; HEADER_LEN] =
    [0, (HEADER_LEN as u8 / 4) << 3, 1 << 6 | BINDING_IEEE80211 << 1 | 1, 0, 0, 0, 0, 0];

/// Wireless binding identifier of IEEE 802.11 (RFC 5416 §2.1).
pub const BINDING_IEEE80211: u8 = 1;

/// Why octets are not a CAPWAP data header that we take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// Shorter than the header says, or than the shortest header.
    #[error("datagram of {have} octets is too short for a CAPWAP header of {need}")]
    Truncated {
        /// Octets that the header needs.
        need: usize,
        /// Octets there are.
        have: usize,
    },
    /// The first octet is not version 0, type 0 (clear text).
    #[error("preamble {0:#04x} is not a clear-text CAPWAP header")]
    Preamble(u8),
    /// HLEN has no room for the parts which the flags announce.
    #[error("header length of {0} octets has no room for the parts it announces")]
    Length(usize),
    /// Not the IEEE 802.11 binding.
    #[error("wireless binding {0} is not IEEE 802.11")]
    Binding(u8),
}

/// How a frame was received: IEEE 802.11 Frame Info (RFC 5416 §4), radio to gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FrameInfo {
    /// Received signal strength in dBm.
    pub rssi: i8,
    /// Signal-to-noise ratio in dB; 0 when the radio does not know the noise.
    pub snr: i8,
    /// Data rate in units of 100 kbit/s: 55 is 5.5 Mbit/s; 0 when unknown.
    pub rate: u16,
}

/// Wireless specific information. Which of the two it is follows from the direction: nothing in the octets says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wireless {
    /// Radio to gateway: RSSI, SNR, rate (big endian).
    FrameInfo(FrameInfo),
    /// Gateway to radio: IEEE 802.11 Destination WLANs, a bit map of WLAN ids, 1 being the lowest bit.
    DestinationWlans(u16),
}

/// Where a fragment belongs (flags F and L, Fragment ID, Fragment Offset).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FragmentField {
    /// The same in all fragments of a frame.
    pub id: u16,
    /// Octets of the frame before this fragment; a multiple of 8 below 65 536.
    pub offset: u16,
    /// This fragment ends the frame.
    pub last: bool,
}

/// A checked view of a datagram's header; accessors cannot fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataHeader<'a> {
    bytes: &'a [u8],
    radio_mac: Option<&'a [u8]>,
    wireless: Option<&'a [u8]>,
}

impl<'a> DataHeader<'a> {
    /// Checks the header at the front of `datagram`; gives it and what follows it.
    ///
    /// Reserved bits and header octets beyond the announced parts are ignored, as RFC 5415 §4.3 asks.
    pub fn parse(datagram: &'a [u8]) -> Result<(DataHeader<'a>, &'a [u8]), HeaderError> {
        let have = datagram.len();
        if have < HEADER_LEN {
            return Err(HeaderError::Truncated { need: HEADER_LEN, have });
        }
        if datagram[0] != 0 {
            return Err(HeaderError::Preamble(datagram[0]));
        }
        let need = usize::from(datagram[1] >> 3) * 4;
        if need < HEADER_LEN {
            return Err(HeaderError::Length(need));
        }
        if have < need {
            return Err(HeaderError::Truncated { need, have });
        }
        let (bytes, payload) = datagram.split_at(need);
        let mut header = DataHeader { bytes, radio_mac: None, wireless: None };
        if header.binding() != BINDING_IEEE80211 {
            return Err(HeaderError::Binding(header.binding()));
        }
        let mut rest = &bytes[HEADER_LEN..];
        if header.flag(FLAG_M) {
            header.radio_mac = Some(take_part(&mut rest).ok_or(HeaderError::Length(need))?);
        }
        if header.flag(FLAG_W) {
            header.wireless = Some(take_part(&mut rest).ok_or(HeaderError::Length(need))?);
        }
        Ok((header, payload))
    }

    /// Reads the header that a radio puts before a whole frame, [`Header::received`] with any Radio ID, in a few instructions: its frame info.
    /// `None` if it is another one, or none: [`parse`](Self::parse) tells.
    #[inline]
    pub fn received(datagram: &[u8]) -> Option<FrameInfo> {
        let octets = datagram.first_chunk::<RECEIVED_LEN>()?;
        let [a, b, c, d, _, _, _, _, len, rssi, snr, high, low, ..] = *octets;
        if u32::from_be_bytes([a, b, c, d]) & RECEIVED_MASK != RECEIVED_WORD || len != 4 {
            return None;
        }
        Some(FrameInfo { rssi: rssi as i8, snr: snr as i8, rate: u16::from_be_bytes([high, low]) })
    }

    /// Octets of the header: where the payload begins in the datagram.
    pub fn header_len(&self) -> usize {
        self.bytes.len()
    }

    /// Radio ID (RID), 1 to 31; the radio's number within its access point.
    pub fn radio_id(&self) -> u8 {
        (self.word() >> 14) as u8 & 0x1f
    }

    /// Flag T: the payload is a frame in the format of the wireless binding, not 802.3.
    pub fn native(&self) -> bool {
        self.flag(FLAG_T)
    }

    /// Flag K: the payload is a [`super::KeepAlive`].
    pub fn keep_alive(&self) -> bool {
        self.flag(FLAG_K)
    }

    /// Where the payload belongs, when it is only a part of a frame (flag F).
    pub fn fragment(&self) -> Option<FragmentField> {
        self.flag(FLAG_F).then(|| FragmentField {
            id: u16::from_be_bytes([self.bytes[4], self.bytes[5]]),
            offset: u16::from_be_bytes([self.bytes[6], self.bytes[7]]) & 0xfff8,
            last: self.flag(FLAG_L),
        })
    }

    /// Radio MAC Address (flag M), when it is an EUI-48.
    pub fn radio_mac(&self) -> Option<MacAddr> {
        self.radio_mac.and_then(|mac| <[u8; 6]>::try_from(mac).ok()).map(MacAddr)
    }

    /// Wireless specific information (flag W) as the octets it is.
    pub fn wireless(&self) -> Option<&'a [u8]> {
        self.wireless
    }

    /// Wireless specific information read as what a radio sends.
    pub fn frame_info(&self) -> Option<FrameInfo> {
        let [rssi, snr, high, low] = self.wireless_octets()?;
        Some(FrameInfo { rssi: rssi as i8, snr: snr as i8, rate: u16::from_be_bytes([high, low]) })
    }

    /// Wireless specific information read as what a gateway sends: the bit map of WLAN ids.
    pub fn destination_wlans(&self) -> Option<u16> {
        let [high, low, ..] = self.wireless_octets()?;
        Some(u16::from_be_bytes([high, low]))
    }

    fn wireless_octets(&self) -> Option<[u8; 4]> {
        self.wireless.and_then(|octets| octets.try_into().ok())
    }

    fn word(&self) -> u32 {
        u32::from_be_bytes([self.bytes[0], self.bytes[1], self.bytes[2], self.bytes[3]])
    }

    fn binding(&self) -> u8 {
        (self.word() >> 9) as u8 & 0x1f
    }

    fn flag(&self, flag: u32) -> bool {
        self.word() & flag != 0
    }
}

/// What to put into a header; [`Header::encode`] makes the octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Radio ID, 1 to 31 (the low five bits count).
    pub radio_id: u8,
    /// Flag T.
    pub native: bool,
    /// Flag K.
    pub keep_alive: bool,
    /// Flags F and L, Fragment ID and Offset.
    pub fragment: Option<FragmentField>,
    /// Flag M and the address.
    pub radio_mac: Option<MacAddr>,
    /// Flag W and the information.
    pub wireless: Option<Wireless>,
}

impl Header {
    /// A data packet with a whole native 802.11 frame, without optional parts, of radio 1: 8 octets.
    pub const DATA: Header = Header {
        radio_id: 1,
        native: true,
        keep_alive: false,
        fragment: None,
        radio_mac: None,
        wireless: None,
    };

    /// The header before a [`super::KeepAlive`].
    pub const KEEP_ALIVE: Header = Header { native: false, keep_alive: true, ..Header::DATA };

    /// A data packet with frame info, as the radio sends it: 16 octets.
    pub const fn received(info: FrameInfo) -> Header {
        Header { wireless: Some(Wireless::FrameInfo(info)), ..Header::DATA }
    }

    /// Octets that [`Header::encode`] makes.
    pub const fn encoded_len(&self) -> usize {
        HEADER_LEN
            + if self.radio_mac.is_some() { 8 } else { 0 }
            + if self.wireless.is_some() { 8 } else { 0 }
    }

    /// The header's octets.
    pub fn encode(&self) -> EncodedHeader {
        let mut octets = [0; MAX_HEADER_LEN];
        let len = self.encoded_len();
        let flag = |set: bool, flag: u32| if set { flag } else { 0 };
        let word = (len as u32 / 4) << 19
            | u32::from(self.radio_id & 0x1f) << 14
            | u32::from(BINDING_IEEE80211) << 9
            | flag(self.native, FLAG_T)
            | flag(self.fragment.is_some(), FLAG_F)
            | flag(self.fragment.is_some_and(|fragment| fragment.last), FLAG_L)
            | flag(self.wireless.is_some(), FLAG_W)
            | flag(self.radio_mac.is_some(), FLAG_M)
            | flag(self.keep_alive, FLAG_K);
        octets[..4].copy_from_slice(&word.to_be_bytes());
        if let Some(fragment) = self.fragment {
            octets[4..6].copy_from_slice(&fragment.id.to_be_bytes());
            octets[6..8].copy_from_slice(&(fragment.offset & 0xfff8).to_be_bytes());
        }
        let mut at = HEADER_LEN;
        if let Some(MacAddr(mac)) = self.radio_mac {
            octets[at] = 6;
            octets[at + 1..at + 7].copy_from_slice(&mac);
            at += 8;
        }
        if let Some(wireless) = self.wireless {
            octets[at] = 4;
            let value = match wireless {
                Wireless::FrameInfo(FrameInfo { rssi, snr, rate }) => {
                    let [high, low] = rate.to_be_bytes();
                    [rssi as u8, snr as u8, high, low]
                }
                Wireless::DestinationWlans(map) => {
                    let [high, low] = map.to_be_bytes();
                    [high, low, 0, 0]
                }
            };
            octets[at + 1..at + 5].copy_from_slice(&value);
        }
        EncodedHeader { octets, len }
    }
}

/// The octets of a header, on the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EncodedHeader {
    octets: [u8; MAX_HEADER_LEN],
    len: usize,
}

impl EncodedHeader {
    /// The octets.
    pub fn as_bytes(&self) -> &[u8] {
        &self.octets[..self.len]
    }
}

impl AsRef<[u8]> for EncodedHeader {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

const FLAG_T: u32 = 1 << 8;
const FLAG_F: u32 = 1 << 7;
const FLAG_L: u32 = 1 << 6;
const FLAG_W: u32 = 1 << 5;
const FLAG_M: u32 = 1 << 4;
const FLAG_K: u32 = 1 << 3;

/// Of the first word: preamble, HLEN, WBID, flags.
const RECEIVED_MASK: u32 = 0xfff8_3e00 | FLAG_T | FLAG_F | FLAG_L | FLAG_W | FLAG_M | FLAG_K;
const RECEIVED_WORD: u32 =
    (RECEIVED_LEN as u32 / 4) << 19 | (BINDING_IEEE80211 as u32) << 9 | FLAG_T | FLAG_W;

/// Takes one optional part (a length octet, that many octets, padding to four) from the front.
fn take_part<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = usize::from(*rest.first()?);
    let padded = (1 + len).next_multiple_of(4);
    let part = rest.get(1..1 + len)?;
    *rest = rest.get(padded..)?;
    Some(part)
}
