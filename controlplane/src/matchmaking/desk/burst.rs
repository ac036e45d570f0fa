//! Takes datagrams as they come in bursts: of all the ticket is opened, what is remembered of their peers is fetched at once, all are opened,
//! what the look-ups among them need is fetched at once, then each is answered in its turn.

use std::{net::SocketAddr, time::Duration};

use dot11::MacAddr;
use matchmaker::MAX_AHEAD;
use proto::matchmaking::{
    messages::request::Request,
    server::{Begun, Outcome, Received},
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
        let mut begun = Vec::with_capacity(BURST);
        for (source, bytes) in datagrams {
            let mut out = std::mem::take(&mut self.scratch);
            match self.server.begin(source, bytes, now, &mut entropy, &mut out) {
                Begun::Over(outcome) => drop(self.outcome(outcome, source, &out)),
                Begun::Opening(opening) => begun.push((opening, bytes)),
            }
            self.scratch = out;
        }
        self.server.fetch(begun.iter().map(|(opening, _)| opening));
        for (opening, bytes) in &mut begun {
            let mut out = std::mem::take(&mut self.scratch);
            let outcome = self.server.end(opening, bytes, now, &mut entropy, &mut out);
            let received = self.outcome(outcome, opening.source(), &out);
            self.scratch = out;
            let Some(received) = received else { continue };
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

    /// What is to be answered; what the protocol answers by itself is sent.
    fn outcome(&mut self, outcome: Outcome, source: SocketAddr, out: &[u8]) -> Option<Received> {
        match outcome {
            Outcome::Dropped(_) => None,
            Outcome::Reply(_) => {
                self.outputs.push_back(Output::Send(source, out.to_vec()));
                None
            }
            Outcome::Received(received) => Some(received),
        }
    }
}
