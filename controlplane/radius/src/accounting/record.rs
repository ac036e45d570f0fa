//! One accounting event and its forms: attributes in a packet (RFC 2866 §5), bytes in the store.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use crate::{
    client::Association,
    packet::{
        AcctStatusType, AttributeError, AttributeList, AttributeType, Attributes, MAX_VALUE_LEN,
        TerminateCause, parse_mac_text,
    },
};

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcctEvent {
    /// The session began.
    Start,
    /// Where the session stands. A newer one, or the end, takes the place of one not yet sent.
    Interim(Usage),
    /// The session ended.
    Stop(Usage, TerminateCause),
    /// The access point has started.
    AccountingOn,
    /// The access point is about to stop.
    AccountingOff,
}

/// What a session has used so far. Input is from the device to the network (RFC 2866 §5.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// How long the session has lasted; sent in whole seconds.
    pub session_time: Duration,
    /// Octets from the device.
    pub input_octets: u64,
    /// Octets to the device.
    pub output_octets: u64,
    /// Packets from the device, modulo 2^32 on the wire.
    pub input_packets: u64,
    /// Packets to the device, modulo 2^32 on the wire.
    pub output_packets: u64,
}

/// Acct-Authentic (RFC 2866 §5.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Authentic {
    /// By RADIUS.
    Radius = 1,
    /// By this access point itself, such as with a passphrase.
    Local = 2,
}

/// One event of one session.
#[derive(Clone, Debug)]
pub struct AcctRecord {
    /// Acct-Session-Id: 1 to 253 octets, never used for another session of this access point.
    pub session_id: String,
    /// What happened.
    pub event: AcctEvent,
    /// When: Event-Timestamp, and what Acct-Delay-Time counts from. Whole seconds.
    pub event_time: SystemTime,
    /// Who is where; `None` for AccountingOn and AccountingOff.
    pub association: Option<Association>,
    /// User-Name: that of the Access-Accept if it had one.
    pub user_name: Option<Vec<u8>>,
    /// Acct-Multi-Session-Id.
    pub multi_session_id: Option<String>,
    /// Each Class of the Access-Accept.
    pub class: Vec<Vec<u8>>,
    /// Chargeable-User-Identity of the Access-Accept.
    pub chargeable_user_identity: Option<Vec<u8>>,
    /// Acct-Authentic.
    pub authentic: Option<Authentic>,
    /// Framed-IP-Address.
    pub ip_address: Option<Ipv4Addr>,
    /// Framed-IPv6-Address (RFC 6911 §3.1).
    pub ipv6_address: Option<Ipv6Addr>,
    /// More attributes, added last.
    pub extra: AttributeList,
}

/// Why a record cannot be an Accounting-Request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Acct-Session-Id is empty or too long.
    #[error("the Acct-Session-Id has {0} octets; it must have 1 to 253")]
    SessionId(usize),
    /// An attribute or all of them do not fit.
    #[error(transparent)]
    Attribute(#[from] AttributeError),
}

impl AcctRecord {
    /// A record with nothing optional.
    pub fn new(session_id: impl Into<String>, event: AcctEvent, event_time: SystemTime) -> Self {
        Self {
            session_id: session_id.into(),
            event,
            event_time,
            association: None,
            user_name: None,
            multi_session_id: None,
            class: Vec::new(),
            chargeable_user_identity: None,
            authentic: None,
            ip_address: None,
            ipv6_address: None,
            extra: AttributeList::new(),
        }
    }

    pub(super) fn encode(&self) -> Result<Stored, RecordError> {
        if self.session_id.is_empty() || self.session_id.len() > MAX_VALUE_LEN {
            return Err(RecordError::SessionId(self.session_id.len()));
        }
        let kind = self.event.kind();
        let event_time = unix_seconds(self.event_time);
        let mut list = AttributeList::new();
        list.push_u32(AttributeType::ACCT_STATUS_TYPE, kind as u32)?;
        list.push(AttributeType::ACCT_SESSION_ID, self.session_id.as_bytes())?;
        list.push_u32(AttributeType::EVENT_TIMESTAMP, event_time as u32)?;
        if let Some(id) = &self.multi_session_id {
            list.push(AttributeType::ACCT_MULTI_SESSION_ID, id.as_bytes())?;
        }
        if let Some(name) = &self.user_name {
            list.push(AttributeType::USER_NAME, name)?;
        }
        if let Some(association) = &self.association {
            association.encode(&mut list)?;
        }
        for class in &self.class {
            list.push(AttributeType::CLASS, class)?;
        }
        if let Some(identity) = &self.chargeable_user_identity {
            list.push(AttributeType::CHARGEABLE_USER_IDENTITY, identity)?;
        }
        if let Some(authentic) = self.authentic {
            list.push_u32(AttributeType::ACCT_AUTHENTIC, authentic as u32)?;
        }
        if let Some(address) = self.ip_address {
            list.push_ip(AttributeType::FRAMED_IP_ADDRESS, IpAddr::V4(address))?;
        }
        if let Some(address) = self.ipv6_address {
            list.push_ip(AttributeType::FRAMED_IPV6_ADDRESS, IpAddr::V6(address))?;
        }
        if let AcctEvent::Interim(usage) | AcctEvent::Stop(usage, _) = &self.event {
            usage.encode(&mut list)?;
        }
        if let AcctEvent::Stop(_, TerminateCause(cause)) = self.event {
            list.push_u32(AttributeType::ACCT_TERMINATE_CAUSE, cause)?;
        }
        list.extend(self.extra.view())?;
        Ok(Stored { kind, event_time, session_id: self.session_id.clone(), attributes: list })
    }
}

