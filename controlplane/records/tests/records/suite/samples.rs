//! Objects to test with.

use std::time::Duration;

use dot11::{MacAddr, element::Ssid};
use matchmaker::{
    Pattern, Uuid,
    objects::{
        Account, AccountId, AccountKey, Cause, Change, Client, ContractKind, Grant, Grantee, KeyId,
        NewBinding, Origin, Owner, Radio, Security, Service, Subscriber,
    },
};
use records::{Draft, NewContract};
use visibility::Policy;

pub fn account(number: u8) -> AccountId {
    format!("a{number}@example.org").parse().unwrap()
}

pub fn mac(number: u8) -> MacAddr {
    MacAddr([2, 0, 0, 0, 0, number])
}

pub fn uuid(number: u8) -> Uuid {
    Uuid::from_bytes([number; 16])
}

pub fn put_account(number: u8, key: Option<u8>) -> Change {
    Change::PutAccount(Account { id: account(number), key: key.map(|key| AccountKey([key; 32])) })
}

pub fn owner(number: Option<u8>) -> Owner {
    number.map_or(Owner::Key(KeyId([9; 16])), |number| Owner::Account(account(number)))
}

pub fn put_radio(number: u8, of: Option<u8>) -> Change {
    Change::PutRadio(Radio { mac: mac(number), owner: owner(of) })
}

pub fn put_client(number: u8, name: &str) -> Change {
    Change::PutClient(Client { mac: mac(number), name: name.into() })
}

pub fn put_service(number: u8, of: Option<u8>, ssid: &str) -> Change {
    Change::PutService(Service {
        uuid: uuid(number),
        owner: owner(of),
        ssid: Ssid::parse(ssid.as_bytes()).unwrap(),
        security: Security::Enterprise,
        capture_url: "https://portal.example.org/?q=ä".into(),
        template: vec![0, 255, 7],
        policy: policy(number),
    })
}

/// All fields for 1, none for 0, some for others.
pub fn policy(number: u8) -> Policy {
    match number {
        0 => Policy::default(),
        1 => Policy {
            min_rssi_dbm: Some(-72),
            min_up_kbps: Some(1),
            min_down_kbps: Some(u32::MAX),
            delay: Some(Duration::from_millis(1500)),
            max_mobility: Some(4),
            steer_delay: Some(Duration::ZERO),
            dwell: Some(Duration::from_secs(60)),
            kick_rssi_dbm: Some(-90),
            suppress_rssi_dbm: Some(0),
            max_clients: Some(30),
            hidden: Some(true),
            yields_to_home: Some(false),
        },
        other => Policy { max_clients: Some(other.into()), hidden: Some(false), ..Policy::default() },
    }
}

pub fn binding(service: u8, client: u8) -> NewBinding {
    NewBinding {
        service: uuid(service),
        client: Pattern::Exactly(mac(client)),
        radio: Pattern::Any,
        policy: policy(client),
        origin: Origin::AutoBind(Cause::Wired),
    }
}

pub fn new_binding(of: Option<u8>, service: u8, client: u8) -> Draft {
    Draft::NewBinding { account: of.map(account), binding: binding(service, client) }
}

pub fn put_binding(of: Option<u8>, id: u64, service: u8, client: u8) -> Change {
    Change::PutBinding { account: of.map(account), binding: binding(service, client).with_id(id) }
}

pub fn contract(service: u8, subscriber: &str) -> NewContract {
    NewContract {
        service: uuid(service),
        subscriber: Subscriber::Identity(subscriber.into()),
        kind: ContractKind::Data,
        max_bandwidth_up: Some(u64::MAX),
        max_bandwidth_down: None,
        capture: true,
    }
}

pub fn new_contract(of: Option<u8>, service: u8, subscriber: &str) -> Draft {
    Draft::NewContract { account: of.map(account), contract: contract(service, subscriber) }
}

pub fn grant(by: u8, to: Option<u8>) -> Grant {
    Grant {
        radios_of: account(by),
        services_of: to.map_or(Grantee::Anybody, |to| Grantee::Account(account(to))),
    }
}
