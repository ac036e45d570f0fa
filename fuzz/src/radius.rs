//! What must hold for any octets that the codec of `radius` is given. Each function is the body of one fuzz target;
//! `controlplane/radius/tests/corpus.rs` replays the committed corpora through the same functions.

use radius::packet::*;

/// Body of a target.
pub type Target = fn(&[u8]);

/// Name and body of every target.
pub const TARGETS: &[(&str, Target)] =
    &[("radius_packet", packet), ("radius_attributes", attributes), ("radius_hidden", hidden)];

const REQUEST: Authenticator = [1; 16];

fn secret() -> Secret {
    Secret::new("xyzzy5461").expect("not empty")
}

/// A datagram as it comes from the network: no server is behind it, so no reply in it is believed.
pub fn packet(data: &[u8]) {
    let Ok(packet) = Packet::parse(data) else { return };
    assert!(data.starts_with(packet.bytes()));
    assert_eq!(HEADER_LEN + packet.attributes().as_bytes().len(), packet.bytes().len());
    for policy in [ReplyPolicy::Required, ReplyPolicy::RequiredWithEap, ReplyPolicy::IfPresent] {
        assert!(packet.verify_reply(&[0x5a; 16], &secret(), policy).is_err());
    }
    let _ = (packet.verify_request(&secret()), format!("{packet:?}"));
    read(packet.attributes());
}

/// Attributes as a server that holds the secret sends them.
pub fn attributes(data: &[u8]) {
    let Ok(view) = Attributes::parse(data) else { return };
    read(view);
    let Ok(list) = AttributeList::parse(data) else { return };
    assert_eq!(list.view(), view);
    let Ok(bytes) = encode_reply(Code::ACCESS_ACCEPT, 7, &REQUEST, view, &secret(), true) else { return };
    let reply = Packet::parse(&bytes).expect("what is built is a packet");
    let verified = reply.verify_reply(&REQUEST, &secret(), ReplyPolicy::Required);
    // A second Message-Authenticator is refused, everything else of ours is believed.
    let second = view.first(AttributeType::MESSAGE_AUTHENTICATOR).is_some();
    assert_eq!(verified.is_ok(), !second);
}

/// Request Authenticator, then a hidden value.
pub fn hidden(data: &[u8]) {
    let Some((request, value)) = data.split_first_chunk::<16>() else { return };
    if let Ok(key) = reveal_salted(value, &secret(), request) {
        let salt = [value[0], value[1]];
        let again = salt_hide(&key, salt, &secret(), request).expect("it was a key");
        let read = reveal_salted(&again, &secret(), request).expect("it is ours");
        assert_eq!(*read, *key);
    }
    if let Ok(password) = reveal_user_password(value, &secret(), request) {
        let again = hide_user_password(&password, &secret(), request).expect("at most 128 octets");
        let read = reveal_user_password(&again, &secret(), request).expect("it is ours");
        assert_eq!(*read, *password);
    }
}

fn read(attributes: Attributes<'_>) {
    let mut rebuilt = AttributeList::new();
    for (kind, value) in attributes.iter() {
        assert!(attributes.all(kind).any(|found| found == value));
        let _ = (attributes.u32(kind), attributes.ipv4(kind), attributes.text(kind));
        if rebuilt.push(kind, value).is_err() {
            // The view has no upper limit, a list ends with the packet.
            assert!(attributes.as_bytes().len() > MAX_PACKET_LEN - HEADER_LEN);
            return;
        }
    }
    assert_eq!(rebuilt.view(), attributes);
    if let Ok(eap) = join_eap(attributes) {
        let mut list = AttributeList::new();
        split_eap(&mut list, &eap).expect("it came out of a packet");
        assert_eq!(join_eap(list.view()), Ok(eap));
    }
    if let Some(assigned) = vlan(attributes) {
        let mut list = AttributeList::new();
        push_vlan(&mut list, &assigned).expect("it came out of an attribute");
        assert_eq!(vlan(list.view()), Some(assigned));
    }
    let _ = msk(attributes, &secret(), &REQUEST);
    for (kind, value) in attributes.vendor(VENDOR_MICROSOFT) {
        let mut list = AttributeList::new();
        list.push_vendor(VENDOR_MICROSOFT, kind, value).expect("it came out of an attribute");
        assert_eq!(list.view().vendor(VENDOR_MICROSOFT).next(), Some((kind, value)));
    }
    if let Some(mac) =
        attributes.text(AttributeType::CALLING_STATION_ID).and_then(|text| parse_mac_text(&text))
    {
        assert_eq!(parse_mac_text(&mac_text(mac)), Some(mac));
    }
}
