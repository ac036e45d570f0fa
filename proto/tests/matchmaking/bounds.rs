//! README.md tells others the bounds of lengths and counts: they are those that are checked.

use proto::matchmaking::datagram::{MAX_ANSWER, MAX_DATAGRAM, MAX_REQUEST, MAX_TICKET};
use proto::matchmaking::messages::*;
use proto::matchmaking::{Initiator, Key, StaticSecret, check};

/// Whether a message is taken in which the field is so long, so many or so much.
type Takes = fn(usize) -> bool;

fn asked(request: request::Request) -> bool {
    check::request(&Request { id: 1, request: Some(request) }).is_ok()
}

fn answered(answer: answer::Answer) -> bool {
    check::answer(&Answer { id: 1, epoch: 1, answer: Some(answer) }).is_ok()
}

fn radio(radio: RegisterRadio) -> bool {
    asked(request::Request::RegisterRadio(RegisterRadio { radio: vec![2; 6], ..radio }))
}

fn located(location: Location) -> bool {
    radio(RegisterRadio { location: Some(location), ..Default::default() })
}

fn look_up(look_up: LookUp) -> bool {
    asked(request::Request::LookUp(LookUp { radio: vec![2; 6], ..look_up }))
}

fn device(ssids: Vec<Vec<u8>>) -> bool {
    look_up(LookUp {
        devices: vec![Device { client: vec![2; 6], ssids, ..Device::default() }],
        ..LookUp::default()
    })
}

fn service(change: impl FnOnce(&mut RegisterService)) -> bool {
    let mut service = RegisterService {
        service: vec![1; 16],
        instance: vec![2; 16],
        ssid: "home".into(),
        security: Security::Open.into(),
        ..RegisterService::default()
    };
    change(&mut service);
    asked(request::Request::RegisterService(service))
}

fn offers(offers: Offers) -> bool {
    answered(answer::Answer::Offers(offers))
}

fn offer(template: Vec<u8>) -> Offer {
    Offer { service: vec![1; 16], template, ..Offer::default() }
}

fn identity(account: usize, software: usize) -> bool {
    let (account, software) = ("a".repeat(account), "s".repeat(software));
    let identity = Identity { account, software, instance: 1 };
    let secret = StaticSecret::new([7; 32]);
    Initiator::new(&secret, &secret.public(), &Key([0; 32]), &identity, &mut |octets| octets.fill(9)).is_ok()
}

/// Whole elements of so many octets.
fn elements(octets: usize) -> Vec<u8> {
    let mut elements = vec![0; octets];
    let mut rest = &mut elements[..];
    while !rest.is_empty() {
        let length = if rest.len() == 258 { 256 } else { rest.len().min(257) };
        let (element, others) = rest.split_at_mut(length);
        (element[0], element[1]) = (221, (length - 2) as u8);
        rest = others;
    }
    elements
}

fn endpoints(count: usize) -> Vec<String> {
    vec!["192.0.2.1:5247".to_owned(); count]
}

