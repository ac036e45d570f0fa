//! Radiotap headers, received and to be sent (radiotap.org; all fields little-endian).
//!
//! ```text
//! version (1, 0)  pad (1)  length (2)  present words (4 each, bit 31: another follows)  fields, each aligned
//! ```

/// Why octets do not begin with a radiotap header.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RadiotapError {
    /// The header, or a field that it announces, is cut off.
    #[error("truncated radiotap header")]
    Truncated,
    /// A version other than 0.
    #[error("radiotap version {0}")]
    Version(u8),
}

/// What a radiotap header says. Of a field that occurs several times (one for each antenna), the first counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Radiotap {
    /// Octets of the header; the frame begins there.
    pub len: usize,
    /// Microseconds of the receiver's TSF timer.
    pub tsft: Option<u64>,
    /// Flags field: 0x10 FCS at the end, 0x20 padding behind the MAC header, 0x40 bad FCS.
    pub flags: Option<u8>,
    /// Legacy rate in units of 500 kbit/s.
    pub rate: Option<u8>,
    /// Channel centre frequency in MHz.
    pub channel_mhz: Option<u16>,
    /// Received signal in dBm.
    pub signal_dbm: Option<i8>,
    /// Noise in dBm.
    pub noise_dbm: Option<i8>,
    /// Antenna.
    pub antenna: Option<u8>,
    /// Transmit flags. On a receiving interface they tell a transmit-status copy from a reception; see
    /// [`TX_FLAG_FAILED`].
    pub tx_flags: Option<u16>,
    /// Retries that the transmission took.
    pub data_retries: Option<u8>,
    /// HT modulation: known fields, flags, MCS index.
    pub mcs: Option<Mcs>,
}

/// The MCS field.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mcs {
    /// Which of the others are known.
    pub known: u8,
    /// Bits 0 and 1 bandwidth, bit 2 short guard interval, ...
    pub flags: u8,
    /// MCS index, 0 to 76.
    pub index: u8,
}

/// TX flag: the transmission failed because of excessive retries.
pub const TX_FLAG_FAILED: u16 = 0x0001;
/// TX flag: do not wait for an acknowledgement.
pub const TX_FLAG_NOACK: u16 = 0x0008;
/// TX flag: leave the sequence and fragment number as they are.
pub const TX_FLAG_NOSEQNO: u16 = 0x0010;

const FLAG_FCS: u8 = 0x10;
const FLAG_DATA_PAD: u8 = 0x20;
const FLAG_BAD_FCS: u8 = 0x40;

/// Alignment and size of the fields of the default namespace, by bit number. Beyond these the size of a field is not
/// known and parsing of fields ends.
const FIELDS: [(u8, u8); 28] = [
    (8, 8),  // 0 TSFT
    (1, 1),  // 1 flags
    (1, 1),  // 2 rate
    (2, 4),  // 3 channel
    (2, 2),  // 4 FHSS
    (1, 1),  // 5 dBm antenna signal
    (1, 1),  // 6 dBm antenna noise
    (2, 2),  // 7 lock quality
    (2, 2),  // 8 TX attenuation
    (2, 2),  // 9 dB TX attenuation
    (1, 1),  // 10 dBm TX power
    (1, 1),  // 11 antenna
    (1, 1),  // 12 dB antenna signal
    (1, 1),  // 13 dB antenna noise
    (2, 2),  // 14 RX flags
    (2, 2),  // 15 TX flags
    (1, 1),  // 16 RTS retries
    (1, 1),  // 17 data retries
    (4, 8),  // 18 XChannel
    (1, 3),  // 19 MCS
    (4, 8),  // 20 A-MPDU status
    (2, 12), // 21 VHT
    (8, 12), // 22 timestamp
    (2, 12), // 23 HE
    (2, 12), // 24 HE-MU
    (2, 6),  // 25 HE-MU other user
    (1, 1),  // 26 zero-length PSDU
    (2, 4),  // 27 L-SIG
];
const RADIOTAP_NAMESPACE: usize = 29;
const VENDOR_NAMESPACE: usize = 30;
const ANOTHER_WORD: u32 = 1 << 31;
/// Octets of version, pad and length.
const FIXED_LEN: usize = 4;

