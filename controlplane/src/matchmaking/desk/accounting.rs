//! Accounting: who may report what devices used, and what of it goes on record.
//!
//! A record is in the books of the service's account, and names that of the radio. So neither side can report what the two have nothing to do
//! with: the device was introduced to the service at that radio, in that tunnel, or the radio's account lets the service be shown on its radios,
//! which is what a matchmaker goes by that has forgotten the introduction.

use std::time::Duration;

use dot11::MacAddr;
use matchmaker::{Refusal, Uuid, presence::Peer};
use proto::matchmaking::messages as pb;
use records::{Report, Side, Totals};

use super::{Asker, Desk};
use crate::matchmaking::convert::{mac, sixteen, uuid};

impl Desk {
    /// What one side says of a session, if it is the one that it says it is.
    pub(super) fn report(
        &mut self,
        asker: &Asker,
        peer: Peer,
        said: &pb::Accounting,
        now: Duration,
    ) -> Result<Report, Refusal> {
        let (service, radio) = (uuid(&said.service), mac(&said.radio));
        self.matchmaker.service(service).ok_or(Refusal::UnknownService)?;
        let side = match said.side() {
            pb::accounting::Side::Radio => {
                self.matchmaker.admit_radio(peer, radio, now)?;
                Side::Radio
            }
            pb::accounting::Side::Service | pb::accounting::Side::Unspecified => {
                self.matchmaker.is_service_of(peer, service)?;
                Side::Service
            }
        };
        // The configuration may introduce anybody to its own.
        let configured = matches!(asker, Asker::Local(_));
        if !configured
            && !self.is_session(said, service, radio)
            && !self.matchmaker.is_within_reach(service, radio)
        {
            return Err(Refusal::NotIntroduced);
        }
        let accounts = self.matchmaker.accounts();
        let owner = self.matchmaker.service(service).map(|service| &service.owner);
        let radio_account =
            self.matchmaker.radio(radio, now).and_then(|radio| accounts.id(radio.owner.account).cloned());
        Ok(Report {
            account: owner.and_then(|owner| owner.account()).cloned(),
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
    /// Whether the device was introduced to the service there.
    fn is_session(&self, said: &pb::Accounting, service: Uuid, radio: MacAddr) -> bool {
        let introduced = self.matchmaker.introduced(mac(&said.bssid), mac(&said.client));
        introduced.is_some_and(|introduced| {
            introduced.session_id == sixteen(&said.session_id)
                && introduced.radio == radio
                && self.matchmaker.bindings().service(service) == Some(introduced.service)
        })
    }
}
