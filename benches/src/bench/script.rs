//! A control process that follows a script: it serves the real interface (`ttg.gateway.v1`, Attach), and as soon as a gateway has reported, opens
//! tunnels and installs sessions there, as many as are wanted, without any device having asked.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use dot11::MacAddr;
use proto::gateway::command::Command as Kind;
use proto::gateway::event::Event;
use proto::gateway::gateway_server::{Gateway, GatewayServer};
use proto::gateway::{
    AttachRequest, AttachResponse, Command, GatewayStats, KeyInstall, PortOpen, Service, StationAdd, Tunnel,
    TunnelAccept, Welcome,
};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::{Request, Response, Status, Streaming};

/// What to install.
#[derive(Clone, Copy, Debug)]
pub struct Sessions {
    /// Devices.
    pub stations: usize,
    /// Of these on each virtual BSS.
    pub per_bss: usize,
    /// Where the tunnels of all of them end.
    pub endpoint: SocketAddr,
    /// Octets that control keeps with each.
    pub blob: usize,
}

/// The serving process' part that runs.
pub struct Script {
    shared: Arc<Shared>,
    address: SocketAddr,
    // Dropped with it: the tasks.
    _runtime: Runtime,
}

struct Shared {
    sessions: Sessions,
    stats: Mutex<GatewayStats>,
}

/// Commands in a message.
const BATCH: usize = 256;
/// Messages under way.
const DEPTH: usize = 16;
/// The service that all tunnels are for.
pub const SERVICE: [u8; 16] = [7; 16];
/// Of the service: not untagged, so that what this machine says on the gateway's interface reaches no station.
pub const VLAN: u16 = 7;

impl Script {
    /// Listens on loopback for a gateway.
    ///
    /// # Errors
    /// The system's.
    pub fn start(sessions: Sessions) -> anyhow::Result<Script> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let shared = Arc::new(Shared { sessions, stats: Mutex::default() });
        let listener = runtime.block_on(tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
        let address = listener.local_addr()?;
        let service = GatewayServer::new(Server(shared.clone())).max_decoding_message_size(16 << 20);
        let server = tonic::transport::Server::builder().add_service(service);
        runtime.spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        Ok(Script { shared, address, _runtime: runtime })
    }

    /// Where gateways reach it.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What the gateway said last of how many stations it has.
    pub fn installed(&self) -> usize {
        self.stats().stations as usize
    }

    /// The gateway's counters, as it said last.
    pub fn counters(&self) -> BTreeMap<String, u64> {
        self.stats().counters.into_iter().collect()
    }

