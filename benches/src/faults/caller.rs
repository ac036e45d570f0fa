//! Who speaks with a matchmaker by datagrams: a gateway or a radio, on a socket of its own.

use std::{
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use proto::matchmaking::{
    Key, StaticSecret,
    messages::{answer::Answer, push::Push, request::Request},
    peer::{self, Output, Peer},
};
use tokio::{net::UdpSocket, time::timeout};

use super::control::Address;

/// A request that has no answer after that long will have none.
const PATIENCE: Duration = Duration::from_secs(5);
/// If the peer does not know when it has something to do.
const SOON: Duration = Duration::from_millis(20);

/// A peer of the matchmaker of one control process.
pub struct Caller {
    secret: StaticSecret,
    address: Address,
    /// Name and key.
    account: Option<(String, Key)>,
    peer: Peer,
    socket: UdpSocket,
    clock: Instant,
    /// What it was told without having asked.
    pub pushed: Vec<Push>,
    /// The matchmaker does not know any more what was registered.
    pub forgotten: bool,
}

impl Caller {
    /// With a key of its own, of this account.
    pub async fn new(address: Address, account: Option<(String, Key)>) -> anyhow::Result<Caller> {
        let secret = StaticSecret::generate(&mut entropy);
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let peer = peer(&secret, &address, account.clone());
        Ok(Caller {
            secret,
            address,
            account,
            peer,
            socket,
            clock: Instant::now(),
            pushed: Vec::new(),
            forgotten: false,
        })
    }

    /// As if it had been started again.
    pub fn restart(&mut self) {
        (self.peer, self.clock) = (peer(&self.secret, &self.address, self.account.clone()), Instant::now());
    }

    /// The answer; `None`: none came.
    pub async fn ask(&mut self, request: Request) -> anyhow::Result<Option<Answer>> {
        let wanted = self.peer.request(request, self.clock.elapsed())?;
        loop {
            if let Some(answer) = self.work(Some(wanted)).await {
                return Ok(answer);
            }
            let wait = self.deadline();
            self.hear(wait).await;
        }
    }

    /// Takes what comes for so long, or until it was told something.
    pub async fn listen(&mut self, most: Duration) {
        let until = Instant::now() + most;
        while self.pushed.is_empty() && !self.forgotten && Instant::now() < until {
            self.work(None).await;
            let left = until.saturating_duration_since(Instant::now());
            let wait = self.deadline().min(left);
            self.hear(wait).await;
        }
    }

    /// Does what is due. Gives what came of this request, if that is known now.
    async fn work(&mut self, wanted: Option<u32>) -> Option<Option<Answer>> {
        while let Some(output) = self.peer.poll_output(self.clock.elapsed(), &mut entropy) {
            match output {
                // One that is refused, because nobody listens, is lost.
                Output::Send { to, datagram } => drop(self.socket.send_to(&datagram, to).await),
                Output::Answered { id, answer } if Some(id) == wanted => return Some(answer.ok()),
                Output::Pushed(push) => self.pushed.push(push),
                Output::Epoch(_) => self.forgotten = true,
                _ => {}
            }
        }
        None
    }

    fn deadline(&self) -> Duration {
        self.peer.deadline().map_or(SOON, |at| at.saturating_sub(self.clock.elapsed()))
    }

    async fn hear(&mut self, wait: Duration) {
        let mut buffer = [0; 2048];
        if let Ok(Ok((len, from))) = timeout(wait, self.socket.recv_from(&mut buffer)).await {
            self.peer.datagram(from, &mut buffer[..len], self.clock.elapsed());
        }
    }
}

fn peer(secret: &StaticSecret, address: &Address, account: Option<(String, Key)>) -> Peer {
    let config = peer::Config {
        secret: secret.clone(),
        matchmaker: address.key,
        account,
        software: "faults".to_owned(),
        instance: 1,
        patience: PATIENCE,
    };
    let mut peer = Peer::new(config, &mut entropy);
    peer.set_addresses(&[address.matchmaker]);
    peer
}

fn entropy(out: &mut [u8]) {
    // Without entropy nothing here would start.
    getrandom::fill(out).unwrap_or_else(|error| panic!("no entropy: {error}"));
}
