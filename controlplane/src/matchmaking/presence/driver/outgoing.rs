//! From this process to the store and to the others.

use std::{sync::atomic::Ordering, time::Duration};

use dot11::MacAddr;
use matchmaker::{
    Uuid,
    shared::{SharedInstance, SharedTunnel, Struck, Whom},
};
use prost::Message;
use proto::matchmaking::messages as pb;
use tokio::time::Instant;

use super::{
    ALL, BEAT, Driver, FORGOTTEN, GONE, KEY, MAX_REVOKED, MAX_WAITING, PMK, PROCESSES, REFUSALS_EVERY,
    REFUSED, Revoked, Share, Shared, Then, Waiting, channel, instance_field, instances_key, now, pmk_key,
    tunnels_key,
};
use crate::matchmaking::presence::{
    ForCore, ProcessId,
    records::{Changed, Envelope, ForgetPmk, Hello, Instance, Pushed, Refusal, Tunnel},
    store::{Op, Store},
};

/// A tunnel is known for so long after its radio registered last.
const TUNNELS: Duration = Duration::from_secs(3600);
/// Refusals are forgotten so long after the last one; a device is forgiven by itself before.
const REFUSALS: Duration = Duration::from_secs(3 * 24 * 3600);
/// No PMK is good for longer than this (with what clocks may differ), so revocations need not be known for longer.
const PMKS: Duration = Duration::from_secs(13 * 3600);
/// A push is repeated after this, then twice as seldom each time.
const REPEAT: Duration = Duration::from_millis(500);
/// And given up after this: the device that it is about has begun anew by then.
const GIVE_UP: Duration = Duration::from_secs(10);

impl<S: Store> Driver<S> {
    pub(super) fn outgoing(&mut self, share: Share) {
        match share {
            Share::Instance(said) => {
                self.put_instance(&said);
                self.revision += 1;
                self.changed(Instance::from(&said), false);
                self.own.insert((said.service, said.instance), said);
            }
            Share::InstanceGone { service, instance } => {
                if self.own.remove(&(service, instance)).is_some() {
                    self.revision += 1;
                    let field = instance_field(service, instance);
                    self.op(Op::DeleteField { key: instances_key(self.id), field });
                    let (service, instance) = (service.as_bytes().to_vec(), instance.to_vec());
                    let gone = Instance { service, instance, ..Instance::default() };
                    self.changed(gone, true);
                }
            }
            Share::Push { to, which, push } => self.wait(to, which, push),
            Share::Tunnel(tunnel) => {
                let op = self.put_tunnel(&tunnel);
                self.op(op);
            }
            Share::Released { radio, bssid } => {
                self.op(Op::DeleteField { key: tunnels_key(radio), field: bssid.0.to_vec() });
            }
            Share::Fetch(radio) => {
                self.op(Op::Keep { key: tunnels_key(radio), ttl: TUNNELS });
                self.ops.push((Op::Fields { key: tunnels_key(radio) }, Then::Tunnels { radio }));
            }
            Share::Refusal(whom, struck) => {
                let op = self.put_refusal(&whom, struck);
                self.op(op);
                let refusal = Some(Refusal::new(&whom, struck));
                self.publish(ALL.to_owned(), &Envelope { refusal, ..self.envelope() });
            }
            Share::Everything { tunnels, refusals } => {
                let tunnels = tunnels.iter().map(|tunnel| self.put_tunnel(tunnel));
                let refusals = refusals.iter().map(|(whom, struck)| self.put_refusal(whom, *struck));
                let all: Vec<_> = tunnels.chain(refusals).map(|op| (op, Then::Nothing)).collect();
                self.backlog.extend(all);
            }
            Share::Pmk { service, client, entry } => {
                let op = self.put_pmk(service, client, &entry);
                self.op(op);
            }
            Share::AllPmks(all) => {
                for (service, client, entry) in all {
                    // Somebody may have revoked it while we did not hear.
                    let read = Op::Fields { key: pmk_key(service, client) };
                    let then = Then::OwnPmk { service, client, entry: Box::new(entry) };
                    self.backlog.push_back((read, then));
                }
            }
            Share::PmkGone { service, client, at } => {
                let revoked = self.remember_revoked(service, client, at);
                self.put_revoked(revoked);
            }
            Share::PmkWanted { service, client } => {
                self.ops.push((Op::Fields { key: pmk_key(service, client) }, Then::Pmk { service, client }));
            }
        }
    }

