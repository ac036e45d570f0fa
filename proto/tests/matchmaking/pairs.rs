//! Peers against servers: what gets through bad networks, restarts, rotations, rebinding and fail-over.

use std::collections::HashSet;
use std::time::Duration;

use proptest::prelude::*;
use proto::matchmaking::datagram::{self, kind};
use proto::matchmaking::messages::{Release, request};
use proto::matchmaking::peer::{self, GaveUp, MAX_REQUESTS, Output, RADIO_PATIENCE, Report, RequestError};
use proto::matchmaking::server::*;
use proto::matchmaking::{Key, PublicKey};

use crate::world::*;

const SECOND: Duration = Duration::from_secs(1);

fn admitted(seed: u64, servers: u8) -> World {
    let mut world = World::new(seed, servers, 1);
    world.run(SECOND);
    assert!(world.peers[0].1.is_admitted());
    world
}

#[test]
fn a_request_takes_one_round_trip_after_the_handshake() {
    let mut world = World::new(1, 1, 1);
    let id = world.ask(0, release(1));
    world.run(SECOND);
    assert_eq!(world.answers(0), [(id, done())]);
    let kinds: Vec<u8> = world.sent.iter().map(|datagram| datagram.bytes[0]).collect();
    assert_eq!(kinds, [kind::INITIATION, kind::RESPONSE, kind::FRESH_REQUEST, kind::ANSWER]);
    // From there the window goes on: no cookie any more.
    world.ask(0, release(2));
    world.run(SECOND);
    assert_eq!((world.count(kind::REQUEST), world.count(kind::ANSWER), world.sent.len()), (1, 2, 6));

    let peer = world.asked[0].0;
    let expected = PeerIdentity {
        key: peer_config(10).secret.public(),
        account: Some(AccountId([9; 16])),
        instance: 10,
        endpoint: peer_address(0),
    };
    assert_eq!(peer, expected);
    assert_eq!(world.peers[0].1.endpoint(), peer_address(0).to_string());
    let report = Report::Admitted { address: server_address(0), endpoint: peer_address(0).to_string() };
    assert_eq!(world.reports(0), [report]);
    assert!(!world.outputs.iter().any(|(_, output)| matches!(output, Output::Epoch(_))));
    let counters = world.server(0).counters();
    assert_eq!((counters.handshakes, counters.requests, counters.answers), (1, 2, 2));
    assert_eq!(counters.named().map(|(_, count)| count).sum::<u64>(), 3 + 1 + 2 + 2);
    // Nothing is left to do but the renewal.
    assert!(world.peers[0].1.deadline().unwrap() > 1600 * SECOND);
}

#[test]
fn every_request_is_answered_once_however_bad_the_network() {
    for seed in 0..30 {
        let mut world = World::new(seed, 2, 2);
        world.weather = Weather { loss: 20, duplicates: 20, corruption: 5, jitter: 300 };
        for n in 0..20 {
            for peer in 0..2 {
                world.ask(peer, release(n));
            }
            world.run(SECOND / 2);
        }
        world.run(80 * SECOND);
        for peer in 0..2 {
            let answers = world.answers(peer);
            let ids: HashSet<u32> = answers.iter().map(|(id, _)| *id).collect();
            assert_eq!((answers.len(), ids.len()), (20, 20), "seed {seed}");
            assert!(answers.iter().all(|(_, answer)| *answer == done()), "seed {seed}: {answers:?}");
        }
        // Nothing was made up on the way.
        let asked: HashSet<String> = world.asked.iter().map(|(_, request)| format!("{request:?}")).collect();
        assert_eq!(asked, (0..20).map(|n| format!("{:?}", release(n))).collect(), "seed {seed}");
    }
}

#[test]
fn what_is_repeated_by_others_does_nothing() {
    let mut world = admitted(2, 2);
    for n in 0..10 {
        world.ask(0, release(n));
        world.run(SECOND);
    }
    let recorded = world.sent.clone();
    let asked = world.asked.len();
    assert_eq!(asked, 10);
    let play = |world: &mut World, from: Option<std::net::SocketAddr>, server: u8| {
        for mut datagram in recorded.iter().filter(|datagram| datagram.to == server_address(0)).cloned() {
            datagram.from = from.unwrap_or(datagram.from);
            datagram.to = server_address(server);
            world.deliver(datagram);
            world.run(SECOND / 100);
        }
        world.run(SECOND);
        assert_eq!(world.asked.len(), asked);
    };
    // From where they came, from elsewhere, and to another matchmaker that shares the ticket keys.
    play(&mut world, None, 0);
    play(&mut world, Some(peer_address(77)), 0);
    play(&mut world, None, 1);
    // To one that was started again.
    *world.server(0) = server(config(small()), UNIX + world.now, &mut Dice(99));
    play(&mut world, None, 0);
    // And answers to the peer: each was for one request.
    let answers = world.answers(0).len();
    for datagram in recorded.into_iter().filter(|datagram| datagram.to == peer_address(0)) {
        world.deliver(datagram);
    }
    world.run(SECOND);
    assert_eq!(world.answers(0).len(), answers);
}

