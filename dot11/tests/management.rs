//! Management frame bodies, elements and the beacon template.

mod common;

use common::{AP, DEVICE, hex};
use dot11::beacon::BssTemplate;
use dot11::build;
use dot11::element::{
    AccessCategory, ElementError, ElementId, Elements, ElementsBuilder, ExtendedCapabilities, Rate, Rsn,
    RsnCapabilities, Rsnx, Ssid, SupportedRates, Tim, Wmm, WmmParameters, Wpa, extension,
};
use dot11::frame::management::*;
use dot11::rsn::Pmkid;
use dot11::{
    Akm, AuthenticationAlgorithm, CapabilityInfo, CipherSuite, Frame, FrameError, FrameKind, MacAddr,
    ManagementSubtype, ReasonCode, StatusCode,
};
use proptest::prelude::*;

fn parse(subtype: ManagementSubtype, body: &[u8]) -> Result<Vec<u8>, FrameError> {
    let frame = build::management(subtype, AP, DEVICE, AP, body);
    let parsed = ManagementBody::parse(&Frame::parse(&frame)?)?;
    Ok(format!("{parsed:?}").into_bytes())
}

#[test]
fn authentication() {
    let open = Authentication {
        algorithm: AuthenticationAlgorithm::OPEN,
        transaction: 2,
        status: StatusCode::SUCCESS,
        elements: Elements::default(),
    };
    assert_eq!(open.to_vec(), hex("0000 0200 0000"));
    assert_eq!(Authentication::parse(&open.to_vec()), Ok(open));
    assert_eq!(Authentication::parse(&[0; 5]), Err(FrameError::Truncated { needed: 6, got: 5 }));
    // SAE's fields are not elements; anywhere else a cut element is an error.
    let sae = hex("0300 0100 0000 1300 ffff");
    assert_eq!(Authentication::parse(&sae).unwrap().elements.bytes(), hex("1300ffff"));
    let cut = hex("0000 0100 0000 dd05 00");
    let truncated = FrameError::Element(ElementError::Truncated { id: 221 });
    assert_eq!(Authentication::parse(&cut), Err(truncated));
}

#[test]
fn association() {
    let elements = ElementsBuilder::new().ssid(&Ssid::try_from("net").unwrap()).build();
    let request = AssociationRequest {
        capabilities: CapabilityInfo::ESS.with(CapabilityInfo::PRIVACY),
        listen_interval: 10,
        elements: Elements::new(&elements),
    };
    assert_eq!(request.to_vec(), hex("1100 0a00 00036e6574"));
    assert_eq!(AssociationRequest::parse(&request.to_vec()), Ok(request));
    let again = ReassociationRequest {
        capabilities: request.capabilities,
        listen_interval: 10,
        current_ap: AP,
        elements: request.elements,
    };
    assert_eq!(again.to_vec(), hex("1100 0a00 02aa00000001 00036e6574"));
    assert_eq!(ReassociationRequest::parse(&again.to_vec()), Ok(again));
    let response = AssociationResponse {
        capabilities: CapabilityInfo::ESS,
        status: StatusCode::SUCCESS,
        aid: 5,
        elements: Elements::default(),
    };
    assert_eq!(response.to_vec(), hex("0100 0000 05c0"));
    assert_eq!(AssociationResponse::parse(&response.to_vec()), Ok(response));
}

#[test]
fn deauthentication_disassociation_and_action() {
    let reason = ReasonCode::INVALID_CLASS3_FRAME;
    assert_eq!(Deauthentication { reason }.to_vec(), [7, 0]);
    // A management MIC element may follow.
    assert_eq!(Deauthentication::parse(&hex("0700 4c10")), Ok(Deauthentication { reason }));
    assert_eq!(Disassociation::parse(&Disassociation { reason }.to_vec()), Ok(Disassociation { reason }));
    let query = hex("0800aabb");
    let action = Action::parse(&query).unwrap();
    assert_eq!(action, Action { category: ActionCategory::SA_QUERY, action: 0, body: &[0xaa, 0xbb] });
    assert!(action.category.is_robust() && !ActionCategory::PUBLIC.is_robust());
    assert_eq!(action.to_vec(), query);
}

