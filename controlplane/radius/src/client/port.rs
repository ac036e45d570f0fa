//! One source port towards one server: 256 identifiers, and a task that believes or counts what comes back.
//!
//! A reply that is not believed never ends the wait: the request stays pending until a good one comes or the time is up.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{
    net::UdpSocket,
    sync::{Notify, oneshot},
    task::JoinHandle,
};

use super::{Server, counters::Counters};
use crate::packet::{Authenticator, Code, MAX_PACKET_LEN, Packet, ReplyError, ReplyPolicy};

/// Identifiers of one port.
pub(crate) const IDENTIFIERS: usize = 256;

/// A connected socket and what is outstanding on it.
pub(crate) struct Port {
    socket: Arc<UdpSocket>,
    table: Arc<Mutex<Table>>,
    receiver: JoinHandle<()>,
}

struct Table {
    next: u8,
    used: usize,
    pending: [Option<Pending>; IDENTIFIERS],
}

struct Pending {
    /// `None` between taking the identifier and building the packet.
    expected: Option<Expected>,
    answer: Option<oneshot::Sender<Vec<u8>>>,
    refused: Arc<Notify>,
    trouble: Trouble,
}

/// What must match for a reply to be believed.
#[derive(Clone, Copy)]
pub(crate) struct Expected {
    pub(crate) authenticator: Authenticator,
    pub(crate) policy: ReplyPolicy,
    /// Codes that answer the request.
    pub(crate) codes: &'static [Code],
}

/// What went wrong while a request waited.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Trouble {
    pub(crate) refused: bool,
    pub(crate) bad_authenticator: bool,
    pub(crate) no_message_authenticator: bool,
    pub(crate) malformed: bool,
}

/// One identifier in use; free again when dropped.
pub(crate) struct Slot {
    port: Arc<Port>,
    identifier: u8,
    pub(crate) answer: oneshot::Receiver<Vec<u8>>,
    pub(crate) refused: Arc<Notify>,
}

impl Port {
    /// Binds a port and starts to listen. `local` is ignored if it is of the other address family.
    pub(crate) fn open(
        server: &Server,
        local: Option<IpAddr>,
        counters: &Arc<Counters>,
    ) -> io::Result<Arc<Self>> {
        let any: IpAddr = match server.address {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let local = local.filter(|ip| ip.is_ipv4() == any.is_ipv4()).unwrap_or(any);
        let socket = std::net::UdpSocket::bind((local, 0))?;
        // Connected: the kernel drops what comes from elsewhere and tells of ICMP errors.
        socket.connect(server.address)?;
        socket.set_nonblocking(true)?;
        let socket = Arc::new(UdpSocket::from_std(socket)?);
        let table =
            Arc::new(Mutex::new(Table { next: first_identifier(), used: 0, pending: [const { None }; 256] }));
        let receiver = tokio::spawn(receive(
            Arc::clone(&socket),
            Arc::clone(&table),
            server.clone(),
            Arc::clone(counters),
        ));
        Ok(Arc::new(Self { socket, table, receiver }))
    }

    /// Takes the identifier that was free for longest; `None` if all are in use.
    pub(crate) fn take(self: &Arc<Self>) -> Option<Slot> {
        let mut table = lock(&self.table);
        if table.used == IDENTIFIERS {
            return None;
        }
        while table.pending[usize::from(table.next)].is_some() {
            table.next = table.next.wrapping_add(1);
        }
        let identifier = table.next;
        table.next = identifier.wrapping_add(1);
        let (sender, answer) = oneshot::channel();
        let refused = Arc::new(Notify::new());
        table.pending[usize::from(identifier)] = Some(Pending {
            expected: None,
            answer: Some(sender),
            refused: Arc::clone(&refused),
            trouble: Trouble::default(),
        });
        table.used += 1;
        drop(table);
        Some(Slot { port: Arc::clone(self), identifier, answer, refused })
    }

    /// Identifiers in use.
    pub(crate) fn used(&self) -> usize {
        lock(&self.table).used
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.receiver.abort();
    }
}

impl Slot {
    pub(crate) fn identifier(&self) -> u8 {
        self.identifier
    }

