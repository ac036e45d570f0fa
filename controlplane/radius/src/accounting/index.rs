//! What is to be sent and when, in memory: per session in order, sessions taking turns. Pure: time comes in.
//!
//! A session with records is in exactly one place: ready, waiting for its time, or in flight.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use tokio::time::Instant;

use crate::packet::AcctStatusType;

#[derive(Default)]
pub(super) struct Index {
    sessions: HashMap<Arc<str>, Session>,
    ready: VecDeque<Arc<str>>,
    waiting: BinaryHeap<Reverse<(Instant, Arc<str>)>>,
    /// Interim updates by age: what goes first when room is needed.
    interims: BTreeMap<u64, Arc<str>>,
    records: usize,
    bytes: usize,
}

#[derive(Default)]
struct Session {
    queue: VecDeque<Entry>,
    failures: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) key: u64,
    pub(super) kind: AcctStatusType,
    /// Octets in the store.
    pub(super) bytes: usize,
}

/// What a record costs beyond its octets: key and tree in the store, entry here.
const OVERHEAD: usize = 64;

impl Index {
    pub(super) fn records(&self) -> usize {
        self.records
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn cost(bytes: usize) -> usize {
        bytes + OVERHEAD
    }

    /// Interim updates of a session that a newer record of it makes superfluous.
    pub(super) fn superseded(&self, session_id: &str) -> Vec<Entry> {
        let queue = self.sessions.get(session_id).map(|session| &session.queue);
        queue
            .into_iter()
            .flatten()
            .filter(|entry| entry.kind == AcctStatusType::InterimUpdate)
            .copied()
            .collect()
    }

    /// The oldest interim updates, until `room` octets are found; `None` if all of them are not enough.
    pub(super) fn oldest_interims(&self, room: usize, except: &[u64]) -> Option<Vec<u64>> {
        let mut found = 0;
        let mut keys = Vec::new();
        for (key, session_id) in self.interims.iter().filter(|(key, _)| !except.contains(key)) {
            if found >= room {
                break;
            }
            let entry = self.sessions.get(session_id)?.queue.iter().find(|entry| entry.key == *key)?;
            found += Self::cost(entry.bytes);
            keys.push(*key);
        }
        (found >= room).then_some(keys)
    }

    pub(super) fn push(&mut self, session_id: &str, entry: Entry) {
        self.records += 1;
        self.bytes += Self::cost(entry.bytes);
        let id = match self.sessions.get_key_value(session_id) {
            Some((id, _)) => Arc::clone(id),
            None => {
                let id: Arc<str> = session_id.into();
                self.sessions.insert(Arc::clone(&id), Session::default());
                self.ready.push_back(Arc::clone(&id));
                id
            }
        };
        if entry.kind == AcctStatusType::InterimUpdate {
            self.interims.insert(entry.key, Arc::clone(&id));
        }
        if let Some(session) = self.sessions.get_mut(&id) {
            session.queue.push_back(entry);
        }
    }

    /// Takes out one record of a session: acknowledged, superseded or dropped. The session keeps its place.
    pub(super) fn remove(&mut self, session_id: &str, key: u64) {
        self.interims.remove(&key);
        let Some(session) = self.sessions.get_mut(session_id) else { return };
        if let Some(at) = session.queue.iter().position(|entry| entry.key == key)
            && let Some(entry) = session.queue.remove(at)
        {
            self.records -= 1;
            self.bytes -= Self::cost(entry.bytes);
        }
    }

    /// Takes out an interim update of whichever session.
    pub(super) fn remove_interim(&mut self, key: u64) {
        if let Some(session_id) = self.interims.get(&key).cloned() {
            self.remove(&session_id, key);
        }
    }

    /// The next session whose turn it is, in flight from now on, and its first record.
    pub(super) fn take(&mut self, now: Instant) -> Option<(Arc<str>, u64)> {
        while let Some(Reverse((due, _))) = self.waiting.peek() {
            if *due > now {
                break;
            }
            if let Some(Reverse((_, session_id))) = self.waiting.pop() {
                self.ready.push_back(session_id);
            }
        }
        while let Some(session_id) = self.ready.pop_front() {
            match self.sessions.get(&session_id).and_then(|session| session.queue.front()) {
                Some(first) => return Some((session_id, first.key)),
                // All its records were superseded or dropped while it stood here.
                None => drop(self.sessions.remove(&session_id)),
            }
        }
        None
    }

    /// When the first of the waiting sessions is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.waiting.peek().map(|Reverse((due, _))| *due)
    }

