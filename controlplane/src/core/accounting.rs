//! Accounting: what a session used, told to RADIUS at its start, now and then, and at its end.

use std::{
    net::IpAddr,
    ops::Add,
    time::{Duration, SystemTime},
};

use authenticator::{Info, Input, SessionId, TerminateCause, Time};
use dot11::MacAddr;
use proto::{admin::session_change::Kind, gateway as pb, gateway::command};
use radius::{
    accounting::{AcctEvent, AcctRecord, Authentic, Usage},
    packet,
};

use super::{
    Core, mac, octets,
    reports::{Counted, Last, OnTunnel, Used},
    sessions::SessionKey,
    timers::Subject,
};
use crate::aaa::association;

/// Octets and packets of a session. A gateway counts from each association; a session may see several.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Totals {
    sum: Count,
    /// What the gateway said last.
    last: Count,
    /// The next thing the gateway says is the last of the association before.
    begins_anew: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Count {
    pub up_packets: u64,
    pub up_octets: u64,
    pub down_packets: u64,
    pub down_octets: u64,
}

impl Add for Count {
    type Output = Count;

    fn add(self, other: Count) -> Count {
        Count {
            up_packets: self.up_packets.saturating_add(other.up_packets),
            up_octets: self.up_octets.saturating_add(other.up_octets),
            down_packets: self.down_packets.saturating_add(other.down_packets),
            down_octets: self.down_octets.saturating_add(other.down_octets),
        }
    }
}

impl Totals {
    /// What the gateway now says. Less than before: it began anew.
    pub fn update(&mut self, counters: &pb::Counters) {
        let new = Count::from(counters);
        let anew = new.up_packets < self.last.up_packets || new.down_packets < self.last.down_packets;
        let base = if anew { Count::default() } else { self.last };
        self.sum.up_packets += new.up_packets - base.up_packets;
        self.sum.up_octets += new.up_octets.saturating_sub(base.up_octets);
        self.sum.down_packets += new.down_packets - base.down_packets;
        self.sum.down_octets += new.down_octets.saturating_sub(base.down_octets);
        self.last = if std::mem::take(&mut self.begins_anew) { Count::default() } else { new };
    }

    /// The gateway has been told to begin anew; it will say what it had until then first.
    pub fn begin_anew(&mut self) {
        self.begins_anew = true;
    }

    /// The gateway begins anew, and has said what it had until then.
    pub fn begin_from_nothing(&mut self) {
        self.last = Count::default();
    }

    /// Everything so far, for the session that ends; the next one starts from nothing.
    pub fn take(&mut self) -> Totals {
        let ended = self.clone();
        self.sum = Count::default();
        ended
    }

    /// The gateway's last word for the session that ended is where the next one starts from.
    pub fn start_from(&mut self, counters: &pb::Counters) {
        self.update(counters);
        self.sum = Count::default();
    }

    /// Everything so far.
    pub fn now(&self) -> Count {
        self.sum
    }

    /// For the blob: sum, then what the gateway said last.
    pub fn to_numbers(&self) -> Vec<u64> {
        [self.sum, self.last]
            .into_iter()
            .flat_map(|c| [c.up_packets, c.up_octets, c.down_packets, c.down_octets])
            .collect()
    }

    /// From the blob; anything else than eight numbers is from before there were any.
    pub fn from_numbers(numbers: &[u64]) -> Totals {
        let count =
            |n: &[u64]| Count { up_packets: n[0], up_octets: n[1], down_packets: n[2], down_octets: n[3] };
        match numbers.len() {
            8 => Totals { sum: count(&numbers[..4]), last: count(&numbers[4..]), begins_anew: false },
            _ => Totals::default(),
        }
    }
}

impl From<&pb::Counters> for Count {
    fn from(counters: &pb::Counters) -> Count {
        Count {
            up_packets: counters.up_packets,
            up_octets: counters.up_octets,
            down_packets: counters.down_packets,
            down_octets: counters.down_octets,
        }
    }
}

