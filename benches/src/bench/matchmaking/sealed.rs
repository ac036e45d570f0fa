//! Look-ups as radios send them: sealed, in datagrams, to the matchmaker's task; and an echo on the same socket code.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use controlplane::measure::{self, Served};
use matchmaker::objects::Account;
use matchmaker::{Change, Matchmaker, Seed, Settings};
use proto::matchmaking::messages::{Device, LookUp, answer::Answer, request::Request};
use proto::matchmaking::peer::{Config, Output, Peer};
use proto::matchmaking::server::{self, Limits, TicketKey, TicketKeys};
use proto::matchmaking::{Key, StaticSecret, datagram::MAX_DATAGRAM};
use tokio::sync::oneshot;

use super::{ACCOUNTS, World, account, clock};

/// Look-ups that are sealed beforehand, in each round.
const ROUND: usize = 4096;
/// Radios that ask, each with a key, a ticket and a window of its own. More would take minutes of handshakes.
const PEERS: usize = 1 << 16;
/// Of one peer, as many as it remembers.
const OF_ONE: usize = 60;
/// Datagrams that wait to be answered.
const WINDOW: usize = 512;
/// Datagrams at a time, where there is no socket.
const BURST: usize = 32;

/// What was found.
pub struct Measured {
    /// A look-up in process: opened, decided, sealed. In nanoseconds.
    pub sealed: f64,
    /// Datagrams in a second of its processor time, and by the clock: look-ups, and what the echo sends back.
    pub look_ups: (f64, f64),
    /// The same.
    pub echo: (f64, f64),
    /// On the average.
    pub offers: f64,
}

/// Measures with what the world has.
///
/// # Errors
/// A socket fails, or something else comes back than offers.
pub fn run(mut world: World, rounds: usize) -> anyhow::Result<Measured> {
    let secret = StaticSecret::generate(&mut entropy);
    let without = server::Rate { per_second: 1_000_000_000, burst: 1_000_000_000 };
    let config = server::Config {
        secret: secret.clone(),
        tickets: TicketKeys::new(&TicketKey { id: 1, key: Key([7; 32]) }, None),
        ticket_lifetime: Duration::from_secs(12 * 3600),
        epoch: 1,
        limits: Limits { source: without, peer: without, handshakes: without, ..Limits::default() },
    };
    let accounts: Vec<_> =
        (0..ACCOUNTS).map(|n| Change::PutAccount(Account { id: account(n), key: None })).collect();
    let matchmaker =
        std::mem::replace(&mut world.m, Matchmaker::new(Settings::default(), Seed::new([0; 16])));
    let mut served = Served::new(config, Settings::default(), matchmaker, &accounts);
    let mut radios = Radios::new(&secret, world)?;
    radios.meet(&mut served)?;

    let mut sealed = Vec::new();
    let (mut burst, mut back) = (vec![[0; MAX_DATAGRAM]; BURST], Vec::new());
    for _ in 0..rounds {
        let asked = radios.ask()?;
        let (mut answers, mut took) = (Vec::with_capacity(asked.len()), 0);
        for some in asked.chunks(BURST) {
            // Where a socket leaves them: each in its place of a buffer.
            for (place, (_, datagram)) in burst.iter_mut().zip(some) {
                place[..datagram.len()].copy_from_slice(datagram);
            }
            let received = burst
                .iter_mut()
                .zip(some)
                .map(|(place, (_, datagram))| (radios.source, &mut place[..datagram.len()]));
            let start = clock::now();
            served.take(received, |answer| {
                back.extend_from_slice(answer);
                answers.push(back.len());
            });
            took += clock::now() - start;
        }
        sealed.push(took as f64 / asked.len() as f64);
        let mut at = 0;
        let mut answers: Vec<_> =
            answers.into_iter().map(|end| back[std::mem::replace(&mut at, end)..end].to_vec()).collect();
        back.clear();
        radios.answered(&asked, &mut answers)?;
    }
    sealed.sort_by(f64::total_cmp);

    let to = Server::start(move |socket, stop| served.serve(socket, stop))?;
    let echo = Server::start(measure::echo)?;
    let (mut look_ups, mut echoed) = (Taken::default(), Taken::default());
    for _ in 0..rounds {
        let asked = radios.ask()?;
        let mut answers = Vec::with_capacity(asked.len());
        look_ups.add(radios.send(&asked, &to, |datagram| answers.push(datagram.to_vec()))?);
        echoed.add(radios.send(&asked, &echo, |_| {})?);
        radios.answered(&asked, &mut answers)?;
    }
    let hz = if clock::CYCLES { clock::hz() } else { 1e9 };
    Ok(Measured {
        sealed: sealed[sealed.len() / 2] / hz * 1e9,
        look_ups: look_ups.per_second(),
        echo: echoed.per_second(),
        offers: radios.offers as f64 / radios.look_ups as f64,
    })
}

