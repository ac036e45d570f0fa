//! Connections: to a server that takes writes, whose acknowledgements hold, and whose schema is ours.

use std::{fmt, future::poll_fn, sync::Arc, time::Duration};

use tokio::{sync::Notify, time::Instant};
use tokio_postgres::{
    AsyncMessage, Client, Config, NoTls,
    config::{Host, SslMode, TargetSessionAttrs},
    error::SqlState,
};

use super::schema;
use crate::RecordsError;

/// How long something is tried again before an error is given.
const PATIENCE: Duration = Duration::from_secs(10);

/// Doubles with every attempt, up to a second.
const FIRST_PAUSE: Duration = Duration::from_millis(10);

/// A database, and how to log on to it. Prints as `…`.
#[derive(Clone)]
pub struct Database {
    connection: String,
    password: Option<String>,
}

/// As `psql` takes it: `host=a,b dbname=ttg user=ttg password=…`, or `postgresql://ttg@a,b/ttg`.
impl<T: AsRef<str> + ?Sized> From<&T> for Database {
    fn from(connection: &T) -> Self {
        Database { connection: connection.as_ref().to_owned(), password: None }
    }
}

impl Database {
    /// With this password, whatever the connection string has.
    pub fn with_password(self, password: &str) -> Self {
        Database { password: Some(password.to_owned()), ..self }
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// Where to connect.
pub(crate) struct Target {
    config: Config,
    /// How messages call it.
    pub(crate) at: String,
}

/// Why something did not work.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The connection is gone, or the server does not take writes any more. Nothing happened.
    Lost(String),
    /// Others were in the way: the same may work now. Nothing happened.
    Again(String),
    /// The connection went during `COMMIT`.
    Unknown(String),
    /// Trying again does not help. Nothing happened.
    Final(RecordsError),
}

impl From<tokio_postgres::Error> for Trouble {
    fn from(error: tokio_postgres::Error) -> Self {
        let Some(said) = error.as_db_error() else { return Trouble::Lost(reason(&error)) };
        let text = match said.detail() {
            Some(detail) => format!("{} ({detail})", said.message()),
            None => said.message().to_owned(),
        };
        let code = said.code();
        let gone = [
            &SqlState::ADMIN_SHUTDOWN,
            &SqlState::CRASH_SHUTDOWN,
            &SqlState::CANNOT_CONNECT_NOW,
            &SqlState::READ_ONLY_SQL_TRANSACTION,
            &SqlState::TOO_MANY_CONNECTIONS,
            &SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
        ];
        if gone.contains(&code) || code.code().starts_with("08") {
            Trouble::Lost(text)
        } else if code.code().starts_with("40") {
            Trouble::Again(text)
        } else if code.code().starts_with("28") || *code == SqlState::UNDEFINED_DATABASE {
            Trouble::Final(RecordsError::Refused { at: String::new(), reason: text })
        } else {
            // Whose it is, is added where it is known.
            Trouble::Final(RecordsError::Failed { at: String::new(), reason: text })
        }
    }
}

impl From<RecordsError> for Trouble {
    fn from(error: RecordsError) -> Self {
        Trouble::Final(error)
    }
}

/// What a client's error says, with its cause; neither has the password.
fn reason(error: &tokio_postgres::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

/// An open connection.
pub(crate) struct Session {
    pub(crate) client: Client,
    /// Told when something was committed, or the connection ended.
    pub(crate) news: Arc<Notify>,
}

impl Target {
    pub(crate) fn new(database: Database) -> Result<Target, RecordsError> {
        // What the parser says might quote a part of the password.
        let mut config: Config = database.connection.parse().map_err(|_| RecordsError::Configuration {
            reason:
                "the connection string of PostgreSQL cannot be read; write it as `host=… dbname=… user=…` or \
                     `postgresql://user@host,host/database`"
                    .into(),
        })?;
        if let Some(password) = &database.password {
            config.password(password);
        }
        if config.get_ssl_mode() == SslMode::Require {
            return Err(RecordsError::Configuration {
                reason: "the connection string of PostgreSQL has `sslmode=require`, and connections are not encrypted by this \
                         software; connect through a network or tunnel that is, and leave `sslmode` out"
                    .into(),
            });
        }
        if config.get_target_session_attrs() == TargetSessionAttrs::Any {
            config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        }
        config.application_name(config.get_application_name().unwrap_or("controlplane").to_owned());
        // A host that vanished is noticed.
        let connect_timeout = config.get_connect_timeout().copied().unwrap_or(Duration::from_secs(3));
        let user_timeout = config.get_tcp_user_timeout().copied().unwrap_or(Duration::from_secs(10));
        let idle = config.get_keepalives_idle().min(Duration::from_secs(5));
        let interval = config.get_keepalives_interval().unwrap_or(Duration::from_secs(2));
        let retries = config.get_keepalives_retries().unwrap_or(3);
        config
            .connect_timeout(connect_timeout)
            .tcp_user_timeout(user_timeout)
            .keepalives_idle(idle)
            .keepalives_interval(interval)
            .keepalives_retries(retries);
        let at = describe(&config);
        Ok(Target { config, at })
    }

    /// One attempt.
    pub(crate) async fn connect(&self) -> Result<Session, Trouble> {
        let (client, mut connection) = self.config.connect(NoTls).await?;
        let news = Arc::new(Notify::new());
        tokio::spawn({
            let news = Arc::clone(&news);
            async move {
                // Ends with the client, or with the connection; then whoever uses the client is told.
                while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
                    if let AsyncMessage::Notification(_) = message {
                        news.notify_one();
                    }
                }
                drop(connection);
                news.notify_one();
            }
        });
        // If this process hangs or its host vanishes while it holds the lock, others are not to wait for long.
        // A statement that is cancelled while it waits for a standby is acknowledged without it.
        let setup = "SET statement_timeout = 0; SET idle_in_transaction_session_timeout = '10s'; SET tcp_keepalives_idle = 5;
            SET tcp_keepalives_interval = 2; SET tcp_keepalives_count = 3; SET client_min_messages = warning;
            SET search_path = pg_catalog;
            SELECT set_config('synchronous_commit', 'on', false)
                WHERE current_setting('synchronous_commit') IN ('off', 'local')";
        client.batch_execute(setup).await?;
        let fsync: String = client.query_one("SELECT current_setting('fsync')", &[]).await?.get(0);
        if fsync != "on" {
            let reason = "the server runs with fsync = off; set it to on in postgresql.conf".into();
            return Err(Trouble::Final(RecordsError::NotDurable { at: self.at.clone(), reason }));
        }
        let mut session = Session { client, news };
        schema::check(&mut session.client, &self.at).await?;
        Ok(session)
    }

    /// Any trouble, as an error.
    pub(crate) fn error(&self, trouble: Trouble) -> RecordsError {
        let at = self.at.clone();
        match trouble {
            Trouble::Lost(reason) => RecordsError::Unreachable { at, reason },
            Trouble::Again(reason) => RecordsError::Failed { at, reason },
            Trouble::Unknown(reason) => RecordsError::UnknownOutcome { at, reason },
            Trouble::Final(RecordsError::Failed { at: of, reason }) if of.is_empty() => {
                RecordsError::Failed { at, reason }
            }
            Trouble::Final(RecordsError::Refused { reason, .. }) => RecordsError::Refused { at, reason },
            Trouble::Final(error) => error,
        }
    }
}

/// How long to try again, and how long to wait before.
pub(crate) struct Patience {
    until: Instant,
    pause: Duration,
}

impl Patience {
    pub(crate) fn new() -> Self {
        Patience { until: Instant::now() + PATIENCE, pause: FIRST_PAUSE }
    }