/// An accounting session. It keeps who it belongs to: by the time it stops, the device may be somebody else.
pub(super) struct Account {
    id: SessionId,
    /// RADIUS group; `None` when nobody wants records of the service.
    group: Option<String>,
    record: AcctRecord,
    pub since: Time,
    /// What the matchmaker's reports are about.
    pub tunnel: Option<OnTunnel>,
    counted: Option<Counted>,
}

impl Account {
    pub fn id(&self) -> SessionId {
        self.id
    }
}

/// A session that ended; its record waits for the gateway's last word on what it used.
pub(super) struct PendingStop {
    account: Account,
    cause: packet::TerminateCause,
    lasted: Duration,
    totals: Totals,
    /// By the same device on the same tunnel.
    before: Used,
    rssi_dbm: i32,
}

/// So long the record of a session that ended waits for the gateway's last totals.
const LAST_TOTALS: Duration = Duration::from_secs(2);

impl Core {
    pub(super) fn account_start(&mut self, key: SessionKey) {
        self.adopt_account(key);
        if let Some(account) = self.sessions.get(&key).and_then(|session| session.account.as_ref()) {
            if let Some(group) = &account.group {
                self.aaa.account(group, account.record.clone());
            }
            self.counters.add("accounting_starts", 1);
        }
        self.arm_interim(key);
    }

    /// Notes whose the accounting session is that the authenticator says is under way.
    pub(super) fn adopt_account(&mut self, key: SessionKey) {
        let Some(session) = self.sessions.get(&key) else { return };
        let Some(service) = self.services.get(&session.service) else { return };
        let info = session.station.info();
        let Some((id, since)) = info.session else { return };
        let mut record = AcctRecord::new(id.to_string(), AcctEvent::Start, SystemTime::now());
        record.association = Some(association(key, &service.config.ssid, info.akm));
        record.user_name = Some(user_name_octets(&info, key.mac));
        record.authentic =
            Some(if service.config.security.is_eap() { Authentic::Radius } else { Authentic::Local });
        record.chargeable_user_identity = session.chargeable_user_identity.clone();
        record.class = info.class;
        for address in &session.addresses {
            add_address(&mut record, *address);
        }
        let (service, group) = (session.service, service.config.radius.clone());
        let radio = self.radios.get(&key.bssid);
        let tunnel = radio.and_then(OnTunnel::to_report);
        let counted = radio.map(|radio| self.online.count(&radio.gateway, service));
        let account = Account { id, group, record, since, tunnel, counted };
        if let Some(session) = self.sessions.get_mut(&key) {
            session.account = Some(account);
        }
        self.arm_report(key);
    }

    /// The address of a device becomes known after the start: servers that log it want to hear.
    pub(super) fn account_address(&mut self, key: SessionKey, address: IpAddr) {
        if let Some(account) = self.sessions.get_mut(&key).and_then(|session| session.account.as_mut()) {
            add_address(&mut account.record, address);
            self.account_interim(key);
        }
    }

    pub(super) fn account_interim(&mut self, key: SessionKey) {
        let now = self.clock.now();
        let Some(session) = self.sessions.get(&key) else { return };
        let Some(account) = &session.account else { return };
        if let Some(group) = &account.group {
            let mut record = account.record.clone();
            record.event = AcctEvent::Interim(usage(&session.totals, now.since(account.since)));
            record.event_time = SystemTime::now();
            self.aaa.account(group, record);
            self.counters.add("accounting_interims", 1);
        }
        self.arm_interim(key);
    }

