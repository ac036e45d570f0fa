//! Every reason for which a server goes no further is reached by a datagram of its own, with exactly the counters it
//! says; and whatever comes from an address that is not proved, nothing longer goes back.

use std::net::SocketAddr;
use std::time::Duration;

use proptest::prelude::*;
use prost::Message;
use proto::matchmaking::datagram::{self, Datagram, NO_COOKIE, kind};
use proto::matchmaking::messages::{Identity, Release, Request, request};
use proto::matchmaking::seal::{Accelerated, Aead, counter_nonce, seal};
use proto::matchmaking::server::*;
use proto::matchmaking::{Initiator, Key, Keys, PublicKey, StaticSecret};

use crate::world::{
    ACCOUNT, Dice, TestServer, UNIX, config, matchmaker, peer_address, release, server, small, ticket_key,
};

/// A server, and a peer that is made by hand.
struct Scene {
    server: TestServer,
    now: Duration,
    dice: Dice,
    out: Vec<u8>,
    ticket: Vec<u8>,
    cookie: [u8; 16],
    keys: Option<Keys>,
}

impl Scene {
    fn new(limits: Limits) -> Scene {
        let server = server(config(limits), UNIX, &mut Dice(1));
        let (out, ticket) = (Vec::new(), Vec::new());
        Scene { server, now: UNIX, dice: Dice(2), out, ticket, cookie: NO_COOKIE, keys: None }
    }

    fn give(&mut self, source: SocketAddr, mut bytes: Vec<u8>) -> Outcome {
        let dice = &mut self.dice;
        self.server.datagram(source, &mut bytes, self.now, &mut |out| dice.fill(out), &mut self.out)
    }

    fn initiator(&mut self, account: &str, to: &PublicKey) -> Initiator {
        let dice = &mut self.dice;
        let identity = Identity { account: account.into(), ..Identity::default() };
        let secret = StaticSecret::new([5; 32]);
        Initiator::new(&secret, to, &Key([7; 32]), &identity, &mut |out| dice.fill(out)).unwrap()
    }

    fn initiation(&mut self) -> Vec<u8> {
        let to = matchmaker().public();
        datagram::initiation(&NO_COOKIE, self.initiator(ACCOUNT, &to).message()).unwrap()
    }

    fn handshake(&mut self) {
        let to = matchmaker().public();
        let mut initiator = self.initiator(ACCOUNT, &to);
        let bytes = datagram::initiation(&NO_COOKIE, initiator.message()).unwrap();
        assert!(matches!(self.give(peer_address(0), bytes), Outcome::Reply(None)));
        let (admission, keys) = initiator.finish::<Accelerated>(&mut self.out.clone()).unwrap();
        assert!(self.out.len() <= datagram::MAX_RESPONSE);
        (self.ticket, self.cookie) = (admission.ticket, admission.cookie.try_into().unwrap());
        self.keys = Some(keys);
    }

    fn sealed(&self, fresh: bool, counter: u64, text: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        datagram::request(fresh.then_some(&self.cookie), &self.ticket, counter, &mut out);
        let head = out.len();
        out.extend_from_slice(text);
        let up = &self.keys.as_ref().unwrap().up;
        seal(&Accelerated::new(up), &counter_nonce(counter), &mut out, head);
        out
    }

    fn request(&self, fresh: bool, counter: u64) -> Vec<u8> {
        self.sealed(fresh, counter, &Request { id: 1, request: Some(release(1)) }.encode_to_vec())
    }

    /// A handshake and a first request.
    fn begin(&mut self) {
        self.handshake();
        let first = self.request(true, 0);
        assert!(matches!(self.give(peer_address(0), first), Outcome::Received(_)));
    }
}

