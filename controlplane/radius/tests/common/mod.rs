//! A RADIUS server in the test's own process, which does what the test says with each request.
#![allow(dead_code, reason = "each test file uses its part")]

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use radius::{
    client::{ClientConfig, Nas, Server, Timings},
    packet::{AttributeList, AttributeType, Code, Packet, Secret, encode_reply, split_eap},
};
use tokio::{net::UdpSocket, sync::mpsc, task::JoinHandle};

pub const SECRET: &str = "loopback secret";

pub fn secret() -> Secret {
    Secret::new(SECRET).expect("not empty")
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Received {
    pub from: SocketAddr,
    pub bytes: Vec<u8>,
}

impl Received {
    pub fn packet(&self) -> Packet<'_> {
        Packet::parse(&self.bytes).expect("clients send packets")
    }

    /// A proper reply to it.
    pub fn reply(&self, code: Code, list: &AttributeList) -> Vec<u8> {
        self.reply_under(code, list, &secret(), true)
    }

    pub fn reply_under(&self, code: Code, list: &AttributeList, secret: &Secret, with: bool) -> Vec<u8> {
        let packet = self.packet();
        encode_reply(code, packet.identifier(), &packet.authenticator(), list.view(), secret, with)
            .expect("it fits")
    }

    /// An Access-Challenge with a 6-octet EAP request and State "s".
    pub fn challenge(&self) -> Vec<u8> {
        self.reply(Code::ACCESS_CHALLENGE, &challenge_list())
    }

    pub fn acknowledgement(&self) -> Vec<u8> {
        self.reply_under(Code::ACCOUNTING_RESPONSE, &AttributeList::new(), &secret(), false)
    }
}

pub fn challenge_list() -> AttributeList {
    let mut list = AttributeList::new();
    split_eap(&mut list, &[1, 7, 0, 6, 4, 16]).expect("it fits");
    list.push(AttributeType::STATE, b"s").expect("it fits");
    list
}

/// Stops when dropped.
pub struct TestServer {
    pub address: SocketAddr,
    pub received: mpsc::UnboundedReceiver<Received>,
    task: JoinHandle<()>,
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl TestServer {
    /// `answer` gives the datagrams to send for the n-th request (from 0).
    pub async fn start(answer: impl FnMut(usize, &Received) -> Vec<Vec<u8>> + Send + 'static) -> Self {
        Self::start_at((Ipv4Addr::LOCALHOST, 0), answer).await
    }

    pub async fn start_at(
        address: impl Into<SocketAddr>,
        mut answer: impl FnMut(usize, &Received) -> Vec<Vec<u8>> + Send + 'static,
    ) -> Self {
        let socket = UdpSocket::bind(address.into()).await.expect("the port is free");
        let address = socket.local_addr().expect("it is bound");
        let (sender, received) = mpsc::unbounded_channel();
        let task = tokio::spawn(async move {
            let mut buffer = vec![0; 5000];
            for count in 0.. {
                let (length, from) = socket.recv_from(&mut buffer).await.expect("loopback receives");
                let request = Received { from, bytes: buffer[..length].to_vec() };
                for reply in answer(count, &request) {
                    socket.send_to(&reply, from).await.expect("loopback sends");
                }
                // A test that looks at none of them has dropped its end.
                let _ = sender.send(request);
            }
        });
        Self { address, received, task }
    }

    pub fn server(&self) -> Server {
        Server::new(self.address, secret())
    }

    /// How many requests came that nobody has looked at yet.
    pub fn unread(&self) -> usize {
        self.received.len()
    }

    pub async fn next(&mut self) -> Received {
        self.received.recv().await.expect("the server runs")
    }
}

/// A port of loopback where nothing listens.
pub async fn closed_port(ip: impl Into<IpAddr>) -> SocketAddr {
    let socket = UdpSocket::bind((ip.into(), 0)).await.expect("loopback has ports");
    socket.local_addr().expect("it is bound")
}

/// Quick enough for tests.
pub fn config(servers: Vec<Server>) -> ClientConfig {
    let nas = Nas { identifier: Some("ttg-test".into()), ip_address: None, ipv6_address: None };
    let timings = Timings {
        initial_retransmission: Duration::from_millis(60),
        maximum_retransmission: Duration::from_millis(200),
        maximum_count: 3,
        failover_count: 2,
        maximum_duration: Duration::from_secs(5),
        dead_time: Duration::from_secs(600),
    };
    ClientConfig { timings, ..ClientConfig::new(servers, nas) }
}
