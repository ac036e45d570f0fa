//! What a commit does, given what is there: the rules that every store obeys. Pure.
//!
//! A store gathers what the drafts of one or more commits [`Wants`] to know, puts it into a [`View`], lets that [`View::plan`]
//! each commit in turn, and writes [`View::writes`] in one transaction.

use std::collections::{BTreeMap, BTreeSet};

use matchmaker::objects::{AccountId, Change};

use crate::{
    Committed, Draft, MAX_DRAFTS, Name, Outcome, RecordsError, Step, Version, codec,
    key::{Counter, Key, Kind, Says, placed, scope},
};

/// Most octets of one object.
pub(crate) const MAX_BODY: usize = 64 * 1024;
/// Most octets of the objects of one commit.
const MAX_OCTETS: usize = 64 << 20;
/// The greatest identifier: databases have signed numbers.
const MAX_ID: u64 = i64::MAX as u64;
/// Most octets of what only one object may say: indexes hold it.
const MAX_SAYS: usize = 1024;

/// An object as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) version: Version,
    /// Under which account.
    pub(crate) account: String,
    pub(crate) body: Vec<u8>,
}

/// What must be known before a commit can be planned.
#[derive(Debug, Default)]
pub(crate) struct Wants {
    pub(crate) keys: BTreeSet<Key>,
    /// Which object says so, and that object.
    pub(crate) says: BTreeSet<Says>,
    pub(crate) counters: BTreeSet<Counter>,
    /// Every grant by and to these accounts.
    pub(crate) grants_of: BTreeSet<String>,
}

impl Wants {
    /// Adds what one commit wants.
    pub(crate) fn add(&mut self, drafts: &[Draft]) {
        for draft in drafts {
            let change = match draft {
                Draft::Change(change) | Draft::ChangeIf { change, .. } => change,
                new => &numbered(new, 0),
            };
            let key = Key::of(&Name::of(change));
            if let Some(says) = codec::says(&key, change) {
                self.says.insert(says);
                self.counters.insert((key.kind, key.scope.clone()));
            }
            if let Change::DeleteAccount(id) = change {
                self.grants_of.insert(id.as_str().into());
            }
            if matches!(draft, Draft::Change(_) | Draft::ChangeIf { .. }) {
                self.keys.insert(key);
            }
        }
    }
}

/// The change that a draft becomes with this identifier, if it wants one.
fn numbered(draft: &Draft, id: u64) -> Change {
    match draft {
        Draft::Change(change) | Draft::ChangeIf { change, .. } => change.clone(),
        Draft::NewBinding { account, binding } => {
            Change::PutBinding { account: account.clone(), binding: binding.with_id(id) }
        }
        Draft::NewContract { account, contract } => {
            Change::PutContract { account: account.clone(), contract: contract.clone().with_id(id) }
        }
    }
}

/// An object before the transaction, and now.
#[derive(Debug, Clone, Default)]
struct Slot {
    before: Option<Row>,
    now: Option<Row>,
}

/// What is there, as far as it was wanted, and what is to be written.
#[derive(Debug, Default)]
pub(crate) struct View {
    /// How messages call the store.
    at: String,
    before: Version,
    version: Version,
    rows: BTreeMap<Key, Slot>,
    says: BTreeMap<Says, (Option<u64>, Option<u64>)>,
    last: BTreeMap<Counter, (u64, u64)>,
    log: Vec<Entry>,
}

/// One change of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) version: Version,
    /// Under which account the object is, or was.
    pub(crate) account: String,
    pub(crate) key: Key,
    pub(crate) body: Option<Vec<u8>>,
}

/// What a transaction writes.
#[derive(Debug, Default)]
pub(crate) struct Writes {
    pub(crate) version: Version,
    /// Key, what is there, what is to be there.
    pub(crate) rows: Vec<(Key, Option<Row>, Option<Row>)>,
    pub(crate) says: Vec<(Says, Option<u64>)>,
    /// The last identifiers given.
    pub(crate) last: Vec<(Counter, u64)>,
    pub(crate) log: Vec<Entry>,
}

impl Writes {
    /// Whether there is anything to write.
    pub(crate) fn is_empty(&self) -> bool {
        self.log.is_empty()
    }

    /// The log, as followers get it.
    pub(crate) fn steps(&self, at: &str) -> Result<Vec<Step>, RecordsError> {
        steps(at, &self.log)
    }
}

/// Entries of whole commits, in order, as followers get them.
pub(crate) fn steps(at: &str, log: &[Entry]) -> Result<Vec<Step>, RecordsError> {
    log.chunk_by(|a, b| a.version == b.version)
        .map(|entries| {
            let changes = entries.iter().map(|entry| read(at, &entry.key, entry.body.as_deref()));
            Ok(Step { version: entries[0].version, changes: changes.collect::<Result<_, _>>()? })
        })
        .collect()
}