    /// The store is away: what is said again anyway when it is back may be forgotten.
    pub(super) fn while_away(&mut self, share: Share) {
        match share {
            Share::Instance(said) => {
                self.revision += 1;
                self.own.insert((said.service, said.instance), said);
            }
            Share::InstanceGone { service, instance } => {
                self.revision += 1;
                self.own.remove(&(service, instance));
            }
            Share::Push { to, which, push } => self.wait(to, which, push),
            Share::PmkGone { service, client, at } => {
                self.remember_revoked(service, client, at);
            }
            // It sits in the desk's or the core's memory.
            Share::Tunnel(_) | Share::Refusal(..) | Share::Everything { .. } => {}
            Share::Pmk { .. } | Share::AllPmks(_) => {}
            // Nothing depends on it.
            Share::Released { .. } | Share::Fetch(_) | Share::PmkWanted { .. } => {}
        }
    }

    /// Those of this process.
    pub(super) fn write_instances(&mut self) {
        let own: Vec<SharedInstance> = self.own.values().cloned().collect();
        own.iter().for_each(|said| self.put_instance(said));
    }

    /// The store knows nothing, or may not.
    pub(super) async fn write_everything(&mut self) {
        self.write_instances();
        let over = now().saturating_sub(PMKS);
        self.revoked.retain(|revoked| revoked.at > over);
        for revoked in self.revoked.clone() {
            self.put_revoked(revoked);
        }
        self.ops.push((Op::Fields { key: REFUSED.to_owned() }, Then::Refusals));
        self.tell_desk(Shared::Up).await;
        self.tell_core(ForCore::Up).await;
    }

    /// We are there, and so are the others?
    pub(super) fn say_hello(&mut self) {
        // What it has of us from before tells whether it was emptied meanwhile.
        self.ops.push((Op::Fields { key: PROCESSES.to_owned() }, Then::Processes));
        let hello = Hello { beat: self.beat, revision: self.revision }.encode_to_vec();
        let field = self.id.0.to_vec();
        let value = self.sealer.seal(&[PROCESSES.as_bytes(), &field], now(), &hello);
        let ttl = FORGOTTEN * BEAT;
        self.op(Op::PutField { key: PROCESSES.to_owned(), field, value, ttl: 2 * ttl });
        // One part of the store may have been emptied, and no connection tell.
        self.ops.push((Op::Keep { key: instances_key(self.id), ttl }, Then::InstancesThere));
        self.ops.push((Op::Keep { key: REFUSED.to_owned(), ttl: REFUSALS }, Then::RefusalsThere));
        let value = self.sealer.fingerprint.to_vec();
        self.op(Op::PutAbsent { key: KEY.to_owned(), value, ttl });
        self.op(Op::Keep { key: KEY.to_owned(), ttl });
        // When the store was away or emptied the others write again what they know, a little sooner or later than we come.
        if self.greeted.is_power_of_two() || self.beat.is_multiple_of(REFUSALS_EVERY) {
            self.ops.push((Op::Fields { key: REFUSED.to_owned() }, Then::Refusals));
        }
        // It comes back to us, or we hear nothing.
        self.publish(channel(self.id), &self.envelope());
    }

    /// Pushes that are due, or not worth while any more.
    pub(super) fn due_pushes(&mut self) {
        let now = Instant::now();
        let mut due = Vec::new();
        let before = self.waiting.len();
        self.waiting.retain(|waiting| now.duration_since(waiting.since) < GIVE_UP);
        let over = before - self.waiting.len();
        self.counters.given_up.fetch_add(over as u64, Ordering::Relaxed);
        for waiting in self.waiting.iter_mut().filter(|waiting| waiting.next <= now) {
            if waiting.pause > Duration::ZERO {
                self.counters.repeated.fetch_add(1, Ordering::Relaxed);
            }
            waiting.pause = (waiting.pause * 2).max(REPEAT);
            waiting.next = now + waiting.pause;
            let (service, instance) = (waiting.which.0.as_bytes().to_vec(), waiting.which.1.to_vec());
            let pushed = Pushed { service, instance, push: waiting.push.clone() };
            due.push((waiting.to, waiting.number, pushed));
        }
        for (to, number, pushed) in due {
            self.publish(channel(to), &Envelope { number, pushed: Some(pushed), ..self.envelope() });
        }
    }

    pub(super) fn acknowledgements(&mut self) {
        for (to, acknowledged) in std::mem::take(&mut self.acknowledge) {
            self.publish(channel(to), &Envelope { acknowledged, ..self.envelope() });
        }
    }