    /// Waits before the next attempt, if there is to be one.
    pub(crate) async fn pause(&mut self, trouble: Trouble, target: &Target) -> Result<(), RecordsError> {
        let again = matches!(trouble, Trouble::Lost(_) | Trouble::Again(_));
        if !again || Instant::now() + self.pause > self.until {
            return Err(target.error(trouble));
        }
        if self.pause == FIRST_PAUSE {
            tracing::warn!(reason = %target.error(trouble), "records wait");
        }
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(Duration::from_secs(1));
        Ok(())
    }
}

fn describe(config: &Config) -> String {
    let ports = config.get_ports();
    let port = |place: usize| ports.get(place).or(ports.first()).copied().unwrap_or(5432);
    let named = config.get_hosts().iter().enumerate().map(|(place, host)| match host {
        Host::Tcp(name) => format!("{name}:{}", port(place)),
        Host::Unix(path) => format!("{}:{}", path.display(), port(place)),
    });
    let numbers =
        config.get_hostaddrs().iter().enumerate().map(|(place, ip)| format!("{ip}:{}", port(place)));
    let hosts: Vec<_> = if config.get_hosts().is_empty() { numbers.collect() } else { named.collect() };
    let database = config.get_dbname().or(config.get_user()).unwrap_or("the user's own");
    format!("PostgreSQL at {}, database {database},", hosts.join(" or "))
}
