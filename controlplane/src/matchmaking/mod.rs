//! The matchmaker as a part of the control daemon: a UDP socket for radios and service instances, and a channel for the instances of this
//! process. One task owns everything it knows; what must be durable is written elsewhere and answers with a message.

mod accounts;
mod convert;
mod desk;
mod keys;
mod metrics;
pub(crate) mod presence;
mod reload;
mod retention;
mod run;
mod socket;
mod write;

pub mod measure;

use std::sync::Arc;

use matchmaker::{
    Change, Settings,
    objects::{self, Binding, Origin},
};
use proto::matchmaking::StaticSecret;
use records::{Embedded, Postgres, Records, RecordsError, Version};
use tokio::sync::mpsc;

use crate::{
    config::{self, Config},
    core::{self, Matchmaker},
};

pub(crate) use desk::{Desk, Local, Touched};
pub use keys::KeysError;
pub use run::MatchmakingError;
pub(crate) use run::{Fault, Matchmaking, Message, NotDurable, start};

/// Bindings of the configuration have identifiers from here on; those of records begin with 1.
pub(crate) const CONFIGURED: u64 = 1 << 40;

/// The matchmaker that the configuration asks for: started, if it is in this process.
pub(crate) async fn as_configured(
    config: &Config,
    core: mpsc::WeakSender<core::Message>,
) -> Result<Matchmaker, MatchmakingError> {
    if let Some(there) = &config.matchmaking {
        let secret = keys::load_or_make(&config.state.join(keys::FILE))?.secret;
        return Ok(Matchmaker::remote(there, StaticSecret::new(*secret.octets())));
    }
    let Some(here) = &config.matchmaker else { return Ok(Matchmaker::None) };
    let own = here.account.clone();
    let (records, version, mut changes) = open_records(config).await?;
    // Behind what is on record: the file that an operator edits has the last word on what it says.
    let configured = configured(config, own.as_ref());
    changes.extend(configured.iter().cloned());
    let (jobs, queue) = mpsc::unbounded_channel();
    let (services_of_strangers, sightings) = (here.services_of_strangers, here.sightings);
    let settings = Settings { services_of_strangers, sightings, ..Settings::default() };
    let store = Arc::downgrade(&records);
    let matchmaking = start(config, here, settings, (version, changes), store, jobs, core).await?;
    let messages = matchmaking.messages.downgrade();
    let days = here.sessions_days;
    tokio::spawn(async move {
        // Nobody follows any more when nothing more can be written: the store closes.
        tokio::select! {
            () = write::run(records.clone(), queue, messages.clone()) => {}
            () = write::follow(records.clone(), version, configured, messages) => {}
            () = retention::run(records.clone(), days) => {}
        }
    });
    tracing::info!(listen = %matchmaking.listen, key = %matchmaking.public, "matchmaker is up; radios need its address and key");
    Ok(Matchmaker::Local(matchmaking))
}

/// The records that the configuration asks for, and all that is on them.
async fn open_records(config: &Config) -> Result<(Arc<dyn Records>, Version, Vec<Change>), RecordsError> {
    let file = config.file_of_records();
    let Some(shared) = &config.records else {
        let records: Arc<dyn Records> = Arc::new(Embedded::open(&file)?);
        let (version, changes) = write::load(&*records).await?;
        return Ok((records, version, changes));
    };
    let (records, version, changes) = loop {
        match open_shared(shared).await {
            // It may be about to fail over: whoever started us knows no better time to do it again.
            Err(error @ RecordsError::Unreachable { .. }) => {
                tracing::warn!(%error, "control starts when its records can be reached");
            }
            opened => break opened?,
        }
    };
    if version == 0 && file.exists() {
        return Err(RecordsError::Configuration {
            reason: format!(
                "the database of [records] is empty, and there are records in {}; `controlplane migrate` moves them there; \
                 if they are of no use, remove that file",
                file.display()
            ),
        });
    }
    Ok((records, version, changes))
}

/// Tries for ten seconds.
async fn open_shared(
    shared: &config::Records,
) -> Result<(Arc<dyn Records>, Version, Vec<Change>), RecordsError> {
    let records: Arc<dyn Records> = Arc::new(Postgres::open(shared.database()?).await?);
    let (version, changes) = write::load(&*records).await?;
    Ok((records, version, changes))
}

/// What the configuration says, as records.
fn configured(config: &Config, own: Option<&objects::AccountId>) -> Vec<Change> {
    let account = |account: &crate::config::Account| {
        let key = account.key.as_ref().map(|key| objects::AccountKey(key.0));
        Change::PutAccount(objects::Account { id: account.id.clone(), key })
    };
    let binding = |(n, binding): (usize, &crate::config::Binding)| Change::PutBinding {
        account: own.cloned(),
        binding: Binding {
            id: CONFIGURED + n as u64,
            service: binding.service,
            client: binding.client,
            radio: binding.radio,
            policy: binding.policy.into(),
            origin: Origin::Configuration,
        },
    };
    let bindings = config.bindings.iter().filter(|binding| !binding.fixed);
    config.accounts.iter().map(account).chain(bindings.enumerate().map(binding)).collect()
}