#[test]
fn a_matchmaker_that_was_started_again_costs_a_round_trip_and_says_so() {
    let mut world = admitted(3, 1);
    world.ask(0, release(1));
    world.run(SECOND);
    let mut config = config(small());
    config.epoch = 2;
    *world.server(0) = server(config, UNIX + world.now, &mut Dice(5));
    world.sent.clear();
    world.ask(0, release(2));
    world.run(SECOND);
    let kinds: Vec<u8> = world.sent.iter().map(|datagram| datagram.bytes[0]).collect();
    assert_eq!(kinds, [kind::REQUEST, kind::NOT_ACCEPTED, kind::FRESH_REQUEST, kind::ANSWER]);
    assert!(world.outputs.contains(&(0, Output::Epoch(2))));
    assert_eq!(world.answers(0).len(), 2);
}

#[test]
fn ticket_keys_rotate() {
    let mut world = admitted(4, 1);
    world.server(0).rotate(&ticket_key(2));
    // Rotating to the key in use is nothing.
    world.server(0).rotate(&ticket_key(2));
    world.ask(0, release(1));
    world.run(SECOND);
    assert_eq!((world.answers(0).len(), world.count(kind::INITIATION)), (1, 1));
    // Twice, and the ticket cannot be opened any more: a handshake, five seconds after the last at the earliest.
    world.server(0).rotate(&ticket_key(3));
    world.ask(0, release(2));
    world.run(5 * SECOND);
    assert_eq!((world.answers(0).len(), world.count(kind::INITIATION)), (2, 2));
    assert_eq!(world.server(0).counters().dropped(DropReason::TicketInvalid), 1);
}

#[test]
fn a_ticket_is_renewed_before_it_is_over() {
    let mut world = admitted(5, 1);
    world.run(1600 * SECOND);
    assert_eq!(world.count(kind::INITIATION), 1);
    // Before it is time for the one after.
    world.run(1110 * SECOND);
    assert_eq!((world.count(kind::INITIATION), world.count(kind::RESPONSE)), (2, 2));
    world.ask(0, release(1));
    world.run(SECOND);
    // The cookie that came with the ticket is over: one round trip more.
    assert_eq!((world.answers(0).len(), world.count(kind::NOT_ACCEPTED)), (1, 1));

    // Not while the matchmaker is away; then the ticket ends, and a request waits for a handshake.
    let gone = world.servers.insert(server_address(0), None).unwrap();
    world.run(3700 * SECOND);
    assert!(!world.peers[0].1.is_admitted());
    let id = world.ask(0, release(2));
    world.run(SECOND);
    world.servers.insert(server_address(0), gone);
    world.run(55 * SECOND);
    assert_eq!(world.answers(0)[1], (id, done()));
}

#[test]
fn a_ticket_that_is_over_is_refused() {
    let mut world = World::new(6, 1, 0);
    // A peer that thinks that it lasts longer: the matchmaker's clock was set.
    world.add_peer(peer_config(10), 0);
    world.run(6 * SECOND);
    let mut later = config(small());
    later.ticket_lifetime = 3600 * SECOND;
    world.ask(0, release(1));
    world.run(SECOND);
    let sent = world.sent.iter().rfind(|datagram| datagram.to == server_address(0)).unwrap().clone();
    let (mut bytes, mut out) = (sent.bytes, Vec::new());
    let outcome = world.server(0).datagram(
        peer_address(0),
        &mut bytes,
        UNIX + 3601 * SECOND,
        &mut |out| out.fill(1),
        &mut out,
    );
    assert!(matches!(outcome, Outcome::Reply(Some(DropReason::TicketExpired))));
    assert!(matches!(
        datagram::Datagram::parse(&out),
        Ok(datagram::Datagram::NotAccepted { cookie: &datagram::NO_COOKIE, .. })
    ));
}

