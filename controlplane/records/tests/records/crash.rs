//! Processes that are killed: nothing acknowledged is lost, nothing appears that was not asked for.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
};

use matchmaker::{Pattern, objects::Change};
use records::{Embedded, Name, Postgres, Query, Records, RecordsError, Side, testkit::Server};
use tokio::sync::Notify;

use crate::suite::{self, all, samples::*};

const FILE: &str = "RECORDS_OF_A_TEST";
const WRITERS: u8 = 4;

/// Commit `n` of a writer: a binding, a client of the same name, and a report.
fn drafts(writer: u8, n: u8) -> Vec<records::Draft> {
    vec![new_binding(Some(writer), 1, n), put_binding(None, 1 + u64::from(writer), 2 + writer, n).into()]
}

/// What writers' commits came to: how many of each are there, if they are without gaps and complete.
async fn commits(store: &dyn Records) -> BTreeMap<u8, u8> {
    let mut bindings = BTreeMap::<u8, BTreeSet<u8>>::new();
    let mut last = BTreeMap::new();
    let mut ids = BTreeSet::new();
    for object in all(store).await.1 {
        let Change::PutBinding { account: of, binding } = object.change else { panic!("{object:?}") };
        let Pattern::Exactly(client) = binding.client else { panic!("{binding:?}") };
        let n = client.0[5];
        match of {
            Some(of) => {
                assert!(ids.insert((of.clone(), binding.id)));
                let writer = (0..WRITERS).find(|&writer| account(writer) == of).unwrap();
                assert!(bindings.entry(writer).or_default().insert(n), "asked for once, there once");
            }
            None => assert_eq!(last.insert((binding.id - 1) as u8, n), None),
        }
    }
    for (writer, there) in &bindings {
        assert!(there.iter().copied().eq(0..there.len() as u8), "{there:?}");
        assert_eq!(last.remove(writer), there.last().copied(), "all of a commit, or nothing");
    }
    assert!(last.is_empty(), "{last:?}");
    bindings.into_iter().map(|(writer, there)| (writer, there.len() as u8)).collect()
}

/// Not a test of its own: what [`a_killed_writer_of_a_file`] runs and kills.
#[test]
fn writes_until_killed() {
    let Ok(path) = std::env::var(FILE) else { return };
    suite::block_on(async {
        let store = Embedded::open(path.as_ref()).unwrap();
        let there = commits(&store).await;
        let write = async |writer: u8| {
            for n in there.get(&writer).copied().unwrap_or(0)..u8::MAX {
                println!("\nasks {writer} {n}");
                store.commit(drafts(writer, n)).await.unwrap();
                store.account(vec![suite::report(writer, Side::Radio, n.into(), 1)]).await.unwrap();
                println!("\nhas {writer} {n}");
            }
        };
        tokio::join!(write(0), write(1), write(2), write(3));
    });
}

#[test]
fn a_killed_writer_of_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("records.redb");
    let (mut asked, mut acknowledged) = (BTreeMap::new(), BTreeMap::new());
    for round in 1..=5 {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crash::writes_until_killed", "--nocapture"])
            .env(FILE, &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = 0;
        for line in BufReader::new(process.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            let words: Vec<_> = line.split(' ').collect();
            let into = match words[..] {
                ["asks", _, _] => &mut asked,
                ["has", _, _] => &mut acknowledged,
                _ => continue,
            };
            into.insert(words[1].parse::<u8>().unwrap(), words[2].parse::<u8>().unwrap());
            lines += 1;
            if lines == 31 * round {
                process.kill().unwrap();
            }
        }
        assert!(!process.wait().unwrap().success(), "it was killed in the middle");
        suite::block_on(async {
            let store = Embedded::open(&path).unwrap();
            let there = commits(&store).await;
            for writer in 0..WRITERS {
                let there = there.get(&writer).copied().unwrap_or(0);
                assert!(
                    acknowledged.get(&writer).is_none_or(|&last| there > last),
                    "nothing acknowledged is lost"
                );
                assert!(
                    asked.get(&writer).map_or(there == 0, |&last| there <= last + 1),
                    "nothing unasked appears"
                );
            }
            for session in store.sessions(Query::default()).await.unwrap().sessions {
                let (writer, sequence) = (session.session[0], session.by_radio.unwrap().sequence);
                assert!(acknowledged.get(&writer).is_none_or(|&last| sequence >= last.into()));
                assert!(sequence <= asked[&writer].into());
            }
        });
    }
}