impl AcctEvent {
    fn kind(&self) -> AcctStatusType {
        match self {
            Self::Start => AcctStatusType::Start,
            Self::Interim(_) => AcctStatusType::InterimUpdate,
            Self::Stop(..) => AcctStatusType::Stop,
            Self::AccountingOn => AcctStatusType::AccountingOn,
            Self::AccountingOff => AcctStatusType::AccountingOff,
        }
    }
}

impl Usage {
    fn encode(&self, list: &mut AttributeList) -> Result<(), AttributeError> {
        // The low 32 bits, and how often they have wrapped (RFC 2869 §5.1, §5.2).
        let (low, high) = (|octets: u64| octets as u32, |octets: u64| (octets >> 32) as u32);
        let seconds = u32::try_from(self.session_time.as_secs()).unwrap_or(u32::MAX);
        list.push_u32(AttributeType::ACCT_SESSION_TIME, seconds)?;
        list.push_u32(AttributeType::ACCT_INPUT_OCTETS, low(self.input_octets))?;
        list.push_u32(AttributeType::ACCT_INPUT_GIGAWORDS, high(self.input_octets))?;
        list.push_u32(AttributeType::ACCT_OUTPUT_OCTETS, low(self.output_octets))?;
        list.push_u32(AttributeType::ACCT_OUTPUT_GIGAWORDS, high(self.output_octets))?;
        list.push_u32(AttributeType::ACCT_INPUT_PACKETS, low(self.input_packets))?;
        list.push_u32(AttributeType::ACCT_OUTPUT_PACKETS, low(self.output_packets))
    }
}

/// A record as the store has it: everything that does not change from one attempt to the next.
///
/// ```text
/// octet 0   1                 2..10             10                11..11+n     then
/// version 1 Acct-Status-Type  event time (BE)   session id len n  session id   attributes as in the packet
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) kind: AcctStatusType,
    /// Seconds since 1970.
    pub(super) event_time: u64,
    pub(super) session_id: String,
    pub(super) attributes: AttributeList,
}

const VERSION: u8 = 1;

impl Stored {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION, self.kind as u8];
        bytes.extend(self.event_time.to_be_bytes());
        bytes.push(self.session_id.len() as u8); // checked to be at most 253
        bytes.extend(self.session_id.as_bytes());
        bytes.extend(self.attributes.as_bytes());
        bytes
    }

    /// `None` if the bytes are not a record of this version.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (head, rest) = bytes.split_first_chunk::<11>()?;
        let [version, kind, time @ .., session_len] = *head;
        if version != VERSION {
            return None;
        }
        let (session_id, attributes) = rest.split_at_checked(session_len.into())?;
        Some(Self {
            kind: AcctStatusType::from_u32(kind.into())?,
            event_time: u64::from_be_bytes(time),
            session_id: std::str::from_utf8(session_id).ok()?.to_owned(),
            attributes: AttributeList::parse(attributes).ok()?,
        })
    }

    /// Whether a session is known to be going on after this record.
    pub(super) fn leaves_open(&self) -> bool {
        matches!(self.kind, AcctStatusType::Start | AcctStatusType::InterimUpdate)
    }

    /// The end of the session whose last record this is, with the usage last reported.
    pub(super) fn stop(&self, cause: TerminateCause, at: SystemTime) -> Result<Self, AttributeError> {
        let event_time = unix_seconds(at);
        let mut list = AttributeList::new();
        list.push_u32(AttributeType::ACCT_STATUS_TYPE, AcctStatusType::Stop as u32)?;
        for (kind, value) in self.attributes.view().iter() {
            match kind {
                AttributeType::ACCT_STATUS_TYPE => {}
                AttributeType::EVENT_TIMESTAMP => list.push_u32(kind, event_time as u32)?,
                _ => list.push(kind, value)?,
            }
        }
        list.push_u32(AttributeType::ACCT_TERMINATE_CAUSE, cause.0)?;
        Ok(Self {
            kind: AcctStatusType::Stop,
            event_time,
            session_id: self.session_id.clone(),
            attributes: list,
        })
    }

    /// What the caller is told of a session that has not ended.
    pub(super) fn open_session(&self) -> OpenSession {
        let attributes: Attributes<'_> = self.attributes.view();
        let station = attributes.text(AttributeType::CALLING_STATION_ID);
        OpenSession {
            session_id: self.session_id.clone(),
            last_event: UNIX_EPOCH + Duration::from_secs(self.event_time),
            station: station.and_then(|text| parse_mac_text(&text)),
            user_name: attributes.first(AttributeType::USER_NAME).map(Into::into),
        }
    }
}

/// A session that has begun and not ended, as far as the store knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenSession {
    /// Acct-Session-Id.
    pub session_id: String,
    /// Time of its last record.
    pub last_event: SystemTime,
    /// The device.
    pub station: Option<[u8; 6]>,
    /// User-Name.
    pub user_name: Option<Vec<u8>>,
}

/// Seconds since 1970; 0 for anything before.
pub(super) fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
