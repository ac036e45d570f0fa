//! Accounting: what both sides of a tunnel report of a device's session, and how reports combine.

use dot11::MacAddr;
use matchmaker::{Uuid, objects::AccountId};

use crate::{
    codec::{Reader, Writer},
    key::{scope, unscope},
};

/// Most sessions of one [`Page`].
pub const MAX_PAGE: usize = 1000;

/// What the sides' totals may differ, in hundredths of the larger. A radio cannot see how many MSDUs an A-MSDU has, and so
/// counts up to 16 octets more of each.
pub const TOLERANCE: u64 = 25;
/// And in any case this many octets: what is under way when a device leaves.
pub const SLACK: u64 = 64 << 10;

/// Who reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Side {
    /// The radio.
    Radio,
    /// The gateway that serves the device.
    Service,
}

/// Totals of a session as one side counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Increases with each report of this side; a smaller one is old news.
    pub sequence: u32,
    /// From the device. Stores keep octets and packets up to 2^63-1.
    pub up_octets: u64,
    /// To the device.
    pub down_octets: u64,
    /// From the device.
    pub up_packets: u64,
    /// To the device.
    pub down_packets: u64,
    /// How long it lasts.
    pub seconds: u32,
    /// Of the device at the radio, in dBm; 0: unknown.
    pub rssi_dbm: i32,
    /// This was the last report.
    pub ended: bool,
    /// When the report came in: Unix time in milliseconds, up to 2^63-1.
    pub at: u64,
}

impl Totals {
    /// Totals never become less: who reports less has been restarted, and forgot.
    fn not_below(self, before: &Totals) -> Totals {
        Totals {
            up_octets: self.up_octets.max(before.up_octets),
            down_octets: self.down_octets.max(before.down_octets),
            up_packets: self.up_packets.max(before.up_packets),
            down_packets: self.down_packets.max(before.down_packets),
            seconds: self.seconds.max(before.seconds),
            ..self
        }
    }

    /// As any store can keep them.
    fn kept(self) -> Totals {
        const MOST: u64 = i64::MAX as u64;
        Totals {
            up_octets: self.up_octets.min(MOST),
            down_octets: self.down_octets.min(MOST),
            up_packets: self.up_packets.min(MOST),
            down_packets: self.down_packets.min(MOST),
            at: self.at.min(MOST),
            ..self
        }
    }
}

/// One side's report of a session. Session, client and the service's account identify what it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Whose the service is; `None`: the pool's.
    pub account: Option<AccountId>,
    /// Of the tunnel, RFC 5415 section 4.6.37.
    pub session: [u8; 16],
    /// The device.
    pub client: MacAddr,
    /// What it is connected to.
    pub service: Uuid,
    /// Through which radio.
    pub radio: MacAddr,
    /// Whose the radio is; `None`: the pool's.
    pub radio_account: Option<AccountId>,
    /// Who reports.
    pub side: Side,
    /// What.
    pub totals: Totals,
}

/// A session as far as it was reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Whose the service is; `None`: the pool's.
    pub account: Option<AccountId>,
    /// Of the tunnel.
    pub session: [u8; 16],
    /// The device.
    pub client: MacAddr,
    /// What it is connected to.
    pub service: Uuid,
    /// Through which radio.
    pub radio: MacAddr,
    /// Whose the radio is; `None`: the pool's.
    pub radio_account: Option<AccountId>,
    /// When the first report came in: Unix time in milliseconds.
    pub first: u64,
    /// What the radio said last.
    pub by_radio: Option<Totals>,
    /// What the gateway said last.
    pub by_service: Option<Totals>,
}

impl Session {
    /// After its first report. What is not of one side stays as the first report said.
    pub(crate) fn new(report: &Report) -> Session {
        let mut session = Session {
            account: report.account.clone(),
            session: report.session,
            client: report.client,
            service: report.service,
            radio: report.radio,
            radio_account: report.radio_account.clone(),
            first: report.totals.kept().at,
            by_radio: None,
            by_service: None,
        };
        session.merge(report);
        session
    }

    /// After one more report; whether it was news.
    pub(crate) fn merge(&mut self, report: &Report) -> bool {
        let side = match report.side {
            Side::Radio => &mut self.by_radio,
            Side::Service => &mut self.by_service,
        };
        let news = side.is_none_or(|known| report.totals.sequence > known.sequence);
        if news {
            let before = side.unwrap_or_default();
            *side = Some(report.totals.kept().not_below(&before));
        }
        news
    }

    /// Whether both sides said their last, and differ by more than [`TOLERANCE`] and [`SLACK`] in what the device used.
    pub fn disagrees(&self) -> bool {
        let (Some(radio), Some(service)) = (self.by_radio, self.by_service) else { return false };
        let differ = |a: u64, b: u64| a.abs_diff(b) > SLACK && a.abs_diff(b) > a.max(b) / 100 * TOLERANCE;
        radio.ended
            && service.ended
            && (differ(radio.up_octets, service.up_octets) || differ(radio.down_octets, service.down_octets))
    }

    /// When the last report came in.
    pub fn last(&self) -> u64 {
        [self.by_radio, self.by_service]
            .into_iter()
            .flatten()
            .map(|totals| totals.at)
            .max()
            .unwrap_or(self.first)
    }

    /// Where it is among the others.
    pub fn cursor(&self) -> Cursor {
        Cursor { first: self.first, id: session_key(self.account.as_ref(), &self.session, self.client) }
    }
}