    fn stats(&self) -> GatewayStats {
        self.shared.stats.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

struct Server(Arc<Shared>);

#[tonic::async_trait]
impl Gateway for Server {
    type AttachStream = Pin<Box<dyn tokio_stream::Stream<Item = Result<AttachResponse, Status>> + Send>>;

    async fn attach(
        &self,
        request: Request<Streaming<AttachRequest>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        let (commands, outgoing) = mpsc::channel(DEPTH);
        tokio::spawn(follow(self.0.clone(), request.into_inner(), commands));
        Ok(Response::new(Box::pin(ReceiverStream::new(outgoing))))
    }
}

type Outgoing = mpsc::Sender<Result<AttachResponse, Status>>;

/// Hears a gateway until it goes.
async fn follow(shared: Arc<Shared>, mut stream: Streaming<AttachRequest>, commands: Outgoing) {
    while let Ok(Some(batch)) = stream.message().await {
        for event in batch.events.into_iter().filter_map(|event| event.event) {
            match event {
                Event::Hello(_) => {
                    let ssid = "bench".to_owned();
                    let service =
                        Service { uuid: SERVICE.to_vec(), ssid, vlan: VLAN.into(), ..Service::default() };
                    let welcome = Welcome { services: vec![service], ..Welcome::default() };
                    let command = Command { id: 1, command: Some(Kind::Welcome(welcome)) };
                    let _ = commands.send(Ok(AttachResponse { commands: vec![command] })).await;
                }
                Event::Synced(_) => {
                    tokio::spawn(install(shared.sessions, commands.clone()));
                }
                Event::GatewayStats(stats) => {
                    *shared.stats.lock().unwrap_or_else(PoisonError::into_inner) = stats;
                }
                _ => {}
            }
        }
    }
}

async fn install(sessions: Sessions, to: Outgoing) {
    let mut commands = Vec::with_capacity(BATCH);
    for n in 0..sessions.stations {
        if n % sessions.per_bss == 0 {
            commands.push(accept(&sessions, n));
        }
        commands.extend(session(&sessions, n));
        if commands.len() + 4 > BATCH || n + 1 == sessions.stations {
            let commands = commands.drain(..).map(|kind| Command { id: 2, command: Some(kind) }).collect();
            if to.send(Ok(AttachResponse { commands })).await.is_err() {
                return;
            }
        }
    }
}

fn accept(sessions: &Sessions, n: usize) -> Kind {
    let bssid = sessions.bssid(n).0;
    let tunnel = Tunnel {
        session_id: session_id(sessions.bssid(n)).to_vec(),
        bssid: bssid.to_vec(),
        radio: bssid.to_vec(),
        service: SERVICE.to_vec(),
        endpoint: sessions.endpoint.to_string(),
    };
    Kind::TunnelAccept(TunnelAccept {
        tunnel: Some(tunnel),
        blob: b"tunnel".to_vec(),
        keepalive_timeout_seconds: 0,
        ..Default::default()
    })
}

fn session(sessions: &Sessions, n: usize) -> [Kind; 3] {
    let (bssid, mac) = (sessions.bssid(n).0.to_vec(), sessions.mac(n).0.to_vec());
    let add = StationAdd {
        bssid: bssid.clone(),
        mac: mac.clone(),
        aid: 1,
        qos: true,
        protect: true,
        ..StationAdd::default()
    };
    let blob = vec![0; sessions.blob];
    let key = KeyInstall {
        bssid: bssid.clone(),
        mac: mac.clone(),
        tk: sessions.key(n).to_vec(),
        blob,
        ..KeyInstall::default()
    };
    let port = PortOpen { bssid, mac, open: true, ..PortOpen::default() };
    [Kind::StationAdd(add), Kind::KeyInstall(key), Kind::PortOpen(port)]
}

/// The name of a tunnel.
pub fn session_id(bssid: MacAddr) -> [u8; 16] {
    let mut id = [0; 16];
    id[..6].copy_from_slice(&bssid.0);
    id
}

impl Sessions {
    /// How many tunnels.
    pub fn tunnels(&self) -> usize {
        self.stations.div_ceil(self.per_bss)
    }

    /// The BSSID of the `n`th device.
    pub fn bssid(&self, n: usize) -> MacAddr {
        let [a, b, c, d] = ((n / self.per_bss) as u32).to_be_bytes();
        MacAddr([0x02, 0xbb, a, b, c, d])
    }

    /// The address of the `n`th device.
    pub fn mac(&self, n: usize) -> MacAddr {
        let [a, b, c, d] = (n as u32).to_be_bytes();
        MacAddr([0x06, 0x01, a, b, c, d])
    }

    /// Which device has an address.
    pub fn of_mac(&self, mac: MacAddr) -> Option<usize> {
        let MacAddr([0x06, 0x01, a, b, c, d]) = mac else { return None };
        Some(u32::from_be_bytes([a, b, c, d]) as usize).filter(|&n| n < self.stations)
    }

    /// The key of the `n`th device.
    pub fn key(&self, n: usize) -> [u8; 16] {
        let mut key = [0x3c; 16];
        key[..8].copy_from_slice(&(n as u64).to_le_bytes());
        key
    }
}

/// A gateway's counters of what it dropped, those that are not zero.
pub fn drops(counters: &BTreeMap<String, u64>) -> Vec<(String, u64)> {
    let dropped = counters.iter().filter(|(name, count)| name.starts_with("drop_") && **count > 0);
    dropped.map(|(name, count)| (name.clone(), *count)).collect()
}
