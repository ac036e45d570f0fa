//! The fault run: control processes, a PostgreSQL primary with a synchronous standby, a Redis Cluster, and clients that register services,
//! make and delete bindings. Each round something is killed (`kill -9`) while they go on; then everything must be as it was acknowledged:
//! nothing lost, nothing that nobody asked for, and what is at one control process is known at the others.

pub mod model;
pub mod report;

mod caller;
mod clients;
mod control;
mod presence;
mod random;
mod redis;

use std::{
    path::Path,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use matchmaker::Change;
use records::{Postgres, Records, testkit::Pair};
use tokio::task::{JoinSet, block_in_place};

use self::{
    clients::World,
    control::Control,
    model::{Contents, Violations},
    presence::Presence,
    random::Random,
    redis::Cluster,
    report::Report,
};

/// Control processes.
const CONTROLS: u8 = 2;
/// Who make and delete bindings.
const ADMINISTRATORS: usize = 4;
/// Acknowledgements after everything is back, before a round ends; and while Redis is away.
const ENOUGH: u64 = 20;
/// What does not happen within this does not happen.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// A control process; started again.
    Control,
    /// The primary; the standby is promoted, and a new standby is made.
    Primary,
    /// Both of these at a time.
    Both,
    /// The primary; started again as it was.
    PrimaryInPlace,
    /// The standby; started again.
    Standby,
    /// A Redis master, whose replica takes over; started again.
    Redis,
    /// A Redis master and a control process; started again.
    RedisAndControl,
    /// A Redis master, started again at once: it has forgotten everything, and so has its replica. Then a control process.
    RedisEmptied,
}

impl Fault {
    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Fault::Control => "a control process",
            Fault::Primary => "the primary, standby promoted",
            Fault::Both => "both of these",
            Fault::PrimaryInPlace => "the primary, started again",
            Fault::Standby => "the standby",
            Fault::Redis => "a Redis master, replica takes over",
            Fault::RedisAndControl => "that and a control process",
            Fault::RedisEmptied => "a Redis master, back empty; control",
        }
    }

    /// One of ten; the first ten rounds have each kind.
    fn of(round: u64) -> Fault {
        match round % 10 {
            0 | 5 => Fault::Control,
            1 | 8 => Fault::Primary,
            2 => Fault::Redis,
            3 => Fault::Both,
            4 => Fault::RedisAndControl,
            6 => Fault::PrimaryInPlace,
            7 => Fault::RedisEmptied,
            _ => Fault::Standby,
        }
    }

    fn has_control(self) -> bool {
        matches!(self, Fault::Control | Fault::Both | Fault::RedisAndControl)
    }
}

/// What is running.
struct Place {
    controls: Vec<Control>,
    pair: Pair,
    redis: Cluster,
    presence: Presence,
    records: Postgres,
    world: Arc<World>,
    random: Random,
}

/// Runs so many rounds, or until `stop`; `program` is the binary `controlplane`. Ends early at the first thing that is wrong.
///
/// # Errors
/// What is needed does not start, or does not come back.
pub async fn run(
    program: &Path,
    rounds: u64,
    seed: u64,
    progress: &mut (dyn FnMut(u64, &Report) + Send),
    stop: impl Future<Output = ()>,
) -> anyhow::Result<Report> {
    let directory = tempfile::Builder::new().prefix("faults-").tempdir()?;
    let mut random = Random::new(seed);
    let pair = Pair::start().await?;
    let redis = block_in_place(|| Cluster::start(directory.path()))?;
    let at = pair.connection();
    let shared = format!(
        "[records]\npostgres = \"{at}\"\n[presence]\ncluster = true\nredis = {:?}\n{}",
        redis.addresses(),
        presence::bindings(CONTROLS)
    );
    let controls = (1..=CONTROLS)
        .map(|number| block_in_place(|| Control::start(program, directory.path(), number, &shared)));
    let controls = controls.collect::<Result<Vec<_>, _>>()?;
    let addresses = controls.iter().map(Control::address).collect::<Result<Vec<_>, _>>()?;
    let records = Postgres::open(&at).await?;
    let world = World::new(addresses);
    let mut clients = JoinSet::new();
    for _ in 0..ADMINISTRATORS {
        let (world, random) = (Arc::clone(&world), random.split());
        clients.spawn(async move {
            clients::administrator(world, random).await;
            Ok(())
        });
    }
    for place in 0..usize::from(CONTROLS) {
        clients.spawn(clients::gateway(Arc::clone(&world), place, random.split()));
    }
    let (presence, gateways) = Presence::new(&world).await?;
    for gateway in gateways {
        clients.spawn(gateway.run(Arc::clone(&world)));
    }
    let mut place = Place { controls, pair, redis, presence, records, world, random };
    let mut report = Report { seed, ..Report::default() };
    let (began, mut stop) = (Instant::now(), std::pin::pin!(stop));
    for round in 0..rounds {
        let fault = Fault::of(round);
        tokio::select! {
            () = &mut stop => break,
            done = place.round(fault, &mut report) => {
                done.with_context(|| format!("round {round}, {}\n{}", fault.name(), place.logs()))?;
            }
        }
        while let Some(ended) = clients.try_join_next() {
            ended?.context("a client gave up")?;
        }
        report.took = began.elapsed();
        progress(round + 1, &report);
        if !report.is_good() {
            report.errors.push(place.logs());
            break;
        }
    }
    report.size = place.world.model().size();
    place.world.stop.store(true, Ordering::Relaxed);
    while let Some(ended) = clients.join_next().await {
        ended??;
    }
    Ok(report)
}