/// Reads an object; one that cannot be read is damage.
pub(crate) fn read(at: &str, key: &Key, body: Option<&[u8]>) -> Result<Change, RecordsError> {
    codec::decode(key, body).ok_or_else(|| RecordsError::Damaged {
        at: at.to_owned(),
        reason: match key.name() {
            Some(name) => format!("{name} is unreadable"),
            None => format!("an object of kind {:?} is unreadable", key.kind),
        },
    })
}

impl View {
    /// Of a store that has this version.
    pub(crate) fn new(at: &str, version: Version) -> View {
        View { at: at.to_owned(), before: version, version, ..View::default() }
    }

    /// There is this object.
    pub(crate) fn add(&mut self, key: Key, row: Row) {
        if let Some(id) = key.number()
            && let Some(says) =
                codec::decode(&key, Some(&row.body)).and_then(|change| codec::says(&key, &change))
        {
            self.says.insert(says, (Some(id), Some(id)));
        }
        self.rows.insert(key, Slot { before: Some(row.clone()), now: Some(row) });
    }

    /// This is the last identifier that was given.
    pub(crate) fn add_last(&mut self, counter: Counter, id: u64) {
        self.last.insert(counter, (id, id));
    }

    /// Plans a commit after those before. On error the view is as it was.
    pub(crate) fn plan(&mut self, drafts: &[Draft]) -> Result<Committed, RecordsError> {
        let version = self.version + 1;
        let mut attempt = Attempt::new(self, version);
        let mut outcomes = Vec::with_capacity(drafts.len());
        if drafts.len() > MAX_DRAFTS {
            return Err(too_large("a commit", drafts.len(), MAX_DRAFTS));
        }
        for draft in drafts {
            outcomes.push(attempt.draft(draft)?);
        }
        let Attempt { rows, says, last, log, .. } = attempt;
        if !log.is_empty() {
            self.version = version;
        }
        for (key, now) in rows {
            self.rows.entry(key).or_default().now = now;
        }
        for (what, id) in says {
            self.says.entry(what).or_default().1 = id;
        }
        for (counter, id) in last {
            self.last.entry(counter).or_default().1 = id;
        }
        self.log.extend(log);
        Ok(Committed { version: self.version, outcomes })
    }

    /// What the planned commits come to.
    pub(crate) fn writes(self) -> Writes {
        debug_assert_eq!(
            self.version - self.before,
            steps(&self.at, &self.log).map_or(0, |s| s.len() as u64)
        );
        Writes {
            version: self.version,
            rows: self
                .rows
                .into_iter()
                .filter(|(_, slot)| slot.before != slot.now)
                .map(|(key, slot)| (key, slot.before, slot.now))
                .collect(),
            says: self
                .says
                .into_iter()
                .filter(|(_, (was, is))| was != is)
                .map(|(says, (_, is))| (says, is))
                .collect(),
            last: self
                .last
                .into_iter()
                .filter(|(_, (was, is))| was != is)
                .map(|(of, (_, is))| (of, is))
                .collect(),
            log: self.log,
        }
    }
}

/// A commit that is being planned: what it changes lies over the view until all of it is known to go.
struct Attempt<'a> {
    view: &'a View,
    version: Version,
    rows: BTreeMap<Key, Option<Row>>,
    says: BTreeMap<Says, Option<u64>>,
    last: BTreeMap<Counter, u64>,
    log: Vec<Entry>,
    octets: usize,
}

impl<'a> Attempt<'a> {
    fn new(view: &'a View, version: Version) -> Self {
        let (rows, says, last, log) = Default::default();
        Attempt { view, version, rows, says, last, log, octets: 0 }
    }

    fn row(&self, key: &Key) -> Option<&Row> {
        match self.rows.get(key) {
            Some(row) => row.as_ref(),
            None => self.view.rows.get(key).and_then(|slot| slot.now.as_ref()),
        }
    }

    /// Which object says so.
    fn sayer(&self, says: &Says) -> Option<u64> {
        self.says.get(says).copied().unwrap_or_else(|| self.view.says.get(says).and_then(|&(_, now)| now))
    }

    fn last(&self, counter: &Counter) -> u64 {
        let before = || self.view.last.get(counter).map_or(0, |&(_, now)| now);
        self.last.get(counter).copied().unwrap_or_else(before)
    }

    fn draft(&mut self, draft: &Draft) -> Result<Outcome, RecordsError> {
        match draft {
            Draft::Change(change) => self.change(change, None),
            Draft::ChangeIf { change, seen } => self.change(change, Some(seen.as_deref())),
            Draft::NewBinding { account, .. } => self.new_object(Kind::Binding, account.as_ref(), draft),
            Draft::NewContract { account, .. } => self.new_object(Kind::Contract, account.as_ref(), draft),
        }
    }

