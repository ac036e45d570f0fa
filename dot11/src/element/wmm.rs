//! The WMM information and parameter elements (Wi-Fi Multimedia specification 1.2, §2.2).

/// Access categories, with the index (ACI) that the parameter element gives them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum AccessCategory {
    /// Best effort.
    BestEffort = 0,
    /// Background.
    Background = 1,
    /// Video.
    Video = 2,
    /// Voice.
    Voice = 3,
}

impl AccessCategory {
    /// The access category of a user priority (802.11-2020 Table 10-1). Only the low three bits count.
    pub const fn of_priority(priority: u8) -> Self {
        match priority & 7 {
            1 | 2 => Self::Background,
            4 | 5 => Self::Video,
            6 | 7 => Self::Voice,
            _ => Self::BestEffort,
        }
    }
}

/// EDCA parameters of one access category.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AcParameters {
    /// Arbitration interframe space number, 2 to 15.
    pub aifsn: u8,
    /// Admission control mandatory.
    pub admission_control: bool,
    /// Exponent of the smallest contention window, 0 to 15.
    pub ecw_min: u8,
    /// Exponent of the largest contention window, 0 to 15.
    pub ecw_max: u8,
    /// Limit of a transmit opportunity in units of 32 microseconds.
    pub txop_limit: u16,
}

/// A WMM parameter element, as APs send it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WmmParameters {
    /// QoS information of an AP: bits 0 to 3 parameter set count, bit 7 U-APSD.
    pub qos_info: u8,
    /// Parameters, indexed by [`AccessCategory`].
    pub categories: [AcParameters; 4],
}

/// What a WMM element says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wmm {
    /// The information element, as devices send it in association requests. Bits 0 to 3 of the QoS information are
    /// the U-APSD flags of voice, video, background and best effort.
    Information {
        /// QoS information.
        qos_info: u8,
    },
    /// The parameter element.
    Parameters(WmmParameters),
}

impl Wmm {
    /// OUI and type of WMM elements.
    pub const SELECTOR: [u8; 4] = [0x00, 0x50, 0xf2, 0x02];

    /// Parses what follows OUI and type; see [`super::Elements::find_vendor`]. `None` for other subtypes, other
    /// versions, or when octets are missing.
    pub fn parse(body: &[u8]) -> Option<Self> {
        match *body {
            [0, 1, qos_info, ..] => Some(Self::Information { qos_info }),
            [1, 1, qos_info, _, ref records @ ..] => {
                let (records, _) = records.split_first_chunk::<16>()?;
                let mut categories = [WmmParameters::default().categories[0]; 4];
                for (index, category) in categories.iter_mut().enumerate() {
                    // The index of an access category is also in its record, in order.
                    let [aci, ecw, low, high] = std::array::from_fn(|i| records[4 * index + i]);
                    *category = AcParameters {
                        aifsn: aci & 0x0f,
                        admission_control: aci & 0x10 != 0,
                        ecw_min: ecw & 0x0f,
                        ecw_max: ecw >> 4,
                        txop_limit: u16::from_le_bytes([low, high]),
                    };
                }
                Some(Self::Parameters(WmmParameters { qos_info, categories }))
            }
            _ => None,
        }
    }

    /// Body of the vendor-specific element, OUI and type included.
    pub fn body(&self) -> Vec<u8> {
        let mut body = Self::SELECTOR.to_vec();
        match self {
            Self::Information { qos_info } => body.extend_from_slice(&[0, 1, *qos_info]),
            Self::Parameters(parameters) => {
                body.extend_from_slice(&[1, 1, parameters.qos_info, 0]);
                for (index, category) in parameters.categories.iter().enumerate() {
                    let acm = if category.admission_control { 0x10 } else { 0 };
                    body.push((index as u8) << 5 | acm | category.aifsn & 0x0f);
                    body.push(category.ecw_max << 4 | category.ecw_min & 0x0f);
                    body.extend_from_slice(&category.txop_limit.to_le_bytes());
                }
            }
        }
        body
    }
}

impl Default for WmmParameters {
    /// The default parameters for the devices of a BSS (802.11-2020 Table 9-155, OFDM column).
    fn default() -> Self {
        let category = |aifsn, ecw_min, ecw_max, txop_limit| AcParameters {
            aifsn,
            admission_control: false,
            ecw_min,
            ecw_max,
            txop_limit,
        };
        Self {
            qos_info: 0,
            categories: [
                category(3, 4, 10, 0),
                category(7, 4, 10, 0),
                category(2, 3, 4, 94),
                category(2, 2, 3, 47),
            ],
        }
    }
}