#[test]
fn another_address_is_proved_first() {
    let mut world = admitted(7, 1);
    world.ask(0, release(1));
    world.run(SECOND);
    world.peers[0].0 = peer_address(50);
    world.sent.clear();
    world.ask(0, release(2));
    world.run(SECOND);
    let kinds: Vec<u8> = world.sent.iter().map(|datagram| datagram.bytes[0]).collect();
    assert_eq!(kinds, [kind::REQUEST, kind::NOT_ACCEPTED, kind::FRESH_REQUEST, kind::ANSWER]);
    assert_eq!(world.asked[1].0.endpoint, peer_address(50));
    world.ask(0, release(3));
    world.run(SECOND);
    assert_eq!((world.answers(0).len(), world.sent.len()), (3, 6));
}

#[test]
fn another_matchmaker_takes_over_with_the_same_ticket() {
    let mut world = admitted(8, 3);
    world.ask(0, release(1));
    world.run(SECOND);
    world.servers.insert(server_address(0), None);
    let id = world.ask(0, release(2));
    world.run(16 * SECOND);
    assert_eq!(world.answers(0)[1], (id, done()));
    assert_eq!(world.peers[0].1.address(), Some(server_address(1)));
    assert_eq!((world.server(1).counters().handshakes, world.count(kind::INITIATION)), (0, 1));
    assert!(world.reports(0).contains(&Report::Silent { address: server_address(0) }));

    // All gone: every address is tried, the name is looked up, and what was asked is given up at last.
    for n in 0..3 {
        world.servers.insert(server_address(n), None);
    }
    let id = world.ask(0, release(3));
    world.run(59 * SECOND);
    assert_eq!(world.answers(0).len(), 2);
    let mut tried: Vec<_> = world.sent.iter().rev().take(8).map(|datagram| datagram.to).collect();
    tried.dedup();
    assert!(tried.len() >= 2);
    world.run(2 * SECOND);
    assert_eq!(world.answers(0)[2], (id, Err(GaveUp::Silence)));
    let looked_up = |(_, output): &&(usize, Output)| *output == Output::LookUpAddresses;
    assert_eq!(world.outputs.iter().filter(looked_up).count(), 2, "when it began, and when all had failed");
}

/// A radio, admitted by the first of so many servers, which then falls silent.
fn abandoned(seed: u64, servers: u8) -> World {
    let mut world = World::new(seed, servers, 0);
    world.add_peer(peer::Config { patience: RADIO_PATIENCE, ..peer_config(10) }, 0);
    world.run(SECOND);
    assert!(world.peers[0].1.is_admitted());
    world.servers.insert(server_address(0), None);
    world
}

#[test]
fn who_gives_up_early_goes_to_the_next_matchmaker_too() {
    let mut world = abandoned(17, 2);
    let first = world.ask(0, release(1));
    world.run(5 * SECOND);
    let second = world.ask(0, release(2));
    world.run(5 * SECOND + SECOND / 10);
    assert_eq!(world.answers(0), [(first, Err(GaveUp::Silence)), (second, done())]);
    assert_eq!(world.peers[0].1.address(), Some(server_address(1)));
    assert!(world.reports(0).contains(&Report::Silent { address: server_address(0) }));
    // And it stays there.
    for n in 0..30 {
        let id = world.ask(0, release(n));
        world.run(SECOND);
        assert!(world.answers(0).contains(&(id, done())));
    }
    assert_eq!(world.count(kind::INITIATION), 1);
}

#[test]
fn a_request_counts_against_an_address_only_if_it_had_its_time_there() {
    // Two of three are silent, and something is asked every second: the second one gets the time in which a request is repeated four times
    // (7.5 s, a quarter more or less), or in which a new one is given up (10 s).
    for seed in 0..200 {
        each_has_its_time(seed);
    }
}

fn each_has_its_time(seed: u64) {
    let mut world = abandoned(seed, 3);
    world.servers.insert(server_address(1), None);
    let began = world.now;
    let mut changes = Vec::new();
    let mut at = world.peers[0].1.address();
    for n in 0..30 {
        world.ask(0, release(n));
        world.run(SECOND);
        let now = world.peers[0].1.address();
        if now != at {
            at = now;
            changes.push((world.now - began).as_secs());
        }
    }
    assert_eq!(at, Some(server_address(2)));
    assert_eq!(changes.len(), 2);
    assert!(changes[0] == 10 && (15..=21).contains(&changes[1]), "{seed}: {changes:?}");
}

