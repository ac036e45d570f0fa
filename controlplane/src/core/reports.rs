//! What devices used, reported to the matchmaker: it joins that with what their radios say, and it remembers who is connected.
//!
//! One record is of one device on one tunnel, however often the device leaves and comes back while the tunnel is there. Reports
//! are totals, so one that is lost is made good by the next; the last one of a session is repeated until it is on record.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use authenticator::Time;
use dot11::MacAddr;
use matchmaker::Uuid;
use proto::matchmaking::messages::{self as mm, answer::Answer, failure::Reason, request::Request};

use super::{
    Connection, Core,
    accounting::{Account, Count},
    mac, octets,
    radios::Bss,
    registration::Asked,
    sessions::SessionKey,
    timers::Subject,
};
use crate::clock::unix_ms;

/// The first report of a session comes so long after its start. Most devices that only pass by have left before.
const FIRST: Duration = Duration::from_secs(60);
/// The next ones at this interval: the matchmaker forgets after ten minutes.
const INTERVAL: Duration = Duration::from_secs(240);
/// Reports under way at a time.
const MAX_ASKED: usize = 128;
/// Reports that wait.
const MAX_WAITING: usize = 1 << 17;

/// What a device used on a tunnel in the sessions that are over.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Used {
    count: Count,
    lasted: Duration,
    /// Of the last report.
    sequence: u32,
}

/// The tunnel that a session's reports are about.
#[derive(Debug, Clone, Copy)]
pub(super) struct OnTunnel {
    session_id: [u8; 16],
    radio: MacAddr,
    service: Uuid,
}

/// Reports on their way to the matchmaker.
#[derive(Default)]
pub(super) struct Reports {
    waiting: VecDeque<mm::Accounting>,
    asked: usize,
}

/// Sessions under way, for each gateway and service.
#[derive(Default)]
pub(super) struct Online(HashMap<(String, Uuid), Arc<AtomicU32>>);

