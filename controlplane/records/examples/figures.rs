//! How fast records become durable, load and migrate, here and now: `cargo run --release -p records --features testkit
//! --example figures [BINDINGS]`. The file and the private PostgreSQL are in the directory for temporary files.

use std::time::Instant;

use dot11::MacAddr;
use matchmaker::{
    Pattern, Uuid,
    objects::{Cause, NewBinding, Origin},
};
use records::{
    Draft, Embedded, MAX_DRAFTS, Postgres, Records, Report, Side, Totals, migrate, testkit::Server,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let bindings = std::env::args().nth(1).map_or(Ok(1_000_000), |text| text.parse::<u64>())?;
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("records.redb");
    let server = Server::start()?;
    let embedded = Embedded::open(&path)?;
    let postgres = Postgres::open(&server.database().await).await?;
    println!("{:<44}{:>12}{:>14}", "", "embedded", "PostgreSQL");
    let mut number = 1 << 40;
    for (writers, each) in [(1, 300), (16, 100), (256, 40)] {
        let mut rates = Vec::new();
        for store in [&embedded as &dyn Records, &postgres] {
            rates.push(commits(store, writers, each, &mut number).await?);
        }
        println!(
            "{:<44}{:>12.0}{:>14.0}",
            format!("commits of one binding/s, {writers} at a time"),
            rates[0],
            rates[1]
        );
    }
    let mut rates = Vec::new();
    for store in [&embedded as &dyn Records, &postgres] {
        let started = Instant::now();
        for batch in 0..20u32 {
            store.account((0..1000).map(|n| report(batch * 1000 + n)).collect()).await?;
        }
        rates.push(20_000.0 / started.elapsed().as_secs_f64());
    }
    println!("{:<44}{:>12.0}{:>14.0}", "accounting reports/s, 1000 at a time", rates[0], rates[1]);
    let started = Instant::now();
    for from in (0..bindings).step_by(MAX_DRAFTS / 4) {
        let to = bindings.min(from + MAX_DRAFTS as u64 / 4);
        embedded.commit((from..to).map(draft).collect()).await?;
    }
    println!(
        "{:<44}{:>12.0}",
        "bindings/s, 25000 at a time",
        bindings as f64 / started.elapsed().as_secs_f64()
    );
    let (objects, seconds) = load(&embedded).await?;
    println!("{:<44}{:>12.0}", format!("objects/s, loading {objects}"), objects as f64 / seconds);
    let size = std::fs::metadata(&path)?.len();
    println!("{:<44}{:>12.0}", "octets of the file for each object", size as f64 / objects as f64);
    drop(embedded);
    let to = server.database().await;
    let started = Instant::now();
    let moved = migrate(&path, &to, false, &mut |_| {}).await?;
    println!(
        "{:<44}{:>26.0}",
        "objects/s, migrating",
        moved.objects as f64 / started.elapsed().as_secs_f64()
    );
    let moved = Postgres::open(&to).await?;
    let (objects, seconds) = load(&moved).await?;
    println!("{:<44}{:>26.0}", format!("objects/s, loading {objects}"), objects as f64 / seconds);
    Ok(())
}

async fn commits(
    store: &dyn Records,
    writers: u64,
    each: u64,
    number: &mut u64,
) -> Result<f64, Box<dyn std::error::Error>> {
    let first = *number;
    *number += writers * each;
    let started = Instant::now();
    let writer = async |writer: u64| {
        for n in 0..each {
            store.commit(vec![draft(first + writer * each + n)]).await?;
        }
        Ok::<_, records::RecordsError>(())
    };
    futures_util::future::try_join_all((0..writers).map(writer)).await?;
    Ok((writers * each) as f64 / started.elapsed().as_secs_f64())
}

async fn load(store: &dyn Records) -> Result<(u64, f64), Box<dyn std::error::Error>> {
    let started = Instant::now();
    let mut count = 0;
    store.load(&mut |_| count += 1).await?;
    Ok((count, started.elapsed().as_secs_f64()))
}

fn draft(number: u64) -> Draft {
    let [_, _, a, b, c, d, e, f] = number.to_be_bytes();
    let account = format!("a{}@example.org", number % 1000).parse().ok();
    let client = Pattern::Exactly(MacAddr([a & 0xfe, b, c, d, e, f]));
    let service = Uuid::from_u128(u128::from(number % 10_000));
    let (policy, origin) = (Default::default(), Origin::AutoBind(Cause::Local));
    Draft::NewBinding {
        account,
        binding: NewBinding { service, client, radio: Pattern::Any, policy, origin },
    }
}

fn report(number: u32) -> Report {
    Report {
        account: format!("a{}@example.org", number % 1000).parse().ok(),
        session: u128::from(number).to_be_bytes(),
        client: MacAddr([2, 0, 0, 0, 0, 1]),
        service: Uuid::nil(),
        radio: MacAddr([2, 0, 0, 0, 0, 2]),
        radio_account: None,
        side: Side::Service,
        totals: Totals { sequence: 1, at: number.into(), ..Totals::default() },
    }
}
