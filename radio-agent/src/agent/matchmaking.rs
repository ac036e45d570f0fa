//! What the agent says to the matchmaker, and what it does with the answers: registration, look-ups, introductions.

use std::time::Duration;

use dot11::MacAddr;
use proto::matchmaking::messages::{self, answer::Answer, failure::Reason, request::Request};
use proto::matchmaking::peer::MAX_REQUESTS;
use proto::tunnel::{Hello, ServiceUuid, SessionId, TunnelKey};

use super::link::{Link, OtherEnd};
use super::near::Device;
use super::reports::{self, Report, Reports};
use super::slot::{Client, Progress, Slot};
use super::{Agent, Event, Output, Why};
use crate::config::{Location, Matchmaking};

/// A registration that fails is tried again after this, if the matchmaker does not say more.
const REGISTER_AGAIN: Duration = Duration::from_secs(5);

/// The shortest time from one registration to the next.
const REGISTER_LEAST: Duration = Duration::from_secs(1);

/// A look-up that fails is repeated after this, if the matchmaker does not say more; an answer is good for at least this.
const LOOK_UP_AGAIN: Duration = Duration::from_secs(5);

/// Devices of a look-up: what the matchmaker takes.
const MAX_DEVICES: usize = 16;

/// Octets of a look-up's devices: what is left of a request beside the services that are shown.
const MAX_DEVICE_OCTETS: usize = 600;

/// Look-ups under way at a time.
const MAX_LOOK_UPS: usize = 2;

/// Introductions under way at a time, and those of devices that nobody expects.
const MAX_CONNECTS: usize = 32;
const MAX_UNEXPECTED: usize = 24;

/// A device whose introduction failed is ignored for this long, if the matchmaker does not say more.
const REFUSED_FOR: Duration = Duration::from_secs(5);

/// And at most for this long: whoever refuses it may change his mind.
const REFUSED_AT_MOST: Duration = Duration::from_secs(10);

/// If the matchmaker does not answer, or the gateway: the next attempt may succeed.
pub(super) const UNANSWERED_FOR: Duration = Duration::from_secs(2);

/// An introduction is good for at least this, or a device could not use it.
const LEAST_VALID: Duration = Duration::from_secs(2);

/// So much, and so much more each second.
#[derive(Debug)]
struct Bucket {
    /// In thousandths.
    level: u64,
    most: u64,
    per_second: u64,
    at: Duration,
}

impl Bucket {
    const fn new(most: u64, per_second: u64) -> Bucket {
        Bucket { level: most * 1000, most: most * 1000, per_second, at: Duration::ZERO }
    }

    fn take(&mut self, now: Duration) -> bool {
        // Whole milliseconds: the rest counts next time.
        let gained = now.saturating_sub(self.at).as_millis() as u64;
        self.at += Duration::from_millis(gained);
        self.level = self.most.min(self.level.saturating_add(gained.saturating_mul(self.per_second)));
        let full = self.level >= 1000;
        if full {
            self.level -= 1000;
        }
        full
    }

