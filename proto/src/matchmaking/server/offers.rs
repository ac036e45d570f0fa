//! Answers to look-ups, which are nearly all that a matchmaker says, written straight into the datagram: the same octets as
//! [`Offers`](super::super::messages::Offers) has, but without a vector for each field, and no length is asked for twice.

use super::super::check::MAX_ITEMS;
use super::super::datagram::{ANSWER_HEAD, MAX_ANSWER};
use super::super::messages::Policy;

/// Of the fields of `Answer` and `Offers` around the offers, and of what is said at their end: at most so many octets.
const AROUND: usize = 32;
/// Key, length and octets of a UUID in `withdrawn`.
const WITHDRAWN: usize = 18;
/// Key and length, a service, a binding and an empty policy: no offer is shorter.
const OFFER: usize = 2 + 18 + 2 + 2;

// What fits is what a peer takes.
const _: () = assert!(MAX_ANSWER / WITHDRAWN <= MAX_ITEMS && MAX_ANSWER / OFFER <= MAX_ITEMS);

/// One offer, as [`Offer`](super::super::messages::Offer) has it.
#[derive(Debug, Clone, Copy)]
pub struct OfferText<'a> {
    /// UUID.
    pub service: &'a [u8; 16],
    /// The device; `None`: for whoever is near.
    pub client: Option<&'a [u8; 6]>,
    /// Which said so.
    pub binding: u64,
    /// When it is shown.
    pub policy: &'a Policy,
    /// Elements of a beacon.
    pub template: &'a [u8],
    /// The lower goes first.
    pub rank: u32,
    /// Nobody said that its client is here.
    pub predicted: bool,
}

/// An answer to a look-up, as far as it is written.
pub struct OffersText<'a> {
    out: &'a mut Vec<u8>,
    /// Of the whole datagram, without its tag.
    limit: usize,
}

/// Writes `Answer { id, epoch, Offers { ttl_seconds, .. } }` behind what is in `out`; the rest of the offers is `write`'s to say.
pub(super) fn answer<'a>(
    out: &mut Vec<u8>,
    (id, epoch): (u32, u64),
    (ttl_seconds, withdrawn): (u32, impl ExactSizeIterator<Item = &'a [u8; 16]>),
    write: impl FnOnce(&mut OffersText<'_>),
) {
    let kept = withdrawn.len().min((MAX_ANSWER - AROUND) / WITHDRAWN);
    // `more`, and the second octet of a length.
    let limit = ANSWER_HEAD + MAX_ANSWER - WITHDRAWN * kept - 3;
    uint(out, 1, id.into());
    if epoch != 0 {
        out.push(2 << 3 | FIXED64);
        out.extend_from_slice(&epoch.to_le_bytes());
    }
    nested(out, 4, |out| {
        uint(out, 1, ttl_seconds.into());
        let mut text = OffersText { out, limit };
        write(&mut text);
        let more = text.limit == 0;
        withdrawn.take(kept).for_each(|uuid| octets(out, 3, uuid));
        uint(out, 4, more.into());
    });
}

impl OffersText<'_> {
    /// Adds an offer. `false`: it does not fit, and the answer says that there is more. Nothing fits any more then.
    pub fn offer(&mut self, offer: &OfferText<'_>) -> bool {
        let before = self.out.len();
        nested(self.out, 2, |out| {
            octets(out, 1, offer.service);
            octets(out, 2, offer.client.map_or(&[], |client| &client[..]));
            uint(out, 3, offer.binding);
            nested(out, 4, |out| policy(out, offer.policy));
            octets(out, 5, offer.template);
            uint(out, 6, offer.rank.into());
            uint(out, 7, offer.predicted.into());
        });
        let fits = self.out.len() <= self.limit;
        if !fits {
            self.out.truncate(before);
            self.limit = 0;
        }
        fits
    }
}

fn policy(out: &mut Vec<u8>, policy: &Policy) {
    sint(out, 1, policy.min_rssi_dbm);
    uint(out, 2, policy.min_up_kbps.into());
    uint(out, 3, policy.min_down_kbps.into());
    uint(out, 4, policy.delay_ms.into());
    uint(out, 5, policy.max_mobility.into());
    uint(out, 6, policy.steer_delay_ms.into());
    uint(out, 7, policy.dwell_seconds.into());
    sint(out, 8, policy.kick_rssi_dbm);
    sint(out, 9, policy.suppress_rssi_dbm);
    uint(out, 10, policy.max_clients.into());
    uint(out, 11, policy.hidden.into());
    uint(out, 12, policy.yields_to_home.into());
    uint(out, 13, policy.mobility.into());
}

// Wire types of Protocol Buffers.
const VARINT: u8 = 0;
const FIXED64: u8 = 1;
const LENGTH: u8 = 2;

/// A field that is left out when it is zero. Its number is below 16.
#[inline]
fn uint(out: &mut Vec<u8>, field: u8, value: u64) {
    if value != 0 {
        out.push(field << 3 | VARINT);
        varint(out, value);
    }
}

