//! The store in PostgreSQL, with a server of its own.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use matchmaker::objects::Change;
use records::{Answer, Postgres, Query, Records, RecordsError, Side, testkit::Server};
use tokio::sync::OnceCell;

use crate::suite::{self, Place, all, samples::*};

/// The server of the tests that run at the moment; it stops with the last of them.
fn server() -> Arc<Server> {
    static SERVER: Mutex<Weak<Server>> = Mutex::new(Weak::new());
    let mut shared = SERVER.lock().unwrap_or_else(PoisonError::into_inner);
    shared.upgrade().unwrap_or_else(|| {
        let server = Arc::new(Server::start().unwrap_or_else(|error| panic!("{error}")));
        *shared = Arc::downgrade(&server);
        server
    })
}

/// A database of its own.
struct Database {
    server: Arc<Server>,
    connection: OnceCell<String>,
}

impl Database {
    fn new() -> Self {
        Database { server: server(), connection: OnceCell::new() }
    }

    async fn connection(&self) -> &str {
        self.connection.get_or_init(|| self.server.database()).await
    }

    async fn client(&self) -> tokio_postgres::Client {
        self.server.connect(self.connection().await).await
    }
}

impl suite::Place for Database {
    fn open(&self) -> Answer<'_, Box<dyn Records>> {
        Box::pin(async { Ok(Box::new(Postgres::open(self.connection().await).await?) as Box<dyn Records>) })
    }
}

suite::behaves_as_records!(Database::new());

#[test]
fn several_processes_write_as_one() {
    suite::block_on(async {
        let place = Database::new();
        // They also start at a time, and so make the schema at a time.
        let open = || async { Postgres::open(place.connection().await).await.unwrap() };
        let (a, b, c) = tokio::join!(open(), open(), open());
        let write = async |store: &Postgres| {
            let mut ids = Vec::new();
            for n in 0..50 {
                let drafts = vec![new_binding(Some(1), 1, n), put_client(1, &n.to_string()).into()];
                let committed = store.commit(drafts).await.unwrap();
                let Change::PutBinding { binding, .. } = committed.outcomes[0].change else { panic!() };
                ids.push(binding.id);
            }
            ids
        };
        let read = async |store: &Postgres| {
            let mut follow = store.follow(0).await.unwrap();
            let mut mirror = std::collections::BTreeMap::new();
            let mut last = None;
            while mirror.len() < 50 || last != Some(put_client(1, "49")) {
                for change in follow.next().await.unwrap().changes {
                    match change {
                        Change::PutBinding { binding, .. } => {
                            assert_eq!(mirror.insert(binding.id, binding), None)
                        }
                        other => last = Some(other),
                    }
                }
            }
            mirror
        };
        let (ids_a, ids_b, mirror_b, mirror_c) = tokio::join!(write(&a), write(&b), read(&b), read(&c));
        assert_eq!(ids_a, ids_b, "who asks for the same binding gets the same, once");
        assert_eq!(mirror_b, mirror_c);
        assert_eq!(mirror_b.keys().copied().collect::<Vec<_>>(), (1..=50).collect::<Vec<_>>());
    });
}

