//! What to ask: the device's association and its credential, as attributes.

use std::time::Duration;

use zeroize::Zeroizing;

use super::{Nas, ServerId};
use crate::packet::{
    AttributeError, AttributeList, AttributeType, NAS_PORT_TYPE_WIRELESS_802_11, called_station_id,
    calling_station_id, split_eap,
};

/// Which device is on which BSS, and how: the attributes that authentication and accounting share.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Association {
    /// BSSID, the first part of Called-Station-Id.
    pub bssid: [u8; 6],
    /// SSID, the second part of Called-Station-Id.
    pub ssid: Vec<u8>,
    /// The device's MAC address: Calling-Station-Id.
    pub station: [u8; 6],
    /// Connect-Info, such as `CONNECT 54Mbps 802.11ac` (RFC 3580 §3.29).
    pub connect_info: Option<String>,
    /// WLAN-AKM-Suite as a suite selector, 00-0F-AC:1 being 0x000F_AC01 (RFC 7268 §2.14).
    pub akm_suite: Option<u32>,
    /// WLAN-Pairwise-Cipher, same form.
    pub pairwise_cipher: Option<u32>,
    /// WLAN-Group-Cipher, same form.
    pub group_cipher: Option<u32>,
    /// WLAN-Group-Mgmt-Cipher, same form.
    pub group_management_cipher: Option<u32>,
}

impl Association {
    pub(crate) fn encode(&self, list: &mut AttributeList) -> Result<(), AttributeError> {
        list.push(AttributeType::CALLED_STATION_ID, &called_station_id(self.bssid, &self.ssid))?;
        list.push(AttributeType::CALLING_STATION_ID, calling_station_id(self.station).as_bytes())?;
        list.push_u32(AttributeType::NAS_PORT_TYPE, NAS_PORT_TYPE_WIRELESS_802_11)?;
        if let Some(text) = &self.connect_info {
            list.push(AttributeType::CONNECT_INFO, text.as_bytes())?;
        }
        for (kind, suite) in [
            (AttributeType::WLAN_PAIRWISE_CIPHER, self.pairwise_cipher),
            (AttributeType::WLAN_GROUP_CIPHER, self.group_cipher),
            (AttributeType::WLAN_AKM_SUITE, self.akm_suite),
            (AttributeType::WLAN_GROUP_MGMT_CIPHER, self.group_management_cipher),
        ] {
            if let Some(suite) = suite {
                list.push_u32(kind, suite)?;
            }
        }
        Ok(())
    }
}

/// How the device proves who it is.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// An EAP packet of the device, whole (RFC 3748 §4).
    Eap(Vec<u8>),
    /// A clear-text password: authentication by MAC address, captive portals. At most 128 octets.
    Password(Zeroizing<Vec<u8>>),
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Eap(eap) => write!(f, "Eap({} octets)", eap.len()),
            Self::Password(_) => f.write_str("Password(…)"),
        }
    }
}

/// One Access-Request.
#[derive(Clone, Debug)]
pub struct AccessRequest {
    /// User-Name: the EAP identity as the device gave it. Empty: the device's MAC address is sent (RFC 3579 §2.1).
    pub user_name: Vec<u8>,
    /// What the device says.
    pub credential: Credential,
    /// State of the Access-Challenge that this answers.
    pub state: Option<Vec<u8>>,
    /// The server of that Access-Challenge: State belongs to it alone. Set, no other server is asked.
    pub server: Option<ServerId>,
    /// The device's association.
    pub association: Association,
    /// Acct-Session-Id that accounting will use for this session.
    pub acct_session_id: Option<String>,
    /// Acct-Multi-Session-Id: the same across the device's roams.
    pub acct_multi_session_id: Option<String>,
    /// Framed-MTU: the longest EAP packet the server should make, in octets (RFC 3579 §2.4).
    pub framed_mtu: u32,
    /// Ask for Chargeable-User-Identity (RFC 4372 §2.1).
    pub chargeable_user_identity: bool,
    /// More attributes, added last.
    pub extra: AttributeList,
}

impl AccessRequest {
    /// A request that starts an EAP conversation.
    pub fn eap(user_name: impl Into<Vec<u8>>, eap: impl Into<Vec<u8>>, association: Association) -> Self {
        Self {
            user_name: user_name.into(),
            credential: Credential::Eap(eap.into()),
            state: None,
            server: None,
            association,
            acct_session_id: None,
            acct_multi_session_id: None,
            framed_mtu: 1400,
            chargeable_user_identity: false,
            extra: AttributeList::new(),
        }
    }

    pub(crate) fn encode(&self, nas: &Nas) -> Result<AttributeList, AttributeError> {
        let mut list = AttributeList::new();
        if self.user_name.is_empty() {
            list.push(AttributeType::USER_NAME, calling_station_id(self.association.station).as_bytes())?;
        } else {
            list.push(AttributeType::USER_NAME, &self.user_name)?;
        }
        nas.encode(&mut list)?;
        self.association.encode(&mut list)?;
        let service = match self.credential {
            Credential::Eap(_) => SERVICE_TYPE_FRAMED,
            Credential::Password(_) => SERVICE_TYPE_CALL_CHECK,
        };
        list.push_u32(AttributeType::SERVICE_TYPE, service)?;
        list.push_u32(AttributeType::FRAMED_MTU, self.framed_mtu)?;
        for (kind, id) in [
            (AttributeType::ACCT_SESSION_ID, &self.acct_session_id),
            (AttributeType::ACCT_MULTI_SESSION_ID, &self.acct_multi_session_id),
        ] {
            if let Some(id) = id {
                list.push(kind, id.as_bytes())?;
            }
        }
        if self.chargeable_user_identity {
            // A single zero octet asks for it (RFC 4372 §2.1).
            list.push(AttributeType::CHARGEABLE_USER_IDENTITY, &[0])?;
        }
        if let Credential::Eap(eap) = &self.credential {
            split_eap(&mut list, eap)?;
        }
        if let Some(state) = &self.state {
            list.push(AttributeType::STATE, state)?;
        }
        list.extend(self.extra.view())?;
        Ok(list)
    }
}

const SERVICE_TYPE_FRAMED: u32 = 2; // RFC 3580 §3.6
const SERVICE_TYPE_CALL_CHECK: u32 = 10; // RFC 2865 §5.6

/// Whole seconds of an attribute.
pub(crate) fn seconds(value: Option<u32>) -> Option<Duration> {
    value.map(|seconds| Duration::from_secs(seconds.into()))
}