/// A name server that is away says nothing of the matchmaker.
#[test]
fn no_addresses_are_no_news() {
    let mut world = abandoned(19, 2);
    let peer = &mut world.peers[0].1;
    let before = peer.address();
    assert!(before.is_some());
    peer.set_addresses(&[]);
    assert_eq!(peer.address(), before);
}

#[test]
fn one_request_without_answer_does_not_make_an_address_silent() {
    let mut world = abandoned(19, 2);
    world.ask(0, release(1));
    world.run(8 * SECOND);
    // It is back, and answers what is asked next, though not that one before its time is over.
    world.servers.insert(server_address(0), Some(server(config(small()), UNIX + world.now, &mut Dice(2))));
    let id = world.ask(0, release(2));
    world.run(SECOND / 10);
    assert!(world.answers(0).contains(&(id, done())));
    world.servers.insert(server_address(0), None);
    world.run(3 * SECOND);
    assert_eq!(world.answers(0).len(), 2, "the first is over");
    assert_eq!(world.peers[0].1.address(), Some(server_address(0)));
}

#[test]
fn under_load_an_address_is_proved_before_anything_is_computed() {
    let mut world = World::new(9, 1, 0);
    let limits = Limits { handshakes: Rate { per_second: 0, burst: 0 }, ..small() };
    *world.server(0) = server(config(limits), UNIX, &mut Dice(1));
    world.add_peer(peer_config(10), 0);
    let id = world.ask(0, release(1));
    world.run(SECOND);
    assert_eq!(world.answers(0), [(id, done())]);
    let kinds: Vec<u8> = world.sent.iter().take(4).map(|datagram| datagram.bytes[0]).collect();
    assert_eq!(kinds, [kind::INITIATION, kind::COOKIE, kind::INITIATION, kind::RESPONSE]);
}

#[test]
fn wrong_accounts_and_keys_are_reported() {
    let report = Report::OtherKeys { address: server_address(0) };
    let mut configs = [peer_config(10), peer_config(11), peer_config(12)];
    configs[0].account = Some((ACCOUNT.into(), Key([8; 32])));
    configs[1].account = Some(("b@example.org".into(), Key([7; 32])));
    configs[2].matchmaker = PublicKey([0; 32]);
    let mut world = World::new(10, 1, 0);
    for (n, config) in configs.into_iter().enumerate() {
        world.add_peer(config, n as u8);
    }
    world.run(SECOND);
    for peer in 0..3 {
        assert_eq!(world.reports(peer), std::slice::from_ref(&report), "{peer}");
        assert!(!world.peers[peer].1.is_admitted());
    }
    // The Initiation was repeated once.
    assert_eq!(world.server(0).counters().dropped(DropReason::UnknownAccount), 2);
    // Without account there is nothing to be wrong.
    let mut config = peer_config(13);
    config.account = None;
    world.add_peer(config, 3);
    world.ask(3, release(1));
    world.run(SECOND);
    assert_eq!((world.answers(3).len(), world.asked[0].0.account), (1, None));
}

#[test]
fn handshakes_that_nobody_answers_become_rare() {
    let mut world = World::new(11, 2, 1);
    world.servers.values_mut().for_each(|server| *server = None);
    let mut begun: Vec<(u64, Vec<u8>, std::net::SocketAddr)> = Vec::new();
    for second in 0..600 {
        world.sent.clear();
        world.run(SECOND);
        for datagram in &world.sent {
            let id = datagram.bytes[20..28].to_vec();
            if begun.last().is_none_or(|(_, last, _)| *last != id) {
                begun.push((second, id, datagram.to));
            }
        }
    }
    // What happens at 5 s is the end of the fifth second.
    assert_eq!((begun[0].0, begun[1].0, begun[2].0, begun[3].0), (0, 4, 9, 14));
    let gaps: Vec<u64> = begun.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
    assert!(gaps.iter().all(|gap| (4..=51).contains(gap)), "{gaps:?}");
    assert!(gaps.iter().skip(9).all(|gap| *gap >= 29), "{gaps:?}");
    assert!(begun.windows(2).all(|pair| pair[0].2 != pair[1].2), "the addresses take turns");
}