impl Radiotap {
    /// Whether the frame ends with an FCS.
    pub fn fcs_present(&self) -> bool {
        self.flag(FLAG_FCS)
    }

    /// Whether the frame failed the FCS check.
    pub fn bad_fcs(&self) -> bool {
        self.flag(FLAG_BAD_FCS)
    }

    /// Whether the MAC header is padded to a multiple of 4 octets.
    pub fn data_pad(&self) -> bool {
        self.flag(FLAG_DATA_PAD)
    }

    /// The rate in units of 100 kbit/s: the legacy rate, or that of the MCS index (20 or 40 MHz, up to four streams).
    pub fn rate_100kbps(&self) -> Option<u32> {
        if let Some(rate) = self.rate.filter(|rate| *rate != 0) {
            return Some(u32::from(rate) * 5);
        }
        self.mcs.and_then(|mcs| mcs.rate_100kbps())
    }

    fn flag(&self, flag: u8) -> bool {
        self.flags.is_some_and(|flags| flags & flag != 0)
    }
}

impl Mcs {
    /// The rate in units of 100 kbit/s; `None` for unequal modulation (index 32 and up).
    pub fn rate_100kbps(&self) -> Option<u32> {
        // Data bits of an OFDM symbol with 52 data subcarriers, one stream, by index modulo 8.
        const BITS_20MHZ: [u32; 8] = [26, 52, 78, 104, 156, 208, 234, 260];
        if self.index >= 32 {
            return None;
        }
        let wide = self.known & 0x01 != 0 && self.flags & 0x03 == 1;
        let short = self.known & 0x04 != 0 && self.flags & 0x04 != 0;
        let bits = BITS_20MHZ[usize::from(self.index % 8)] * (u32::from(self.index) / 8 + 1);
        let bits = if wide { bits * 108 / 52 } else { bits };
        // A symbol takes 4 microseconds, or 3.6 with a short guard interval.
        Some(if short { bits * 100 / 36 } else { bits * 10 / 4 })
    }
}

/// Parses the radiotap header at the front of `bytes`. Fields of unknown size end the parsing of fields; those before
/// them stand.
///
/// # Errors
/// [`RadiotapError::Truncated`], [`RadiotapError::Version`].
pub fn parse(bytes: &[u8]) -> Result<Radiotap, RadiotapError> {
    let &[version, _, low, high] = bytes.first_chunk::<FIXED_LEN>().ok_or(RadiotapError::Truncated)?;
    if version != 0 {
        return Err(RadiotapError::Version(version));
    }
    let len = usize::from(u16::from_le_bytes([low, high]));
    let header = bytes.get(..len).ok_or(RadiotapError::Truncated)?;
    let mut tap = Radiotap { len, ..Radiotap::default() };
    let mut fields = Fields { header, at: FIXED_LEN };
    let mut words = 1;
    while fields.peek_word(words - 1)? & ANOTHER_WORD != 0 {
        words += 1;
    }
    fields.at += 4 * words;

    let mut namespace = Namespace::Default { first_bit: 0 };
    for word_index in 0..words {
        let word = Fields { header, at: FIXED_LEN }.peek_word(word_index)?;
        let mut next = match namespace {
            Namespace::Default { first_bit } => Namespace::Default { first_bit: first_bit + 32 },
            Namespace::Vendor => Namespace::Vendor,
        };
        for bit in (0..31).filter(|bit| word >> bit & 1 != 0) {
            match (bit, namespace) {
                (RADIOTAP_NAMESPACE, _) => next = Namespace::Default { first_bit: 0 },
                (VENDOR_NAMESPACE, _) => {
                    // OUI (3), sub-namespace (1), octets to skip (2): the fields of the words that follow.
                    let field = fields.take(2, 6)?;
                    fields.take(1, usize::from(u16::from_le_bytes([field[4], field[5]])))?;
                    next = Namespace::Vendor;
                }
                (_, Namespace::Vendor) => {}
                (bit, Namespace::Default { first_bit }) => {
                    let Some(&(align, size)) = FIELDS.get(first_bit + bit) else { return Ok(tap) };
                    let field = fields.take(usize::from(align), usize::from(size))?;
                    tap.set(first_bit + bit, field);
                }
            }
        }
        namespace = next;
    }
    Ok(tap)
}

