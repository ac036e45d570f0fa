//! Migration from the embedded store into PostgreSQL.

use matchmaker::objects::Change;
use records::{Embedded, Phase, Postgres, Query, Records, RecordsError, Side, migrate, testkit::Server};

use crate::suite::{self, all, samples::*};

async fn fill(store: &dyn Records) {
    let mut drafts: Vec<records::Draft> = vec![
        put_account(1, Some(3)).into(),
        put_account(2, None).into(),
        Change::PutGrant(grant(1, None)).into(),
        put_radio(1, Some(1)).into(),
        put_radio(2, None).into(),
        put_service(1, Some(2), "home").into(),
        put_client(3, "Emil's phone").into(),
        new_contract(Some(1), 1, "emil@example.org"),
    ];
    // More than one batch.
    drafts.extend((0..9000u32).map(|n| {
        let mut binding = binding((n % 3) as u8, 0);
        let [.., a, b] = n.to_be_bytes();
        binding.client = matchmaker::Pattern::Exactly(dot11::MacAddr([2, 0, 0, 1, a, b]));
        records::Draft::NewBinding { account: (n % 2 > 0).then(|| account(1)), binding }
    }));
    store.commit(drafts).await.unwrap();
    store.commit(vec![Change::DeleteBinding { account: None, id: 4500 }.into()]).await.unwrap();
    let reports =
        (0..200).map(|n| suite::report(n, if n % 2 > 0 { Side::Radio } else { Side::Service }, 4, n.into()));
    store.account(reports.collect()).await.unwrap();
}

#[test]
fn everything_is_moved_once() {
    suite::block_on(async {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("records.redb");
        let server = Server::start().unwrap_or_else(|error| panic!("{error}"));
        let to = server.database().await;
        let error = migrate(&path, &to, false, &mut |_| {}).await.unwrap_err();
        assert!(matches!(error, RecordsError::Io { .. }) && !path.exists(), "{error}");
        let file = Embedded::open(&path).unwrap();
        fill(&file).await;
        let (was, sessions) = (all(&file).await, file.sessions(Query::default()).await.unwrap());
        let error = migrate(&path, &to, false, &mut |_| {}).await.unwrap_err();
        assert!(matches!(error, RecordsError::InUse { .. }), "{error}");
        drop(file);

        let mut told = Vec::new();
        let done = migrate(&path, &to, false, &mut |progress| told.push(progress)).await.unwrap();
        assert_eq!((done.objects, done.sessions, done.before), (9007, 200, false));
        for phase in [Phase::Copying, Phase::Comparing] {
            let of: Vec<_> = told.iter().filter(|told| told.phase == phase).collect();
            assert!(of.len() > 3 && of.is_sorted_by_key(|told| told.done), "{of:?}");
            assert_eq!(of.last().map(|told| (told.done, told.total)), Some((9207, 9207)));
        }
        let store = Postgres::open(&to).await.unwrap();
        assert_eq!(all(&store).await, was);
        assert_eq!(store.sessions(Query::default()).await.unwrap(), sessions);

        // Again: it is there already.
        let again = migrate(&path, &to, false, &mut |_| {}).await.unwrap();
        assert_eq!(again, records::Migrated { before: true, ..done });
        // Identifiers go on where they were, the deleted one's included, and what was said is known.
        let new = store
            .commit(vec![new_binding(None, 9, 9), new_contract(Some(1), 1, "emil@example.org")])
            .await
            .unwrap();
        assert!(matches!(new.outcomes[0].change, Change::PutBinding { binding, .. } if binding.id == 4501));
        assert!(!new.outcomes[1].made);

        // Now it is another's, unless told otherwise; who followed it loads again.
        let error = migrate(&path, &to, false, &mut |_| {}).await.unwrap_err();
        assert!(matches!(error, RecordsError::NotEmpty { objects: 9008, sessions: 200, .. }), "{error}");
        assert_eq!(all(&store).await.1.len(), 9008);
        let mut follow = store.follow(new.version).await.unwrap();
        let replaced = migrate(&path, &to, true, &mut |_| {}).await.unwrap();
        assert_eq!(replaced.version, new.version + 1);
        assert!(matches!(follow.next().await, Err(RecordsError::LoadAgain { .. })));
        assert_eq!(all(&store).await, (replaced.version, was.1));
        assert_eq!(store.sessions(Query::default()).await.unwrap(), sessions);
    });
}
