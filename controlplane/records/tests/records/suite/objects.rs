//! Objects: identifiers, conflicts, preconditions, reading back.

use matchmaker::objects::{Change, Service};
use records::{Committed, Draft, Name, Records, RecordsError};

use super::{Place, all, samples::*};

async fn commit(store: &dyn Records, drafts: impl IntoIterator<Item = Draft>) -> Committed {
    store.commit(drafts.into_iter().collect()).await.unwrap()
}

fn id(committed: &Committed, draft: usize) -> u64 {
    match &committed.outcomes[draft].change {
        Change::PutBinding { binding, .. } => binding.id,
        Change::PutContract { contract, .. } => contract.id,
        other => panic!("{other:?}"),
    }
}

pub async fn new_objects_get_identifiers_that_are_never_reused(place: &dyn Place) {
    let store = place.open().await.unwrap();
    let a =
        commit(&*store, [new_binding(Some(1), 1, 1), new_binding(Some(1), 1, 2), new_binding(None, 1, 1)])
            .await;
    assert_eq!((id(&a, 0), id(&a, 1), id(&a, 2)), (1, 2, 1), "each account counts for itself");
    let b = commit(&*store, [new_contract(Some(1), 1, "x"), new_contract(Some(1), 1, "y")]).await;
    assert_eq!((id(&b, 0), id(&b, 1)), (1, 2), "each kind counts for itself");
    let gone = Change::DeleteBinding { account: Some(account(1)), id: 2 };
    commit(&*store, [gone.into(), Change::DeleteAccount(account(1)).into()]).await;
    let c = commit(&*store, [new_binding(Some(1), 1, 2)]).await;
    assert_eq!(id(&c, 0), 3);
    commit(&*store, [put_binding(Some(1), 70, 2, 2).into()]).await;
    drop(store);
    let store = place.open().await.unwrap();
    let d = commit(&*store, [new_binding(Some(1), 2, 3)]).await;
    assert_eq!(id(&d, 0), 71, "after one that somebody else gave");
}

pub async fn saying_the_same_again_gives_what_is_there(place: &dyn Place) {
    let store = place.open().await.unwrap();
    let first = commit(&*store, [new_binding(Some(1), 1, 1), new_binding(Some(1), 1, 1)]).await;
    assert_eq!(first.outcomes[0].change, first.outcomes[1].change);
    assert_eq!(first.outcomes.iter().map(|o| o.made).collect::<Vec<_>>(), [true, false]);
    let mut other = binding(1, 1);
    other.policy = policy(0);
    let second = commit(&*store, [Draft::NewBinding { account: Some(account(1)), binding: other }]).await;
    assert_eq!(second.outcomes[0].change, first.outcomes[0].change, "as it is there, whatever its policy");
    assert_eq!((second.outcomes[0].made, second.version), (false, first.version));
    let mut terms = contract(1, "x");
    let made = commit(&*store, [new_contract(None, 1, "x")]).await;
    terms.capture = false;
    let again = commit(&*store, [Draft::NewContract { account: None, contract: terms }]).await;
    assert_eq!(again.outcomes[0].change, made.outcomes[0].change);
    assert_eq!(all(&*store).await.1.len(), 2);
    // What is deleted can be said anew.
    commit(&*store, [Change::DeleteBinding { account: Some(account(1)), id: 1 }.into()]).await;
    let anew = commit(&*store, [new_binding(Some(1), 1, 1)]).await;
    assert_eq!((id(&anew, 0), anew.outcomes[0].made), (2, true));
}

pub async fn two_objects_cannot_say_the_same(place: &dyn Place) {
    let store = place.open().await.unwrap();
    commit(&*store, [new_binding(Some(1), 1, 1), new_binding(Some(1), 1, 2)]).await;
    let error = store.commit(vec![put_binding(Some(1), 2, 1, 1).into()]).await.unwrap_err();
    let name = |id| Name::Binding(Some(account(1)), id);
    assert_eq!(error, RecordsError::Duplicate { name: name(2), other: name(1) });
    assert!(error.to_string().contains("binding 1 of a1@example.org says it already"), "{error}");
    // Once the first says something else, the second may, in the same commit; and what it said is free again.
    let moved = [
        put_binding(Some(1), 1, 1, 3).into(),
        put_binding(Some(1), 2, 1, 1).into(),
        new_binding(Some(1), 1, 2),
    ];
    let committed = commit(&*store, moved).await;
    assert_eq!(id(&committed, 2), 3);
    commit(&*store, [put_binding(Some(2), 1, 1, 1).into()]).await;
}

pub async fn a_commit_is_all_or_nothing(place: &dyn Place) {
    let store = place.open().await.unwrap();
    let before = commit(&*store, [put_client(1, "one").into(), new_binding(None, 1, 1)]).await;
    let stale = Draft::change_if(Some(put_client(1, "two")), put_client(1, "three"));
    let drafts = vec![put_client(2, "two").into(), new_binding(None, 1, 2), put_radio(1, None).into(), stale];
    let error = store.commit(drafts).await.unwrap_err();
    assert_eq!(error, RecordsError::Changed { name: Name::Client(mac(1)), version: before.version });
    assert_eq!(all(&*store).await.1.len(), 2);
    let after = commit(&*store, [new_binding(None, 1, 3)]).await;
    assert_eq!((after.version, id(&after, 0)), (before.version + 1, 2), "no version, no identifier was used");
}