/// One session under way; it is not any more when this is dropped.
#[derive(Debug)]
pub(super) struct Counted(Arc<AtomicU32>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Online {
    pub fn count(&mut self, gateway: &str, service: Uuid) -> Counted {
        let counter = self.0.entry((gateway.to_owned(), service)).or_default().clone();
        counter.fetch_add(1, Ordering::Relaxed);
        Counted(counter)
    }

    pub fn of(&self, gateway: &str, service: Uuid) -> u32 {
        self.0.get(&(gateway.to_owned(), service)).map_or(0, |counter| counter.load(Ordering::Relaxed))
    }
}

impl Used {
    /// With one more session.
    pub fn and(self, count: Count, lasted: Duration) -> Used {
        Used { count: self.count + count, lasted: self.lasted + lasted, sequence: self.sequence }
    }

    /// The number of the next report: larger than any before, also than those of an earlier control process.
    fn next(&mut self, now: Time) -> u32 {
        let seconds = u32::try_from(unix_ms(now) / 1000).unwrap_or(u32::MAX);
        self.sequence = seconds.max(self.sequence.saturating_add(1));
        self.sequence
    }
}

impl OnTunnel {
    /// Nobody but the matchmaker wants reports, and only of what it introduced.
    pub fn to_report(radio: &Bss) -> Option<OnTunnel> {
        let tunnel = &radio.tunnel;
        radio.key.as_ref()?;
        Some(OnTunnel { session_id: tunnel.session_id, radio: tunnel.radio, service: tunnel.service })
    }
}

impl Core {
    /// The session's next report comes due then.
    pub(super) fn arm_report(&mut self, key: SessionKey) {
        let reported = self.sessions.get(&key).and_then(|session| session.account.as_ref()?.tunnel);
        let due = reported.map(|_| self.clock.now() + FIRST);
        self.timers.set(Subject::Report(key), due);
    }

    /// Reports a session that goes on.
    pub(super) fn report_usage(&mut self, key: SessionKey) {
        let now = self.clock.now();
        let Some(session) = self.sessions.get(&key) else { return };
        let Some((since, Some(tunnel))) =
            session.account.as_ref().map(|account| (account.since, account.tunnel))
        else {
            return;
        };
        let (count, rssi_dbm) = (session.totals.now(), session.rssi_dbm);
        if let Some(radio) = self.radios.get_mut(&key.bssid) {
            let used = radio.used.entry(key.mac).or_default();
            used.next(now);
            let so_far = used.and(count, now.since(since));
            self.report(message(key, tunnel, so_far, rssi_dbm, false));
        }
        self.timers.set(Subject::Report(key), Some(now + INTERVAL));
    }

    /// What the device used on its tunnel in sessions before.
    pub(super) fn used_before(&self, key: SessionKey) -> Used {
        let used = self.radios.get(&key.bssid).and_then(|radio| radio.used.get(&key.mac));
        used.copied().unwrap_or_default()
    }

    /// Reports a session that is over, with all that it used. `before`: see [`Core::used_before`].
    pub(super) fn report_end(&mut self, key: SessionKey, account: &Account, before: Used, last: Last) {
        let Some(tunnel) = account.tunnel else { return };
        let mut used = before.and(last.count, last.lasted);
        used.next(self.clock.now());
        if let Some(radio) = self.radios.get_mut(&key.bssid)
            && radio.tunnel.session_id == tunnel.session_id
        {
            radio.used.insert(key.mac, used);
        }
        self.report(message(key, tunnel, used, last.rssi_dbm, true));
    }

    fn report(&mut self, report: mm::Accounting) {
        if self.reports.waiting.len() == MAX_WAITING {
            self.counters.add("usage_reports_lost", 1);
            return;
        }
        self.reports.waiting.push_back(report);
        self.send_reports();
    }

    /// Sends what waits, through whichever gateway there is.
    pub(super) fn send_reports(&mut self) {
        while self.reports.asked < MAX_ASKED {
            let Some(report) = self.reports.waiting.front() else { return };
            let of_radio = mac(&report.bssid).and_then(|bssid| self.radios.get(&bssid)?.connection);
            let registered = |connection: &Connection| self.registrations.contains_key(connection);
            let connection =
                of_radio.filter(registered).or_else(|| self.registrations.keys().next().copied());
            let Some(connection) = connection else { return };
            let asked = Asked::Report(Box::new(report.clone()));
            if !self.ask(connection, Request::Accounting(report.clone()), asked) {
                return;
            }
            self.reports.waiting.pop_front();
            self.reports.asked += 1;
            self.counters.add("usage_reports", 1);
            self.drain_peer(connection);
        }
    }

    /// What became of a report; `None`: the matchmaker did not answer, or nobody is left to hear the answer.
    pub(super) fn reported(&mut self, report: mm::Accounting, answer: Option<&Answer>) {
        self.reports.asked = self.reports.asked.saturating_sub(1);
        let again = match answer {
            None => true,
            Some(Answer::Failure(failure)) => match failure.reason() {
                Reason::Rate | Reason::NotRegistered | Reason::Overload => true,
                _ => {
                    tracing::warn!(client = ?report.client, reason = failure.text, "the matchmaker does not take what a device used");
                    self.counters.add("usage_reports_refused", 1);
                    false
                }
            },
            Some(_) => false,
        };
        if !again {
            return self.send_reports();
        }
        // The next one of a session that goes on says all that this one said. It waits for the next renewal of registrations.
        if report.ended && self.reports.waiting.len() < MAX_WAITING {
            self.reports.waiting.push_back(report);
        }
    }
}

/// The last that is known of a session.
pub(super) struct Last {
    pub count: Count,
    pub lasted: Duration,
    pub rssi_dbm: i32,
}

fn message(key: SessionKey, tunnel: OnTunnel, used: Used, rssi_dbm: i32, ended: bool) -> mm::Accounting {
    mm::Accounting {
        session_id: tunnel.session_id.to_vec(),
        client: octets(&key.mac.0),
        service: octets(tunnel.service.as_bytes()),
        radio: octets(&tunnel.radio.0),
        sequence: used.sequence,
        up_octets: used.count.up_octets,
        down_octets: used.count.down_octets,
        up_packets: used.count.up_packets,
        down_packets: used.count.down_packets,
        seconds: u32::try_from(used.lasted.as_secs()).unwrap_or(u32::MAX),
        rssi_dbm,
        ended,
        side: mm::accounting::Side::Service.into(),
        bssid: octets(&key.bssid.0),
    }
}
