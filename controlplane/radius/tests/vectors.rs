//! Known packets: those of RFC 2865 §7 and RFC 5997 §6, and some computed independently with Python's hashlib and hmac.

use radius::packet::*;

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.chars().filter_map(|c| c.to_digit(16)).map(|digit| digit as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn secret() -> Secret {
    Secret::new("xyzzy5461").expect("not empty")
}

const RFC2865_7_1_REQUEST: &str =
    "01 00 00 38 0f 40 3f 94 73 97 80 57 bd 83 d5 cb 98 f4 22 7a 01 06 6e 65 6d 6f 02 12 0d be
     70 8d 93 d4 13 ce 31 96 e4 3f 78 2a 0a ee 04 06 c0 a8 01 10 05 06 00 00 00 03";
const RFC2865_7_1_ACCEPT: &str =
    "02 00 00 26 86 fe 22 0e 76 24 ba 2a 10 05 f6 bf 9b 55 e0 b2 06 06 00 00 00 01 0f 06 00 00
     00 00 0e 06 c0 a8 01 03";

/// The Request Authenticator of RFC 2865 §7.1, which the computed vectors use too.
fn authenticator() -> Authenticator {
    Packet::parse(&hex(RFC2865_7_1_REQUEST)).expect("a packet").authenticator()
}

#[test]
fn rfc2865_7_1_user_telnet() {
    let bytes = hex(RFC2865_7_1_REQUEST);
    let request = Packet::parse(&bytes).expect("a packet");
    assert_eq!((request.code(), request.identifier()), (Code::ACCESS_REQUEST, 0));
    let attributes = request.attributes();
    assert_eq!(attributes.text(AttributeType::USER_NAME).as_deref(), Some("nemo"));
    assert_eq!(attributes.ipv4(AttributeType::NAS_IP_ADDRESS), Some([192, 168, 1, 16].into()));
    assert_eq!(attributes.u32(AttributeType::NAS_PORT), Some(3));
    let hidden = attributes.first(AttributeType::USER_PASSWORD).expect("a password");
    let clear = reveal_user_password(hidden, &secret(), &authenticator()).expect("it is well formed");
    assert_eq!(clear.as_slice(), b"arctangent");
    assert_eq!(hide_user_password(b"arctangent", &secret(), &authenticator()).as_deref(), Ok(hidden));
    assert_eq!(request.verify_request(&secret()), Err(RequestError::MissingMessageAuthenticator));

    let bytes = hex(RFC2865_7_1_ACCEPT);
    let accept = Packet::parse(&bytes).expect("a packet");
    let verify = |policy| accept.verify_reply(&authenticator(), &secret(), policy);
    assert_eq!(verify(ReplyPolicy::IfPresent), Ok(()));
    assert_eq!(verify(ReplyPolicy::RequiredWithEap), Ok(()));
    assert_eq!(verify(ReplyPolicy::Required), Err(ReplyError::MissingMessageAuthenticator));
    let rebuilt =
        encode_reply(Code::ACCESS_ACCEPT, 0, &authenticator(), accept.attributes(), &secret(), false);
    assert_eq!(rebuilt, Ok(bytes.clone()));
}

#[test]
fn rfc2865_7_2_framed_user_with_chap() {
    let request = hex("01 01 00 47 2a ee 86 f0 8d 0d 55 96 9c a5 97 8e 0d 33 67 a2 01 08 66 6c 6f 70 73 79 03 13 16
        e9 75 57 c3 16 18 58 95 f2 93 ff 63 44 07 72 75 04 06 c0 a8 01 10 05 06 00 00 00 14 06 06 00 00 00 02 07 06
        00 00 00 01");
    let accept =
        hex("02 01 00 38 15 ef bc 7d ab 26 cf a3 dc 34 d9 c0 3c 86 01 a4 06 06 00 00 00 02 07 06 00 00 00 01
        08 06 ff ff ff fe 0a 06 00 00 00 02 0d 06 00 00 00 01 0c 06 00 00 05 dc");
    let request = Packet::parse(&request).expect("a packet").authenticator();
    let accept = Packet::parse(&accept).expect("a packet");
    assert_eq!(accept.verify_reply(&request, &secret(), ReplyPolicy::IfPresent), Ok(()));
    assert_eq!(accept.attributes().u32(AttributeType::FRAMED_MTU), Some(1500));
    let other = Secret::new("xyzzy5462").expect("not empty");
    assert_eq!(
        accept.verify_reply(&request, &other, ReplyPolicy::Required),
        Err(ReplyError::ResponseAuthenticator),
        "a wrong secret is not taken for a legacy server"
    );
}

#[test]
fn rfc5997_6_status_server() {
    for (request, reply) in [
        (
            "0c da 00 26 8a 54 f4 68 6f b3 94 c5 28 66 e3 02 18 5d 06 23 50 12 5a 66 5e 2e 1e 84 11 f3 e2 43 82 20
             97 c8 4f a3",
            "02 da 00 14 ef 0d 55 2a 4b f2 d6 93 ec 2b 6f e8 b5 41 1d 66",
        ),
        (
            "0c b3 00 26 92 5f 6b 66 dd 5f ed 57 1f cb 1d b7 ad 38 82 60 50 12 e8 d6 ea bd a9 10 87 5c d9 1f da de
             26 36 78 58",
            "05 b3 00 14 0f 6f 92 14 5f 10 7e 2f 50 4e 86 0a 48 60 66 9c",
        ),
    ] {
        let (request, reply) = (hex(request), hex(reply));
        let request = Packet::parse(&request).expect("a packet");
        let rebuilt = encode_status_server(
            request.identifier(),
            request.authenticator(),
            AttributeList::new().view(),
            &secret(),
        );
        assert_eq!(rebuilt.as_deref(), Ok(request.bytes()));
        assert_eq!(request.verify_request(&secret()), Ok(()));
        let reply = Packet::parse(&reply).expect("a packet");
        assert_eq!(
            reply.verify_reply(&request.authenticator(), &secret(), ReplyPolicy::IfPresent),
            Ok(())
        );
    }
}

#[test]
fn message_authenticator_of_a_challenge() {
    let bytes =
        hex("0b2a0032855448d19777ac289936608f178b530950121a2205df738a5716de588e7afa65db734f08010700060410
        1804abcd");
    let challenge = Packet::parse(&bytes).expect("a packet");
    assert_eq!(challenge.verify_reply(&authenticator(), &secret(), ReplyPolicy::Required), Ok(()));
    assert_eq!(join_eap(challenge.attributes()).as_deref(), Ok(&[1, 7, 0, 6, 4, 16][..]));
    let mut list = AttributeList::new();
    split_eap(&mut list, &[1, 7, 0, 6, 4, 16]).expect("it fits");
    list.push(AttributeType::STATE, &[0xab, 0xcd]).expect("it fits");
    let built = encode_reply(Code::ACCESS_CHALLENGE, 0x2a, &authenticator(), list.view(), &secret(), true);
    assert_eq!(built, Ok(bytes.clone()));
    for at in 0..bytes.len() {
        let mut forged = bytes.clone();
        forged[at] ^= 1;
        let believed = Packet::parse(&forged).is_ok_and(|packet| {
            packet.verify_reply(&authenticator(), &secret(), ReplyPolicy::IfPresent).is_ok()
        });
        assert!(!believed, "one bit in octet {at} goes unnoticed");
    }
}

#[test]
fn a_reply_with_eap_needs_a_message_authenticator_under_every_policy_of_access() {
    let mut list = AttributeList::new();
    split_eap(&mut list, &[4, 7, 0, 4]).expect("it fits");
    let bytes = encode_reply(Code::ACCESS_REJECT, 1, &authenticator(), list.view(), &secret(), false)
        .expect("it fits");
    let reject = Packet::parse(&bytes).expect("a packet");
    for policy in [ReplyPolicy::Required, ReplyPolicy::RequiredWithEap] {
        assert_eq!(
            reject.verify_reply(&authenticator(), &secret(), policy),
            Err(ReplyError::MissingMessageAuthenticator)
        );
    }
}

#[test]
fn accounting_request_authenticator_with_and_without_message_authenticator() {
    let mut list = AttributeList::new();
    list.push_u32(AttributeType::ACCT_STATUS_TYPE, 1).expect("it fits");
    list.push(AttributeType::ACCT_SESSION_ID, b"s1").expect("it fits");
    for (with, expected) in [
        (false, "0409001e4c52306fd7711c3bbe9daf4b46e83b422806000000012c047331"),
        (
            true,
            "04090030a005649157fca134e269d048802ba7c350123f41e7922cd3277a9863302a1d5313e82806000000012c047331",
        ),
    ] {
        let (bytes, authenticator) =
            encode_accounting_request(Code::ACCOUNTING_REQUEST, 9, list.view(), &secret(), with)
                .expect("it fits");
        assert_eq!(bytes, hex(expected));
        let packet = Packet::parse(&bytes).expect("a packet");
        assert_eq!(packet.authenticator(), authenticator);
        assert_eq!(packet.verify_request(&secret()), Ok(()));
        let other = Secret::new("other").expect("not empty");
        assert_eq!(packet.verify_request(&other), Err(RequestError::RequestAuthenticator));
    }
}

#[test]
fn salted_key_and_long_password() {
    let key: Vec<u8> = (0x40..0x60).collect();
    let hidden = hex(
        "9a3c31ca489b731960b90cfcf6b75be028c3b1633af7e44a3099387f5ea1bfdca80e1a5bd402b2e716b167d53bb0ff5e
        39a1",
    );
    assert_eq!(salt_hide(&key, [0x9a, 0x3c], &secret(), &authenticator()).as_deref(), Ok(&hidden[..]));
    let clear = reveal_salted(&hidden, &secret(), &authenticator()).expect("it is well formed");
    assert_eq!(*clear, key);

    let hidden = hex("0fa3618b97d9008b378d964c1d0a688ff81cf1b33baf98c92f84d55320a86e24");
    let password = b"correct horse battery";
    assert_eq!(hide_user_password(password, &secret(), &authenticator()).as_deref(), Ok(&hidden[..]));
    let clear = reveal_user_password(&hidden, &secret(), &authenticator()).expect("it is well formed");
    assert_eq!(clear.as_slice(), password);
}

#[test]
fn msk_of_an_accept() {
    let (recv, send) = ([0x11; 32], [0x22; 32]);
    let salted = |key: &[u8], salt| {
        salt_hide(key, [0x80, salt], &secret(), &authenticator()).expect("a key of 32 octets")
    };
    let mut list = AttributeList::new();
    assert_eq!(msk(list.view(), &secret(), &authenticator()), Ok(None));
    list.push_vendor(VENDOR_MICROSOFT, 17, &salted(&recv, 1)).expect("it fits");
    let half = msk(list.view(), &secret(), &authenticator());
    assert_eq!(half, Err(MskError::Half("MS-MPPE-Send-Key")));
    list.push_vendor(VENDOR_MICROSOFT, 16, &salted(&send, 2)).expect("it fits");
    let keys = msk(list.view(), &secret(), &authenticator()).expect("well formed").expect("both are there");
    assert_eq!(keys.pmk(), &recv);
    assert_eq!(keys.as_bytes()[32..], send);
    assert_eq!(format!("{keys:?} {:?}", secret()), "… …");
    let mut short = AttributeList::new();
    short.push_vendor(VENDOR_MICROSOFT, 17, &salted(&[1; 16], 1)).expect("it fits");
    short.push_vendor(VENDOR_MICROSOFT, 16, &salted(&send, 2)).expect("it fits");
    assert_eq!(
        msk(short.view(), &secret(), &authenticator()),
        Err(MskError::Length { name: "MS-MPPE-Recv-Key", length: 16 })
    );
}

#[test]
fn vlan_of_tunnel_attributes() {
    let parse = |text: &str| vlan(AttributeList::parse(&hex(text)).expect("attributes").view());
    let (id, name) = (|id| Some(Vlan::Id(id)), |name: &str| Some(Vlan::Name(name.into())));
    // Untagged, tagged 1, and type tagged but text not.
    assert_eq!(parse("4006 0000000d 4106 00000006 5104 3432"), id(42));
    assert_eq!(parse("4006 0100000d 4106 01000006 5105 01 3432"), id(42));
    assert_eq!(parse("4006 0100000d 4106 01000006 5104 3432"), id(42));
    // Two tunnels: tag 1 is L2TP over IPv4, tag 2 the VLAN.
    assert_eq!(
        parse("4006 01000003 4106 01000001 5104 01 37 4006 0200000d 4106 02000006 5108 02 6c6f626279"),
        name("lobby")
    );
    // Not a VLAN, no medium, out of range, empty.
    assert_eq!(parse("4006 00000003 4106 00000006 5104 3432"), None);
    assert_eq!(parse("4006 0000000d 5104 3432"), None);
    assert_eq!(parse("4006 0000000d 4106 00000006 5106 34303935"), None);
    assert_eq!(parse("4006 0000000d 4106 00000006 5102"), None);
    assert_eq!(parse("4006 0000000d 4106 00000006 5107 3939393939"), None);
    // Names that are not UTF-8, or of control characters.
    assert_eq!(parse("4006 0000000d 4106 00000006 5104 ff91"), None);
    assert_eq!(parse("4006 0000000d 4106 00000006 5105 00 0241"), None);
    let mut list = AttributeList::new();
    push_vlan(&mut list, &Vlan::Id(4094)).expect("it fits");
    assert_eq!(vlan(list.view()), id(4094));
}

#[test]
fn station_identifiers() {
    let mac = [0x02, 0xaa, 0, 0, 0, 0x0f];
    assert_eq!(called_station_id(mac, b"caf\xc3\xa9"), b"02-AA-00-00-00-0F:caf\xc3\xa9");
    assert_eq!(calling_station_id(mac), "02-AA-00-00-00-0F");
    for text in ["02-AA-00-00-00-0F", "02:aa:00:00:00:0f", "02aa.0000.000f", "02aa0000000f"] {
        assert_eq!(parse_mac_text(text), Some(mac));
    }
    for text in ["", "02-AA-00-00-00", "02-AA-00-00-00-0F-01", "02-AA-00-00-00-0G"] {
        assert_eq!(parse_mac_text(text), None);
    }
}
