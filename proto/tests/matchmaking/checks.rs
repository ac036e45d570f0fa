//! What is refused although it is a message, and in which words.

use proto::matchmaking::check;
use proto::matchmaking::messages::answer::Answer as A;
use proto::matchmaking::messages::failure::Reason;
use proto::matchmaking::messages::push::Push as P;
use proto::matchmaking::messages::request::Request as R;
use proto::matchmaking::messages::*;

fn mac() -> Vec<u8> {
    vec![2; 6]
}

fn uuid() -> Vec<u8> {
    vec![3; 16]
}

fn radio() -> RegisterRadio {
    let location =
        Location { latitude_e7: -900_000_000, longitude_e7: 1_800_000_000, civic: "x".repeat(120) };
    RegisterRadio {
        radio: mac(),
        neighbours: vec![mac(); 8],
        location: Some(location),
        ..RegisterRadio::default()
    }
}

fn device() -> Device {
    Device { client: mac(), ssids: vec![vec![0xff; 32]; 4], ..Device::default() }
}

fn look_up() -> LookUp {
    LookUp { radio: mac(), devices: vec![device(); 16], shown: vec![uuid(); 64] }
}

fn service() -> RegisterService {
    RegisterService {
        service: uuid(),
        instance: uuid(),
        ssid: "Häuschen".into(),
        security: Security::Personal.into(),
        template: [48, 2, 1, 0].repeat(100),
        capture_url: "https://example.org/".into(),
        endpoints: vec!["192.0.2.1:5247".into(), "[2001:db8::1]:5247".into()],
        ..RegisterService::default()
    }
}

fn connect() -> Connect {
    Connect {
        radio: mac(),
        client: mac(),
        service: uuid(),
        bssid: mac(),
        session_id: uuid(),
        ..Connect::default()
    }
}

fn accounting() -> Accounting {
    Accounting { session_id: uuid(), client: mac(), service: uuid(), radio: mac(), ..Accounting::default() }
}

fn with<T>(mut message: T, change: impl FnOnce(&mut T)) -> T {
    change(&mut message);
    message
}

#[test]
fn requests_that_are_right() {
    let release = Release { radio: mac(), bssid: mac(), service: uuid(), gateway_lost: false };
    let bind = AutoBind { service: uuid(), client: mac(), ..AutoBind::default() };
    let failures = AuthenticationFailures { service: uuid(), client: mac(), radio: mac(), failures: 3 };
    let load = Load { service: uuid(), instance: uuid(), ..Load::default() };
    let all = [
        R::RegisterRadio(radio()),
        R::LookUp(look_up()),
        R::Connect(connect()),
        R::Connect(with(connect(), |m| (m.instance, m.key) = (uuid(), uuid()))),
        R::Release(release),
        R::RegisterService(service()),
        R::AutoBind(bind.clone()),
        R::AutoBind(AutoBind { radio: mac(), ..bind }),
        R::AuthenticationFailures(failures),
        R::Load(load),
        R::Accounting(accounting()),
        R::Acknowledge(Acknowledge { pushes: vec![1; 64] }),
        R::Unregister(Unregister { radio: mac(), ..Unregister::default() }),
        R::Unregister(Unregister { service: uuid(), instance: uuid(), ..Unregister::default() }),
    ];
    for request in all {
        assert_eq!(check::request(&Request { id: 1, request: Some(request.clone()) }), Ok(()), "{request:?}");
    }
}