#[test]
fn versions_are_negotiated() {
    let mut world = World::new(12, 1, 1);
    world.servers.insert(server_address(0), None);
    world.run(SECOND / 10);
    let sent = world.sent[0].clone();
    // A matchmaker that is too old, or too new.
    let mut bytes = vec![kind::VERSIONS, 9];
    bytes.extend(&sent.bytes[20..28]);
    bytes.extend([2, 3]);
    let answer = Datagram { from: sent.to, to: sent.from, bytes };
    let mut forged = answer.clone();
    forged.bytes[2] ^= 1;
    world.deliver(forged);
    world.run(SECOND / 10);
    assert_eq!(world.reports(0), []);
    world.deliver(answer);
    world.run(SECOND / 10);
    let reports = world.reports(0);
    assert_eq!(reports, [Report::Versions { address: server_address(0), theirs: vec![2, 3] }]);
    assert_eq!(
        reports[0].to_string(),
        "matchmaker 192.0.2.0:5247 speaks versions [2, 3], this software [1]: update the older of them"
    );
}

#[test]
fn what_is_not_sealed_must_fit_what_was_sent() {
    let mut world = admitted(13, 1);
    world.servers.insert(server_address(0), None);
    world.ask(0, release(1));
    world.run(SECOND / 10);
    let sent = world.sent.last().unwrap().clone();
    let echo = sent.bytes.last_chunk().unwrap();
    let mut bytes = Vec::new();
    let deliver = |world: &mut World, from, bytes: &[u8]| {
        let before = world.sent.len();
        world.deliver(Datagram { from, to: sent.from, bytes: bytes.to_vec() });
        world.run(SECOND / 100);
        (world.sent.len() - before, world.peers[0].1.is_admitted())
    };
    datagram::not_accepted(0, &[1; 8], &datagram::NO_COOKIE, &mut bytes);
    assert_eq!(deliver(&mut world, sent.to, &bytes), (0, true), "not its octets");
    datagram::not_accepted(1, echo, &datagram::NO_COOKIE, &mut bytes);
    assert_eq!(deliver(&mut world, sent.to, &bytes), (0, true), "not its counter");
    datagram::not_accepted(0, echo, &datagram::NO_COOKIE, &mut bytes);
    assert_eq!(deliver(&mut world, server_address(9), &bytes), (0, true), "not its address");
    // A matchmaker that never has enough does not make a peer busy.
    for _ in 0..20 {
        let newest = world.sent.last().unwrap().bytes.clone();
        let Ok(datagram::Datagram::Request(request)) = datagram::Datagram::parse(&newest) else { panic!() };
        datagram::not_accepted(request.counter, newest.last_chunk().unwrap(), &[1; 16], &mut bytes);
        deliver(&mut world, sent.to, &bytes);
    }
    assert_eq!(world.count(kind::FRESH_REQUEST), 1 + 3);
}

#[test]
fn requests_are_bounded() {
    let mut world = World::new(14, 1, 1);
    let peer = &mut world.peers[0].1;
    let long = request::Request::Acknowledge(Default::default());
    assert!(peer.request(long, Duration::ZERO).is_ok());
    let wrong = request::Request::Release(Release::default());
    assert!(matches!(peer.request(wrong, Duration::ZERO), Err(RequestError::Malformed(_))));
    let mut all = proto::matchmaking::messages::LookUp { radio: vec![1; 6], ..Default::default() };
    all.shown = vec![vec![1; 16]; 64];
    let too_long = peer.request(request::Request::LookUp(all), Duration::ZERO).unwrap_err();
    assert!(matches!(too_long, RequestError::TooLong(1150..)), "{too_long:?}");
    for n in 1..MAX_REQUESTS {
        peer.request(release(n as u8), Duration::ZERO).unwrap();
    }
    assert_eq!(peer.request(release(0), Duration::ZERO), Err(RequestError::Full));
    peer.forget(5);
    assert!(peer.request(release(0), Duration::ZERO).is_ok());
    world.run(SECOND);
    assert_eq!(world.answers(0).len(), MAX_REQUESTS);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn arbitrary_datagrams_do_nothing_to_a_peer(
        datagrams in prop::collection::vec((0x80u8..0x8c, prop::collection::vec(any::<u8>(), 0..300)), 1..40),
        seed: u64,
    ) {
        let mut world = admitted(seed, 1);
        world.ask(0, release(1));
        world.run(SECOND / 200);
        for (first, mut bytes) in datagrams {
            bytes.splice(..0, [first, 1]);
            world.deliver(Datagram { from: server_address(0), to: peer_address(0), bytes });
        }
        world.run(SECOND);
        prop_assert_eq!(world.answers(0).len(), 1);
        prop_assert_eq!(world.count(kind::INITIATION), 1);
    }
}
