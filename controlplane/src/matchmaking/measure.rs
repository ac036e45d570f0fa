//! The matchmaker's task and socket without the rest of control, and an echo on the same socket: what `make bench ONLY=matchmaking`
//! compares.

use std::{net::SocketAddr, time::Duration};

use matchmaker::{Change, Matchmaker, Settings};
use proto::matchmaking::server;
use tokio::{
    net::UdpSocket,
    sync::{mpsc, oneshot},
};

use super::{
    Desk,
    desk::Output,
    run::{now, run},
    socket::{self, Burst},
};

/// Binds as the matchmaker does.
///
/// # Errors
/// The address is not ours, or taken.
pub async fn bind(listen: SocketAddr) -> std::io::Result<UdpSocket> {
    socket::bind(listen).await
}

/// A matchmaker that is not served yet.
pub struct Served(Box<Desk>);

impl Served {
    /// With what `matchmaker` knows; `accounts` are the changes that made its accounts.
    pub fn new(
        config: server::Config,
        settings: Settings,
        matchmaker: Matchmaker,
        accounts: &[Change],
    ) -> Served {
        let mut desk = Desk::new(config, settings, None, now());
        desk.matchmaker = matchmaker;
        accounts.iter().for_each(|account| desk.apply(account));
        Served(Box::new(desk))
    }

    /// The time that it goes by.
    pub fn now() -> Duration {
        now()
    }

    /// Takes datagrams, each with whence it came, and gives what goes back.
    pub fn take<'a>(
        &mut self,
        datagrams: impl Iterator<Item = (SocketAddr, &'a mut [u8])>,
        mut back: impl FnMut(&[u8]),
    ) {
        self.0.datagrams(datagrams, now());
        while let Some(output) = self.0.poll_output() {
            if let Output::Send(_, datagram) = output {
                back(&datagram);
                self.0.sent(datagram);
            }
        }
    }

    /// Answers until told to stop.
    pub async fn serve(self, socket: UdpSocket, stop: oneshot::Receiver<()>) {
        let (messages, inbox) = mpsc::channel(1);
        let (jobs, _) = mpsc::unbounded_channel();
        let (core, _) = mpsc::channel(1);
        // It ends with its last handle.
        let running = run(*self.0, socket, inbox, jobs, core.downgrade(), None);
        let stopped = async {
            let _ = stop.await;
            drop(messages);
            std::future::pending().await
        };
        tokio::select! {
            () = running => {}
            () = stopped => {}
        }
    }
}

/// Sends back what comes, until told to stop.
pub async fn echo(socket: UdpSocket, mut stop: oneshot::Receiver<()>) {
    let mut burst = Burst::new();
    loop {
        tokio::select! {
            _ = &mut stop => return,
            readable = socket.readable() => if readable.is_ok() {
                burst.receive(&socket);
                burst.datagrams().for_each(|(from, datagram)| socket::send(&socket, from, datagram));
            },
        }
    }
}
