//! Radio, gateway and matchmaker with NATs between them: real programs in network namespaces, masquerading by nftables. A phone must come
//! online by look-up, stay reachable while nobody says anything, and stay when a NAT forgets everything.
//!
//! Needs root, nftables and conntrack (`deploy/setup.sh test`), and the programs built beside it, which `cargo test --workspace` does.

mod net;
mod world;

use std::time::Duration;

use net::{NATS, Nat, Place};
use world::{World, each};

/// NATs of gateway and radio that can meet: if one is symmetric, nobody can know which port it will give, so the other must let anybody in.
fn can_meet((gateway, radio): (Nat, Nat)) -> bool {
    let meets = |one: Nat, other: Nat| one != Nat::Symmetric || other.lets_anybody_in();
    meets(gateway, radio) && meets(radio, gateway)
}

fn pairs() -> impl Iterator<Item = (Nat, Nat)> {
    NATS.into_iter().flat_map(|gateway| NATS.map(|radio| (gateway, radio)))
}

#[test]
fn a_phone_comes_online_through_every_pair_of_nats_that_can_meet() {
    let pairs: Vec<_> = pairs().filter(|&pair| can_meet(pair)).collect();
    assert_eq!(pairs.len(), 20);
    each(&pairs, 5, |(gateway, radio)| {
        let mut world = World::new(gateway, radio);
        world.until("a ping", |world| world.echoes > 0);
        world.pings_pass("pings");
        assert!(!world.said("radio").contains("does not answer"), "{}", world.said("radio"));
    });
}

/// Keep-alives hold the way open in NATs that forget after eight seconds, and it heals when they forget at once.
#[test]
fn a_tunnel_stays_open_while_nobody_says_anything_and_heals_when_a_nat_forgets() {
    let pairs = [
        (Nat::PortRestricted, Nat::PortRestricted),
        (Nat::Shifted, Nat::Shifted),
        (Nat::None, Nat::Symmetric),
        (Nat::FullCone, Nat::Symmetric),
        (Nat::Symmetric, Nat::None),
        (Nat::Symmetric, Nat::FullCone),
    ];
    each(&pairs, pairs.len(), |(gateway, radio)| {
        let mut world = World::new(gateway, radio);
        world.until("a ping", |world| world.echoes > 0);
        world.pings = false;
        world.wait(Duration::from_secs(10));
        world.is_reached();
        world.pings = true;
        world.pings_pass("pings");
        world.net.forget(Place::RouterB);
        world.pings_pass("the radio's NAT forgot");
        world.net.forget(Place::RouterA);
        world.pings_pass("the gateway's NAT forgot");
        if radio == Nat::PortRestricted {
            world.net.forget(Place::RouterA);
            world.net.forget(Place::RouterB);
            world.pings_pass("both forgot");
            // The tunnel stays for whoever comes back soon.
            world.leave();
            world.wait(Duration::from_secs(10));
            world.come_back();
            let echoes = world.echoes;
            world.until("the phone's return", |world| world.echoes > echoes);
            assert_eq!(world.said("radio").matches("is up").count(), 1, "{}", world.said("radio"));
        }
    });
}

/// A NAT that gives another port than before, while the other side's lets in only who it knows: the way is lost, and found through the
/// matchmaker, which sees the new port.
#[test]
fn a_phone_comes_back_when_a_nat_gives_another_port() {
    each(&[Place::RouterA, Place::RouterB], 2, |router| {
        let mut world = World::new(Nat::Shifted, Nat::Shifted);
        world.until("a ping", |world| world.echoes > 0);
        world.net.set(router, Nat::Shifted, 50_000);
        let associations = world.associations;
        let echoes = world.echoes;
        world.until("the phone's return", |world| {
            world.associations > associations && world.echoes >= echoes + 3
        });
    });
}

#[test]
fn where_nobody_can_know_the_port_the_radio_says_so_and_takes_the_network_off_the_air() {
    let pairs: Vec<_> = pairs().filter(|&pair| !can_meet(pair)).collect();
    assert_eq!(pairs.len(), 5);
    each(&pairs, 5, |(gateway, radio)| {
        let mut world = World::new(gateway, radio);
        world.until("giving up", |world| world.said("radio").contains("because no gateway of it answers"));
        let said = world.said("radio");
        assert_eq!(said.matches("does not answer, asking for another").count(), 2, "{said}");
        assert!(!said.contains("is up") && world.echoes == 0, "{said}");
    });
}
