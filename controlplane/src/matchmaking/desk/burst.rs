//! Takes datagrams as they come in bursts: all are opened, then what the look-ups among them need is fetched at once, then each is
//! answered in its turn.

use std::{net::SocketAddr, time::Duration};

use dot11::MacAddr;
use matchmaker::MAX_AHEAD;
use proto::matchmaking::{messages::request::Request, server::Outcome};

use super::{Asker, Desk, Output, entropy};
use crate::matchmaking::convert::mac;

/// Kept between bursts.
#[derive(Default)]
pub(super) struct Opened {
    requests: Vec<(Asker, Request)>,
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
            let Some((asker, request)) = self.open(source, bytes, now) else { continue };
            if let Request::LookUp(said) = &request
                // One of several devices fetches for itself.
                && let [device] = &said.devices[..]
                && opened.ahead.len() < MAX_AHEAD
            {
                opened.ahead.push((mac(&said.radio), mac(&device.client)));
            }
            opened.requests.push((asker, request));
        }
        if opened.ahead.len() > 1 {
            self.matchmaker.fetch(&opened.ahead);
        }
        opened.ahead.clear();
        for (asker, request) in opened.requests.drain(..) {
            self.request(asker, request, now);
        }
        self.opened = opened;
    }

    fn open(&mut self, source: SocketAddr, bytes: &mut [u8], now: Duration) -> Option<(Asker, Request)> {
        let mut out = std::mem::take(&mut self.scratch);
        let outcome = self.server.datagram(source, bytes, now, &mut entropy, &mut out);
        let received = match outcome {
            Outcome::Dropped(_) => None,
            Outcome::Reply(_) => {
                self.outputs.push_back(Output::Send(source, out.clone()));
                None
            }
            Outcome::Received(received) => {
                Some((Asker::Peer { identity: received.peer, reply: received.reply }, received.request))
            }
        };
        self.scratch = out;
        received
    }
}