#[test]
fn bodies_that_cannot_be_parsed() {
    assert_eq!(
        parse(ManagementSubtype::Atim, &[]),
        Err(FrameError::Kind(FrameKind::Management(ManagementSubtype::Atim)))
    );
    assert_eq!(
        parse(ManagementSubtype::Beacon, &[0; 11]),
        Err(FrameError::Truncated { needed: 12, got: 11 })
    );
    assert_eq!(
        parse(ManagementSubtype::ProbeRequest, &[0]),
        Err(FrameError::Element(ElementError::LoneOctet))
    );
    let mut frame = build::management(ManagementSubtype::Deauthentication, AP, DEVICE, AP, &[0; 18]);
    frame[1] |= 0x40;
    assert_eq!(ManagementBody::parse(&Frame::parse(&frame).unwrap()), Err(FrameError::Protected));
    let ack = build::ack(AP);
    let ack = Frame::parse(&ack).unwrap();
    assert_eq!(ManagementBody::parse(&ack), Err(FrameError::Kind(ack.kind())));
}

#[test]
fn elements_are_found() {
    let bytes = ElementsBuilder::new()
        .ssid(&Ssid::try_from("net").unwrap())
        .supported_rates(&SupportedRates::bg())
        .extension(extension::HE_CAPABILITIES, &[1, 2])
        .extended_rates(&SupportedRates::bg())
        .element(ElementId::VENDOR_SPECIFIC, &Wmm::Information { qos_info: 0x0f }.body())
        .rsn(&Rsn::ccmp(&[Akm::Psk]))
        .build();
    let elements = Elements::parse(&bytes).unwrap();
    assert_eq!(elements.ssid().unwrap().unwrap().as_bytes(), b"net");
    assert_eq!(elements.find_extension(extension::HE_CAPABILITIES), Some(&[1, 2][..]));
    assert_eq!(elements.find_extension(extension::HE_OPERATION), None);
    assert_eq!(elements.rates(), SupportedRates::bg());
    assert!(elements.has_wmm());
    let wmm = Wmm::parse(elements.find_vendor(Wmm::SELECTOR).unwrap());
    assert_eq!(wmm, Some(Wmm::Information { qos_info: 0x0f }));
    let rsn = hex("3014 0100 000fac04 0100 000fac04 0100 000fac02 0000");
    assert_eq!(elements.find_whole(ElementId::RSN), Some(&rsn[..]));
    assert_eq!(elements.rsn(), Some(Ok(Rsn::ccmp(&[Akm::Psk]))));
    assert_eq!(Rsn::ccmp(&[Akm::Psk]).to_vec(), rsn);
}

#[test]
fn elements_that_do_not_add_up() {
    assert_eq!(Elements::parse(&[0]), Err(ElementError::LoneOctet));
    assert_eq!(Elements::parse(&hex("0001")), Err(ElementError::Truncated { id: 0 }));
    assert_eq!(Elements::parse(&hex("ff00")), Err(ElementError::Truncated { id: 255 }));
    let cut = hex("000161 3005ff");
    assert_eq!(Elements::new(&cut).iter().count(), 1);
}

#[test]
fn ssids() {
    assert!(Ssid::parse(&[0; 33]).is_err());
    assert!(Ssid::parse(&[]).unwrap().is_wildcard());
    let odd = Ssid::parse(b"caf\xc3\xa9\x1b[2J\xff").unwrap();
    assert_eq!(odd.to_string(), "caf\u{e9}\\u{1b}[2J\\xff");
}