#[test]
fn preconditions_hold_between_processes() {
    suite::block_on(async {
        let place = Database::new();
        let (a, b) = (place.open().await.unwrap(), place.open().await.unwrap());
        let count = async |store: &dyn Records| {
            let mut won = 0;
            for _ in 0..30 {
                let read = store.get(records::Name::Client(mac(1))).await.unwrap();
                let seen = read.map(|object| object.change);
                let number = match &seen {
                    Some(Change::PutClient(client)) => client.name.parse::<u32>().unwrap(),
                    Some(other) => panic!("{other:?}"),
                    None => 0,
                };
                let change = put_client(1, &(number + 1).to_string());
                match store.commit(vec![records::Draft::change_if(seen, change)]).await {
                    // The other may have put the very same.
                    Ok(committed) => won += u32::from(committed.outcomes[0].made),
                    Err(RecordsError::Changed { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            won
        };
        let (won_a, won_b) = tokio::join!(count(&*a), count(&*b));
        let (_, objects) = all(&*a).await;
        assert_eq!(objects[0].change, put_client(1, &(won_a + won_b).to_string()), "no update was lost");
    });
}

#[test]
fn errors_name_the_database_and_not_the_password() {
    suite::block_on(async {
        for (connection, told) in [
            (
                "host=127.0.0.1,localhost port=1 user=u dbname=d password=hidden",
                "127.0.0.1:1 or localhost:1, database d",
            ),
            ("postgresql://u:hidden@127.0.0.1:1/d", "127.0.0.1:1, database d"),
            ("host=h password hidden", "cannot be read"),
        ] {
            let started = std::time::Instant::now();
            let error = Postgres::open(connection).await.err().unwrap();
            assert!(error.to_string().contains(told) && !error.to_string().contains("hidden"), "{error}");
            assert!(!format!("{error:?}").contains("hidden"));
            assert!(started.elapsed().as_secs() < 15);
        }
    });
}

#[test]
fn what_is_not_ours_is_refused() {
    suite::block_on(async {
        let place = Database::new();
        let store = place.open().await.unwrap();
        store.commit(vec![put_client(1, "x").into()]).await.unwrap();
        drop(store);
        let refused = async || place.open().await.err().expect("it must not be opened");
        let client = place.client().await;
        // A newer schema.
        client.batch_execute("INSERT INTO records.schema (number) VALUES (3)").await.unwrap();
        let error = refused().await;
        assert!(matches!(error, RecordsError::Newer { found: 3, known: 2, .. }), "{error}");
        client.batch_execute("DELETE FROM records.schema WHERE number = 3").await.unwrap();
        // A damaged object is reported by those who read it.
        client.batch_execute("UPDATE records.object SET body = '\\x09'").await.unwrap();
        let store = place.open().await.unwrap();
        let error = store.load(&mut |_| {}).await.unwrap_err();
        assert!(
            matches!(error, RecordsError::Damaged { .. }) && error.to_string().contains("client 02:"),
            "{error}"
        );
        let error = store.get(records::Name::Client(mac(1))).await.unwrap_err();
        assert!(matches!(error, RecordsError::Damaged { .. }), "{error}");
        // A user who may not make the schema.
        drop((store, client));
        let bare = Database::new();
        bare.client().await.batch_execute("CREATE ROLE guest LOGIN").await.unwrap();
        let connection = bare.connection().await.replace("user=ttg", "user=guest");
        let error = Postgres::open(&connection).await.err().unwrap();
        assert!(error.to_string().contains("GRANT CREATE"), "{error}");
    });
}

#[test]
fn what_fell_out_of_the_log_is_loaded_again() {
    suite::block_on(async {
        let place = Database::new();
        let store = place.open().await.unwrap();
        for n in 0..10 {
            store.commit(vec![put_client(n, "x").into()]).await.unwrap();
        }
        place.client().await.batch_execute("DELETE FROM records.change WHERE version <= 5").await.unwrap();
        let error = store.follow(4).await.unwrap().next().await.unwrap_err();
        assert!(matches!(error, RecordsError::LoadAgain { since: 4, .. }), "{error}");
        assert_eq!(store.follow(5).await.unwrap().next().await.unwrap().version, 6);
        place.client().await.batch_execute("DELETE FROM records.change").await.unwrap();
        assert!(matches!(store.follow(9).await.unwrap().next().await, Err(RecordsError::LoadAgain { .. })));
    });
}

#[test]
fn acknowledgements_are_durable_whatever_the_defaults() {
    suite::block_on(async {
        let place = Database::new();
        let name = place.connection().await.rsplit_once('=').unwrap().1.to_owned();
        let client = place.client().await;
        let defaults = format!(
            "ALTER DATABASE {name} SET synchronous_commit = off;
             ALTER DATABASE {name} SET default_transaction_isolation = serializable;
             ALTER DATABASE {name} SET search_path = nowhere"
        );
        client.batch_execute(&defaults).await.unwrap();
        let store = place.open().await.unwrap();
        store.commit(vec![put_client(1, "x").into()]).await.unwrap();
        store.account(vec![suite::report(1, Side::Radio, 1, 1)]).await.unwrap();
        assert_eq!(store.sessions(Query::default()).await.unwrap().sessions.len(), 1);
        // Who has a standby that does not take writes waits for the primary, and says so.
        client
            .batch_execute(&format!("ALTER DATABASE {name} SET default_transaction_read_only = on"))
            .await
            .unwrap();
        let error = place.open().await.err().unwrap();
        assert!(matches!(error, RecordsError::Unreachable { .. }), "{error}");
    });
}
