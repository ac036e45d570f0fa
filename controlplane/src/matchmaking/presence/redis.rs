//! The store is Redis, or whatever speaks its protocol: one server, or a cluster.

use std::{collections::HashMap, sync::atomic::Ordering, time::Duration};

use futures_util::{StreamExt, future::join_all};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo, RedisError,
    Value,
    aio::MultiplexedConnection,
    cluster::ClusterClient,
    cluster_async::ClusterConnection,
    cluster_routing::{Route, RoutingInfo, SingleNodeRoutingInfo, SlotAddr},
};
use tokio::{sync::mpsc, task::AbortHandle};

use super::{
    Counters,
    store::{Connection, Found, Messages, Op, Store, StoreError},
};
use crate::config;

/// An answer that takes longer is none.
const PATIENCE: Duration = Duration::from_millis(500);
/// Of a cluster.
const SLOTS: u16 = 16_384;
/// Messages that wait for us.
const DEPTH: usize = 4096;

/// Later values stay: the time is in octets 1 to 8 of a value.
const PUT_FIELD: &str = "local old = redis.call('HGET', KEYS[1], ARGV[1])
if not old or #old < 9 or struct.unpack('>I8', old, 2) <= struct.unpack('>I8', ARGV[2], 2) then
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
end
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[3]) then
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
end
return 1";

/// Where it is.
#[derive(Clone)]
pub(super) struct Redis {
    servers: Vec<ConnectionInfo>,
    cluster: bool,
    counters: std::sync::Arc<Counters>,
}

impl Redis {
    pub fn new(
        config: &config::Presence,
        password: Option<&str>,
        counters: std::sync::Arc<Counters>,
    ) -> Result<Redis, String> {
        let server = |text: &String| {
            let (host, port) = config::host_and_port(text)?;
            let mut settings = RedisConnectionInfo::default();
            if let Some(user) = &config.user {
                settings = settings.set_username(user);
            }
            if let Some(password) = password {
                settings = settings.set_password(password);
            }
            let info = (host, port).into_connection_info().map_err(|error| error.to_string())?;
            Ok(info.set_redis_settings(settings))
        };
        let servers = config.redis.iter().map(server).collect::<Result<_, String>>()?;
        Ok(Redis { servers, cluster: config.cluster, counters })
    }

    async fn commands(&self, server: &ConnectionInfo) -> Result<Way, StoreError> {
        if self.cluster {
            let client = ClusterClient::builder(self.servers.clone())
                .connection_timeout(PATIENCE)
                .response_timeout(PATIENCE)
                .retries(2)
                .build()
                .map_err(told)?;
            return Ok(Way::Cluster(client.get_async_connection().await.map_err(told)?));
        }
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE));
        let client = Client::open(server.clone()).map_err(told)?;
        Ok(Way::Single(client.get_multiplexed_async_connection_with_config(&config).await.map_err(told)?))
    }

    /// Any server of a cluster passes on what is published at any other.
    async fn subscribe(
        &self,
        server: &ConnectionInfo,
        channels: &[String],
    ) -> Result<(Messages, AbortHandle), StoreError> {
        let client = Client::open(server.clone()).map_err(told)?;
        let mut listener = client.get_async_pubsub().await.map_err(told)?;
        listener.subscribe(channels).await.map_err(told)?;
        let (send, messages) = mpsc::channel(DEPTH);
        let task = tokio::spawn(async move {
            let mut heard = listener.into_on_message();
            while let Some(message) = heard.next().await {
                let said = (message.get_channel_name().to_owned(), message.get_payload_bytes().to_vec());
                if send.send(said).await.is_err() {
                    return;
                }
            }
        });
        Ok((messages, task.abort_handle()))
    }
}

impl Store for Redis {
    type Connection = Link;

    async fn connect(&self, channels: Vec<String>) -> Result<(Link, Messages), StoreError> {
        let mut error = StoreError("no server is configured".to_owned());
        for server in &self.servers {
            let both = async {
                let commands = self.commands(server).await?;
                let (messages, listener) = self.subscribe(server, &channels).await?;
                Ok((commands, messages, listener))
            };
            let text = match tokio::time::timeout(4 * PATIENCE, both).await {
                Ok(Ok((way, messages, listener))) => {
                    return Ok((Link { way, listener, counters: self.counters.clone() }, messages));
                }
                Ok(Err(StoreError(text))) => text,
                Err(_) => "it does not answer".to_owned(),
            };
            error = StoreError(format!("{}: {text}", server.addr()));
        }
        Err(error)
    }
}

#[derive(Clone)]
enum Way {
    Single(MultiplexedConnection),
    Cluster(ClusterConnection),
}

