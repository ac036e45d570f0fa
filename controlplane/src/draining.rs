//! Which gateways operators want empty, on disk: so that it holds when control is restarted. A name in each line. Only where the matchmaker is
//! elsewhere: with one in this process it is on record, and holds at all processes that share the records.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use matchmaker::Change;
use records::Draft;
use tokio::sync::{Mutex, MutexGuard};

use crate::matchmaking::Matchmaking;

/// The file.
pub(crate) struct Drained(Mutex<OnDisk>);

/// What is in it.
pub(crate) struct OnDisk {
    path: PathBuf,
    names: BTreeSet<String>,
}

/// In the state directory.
const FILE: &str = "draining";

impl Drained {
    /// Opens it, and tells what is in it.
    pub fn read(state: &Path) -> io::Result<(Drained, BTreeSet<String>)> {
        let path = state.join(FILE);
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            text => text?,
        };
        let names: BTreeSet<String> =
            text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect();
        Ok((Drained(Mutex::new(OnDisk { path, names: names.clone() })), names))
    }

    /// Puts on record what is in it, and gives what is on record. What cannot be put there now is put there at the next start.
    pub async fn move_to(&self, desk: &Matchmaking, names: &BTreeSet<String>) -> BTreeSet<String> {
        if !names.is_empty() {
            let drafts = names.iter().cloned().map(|name| Draft::Change(Change::PutDrained(name))).collect();
            let moved = match desk.commit(drafts).await {
                Some(Ok(_)) => {
                    self.lock().await.write(BTreeSet::new()).await.map_err(|error| error.to_string())
                }
                Some(Err(why)) => Err(why.text),
                None => Err("the matchmaker has ended".to_owned()),
            };
            if let Err(error) = moved {
                tracing::warn!(error, "which gateways are drained holds only at this process");
            }
        }
        desk.ask(|desk, _| desk.matchmaker.drained().clone()).await.unwrap_or_default()
    }

    /// For somebody who changes it.
    pub async fn lock(&self) -> MutexGuard<'_, OnDisk> {
        self.0.lock().await
    }
}

impl OnDisk {
    /// Durable when it returns.
    pub async fn write(&mut self, names: BTreeSet<String>) -> io::Result<()> {
        if names == self.names {
            return Ok(());
        }
        let (path, lines) = (self.path.clone(), names.clone());
        let written = tokio::task::spawn_blocking(move || replace(&path, &lines)).await;
        written.map_err(io::Error::other)??;
        self.names = names;
        Ok(())
    }
}

/// Whole or not at all, also if the machine stops in between.
fn replace(path: &Path, names: &BTreeSet<String>) -> io::Result<()> {
    let temporary = path.with_extension("new");
    let mut file = File::create(&temporary)?;
    for name in names {
        writeln!(file, "{name}")?;
    }
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    path.parent().map_or(Ok(()), |directory| File::open(directory)?.sync_all())
}