/// Brings a server to the point where the next datagram goes no further for this reason; gives it.
fn scene(reason: DropReason) -> (Scene, Vec<u8>) {
    use DropReason::*;
    let none = Rate { per_second: 0, burst: 0 };
    let limits = match reason {
        SourceLimit => Limits { source: Rate { per_second: 1, burst: 2 }, ..small() },
        PeerLimit => Limits { peer: Rate { per_second: 1, burst: 1 }, ..small() },
        CookieWanted => Limits { handshakes: none, ..small() },
        HandshakeLimit => Limits { handshakes: none, cookie_handshakes: none, ..small() },
        _ => small(),
    };
    let mut scene = Scene::new(limits);
    let s = &mut scene;
    let datagram = match reason {
        NotMatchmaking => vec![0, 1, 2, 3],
        NotForServer => {
            datagram::not_accepted(1, &[1; 8], &NO_COOKIE, &mut s.out);
            s.out.clone()
        }
        SourceLimit | PeerLimit => {
            s.begin();
            s.request(false, 1)
        }
        InitiationShort => {
            let mut initiation = s.initiation();
            initiation.truncate(511);
            initiation
        }
        OtherVersion => {
            let mut initiation = s.initiation();
            initiation[1] = 2;
            initiation
        }
        CookieWanted => s.initiation(),
        HandshakeLimit => {
            let first = s.initiation();
            s.give(peer_address(0), first.clone());
            let Ok(Datagram::Cookie { cookie, .. }) = Datagram::parse(&s.out) else { panic!() };
            let mut with = first;
            with[2..18].copy_from_slice(cookie);
            with
        }
        HandshakeInvalid => {
            let other = StaticSecret::new([77; 32]).public();
            datagram::initiation(&NO_COOKIE, s.initiator(ACCOUNT, &other).message()).unwrap()
        }
        UnknownAccount => {
            let to = matchmaker().public();
            datagram::initiation(&NO_COOKIE, s.initiator("nobody@example.org", &to).message()).unwrap()
        }
        TicketInvalid => {
            s.handshake();
            *s.ticket.last_mut().unwrap() ^= 1;
            s.request(true, 0)
        }
        TicketExpired => {
            s.begin();
            s.now += Duration::from_secs(3600);
            s.request(false, 1)
        }
        TicketOld => {
            s.handshake();
            let old = s.request(true, 0);
            s.begin();
            old
        }
        NotFresh => {
            s.handshake();
            s.request(false, 0)
        }
        CookieInvalid => {
            s.handshake();
            s.now += Duration::from_secs(120);
            s.request(true, 0)
        }
        Replayed => {
            s.begin();
            s.request(true, 0)
        }
        Forged => {
            s.begin();
            let mut request = s.request(false, 1);
            *request.last_mut().unwrap() ^= 1;
            request
        }
        Undecodable => {
            s.begin();
            s.sealed(false, 1, &[0xff; 5])
        }
        Malformed => {
            s.begin();
            let request = Request { id: 1, request: Some(request::Request::Release(Release::default())) };
            s.sealed(false, 1, &request.encode_to_vec())
        }
    };
    (scene, datagram)
}

#[test]
fn each_reason_has_its_datagram() {
    for reason in DropReason::ALL {
        let (mut scene, datagram) = scene(reason);
        let before: Vec<_> = scene.server.counters().named().collect();
        let outcome = scene.give(peer_address(0), datagram.clone());
        let changed: Vec<_> = scene
            .server
            .counters()
            .named()
            .zip(before)
            .map(|((name, after), (_, before))| (name, after - before))
            .filter(|(_, change)| *change != 0)
            .collect();
        let mut expected = vec![("received", 1), (reason.name(), 1)];
        if reason == DropReason::Malformed {
            expected.insert(1, ("answers", 1));
        }
        assert_eq!(changed, expected);
        match outcome {
            Outcome::Reply(Some(given)) => assert!(given == reason && reason.is_answered(), "{reason:?}"),
            Outcome::Dropped(given) => assert!(given == reason && !reason.is_answered(), "{reason:?}"),
            other => panic!("{reason:?}: {other:?}"),
        }
        assert_eq!(scene.out.is_empty(), !reason.is_answered(), "{reason:?}");
        if reason != DropReason::Malformed {
            assert!(scene.out.len() <= datagram.len(), "{reason:?}");
        }
    }
}

#[test]
fn names_of_reasons_differ() {
    let names: std::collections::HashSet<_> = DropReason::ALL.iter().map(|reason| reason.name()).collect();
    assert_eq!(names.len(), DropReason::ALL.len());
    assert!(DropReason::ALL.iter().enumerate().all(|(at, reason)| *reason as usize == at));
}

