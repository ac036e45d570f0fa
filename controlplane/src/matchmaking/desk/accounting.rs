//! Accounting: who may report what devices used, and what of it goes on record.

use std::time::Duration;

use matchmaker::{Refusal, objects::Owner, presence::Peer};
use proto::matchmaking::messages as pb;
use records::{Report, Side, Totals};

use super::Desk;
use crate::matchmaking::convert::{mac, sixteen, uuid};

impl Desk {
    /// What one side says of a session, if it is the one that it says it is.
    pub(super) fn report(&self, peer: Peer, said: &pb::Accounting, now: Duration) -> Result<Report, Refusal> {
        let (service, radio) = (uuid(&said.service), mac(&said.radio));
        let owner = &self.matchmaker.service(service).ok_or(Refusal::UnknownService)?.owner;
        let accounts = self.matchmaker.accounts();
        let side = match said.side() {
            pb::accounting::Side::Radio => {
                self.matchmaker.is_radio_of(peer, radio, now)?;
                Side::Radio
            }
            pb::accounting::Side::Service | pb::accounting::Side::Unspecified => {
                let is_owner = match owner {
                    Owner::Account(account) => accounts.id(peer.account) == Some(account),
                    Owner::Key(key) => accounts.id(peer.account).is_none() && *key == peer.key,
                };
                if !is_owner {
                    return Err(Refusal::NotYours);
                }
                Side::Service
            }
        };
        let radio_account =
            self.matchmaker.radio(radio, now).and_then(|radio| accounts.id(radio.owner.account).cloned());
        Ok(Report {
            account: owner.account().cloned(),
            session: sixteen(&said.session_id),
            client: mac(&said.client),
            service,
            radio,
            radio_account,
            side,
            totals: Totals {
                sequence: said.sequence,
                up_octets: said.up_octets,
                down_octets: said.down_octets,
                up_packets: said.up_packets,
                down_packets: said.down_packets,
                seconds: said.seconds,
                rssi_dbm: said.rssi_dbm,
                ended: said.ended,
                at: u64::try_from(now.as_millis()).unwrap_or(u64::MAX),
            },
        })
    }
}
