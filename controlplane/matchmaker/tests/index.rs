//! The index of bindings answers as a list does that is searched from end to end, whatever comes and goes.

use dot11::MacAddr;
use matchmaker::bindings::{Bindings, Match};
use matchmaker::objects::{Binding, Cause, Grant, Grantee, NewBinding, Origin};
use matchmaker::scope::{AccountRef, Accounts};
use matchmaker::{Pattern, Seed, Uuid};
use proptest::prelude::*;
use visibility::Policy;

/// Few of each, so that they meet.
const ACCOUNTS: [&str; 3] = ["a@example.org", "b@example.org", "c@example.org"];

fn client(n: u8) -> MacAddr {
    MacAddr([2, 0, 0, 0, 0, n])
}

fn radio(n: u8) -> MacAddr {
    MacAddr([0, 0, 0, 0, 1, n])
}

fn service(n: u8) -> Uuid {
    Uuid::from_u128(u128::from(n) + 1)
}

#[derive(Debug, Clone)]
enum Step {
    Put { account: u32, id: u64, service: u8, client: Option<u8>, radio: Option<u8>, most: u32 },
    Remove { account: u32, id: u64 },
    Grant { radios_of: usize, services_of: Option<usize>, given: bool },
    Ask { account: u32, client: u8, radio: u8, service: u8 },
}

fn step() -> impl Strategy<Value = Step> {
    let wild = || proptest::option::weighted(0.6, 0..4u8);
    prop_oneof![
        4 => (0..4u32, 0..40u64, 0..4u8, wild(), wild(), 0..3u32)
            .prop_map(|(account, id, service, client, radio, most)| Step::Put { account, id, service, client, radio, most }),
        2 => (0..4u32, 0..40u64).prop_map(|(account, id)| Step::Remove { account, id }),
        1 => (0..3usize, proptest::option::of(0..3usize), any::<bool>())
            .prop_map(|(radios_of, services_of, given)| Step::Grant { radios_of, services_of, given }),
        4 => (0..4u32, 0..4u8, 0..4u8, 0..4u8)
            .prop_map(|(account, client, radio, service)| Step::Ask { account, client, radio, service }),
    ]
}

/// What must be so, without any index.
#[derive(Default)]
struct List {
    bindings: Vec<(u32, Binding)>,
    grants: Vec<(u32, Option<u32>)>,
}

impl List {
    fn reaches(&self, radios_of: u32, account: u32, broadcast: bool) -> bool {
        account == radios_of
            || self.grants.contains(&(radios_of, Some(account)))
            || !broadcast && self.grants.contains(&(radios_of, None))
    }

    /// The deciding binding for each service, of those for which `counts` holds: service, identifier and account.
    fn decide(
        &self,
        radios_of: u32,
        client: MacAddr,
        radio: MacAddr,
        counts: impl Fn(&Binding) -> bool,
    ) -> Vec<(Uuid, u64, u32)> {
        let mut found: Vec<_> = self
            .bindings
            .iter()
            .filter(|(account, b)| {
                let broadcast = b.client == Pattern::Any && b.radio == Pattern::Any;
                b.client.matches(client)
                    && b.radio.matches(radio)
                    && counts(b)
                    && self.reaches(radios_of, *account, broadcast)
            })
            .map(|(account, b)| {
                (b.service, b.client == Pattern::Any, b.radio == Pattern::Any, b.id, *account)
            })
            .collect();
        found.sort_unstable();
        found.dedup_by_key(|found| found.0);
        found.into_iter().map(|(service, _, _, id, account)| (service, id, account)).collect()
    }
}

/// Identifiers are unique in an account only; which of two equal ones of different accounts decides is left open.
fn seen(bindings: &Bindings, matches: &[Match]) -> Vec<(Uuid, u64)> {
    let mut seen: Vec<_> = matches.iter().map(|found| (bindings.uuid(found.service), found.id)).collect();
    seen.sort_unstable();
    seen
}