/// The same with a sign: zigzag.
#[inline]
fn sint(out: &mut Vec<u8>, field: u8, value: i32) {
    uint(out, field, u64::from((value << 1 ^ value >> 31) as u32));
}

#[inline]
fn octets(out: &mut Vec<u8>, field: u8, value: &[u8]) {
    if !value.is_empty() {
        out.push(field << 3 | LENGTH);
        varint(out, value.len() as u64);
        out.extend_from_slice(value);
    }
}

/// A message in a message: room for a short length in front of it, more if it gets long.
#[inline]
fn nested(out: &mut Vec<u8>, field: u8, write: impl FnOnce(&mut Vec<u8>)) {
    out.extend_from_slice(&[field << 3 | LENGTH, 0]);
    let start = out.len();
    write(out);
    let len = out.len() - start;
    if len < 0x80 {
        out[start - 1] = len as u8;
        return;
    }
    // A datagram's text: two octets of length.
    debug_assert!(len < 1 << 14);
    out.push(0);
    out.copy_within(start..start + len, start + 1);
    out[start - 1..=start].copy_from_slice(&[len as u8 | 0x80, (len >> 7) as u8]);
}

#[inline]
fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matchmaking::messages::{Answer, Offer, Offers, answer};
    use proptest::{collection::vec, prelude::*};
    use prost::Message;

    fn policies() -> impl Strategy<Value = Policy> {
        let numbers = prop::array::uniform8(prop_oneof![Just(0), any::<u32>(), 0..1000u32]);
        (numbers, any::<[i8; 3]>(), any::<[bool; 2]>()).prop_map(|(n, dbm, flags)| Policy {
            min_rssi_dbm: dbm[0].into(),
            min_up_kbps: n[0],
            min_down_kbps: n[1],
            delay_ms: n[2],
            max_mobility: n[3],
            steer_delay_ms: n[4],
            dwell_seconds: n[5],
            kick_rssi_dbm: dbm[1].into(),
            suppress_rssi_dbm: i32::from(dbm[2]) << 20,
            max_clients: n[6],
            hidden: flags[0],
            yields_to_home: flags[1],
            mobility: n[7],
        })
    }

    fn offers() -> impl Strategy<Value = Offer> {
        let client = prop_oneof![Just(Vec::new()), vec(any::<u8>(), 6)];
        let numbers = (prop_oneof![0..300u64, any::<u64>()], any::<u32>(), any::<bool>());
        (any::<[u8; 16]>(), client, policies(), vec(any::<u8>(), 0..400), numbers).prop_map(
            |(service, client, policy, template, (binding, rank, predicted))| Offer {
                service: service.to_vec(),
                client,
                binding,
                policy: Some(policy),
                template,
                rank,
                predicted,
            },
        )
    }

    proptest! {
        #[test]
        fn they_are_the_octets_of_the_message(
            (id, epoch) in (any::<u32>(), prop_oneof![Just(0), any::<u64>()]),
            ttl in prop_oneof![Just(0), any::<u32>()],
            offers in vec(offers(), 0..12),
            withdrawn in vec(any::<[u8; 16]>(), 0..80),
        ) {
            let mut out = vec![9; ANSWER_HEAD];
            let mut written = 0;
            answer(&mut out, (id, epoch), (ttl, withdrawn.iter()), |text| {
                for offer in &offers {
                    written += usize::from(text.offer(&OfferText {
                        service: offer.service[..].try_into().unwrap(),
                        client: offer.client[..].try_into().ok(),
                        binding: offer.binding,
                        policy: offer.policy.as_ref().unwrap(),
                        template: &offer.template,
                        rank: offer.rank,
                        predicted: offer.predicted,
                    }));
                }
            });
            prop_assert!(out.len() <= ANSWER_HEAD + MAX_ANSWER);
            let text = Answer::decode(&out[ANSWER_HEAD..]).unwrap();
            let withdrawn: Vec<_> = withdrawn.iter().map(|uuid| uuid.to_vec()).collect();
            let Some(answer::Answer::Offers(said)) = &text.answer else { panic!("{text:?}") };
            let kept = said.withdrawn.len();
            prop_assert_eq!(kept, withdrawn.len().min((MAX_ANSWER - AROUND) / WITHDRAWN));
            let expected = Answer {
                id,
                epoch,
                answer: Some(answer::Answer::Offers(Offers {
                    ttl_seconds: ttl,
                    offers: offers[..written].to_vec(),
                    withdrawn: withdrawn[..kept].to_vec(),
                    more: written < offers.len(),
                })),
            };
            prop_assert_eq!(&text, &expected);
            prop_assert_eq!(&out[ANSWER_HEAD..], &expected.encode_to_vec()[..]);
            // What was left out would not have fit: 10 octets around the rest.
            if let Some(next) = offers.get(written) {
                prop_assert!(expected.encoded_len() + next.encoded_len() + 10 > MAX_ANSWER);
            }
        }
    }
}