/// A connection; its listener ends with it.
pub(super) struct Link {
    way: Way,
    listener: AbortHandle,
    counters: std::sync::Arc<Counters>,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

impl Connection for Link {
    async fn run(&self, ops: Vec<Op>) -> Result<Vec<Found>, StoreError> {
        let one = async |op: Op| {
            let kind = Kind::of(&op);
            let node = node(&op);
            match self.ask(command(op), node).await {
                Ok(value) => Ok(found(kind, value)),
                // Somebody else's value under our key; it goes when its time is over, or when we write.
                Err(error) if error.code() == Some("WRONGTYPE") => {
                    self.counters.malformed.fetch_add(1, Ordering::Relaxed);
                    Ok(Found::Nothing)
                }
                Err(error) => Err(told(error)),
            }
        };
        if matches!(self.way, Way::Single(_)) {
            // One connection keeps their order.
            return join_all(ops.into_iter().map(one)).await.into_iter().collect();
        }
        // The client of a cluster does not: those on one key wait for each other.
        let total = ops.len();
        let mut by_key: HashMap<String, Vec<(usize, Op)>> = HashMap::new();
        for (n, op) in ops.into_iter().enumerate() {
            by_key.entry(op.key().to_owned()).or_default().push((n, op));
        }
        let in_order = async |ops: Vec<(usize, Op)>| {
            let mut done = Vec::new();
            for (n, op) in ops {
                done.push((n, one(op).await?));
            }
            Ok::<_, StoreError>(done)
        };
        let mut all = vec![Found::Nothing; total];
        for done in join_all(by_key.into_values().map(in_order)).await {
            done?.into_iter().for_each(|(n, found)| all[n] = found);
        }
        Ok(all)
    }
}

impl Link {
    async fn ask(&self, command: Cmd, node: Option<SingleNodeRoutingInfo>) -> Result<Value, RedisError> {
        match (&self.way, node) {
            (Way::Single(connection), _) => command.query_async(&mut connection.clone()).await,
            (Way::Cluster(connection), None) => command.query_async(&mut connection.clone()).await,
            (Way::Cluster(connection), Some(node)) => {
                connection.clone().route_command(command, RoutingInfo::SingleNode(node)).await
            }
        }
    }
}

/// Of a cluster: what is published to one channel goes through one node, so that it arrives in its order.
fn node(op: &Op) -> Option<SingleNodeRoutingInfo> {
    let Op::Publish { channel, .. } = op else { return None };
    let slot = channel.bytes().fold(0, |slot: u16, octet| slot.wrapping_mul(31).wrapping_add(octet.into()));
    Some(SingleNodeRoutingInfo::SpecificNode(Route::new(slot % SLOTS, SlotAddr::Master)))
}

fn told(error: RedisError) -> StoreError {
    StoreError(error.to_string())
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1)
}

fn command(op: Op) -> Cmd {
    let mut command = Cmd::new();
    match op {
        Op::PutAbsent { key, value, ttl } => {
            command.arg("SET").arg(key).arg(value).arg("NX").arg("PX").arg(ms(ttl))
        }
        Op::Get { key } => command.arg("GET").arg(key),
        Op::Delete { key } => command.arg("DEL").arg(key),
        Op::Keep { key, ttl } => command.arg("PEXPIRE").arg(key).arg(ms(ttl)),
        Op::PutField { key, field, value, ttl } => {
            command.arg("EVAL").arg(PUT_FIELD).arg(1).arg(key).arg(field).arg(value).arg(ms(ttl))
        }
        Op::DeleteField { key, field } => command.arg("HDEL").arg(key).arg(field),
        Op::Fields { key } => command.arg("HGETALL").arg(key),
        Op::Publish { channel, message } => command.arg("PUBLISH").arg(channel).arg(message),
    };
    command
}

/// What kind of answer an operation has.
#[derive(Clone, Copy)]
enum Kind {
    None,
    Value,
    Flag,
    Fields,
}

impl Kind {
    fn of(op: &Op) -> Kind {
        match op {
            Op::Get { .. } => Kind::Value,
            Op::Delete { .. } | Op::Keep { .. } => Kind::Flag,
            Op::Fields { .. } => Kind::Fields,
            _ => Kind::None,
        }
    }
}

fn found(kind: Kind, value: Value) -> Found {
    match (kind, value) {
        (Kind::Value, Value::BulkString(value)) => Found::Value(value),
        (Kind::Flag, Value::Int(n)) => Found::Flag(n > 0),
        (Kind::Fields, Value::Array(all)) => {
            let mut octets = all.into_iter().map(octets);
            let mut fields = Vec::new();
            while let (Some(Some(field)), Some(Some(value))) = (octets.next(), octets.next()) {
                fields.push((field, value));
            }
            Found::Fields(fields)
        }
        (Kind::Fields, Value::Map(all)) => {
            Found::Fields(all.into_iter().filter_map(|(f, v)| Some((octets(f)?, octets(v)?))).collect())
        }
        _ => Found::Nothing,
    }
}

fn octets(value: Value) -> Option<Vec<u8>> {
    match value {
        Value::BulkString(octets) => Some(octets),
        _ => None,
    }
}