#[test]
fn a_killed_postgres() {
    const COMMITS: u8 = 120;
    const CRASHES: usize = 3;
    suite::block_on(async {
        let server = Server::start().unwrap_or_else(|error| panic!("{error}"));
        let connection = server.database().await;
        // Two control processes.
        let (a, b) = (Postgres::open(&connection).await.unwrap(), Postgres::open(&connection).await.unwrap());
        let (progress, count, unknown) = (Notify::new(), AtomicUsize::new(0), AtomicUsize::new(0));
        let done = AtomicBool::new(false);
        let write = async |store: &Postgres, writer: u8| {
            for n in 0..COMMITS {
                // Repeating is what callers do about an unknown outcome.
                let committed = loop {
                    match store.commit(drafts(writer, n)).await {
                        Ok(committed) => break committed,
                        Err(RecordsError::UnknownOutcome { .. }) => unknown.fetch_add(1, Ordering::Relaxed),
                        Err(error) => panic!("{error}"),
                    };
                };
                let Change::PutBinding { binding, .. } = &committed.outcomes[0].change else { panic!() };
                let name = Name::Binding(Some(account(writer)), binding.id);
                assert_eq!(
                    store.get(name).await.unwrap().map(|o| o.change),
                    Some(committed.outcomes[0].change.clone())
                );
                while let Err(error) =
                    store.account(vec![suite::report(writer, Side::Radio, n.into(), 1)]).await
                {
                    assert!(matches!(error, RecordsError::UnknownOutcome { .. }), "{error}");
                }
                count.fetch_add(1, Ordering::Relaxed);
                progress.notify_one();
            }
        };
        let writers = async {
            tokio::join!(write(&a, 0), write(&b, 1), write(&a, 2), write(&b, 3));
            done.store(true, Ordering::Relaxed);
            // Whatever happened, followers see what was committed.
            b.commit(vec![put_binding(Some(9), 1, 9, 9).into()]).await.unwrap();
        };
        let crashes = async {
            for crash in 1..=CRASHES {
                while count.load(Ordering::Relaxed) < crash * usize::from(COMMITS) {
                    progress.notified().await;
                }
                tokio::task::block_in_place(|| server.crash());
                tokio::task::block_in_place(|| server.restart()).unwrap_or_else(|error| panic!("{error}"));
            }
        };
        let follower = async {
            let mut follow = a.follow(0).await.unwrap();
            let (mut expected, mut seen) = (1, BTreeMap::new());
            loop {
                let step = follow.next().await.unwrap();
                assert_eq!(step.version, expected, "each once, in order");
                expected += 1;
                for change in step.changes {
                    let Change::PutBinding { account: of, binding } = change else { panic!("{change:?}") };
                    if of == Some(account(9)) {
                        return seen;
                    }
                    seen.insert(format!("{of:?} {}", binding.id), binding);
                }
            }
        };
        let ((), (), seen) = tokio::join!(writers, crashes, follower);
        a.commit(vec![Change::DeleteBinding { account: Some(account(9)), id: 1 }.into()]).await.unwrap();
        assert_eq!(commits(&a).await, (0..WRITERS).map(|writer| (writer, COMMITS)).collect());
        let there: BTreeMap<_, _> = all(&b)
            .await
            .1
            .into_iter()
            .map(|object| match object.change {
                Change::PutBinding { account, binding } => (format!("{account:?} {}", binding.id), binding),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(seen, there, "who followed knows the same");
        for session in a.sessions(Query::default()).await.unwrap().sessions {
            assert_eq!(session.by_radio.unwrap().sequence, u32::from(COMMITS) - 1);
        }
        println!("{} outcomes were unknown and were repeated", unknown.load(Ordering::Relaxed));
    });
}

#[test]
fn the_host_that_takes_writes_is_found() {
    suite::block_on(async {
        let start = || Server::start().unwrap_or_else(|error| panic!("{error}"));
        let (first, second) = std::thread::scope(|scope| {
            let first = scope.spawn(start);
            let second = start();
            (first.join().unwrap(), second)
        });
        let host = |server: &Server| server.connection("").split(' ').next().unwrap().replace("host=", "");
        let both = format!("host={},{} user=ttg dbname=postgres", host(&first), host(&second));
        let store = Postgres::open(&both).await.unwrap();
        store.commit(vec![put_client(1, "on the first").into()]).await.unwrap();
        let on = |server: &Server| {
            let connection = server.connection("postgres");
            async move { all(&Postgres::open(&connection).await.unwrap()).await.1 }
        };
        assert_eq!(on(&first).await.len(), 1);
        // The first is demoted while connections to it are open.
        let client = first.connect(&first.connection("postgres")).await;
        client.batch_execute("ALTER ROLE ttg SET default_transaction_read_only = on").await.unwrap();
        let others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND usename = 'ttg'";
        client.batch_execute(others).await.unwrap();
        loop {
            match store.commit(vec![put_client(2, "on the second").into()]).await {
                Ok(_) => break,
                Err(RecordsError::UnknownOutcome { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(on(&second).await[0].change, put_client(2, "on the second"));
        // And the first goes away altogether.
        first.crash();
        let store = Postgres::open(&both).await.unwrap();
        store.commit(vec![put_client(3, "on the second").into()]).await.unwrap();
        assert_eq!(on(&second).await.len(), 2);
    });
}