    /// The record in flight is done with; the session goes on with its next one, after the others.
    pub(super) fn done(&mut self, session_id: &Arc<str>, key: u64) {
        self.remove(session_id, key);
        if let Some(session) = self.sessions.get_mut(session_id) {
            session.failures = 0;
            if session.queue.is_empty() {
                self.sessions.remove(session_id);
            } else {
                self.ready.push_back(Arc::clone(session_id));
            }
        }
    }

    /// The record in flight was not acknowledged; the session waits. `backoff` gives the time from the number of failures.
    pub(super) fn failed(
        &mut self,
        session_id: &Arc<str>,
        now: Instant,
        backoff: impl FnOnce(u32) -> Duration,
    ) {
        if let Some(session) = self.sessions.get_mut(session_id) {
            session.failures = session.failures.saturating_add(1);
            let due = now + backoff(session.failures);
            self.waiting.push(Reverse((due, Arc::clone(session_id))));
        }
    }

    /// The attempt in flight was cut off (shutdown): the session is ready as if nothing had been sent.
    pub(super) fn put_back(&mut self, session_id: Arc<str>) {
        self.ready.push_front(session_id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(key: u64, kind: AcctStatusType) -> Entry {
        Entry { key, kind, bytes: 100 }
    }

    #[test]
    fn order_within_a_session_turns_between_sessions() {
        let now = Instant::now();
        let mut index = Index::default();
        index.push("a", entry(0, AcctStatusType::Start));
        index.push("a", entry(1, AcctStatusType::Stop));
        index.push("b", entry(2, AcctStatusType::Start));
        let (a, first) = index.take(now).expect("a is ready");
        assert_eq!((&*a, first), ("a", 0));
        let (b, second) = index.take(now).expect("b is ready");
        assert_eq!((&*b, second), ("b", 2));
        assert_eq!(index.take(now), None, "a's Stop waits for its Start");
        index.failed(&a, now, |_| Duration::from_secs(5));
        index.done(&b, 2);
        assert_eq!(index.take(now), None);
        assert_eq!(index.next_due(), Some(now + Duration::from_secs(5)));
        let later = now + Duration::from_secs(5);
        let (a, again) = index.take(later).expect("a is due");
        assert_eq!(again, 0);
        index.done(&a, 0);
        assert_eq!(index.take(later).map(|(_, key)| key), Some(1));
        index.done(&a, 1);
        assert_eq!((index.records(), index.bytes()), (0, 0));
        assert_eq!(index.take(later), None);
    }

    #[test]
    fn a_superseded_interim_in_flight_leaves_the_newer_one() {
        let now = Instant::now();
        let mut index = Index::default();
        index.push("a", entry(0, AcctStatusType::InterimUpdate));
        let (a, key) = index.take(now).expect("a is ready");
        assert_eq!(index.superseded("a"), [entry(0, AcctStatusType::InterimUpdate)]);
        index.remove("a", 0);
        index.push("a", entry(1, AcctStatusType::InterimUpdate));
        assert_eq!(index.take(now), None, "one in flight per session");
        index.done(&a, key);
        assert_eq!(index.take(now).map(|(_, key)| key), Some(1));
        assert_eq!(index.records(), 1);
    }

    #[test]
    fn room_is_made_of_the_oldest_interims_only() {
        let mut index = Index::default();
        index.push("a", entry(0, AcctStatusType::Start));
        index.push("a", entry(1, AcctStatusType::InterimUpdate));
        index.push("b", entry(2, AcctStatusType::InterimUpdate));
        assert_eq!(index.oldest_interims(100, &[]), Some(vec![1]));
        assert_eq!(index.oldest_interims(100, &[1]), Some(vec![2]));
        assert_eq!(index.oldest_interims(300, &[]), Some(vec![1, 2]));
        assert_eq!(index.oldest_interims(400, &[]), None);
        index.remove_interim(1);
        assert_eq!(index.records(), 2);
    }
}