pub async fn what_was_seen_guards_against_races(place: &dyn Place) {
    let store = place.open().await.unwrap();
    let put = |seen: Option<&str>, name| {
        Draft::change_if(seen.map(|seen| put_client(1, seen)), put_client(1, name))
    };
    let refused = async |draft| match store.commit(vec![put_client(3, "nothing of it").into(), draft]).await {
        Err(RecordsError::Changed { name, version }) => (name, version),
        other => panic!("{other:?}"),
    };
    let first = commit(&*store, [put(None, "one")]).await;
    let read = store.get(Name::Client(mac(1))).await.unwrap().unwrap();
    assert_eq!((read.version, &read.change), (first.version, &put_client(1, "one")));
    // Others do not count.
    let other = commit(&*store, [put_client(2, "other").into()]).await;
    let second = commit(&*store, [put(Some("one"), "two")]).await;
    assert_eq!(second.version, other.version + 1);
    let name = Name::Client(mac(1));
    assert_eq!(refused(put(Some("one"), "three")).await, (name.clone(), second.version));
    assert_eq!(refused(put(None, "three")).await, (name.clone(), second.version));
    // That something else was seen is not that this was.
    let else_seen = Draft::change_if(Some(put_client(2, "two")), put_client(1, "three"));
    assert_eq!(refused(else_seen).await, (name.clone(), second.version));
    // Repeating what took place is no conflict.
    assert!(!commit(&*store, [put(Some("one"), "two")]).await.outcomes[0].made);
    let delete = |seen| Draft::change_if(Some(put_client(1, seen)), Change::DeleteClient(mac(1)));
    refused(delete("one")).await;
    let deleted = commit(&*store, [delete("two")]).await;
    assert!(deleted.outcomes[0].made);
    assert!(!commit(&*store, [delete("two")]).await.outcomes[0].made);
    assert_eq!(refused(put(Some("two"), "three")).await, (name.clone(), deleted.version));
    assert_eq!(store.get(name).await.unwrap(), None);
    assert_eq!(all(&*store).await.1.len(), 1, "and nothing of what was refused is there");
}

/// Two saw the same, and each wants to change its part of it: the second is told, by the version that it must have seen.
pub async fn of_two_who_saw_the_same_the_second_plans_again(place: &dyn Place) {
    let store = place.open().await.unwrap();
    let service = |change: &Change| match change {
        Change::PutService(service) => service.clone(),
        other => panic!("{other:?}"),
    };
    commit(&*store, [put_service(1, None, "home").into()]).await;
    let mut mirror = store.follow(0).await.unwrap();
    let seen = mirror.next().await.unwrap().changes.remove(0);
    let operator = |seen: &Change| {
        let service = Service { policy: policy(0), ..service(seen) };
        Draft::change_if(Some(seen.clone()), Change::PutService(service))
    };
    let gateway = |seen: &Change| {
        let service = Service { template: vec![1, 2, 3], ..service(seen) };
        Draft::change_if(Some(seen.clone()), Change::PutService(service))
    };
    // At the same time, perhaps in one transaction.
    let both = tokio::join!(store.commit(vec![operator(&seen)]), store.commit(vec![gateway(&seen)]));
    let version = match &both {
        (Ok(committed), Err(RecordsError::Changed { version, .. }))
        | (Err(RecordsError::Changed { version, .. }), Ok(committed)) => {
            assert_eq!((committed.version, committed.outcomes[0].made), (*version, true));
            *version
        }
        other => panic!("{other:?}"),
    };
    let step = mirror.next().await.unwrap();
    assert_eq!(step.version, version);
    let again = if both.0.is_err() { operator(&step.changes[0]) } else { gateway(&step.changes[0]) };
    commit(&*store, [again]).await;
    let (_, objects) = all(&*store).await;
    let expected =
        Service { policy: policy(0), template: vec![1, 2, 3], ..service(&put_service(1, None, "home")) };
    assert_eq!(objects[0].change, Change::PutService(expected), "what both wanted");
}

pub async fn repeating_changes_nothing(place: &dyn Place) {
    let store = place.open().await.unwrap();
    assert_eq!(commit(&*store, []).await, Committed { version: 0, outcomes: vec![] });
    let drafts = || {
        let puts = [
            put_account(1, Some(3)),
            put_radio(1, Some(1)),
            put_service(1, None, "home"),
            put_client(1, "x"),
        ];
        let gone = [Change::DeleteRadio(mac(9)), Change::DeleteContract { account: None, id: 3 }];
        let news = [
            new_binding(Some(1), 1, 1),
            new_contract(None, 1, "x"),
            Change::PutGrant(grant(1, Some(2))).into(),
        ];
        puts.into_iter().chain(gone).map(Draft::from).chain(news).collect::<Vec<_>>()
    };
    let first = commit(&*store, drafts()).await;
    assert_eq!(first.version, 1);
    let made: Vec<_> = first.outcomes.iter().map(|outcome| outcome.made).collect();
    assert_eq!(made, [true, true, true, true, false, false, true, true, true]);
    let before = all(&*store).await;
    let second = commit(&*store, drafts()).await;
    assert_eq!(second.version, 1);
    assert!(second.outcomes.iter().all(|outcome| !outcome.made));
    assert!(first.changes().eq(second.changes()));
    assert_eq!(all(&*store).await, before);
}

