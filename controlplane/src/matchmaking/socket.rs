//! The matchmaker's UDP socket. Datagrams are taken in bursts, so that what answers them need can be fetched for many at a time.

use std::net::SocketAddr;

use tokio::net::UdpSocket;

/// Datagrams at a time: as many as look-ups can be made ready for.
const BURST: usize = matchmaker::MAX_AHEAD;
/// Longer ones are none of matchmaking's.
const DATAGRAM: usize = 2048;
/// What the system keeps for us: more than the default, so that a burst of radios survives a moment without us.
const RECEIVE_BUFFER: usize = 4 << 20;

/// Datagrams as they came.
pub(crate) struct Burst {
    octets: Vec<[u8; DATAGRAM]>,
    /// Whence, and how long.
    came: Vec<(SocketAddr, usize)>,
}

impl Burst {
    pub fn new() -> Burst {
        Burst { octets: vec![[0; DATAGRAM]; BURST], came: Vec::with_capacity(BURST) }
    }

    /// Takes what has come, instead of what is here.
    pub fn receive(&mut self, socket: &UdpSocket) {
        self.came.clear();
        for octets in &mut self.octets {
            // An error is one of an earlier datagram, or nothing at all to receive.
            let Ok((len, from)) = socket.try_recv_from(octets) else { return };
            self.came.push((from, len));
        }
    }

    /// Each with whence it came.
    pub fn datagrams(&mut self) -> impl Iterator<Item = (SocketAddr, &mut [u8])> {
        self.came.iter().zip(&mut self.octets).map(|(&(from, len), octets)| (from, &mut octets[..len]))
    }
}

/// Binds.
pub(crate) async fn bind(listen: SocketAddr) -> std::io::Result<UdpSocket> {
    let socket = UdpSocket::bind(listen).await?;
    // Refused is no harm.
    let _ = socket2::SockRef::from(&socket).set_recv_buffer_size(RECEIVE_BUFFER);
    Ok(socket)
}

/// One that does not go out is lost, as datagrams are: whoever waits for it asks again.
pub(crate) fn send(socket: &UdpSocket, to: SocketAddr, datagram: &[u8]) {
    let _ = socket.try_send_to(datagram, to);
}
