//! Speaks with the matchmaker for the agent: its questions go out, answers come back.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use dot11::MacAddr;
use proto::matchmaking::Key;
use proto::matchmaking::messages::answer;
use proto::matchmaking::peer::{self, Output, Peer, Report};

use super::{RunError, identity};
use crate::agent::Agent;
use crate::config::Matchmaking;
use crate::daemon::Log;
use crate::sys;

/// The peer, and which of the agent's questions each of its requests is.
pub(super) struct Matchmaker {
    pub(super) peer: Peer,
    pub(super) host: String,
    pub(super) port: u16,
    questions: Vec<(u32, u32)>,
    last: Option<Report>,
}

impl Matchmaker {
    /// Everything that can be wrong with the keys is said now.
    pub(super) fn new(config: &Matchmaking, radio: MacAddr, log: Log) -> Result<Matchmaker, RunError> {
        let random = |error| RunError::System("draw random octets", error);
        let mut instance = [0; 8];
        sys::random(&mut instance).map_err(random)?;
        let mut drawn = [0; 32];
        sys::random(&mut drawn).map_err(random)?;
        let file = config.secret_file.as_ref().map_or_else(|| identity::default_path(radio), PathBuf::from);
        let (secret, warning) = identity::load_or_make(&file, drawn)?;
        if let Some(warning) = warning {
            log.error(&warning);
        }
        // Who has an account without key says so with zeros.
        let no_key = || Key([0; 32]);
        let key = config.account_key.clone();
        let account = config.account.clone().map(|account| (account, key.unwrap_or_else(no_key)));
        let config_of_peer = peer::Config {
            secret,
            matchmaker: config.key,
            account,
            software: concat!("radio-agent ", env!("CARGO_PKG_VERSION")).to_owned(),
            instance: u64::from_le_bytes(instance),
            patience: peer::RADIO_PATIENCE,
        };
        let mut failed = Ok(());
        let peer = Peer::new(config_of_peer, &mut |octets| {
            if let Err(error) = sys::random(octets) {
                failed = Err(error);
            }
        });
        failed.map_err(random)?;
        let (host, port) = (config.host.clone(), config.port);
        Ok(Matchmaker { peer, host, port, questions: Vec::new(), last: None })
    }

    /// Asks what the agent wants to know; what cannot be asked is answered at once.
    pub(super) fn ask(
        &mut self,
        agent: &mut Agent,
        ask: u32,
        request: proto::matchmaking::messages::request::Request,
        now: Duration,
        log: Log,
    ) {
        match self.peer.request(request, now) {
            Ok(id) => self.questions.push((id, ask)),
            Err(error) => {
                log.error(&format_args!("cannot ask the matchmaker: {error}"));
                agent.answered(ask, None, now);
            }
        }
    }

    /// The next thing that the socket or the resolver has to do. Answers go to the agent.
    pub(super) fn next(
        &mut self,
        agent: &mut Agent,
        now: Duration,
        log: Log,
    ) -> Result<Option<Output>, RunError> {
        loop {
            let mut failed = Ok(());
            let output = self.peer.poll_output(now, &mut |octets| {
                if let Err(error) = sys::random(octets) {
                    failed = Err(error);
                }
            });
            // Without random octets there are no keys, and what was made must not go out.
            failed.map_err(|error| RunError::System("draw random octets", error))?;
            match output {
                Some(Output::Answered { id, mut answer }) => {
                    if let (Ok(answer::Answer::Connected(connected)), Some(at)) =
                        (&mut answer, self.peer.address())
                    {
                        connected.endpoints.iter_mut().for_each(|endpoint| locate(endpoint, at.ip()));
                    }
                    let Some(at) = self.questions.iter().position(|(of, _)| *of == id) else { continue };
                    let (_, ask) = self.questions.swap_remove(at);
                    agent.answered(ask, answer.ok(), now);
                }
                Some(Output::Epoch(_)) => agent.epoch_changed(now),
                // Nothing is pushed to radios.
                Some(Output::Pushed(_)) => {}
                Some(Output::Report(report)) => self.report(report, log),
                output => return Ok(output),
            }
        }
    }

    /// Says what is new: a matchmaker that is away is reported once.
    fn report(&mut self, report: Report, log: Log) {
        if self.last.as_ref() != Some(&report) {
            match report {
                Report::Admitted { .. } => log.event(&report),
                _ => log.error(&report),
            }
        }
        self.last = Some(report);
    }
}

/// An endpoint with an unspecified address is at the matchmaker's.
fn locate(endpoint: &mut String, matchmaker: IpAddr) {
    if let Ok(mut address) = endpoint.parse::<SocketAddr>()
        && address.ip().is_unspecified()
    {
        address.set_ip(matchmaker);
        *endpoint = address.to_string();
    }
}