#[test]
fn requests_that_are_wrong() {
    let far = |latitude_e7, longitude_e7, civic: &str| {
        let location = Some(Location { latitude_e7, longitude_e7, civic: civic.into() });
        R::RegisterRadio(RegisterRadio { location, ..radio() })
    };
    let in_device =
        |change: fn(&mut Device)| R::LookUp(LookUp { devices: vec![with(device(), change)], ..look_up() });
    let in_service = |change: fn(&mut RegisterService)| R::RegisterService(with(service(), change));
    let no_endpoint = "not an IP address and a port, as in 192.0.2.1:5247 or [2001:db8::1]:5247";
    let cases = [
        (None, "request: nothing is asked, or something that this version does not know".to_owned()),
        (Some(R::RegisterRadio(RegisterRadio::default())), "radio: 0 octets, must be 6".into()),
        (
            Some(R::RegisterRadio(with(radio(), |m| m.neighbours.push(mac())))),
            "neighbours: 9 of them, must be at most 8".into(),
        ),
        (
            Some(R::RegisterRadio(with(radio(), |m| m.neighbours[3].push(0)))),
            "neighbours: 7 octets, must be 6".into(),
        ),
        (Some(far(900_000_001, 0, "")), "location.latitude_e7: more than 90 degrees from the equator".into()),
        (Some(far(0, i32::MIN, "")), "location.longitude_e7: more than 180 degrees from the meridian".into()),
        (Some(far(0, 0, "a\nb")), "location.civic: has control characters; it must be a line of text".into()),
        (Some(far(0, 0, &"x".repeat(121))), "location.civic: 121 octets, must be at most 120".into()),
        (
            Some(R::LookUp(with(look_up(), |m| m.devices.push(device())))),
            "devices: 17 of them, must be at most 16".into(),
        ),
        (Some(in_device(|m| m.client.clear())), "devices.client: 0 octets, must be 6".into()),
        (
            Some(in_device(|m| m.ssids[0] = vec![0; 33])),
            "devices.ssids: 33 octets, must be at most 32".into(),
        ),
        (Some(in_device(|m| m.ssids[0].clear())), "devices.ssids: empty; an SSID has 1 to 32 octets".into()),
        (Some(in_device(|m| m.ssids.push(vec![1]))), "devices.ssids: 5 of them, must be at most 4".into()),
        (Some(R::Connect(with(connect(), |m| m.bssid.clear()))), "bssid: 0 octets, must be 6".into()),
        (
            Some(R::Connect(with(connect(), |m| m.session_id.clear()))),
            "session_id: 0 octets, must be 16".into(),
        ),
        (Some(R::Connect(with(connect(), |m| m.instance = uuid()))), "key: 0 octets, must be 16".into()),
        (Some(R::Connect(with(connect(), |m| m.key = uuid()))), "instance: 0 octets, must be 16".into()),
        (Some(in_service(|m| m.ssid = "ä".repeat(17))), "ssid: 34 octets, must be at most 32".into()),
        (
            Some(in_service(|m| m.security = 0)),
            "security: absent or not known; it must say open, personal or enterprise".into(),
        ),
        (Some(in_service(|m| m.template = vec![0; 402])), "template: 402 octets, must be at most 400".into()),
        (
            Some(in_service(|m| m.template = vec![48, 2, 1])),
            "template: not whole elements of 802.11, each an identifier, a length and so many octets".into(),
        ),
        (Some(in_service(|m| m.endpoints[0] = "here".into())), format!("endpoints: {no_endpoint}")),
        (Some(in_service(|m| m.endpoints[0] = "192.0.2.1:0".into())), format!("endpoints: {no_endpoint}")),
        (
            Some(in_service(|m| m.capture_url = "x".repeat(257))),
            "capture_url: 257 octets, must be at most 256".into(),
        ),
        (Some(R::Accounting(with(accounting(), |m| m.radio.clear()))), "radio: 0 octets, must be 6".into()),
        (
            Some(R::Acknowledge(Acknowledge { pushes: vec![1; 65] })),
            "pushes: 65 of them, must be at most 64".into(),
        ),
        (Some(R::Unregister(Unregister::default())), "service: 0 octets, must be 16".into()),
    ];
    for (request, text) in cases {
        let malformed = check::request(&Request { id: 1, request }).unwrap_err();
        assert_eq!(malformed.to_string(), text);
        let failure = Failure::from(malformed);
        assert_eq!((failure.reason(), failure.text), (Reason::Malformed, text));
    }
}

#[test]
fn answers_and_pushes() {
    let answer = |answer| check::answer(&Answer { id: 1, epoch: 2, answer });
    let push = |push| check::push(&Push { id: 1, push });
    let offer = Offer { service: uuid(), ..Offer::default() };
    let offers = |offer| Some(A::Offers(Offers { offers: vec![offer], ..Offers::default() }));
    let connected =
        Connected { instance: uuid(), key: uuid(), endpoints: vec!["192.0.2.1:1".into()], valid_seconds: 1 };
    for right in [Some(A::Done(Done {})), offers(offer.clone()), Some(A::Connected(connected.clone()))] {
        assert_eq!(answer(right), Ok(()));
    }
    let wrong = [
        (None, "answer"),
        (offers(Offer { service: mac(), ..offer.clone() }), "offers.service"),
        (offers(Offer { client: uuid(), ..offer.clone() }), "offers.client"),
        (offers(Offer { template: vec![1], ..offer }), "offers.template"),
        (Some(A::Connected(Connected { key: vec![], ..connected.clone() })), "key"),
        (Some(A::Connected(Connected { endpoints: vec!["x".into()], ..connected })), "endpoints"),
    ];
    for (wrong, field) in wrong {
        assert_eq!(answer(wrong).unwrap_err().field, field);
    }

    let introduction = Introduction {
        service: uuid(),
        instance: uuid(),
        radio: mac(),
        endpoint: "192.0.2.1:1".into(),
        client: mac(),
        bssid: mac(),
        session_id: uuid(),
        key: uuid(),
        ..Introduction::default()
    };
    let right = [
        P::Introduction(introduction.clone()),
        P::Withdrawal(Withdrawal { bssid: mac(), client: vec![] }),
        P::Refusals(Refusals { clients: vec![mac()], seconds: 1 }),
    ];
    for right in right {
        assert_eq!(push(Some(right)), Ok(()));
    }
    assert_eq!(push(None).unwrap_err().field, "push");
    let wrong = P::Introduction(Introduction { endpoint: String::new(), ..introduction });
    assert_eq!(push(Some(wrong)).unwrap_err().field, "endpoint");
    let wrong = P::Refusals(Refusals { clients: vec![uuid()], seconds: 1 });
    assert_eq!(push(Some(wrong)).unwrap_err().field, "clients");
}