/// Peers, those of each account one after the other, and the socket of all of them.
struct Radios {
    world: World,
    peers: Vec<Peer>,
    socket: UdpSocket,
    source: SocketAddr,
    began: Instant,
    look_ups: usize,
    offers: usize,
}

/// Whose, and what it sends.
type Asked = (usize, Vec<u8>);

impl Radios {
    fn new(secret: &StaticSecret, world: World) -> anyhow::Result<Radios> {
        let peer = |n| {
            let config = Config {
                secret: StaticSecret::generate(&mut entropy),
                matchmaker: secret.public(),
                account: Some((account(n % ACCOUNTS).to_string(), Key([0; 32]))),
                software: "bench".to_owned(),
                instance: 1,
                patience: Duration::from_secs(60),
            };
            let mut peer = Peer::new(config, &mut entropy);
            peer.set_addresses(&[MATCHMAKER]);
            peer
        };
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        // What comes back while more is sent.
        socket2::SockRef::from(&socket).set_recv_buffer_size(4 << 20)?;
        let source = socket.local_addr()?;
        let peers = (0..PEERS as u32).map(peer).collect();
        Ok(Radios { world, peers, socket, source, began: Instant::now(), look_ups: 0, offers: 0 })
    }

    /// A look-up, and whose: of the peers of the radio's account, any.
    fn question(&mut self) -> (usize, Request) {
        let (radio, near) = self.world.ask(1);
        let device = Device {
            client: near[0].client.0.to_vec(),
            rssi_dbm: near[0].rssi_dbm.unwrap_or_default().into(),
            ..Device::default()
        };
        let said = LookUp { radio: radio.0.to_vec(), devices: vec![device], shown: Vec::new() };
        let (of, all) = (super::account_of(radio) as usize, ACCOUNTS as usize);
        let mut dice = [0; 4];
        entropy(&mut dice);
        let turn = u32::from_be_bytes(dice) as usize % ((PEERS - of).div_ceil(all));
        (of + turn * all, Request::LookUp(said))
    }

    /// All handshakes.
    fn meet(&mut self, served: &mut Served) -> anyhow::Result<()> {
        // What they ask here is refused if it is not theirs, and that is an answer too.
        for whose in 0..self.peers.len() {
            let (_, request) = self.question();
            let now = self.began.elapsed();
            self.peers[whose].request(request, now)?;
            let mut done = false;
            for _ in 0..10 {
                let mut back = Vec::new();
                while let Some(output) = self.peers[whose].poll_output(now, &mut entropy) {
                    match output {
                        Output::Send { mut datagram, .. } => {
                            served.take([(self.source, &mut datagram[..])].into_iter(), |datagram| {
                                back.push(datagram.to_vec())
                            });
                        }
                        Output::Answered { answer, .. } => {
                            answer.context("the matchmaker does not answer")?;
                            done = true;
                        }
                        _ => {}
                    }
                }
                for mut datagram in back {
                    self.peers[whose].datagram(MATCHMAKER, &mut datagram, now);
                }
            }
            ensure!(done, "no handshake with the matchmaker");
        }
        Ok(())
    }

    /// Sealed look-ups.
    fn ask(&mut self) -> anyhow::Result<Vec<Asked>> {
        let (mut asked, mut of) = (Vec::with_capacity(ROUND), vec![0; self.peers.len()]);
        let now = self.began.elapsed();
        while asked.len() < ROUND {
            let (whose, request) = self.question();
            if of[whose] == OF_ONE {
                continue;
            }
            of[whose] += 1;
            self.peers[whose].request(request, now)?;
            while let Some(output) = self.peers[whose].poll_output(now, &mut entropy) {
                if let Output::Send { datagram, .. } = output {
                    asked.push((whose, datagram));
                }
            }
        }
        Ok(asked)
    }