const BOUNDS: [(&str, Takes); 24] = [
    ("Identity.account", |n| identity(n, 0)),
    ("Identity.software", |n| identity(0, n)),
    ("RegisterRadio.neighbours", |n| {
        radio(RegisterRadio { neighbours: vec![vec![2; 6]; n], ..Default::default() })
    }),
    ("Location.latitude_e7", |n| {
        let north = n as i32;
        let at = |latitude_e7| located(Location { latitude_e7, ..Location::default() });
        at(north) && at(-north)
    }),
    ("Location.longitude_e7", |n| {
        let east = n as i32;
        let at = |longitude_e7| located(Location { longitude_e7, ..Location::default() });
        at(east) && at(-east)
    }),
    ("Location.civic", |n| located(Location { civic: "x".repeat(n), ..Location::default() })),
    ("LookUp.devices", |n| {
        let device = Device { client: vec![2; 6], ..Device::default() };
        look_up(LookUp { devices: vec![device; n], ..LookUp::default() })
    }),
    ("LookUp.shown", |n| look_up(LookUp { shown: vec![vec![1; 16]; n], ..LookUp::default() })),
    ("Device.ssids", |n| device(vec![b"home".to_vec(); n])),
    ("Device.ssids[]", |n| device(vec![vec![b'x'; n]])),
    ("RegisterService.ssid", |n| service(|said| said.ssid = "x".repeat(n))),
    ("RegisterService.template", |n| service(|said| said.template = elements(n))),
    ("RegisterService.capture_url", |n| service(|said| said.capture_url = "x".repeat(n))),
    ("RegisterService.endpoints", |n| service(|said| said.endpoints = endpoints(n))),
    ("Acknowledge.pushes", |n| asked(request::Request::Acknowledge(Acknowledge { pushes: vec![1; n] }))),
    ("Offers.offers", |n| offers(Offers { offers: vec![offer(vec![]); n], ..Offers::default() })),
    ("Offers.withdrawn", |n| offers(Offers { withdrawn: vec![vec![1; 16]; n], ..Offers::default() })),
    ("Offer.template", |n| offers(Offers { offers: vec![offer(elements(n))], ..Offers::default() })),
    ("Connected.endpoints", |n| {
        let (instance, key) = (vec![1; 16], vec![2; 16]);
        let connected = Connected { instance, key, endpoints: endpoints(n), valid_seconds: 30 };
        answered(answer::Answer::Connected(connected))
    }),
    ("Refusals.clients", |n| {
        let refusals = push::Push::Refusals(Refusals { clients: vec![vec![2; 6]; n], seconds: 1 });
        check::push(&Push { id: 1, push: Some(refusals) }).is_ok()
    }),
    ("Admission.ticket", |n| n <= MAX_TICKET),
    ("Request", |n| n <= MAX_REQUEST),
    ("Answer", |n| n <= MAX_ANSWER),
    ("Push", |n| n <= MAX_ANSWER),
];

/// Field and figure of each row of the table under this heading.
fn table(readme: &str, heading: &str) -> Vec<(String, usize)> {
    let section = readme.split("\n## ").find(|section| section.lines().next() == Some(heading));
    let section = section.unwrap_or_else(|| panic!("README.md has a chapter `{heading}`"));
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let row = |line: &str| {
        let mut cells = line.trim_matches('|').split('|').map(str::trim);
        let (fields, figure) = (cells.next().unwrap(), cells.next_back().unwrap());
        let figure = figure.replace(' ', "").parse().unwrap_or_else(|_| panic!("a number ends `{line}`"));
        let fields = fields.split(", ").map(|field| field.trim_matches('`').to_owned());
        fields.map(|field| (field, figure)).collect::<Vec<_>>()
    };
    rows.flat_map(row).collect()
}

#[test]
fn the_bounds_that_others_are_told_are_those_that_are_checked() {
    let told = table(include_str!("../../README.md"), "Bounds");
    for (field, figure) in &told {
        let Some((_, takes)) = BOUNDS.iter().find(|(known, _)| known == field) else {
            panic!("README.md has a bound of {field}, of which nothing is known here");
        };
        assert!(takes(*figure), "README.md lets {field} be {figure}, which is refused");
        assert!(!takes(figure + 1), "README.md has {figure} for the most of {field}, but more is taken");
    }
    for (field, _) in BOUNDS {
        assert_eq!(
            told.iter().filter(|(known, _)| known == field).count(),
            1,
            "README.md has a row for {field}"
        );
    }
}

#[test]
fn no_datagram_is_longer_than_others_are_told() {
    let readme = include_str!("../../README.md");
    assert!(readme.contains(&format!("No datagram is longer than {MAX_DATAGRAM} octets.")));
}

#[test]
fn a_wrong_figure_or_a_row_without_one_is_noticed() {
    let rows = table(
        "x\n## Bounds\n\n| field | of | most |\n|---|---|---|\n| `A.b`, `C` | octets | 1 000 |\n",
        "Bounds",
    );
    assert_eq!(rows, [("A.b".to_owned(), 1000), ("C".to_owned(), 1000)]);
    assert!(std::panic::catch_unwind(|| table("x\n## Bounds\n| `A.b` | octets | many |", "Bounds")).is_err());
    assert!(std::panic::catch_unwind(|| table("x\n## Limits\n", "Bounds")).is_err());
}
