//! The demo: what a newcomer sees first, and a check that the whole path works. Real programs, simulated air.

pub mod devices;
mod table;
pub mod world;

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use proto::admin::{ListSessionsRequest, Session, admin_client::AdminClient};
use tonic::transport::Channel;

use devices::{Devices, Progress};
use table::{Row, Table};
use world::{Meeting, Ports, Shape, World};

/// Between two looks.
const TICK: Duration = Duration::from_millis(250);
/// With `ONCE=1`: everything must have happened by then.
const LIMIT: Duration = Duration::from_secs(60);
/// With `ONCE=1`: what counts as having exchanged traffic.
const ECHOES: u32 = 5;

/// Runs until Ctrl-C; with `once`, until three devices have an address, have reached the network behind the gateway, and have been
/// accounted for, and the fourth, which is too far away, was not shown its network.
pub fn run(once: bool) -> anyhow::Result<()> {
    println!("Starting RADIUS, a network behind the gateway, the gateway and a radio…");
    let mut world = World::start(Shape::Standalone, Ports::Usual, Meeting::Matchmaker)?;
    println!("Logs and configuration: {}", world.directory.path().display());
    println!("In another terminal: target/debug/ttgctl --server {} sessions\n", world.admin);
    let mut devices = Devices::start(&world)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(watch(&mut world, &devices, once));
    devices.leave()?;
    result.map_err(|error| error.context(format!("the gateway's last words:\n{}\n", world.log("ttg"))))?;
    if once {
        accounted(&world, &devices.progress())?;
        println!(
            "\nThree devices got an address, reached the network and were accounted for; the visitor is too far away."
        );
    }
    Ok(())
}

async fn watch(world: &mut World, devices: &Devices, once: bool) -> anyhow::Result<()> {
    let mut admin =
        AdminClient::connect(world.admin.clone()).await.context("the gateway's admin interface")?;
    let mut table = Table::new();
    let mut rates = Rates::default();
    let mut ticks = tokio::time::interval(TICK);
    let started = Instant::now();
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = tokio::signal::ctrl_c() => {
                println!("\nStopping.");
                return Ok(());
            }
        }
        if let Some(words) = world.casualty() {
            bail!("{words}");
        }
        let progress = devices.progress();
        let sessions = sessions(&mut admin).await?;
        rates.update(&sessions, started.elapsed());
        let decisions = world.decisions();
        table.show(&rows(&progress, &sessions, &rates), &decisions);
        let is_done = |p: &Progress| match p.far {
            true => p.associations == 0 && is_not_shown(p, &decisions),
            false => p.address.is_some() && p.echoes >= ECHOES,
        };
        if once && progress.iter().all(is_done) {
            return Ok(());
        }
        if once && started.elapsed() > LIMIT {
            let late: Vec<_> = progress.iter().filter(|p| !is_done(p)).map(|p| p.name).collect();
            bail!("after {} s this has not come as far as it should: {}", LIMIT.as_secs(), late.join(", "));
        }
    }
}

/// Whether the radio says that it does not show this device its network.
fn is_not_shown(device: &Progress, decisions: &[String]) -> bool {
    let begin = format!("\"{}\" for {}: ", device.ssid, device.mac);
    decisions.iter().any(|line| line.starts_with(&begin) && line.contains("not shown because"))
}

async fn sessions(admin: &mut AdminClient<Channel>) -> anyhow::Result<BTreeMap<String, Session>> {
    let sessions = admin.list_sessions(ListSessionsRequest::default()).await?.into_inner().sessions;
    Ok(sessions.into_iter().map(|session| (session.client.clone(), session)).collect())
}

fn rows(progress: &[Progress], sessions: &BTreeMap<String, Session>, rates: &Rates) -> Vec<Row> {
    let row = |progress: &Progress| {
        let mac = progress.mac.to_string();
        let rate = rates.devices.get(&mac);
        Row {
            identity: sessions.get(&mac).map_or_else(|| "-".to_owned(), |session| session.identity.clone()),
            up: rate.map_or(0, |rate| rate.up),
            down: rate.map_or(0, |rate| rate.down),
            progress: progress.clone(),
        }
    };
    progress.iter().map(row).collect()
}

/// Octets per second, between one report of the gateway's counters and the next.
#[derive(Default)]
struct Rates {
    devices: BTreeMap<String, Rate>,
}

#[derive(Default)]
struct Rate {
    at: Duration,
    octets: (u64, u64),
    up: u64,
    down: u64,
}

impl Rates {
    fn update(&mut self, sessions: &BTreeMap<String, Session>, now: Duration) {
        for (mac, session) in sessions {
            let octets = (session.up_octets, session.down_octets);
            let rate = self.devices.entry(mac.clone()).or_default();
            let milliseconds = (now - rate.at).as_millis().max(1) as u64;
            if octets != rate.octets {
                let per_second = |now: u64, before: u64| now.saturating_sub(before) * 1000 / milliseconds;
                rate.up = per_second(octets.0, rate.octets.0);
                rate.down = per_second(octets.1, rate.octets.1);
                (rate.octets, rate.at) = (octets, now);
            }
        }
    }
}

/// Waits for the RADIUS server to have written a start and a stop with traffic for every device.
fn accounted(world: &World, devices: &[Progress]) -> anyhow::Result<()> {
    let deadline = Instant::now() + Duration::from_secs(15);
    loop {
        let records = world.radius.accounting_records();
        let missing: Vec<_> = devices
            .iter()
            .filter(|device| !device.far)
            .filter(|device| {
                let calling = device.mac.to_string().replace(':', "-").to_uppercase();
                let has = |status: &str, traffic: bool| {
                    records.iter().any(|record| {
                        let octets =
                            record.get("Acct-Input-Octets").and_then(|text| text.parse::<u64>().ok());
                        record.get("Calling-Station-Id") == Some(&calling)
                            && record.get("Acct-Status-Type").map(String::as_str) == Some(status)
                            && (!traffic || octets.is_some_and(|octets| octets > 0))
                    })
                };
                !(has("Start", false) && has("Stop", true))
            })
            .map(|device| device.name)
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!(
                "not accounted for: {}. The RADIUS server has {} records",
                missing.join(", "),
                records.len()
            );
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}
