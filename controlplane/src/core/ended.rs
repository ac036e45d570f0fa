//! Why a session ended, in words for whoever watches.

use authenticator::{Event, FailureKind, Output, State, TerminateCause};

/// What is known of the end of a session, before it is there.
#[derive(Debug, Default)]
pub(super) struct Ended {
    /// Why control ends it: whoever does knows best.
    because: Option<String>,
    /// What last happened to it that may be why.
    happened: String,
}

/// What happens in one go.
#[derive(Debug, Default)]
pub(super) struct Heard {
    causes: Vec<String>,
    /// What the device was told, or said.
    said: Option<String>,
    /// It begins anew, so what was before is no reason any more.
    begins: bool,
}

impl Ended {
    /// From now on it is ended on purpose.
    pub fn because(&mut self, why: String) {
        *self = Ended { because: Some(why), happened: String::new() };
    }

    /// Something happened.
    pub fn note(&mut self, heard: Heard) {
        if heard.begins {
            *self = Ended::default();
        }
        let words: Vec<String> = heard.causes.into_iter().chain(heard.said).collect();
        if !words.is_empty() {
            self.happened = words.join(", ");
        }
    }

    /// The whole reason; `before`: where it stood when it went.
    pub fn reason(&self, before: Option<State>) -> String {
        match (&self.because, self.happened.as_str(), before) {
            (Some(because), "", _) => because.clone(),
            (Some(because), happened, _) => format!("{because} ({happened})"),
            (None, "", Some(State::Authenticated)) => "it did not associate in time".to_owned(),
            (None, "", _) => "it was only heard".to_owned(),
            (None, happened, _) => happened.to_owned(),
        }
    }
}

impl Heard {
    /// Something is to be done for a session.
    pub fn heed(&mut self, output: &Output) {
        match output {
            Output::Log(Event::Associated { .. }) => *self = Heard { begins: true, ..Heard::default() },
            Output::Log(event @ (Event::Left(_) | Event::Disconnected(_))) => {
                self.said = Some(event.to_string())
            }
            Output::Log(
                event @ (Event::Rejected(_)
                | Event::RadiusFailed(_)
                | Event::AuthenticationRefused(_)
                | Event::AssociationRefused(_)),
            ) => self.causes.push(event.to_string()),
            Output::Log(Event::Blocked(_)) => {
                self.causes.push("refused from now on because it failed too often".to_owned());
            }
            Output::Failed { kind: FailureKind::WrongPassphrase, .. } => {
                self.causes.push("wrong passphrase".to_owned());
            }
            Output::AccountStop { cause, .. } => self.causes.extend(words(*cause).map(str::to_owned)),
            _ => {}
        }
    }
}

/// Of causes that say more than what comes with them.
fn words(cause: TerminateCause) -> Option<&'static str> {
    match cause {
        TerminateCause::SessionTimeout => Some("its session's time was over"),
        TerminateCause::NasRequest => Some("a handshake was not completed"),
        TerminateCause::ReauthenticationFailure => Some("it failed to authenticate again"),
        TerminateCause::UserRequest
        | TerminateCause::LostCarrier
        | TerminateCause::IdleTimeout
        | TerminateCause::AdminReset
        | TerminateCause::NasError => None,
    }
}

#[cfg(test)]
mod tests {
    use authenticator::{ReasonCode, SessionId};

    use super::*;

    fn heard(outputs: &[Output]) -> Heard {
        let mut heard = Heard::default();
        outputs.iter().for_each(|output| heard.heed(output));
        heard
    }

    #[test]
    fn what_happened_last_is_the_reason() {
        let mut ended = Ended::default();
        assert_eq!(ended.reason(Some(State::Unauthenticated)), "it was only heard");
        assert_eq!(ended.reason(Some(State::Authenticated)), "it did not associate in time");
        let told = || Output::Log(Event::Disconnected(ReasonCode(23)));
        ended.note(heard(&[Output::Log(Event::Rejected(Some("no".to_owned()))), told()]));
        ended.note(heard(&[]));
        assert_eq!(ended.reason(None), "rejected by RADIUS: no, disconnected, reason 23");
        // It comes back, and the old story is over.
        ended.note(heard(&[Output::Log(Event::Associated { aid: 1, again: false })]));
        ended.note(heard(&[
            told(),
            Output::AccountStop { session: SessionId(1), cause: TerminateCause::SessionTimeout },
        ]));
        assert_eq!(ended.reason(None), "its session's time was over, disconnected, reason 23");
        ended.because("an operator sent it away".to_owned());
        assert_eq!(ended.reason(None), "an operator sent it away");
        ended.note(heard(&[told()]));
        assert_eq!(ended.reason(None), "an operator sent it away (disconnected, reason 23)");
    }
}