    /// The others are to forget a PMK that they may have fetched.
    pub(super) fn forget_pmk(&mut self, revoked: Revoked) {
        let Revoked { service, client, at } = revoked;
        let at = u64::try_from(at.as_millis()).unwrap_or(u64::MAX);
        let forget = ForgetPmk { service: service.as_bytes().to_vec(), client: client.0.to_vec(), at };
        self.publish(ALL.to_owned(), &Envelope { forget_pmk: Some(forget), ..self.envelope() });
    }

    pub(super) fn op(&mut self, op: Op) {
        self.ops.push((op, Then::Nothing));
    }

    /// In whole milliseconds, as it is sealed: what was made a moment before is not good either.
    fn remember_revoked(&mut self, service: Uuid, client: MacAddr, at: Duration) -> Revoked {
        let at = Duration::from_millis(u64::try_from(at.as_millis()).unwrap_or(u64::MAX).saturating_add(1));
        let revoked = Revoked { service, client, at };
        self.revoked.retain(|other| (other.service, other.client) != (service, client));
        if self.revoked.len() >= MAX_REVOKED {
            self.revoked.pop_front();
        }
        self.revoked.push_back(revoked);
        revoked
    }

    /// Beside the PMK, so that no process that writes an old one hides it.
    fn put_revoked(&mut self, revoked: Revoked) {
        let key = pmk_key(revoked.service, revoked.client);
        let value = self.sealer.seal(&[key.as_bytes(), GONE], revoked.at, &[]);
        let put = Op::PutField { key, field: GONE.to_vec(), value, ttl: PMKS };
        self.ops.push((put, Then::PmkGone(revoked)));
    }

    fn wait(&mut self, to: ProcessId, which: (Uuid, [u8; 16]), push: pb::push::Push) {
        if self.waiting.len() >= MAX_WAITING {
            self.counters.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.counters.pushed.fetch_add(1, Ordering::Relaxed);
        self.last_number += 1;
        let now = Instant::now();
        let push = pb::Push { id: 0, push: Some(push) }.encode_to_vec();
        let number = self.last_number;
        let pause = Duration::ZERO;
        self.waiting.push_back(Waiting { number, to, which, push, since: now, next: now, pause });
    }

    fn put_instance(&mut self, said: &SharedInstance) {
        let (key, field) = (instances_key(self.id), instance_field(said.service, said.instance));
        let text = Instance::from(said).encode_to_vec();
        let value = self.sealer.seal(&[key.as_bytes(), &field], said.at, &text);
        self.op(Op::PutField { key, field, value, ttl: FORGOTTEN * BEAT });
    }

    fn put_tunnel(&self, tunnel: &SharedTunnel) -> Op {
        let (key, field) = (tunnels_key(tunnel.radio), tunnel.bssid.0.to_vec());
        let text = Tunnel::from(tunnel).encode_to_vec();
        let value = self.sealer.seal(&[key.as_bytes(), &field], tunnel.at, &text);
        Op::PutField { key, field, value, ttl: TUNNELS }
    }

    fn put_refusal(&self, whom: &Whom, struck: Struck) -> Op {
        let refusal = Refusal::new(whom, struck);
        let (field, text) = (refusal.field(), refusal.encode_to_vec());
        let value = self.sealer.seal(&[REFUSED.as_bytes(), &field], struck.at, &text);
        Op::PutField { key: REFUSED.to_owned(), field, value, ttl: REFUSALS }
    }

    pub(super) fn put_pmk(&self, service: Uuid, client: MacAddr, entry: &authenticator::CachedPmk) -> Op {
        let key = pmk_key(service, client);
        let made = Duration::from_micros(entry.made.0);
        let value = self.sealer.seal(&[key.as_bytes(), PMK], made, &entry.to_octets());
        let ttl = Duration::from_micros(entry.expires.0).saturating_sub(now());
        Op::PutField { key, field: PMK.to_vec(), value, ttl }
    }

    fn changed(&mut self, instance: Instance, gone: bool) {
        let changed = Changed { revision: self.revision, instance: Some(instance), gone };
        self.publish(ALL.to_owned(), &Envelope { changed: Some(changed), ..self.envelope() });
    }

    fn envelope(&self) -> Envelope {
        Envelope { from: self.id.0.to_vec(), ..Envelope::default() }
    }

    fn publish(&mut self, channel: String, envelope: &Envelope) {
        let message = self.sealer.seal(&[channel.as_bytes()], now(), &envelope.encode_to_vec());
        self.op(Op::Publish { channel, message });
    }
}