    /// Each has its answer, in the same order.
    fn answered(&mut self, asked: &[Asked], answers: &mut [Vec<u8>]) -> anyhow::Result<()> {
        ensure!(asked.len() == answers.len(), "{} answers to {} look-ups", answers.len(), asked.len());
        let now = self.began.elapsed();
        for ((whose, _), answer) in asked.iter().zip(answers) {
            let peer = &mut self.peers[*whose];
            peer.datagram(MATCHMAKER, answer, now);
            while let Some(output) = peer.poll_output(now, &mut entropy) {
                match output {
                    Output::Answered { answer: Ok(Answer::Offers(offers)), .. } => {
                        self.look_ups += 1;
                        self.offers += offers.offers.len();
                    }
                    Output::Answered { answer, .. } => bail!("instead of offers: {answer:?}"),
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// Sends everything, not more than [`WINDOW`] at a time, and takes what comes back.
    fn send(
        &self,
        asked: &[Asked],
        to: &Server,
        mut back: impl FnMut(&[u8]),
    ) -> anyhow::Result<(usize, Duration, Duration)> {
        let mut buffer = [0; 2048];
        let mut receive = |wait: bool| {
            self.socket.set_nonblocking(!wait)?;
            match self.socket.recv(&mut buffer) {
                Ok(len) => {
                    back(&buffer[..len]);
                    Ok(true)
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock && !wait => Ok(false),
                Err(error) => Err(error).context("a datagram got lost"),
            }
        };
        self.socket.set_read_timeout(Some(Duration::from_secs(10)))?;
        let (before, start) = (to.on_cpu()?, Instant::now());
        let mut came = 0;
        for (sent, (_, datagram)) in asked.iter().enumerate() {
            self.socket.send_to(datagram, to.address)?;
            if sent % BURST == 0 {
                while receive(sent + 1 - came > WINDOW)? {
                    came += 1;
                }
            }
        }
        while came < asked.len() {
            receive(true)?;
            came += 1;
        }
        Ok((came, to.on_cpu()? - before, start.elapsed()))
    }
}

/// A thread that answers datagrams.
struct Server {
    address: SocketAddr,
    thread: String,
    _stop: oneshot::Sender<()>,
}

impl Server {
    fn start<F: Future<Output = ()>>(
        serve: impl FnOnce(tokio::net::UdpSocket, oneshot::Receiver<()>) -> F + Send + 'static,
    ) -> anyhow::Result<Server> {
        let (started, starts) = std::sync::mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        std::thread::spawn(move || {
            let run = || -> anyhow::Result<()> {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                runtime.block_on(async {
                    let socket = measure::bind(([127, 0, 0, 1], 0).into()).await?;
                    let thread = std::fs::read_link("/proc/thread-self")?;
                    started.send((socket.local_addr()?, thread))?;
                    serve(socket, stopped).await;
                    Ok(())
                })
            };
            // Whoever waits for the address hears of it by having none.
            if let Err(error) = run() {
                eprintln!("{error:#}");
            }
        });
        let (address, thread) = starts.recv().context("the server does not start")?;
        Ok(Server { address, thread: format!("/proc/{}/schedstat", thread.display()), _stop: stop })
    }

    /// Processor time so far; the first field of schedstat, in nanoseconds.
    fn on_cpu(&self) -> anyhow::Result<Duration> {
        let stat = std::fs::read_to_string(&self.thread)?;
        let nanoseconds = stat.split(' ').next().and_then(|field| field.parse().ok());
        nanoseconds.map(Duration::from_nanos).with_context(|| format!("{}: {stat}", self.thread))
    }
}

#[derive(Default)]
struct Taken {
    datagrams: usize,
    on_cpu: Duration,
    clock: Duration,
}

impl Taken {
    fn add(&mut self, (datagrams, on_cpu, clock): (usize, Duration, Duration)) {
        self.datagrams += datagrams;
        self.on_cpu += on_cpu;
        self.clock += clock;
    }

    fn per_second(&self) -> (f64, f64) {
        let n = self.datagrams as f64;
        (n / self.on_cpu.as_secs_f64(), n / self.clock.as_secs_f64())
    }
}

/// Where peers believe it to be: nothing goes there.
const MATCHMAKER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 1);

fn entropy(out: &mut [u8]) {
    // Without entropy nothing here would start.
    getrandom::fill(out).unwrap_or_else(|error| panic!("no entropy: {error}"));
}
