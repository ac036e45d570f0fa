//! Private PostgreSQL servers for tests: on Unix sockets in a directory of their own that goes when the value does, with `fsync`.

mod machine;
mod pair;

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio_postgres::{Client, NoTls};

use self::machine::{Machine, Node};
pub use self::{machine::StartError, pair::Pair};

/// A server; stopped and wiped when dropped.
pub struct Server {
    // Before the directory goes.
    node: Node,
    machine: Machine,
    databases: AtomicUsize,
}

impl Server {
    /// Makes a cluster, starts its server and waits until it is ready. Blocks its thread, as all methods do.
    pub fn start() -> Result<Self, StartError> {
        let machine = Machine::new()?;
        let node = machine.node("only")?;
        machine.initialize(&node)?;
        let server = Server { machine, node, databases: AtomicUsize::new(0) };
        server.restart()?;
        Ok(server)
    }

    /// A new database; how to connect to it.
    pub async fn database(&self) -> String {
        let name = format!("d{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let client = self.connect(&self.connection("postgres")).await;
        client.batch_execute(&format!("CREATE DATABASE {name}")).await.expect("a new database");
        self.connection(&name)
    }

    /// How to connect to a database that is there.
    pub fn connection(&self, database: &str) -> String {
        format!("host={} user=ttg dbname={database}", self.node.directory.display())
    }

    /// A plain client, to look at what is stored or to change it.
    pub async fn connect(&self, connection: &str) -> Client {
        let (client, connection) = tokio_postgres::connect(connection, NoTls).await.expect("a connection");
        tokio::spawn(connection);
        client
    }

    /// Kills it with all its processes, as if the machine lost power but not its disk's cache.
    pub fn crash(&self) {
        self.node.crash();
    }

    /// Who follows the changes: the server's processes that serve them.
    pub async fn followers(&self) -> Vec<i32> {
        let client = self.connect(&self.connection("postgres")).await;
        let text = "SELECT pid FROM pg_stat_activity WHERE query LIKE '%records.change c ON c.version%' AND pid <> pg_backend_pid()";
        let rows = client.query(text, &[]).await.expect("what the server does");
        rows.into_iter().map(|row| row.get(0)).collect()
    }

    /// Stops one of the server's processes, or lets it go on; it has when this returns.
    pub fn stop(&self, process: i32, stop: bool) {
        machine::stop(process.unsigned_abs(), stop);
    }

    /// Starts it again, and waits until it is ready.
    pub fn restart(&self) -> Result<(), StartError> {
        self.machine.launch(&self.node, &[])
    }
}