/// The radiotap header to inject a frame with, with these TX flags.
pub const fn tx_header(tx_flags: u16) -> [u8; 10] {
    let [low, high] = tx_flags.to_le_bytes();
    [0, 0, 10, 0, 0x00, 0x80, 0, 0, low, high]
}

/// The radiotap header of a frame received without FCS, as simulated air and captures have it: flags, rate (in units
/// of 500 kbit/s), channel, signal.
pub const fn rx_header(rate: u8, channel_mhz: u16, signal_dbm: i8) -> [u8; 15] {
    let [c0, c1] = channel_mhz.to_le_bytes();
    // Channel flags: 2.4 GHz (0x0080) or 5 GHz (0x0100), dynamic CCK-OFDM (0x0400) or OFDM (0x0040).
    let channel_flags: u16 = if channel_mhz < 3000 { 0x0480 } else { 0x0140 };
    let [f0, f1] = channel_flags.to_le_bytes();
    [0, 0, 15, 0, 0x2e, 0, 0, 0, 0, rate, c0, c1, f0, f1, signal_dbm as u8]
}

#[derive(Clone, Copy)]
enum Namespace {
    /// Bit 0 of the word is field `first_bit`.
    Default { first_bit: usize },
    /// The fields were skipped when the namespace was announced.
    Vendor,
}

struct Fields<'a> {
    header: &'a [u8],
    at: usize,
}

impl<'a> Fields<'a> {
    fn peek_word(&self, index: usize) -> Result<u32, RadiotapError> {
        let word = self.header.get(self.at + 4 * index..).and_then(|rest| rest.first_chunk::<4>());
        word.map(|word| u32::from_le_bytes(*word)).ok_or(RadiotapError::Truncated)
    }

    fn take(&mut self, align: usize, size: usize) -> Result<&'a [u8], RadiotapError> {
        let from = self.at.next_multiple_of(align);
        let field = self.header.get(from..from + size).ok_or(RadiotapError::Truncated)?;
        self.at = from + size;
        Ok(field)
    }
}

impl Radiotap {
    /// Takes a field whose size is that of [`FIELDS`].
    fn set(&mut self, bit: usize, field: &[u8]) {
        match (bit, field) {
            (0, &[a, b, c, d, e, f, g, h]) => {
                self.tsft.get_or_insert(u64::from_le_bytes([a, b, c, d, e, f, g, h]));
            }
            (1, &[flags]) => _ = self.flags.get_or_insert(flags),
            (2, &[rate]) => _ = self.rate.get_or_insert(rate),
            (3, &[low, high, ..]) => _ = self.channel_mhz.get_or_insert(u16::from_le_bytes([low, high])),
            (5, &[signal]) => _ = self.signal_dbm.get_or_insert(signal as i8),
            (6, &[noise]) => _ = self.noise_dbm.get_or_insert(noise as i8),
            (11, &[antenna]) => _ = self.antenna.get_or_insert(antenna),
            (15, &[low, high]) => _ = self.tx_flags.get_or_insert(u16::from_le_bytes([low, high])),
            (17, &[retries]) => _ = self.data_retries.get_or_insert(retries),
            (19, &[known, flags, index]) => _ = self.mcs.get_or_insert(Mcs { known, flags, index }),
            _ => {}
        }
    }
}
