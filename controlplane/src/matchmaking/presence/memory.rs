//! The store as the tests' model of it: a map in memory.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex},
};

use tokio::sync::mpsc;

use super::store::{Connection, Found, Messages, Op, Store, StoreError};

/// Clones are connections to the same one.
#[derive(Clone, Default)]
pub(super) struct Memory(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    away: bool,
    values: HashMap<String, Vec<u8>>,
    fields: HashMap<String, BTreeMap<Vec<u8>, Vec<u8>>>,
    listeners: Vec<Listener>,
}

/// Its channels, and where it listens.
type Listener = (Vec<String>, mpsc::Sender<(String, Vec<u8>)>);

impl Memory {
    /// It forgets everything and takes no connections; or takes them again.
    pub fn set_away(&self, away: bool) {
        *self.0.lock().unwrap() = Inner { away, ..Inner::default() };
    }
}

impl Store for Memory {
    type Connection = Memory;

    async fn connect(&self, channels: Vec<String>) -> Result<(Memory, Messages), StoreError> {
        let mut inner = self.0.lock().unwrap();
        if inner.away {
            return Err(StoreError("it is away".to_owned()));
        }
        let (send, messages) = mpsc::channel(4096);
        inner.listeners.push((channels, send));
        Ok((self.clone(), messages))
    }
}

impl Connection for Memory {
    async fn run(&self, ops: Vec<Op>) -> Result<Vec<Found>, StoreError> {
        let mut inner = self.0.lock().unwrap();
        if inner.away {
            return Err(StoreError("it is away".to_owned()));
        }
        Ok(ops.into_iter().map(|op| inner.run(op)).collect())
    }
}

impl Inner {
    fn run(&mut self, op: Op) -> Found {
        match op {
            Op::PutAbsent { key, value, .. } => drop(self.values.entry(key).or_insert(value)),
            Op::Get { key } => return self.values.get(&key).cloned().map_or(Found::Nothing, Found::Value),
            Op::Delete { key } => {
                let was = self.values.remove(&key).is_some() | self.fields.remove(&key).is_some();
                return Found::Flag(was);
            }
            Op::Keep { key, .. } => {
                return Found::Flag(self.values.contains_key(&key) || self.fields.contains_key(&key));
            }
            Op::PutField { key, field, value, .. } => {
                let fields = self.fields.entry(key).or_default();
                if fields.get(&field).is_none_or(|old| old[1..9] <= value[1..9]) {
                    fields.insert(field, value);
                }
            }
            Op::DeleteField { key, field } => {
                self.fields.get_mut(&key).map(|fields| fields.remove(&field));
            }
            Op::Fields { key } => {
                let fields = self.fields.get(&key).into_iter().flatten();
                return Found::Fields(fields.map(|(field, value)| (field.clone(), value.clone())).collect());
            }
            Op::Publish { channel, message } => self.listeners.retain(|(channels, send)| {
                !channels.contains(&channel) || send.try_send((channel.clone(), message.clone())).is_ok()
            }),
        }
        Found::Nothing
    }
}