#[test]
fn rates() {
    assert_eq!(Rate(0x8b), Rate::basic(11));
    assert_eq!((Rate(0x8b).kbps(), Rate(0x8b).is_basic(), Rate(0x6c).is_basic()), (5500, true, false));
    assert!(SupportedRates::a().contains(54000) && !SupportedRates::a().contains(1000));
    let body: Vec<u8> = SupportedRates::a().0.iter().map(|rate| rate.0).collect();
    assert_eq!(body, hex("8c12982 4b048606c"));
}

#[test]
fn tim() {
    // 802.11-2020 Annex L, example 2: AIDs 2, 7, 22 and 24, group traffic.
    let body = hex("0003 01 8400 4001");
    let tim = Tim::parse(&body).unwrap();
    let set: Vec<u16> = (0..=2007).filter(|aid| tim.is_set(*aid)).collect();
    assert_eq!(set, [2, 7, 22, 24]);
    assert!(tim.group_traffic());
    // Offset: bitmap control 2 begins the bitmap at AID 16.
    let shifted = Tim { dtim_count: 0, dtim_period: 1, bitmap_control: 2, bitmap: &[0x40] };
    assert_eq!((0..=2007).filter(|aid| shifted.is_set(*aid)).collect::<Vec<u16>>(), [22]);
    assert!(Tim::parse(&hex("000300")).is_err());
    assert!(Tim::parse(&hex("00000000")).is_err());
}

