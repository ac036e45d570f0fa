//! From the store and the others to this process. All of it is outside input: what does not open or does not read is counted and ignored.

use std::{sync::atomic::Ordering, time::Duration};

use authenticator::CachedPmk;
use dot11::MacAddr;
use matchmaker::Uuid;
use prost::Message;
use proto::matchmaking::messages as pb;
use tokio::time::Instant;

use super::{
    Driver, FORGOTTEN, GONE, MAX_SEEN, Other, PMK, PROCESSES, REFUSED, SILENT, Then, channel, instances_key,
    now, pmk_key, tunnels_key,
};
use crate::matchmaking::presence::{
    ForCore, ProcessId, Shared,
    records::{self, Changed, Envelope, Hello, Instance, Pushed, Refusal, Tunnel},
    store::{Found, Op, Store},
};

/// Messages that are older, or of a future further away, are not heeded.
const STALE: Duration = Duration::from_secs(60);
/// More BSSes than a radio can have; the latest count.
const MAX_TUNNELS: usize = 64;
/// A refusal is of no interest so long after it is over.
const QUIET: Duration = Duration::from_secs(24 * 3600);

type Fields = Vec<(Vec<u8>, Vec<u8>)>;

impl<S: Store> Driver<S> {
    /// What came of an operation.
    pub(super) async fn follow(&mut self, then: Then, found: Found) {
        match (then, found) {
            (Then::Processes, Found::Fields(fields)) => self.processes(fields).await,
            (Then::Instances { process }, Found::Fields(fields)) => self.instances(process, fields).await,
            (Then::Tunnels { radio }, Found::Fields(fields)) => {
                let key = tunnels_key(radio);
                let mut tunnels = Vec::new();
                for (field, value) in fields {
                    let read: Option<Tunnel> = self.read(&[key.as_bytes(), &field], &value);
                    match read.and_then(|tunnel| tunnel.read()) {
                        Some(tunnel) if tunnel.radio == radio && tunnel.bssid.0[..] == field[..] => {
                            tunnels.push(tunnel)
                        }
                        _ => self.bad(),
                    }
                }
                tunnels.sort_by_key(|tunnel| std::cmp::Reverse(tunnel.at));
                for old in tunnels.iter().skip(MAX_TUNNELS) {
                    self.op(Op::DeleteField { key: key.clone(), field: old.bssid.0.to_vec() });
                }
                tunnels.truncate(MAX_TUNNELS);
                if !tunnels.is_empty() {
                    self.tell_desk(Shared::Tunnels(tunnels)).await;
                }
            }
            (Then::Refusals, Found::Fields(fields)) => self.refusals(fields).await,
            (Then::InstancesThere, Found::Flag(false)) if !self.own.is_empty() => {
                // Who has read that there is none reads again.
                self.revision += 1;
                self.write_instances();
            }
            (Then::RefusalsThere, Found::Flag(there)) => {
                let were_there = std::mem::replace(&mut self.refusals_there, there);
                if were_there && !there {
                    self.write_everything().await;
                }
            }
            (Then::Pmk { service, client }, Found::Fields(fields)) => {
                let (entry, gone) = self.pmk(service, client, fields);
                // Perhaps nobody told us.
                if let Some(at) = gone {
                    self.tell_core(ForCore::Forget { service, client, at }).await;
                }
                if let Some(entry) = entry.filter(|entry| !is_revoked(entry, gone)) {
                    self.tell_core(ForCore::Pmk { service, client, entry: Box::new(entry) }).await;
                }
            }
            (Then::OwnPmk { service, client, entry }, Found::Fields(fields)) => {
                match self.pmk(service, client, fields).1 {
                    Some(at) if is_revoked(&entry, Some(at)) => {
                        self.tell_core(ForCore::Forget { service, client, at }).await;
                    }
                    _ => {
                        let op = self.put_pmk(service, client, &entry);
                        self.op(op);
                    }
                }
            }
            (Then::PmkGone(revoked), _) => self.forget_pmk(revoked),
            _ => {}
        }
    }

    /// Somebody said something.
    pub(super) async fn message(&mut self, at: &str, message: &[u8]) {
        let opened = self.sealer.open(&[at.as_bytes()], message);
        let timely = opened.filter(|(said, _)| said.abs_diff(now()) < STALE);
        let envelope = timely.and_then(|(_, text)| Envelope::decode(&*text).ok());
        let Some((from, envelope)) = envelope.and_then(|said| Some((records::process(&said.from)?, said)))
        else {
            return self.bad();
        };
        if from == self.id {
            self.heard = Instant::now();
            return;
        }
        self.counters.received.fetch_add(1, Ordering::Relaxed);
        if !envelope.acknowledged.is_empty() {
            self.waiting
                .retain(|waiting| waiting.to != from || !envelope.acknowledged.contains(&waiting.number));
        }
        if let Some(pushed) = envelope.pushed {
            self.pushed(at, from, envelope.number, &pushed).await;
        }
        if let Some(changed) = envelope.changed {
            self.instance_changed(from, &changed).await;
        }
        if let Some(refusal) = envelope.refusal {
            match refusal.read() {
                Some(refusal) => self.tell_desk(Shared::Refusals(vec![refusal])).await,
                None => self.bad(),
            }
        }
        if let Some(forget) = envelope.forget_pmk {
            match (Uuid::from_slice(&forget.service), records::mac(&forget.client)) {
                (Ok(service), Some(client)) => {
                    let at = Duration::from_millis(forget.at);
                    self.tell_core(ForCore::Forget { service, client, at }).await;
                }
                _ => self.bad(),
            }
        }
    }

