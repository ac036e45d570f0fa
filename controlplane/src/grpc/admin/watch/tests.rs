//! What watchers are told, and when.

use futures_util::StreamExt;
use matchmaker::{
    Change, Settings,
    objects::{Account, KeyId, Owner, Radio},
    presence::RadioRegistration,
};
use visibility::Band;

use super::*;

#[test]
fn a_radio_is_asked_for_when_its_time_is_over_and_not_before() {
    let radio = |n| MacAddr([2, 0, 0, 0, 0, n]);
    let mut lifetimes = Lifetimes::default();
    lifetimes.until(radio(1), Duration::from_secs(30));
    lifetimes.until(radio(2), Duration::from_secs(20));
    // It registered again; that is found out when the first time is over.
    lifetimes.until(radio(2), Duration::from_secs(50));
    assert_eq!(lifetimes.over(Duration::from_secs(19)), None);
    assert_eq!(lifetimes.over(Duration::from_secs(20)), Some(radio(2)));
    lifetimes.until(radio(2), Duration::from_secs(50));
    assert_eq!(lifetimes.over(Duration::from_secs(40)), Some(radio(1)));
    assert_eq!(lifetimes.over(Duration::from_secs(40)), None);
    assert_eq!(lifetimes.over(Duration::from_secs(50)), Some(radio(2)));
}

#[tokio::test]
async fn a_radio_on_record_is_silent_when_its_time_is_over() {
    let state = tempfile::tempdir().unwrap();
    let path = state.path().join("controlplane.toml");
    let text = format!("state = \"{}\"\n[matchmaker]\nlisten = \"127.0.0.1:0\"\n", state.path().display());
    std::fs::write(&path, text).unwrap();
    let control = Control::start(crate::config::load(&path).unwrap()).await.unwrap().0;
    let service = AdminService { control: control.clone(), refused: Arc::default() };
    let mac = MacAddr([2, 0, 0, 0, 0, 9]);
    let register = move |desk: &mut Desk, now: Duration| {
        let account: AccountId = "a@example.org".parse().unwrap();
        let owner = Owner::Account(account.clone());
        desk.apply(&Change::PutAccount(Account { id: account.clone(), key: None }));
        desk.apply(&Change::PutRadio(Radio { mac, owner }));
        let peer = desk.matchmaker.peer(Some(&account), KeyId([1; 16])).unwrap();
        let said = RadioRegistration {
            mac,
            endpoint: "192.0.2.1:5".parse().unwrap(),
            band: Band::Ghz5,
            channel: 36,
            bssids: 4,
            up_kbps: 0,
            down_kbps: 0,
            load_permille: 0,
            capabilities: 0,
            location: None,
            neighbours: Vec::new(),
        };
        // All but two seconds of its time are over.
        let then = now + Duration::from_secs(2) - Settings::default().radio_lifetime;
        desk.matchmaker.register_radio(peer, &said, then).unwrap();
    };
    control.matchmaker.as_ref().unwrap().ask(register).await.unwrap();
    let of = ObjectKind::RegisteredRadio.into();
    let mut changes = service.watch_of(&WatchRequest { of, ..WatchRequest::default() }).unwrap();
    let mut told = Vec::new();
    while told.len() < 3 {
        let change = changes.next().await.unwrap().unwrap();
        let registered = match &change.object {
            Some(Object::RegisteredRadio(radio)) => Some((radio.registered, radio.channel)),
            _ => None,
        };
        told.push((change.kind(), registered));
    }
    let silent = (Kind::Updated, Some((false, 0)));
    assert_eq!(told, [(Kind::Present, Some((true, 36))), (Kind::Synced, None), silent]);
}

#[tokio::test]
async fn who_is_too_slow_is_told_and_gets_what_there_is_once_more() {
    let state = tempfile::tempdir().unwrap();
    let path = state.path().join("controlplane.toml");
    let text = format!(
        "state = \"{}\"\n[matchmaker]\nlisten = \"127.0.0.1:0\"\n[[account]]\nid = \"info@example.org\"\n",
        state.path().display()
    );
    std::fs::write(&path, text).unwrap();
    let control = Control::start(crate::config::load(&path).unwrap()).await.unwrap().0;
    let service = AdminService { control: control.clone(), refused: Arc::default() };
    let mut changes = service
        .watch_of(&WatchRequest { of: ObjectKind::Account.into(), ..WatchRequest::default() })
        .unwrap();
    let mut kinds = Vec::new();
    while kinds.last() != Some(&Kind::Synced) {
        kinds.push(changes.next().await.unwrap().unwrap().kind());
    }
    assert_eq!(kinds, [Kind::Present, Kind::Synced]);
    let flood = |desk: &mut Desk, _| {
        let id: AccountId = "info@example.org".parse().unwrap();
        (0..10_000).for_each(|_| desk.touch(Touched::Account(id.clone())));
    };
    control.matchmaker.as_ref().unwrap().ask(flood).await.unwrap();
    let mut kinds = Vec::new();
    while kinds.last() != Some(&Kind::Synced) {
        let change = changes.next().await.unwrap().unwrap();
        if kinds.last() != Some(&change.kind()) {
            kinds.push(change.kind());
        }
    }
    // Perhaps some that came before the flood was noticed.
    let rest = kinds.strip_prefix(&[Kind::Updated]).unwrap_or(&kinds);
    assert_eq!(rest, [Kind::Lost, Kind::Present, Kind::Synced]);
}