#[test]
fn rsn_with_everything() {
    let rsn = Rsn {
        group: CipherSuite::Ccmp128,
        pairwise: vec![CipherSuite::Ccmp128, CipherSuite::Gcmp256],
        akms: vec![Akm::Ieee8021x, Akm::PskSha256, Akm::Other([0x00, 0x50, 0xf2, 9])],
        capabilities: RsnCapabilities::MFPC.with_16_ptksa_replay_counters(),
        pmkids: vec![Pmkid([0x11; 16]), Pmkid([0x22; 16])],
        group_management: Some(CipherSuite::BipCmac128),
    };
    let body = hex("0100 000fac04 0200 000fac04 000fac09 0300 000fac01 000fac06 0050f209 8c00
        0200 11111111111111111111111111111111 22222222222222222222222222222222 000fac06");
    assert_eq!(rsn.body(), body);
    assert_eq!(Rsn::parse(&body), Ok(rsn.clone()));
    assert_eq!(rsn.capabilities.ptksa_replay_counters(), 16);
}

#[test]
fn rsn_fields_may_be_left_off() {
    let default = Rsn::ccmp(&[Akm::Ieee8021x]);
    let full = hex("0100 000fac04 0100 000fac04 0100 000fac01 0000 0000 000fac06");
    for len in [2, 6, 12, 18, 20, 22] {
        assert_eq!(Rsn::parse(&full[..len]), Ok(default.clone()), "{len} octets");
    }
    for len in [0, 1, 3, 5, 7, 8, 11, 13, 17, 19, 21, 23, 25] {
        assert_eq!(Rsn::parse(&full[..len]), Err(ElementError::Truncated { id: 48 }), "{len} octets");
    }
    let invalid = |body: &str| matches!(Rsn::parse(&hex(body)), Err(ElementError::Invalid { id: 48, .. }));
    assert!(invalid("0200 000fac04"));
    assert!(invalid("0100 000fac04 0000"));
    assert!(invalid("0100 000fac04 0100 000fac04 0000"));
}

#[test]
fn wpa_is_recognised() {
    let bytes = hex("dd16 0050f201 0100 0050f202 0100 0050f202 0100 0050f202");
    let wpa = Wpa::parse(Elements::parse(&bytes).unwrap().find_vendor(Wpa::SELECTOR).unwrap()).unwrap();
    assert_eq!(
        (wpa.group, wpa.pairwise, wpa.akms),
        ([0, 0x50, 0xf2, 2], vec![[0, 0x50, 0xf2, 2]], vec![[0, 0x50, 0xf2, 2]])
    );
}

#[test]
fn capabilities() {
    let capabilities = ExtendedCapabilities::default().with(ExtendedCapabilities::BSS_TRANSITION);
    assert_eq!(capabilities.0, [0, 0, 0x08]);
    assert!(capabilities.contains(19) && !capabilities.contains(18) && !capabilities.contains(1000));
    let rsnx = Rsnx::new(&[Rsnx::SAE_H2E]);
    assert_eq!(rsnx.0, [0x20]);
    assert!(rsnx.contains(Rsnx::SAE_H2E) && !rsnx.contains(Rsnx::PROTECTED_TWT) && !rsnx.contains(0));
    assert_eq!(Rsnx::new(&[9]).0, [0x01, 0x02]);
}

#[test]
fn access_categories() {
    use AccessCategory::*;
    let expected = [BestEffort, Background, Background, BestEffort, Video, Video, Voice, Voice];
    assert_eq!(std::array::from_fn(|priority| AccessCategory::of_priority(priority as u8)), expected);
}

fn template() -> BssTemplate {
    let mut rsn = Rsn::ccmp(&[Akm::Psk, Akm::PskSha256]);
    rsn.capabilities = RsnCapabilities::MFPC;
    BssTemplate::new(AP, Ssid::try_from("net").unwrap(), 6, Some(rsn))
}

const TAIL: &str = "2a0100 3204 3048606c
    3018 0100 000fac04 0100 000fac04 0200 000fac02 000fac06 8000
    2d1a 2c00 00 ff000000000000000000000000000000 0000 00000000 00
    3d16 06 00000000000000000000000000000000000000 0000
    7f08 0400000000000000
    dd18 0050f202 0101 00 00 03a40000 27a40000 42435e00 62322f00";

#[test]
fn beacon_octet_by_octet() {
    let head = hex("80000000 ffffffffffff 02aa00000001 02aa00000001 0000
        0807060504030201 6400 3104
        00036e6574 0108 82848b960c121824 030106");
    let template = template();
    assert_eq!(template.beacon_head(0x0102_0304_0506_0708), head);
    assert_eq!(template.beacon_tail(), hex(TAIL));
    let beacon = template.quiet_beacon(0x0102_0304_0506_0708, 1);
    assert_eq!(beacon, [head, hex("0504 01020000"), hex(TAIL)].concat());
}

#[test]
fn probe_response_is_a_beacon_without_tim() {
    let frame = template().probe_response(DEVICE, 9);
    let view = Frame::parse(&frame).unwrap();
    assert_eq!((view.addr1(), view.addr2(), view.addr3()), (DEVICE, Some(AP), Some(AP)));
    let ManagementBody::ProbeResponse(body) = ManagementBody::parse(&view).unwrap() else {
        panic!("{view:?}")
    };
    assert_eq!((body.timestamp, body.interval), (9, 100));
    assert_eq!(body.elements.find(ElementId::TIM), None);
    let elements = [hex("00036e6574 0108 82848b960c121824 030106"), hex(TAIL)].concat();
    assert_eq!(body.elements.bytes(), elements);
    assert!(template().answers(&Ssid::WILDCARD) && template().answers(&Ssid::try_from("net").unwrap()));
    assert!(!template().answers(&Ssid::try_from("ne").unwrap()));
}

#[test]
fn association_response_elements() {
    let elements = template().association_elements();
    let parsed = Elements::parse(&elements).unwrap();
    let ids: Vec<u8> = parsed.iter().map(|element| element.id.0).collect();
    // Table 9-34: rates, extended rates, HT, extended capabilities, WMM; neither SSID nor RSNE.
    assert_eq!(ids, [1, 50, 45, 61, 127, 221]);
    let wmm = Wmm::parse(parsed.find_vendor(Wmm::SELECTOR).unwrap());
    assert_eq!(wmm, Some(Wmm::Parameters(WmmParameters::default())));
}

#[test]
fn an_open_5ghz_bss() {
    let template = BssTemplate::new(AP, Ssid::try_from("open").unwrap(), 36, None);
    assert_eq!(template.capabilities(), CapabilityInfo::ESS);
    let beacon = template.quiet_beacon(0, 0);
    let ManagementBody::Beacon(body) = ManagementBody::parse(&Frame::parse(&beacon).unwrap()).unwrap() else {
        panic!("not a beacon")
    };
    let ids: Vec<u8> = body.elements.iter().map(|element| element.id.0).collect();
    assert_eq!(ids, [0, 1, 5, 45, 61, 127, 221]);
}

prop_compose! {
    fn rsn()(
        group in any::<[u8; 4]>(),
        pairwise in prop::collection::vec(any::<[u8; 4]>(), 1..4),
        akms in prop::collection::vec(any::<[u8; 4]>(), 1..4),
        capabilities in any::<u16>(),
        pmkids in prop::collection::vec(any::<[u8; 16]>(), 0..4),
        group_management in any::<Option<[u8; 4]>>(),
    ) -> Rsn {
        Rsn {
            group: CipherSuite::from_selector(group),
            pairwise: pairwise.into_iter().map(CipherSuite::from_selector).collect(),
            akms: akms.into_iter().map(Akm::from_selector).collect(),
            capabilities: RsnCapabilities(capabilities),
            pmkids: pmkids.into_iter().map(Pmkid).collect(),
            group_management: group_management.map(CipherSuite::from_selector),
        }
    }
}

proptest! {
    #[test]
    fn rsn_round_trips(rsn in rsn()) {
        prop_assert_eq!(Rsn::parse(&rsn.body()), Ok(rsn));
    }

    #[test]
    fn suites_round_trip(n in any::<u8>()) {
        let selector = [0x00, 0x0f, 0xac, n];
        prop_assert_eq!(Akm::from_selector(selector).selector(), selector);
        prop_assert_eq!(CipherSuite::from_selector(selector).selector(), selector);
    }

    #[test]
    fn elements_round_trip(items in prop::collection::vec((0u8..=254, prop::collection::vec(any::<u8>(), 0..=255)), 0..8)) {
        let builder = items.iter().fold(ElementsBuilder::new(), |b, (id, body)| b.element(ElementId(*id), body));
        let bytes = builder.build();
        let parsed: Vec<(u8, Vec<u8>)> =
            Elements::parse(&bytes).unwrap().iter().map(|e| (e.id.0, e.body.to_vec())).collect();
        prop_assert_eq!(parsed, items);
    }

    #[test]
    fn wmm_round_trips(qos_info in any::<u8>(), values in any::<[(u8, bool, u8, u8, u16); 4]>()) {
        let mut parameters = WmmParameters { qos_info, ..WmmParameters::default() };
        for (category, (aifsn, admission_control, ecw_min, ecw_max, txop_limit)) in parameters.categories.iter_mut().zip(values) {
            *category = dot11::element::AcParameters {
                aifsn: aifsn & 15, admission_control, ecw_min: ecw_min & 15, ecw_max: ecw_max & 15, txop_limit,
            };
        }
        let wmm = Wmm::Parameters(parameters);
        prop_assert_eq!(Wmm::parse(&wmm.body()[4..]), Some(wmm));
    }

    #[test]
    fn reassociation_round_trips(capabilities in any::<u16>(), listen_interval in any::<u16>(), ap in any::<[u8; 6]>()) {
        let request = ReassociationRequest {
            capabilities: CapabilityInfo(capabilities), listen_interval, current_ap: MacAddr(ap), elements: Elements::default(),
        };
        let body = request.to_vec();
        prop_assert_eq!(ReassociationRequest::parse(&body), Ok(request));
    }
}