/// Which sessions. All conditions must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// The first report came in then or later (Unix time in milliseconds).
    pub from: u64,
    /// The first report came in before.
    pub to: u64,
    /// Service or radio are the account's; `Some(None)`: the pool's.
    pub account: Option<Option<AccountId>>,
    /// Through this radio.
    pub radio: Option<MacAddr>,
    /// To this service.
    pub service: Option<Uuid>,
    /// Only those after this one.
    pub after: Option<Cursor>,
    /// At most so many, and at most [`MAX_PAGE`].
    pub limit: usize,
}

impl Default for Query {
    /// All.
    fn default() -> Self {
        let (account, radio, service, after) = (None, None, None, None);
        Query { from: 0, to: u64::MAX, account, radio, service, after, limit: MAX_PAGE }
    }
}

impl Query {
    pub(crate) fn limit(&self) -> usize {
        self.limit.clamp(1, MAX_PAGE)
    }

    pub(crate) fn matches(&self, session: &Session) -> bool {
        (self.from..self.to).contains(&session.first)
            && self.account.as_ref().is_none_or(|a| session.account == *a || session.radio_account == *a)
            && self.radio.is_none_or(|radio| session.radio == radio)
            && self.service.is_none_or(|service| session.service == service)
            && self.after.as_ref().is_none_or(|after| session.cursor() > *after)
    }
}

/// A place among sessions: they are sorted by the time of their first report, then by account, session and client.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Cursor {
    pub(crate) first: u64,
    pub(crate) id: SessionKey,
}

impl Cursor {
    /// As a text, for those who come back with it.
    pub fn token(&self) -> String {
        let (account, session, client) = &self.id;
        let hex = |octets: &[u8]| octets.iter().map(|octet| format!("{octet:02x}")).collect::<String>();
        format!("{:016x}{}{}{account}", self.first, hex(session), hex(client))
    }

    /// From such a text.
    pub fn from_token(token: &str) -> Option<Cursor> {
        let octets = |from: usize, to: usize| -> Option<Vec<u8>> {
            let digits = token.get(from..to)?.as_bytes().chunks(2);
            digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
        };
        let first = u64::from_be_bytes(octets(0, 16)?.try_into().ok()?);
        let (session, client) = (octets(16, 48)?.try_into().ok()?, octets(48, 60)?.try_into().ok()?);
        Some(Cursor { first, id: (token.get(60..)?.to_owned(), session, client) })
    }
}

/// Some of the sessions that were asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// In their order.
    pub sessions: Vec<Session>,
    /// There are more after this one.
    pub more: Option<Cursor>,
}

/// Account, session, client.
pub(crate) type SessionKey = (String, [u8; 16], [u8; 6]);

pub(crate) fn session_key(account: Option<&AccountId>, session: &[u8; 16], client: MacAddr) -> SessionKey {
    (scope(account), *session, client.0)
}

impl Report {
    pub(crate) fn key(&self) -> SessionKey {
        session_key(self.account.as_ref(), &self.session, self.client)
    }
}

/// As octets that sort by account, session, client.
pub(crate) fn key_bytes((account, session, client): &SessionKey) -> Vec<u8> {
    // No address of an account has a zero octet, so the shorter sorts first.
    [account.as_bytes(), &[0], session, client].concat()
}

impl Session {
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut out = Writer(vec![1]);
        out.long(scope(self.account.as_ref()).as_bytes());
        out.bytes(&self.session);
        out.bytes(&self.client.0);
        out.bytes(self.service.as_bytes());
        out.bytes(&self.radio.0);
        out.long(scope(self.radio_account.as_ref()).as_bytes());
        out.bytes(&self.first.to_be_bytes());
        for side in [self.by_radio, self.by_service] {
            out.option(side, |out, totals| {
                out.bytes(&totals.sequence.to_be_bytes());
                for count in [totals.up_octets, totals.down_octets, totals.up_packets, totals.down_packets] {
                    out.bytes(&count.to_be_bytes());
                }
                out.bytes(&totals.seconds.to_be_bytes());
                out.bytes(&totals.rssi_dbm.to_be_bytes());
                out.byte(totals.ended.into());
                out.bytes(&totals.at.to_be_bytes());
            });
        }
        out.0
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Session> {
        let mut from = Reader(bytes);
        if from.byte()? != 1 {
            return None;
        }
        let mut session = Session {
            account: unscope(&from.text()?)?,
            session: from.array()?,
            client: MacAddr(from.array()?),
            service: Uuid::from_bytes(from.array()?),
            radio: MacAddr(from.array()?),
            radio_account: unscope(&from.text()?)?,
            first: u64::from_be_bytes(from.array()?),
            by_radio: None,
            by_service: None,
        };
        for side in [&mut session.by_radio, &mut session.by_service] {
            *side = from.option(|from| {
                Some(Totals {
                    sequence: u32::from_be_bytes(from.array()?),
                    up_octets: u64::from_be_bytes(from.array()?),
                    down_octets: u64::from_be_bytes(from.array()?),
                    up_packets: u64::from_be_bytes(from.array()?),
                    down_packets: u64::from_be_bytes(from.array()?),
                    seconds: u32::from_be_bytes(from.array()?),
                    rssi_dbm: i32::from_be_bytes(from.array()?),
                    ended: from.flag()?,
                    at: u64::from_be_bytes(from.array()?),
                })
            })?;
        }
        from.0.is_empty().then_some(session)
    }
}
