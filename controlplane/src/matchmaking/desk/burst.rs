//! Takes datagrams as they come in bursts: all are opened, then what the look-ups among them need is fetched at once, then each is
//! answered in its turn.

use std::{net::SocketAddr, time::Duration};

use dot11::MacAddr;
use matchmaker::MAX_AHEAD;
use proto::matchmaking::{
    messages::request::Request,
    server::{Outcome, Received},
};

use super::{Asker, Desk, Output, entropy};
use crate::matchmaking::convert::mac;

/// Datagrams at a time that there is room kept for.
pub(super) const BURST: usize = MAX_AHEAD;

/// Kept between bursts.
#[derive(Default)]
pub(super) struct Opened {
    received: Vec<Received>,
    /// Radios and devices of look-ups.
    ahead: Vec<(MacAddr, MacAddr)>,
}

impl Desk {
    /// Takes some datagrams, each with whence it came.
    pub fn datagrams<'a>(
        &mut self,
        datagrams: impl Iterator<Item = (SocketAddr, &'a mut [u8])>,
        now: Duration,
    ) {
        let mut opened = std::mem::take(&mut self.opened);
        for (source, bytes) in datagrams {
            let Some(received) = self.open(source, bytes, now) else { continue };
            if let Request::LookUp(said) = &received.request
                // One of several devices fetches for itself.
                && let [device] = &said.devices[..]
                && opened.ahead.len() < MAX_AHEAD
            {
                opened.ahead.push((mac(&said.radio), mac(&device.client)));
            }
            opened.received.push(received);
        }
        self.matchmaker.fetch(&opened.ahead);
        opened.ahead.clear();
        for received in opened.received.drain(..) {
            match &received.request {
                Request::LookUp(said) => self.look_up(&received.peer, &received.reply, said, now),
                _ => {
                    let asker = Asker::Peer { identity: received.peer, reply: received.reply };
                    self.request(asker, received.request, now);
                }
            }
        }
        self.pushes(now);
        self.opened = opened;
    }

    fn open(&mut self, source: SocketAddr, bytes: &mut [u8], now: Duration) -> Option<Received> {
        let mut out = std::mem::take(&mut self.scratch);
        let outcome = self.server.datagram(source, bytes, now, &mut entropy, &mut out);
        let received = match outcome {
            Outcome::Dropped(_) => None,
            Outcome::Reply(_) => {
                self.outputs.push_back(Output::Send(source, out.clone()));
                None
            }
            Outcome::Received(received) => Some(received),
        };
        self.scratch = out;
        received
    }
}
