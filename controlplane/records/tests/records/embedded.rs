//! The embedded store.

use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use records::{Answer, Embedded, Name, Query, Records, RecordsError};

use crate::suite;

/// A file in a directory that goes with it.
struct TempFile(tempfile::TempDir);

impl TempFile {
    fn new() -> Self {
        TempFile(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("records.redb")
    }
}

impl suite::Place for TempFile {
    fn open(&self) -> Answer<'_, Box<dyn Records>> {
        Box::pin(async { Ok(Box::new(Embedded::open(&self.path())?) as Box<dyn Records>) })
    }
}

suite::behaves_as_records!(TempFile::new());

fn refused(path: &Path) -> RecordsError {
    Embedded::open(path).err().expect("it must not be opened")
}

#[test]
fn only_its_owner_reads_it_and_one_process_uses_it() {
    let file = TempFile::new();
    let store = Embedded::open(&file.path()).unwrap();
    assert_eq!(std::fs::metadata(file.path()).unwrap().permissions().mode() & 0o777, 0o600);
    let error = refused(&file.path());
    assert_eq!(error, RecordsError::InUse { at: file.path().display().to_string() });
    drop(store);
    let mode = |mode| std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(mode)).unwrap();
    mode(0o644);
    Embedded::open(&file.path()).unwrap();
    assert_eq!(std::fs::metadata(file.path()).unwrap().permissions().mode() & 0o777, 0o600);
    let error = refused(&file.0.path().join("no/such"));
    assert!(matches!(error, RecordsError::Io { .. }), "{error}");
}

#[test]
fn what_is_not_ours_is_reported_and_left_alone() {
    let file = TempFile::new();
    let good = {
        let store = Embedded::open(&file.path()).unwrap();
        suite::block_on(store.commit(vec![suite::samples::put_client(1, "x").into()])).unwrap();
        drop(store);
        std::fs::read(file.path()).unwrap()
    };
    let mut header = good.clone();
    header[..64].fill(0xa5);
    let half = good[..good.len() / 2].to_vec();
    for bad in [b"[server]\nlisten = 1\n".to_vec(), vec![7; 1 << 20], header, half] {
        std::fs::write(file.path(), &bad).unwrap();
        let error = refused(&file.path());
        assert!(matches!(error, RecordsError::Damaged { .. }), "{error}");
        assert!(error.to_string().contains("records.redb"), "{error}");
        assert_eq!(std::fs::read(file.path()).unwrap(), bad, "it is as it was");
    }
}

#[test]
fn a_newer_format_is_refused() {
    let file = TempFile::new();
    drop(Embedded::open(&file.path()).unwrap());
    let table = redb::TableDefinition::<&str, u64>::new("store");
    let change = |key: &str, value: u64| {
        let database = redb::Database::open(file.path()).unwrap();
        let transaction = database.begin_write().unwrap();
        transaction.open_table(table).unwrap().insert(key, value).unwrap();
        transaction.commit().unwrap();
    };
    change("format", 2);
    let at = file.path().display().to_string();
    assert_eq!(refused(&file.path()), RecordsError::Newer { at, found: 2, known: 1 });
    change("format", 1);
    drop(Embedded::open(&file.path()).unwrap());
    // A database of somebody else.
    let other = file.0.path().join("other.redb");
    let database = redb::Database::create(&other).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(redb::TableDefinition::<&str, u64>::new("theirs")).unwrap();
    transaction.commit().unwrap();
    drop(database);
    assert!(matches!(refused(&other), RecordsError::Damaged { .. }));
}

/// Whatever octets are overwritten while nobody looks: what is read is what was written, or an error.
#[test]
fn damage_is_not_taken_for_records() {
    let file = TempFile::new();
    let (good, was) = {
        let store = Embedded::open(&file.path()).unwrap();
        suite::block_on(async {
            let drafts = (0..200).map(|n| suite::samples::new_binding(None, n, n)).collect();
            store.commit(drafts).await.unwrap();
            let reports = (0..200).map(|n| suite::report(n, records::Side::Radio, 1, 1)).collect();
            store.account(reports).await.unwrap();
            let was = (suite::all(&store).await.1, store.sessions(Query::default()).await.unwrap());
            drop(store);
            (std::fs::read(file.path()).unwrap(), was)
        })
    };
    let (mut found, mut harmless) = (0, 0);
    // What redb says when it gives up is not of interest, and takes long to say.
    let others = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !panic.location().is_some_and(|location| location.file().contains("redb")) {
            others(panic);
        }
    }));
    // Most of the file is empty.
    let used =
        (0..good.len() / 16).map(|n| 16 * n).filter(|&n| good[n..n + 16].iter().any(|&octet| octet != 0));
    let used: Vec<_> = used.collect();
    for &place in used.iter().step_by(used.len() / 100) {
        let mut bad = good.clone();
        bad[place..place + 16].iter_mut().for_each(|octet| *octet ^= 0x41);
        std::fs::write(file.path(), &bad).unwrap();
        let read = || async {
            let store = Embedded::open(&file.path())?;
            let mut objects = Vec::new();
            store.load(&mut |object| objects.push(object)).await?;
            objects.sort_by_key(|object| format!("{:?}", Name::of(&object.change)));
            Ok::<_, RecordsError>((objects, store.sessions(Query::default()).await?))
        };
        match suite::block_on(read()) {
            Ok((objects, sessions)) => {
                harmless += 1;
                let mut expected = was.0.clone();
                expected.sort_by_key(|object| format!("{:?}", Name::of(&object.change)));
                assert!(objects == expected, "at {place}");
                assert!(sessions.sessions.len() <= was.1.sessions.len());
                assert!(
                    sessions.sessions.iter().all(|session| was.1.sessions.contains(session)),
                    "at {place}"
                );
            }
            Err(error) => {
                assert!(matches!(error, RecordsError::Damaged { .. }), "at {place}: {error}");
                found += 1;
            }
        }
    }
    println!("{found} were found, {harmless} were where nothing is");
    assert!(found > 0);
}
