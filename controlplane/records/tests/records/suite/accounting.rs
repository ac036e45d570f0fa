//! Accounting of sessions.

use records::{MAX_PAGE, Page, Query, Records, Report, Session, Side, Totals};

use super::{Place, samples::*};

pub fn report(session: u8, side: Side, sequence: u32, at: u64) -> Report {
    Report {
        account: (!session.is_multiple_of(3)).then(|| account(session % 3)),
        session: [session; 16],
        client: mac(session),
        service: uuid(session % 2),
        radio: mac(session % 5),
        radio_account: (!session.is_multiple_of(2)).then(|| account(7)),
        side,
        totals: Totals {
            sequence,
            up_octets: 1000 * u64::from(sequence),
            down_octets: u64::from(sequence),
            up_packets: 7,
            down_packets: 1 << 60,
            seconds: sequence,
            rssi_dbm: -70,
            ended: sequence >= 100,
            at,
        },
    }
}

async fn sessions(store: &dyn Records, query: Query) -> Vec<Session> {
    store.sessions(query).await.unwrap().sessions
}

pub async fn larger_sequences_win(place: &dyn Place) {
    let store = place.open().await.unwrap();
    let send = async |reports: Vec<Report>| store.account(reports).await.unwrap();
    let get = async || sessions(&*store, Query::default()).await;
    send(vec![report(1, Side::Radio, 2, 500)]).await;
    send(vec![report(1, Side::Radio, 2, 600), report(1, Side::Radio, 1, 700)]).await;
    let [session] = &get().await[..] else { panic!() };
    assert_eq!(
        session.by_radio,
        Some(report(1, Side::Radio, 2, 500).totals),
        "repetitions and old news do no harm"
    );
    assert_eq!((session.by_service, session.first, session.last()), (None, 500, 500));
    // Both sides, several in one call, not in their order.
    let both =
        [(Side::Service, 9, 900), (Side::Radio, 100, 1000), (Side::Radio, 3, 800), (Side::Service, 4, 850)];
    send(both.map(|(side, sequence, at)| report(1, side, sequence, at)).to_vec()).await;
    let before = sessions(&*store, Query::default()).await;
    assert_eq!(before[0].by_radio, Some(report(1, Side::Radio, 100, 1000).totals));
    assert_eq!(before[0].by_service, Some(report(1, Side::Service, 9, 900).totals));
    assert!(before[0].by_radio.unwrap().ended && !before[0].by_service.unwrap().ended);
    assert_eq!((before[0].first, before[0].last()), (500, 1000));
    // Who was restarted and forgot what it had counted takes nothing back.
    let mut forgetful = report(1, Side::Service, 120, 1200);
    (forgetful.totals.up_octets, forgetful.totals.seconds, forgetful.totals.down_packets) = (0, 1, 1 << 61);
    store.account(vec![forgetful.clone()]).await.unwrap();
    let after = get().await[0].by_service.unwrap();
    let first = before[0].by_service.unwrap();
    assert_eq!((after.sequence, after.at, after.ended), (120, 1200, true));
    assert_eq!((after.up_octets, after.seconds), (first.up_octets, first.seconds));
    assert_eq!(after.down_packets, 1 << 61);
    let before = get().await;
    // Another client in the same tunnel, and numbers beyond what a store can keep.
    let mut other = report(1, Side::Service, 1, 5);
    other.client = mac(200);
    other.totals.up_octets = u64::MAX;
    store.account(vec![other]).await.unwrap();
    drop(store);
    let store = place.open().await.unwrap();
    let after = sessions(&*store, Query::default()).await;
    assert_eq!((after.len(), &after[1]), (2, &before[0]));
    assert_eq!(after[0].by_service.unwrap().up_octets, i64::MAX as u64);
}

pub async fn sessions_are_found_page_by_page(place: &dyn Place) {
    let store = place.open().await.unwrap();
    let reports: Vec<_> = (0..60).map(|n| report(n, Side::Service, 1, 1000 + u64::from(n / 4))).collect();
    store.account(reports.clone()).await.unwrap();
    let everything = sessions(&*store, Query { limit: MAX_PAGE, ..Query::default() }).await;
    assert_eq!(everything.len(), 60);
    assert!(everything.is_sorted_by_key(Session::cursor));
    let same = |account| Some((account > 0).then(|| super::samples::account(account)));
    let queries = [
        Query::default(),
        Query { from: 1003, to: 1009, ..Query::default() },
        Query { from: 1009, to: 1003, ..Query::default() },
        Query { account: same(1), ..Query::default() },
        Query { account: same(7), ..Query::default() },
        Query { account: same(0), from: 1004, ..Query::default() },
        Query { radio: Some(mac(3)), ..Query::default() },
        Query { service: Some(uuid(1)), to: 1010, ..Query::default() },
        Query { account: same(2), radio: Some(mac(1)), service: Some(uuid(0)), ..Query::default() },
    ];
    for query in queries {
        let expected: Vec<_> = everything
            .iter()
            .filter(|session| {
                (query.from..query.to).contains(&session.first)
                    && query
                        .account
                        .as_ref()
                        .is_none_or(|a| session.account == *a || session.radio_account == *a)
                    && query.radio.is_none_or(|radio| session.radio == radio)
                    && query.service.is_none_or(|service| session.service == service)
            })
            .cloned()
            .collect();
        for limit in [1, 7, MAX_PAGE] {
            let mut found = Vec::new();
            let mut next = Query { limit, ..query.clone() };
            loop {
                let Page { sessions, more } = store.sessions(next.clone()).await.unwrap();
                assert!(sessions.len() <= limit);
                found.extend(sessions);
                let Some(after) = more else { break };
                next.after = Some(after);
            }
            assert_eq!(found, expected, "{query:?}, {limit} at a time");
        }
    }
}

pub async fn old_sessions_are_forgotten(place: &dyn Place) {
    let store = place.open().await.unwrap();
    let reports = [
        report(1, Side::Radio, 1, 100),
        report(2, Side::Radio, 1, 100),
        report(2, Side::Service, 1, 300),
        report(3, Side::Service, 1, 200),
    ];
    store.account(reports.to_vec()).await.unwrap();
    assert_eq!(store.forget_sessions(100).await.unwrap(), 0);
    assert_eq!(store.forget_sessions(201).await.unwrap(), 2);
    let left = sessions(&*store, Query::default()).await;
    assert_eq!(left.iter().map(|session| session.session[0]).collect::<Vec<_>>(), [2]);
    assert_eq!(store.forget_sessions(u64::MAX).await.unwrap(), 1);
    assert_eq!(store.sessions(Query::default()).await.unwrap(), Page { sessions: vec![], more: None });
}
