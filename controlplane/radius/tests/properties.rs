//! The codec under any input: what is built reads back, what is not ours is refused.

use proptest::{collection::vec, prelude::*};
use radius::packet::*;

fn secrets() -> impl Strategy<Value = Secret> {
    vec(any::<u8>(), 1..40).prop_map(|octets| Secret::new(octets).expect("not empty"))
}

/// Attributes that are neither Message-Authenticator nor EAP-Message.
fn attributes() -> impl Strategy<Value = AttributeList> {
    let kind = any::<u8>().prop_filter("set by the codec", |kind| !matches!(kind, 79 | 80));
    vec((kind, vec(any::<u8>(), 0..=253)), 0..12).prop_map(|all| {
        let mut list = AttributeList::new();
        for (kind, value) in all {
            list.push(AttributeType(kind), &value).expect("it fits");
        }
        list
    })
}

proptest! {
    #[test]
    fn access_requests_read_back(
        identifier: u8, authenticator: [u8; 16], secret in secrets(), list in attributes(),
        password in vec(1u8.., 0..=128),
    ) {
        let bytes = encode_access_request(identifier, authenticator, list.view(), Some(Password(&password)), &secret)
            .expect("it fits");
        let packet = Packet::parse(&bytes).expect("a packet");
        prop_assert_eq!(packet.code(), Code::ACCESS_REQUEST);
        prop_assert_eq!((packet.identifier(), packet.authenticator()), (identifier, authenticator));
        prop_assert_eq!(packet.verify_request(&secret), Ok(()));
        let found: Vec<_> = packet.attributes().iter().collect();
        prop_assert_eq!(found[0].0, AttributeType::MESSAGE_AUTHENTICATOR);
        prop_assert_eq!(found[1].0, AttributeType::USER_PASSWORD);
        let clear = reveal_user_password(found[1].1, &secret, &authenticator).expect("it is ours");
        prop_assert_eq!(&*clear, &password);
        prop_assert_eq!(found[2..].to_vec(), list.view().iter().collect::<Vec<_>>());
    }

    #[test]
    fn replies_are_believed_with_the_right_secret_and_request_only(
        identifier: u8, request: [u8; 16], other: [u8; 16], secret in secrets(), wrong in secrets(), list in attributes(),
        with: bool, flip in any::<prop::sample::Index>(), bit in 0u8..8,
    ) {
        let bytes = encode_reply(Code::ACCESS_ACCEPT, identifier, &request, list.view(), &secret, with)
            .expect("it fits");
        let verify = |bytes: &[u8], request, secret: &Secret| {
            Packet::parse(bytes).is_ok_and(|packet| {
                packet.verify_reply(request, secret, ReplyPolicy::IfPresent).is_ok()
            })
        };
        prop_assert!(verify(&bytes, &request, &secret));
        prop_assert!(secret == wrong || !verify(&bytes, &request, &wrong));
        prop_assert!(request == other || !verify(&bytes, &other, &secret));
        let mut changed = bytes.clone();
        changed[flip.index(bytes.len())] ^= 1 << bit;
        prop_assert!(!verify(&changed, &request, &secret));
    }

    #[test]
    fn eap_packets_are_split_and_joined(body in vec(any::<u8>(), 0..3500), padding in 0usize..4) {
        let mut eap = vec![2, 7];
        eap.extend((body.len() as u16 + 4).to_be_bytes());
        eap.extend(&body);
        let whole = eap.clone();
        eap.extend(vec![0; padding]);
        let mut list = AttributeList::new();
        list.push(AttributeType::STATE, b"before").expect("it fits");
        split_eap(&mut list, &eap).expect("it fits");
        list.push(AttributeType::CLASS, b"after").expect("it fits");
        prop_assert_eq!(join_eap(list.view()), Ok(whole));
        list.push(AttributeType::EAP_MESSAGE, b"more").expect("it fits");
        prop_assert_eq!(join_eap(list.view()), Err(EapError::Apart));
    }

    #[test]
    fn keys_are_hidden_and_revealed(
        key in vec(any::<u8>(), 0..=128), salt: [u8; 2], request: [u8; 16], secret in secrets(),
    ) {
        let salt = [salt[0] | 0x80, salt[1]];
        let hidden = salt_hide(&key, salt, &secret, &request).expect("a short key");
        prop_assert_eq!(&*reveal_salted(&hidden, &secret, &request).expect("it is ours"), &key);
    }
}

#[test]
fn the_longest_packet_and_one_more() {
    let secret = Secret::new("s").expect("not empty");
    let mut list = AttributeList::new();
    for _ in 0..15 {
        list.push(AttributeType::CLASS, &[1; 253]).expect("it fits");
    }
    // 4096 - 20 - 18 - 15 × 255 = 233 octets are left.
    list.push(AttributeType::CLASS, &[1; 231]).expect("it fits");
    let bytes = encode_access_request(1, [7; 16], list.view(), None, &secret).expect("it fits exactly");
    assert_eq!(bytes.len(), MAX_PACKET_LEN);
    list.push(AttributeType::CLASS, b"").expect("the list alone fits");
    assert_eq!(
        encode_access_request(1, [7; 16], list.view(), None, &secret),
        Err(BuildError::Attribute(AttributeError::Full))
    );
    let mut long = bytes;
    long.push(0);
    assert_eq!(Packet::parse(&long).expect("padding is ignored").bytes().len(), MAX_PACKET_LEN);
}