    pub(super) fn account_stop(&mut self, key: SessionKey, id: SessionId, cause: TerminateCause) {
        self.timers.set(Subject::Interim(key), None);
        self.timers.set(Subject::Report(key), None);
        // One that is still waiting goes out with what is known.
        self.finish_stop(key);
        let now = self.clock.now();
        let before = self.used_before(key);
        let Some(session) = self.sessions.get_mut(&key) else { return };
        let Some(mut account) = session.account.take_if(|account| account.id == id) else {
            tracing::error!(client = %key.mac, %id, "an accounting session ended that never began");
            return;
        };
        account.record.event_time = SystemTime::now();
        account.counted = None;
        let stop = PendingStop {
            lasted: now.since(account.since),
            account,
            cause: packet::TerminateCause(cause as u32),
            totals: session.totals.take(),
            before,
            rssi_dbm: session.rssi_dbm,
        };
        self.stops.insert(key, stop);
        self.timers.set(Subject::Stop(key), Some(now + LAST_TOTALS));
        let request = pb::CountersRequest { bssid: octets(&key.bssid.0), mac: octets(&key.mac.0) };
        self.command_radio(key.bssid, command::Command::CountersRequest(request));
        self.counters.add("accounting_stops", 1);
    }

    /// Sends the record of a session that ended, with the totals that are known now.
    pub(super) fn finish_stop(&mut self, key: SessionKey) {
        self.timers.set(Subject::Stop(key), None);
        let Some(PendingStop { account, cause, lasted, totals, before, rssi_dbm }) = self.stops.remove(&key)
        else {
            return;
        };
        self.report_end(key, &account, before, Last { count: totals.now(), lasted, rssi_dbm });
        if let Some(group) = account.group {
            let mut record = account.record;
            record.event = AcctEvent::Stop(usage(&totals, lasted), cause);
            self.aaa.account(&group, record);
        }
    }

    /// Sends the records of all sessions that have ended: control is about to.
    pub(super) fn finish_stops(&mut self) {
        let keys: Vec<_> = self.stops.keys().copied().collect();
        for key in keys {
            self.finish_stop(key);
        }
    }

    pub(super) fn station_counters(&mut self, counters: &pb::Counters) {
        let (Some(bssid), Some(mac)) = (mac(&counters.bssid), mac(&counters.mac)) else { return };
        let key = SessionKey { bssid, mac };
        if let Some(stop) = self.stops.get_mut(&key) {
            stop.totals.update(counters);
            if let Some(session) = self.sessions.get_mut(&key) {
                session.totals.start_from(counters);
            }
            self.finish_stop(key);
            return;
        }
        if let Some(session) = self.sessions.get_mut(&key) {
            session.totals.update(counters);
            if counters.rssi_dbm != 0 {
                session.rssi_dbm = counters.rssi_dbm;
            }
            self.publish(key, Kind::Updated, "");
        }
    }

    /// Wakes the session for its next interim update, if it is to have any.
    pub(super) fn arm_interim(&mut self, key: SessionKey) {
        let Some(session) = self.sessions.get(&key) else { return };
        let info = session.station.info();
        let group = self.services.get(&session.service).and_then(|service| service.config.radius.as_deref());
        let interval = info.interim_interval.or_else(|| group.and_then(|group| self.aaa.interim(group)));
        let next = match (info.session, interval) {
            (Some(_), Some(interval)) => Some(self.clock.now() + interval),
            _ => None,
        };
        self.timers.set(Subject::Interim(key), next);
    }

    /// What has come due.
    pub(super) fn run_timers(&mut self) {
        let now = self.clock.now();
        while let Some(subject) = self.timers.pop(now) {
            match subject {
                // While the gateway is away nothing that a state machine does reaches anybody. Adoption winds the timers again.
                Subject::Session(key) if self.is_detached(key.bssid) => {}
                Subject::Radio(bssid) if self.is_detached(bssid) => {}
                Subject::Session(key) => {
                    self.input(key, Input::Timeout);
                    self.drain_radio(key.bssid);
                }
                Subject::Interim(key) => self.account_interim(key),
                Subject::Report(key) => self.report_usage(key),
                Subject::Stop(key) => self.finish_stop(key),
                Subject::Radio(bssid) => self.radio_timeout(bssid),
                Subject::Punch(bssid, turn) => self.punch(bssid, turn),
                Subject::Matchmaking => self.renew_registrations(),
                Subject::Unsent => self.send_unsent(),
                Subject::Peer(connection) => self.drain_peer(connection),
                Subject::LostGateways => self.give_up_lost_gateways(),
                Subject::Orphans => self.close_orphans(),
            }
        }
    }