#[test]
fn a_cookie_is_for_one_address_one_purpose_and_two_minutes() {
    let mut dice = Dice(3);
    let mut cookies = Cookies::new(UNIX, &mut |out| dice.fill(out));
    let (here, there) = (peer_address(0), peer_address(1));
    let fresh = Proof::Fresh { serial: 1, peer: [1; 8] };
    for proof in [Proof::Handshake, fresh] {
        let cookie = cookies.make(proof, here);
        assert!(cookies.verify(&cookie, proof, here));
        assert!(!cookies.verify(&cookie, proof, there));
        let port = SocketAddr::new(here.ip(), here.port() + 1);
        assert!(!cookies.verify(&cookie, proof, port));
        for other in [
            Proof::Handshake,
            fresh,
            Proof::Fresh { serial: 2, peer: [1; 8] },
            Proof::Fresh { serial: 1, peer: [2; 8] },
        ] {
            assert_eq!(cookies.verify(&cookie, other, here), other == proof);
        }
    }
    // However a socket writes an IPv4 address.
    let mapped = SocketAddr::new(
        std::net::IpAddr::V6(std::net::Ipv4Addr::new(198, 51, 100, 0).to_ipv6_mapped()),
        40_000,
    );
    assert_eq!(cookies.make(fresh, here), cookies.make(fresh, mapped));
    let mut tick = |cookies: &mut Cookies, seconds| {
        cookies.tick(UNIX + Duration::from_secs(seconds), &mut |out: &mut [u8]| dice.fill(out));
    };
    let first = cookies.make(fresh, here);
    tick(&mut cookies, 59);
    assert_eq!(cookies.make(fresh, here), first);
    tick(&mut cookies, 60);
    assert!(cookies.make(fresh, here) != first && cookies.verify(&first, fresh, here));
    tick(&mut cookies, 120);
    assert!(!cookies.verify(&first, fresh, here));
    let second = cookies.make(fresh, here);
    tick(&mut cookies, 1000);
    assert!(!cookies.verify(&second, fresh, here), "nothing came for longer than a secret lasts");
}

#[test]
fn a_ticket_says_what_was_sealed_and_nothing_else_opens() {
    let mut dice = Dice(4);
    let mut keys = TicketKeys::new(&ticket_key(1), None);
    let ticket = Ticket {
        keys: Keys { up: Key([1; 32]), down: Key([2; 32]) },
        peer: PublicKey([3; 32]),
        account: Some(AccountId([4; 16])),
        instance: 5,
        serial: 6,
        expires: 7,
    };
    let sealed = keys.seal(&ticket, &mut |out| dice.fill(out));
    let other = keys.seal(&Ticket { account: None, ..ticket.clone() }, &mut |out| dice.fill(out));
    assert_eq!(sealed.len(), TICKET);
    assert_ne!(sealed.last_chunk::<8>(), other.last_chunk::<8>());
    let opened = keys.open(&sealed).unwrap();
    assert_eq!((opened.keys.up.0, opened.keys.down.0), ([1; 32], [2; 32]));
    assert_eq!((opened.peer, opened.account), (ticket.peer, ticket.account));
    assert_eq!((opened.instance, opened.serial, opened.expires), (5, 6, 7));
    assert_eq!(keys.open(&other).unwrap().account, None);
    for at in 0..sealed.len() {
        let mut changed = sealed;
        changed[at] ^= 1;
        assert_eq!(keys.open(&changed).err(), Some(TicketError), "octet {at}");
    }
    assert!(keys.open(&sealed[1..]).is_err());
    keys.rotate(&ticket_key(2));
    assert!(keys.open(&sealed).is_ok());
    keys.rotate(&ticket_key(3));
    assert!(keys.open(&sealed).is_err());
    // Another matchmaker of the name, which begins with both keys.
    let shared = TicketKeys::new(&ticket_key(2), Some(&ticket_key(1)));
    assert!(shared.open(&sealed).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    /// Datagrams that are right, wrong and in between, from addresses that proved nothing.
    #[test]
    fn nothing_longer_goes_to_an_address_that_is_not_proved(
        which in 0usize..6,
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in any::<prop::sample::Index>(),
        whole: bool,
        arbitrary in prop::collection::vec(any::<u8>(), 0..1300),
        from in 1u8..,
    ) {
        let mut scene = Scene::new(small());
        scene.begin();
        let mut bytes = match which {
            0 => scene.initiation(),
            1 => scene.request(false, 1),
            2 => scene.request(true, 1),
            3 => {
                let mut initiation = scene.initiation();
                initiation[1] = 9;
                initiation
            }
            4 => [&[kind::REQUEST, 1][..], &arbitrary].concat(),
            _ => arbitrary,
        };
        for (at, flip) in flips {
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] ^= flip;
            }
        }
        if !whole {
            bytes.truncate(cut.index(bytes.len() + 1));
        }
        let length = bytes.len();
        match scene.give(peer_address(from), bytes) {
            Outcome::Received(_) => prop_assert!(false, "a request from an address that is not proved"),
            Outcome::Reply(_) => prop_assert!(scene.out.len() <= length && !scene.out.is_empty()),
            Outcome::Dropped(_) => prop_assert!(scene.out.is_empty()),
        }
    }
}