    async fn pushed(&mut self, at: &str, from: ProcessId, number: u64, pushed: &Pushed) {
        let push = pb::Push::decode(&*pushed.push).ok().and_then(|push| push.push);
        let (Some(push), Some(which)) = (push, records::which(&pushed.service, &pushed.instance)) else {
            return self.bad();
        };
        if at != channel(self.id) {
            return self.bad();
        }
        self.acknowledge.entry(from).or_default().push(number);
        // A repetition whose acknowledgement was lost.
        if !self.seen.insert((from, number)) {
            return;
        }
        self.seen_order.push_back((from, number));
        if self.seen_order.len() > MAX_SEEN
            && let Some(oldest) = self.seen_order.pop_front()
        {
            self.seen.remove(&oldest);
        }
        self.tell_desk(Shared::Push { which, push }).await;
    }

    async fn instance_changed(&mut self, from: ProcessId, changed: &Changed) {
        // Of one that is not known all is read with the next beat.
        let Some(other) = self.others.get_mut(&from) else { return };
        let Some(known) = other.revision else { return };
        if changed.revision <= known {
            return;
        }
        // Something is missing in between.
        other.revision = (changed.revision == known + 1).then_some(changed.revision);
        let (mut there, mut gone) = (Vec::new(), Vec::new());
        let Some(instance) = &changed.instance else { return self.bad() };
        if changed.gone {
            match records::which(&instance.service, &instance.instance) {
                Some(which) => gone.push(which),
                None => return self.bad(),
            }
        } else {
            match instance.read() {
                Some(read) => there.push(read),
                None => return self.bad(),
            }
        }
        self.tell_desk(Shared::Instances { process: from, whole: false, there, gone }).await;
    }

    /// Who is there.
    async fn processes(&mut self, fields: Fields) {
        if self.greeted > 1 && !fields.iter().any(|(field, _)| field[..] == self.id.0) {
            // Somebody emptied it under us.
            self.write_everything().await;
        }
        for (field, value) in fields {
            let hello: Option<Hello> = self.read(&[PROCESSES.as_bytes(), &field], &value);
            let (Some(process), Some(hello)) = (records::process(&field), hello) else {
                self.bad();
                continue;
            };
            if process == self.id {
                continue;
            }
            let other = self.others.entry(process).or_insert(Other { beat: 0, silent: 0, revision: None });
            if other.beat != hello.beat {
                (other.beat, other.silent) = (hello.beat, 0);
            }
            if other.silent > FORGOTTEN {
                self.others.remove(&process);
                self.op(Op::DeleteField { key: PROCESSES.to_owned(), field });
                continue;
            }
            if other.silent < SILENT && other.revision.is_none_or(|known| known < hello.revision) {
                other.revision = Some(hello.revision);
                self.ops.push((Op::Fields { key: instances_key(process) }, Then::Instances { process }));
            }
        }
        // Who is not in the list any more is silent for long.
        self.others.retain(|_, other| other.silent <= FORGOTTEN);
        let alive = self.others.iter().filter(|(_, other)| other.silent < SILENT);
        let alive: Vec<ProcessId> = alive.map(|(process, _)| *process).collect();
        self.counters.processes.store(alive.len() as u64, Ordering::Relaxed);
        self.tell_desk(Shared::Beat { alive }).await;
    }

    async fn instances(&mut self, process: ProcessId, fields: Fields) {
        let key = instances_key(process);
        let mut there = Vec::new();
        for (field, value) in fields {
            let read: Option<Instance> = self.read(&[key.as_bytes(), &field], &value);
            match read.and_then(|instance| instance.read()) {
                Some(instance) => there.push(instance),
                None => self.bad(),
            }
        }
        self.tell_desk(Shared::Instances { process, whole: true, there, gone: Vec::new() }).await;
    }

    async fn refusals(&mut self, fields: Fields) {
        let (mut all, now) = (Vec::new(), now());
        for (field, value) in fields {
            let read: Option<Refusal> = self.read(&[REFUSED.as_bytes(), &field], &value);
            let read = read.filter(|refusal| refusal.field() == field);
            match read.and_then(|refusal| refusal.read()) {
                Some((whom, struck)) => {
                    if struck.until.max(struck.at) + QUIET < now {
                        self.op(Op::DeleteField { key: REFUSED.to_owned(), field });
                    } else {
                        all.push((whom, struck));
                    }
                }
                None => self.bad(),
            }
        }
        if !all.is_empty() {
            self.tell_desk(Shared::Refusals(all)).await;
        }
    }

    /// The PMK that was made last, and until when what was made is good no longer.
    fn pmk(&self, service: Uuid, client: MacAddr, fields: Fields) -> (Option<CachedPmk>, Option<Duration>) {
        let (key, mut entry, mut gone) = (pmk_key(service, client), None, None);
        for (field, value) in fields {
            let opened = self.sealer.open(&[key.as_bytes(), &field], &value);
            match (&field[..], opened) {
                (PMK, Some((_, text))) => match CachedPmk::from_octets(&text) {
                    Ok(read) => entry = Some(read),
                    Err(_) => self.bad(),
                },
                (GONE, Some((at, _))) => gone = Some(at),
                _ => self.bad(),
            }
        }
        (entry, gone)
    }

    fn read<M: Message + Default>(&self, place: &[&[u8]], value: &[u8]) -> Option<M> {
        let (_, text) = self.sealer.open(place, value)?;
        M::decode(&*text).ok()
    }
}

fn is_revoked(entry: &CachedPmk, gone: Option<Duration>) -> bool {
    gone.is_some_and(|at| Duration::from_micros(entry.made.0) <= at)
}
