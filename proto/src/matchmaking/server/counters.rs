//! What a server did and what it did not do, by name.

/// Why a datagram went no further. What is [`refused`](DropReason::is_answered) is told so; the rest is dropped silently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum DropReason {
    /// No datagram of matchmaking.
    NotMatchmaking,
    /// Of a kind that only a matchmaker sends, or an instance to a radio.
    NotForServer,
    /// Too many datagrams from this source.
    SourceLimit,
    /// Too many requests from this peer.
    PeerLimit,
    /// An Initiation of less than 512 octets.
    InitiationShort,
    /// An Initiation of a version that is not spoken here: answered with Versions.
    OtherVersion,
    /// An Initiation without cookie while there are many: answered with a Cookie.
    CookieWanted,
    /// More handshakes than are taken at all.
    HandshakeLimit,
    /// Noise message 1 is not for this key, or was changed.
    HandshakeInvalid,
    /// The account is not known: answered with a Response that cannot be read.
    UnknownAccount,
    /// The ticket cannot be opened: Not accepted.
    TicketInvalid,
    /// The ticket is over: Not accepted.
    TicketExpired,
    /// The peer has a newer ticket: Not accepted.
    TicketOld,
    /// The peer, or its address, is to be proved first: Not accepted, with cookie.
    NotFresh,
    /// A cookie that is wrong or over: Not accepted, with another.
    CookieInvalid,
    /// The counter was used, or is too far below.
    Replayed,
    /// Sealed with another key, or changed.
    Forged,
    /// Authentic, but no `Request`.
    Undecodable,
    /// A `Request` that breaks its rules: answered with a Failure.
    Malformed,
}

impl DropReason {
    /// All of them, in the order of their counters.
    pub const ALL: [DropReason; 19] = {
        use DropReason::*;
        [
            NotMatchmaking,
            NotForServer,
            SourceLimit,
            PeerLimit,
            InitiationShort,
            OtherVersion,
            CookieWanted,
            HandshakeLimit,
            HandshakeInvalid,
            UnknownAccount,
            TicketInvalid,
            TicketExpired,
            TicketOld,
            NotFresh,
            CookieInvalid,
            Replayed,
            Forged,
            Undecodable,
            Malformed,
        ]
    };

    /// Name of the counter.
    pub const fn name(self) -> &'static str {
        use DropReason::*;
        match self {
            NotMatchmaking => "not_matchmaking",
            NotForServer => "not_for_server",
            SourceLimit => "source_limit",
            PeerLimit => "peer_limit",
            InitiationShort => "initiation_short",
            OtherVersion => "other_version",
            CookieWanted => "cookie_wanted",
            HandshakeLimit => "handshake_limit",
            HandshakeInvalid => "handshake_invalid",
            UnknownAccount => "unknown_account",
            TicketInvalid => "ticket_invalid",
            TicketExpired => "ticket_expired",
            TicketOld => "ticket_old",
            NotFresh => "not_fresh",
            CookieInvalid => "cookie_invalid",
            Replayed => "replayed",
            Forged => "forged",
            Undecodable => "undecodable",
            Malformed => "malformed",
        }
    }

    /// Whether the sender is told.
    pub const fn is_answered(self) -> bool {
        use DropReason::*;
        matches!(
            self,
            OtherVersion
                | CookieWanted
                | UnknownAccount
                | TicketInvalid
                | TicketExpired
                | TicketOld
                | NotFresh
                | CookieInvalid
                | Malformed
        )
    }
}

/// Totals since the server was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Datagrams that came.
    pub received: u64,
    /// Handshakes that were answered, those of unknown accounts not among them.
    pub handshakes: u64,
    /// Requests that were handed on.
    pub requests: u64,
    /// Answers that were sealed.
    pub answers: u64,
    /// Pushes that were asked for.
    pub pushes: u64,
    /// Datagrams with pushes, repetitions included.
    pub pushes_sent: u64,
    /// Pushes that were acknowledged.
    pub pushes_acknowledged: u64,
    /// Pushes that nobody acknowledged.
    pub pushes_given_up: u64,
    drops: [u64; DropReason::ALL.len()],
}

impl Counters {
    /// So many went no further for this reason.
    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.drops[reason as usize]
    }

    pub(super) fn drop(&mut self, reason: DropReason) {
        self.drops[reason as usize] += 1;
    }

    /// All of them by name.
    pub fn named(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
        let own = [
            ("received", self.received),
            ("handshakes", self.handshakes),
            ("requests", self.requests),
            ("answers", self.answers),
            ("pushes", self.pushes),
            ("pushes_sent", self.pushes_sent),
            ("pushes_acknowledged", self.pushes_acknowledged),
            ("pushes_given_up", self.pushes_given_up),
        ];
        let drops = self.drops;
        own.into_iter()
            .chain(DropReason::ALL.into_iter().map(move |reason| (reason.name(), drops[reason as usize])))
    }
}