    fn new_object(
        &mut self,
        kind: Kind,
        account: Option<&AccountId>,
        draft: &Draft,
    ) -> Result<Outcome, RecordsError> {
        let counter = (kind, scope(account));
        let id = self.last(&counter) + 1;
        let change = numbered(draft, id);
        let key = Key::numbered(kind, counter.1, id);
        if let Some(there) = codec::says(&key, &change).and_then(|says| self.sayer(&says)) {
            let key = Key { id: there.to_be_bytes().to_vec(), ..key };
            let row = self.row(&key).ok_or_else(|| RecordsError::Damaged {
                at: self.view.at.clone(),
                reason: format!("{kind:?} {there} is in an index, but not there"),
            })?;
            return Ok(Outcome { change: read(&self.view.at, &key, Some(&row.body))?, made: false });
        }
        self.change(&change, None)
    }

    /// `seen`: what it must be like, unless it is as wanted already.
    fn change(&mut self, change: &Change, seen: Option<Option<&Change>>) -> Result<Outcome, RecordsError> {
        let name = Name::of(change);
        let key = Key::of(&name);
        let body = codec::encode(change);
        let there = self.row(&key).cloned();
        let mut made = there.as_ref().map(|row| &row.body) != body.as_ref();
        if made && let Some(seen) = seen {
            let same = seen.is_none_or(|seen| Name::of(seen) == name);
            if !same || there.as_ref().map(|row| &row.body) != seen.and_then(codec::encode).as_ref() {
                return Err(RecordsError::Changed { name, version: self.view.version });
            }
        }
        if let Some(body) = &body
            && body.len() > MAX_BODY
        {
            return Err(too_large(&name.to_string(), body.len(), MAX_BODY));
        }
        self.octets += body.as_ref().map_or(0, Vec::len);
        if self.octets > MAX_OCTETS {
            return Err(too_large("a commit", self.octets, MAX_OCTETS));
        }
        if let Change::DeleteAccount(id) = change {
            made |= self.delete_grants(id.as_str());
        }
        if made {
            self.says_change(&name, &key, there.as_ref(), body.as_ref().map(|_| change))?;
            let account = match &body {
                Some(_) => placed(&key, change),
                None => there.map(|row| row.account).unwrap_or_default(),
            };
            let row = body.clone().map(|body| Row { version: self.version, account: account.clone(), body });
            self.log.push(Entry { version: self.version, account, key: key.clone(), body: body.clone() });
            self.rows.insert(key.clone(), row);
        }
        // As it is stored, and so as others see it.
        Ok(Outcome { change: read(&self.view.at, &key, body.as_deref())?, made })
    }

    /// What the object says from now on must be its own; what it said is free. Its identifier will not be given again.
    fn says_change(
        &mut self,
        name: &Name,
        key: &Key,
        there: Option<&Row>,
        change: Option<&Change>,
    ) -> Result<(), RecordsError> {
        let Some(id) = key.number() else { return Ok(()) };
        let old = there.map(|row| read(&self.view.at, key, Some(&row.body))).transpose()?;
        let old = old.and_then(|old| codec::says(key, &old));
        let new = change.and_then(|change| codec::says(key, change));
        if let Some(new) = &new {
            if id > MAX_ID {
                return Err(too_large(&format!("the identifier of {name}"), id as usize, MAX_ID as usize));
            }
            if new.what.len() > MAX_SAYS {
                return Err(too_large(&format!("the subscriber of {name}"), new.what.len(), MAX_SAYS));
            }
            if let Some(other) = self.sayer(new).filter(|&other| other != id) {
                let other = Key { id: other.to_be_bytes().to_vec(), ..key.clone() };
                let other = other.name().unwrap_or_else(|| name.clone());
                return Err(RecordsError::Duplicate { name: name.clone(), other });
            }
            let counter = (key.kind, key.scope.clone());
            let last = self.last(&counter).max(id);
            self.last.insert(counter, last);
        }
        if let Some(old) = old {
            self.says.insert(old, None);
        }
        if let Some(new) = new {
            self.says.insert(new, Some(id));
        }
        Ok(())
    }

    /// Grants go with their account; that is what its deletion means, so they are not in the log.
    fn delete_grants(&mut self, account: &str) -> bool {
        let known = self.view.rows.keys().chain(self.rows.keys());
        let grants: BTreeSet<Key> = known.filter(|key| key.grant_of(account)).cloned().collect();
        let mut any = false;
        for key in grants {
            any |= self.row(&key).is_some();
            self.rows.insert(key, None);
        }
        any
    }
}

fn too_large(what: &str, size: usize, most: usize) -> RecordsError {
    RecordsError::TooLarge { what: what.to_owned(), size, most }
}