impl Place {
    /// Kills, lets everything come back, compares.
    async fn round(&mut self, fault: Fault, report: &mut Report) -> anyhow::Result<()> {
        // So that it does not always strike at the same moment of what clients do.
        self.pause(150).await;
        self.strike(fault).await?;
        self.acknowledged("everything is back").await?;
        let (unknown, known) = self.presence.check().await?;
        // Nobody asks for anything, or waits for an answer.
        let world = Arc::clone(&self.world);
        let _gate = tokio::time::timeout(PATIENCE, world.gate.write())
            .await
            .context("a client waits for an answer, and everything is back")?;
        let mut found = self.compare().await?;
        found.add(unknown);
        let mut model = self.world.model();
        let kind = report.kinds.entry(fault).or_default();
        kind.rounds += 1;
        kind.acknowledged += std::mem::take(&mut model.acknowledged);
        kind.change = kind.change.max(std::mem::take(&mut model.change));
        kind.registration = kind.registration.max(std::mem::take(&mut model.registration));
        kind.known = kind.known.max(known);
        kind.violations.add(found.clone());
        report.violations.add(found);
        report.errors.append(&mut model.errors);
        Ok(())
    }

    /// Until enough more is acknowledged.
    async fn acknowledged(&self, state: &str) -> anyhow::Result<()> {
        let already = self.world.model().acknowledged;
        let began = Instant::now();
        while self.world.model().acknowledged < already + ENOUGH && self.world.model().errors.is_empty() {
            if began.elapsed() > PATIENCE {
                bail!("{state}, and nothing is acknowledged");
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    async fn pause(&mut self, most: usize) {
        let pause = self.random.below(most) as u64;
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }

    /// Until everything runs again.
    async fn strike(&mut self, fault: Fault) -> anyhow::Result<()> {
        let victim = self.random.below(self.controls.len());
        if fault.has_control() {
            self.controls[victim].kill();
        }
        match fault {
            Fault::Control => self.pause(200).await,
            Fault::Primary | Fault::Both => {
                block_in_place(|| self.pair.crash_primary());
                self.pause(100).await;
                block_in_place(|| self.pair.promote())?;
                block_in_place(|| self.pair.make_standby())?;
            }
            Fault::PrimaryInPlace => {
                block_in_place(|| self.pair.crash_primary());
                self.pause(100).await;
                block_in_place(|| self.pair.restart_primary())?;
            }
            Fault::Standby => {
                block_in_place(|| self.pair.crash_standby());
                self.pause(200).await;
                block_in_place(|| self.pair.restart_standby())?;
            }
            Fault::Redis | Fault::RedisAndControl => {
                let node = block_in_place(|| self.redis.kill_master(&mut self.random))?;
                // Nothing durable depends on it, nor that control starts.
                self.acknowledged("a Redis node is away").await?;
                if fault.has_control() {
                    block_in_place(|| self.controls[victim].restart())?;
                }
                block_in_place(|| self.redis.taken_over())?;
                block_in_place(|| self.redis.restart(node))?;
                block_in_place(|| self.redis.whole())?;
            }
            Fault::RedisEmptied => {
                let node = block_in_place(|| self.redis.kill_master(&mut self.random))?;
                block_in_place(|| self.redis.restart(node))?;
                self.acknowledged("a Redis node is back and empty").await?;
                block_in_place(|| self.redis.whole())?;
                // What it forgot the others have said again: one that starts now learns of it.
                block_in_place(|| self.controls[victim].restart())?;
            }
        }
        if fault.has_control() && !matches!(fault, Fault::RedisAndControl) {
            block_in_place(|| self.controls[victim].restart())?;
        }
        Ok(self.pair.synchronous().await?)
    }

    /// The database and all control processes with what was acknowledged; these may still be hearing of it.
    async fn compare(&mut self) -> anyhow::Result<Violations> {
        let mut violations = self.world.model().take_violations();
        let mut stored = Contents::default();
        let mut each = |object: records::Object| match object.change {
            Change::PutBinding { binding, .. } => {
                stored.bindings.insert(binding.id, (&binding).into());
            }
            Change::PutService(service) => {
                stored.services.insert(service.uuid);
            }
            _ => {}
        };
        self.records.load(&mut each).await?;
        violations.add(self.world.model().compare("the database", &stored));
        let deadline = Instant::now() + PATIENCE;
        for control in &self.world.controls {
            loop {
                let found =
                    control.contents().await.map(|found| self.world.model().compare(&control.name, &found));
                match found {
                    Ok(found) if found.is_empty() => break,
                    Ok(found) if Instant::now() > deadline => {
                        violations.add(found);
                        break;
                    }
                    Err(status) if Instant::now() > deadline => {
                        return Err(status).with_context(|| format!("{} does not answer", control.name));
                    }
                    _ => tokio::time::sleep(Duration::from_millis(10)).await,
                }
            }
        }
        Ok(violations)
    }

    fn logs(&self) -> String {
        self.controls.iter().map(|control| format!("--- {}\n{}\n", control.name(), control.log())).collect()
    }
}
