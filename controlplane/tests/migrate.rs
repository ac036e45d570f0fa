//! `controlplane migrate`, the program: from a file of records into a real PostgreSQL.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use matchmaker::{Change, Pattern, objects};
use records::{Draft, Embedded, Object, Postgres, Records, testkit::Server};

struct Place {
    directory: tempfile::TempDir,
    server: Server,
    connection: String,
}

impl Place {
    async fn new() -> Place {
        let server = tokio::task::spawn_blocking(Server::start).await.unwrap();
        let server = server.unwrap_or_else(|error| panic!("{error}"));
        let connection = server.database().await;
        Place { directory: tempfile::tempdir().unwrap(), server, connection }
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("records.redb")
    }

    fn command(&self, more: &[&str]) -> Command {
        let path = self.directory.path().join("controlplane.toml");
        let (state, to) = (self.directory.path().display(), &self.connection);
        let text = format!("state = \"{state}\"\n[matchmaker]\n[records]\npostgres = \"{to}\"\n");
        std::fs::write(&path, text).unwrap();
        command(&path, more)
    }
}

fn command(config: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_controlplane"));
    command.arg("migrate").arg("--config").arg(config).args(more);
    command
}

/// What it prints, or says when it fails.
async fn outcome(mut command: Command) -> Result<String, String> {
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text = |octets| String::from_utf8(octets).unwrap();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

fn binding(n: u32) -> Draft {
    let [.., a, b] = n.to_be_bytes();
    let binding = objects::NewBinding {
        service: matchmaker::Uuid::from_u128(7),
        client: Pattern::Exactly(dot11::MacAddr([2, 0, 0, 1, a, b])),
        radio: Pattern::Any,
        policy: Default::default(),
        origin: objects::Origin::Administrator,
    };
    Draft::NewBinding { account: None, binding }
}

async fn all(store: &dyn Records) -> Vec<Object> {
    let mut all = Vec::new();
    store.load(&mut |object| all.push(object)).await.unwrap();
    all.sort_by_key(|object| format!("{:?}", object.change));
    all
}

#[tokio::test]
async fn records_are_moved_once_also_after_it_was_killed() {
    let place = Place::new().await;
    let said = outcome(place.command(&[])).await.unwrap_err();
    assert!(said.contains("records.redb cannot be opened: there is no such file"), "{said}");
    let file = Embedded::open(&place.file()).unwrap();
    file.commit((0..9000).map(binding).collect()).await.unwrap();
    let was = all(&file).await;
    let said = outcome(place.command(&[])).await.unwrap_err();
    assert!(said.contains("records.redb is in use by another process; stop that"), "{said}");
    drop(file);

    // Killed in the middle: the database is as it was.
    let mut child = place.command(&[]).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    assert!(log.any(|line| line == "writing the database…"));
    child.kill().unwrap();
    child.wait().unwrap();
    let store = Postgres::open(&place.connection).await.unwrap();
    assert_eq!(all(&store).await, []);

    let said = outcome(place.command(&[])).await.unwrap();
    let what = "9000 objects and the accounting of 0 sessions, version 1: ";
    assert!(said.starts_with(what) && said.contains("moved into the database"), "{said}");
    assert!(said.contains("records.redb is as it was"), "{said}");
    assert_eq!(all(&store).await, was);
    let said = outcome(place.command(&[])).await.unwrap();
    assert!(
        said.starts_with(what) && said.contains("in the database already, nothing was written"),
        "{said}"
    );

    // What came since is not overwritten, unless that is said.
    store.commit(vec![Change::DeleteBinding { account: None, id: 5 }.into()]).await.unwrap();
    let said = outcome(place.command(&[])).await.unwrap_err();
    assert!(
        said.contains("already has other records (8999 objects") && said.contains("(--replace)"),
        "{said}"
    );
    assert_eq!(all(&store).await.len(), 8999);
    assert!(outcome(place.command(&["--replace"])).await.unwrap().contains("version 3: moved"));
    assert_eq!(all(&store).await, was);

    // A database that is away, and none.
    place.server.crash();
    let said = outcome(place.command(&[])).await.unwrap_err();
    assert!(said.contains("cannot be reached: "), "{said}");
    let path = place.directory.path().join("other.toml");
    std::fs::write(&path, "[matchmaker]\n").unwrap();
    let said = outcome(command(&path, &[])).await.unwrap_err();
    assert!(said.contains("does not say whereto: add [records]"), "{said}");
}