pub async fn an_account_goes_with_its_grants(place: &dyn Place) {
    let store = place.open().await.unwrap();
    let grants = [grant(1, Some(2)), grant(2, Some(1)), grant(2, None), grant(3, Some(2)), grant(1, None)];
    commit(&*store, grants.iter().cloned().map(|grant| Change::PutGrant(grant).into())).await;
    commit(&*store, [put_account(1, None).into(), put_radio(1, Some(1)).into()]).await;
    let mut followed = store.follow(2).await.unwrap();
    commit(&*store, [Change::DeleteAccount(account(1)).into(), Change::PutGrant(grant(3, Some(1))).into()])
        .await;
    let left: Vec<_> = all(&*store).await.1.into_iter().map(|object| object.change).collect();
    let stay = [grant(2, None), grant(3, Some(1)), grant(3, Some(2))].map(Change::PutGrant);
    assert_eq!(left, [&stay[..], &[put_radio(1, Some(1))]].concat(), "and nothing else");
    let step = followed.next().await.unwrap();
    assert_eq!(step.changes, [Change::DeleteAccount(account(1)), Change::PutGrant(grant(3, Some(1)))]);
    // Grants without an account go too.
    assert!(commit(&*store, [Change::DeleteAccount(account(2)).into()]).await.outcomes[0].made);
    assert_eq!(all(&*store).await.1.len(), 2);
}

pub async fn objects_come_back_as_they_were(place: &dyn Place) {
    let store = place.open().await.unwrap();
    let puts = [
        put_account(1, Some(3)),
        put_account(2, None),
        Change::PutGrant(grant(1, None)),
        Change::PutGrant(grant(2, Some(1))),
        put_radio(1, Some(1)),
        put_radio(2, None),
        put_service(0, Some(2), ""),
        put_service(1, None, "Ünïcode ☂"),
        put_client(3, "Emil's phone"),
        put_binding(None, 4, 1, 1),
        put_binding(Some(1), 4, 1, 2),
        put_binding(Some(1), 5, 1, 0),
    ];
    let mut changes = puts.to_vec();
    let news = [new_contract(Some(1), 1, "emil@example.org")];
    let drained = Draft::from(Change::PutDrained("ttg-1".to_owned()));
    let drafts = std::iter::once(drained).chain(puts.into_iter().rev().map(Draft::from)).chain(news);
    let committed = commit(&*store, drafts).await;
    changes.extend(committed.outcomes.last().map(|outcome| outcome.change.clone()));
    changes.push(Change::PutDrained("ttg-1".to_owned()));
    drop(store);
    let store = place.open().await.unwrap();
    let (version, objects) = all(&*store).await;
    assert_eq!(version, 1);
    assert!(objects.iter().all(|object| object.version == 1));
    let loaded: Vec<_> = objects.iter().map(|object| object.change.clone()).collect();
    assert_eq!(loaded, changes);
    for object in objects {
        assert_eq!(store.get(Name::of(&object.change)).await.unwrap(), Some(object));
    }
    assert_eq!(store.get(Name::Binding(Some(account(2)), 4)).await.unwrap(), None);
}

pub async fn owners_may_change(place: &dyn Place) {
    let store = place.open().await.unwrap();
    for of in [Some(1), None, Some(2), Some(2)] {
        commit(&*store, [put_radio(1, of).into(), put_service(1, of, "x").into()]).await;
        let objects: Vec<_> = all(&*store).await.1.into_iter().map(|object| object.change).collect();
        assert_eq!(objects, [put_radio(1, of), put_service(1, of, "x")]);
    }
    commit(&*store, [Change::DeleteRadio(mac(1)).into(), Change::DeleteService(uuid(1)).into()]).await;
    assert_eq!(all(&*store).await, (4, vec![]));
}

pub async fn what_is_too_large_is_refused(place: &dyn Place) {
    let store = place.open().await.unwrap();
    let most = records::MAX_DRAFTS;
    for large in [
        vec![put_client(1, &"x".repeat(100_000)).into()],
        vec![new_contract(None, 1, &"x".repeat(2000))],
        vec![Change::DeleteClient(mac(1)).into(); most + 1],
    ] {
        let error = store.commit([vec![put_client(2, "ok").into()], large].concat()).await.unwrap_err();
        assert!(matches!(error, RecordsError::TooLarge { .. }), "{error}");
    }
    assert_eq!(all(&*store).await, (0, vec![]));
    commit(&*store, [put_client(1, &"x".repeat(60_000)).into(), new_contract(None, 1, &"x".repeat(900))])
        .await;
}
