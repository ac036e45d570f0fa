//! Following: what others committed, in order and without gaps.

use std::{collections::BTreeMap, time::Duration};

use matchmaker::objects::Change;
use records::{Draft, Name, RecordsError, Version};

use super::{Place, all, samples::*};

pub async fn followers_get_every_commit_once_in_order(place: &dyn Place) {
    let store = place.open().await.unwrap();
    let mut from_start = store.follow(0).await.unwrap();
    store
        .commit(vec![new_binding(None, 1, 1), Change::DeleteRadio(mac(1)).into(), put_client(1, "x").into()])
        .await
        .unwrap();
    let step = from_start.next().await.unwrap();
    assert_eq!((step.version, step.changes), (1, vec![put_binding(None, 1, 1, 1), put_client(1, "x")]));
    // Waiting, and giving up to wait, loses nothing.
    let nothing = tokio::time::timeout(Duration::from_millis(1), from_start.next()).await;
    assert!(nothing.is_err());
    store.commit(vec![put_client(1, "x").into()]).await.unwrap();
    let (waited, committed) = tokio::join!(
        from_start.next(),
        store.commit(vec![Change::DeleteBinding { account: None, id: 1 }.into()])
    );
    let step = waited.unwrap();
    assert_eq!(step.version, committed.unwrap().version);
    assert_eq!(step.changes, [Change::DeleteBinding { account: None, id: 1 }]);
    let mut late = store.follow(1).await.unwrap();
    assert_eq!(late.next().await.unwrap(), step);
}

pub async fn followers_of_the_unknown_load_again(place: &dyn Place) {
    let store = place.open().await.unwrap();
    for name in ["a", "b"] {
        store.commit(vec![put_client(1, name).into()]).await.unwrap();
    }
    let mut ahead = store.follow(5).await.unwrap();
    let error = ahead.next().await.unwrap_err();
    assert!(matches!(error, RecordsError::LoadAgain { since: 5, .. }), "{error}");
}

pub async fn followers_see_no_gap_under_concurrent_commits(place: &dyn Place) {
    const WRITERS: u8 = 6;
    const COMMITS: u8 = 40;
    let store = place.open().await.unwrap();
    let store = &*store;
    let writer = |writer: u8| async move {
        for n in 0..COMMITS {
            // All race for the same clients; bindings make sure that every commit has something to say.
            let other = Draft::Change(Change::DeleteClient(mac(n % 7 + 1)));
            let drafts =
                vec![put_client(n % 7, &format!("{writer}")).into(), other, new_binding(Some(writer), 1, n)];
            store.commit(drafts).await.unwrap();
        }
    };
    let writers = async { tokio::join!(writer(0), writer(1), writer(2), writer(3), writer(4), writer(5)) };
    let follower = async {
        let mut mirror = BTreeMap::new();
        let mut follow = store.follow(0).await.unwrap();
        for expected in 1..=Version::from(WRITERS) * Version::from(COMMITS) {
            let step = follow.next().await.unwrap();
            assert_eq!(step.version, expected);
            for change in step.changes {
                let name = format!("{:?}", Name::of(&change));
                match Name::of(&change).delete() == change {
                    true => assert!(mirror.remove(&name).is_some(), "only what was there is deleted"),
                    false => drop(mirror.insert(name, change)),
                }
            }
        }
        mirror
    };
    let (_, mirror) = tokio::join!(writers, follower);
    let (version, objects) = all(store).await;
    assert_eq!(version, Version::from(WRITERS) * Version::from(COMMITS));
    let stored: BTreeMap<_, _> = objects
        .into_iter()
        .map(|object| (format!("{:?}", Name::of(&object.change)), object.change))
        .collect();
    assert_eq!(mirror, stored);
}