    /// Every gateway that lives has had time to report: sessions on record that are not here ended with their gateway.
    fn close_orphans(&self) {
        let live = self.sessions.values().filter_map(|session| session.account.as_ref());
        let ending = self.stops.values().map(|stop| &stop.account);
        self.aaa.close_orphans(live.chain(ending).map(|account| account.id.to_string()).collect());
    }

    fn is_detached(&self, bssid: MacAddr) -> bool {
        self.radios.get(&bssid).is_some_and(|radio| radio.connection.is_none())
    }
}

fn add_address(record: &mut AcctRecord, address: IpAddr) {
    match address {
        IpAddr::V4(address) => record.ip_address = Some(address),
        IpAddr::V6(address) => record.ipv6_address = Some(address),
    }
}

fn usage(totals: &Totals, lasted: Duration) -> Usage {
    let count = totals.now();
    Usage {
        session_time: lasted,
        input_octets: count.up_octets,
        output_octets: count.down_octets,
        input_packets: count.up_packets,
        output_packets: count.down_packets,
    }
}

/// Who the device proved to be: the EAP identity, or the name of its passphrase.
pub(super) fn user_name(info: &Info) -> String {
    match (&info.identity, &info.psk) {
        (Some(identity), _) => String::from_utf8_lossy(identity).into_owned(),
        (None, Some(name)) => name.to_string(),
        (None, None) => String::new(),
    }
}

fn user_name_octets(info: &Info, mac: MacAddr) -> Vec<u8> {
    match (&info.identity, &info.psk) {
        (Some(identity), _) => identity.clone(),
        (None, Some(name)) => name.as_bytes().to_vec(),
        // RFC 3580 §3.1 has no user name for such a device: its address, as Calling-Station-Id writes it.
        (None, None) => mac.0.map(|octet| format!("{octet:02X}")).join("-").into_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(up: u64, down: u64) -> pb::Counters {
        pb::Counters {
            up_packets: up,
            up_octets: up * 100,
            down_packets: down,
            down_octets: down * 10,
            ..Default::default()
        }
    }

    fn packets(totals: &Totals) -> (u64, u64) {
        (totals.now().up_packets, totals.now().down_packets)
    }

    #[test]
    fn a_gateway_that_counts_anew_loses_nothing() {
        let mut totals = Totals::default();
        totals.update(&said(5, 7));
        totals.update(&said(6, 9));
        totals.update(&said(1, 0));
        let now = totals.now();
        assert_eq!((now.up_packets, now.up_octets, now.down_packets, now.down_octets), (7, 700, 9, 90));
    }

    #[test]
    fn an_association_that_overtakes_the_last_one_is_counted_whole() {
        let mut totals = Totals::default();
        totals.update(&said(5, 5));
        totals.begin_anew();
        totals.update(&said(6, 6));
        totals.update(&said(10, 10));
        assert_eq!(packets(&totals), (16, 16));
    }

    #[test]
    fn the_next_session_is_not_billed_for_the_last_one() {
        let mut totals = Totals::default();
        totals.update(&said(5, 5));
        let mut ended = totals.take();
        ended.update(&said(7, 8));
        totals.start_from(&said(7, 8));
        totals.update(&said(9, 9));
        assert_eq!((packets(&ended), packets(&totals)), ((7, 8), (2, 1)));
    }

    #[test]
    fn a_device_that_comes_back_and_uses_more_is_counted_whole() {
        let mut totals = Totals::default();
        totals.start_from(&said(7, 8));
        totals.begin_from_nothing();
        totals.update(&said(9, 9));
        assert_eq!(packets(&totals), (9, 9));
    }

    #[test]
    fn totals_survive_control() {
        let mut totals = Totals::default();
        totals.update(&said(5, 5));
        totals.update(&said(1, 1));
        let mut restored = Totals::from_numbers(&totals.to_numbers());
        assert_eq!(restored, totals);
        restored.update(&said(4, 2));
        assert_eq!(packets(&restored), (9, 7));
        assert_eq!(Totals::from_numbers(&[]), Totals::default());
    }
}
