use super::*;

const HOME: Uuid = Uuid::from_u128(1);
const WORK: Uuid = Uuid::from_u128(2);
const PHONE: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
const LAPTOP: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);
const KITCHEN: MacAddr = MacAddr([2, 0, 0, 0, 1, 1]);
const OFFICE: MacAddr = MacAddr([2, 0, 0, 0, 1, 2]);

fn set(bindings: &[(Uuid, Pattern, Pattern)]) -> Bindings {
    let mut set = Bindings::default();
    for &(service, client, radio) in bindings {
        set.add(service, client, radio).unwrap();
    }
    set
}

#[test]
fn a_client_bound_to_any_radio_sees_its_network_everywhere_and_nobody_else_does() {
    let set = set(&[(HOME, Pattern::Exactly(PHONE), Pattern::Any)]);
    assert!(set.find(HOME, PHONE, KITCHEN).is_some() && set.find(HOME, PHONE, OFFICE).is_some());
    assert!(set.find(HOME, LAPTOP, KITCHEN).is_none());
    assert!(set.find(WORK, PHONE, KITCHEN).is_none());
    assert!(set.radio_may_show(HOME, KITCHEN) && !set.radio_may_show(WORK, KITCHEN));
}

#[test]
fn a_radio_bound_for_any_client_shows_the_network_there_only() {
    let set = set(&[(WORK, Pattern::Any, Pattern::Exactly(OFFICE))]);
    assert!(set.find(WORK, LAPTOP, OFFICE).is_some());
    assert!(set.find(WORK, LAPTOP, KITCHEN).is_none());
    assert!(set.radio_may_show(WORK, OFFICE) && !set.radio_may_show(WORK, KITCHEN));
    assert!(!set.radio_may_show(HOME, OFFICE));
}

#[test]
fn a_client_bound_to_one_radio_sees_its_network_there_only() {
    let set = set(&[(HOME, Pattern::Exactly(PHONE), Pattern::Exactly(OFFICE))]);
    assert!(set.find(HOME, PHONE, OFFICE).is_some() && set.find(HOME, PHONE, KITCHEN).is_none());
    assert!(set.radio_may_show(HOME, OFFICE) && !set.radio_may_show(HOME, KITCHEN));
}

#[test]
fn the_most_specific_binding_answers() {
    let set = set(&[
        (HOME, Pattern::Any, Pattern::Any),
        (HOME, Pattern::Any, Pattern::Exactly(OFFICE)),
        (HOME, Pattern::Exactly(PHONE), Pattern::Any),
        (HOME, Pattern::Exactly(PHONE), Pattern::Exactly(OFFICE)),
    ]);
    assert_eq!(set.find(HOME, PHONE, OFFICE).unwrap().id, 4);
    assert_eq!(set.find(HOME, PHONE, KITCHEN).unwrap().id, 3);
    assert_eq!(set.find(HOME, LAPTOP, OFFICE).unwrap().id, 2);
    assert_eq!(set.find(HOME, LAPTOP, KITCHEN).unwrap().id, 1);
}

#[test]
fn duplicates_are_harmless() {
    let mut set = set(&[(HOME, Pattern::Any, Pattern::Any)]);
    assert_eq!(set.add(HOME, Pattern::Any, Pattern::Any), Err(DuplicateBinding(1)));
    assert_eq!(set.iter().count(), 1);
}

#[test]
fn putting_under_an_identifier_that_is_taken_replaces() {
    let mut set = set(&[(HOME, Pattern::Any, Pattern::Any)]);
    let policy = visibility::Policy { max_clients: Some(3), ..Default::default() };
    let other = NewBinding {
        service: WORK,
        client: Pattern::Exactly(PHONE),
        radio: Pattern::Any,
        policy,
        origin: Origin::AutoBind(Cause::Wired),
    };
    set.put(AccountRef::POOL, &other.with_id(1));
    assert_eq!((set.len(), set.get(AccountRef::POOL, 1)), (1, Some(other.with_id(1))));
    assert!(set.find(HOME, PHONE, OFFICE).is_none() && set.service(HOME).is_none());
    assert_eq!(set.asked_for(WORK, None).collect::<Vec<_>>(), [(AccountRef::POOL, 1)]);
    assert_eq!(set.asked_for(WORK, Some(Cause::Local)).count(), 0);
    assert_eq!(set.remove(AccountRef::POOL, 1), Some(other.with_id(1)));
    assert_eq!(set.remove(AccountRef::POOL, 1), None);
    assert!(set.is_empty() && set.service(WORK).is_none());
}

#[test]
fn a_binding_takes_at_most_80_octets() {
    let mut set = Bindings::default();
    // Where the parts of the index have just grown.
    for n in 0..130_000u32 {
        let [a, b, c, d] = n.to_be_bytes();
        let (client, radio) = (MacAddr([2, 1, a, b, c, d]), MacAddr([2, 2, a, b, c, d]));
        let (client, radio) = match n % 10 {
            0 => (Pattern::Any, Pattern::Exactly(radio)),
            1 => (Pattern::Exactly(client), Pattern::Exactly(radio)),
            _ => (Pattern::Exactly(client), Pattern::Any),
        };
        set.add(Uuid::from_u128(u128::from(n % 100)), client, radio).unwrap();
        if n > 50_000 && n % 1000 == 0 {
            let memory = set.memory();
            let each = (memory.places + memory.index + memory.others) as f64 / f64::from(n);
            assert!(each <= 80.0, "{each} octets each with {n}: {memory:?}");
        }
    }
}
