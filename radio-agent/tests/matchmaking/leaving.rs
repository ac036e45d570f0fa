//! Who says that a device leaves, and when it is believed.

use dot11::element::{ElementsBuilder, Rsn, RsnCapabilities};
use dot11::{Akm, ManagementSubtype, build};
use proto::matchmaking::messages;
use radio_agent::agent::{Event, Output, SILENCE};

use super::world::*;

/// Can protect management frames.
const YES: bool = true;
const NO: bool = false;

/// What is on the air, in the name of the device unless it says otherwise.
#[derive(Debug, Clone, Copy)]
enum Said {
    Deauthentication,
    Disassociation,
    /// A deauthentication whose Protected Frame bit is set.
    Protected,
    Data,
    DataOfAnother,
    /// Such as the answer to an SA Query.
    Action,
    Authentication,
    Association,
}

use Said::*;

/// What one side says that it can.
fn rsn(mfp: bool) -> Vec<u8> {
    let capabilities = if mfp { RsnCapabilities::MFPC } else { RsnCapabilities::default() };
    ElementsBuilder::new().rsn(&Rsn { capabilities, ..Rsn::ccmp(&[Akm::Psk]) }).build()
}

/// A device is associated with a BSS.
fn associated(bss: bool, device: bool) -> World {
    let mut world = World::new();
    let ssid = dot11::element::Ssid::parse(b"network 1").unwrap();
    let template = ElementsBuilder::new().ssid(&ssid).raw(&rsn(bss)).build();
    world.offers = vec![messages::Offer { template, ..plain(HOME, DEVICE) }];
    world.ttl = 3600;
    world.hear(&probe_request(DEVICE, b""));
    world.run(milliseconds(20));
    world.associate_with(0, DEVICE, &rsn(device));
    world
}

fn say(world: &mut World, said: Said, mfp: bool) {
    let reason = 3_u16.to_le_bytes();
    let management = |subtype| to_slot(0, subtype, DEVICE, &reason);
    let mut frame = match said {
        Deauthentication | Protected => management(ManagementSubtype::Deauthentication),
        Disassociation => management(ManagementSubtype::Disassociation),
        Action => management(ManagementSubtype::Action),
        Data => data(0, DEVICE),
        DataOfAnother => data(0, OTHER),
        Authentication => authentication(0, DEVICE),
        Association => return world.associate_with(0, DEVICE, &rsn(mfp)),
    };
    if matches!(said, Protected | Action) {
        frame[1] |= 0x40;
    }
    let before = world.delivered.len();
    world.hear(&frame);
    let delivered = world.delivered[before..].iter().any(|(_, delivered)| *delivered == frame);
    assert_eq!(delivered, !matches!(said, DataOfAnother), "the gateway hears it in any case");
}

/// Whether the BSS and the device can protect management frames; what is said, and after how many milliseconds; when it has left.
type Case = (bool, bool, &'static [(u64, Said)], Option<u64>);

#[test]
fn who_says_that_it_leaves_is_believed_when_it_is_silent() {
    let cases: [Case; 17] = [
        (NO, NO, &[(0, Deauthentication)], Some(2000)),
        (NO, NO, &[(0, Disassociation)], Some(2000)),
        (NO, NO, &[(0, Disassociation), (900, Deauthentication), (1900, Deauthentication)], Some(2000)),
        (NO, NO, &[(0, Deauthentication), (1999, Data)], None),
        (NO, NO, &[(0, Data), (1, Deauthentication)], Some(2001)),
        (NO, NO, &[(0, Deauthentication), (1000, Data), (1500, Deauthentication)], Some(3500)),
        (NO, NO, &[(0, Deauthentication), (1000, DataOfAnother)], Some(2000)),
        // Somebody else may begin in its name too; it is there again when the gateway let it in.
        (NO, NO, &[(0, Deauthentication), (1000, Authentication)], Some(2000)),
        (NO, NO, &[(0, Deauthentication), (1000, Association)], None),
        (YES, YES, &[(0, Deauthentication)], None),
        (YES, YES, &[(0, Disassociation), (500, Deauthentication)], None),
        // One that is protected only the gateway can tell.
        (YES, YES, &[(0, Protected)], Some(2000)),
        (YES, YES, &[(0, Deauthentication), (500, Protected), (1000, Deauthentication)], Some(2500)),
        (YES, YES, &[(0, Protected), (1000, Action)], None),
        (YES, YES, &[(0, Deauthentication), (1000, Association), (1500, Deauthentication)], None),
        // It takes both.
        (YES, NO, &[(0, Deauthentication)], Some(2000)),
        (NO, YES, &[(0, Deauthentication)], Some(2000)),
    ];
    for (n, (bss, device, all, left)) in cases.into_iter().enumerate() {
        let mut world = associated(bss, device);
        let began = world.now;
        for &(after, said) in all {
            world.run(began + milliseconds(after) - world.now);
            say(&mut world, said, device);
        }
        world.run(began + seconds(10) - world.now);
        let departed = Output::Report(Event::Departed { bssid: bssid(0), station: DEVICE });
        let when: Vec<_> = world.log.iter().filter(|(_, output)| *output == departed).collect();
        let when: Vec<_> = when.into_iter().map(|(when, _)| *when - began).collect();
        assert_eq!(when, left.map(milliseconds).into_iter().collect::<Vec<_>>(), "case {n}");
    }
}

/// The gateway has the keys, and its word counts at once.
#[test]
fn the_gateway_is_believed_at_once() {
    let mut world = associated(YES, YES);
    let (from, reason) = (world.tunnel(0), 3_u16.to_le_bytes());
    let away = build::management(ManagementSubtype::Deauthentication, DEVICE, bssid(0), bssid(0), &reason);
    let now = world.now;
    world.down(from, &away);
    assert_eq!(world.log_time(Event::Departed { bssid: bssid(0), station: DEVICE }), now);
}

/// Nobody takes a BSS off the air by saying that its devices leave.
#[test]
fn a_bss_stays_while_its_device_does() {
    for mfp in [NO, YES] {
        let mut world = associated(mfp, mfp);
        for _ in 0..100 {
            say(&mut world, Deauthentication, mfp);
            world.run(SILENCE / 2);
            say(&mut world, Data, mfp);
        }
        assert!(world.is_shown(HOME) && world.air().len() == 1);
        assert!(!world.log.iter().any(|(_, output)| matches!(output, Output::RemoveStation { .. })));
    }
}