fn ids(found: Vec<(Uuid, u64, u32)>) -> Vec<(Uuid, u64)> {
    found.into_iter().map(|(service, id, _)| (service, id)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_index_answers_as_a_list_does(steps in proptest::collection::vec(step(), 1..120), seed: [u8; 16]) {
        let mut bindings = Bindings::new(Seed::new(seed));
        let (mut accounts, mut list) = (Accounts::default(), List::default());
        for id in ACCOUNTS {
            accounts.put(&matchmaker::objects::Account { id: id.parse().unwrap(), key: None });
        }
        for step in steps {
            match step {
                Step::Put { account, id, service: n, client: c, radio: r, most } => {
                    let pattern = |address: Option<MacAddr>| address.map_or(Pattern::Any, Pattern::Exactly);
                    let new = NewBinding {
                        service: service(n),
                        client: pattern(c.map(client)),
                        radio: pattern(r.map(radio)),
                        policy: Policy { max_clients: (most > 0).then_some(most), ..Policy::default() },
                        origin: if most == 1 { Origin::AutoBind(Cause::Remote) } else { Origin::Administrator },
                    };
                    let like = |(of, b): &&(u32, Binding)| {
                        *of == account && b.service == new.service && b.client == new.client && b.radio == new.radio
                    };
                    let same = list.bindings.iter().filter(like).map(|(_, b)| b.id).min();
                    prop_assert_eq!(bindings.same(AccountRef(account), &new), same);
                    let binding = new.with_id(id);
                    bindings.put(AccountRef(account), &binding);
                    list.bindings.retain(|(of, b)| (*of, b.id) != (account, id));
                    list.bindings.push((account, binding));
                }
                Step::Remove { account, id } => {
                    let at = list.bindings.iter().position(|(of, b)| (*of, b.id) == (account, id));
                    let expected = at.map(|at| list.bindings.remove(at).1);
                    prop_assert_eq!(bindings.remove(AccountRef(account), id), expected);
                }
                Step::Grant { radios_of, services_of, given } => {
                    let id = |n: usize| ACCOUNTS[n].parse().unwrap();
                    let services = services_of.map_or(Grantee::Anybody, |n| Grantee::Account(id(n)));
                    let grant = Grant { radios_of: id(radios_of), services_of: services };
                    // Numbers begin at 1: 0 is the pool.
                    let numbers = (radios_of as u32 + 1, services_of.map(|n| n as u32 + 1));
                    list.grants.retain(|&grant| grant != numbers);
                    if given {
                        accounts.put_grant(&grant);
                        list.grants.push(numbers);
                    } else {
                        accounts.delete_grant(&grant);
                    }
                }
                Step::Ask { account, client: c, radio: r, service: s } => {
                    let (c, r) = (client(c), radio(r));
                    let reach = accounts.reach(AccountRef(account));
                    let mut matches = Vec::new();
                    bindings.naming_client(reach, c, r, &mut matches);
                    let expected = list.decide(account, c, r, |b| b.client != Pattern::Any);
                    prop_assert_eq!(seen(&bindings, &matches), ids(expected));
                    // What is there already stays.
                    let before = matches.len();
                    bindings.for_anybody(reach, r, &mut matches);
                    let expected = list.decide(account, c, r, |b| b.client == Pattern::Any);
                    prop_assert_eq!(seen(&bindings, &matches[before..]), ids(expected));
                    for found in &matches {
                        let binding = bindings.get(found.account, found.id).unwrap();
                        prop_assert_eq!(binding, bindings.of_match(found));
                    }
                    let all = list.decide(account, c, r, |_| true);
                    let expected = all.into_iter().find(|found| found.0 == service(s)).map(|found| found.1);
                    let place = bindings.service(service(s));
                    let decides = place.and_then(|s| bindings.decides(reach, s, c, r)).map(|found| found.id);
                    prop_assert_eq!(decides, expected);
                    let somebody = list.bindings.iter().any(|(of, b)| {
                        let broadcast = b.client == Pattern::Any && b.radio == Pattern::Any;
                        b.service == service(s) && b.radio.matches(r) && list.reaches(account, *of, broadcast)
                    });
                    let shows = place.is_some_and(|s| bindings.shows_somebody(reach, s, r, usize::MAX));
                    prop_assert_eq!(shows, somebody);
                }
            }
            prop_assert_eq!(bindings.len(), list.bindings.len());
        }
        // All that is left is all that is there, by service too.
        let mut left: Vec<_> = bindings.iter().map(|b| (b.service, b.id)).collect();
        let mut by_service: Vec<_> =
            (0..4).flat_map(|n| bindings.of_service(service(n))).map(|(_, b)| (b.service, b.id)).collect();
        let mut expected: Vec<_> = list.bindings.iter().map(|(_, b)| (b.service, b.id)).collect();
        left.sort_unstable();
        by_service.sort_unstable();
        expected.sort_unstable();
        prop_assert_eq!(&left, &expected);
        prop_assert_eq!(by_service, expected);
        for (account, binding) in list.bindings {
            prop_assert_eq!(bindings.remove(AccountRef(account), binding.id), Some(binding));
        }
        prop_assert!(bindings.is_empty());
        prop_assert!((0..4).all(|n| bindings.service(service(n)).is_none()));
    }
}