    /// When there is something to take.
    fn ready(&self) -> Duration {
        self.at + Duration::from_millis(1000u64.saturating_sub(self.level).div_ceil(self.per_second))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Registration {
    Due(Duration),
    Asked,
    /// To be repeated then.
    Good(Duration),
}

/// What an answer is waited for.
#[derive(Debug)]
enum Question {
    Register,
    LookUp(Vec<MacAddr>),
    Connect { slot: usize, device: MacAddr, session: SessionId },
    Report(Box<Report>),
}

/// The matchmaker, as the agent sees it.
#[derive(Debug)]
pub(super) struct Matchmaker {
    up_kbps: u32,
    down_kbps: u32,
    location: Option<Location>,
    registration: Registration,
    questions: Vec<(u32, Question)>,
    next: u32,
    look_ups: Bucket,
    connects: Bucket,
    reports: Reports,
    /// Devices of the next look-up: fewer after an answer in which not everything had place.
    batch: usize,
}

impl Matchmaker {
    pub(super) fn new(config: &Matchmaking) -> Matchmaker {
        Matchmaker {
            up_kbps: config.up_kbps.unwrap_or(0),
            down_kbps: config.down_kbps.unwrap_or(0),
            location: config.location.clone(),
            registration: Registration::Due(Duration::ZERO),
            questions: Vec::new(),
            next: 0,
            look_ups: Bucket::new(10, 2),
            connects: Bucket::new(8, 4),
            reports: Reports::default(),
            batch: MAX_DEVICES,
        }
    }

    fn number(&mut self) -> u32 {
        self.next = self.next.wrapping_add(1);
        self.next
    }

    fn under_way(&self, of: impl Fn(&Question) -> bool) -> usize {
        self.questions.iter().filter(|(_, question)| of(question)).count()
    }

    fn look_ups_under_way(&self) -> usize {
        self.under_way(|question| matches!(question, Question::LookUp(_)))
    }

    fn connects_under_way(&self) -> usize {
        self.under_way(|question| matches!(question, Question::Connect { .. }))
    }

    fn may_report(&self) -> bool {
        self.under_way(|question| matches!(question, Question::Report(_))) < reports::MAX_UNDER_WAY
    }

    fn register_at(&mut self, when: Duration) {
        if self.registration != Registration::Asked {
            self.registration = Registration::Due(when);
        }
    }
}

impl Agent {
    /// The matchmaker's answer to an [`Output::Ask`]; `None`: there will be none.
    pub fn answered(&mut self, ask: u32, answer: Option<Answer>, now: Duration) {
        let Some(matchmaker) = &mut self.matchmaker else { return };
        let Some(at) = matchmaker.questions.iter().position(|(id, _)| *id == ask) else { return };
        let (_, question) = matchmaker.questions.swap_remove(at);
        if let Some(Answer::Failure(failure)) = &answer
            && failure.reason() == Reason::NotRegistered
        {
            matchmaker.register_at(now);
        }
        match question {
            Question::Register => self.registered(answer, now),
            Question::LookUp(devices) => self.looked_up(&devices, answer, now),
            Question::Connect { slot, device, session } => self.connected(slot, device, session, answer, now),
            Question::Report(report) => {
                let taken = matchmaker.reports.answered(*report, answer.as_ref(), now);
                self.counters.reports_lost += u64::from(!taken);
            }
        }
    }

    /// The matchmaker lost what it was told: it is told again. What is on the air stays there, and who is associated; who begins
    /// is introduced anew, since a gateway whose control is with the matchmaker knows nothing of it either.
    pub fn epoch_changed(&mut self, now: Duration) {
        let Some(matchmaker) = &mut self.matchmaker else { return };
        matchmaker.registration = Registration::Due(now);
        let shown = self.slots.iter_mut().filter_map(|slot| slot.shown.as_mut());
        for client in shown.flat_map(|shown| &mut shown.clients) {
            if let Progress::Introduced { until } = &mut client.progress {
                *until = now.min(*until);
            }
        }
    }

    pub(super) fn matchmaking_deadline(&self) -> Option<Duration> {
        let matchmaker = self.matchmaker.as_ref()?;
        let registration = match matchmaker.registration {
            Registration::Due(when) | Registration::Good(when) => Some(when),
            Registration::Asked => None,
        };
        let look_up = self.near.next_look_up().filter(|_| matchmaker.look_ups_under_way() < MAX_LOOK_UPS);
        let look_up = look_up.map(|due| due.max(matchmaker.look_ups.ready()));
        let most = if self.wants(true) { MAX_CONNECTS } else { MAX_UNEXPECTED };
        let wanted = self.wants(true) || self.wants(false);
        let connect = (wanted && matchmaker.connects_under_way() < most).then(|| matchmaker.connects.ready());
        let report = matchmaker.reports.due().filter(|_| matchmaker.may_report());
        [registration, look_up, connect, report].into_iter().flatten().min()
    }

    /// Whether devices wait for being asked for.
    fn wants(&self, expected: bool) -> bool {
        let shown = self.slots.iter().filter_map(|slot| slot.shown.as_ref());
        let mut clients = shown.flat_map(|shown| &shown.clients);
        clients.any(|client| client.progress == Progress::Wanted && client.expected == expected)
    }

    /// Asks what is to be asked now.
    pub(super) fn ask_matchmaker(&mut self, now: Duration, draw: &mut dyn FnMut() -> SessionId) {
        self.register(now);
        self.connect(now, draw);
        self.look_up(now);
        self.report(now);
    }

    /// The last things that are said: reports as far as there is place for them among the peer's requests, since nobody waits for
    /// an answer, and then that the radio is gone.
    pub(super) fn unregister(&mut self) {
        if let Some(matchmaker) = &mut self.matchmaker {
            let others = matchmaker.questions.len() + self.slots.len() + 1;
            let last = std::iter::from_fn(|| matchmaker.reports.pop());
            let last: Vec<_> = last.take(MAX_REQUESTS.saturating_sub(others)).collect();
            last.into_iter().for_each(|report| self.tell(Request::Accounting(report.said)));
        }
        let radio = self.radio.0.to_vec();
        self.tell(Request::Unregister(messages::Unregister { radio, ..Default::default() }));
    }

    /// `gateway_lost`: another is to be found for its devices.
    pub(super) fn release(&mut self, bssid: MacAddr, service: ServiceUuid, gateway_lost: bool) {
        let (radio, bssid, service) = (self.radio.0.to_vec(), bssid.0.to_vec(), service.0.to_vec());
        self.tell(Request::Release(messages::Release { radio, bssid, service, gateway_lost }));
    }

    /// What devices of a BSS used.
    pub(super) fn account(
        &mut self,
        bssid: MacAddr,
        service: ServiceUuid,
        session: Option<SessionId>,
        reports: Vec<messages::Accounting>,
    ) {
        let Some(session) = session else { return };
        for mut report in reports {
            (report.radio, report.bssid) = (self.radio.0.to_vec(), bssid.0.to_vec());
            (report.service, report.session_id) = (service.0.to_vec(), session.0.to_vec());
            if let Some(matchmaker) = &mut self.matchmaker
                && !matchmaker.reports.push(report)
            {
                self.counters.reports_lost += 1;
            }
        }
    }

    /// Sends what is to be reported.
    fn report(&mut self, now: Duration) {
        while let Some(matchmaker) = self.matchmaker.as_mut().filter(|matchmaker| matchmaker.may_report()) {
            let Some(report) = matchmaker.reports.next(now) else { return };
            let request = Request::Accounting(report.said.clone());
            self.question(request, Question::Report(Box::new(report)));
        }
    }

    /// Says something to which the answer does not matter.
    fn tell(&mut self, request: Request) {
        if let Some(matchmaker) = &mut self.matchmaker {
            let ask = matchmaker.number();
            self.outputs.push_back(Output::Ask { ask, request });
        }
    }

    fn question(&mut self, request: Request, question: Question) {
        if let Some(matchmaker) = &mut self.matchmaker {
            let ask = matchmaker.number();
            matchmaker.questions.push((ask, question));
            self.outputs.push_back(Output::Ask { ask, request });
        }
    }

    fn register(&mut self, now: Duration) {
        let in_use = self.slots.iter().filter(|slot| slot.shown.is_some()).count();
        let Some(matchmaker) = &mut self.matchmaker else { return };
        match matchmaker.registration {
            Registration::Due(when) | Registration::Good(when) if when <= now => {}
            _ => return,
        }
        matchmaker.registration = Registration::Asked;
        let slots_load = in_use * 1000 / self.slots.len().max(1);
        let band = if self.channel.is_2ghz() { messages::Band::Band24Ghz } else { messages::Band::Band5Ghz };
        let request = messages::RegisterRadio {
            radio: self.radio.0.to_vec(),
            band: band.into(),
            channel: self.channel.number().into(),
            bssids: self.slots.len() as u32,
            up_kbps: matchmaker.up_kbps,
            down_kbps: matchmaker.down_kbps,
            load_permille: self.capacity.load_permille().max(slots_load as u32),
            location: matchmaker.location.as_ref().map(|location| messages::Location {
                latitude_e7: location.latitude_e7,
                longitude_e7: location.longitude_e7,
                civic: location.civic.clone(),
            }),
            // Its templates are those of 802.11g and 802.11a.
            capabilities: u32::from(!self.channel.is_2ghz()),
            neighbours: self.networks.neighbours().iter().map(|bssid| bssid.0.to_vec()).collect(),
        };
        self.question(Request::RegisterRadio(request), Question::Register);
    }

    fn registered(&mut self, answer: Option<Answer>, now: Duration) {
        let Some(matchmaker) = &mut self.matchmaker else { return };
        // A change of epoch meanwhile wants another one already.
        let asked = matchmaker.registration == Registration::Asked;
        let (next, event) = match answer {
            Some(Answer::Registered(registered)) => {
                let seconds = registered.lifetime_seconds;
                let next = Duration::from_secs(seconds.into()) / 4 * 3;
                (Registration::Good(now + next.max(REGISTER_LEAST)), Event::Registered { seconds })
            }
            Some(Answer::Failure(failure)) => {
                let next = Duration::from_secs(failure.retry_seconds.into()).max(REGISTER_AGAIN);
                (Registration::Due(now + next), Event::NotRegistered)
            }
            _ => (Registration::Due(now + REGISTER_AGAIN), Event::NotRegistered),
        };
        if asked {
            matchmaker.registration = next;
        }
        self.outputs.push_back(Output::Report(event));
    }

    /// Asks about the devices that wait for it.
    fn look_up(&mut self, now: Duration) {
        loop {
            let Some(matchmaker) = &mut self.matchmaker else { return };
            if self.near.next_look_up().is_none_or(|due| now < due)
                || matchmaker.look_ups_under_way() >= MAX_LOOK_UPS
                || !matchmaker.look_ups.take(now)
            {
                return;
            }
            let (mut devices, mut addresses, mut octets) = (Vec::new(), Vec::new(), 0);
            for device in self.near.due(now) {
                octets += octets_of(device);
                if devices.len() == matchmaker.batch || octets > MAX_DEVICE_OCTETS {
                    break;
                }
                let connected = self.bsses.iter().any(|bss| bss.stations.contains(device.address))
                    || self
                        .slots
                        .iter()
                        .filter_map(|slot| slot.shown.as_ref())
                        .any(|shown| shown.stations.contains(device.address));
                devices.push(messages::Device {
                    client: device.address.0.to_vec(),
                    rssi_dbm: device.rssi().unwrap_or(0).into(),
                    ssids: device.ssids.iter().map(|ssid| ssid.as_bytes().to_vec()).collect(),
                    other_band: device.other_band,
                    connected,
                });
                addresses.push(device.address);
            }
            for address in &addresses {
                if let Some(device) = self.near.get_mut(*address) {
                    device.is_asked(now);
                }
            }
            let shown = self.slots.iter().filter_map(|slot| slot.shown.as_ref());
            let shown = shown.map(|shown| shown.service.0.to_vec()).collect();
            let request = messages::LookUp { radio: self.radio.0.to_vec(), devices, shown };
            self.counters.look_ups += 1;
            self.question(Request::LookUp(request), Question::LookUp(addresses));
        }
    }

    fn looked_up(&mut self, devices: &[MacAddr], answer: Option<Answer>, now: Duration) {
        let ttl = match answer {
            Some(Answer::Offers(offers)) => {
                let ttl = Duration::from_secs(offers.ttl_seconds.into()).max(LOOK_UP_AGAIN);
                if let Some(matchmaker) = &mut self.matchmaker {
                    let less = (devices.len() / 2).max(1);
                    matchmaker.batch = if offers.more { less } else { MAX_DEVICES };
                }
                for service in &offers.withdrawn {
                    // Of the right length: answers are checked where they come in, and else it is nobody's.
                    let Ok(service) = <[u8; 16]>::try_from(&service[..]) else { continue };
                    self.withdrawn(ServiceUuid(service), now);
                }
                let outputs = &mut self.outputs;
                let tell = |event| outputs.push_back(Output::Report(event));
                let (taken, refused) = self.offers.take(offers, devices, ttl, now, tell);
                self.counters.offers += taken;
                self.counters.offers_refused += refused;
                self.evaluate_at(now);
                ttl
            }
            failure => {
                self.counters.look_ups_failed += 1;
                let retry = match failure {
                    Some(Answer::Failure(failure)) => Duration::from_secs(failure.retry_seconds.into()),
                    _ => Duration::ZERO,
                };
                retry.max(LOOK_UP_AGAIN)
            }
        };
        for device in devices {
            if let Some(device) = self.near.get_mut(*device) {
                device.look_up = Some(now + ttl);
            }
        }
    }

    /// Asks for introductions of the devices that begin, those first that are expected.
    fn connect(&mut self, now: Duration, draw: &mut dyn FnMut() -> SessionId) {
        for expected in [true, false] {
            for slot in 0..self.slots.len() {
                while self.connect_one(slot, expected, now, draw) {}
            }
        }
    }

    /// Whether there may be more.
    fn connect_one(
        &mut self,
        slot: usize,
        expected: bool,
        now: Duration,
        draw: &mut dyn FnMut() -> SessionId,
    ) -> bool {
        let bssid = self.slots[slot].bssid;
        let (Some(matchmaker), Some(shown)) = (&mut self.matchmaker, &mut self.slots[slot].shown) else {
            return false;
        };
        let wanted =
            |client: &&mut Client| client.progress == Progress::Wanted && client.expected == expected;
        let Some(client) = shown.clients.iter_mut().find(wanted) else { return false };
        let most = if expected { MAX_CONNECTS } else { MAX_UNEXPECTED };
        if matchmaker.connects_under_way() >= most || !matchmaker.connects.take(now) {
            return false;
        }
        client.progress = Progress::Asked;
        let device = client.address;
        let session = *shown.session.get_or_insert_with(&mut *draw);
        let (instance, key) = match shown.link.as_ref().and_then(Link::other_end) {
            Some((instance, key)) => (instance.to_vec(), key.to_vec()),
            None => Default::default(),
        };
        let claim = self.offers.get(shown.service).and_then(|offered| offered.claim_of(device));
        let request = messages::Connect {
            radio: self.radio.0.to_vec(),
            client: device.0.to_vec(),
            service: shown.service.0.to_vec(),
            bssid: bssid.0.to_vec(),
            session_id: session.0.to_vec(),
            rssi_dbm: self.near.get(device).and_then(Device::rssi).unwrap_or(0).into(),
            binding: claim.map_or(shown.why.binding, |claim| claim.binding),
            instance,
            key,
        };
        self.counters.connects += 1;
        self.outputs.push_back(Output::Report(Event::Connecting { bssid, station: device }));
        self.question(Request::Connect(request), Question::Connect { slot, device, session });
        true
    }

    fn connected(
        &mut self,
        slot: usize,
        device: MacAddr,
        session: SessionId,
        answer: Option<Answer>,
        now: Duration,
    ) {
        let Some(Slot { bssid, shown: Some(shown), .. }) = self.slots.get_mut(slot) else { return };
        let bssid = *bssid;
        if shown.session != Some(session) || shown.client(device).is_none() {
            return;
        }
        let introduced = match answer {
            Some(Answer::Connected(connected)) => other_end(&connected).ok_or(REFUSED_FOR),
            Some(Answer::Failure(failure)) if failure.retry_seconds > 0 => {
                Err(Duration::from_secs(failure.retry_seconds.into()).min(REFUSED_AT_MOST))
            }
            None => Err(UNANSWERED_FOR),
            Some(_) => Err(REFUSED_FOR),
        };
        let hello = Hello { bssid, radio: self.radio, service: shown.service };
        let valid = introduced.and_then(|(end, valid)| {
            match &shown.link {
                Some(link) if link.is_with(&end.key) => {}
                // Another end of the tunnel: those who are connected stay where they are.
                Some(_) if !shown.stations.is_empty() => return Err(REFUSED_FOR),
                _ => shown.link = Some(Link::new(session, hello, end, now)),
            }
            Ok(valid)
        });
        let Some(client) = shown.client(device) else { return };
        let event = match valid {
            Ok(valid) => {
                client.progress = Progress::Introduced { until: now + valid };
                Event::Connected { bssid, station: device }
            }
            Err(wait) => {
                client.progress = Progress::Refused { until: now + wait };
                self.counters.connects_failed += 1;
                self.counters.held_dropped += shown.drop_held(Some(device));
                Event::Refused { bssid, station: device, seconds: wait.as_secs() }
            }
        };
        self.outputs.push_back(Output::Report(event));
        self.send_held(slot);
    }

    fn withdrawn(&mut self, service: ServiceUuid, now: Duration) {
        self.offers.withdraw(service);
        let shows = |slot: &Slot| slot.shown.as_ref().is_some_and(|shown| shown.service == service);
        if let Some(slot) = self.slots.iter().position(shows) {
            self.close_slot(slot, Why::Withdrawn, now);
        }
    }
}

fn other_end(connected: &messages::Connected) -> Option<(OtherEnd, Duration)> {
    let key = <[u8; 16]>::try_from(&connected.key[..]).ok()?;
    let instance = <[u8; 16]>::try_from(&connected.instance[..]).ok()?;
    let endpoints: Vec<_> = connected.endpoints.iter().filter_map(|endpoint| endpoint.parse().ok()).collect();
    let valid = Duration::from_secs(connected.valid_seconds.into()).max(LEAST_VALID);
    (!endpoints.is_empty()).then(|| (OtherEnd { instance, key: TunnelKey::new(key), endpoints }, valid))
}

/// Of a device in a look-up, at most.
fn octets_of(device: &Device) -> usize {
    let names: usize = device.ssids.iter().map(|ssid| ssid.as_bytes().len() + 2).sum();
    18 + names
}