    /// Says what the reply must match; before sending.
    pub(crate) fn expect(&self, expected: Expected) {
        if let Some(pending) = &mut lock(&self.port.table).pending[usize::from(self.identifier)] {
            pending.expected = Some(expected);
        }
    }

    /// Sends the request, again or for the first time. A refusal that the kernel reports here is of an earlier datagram.
    pub(crate) async fn send(&self, packet: &[u8]) -> io::Result<()> {
        match self.port.socket.send(packet).await {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                refuse_all(&self.port.table);
                self.port.socket.send(packet).await
            }
            other => other,
        }
        .map(drop)
    }

    /// What went wrong so far.
    pub(crate) fn trouble(&self) -> Trouble {
        let table = lock(&self.port.table);
        table.pending[usize::from(self.identifier)]
            .as_ref()
            .map(|pending| pending.trouble)
            .unwrap_or_default()
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut table = lock(&self.port.table);
        if table.pending[usize::from(self.identifier)].take().is_some() {
            table.used -= 1;
        }
    }
}

/// Receives for as long as the port lives.
async fn receive(socket: Arc<UdpSocket>, table: Arc<Mutex<Table>>, server: Server, counters: Arc<Counters>) {
    // One octet more than a packet may have, so that a longer datagram does not pass for a whole one.
    let mut buffer = vec![0; MAX_PACKET_LEN + 1];
    loop {
        match socket.recv(&mut buffer).await {
            Ok(length) => deliver(&buffer[..length], &table, &server, &counters),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                counters.refused.add();
                refuse_all(&table);
            }
            // Errors of a UDP socket are about single datagrams (ICMP); none ends it. Let others run in between.
            Err(_) => tokio::task::yield_now().await,
        }
    }
}

fn deliver(datagram: &[u8], table: &Mutex<Table>, server: &Server, counters: &Counters) {
    let packet = match Packet::parse(datagram) {
        Ok(packet) => packet,
        Err(_) => {
            counters.malformed.add();
            // Whose reply it would be is only known if the identifier was there.
            if let Some(identifier) = datagram.get(1)
                && let Some(pending) = &mut lock(table).pending[usize::from(*identifier)]
            {
                pending.trouble.malformed = true;
            }
            return;
        }
    };
    let mut table = lock(table);
    let Some(Pending { expected: Some(expected), answer, trouble, .. }) =
        &mut table.pending[usize::from(packet.identifier())]
    else {
        counters.unexpected.add();
        return;
    };
    match packet.verify_reply(&expected.authenticator, &server.secret, expected.policy) {
        Ok(()) if !expected.codes.contains(&packet.code()) => {
            counters.unknown_types.add();
            trouble.malformed = true;
        }
        Ok(()) => match answer.take() {
            Some(answer) => {
                counters.replies.add();
                // The exchange may have been dropped a moment ago; then the reply is for nobody.
                let _ = answer.send(packet.bytes().to_vec());
            }
            None => counters.unexpected.add(),
        },
        Err(ReplyError::MissingMessageAuthenticator) => {
            counters.missing_message_authenticators.add();
            trouble.no_message_authenticator = true;
        }
        Err(ReplyError::Packet(_)) => counters.malformed.add(),
        Err(_) => {
            counters.bad_authenticators.add();
            trouble.bad_authenticator = true;
        }
    }
}

/// ICMP does not say which request it is about: all on this port learn of it.
fn refuse_all(table: &Mutex<Table>) {
    for pending in lock(table).pending.iter_mut().flatten() {
        pending.trouble.refused = true;
        pending.refused.notify_one();
    }
}

/// A process that starts again must not use the same identifiers as the one before (RFC 5080 §2.2.2).
fn first_identifier() -> u8 {
    getrandom::u32().map_or(0, |random| random as u8)
}

fn lock(table: &Mutex<Table>) -> MutexGuard<'_, Table> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}
