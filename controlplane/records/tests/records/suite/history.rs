//! Random histories, on a store and on a plain model.

use std::collections::BTreeMap;

use matchmaker::objects::Change;
use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, TestRunner},
};
use records::{Draft, Object, Query, Report, Side};

use super::{
    Place,
    accounting::report,
    all,
    model::{Model, text},
    samples::*,
};

#[derive(Debug, Clone)]
enum Act {
    Commit(Vec<Draft>),
    Account(Vec<Report>),
    Reopen,
}

fn change() -> impl Strategy<Value = Change> {
    let of = || prop::option::of(0..3u8);
    prop_oneof![
        (0..3u8, of()).prop_map(|(n, key)| put_account(n, key)),
        (0..3u8).prop_map(|n| Change::DeleteAccount(account(n))),
        (0..3u8, of()).prop_map(|(n, of)| put_radio(n, of)),
        (0..3u8).prop_map(|n| Change::DeleteRadio(mac(n))),
        (0..3u8, of(), "[a-b]?").prop_map(|(n, of, ssid)| put_service(n, of, &ssid)),
        (0..3u8).prop_map(|n| Change::DeleteService(uuid(n))),
        (0..3u8, "[a-b]?").prop_map(|(n, name)| put_client(n, &name)),
        (0..3u8).prop_map(|n| Change::DeleteClient(mac(n))),
        (of(), 1..5u64, 0..2u8, 0..3u8)
            .prop_map(|(of, id, service, client)| put_binding(of, id, service, client)),
        (of(), 1..6u64).prop_map(|(of, id)| Change::DeleteBinding { account: of.map(account), id }),
        (of(), 1..5u64, 0..2u8, "[a-b]").prop_map(|(of, id, service, subscriber)| Change::PutContract {
            account: of.map(account),
            contract: contract(service, &subscriber).with_id(id)
        }),
        (of(), 1..6u64).prop_map(|(of, id)| Change::DeleteContract { account: of.map(account), id }),
        (0..3u8, of()).prop_map(|(by, to)| Change::PutGrant(grant(by, to))),
        (0..3u8, of()).prop_map(|(by, to)| Change::DeleteGrant(grant(by, to))),
        "[a-b]".prop_map(Change::PutDrained),
        "[a-b]".prop_map(Change::DeleteDrained),
    ]
}

fn draft() -> impl Strategy<Value = Draft> {
    let of = || prop::option::of(0..3u8);
    prop_oneof![
        6 => change().prop_map(Draft::from),
        1 => (change(), prop::option::of(change())).prop_map(|(change, seen)| Draft::change_if(seen, change)),
        2 => (0..3u8, prop::option::of("[a-b]?"), "[a-b]?").prop_map(|(n, seen, name)| {
            Draft::change_if(seen.map(|seen| put_client(n, &seen)), put_client(n, &name))
        }),
        2 => (of(), 0..2u8, 0..3u8).prop_map(|(of, service, client)| new_binding(of, service, client)),
        1 => (of(), 0..2u8, "[a-b]").prop_map(|(of, service, subscriber)| new_contract(of, service, &subscriber)),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    let side = prop_oneof![Just(Side::Radio), Just(Side::Service)];
    let report =
        (0..4u8, side, 0..6u32, 0..9u64).prop_map(|(n, side, sequence, at)| report(n, side, sequence, at));
    prop_oneof![
        12 => prop::collection::vec(draft(), 0..6).prop_map(Act::Commit),
        4 => prop::collection::vec(report, 0..6).prop_map(Act::Account),
        1 => Just(Act::Reopen),
    ]
}

pub async fn any_history_is_as_in_the_model(place: &dyn Place) {
    let mut runner = TestRunner::new(Config { cases: 1, ..Config::default() });
    let acts = prop::collection::vec(act(), 300).new_tree(&mut runner).unwrap().current();
    let mut model = Model::default();
    let mut sessions = BTreeMap::<_, (u64, BTreeMap<bool, Report>)>::new();
    let mut store = place.open().await.unwrap();
    let mut follow = store.follow(0).await.unwrap();
    let mut done = Vec::new();
    for act in acts {
        done.push(act.clone());
        match act {
            Act::Commit(drafts) => {
                let before = model.version;
                let expected = model.commit(&drafts);
                let got = store.commit(drafts).await;
                match (&got, &expected) {
                    (Ok(got), Some(expected)) => {
                        assert_eq!(&got.outcomes, expected, "{done:#?}");
                        assert_eq!(got.version, model.version, "{done:#?}");
                    }
                    (Err(_), None) => {}
                    _ => panic!("{got:?} where {expected:?} was expected: {done:#?}"),
                }
                if model.version > before {
                    let made = expected.into_iter().flatten().filter(|outcome| outcome.made);
                    let step = follow.next().await.unwrap();
                    assert_eq!(step.version, model.version);
                    assert!(step.changes.into_iter().eq(made.map(|outcome| outcome.change)), "{done:#?}");
                }
            }
            Act::Account(reports) => {
                store.account(reports.clone()).await.unwrap();
                for report in reports {
                    let key = (report.session, report.client);
                    let (_, sides) = sessions.entry(key).or_insert((report.totals.at, BTreeMap::new()));
                    let side = sides.entry(report.side == Side::Radio).or_insert(report.clone());
                    if report.totals.sequence > side.totals.sequence {
                        *side = report;
                    }
                }
            }
            Act::Reopen => {
                drop(store);
                store = place.open().await.unwrap();
                follow = store.follow(model.version).await.unwrap();
            }
        }
    }
    let (version, objects) = all(&*store).await;
    assert_eq!(version, model.version);
    let stored = objects
        .into_iter()
        .map(|Object { version, change }| (text(&records::Name::of(&change)), (version, change)));
    assert_eq!(stored.collect::<BTreeMap<_, _>>(), model.objects, "{done:#?}");
    let stored = store.sessions(Query::default()).await.unwrap().sessions;
    assert_eq!(stored.len(), sessions.len());
    for session in stored {
        let (first, sides) = &sessions[&(session.session, session.client)];
        assert_eq!(session.first, *first);
        assert_eq!(session.by_radio, sides.get(&true).map(|report| report.totals));
        assert_eq!(session.by_service, sides.get(&false).map(|report| report.totals));
    }
}
