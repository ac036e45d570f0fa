//! What devices used, out of the records.

use proto::admin::{ListUsageRequest, ListUsageResponse, Usage, UsageTotals};
use records::{Cursor, MAX_PAGE, Query, Session, Totals};
use tonic::Status;

use super::{AdminService, text};

impl AdminService {
    pub(super) async fn usage(&self, asked: ListUsageRequest) -> Result<ListUsageResponse, Status> {
        let ms = |field: &str, ms: i64| {
            u64::try_from(ms).map_err(|_| text::invalid(field, format!("{ms} is before 1970")))
        };
        let limit = match usize::try_from(asked.page_size).unwrap_or(usize::MAX) {
            0 => MAX_PAGE,
            size if size <= MAX_PAGE => size,
            size => {
                let text = format!("{size} is more than {MAX_PAGE}; ask for the rest with page_token");
                return Err(text::invalid("page_size", text));
            }
        };
        let after = match asked.page_token.as_str() {
            "" => None,
            token => Some(Cursor::from_token(token).ok_or_else(|| {
                text::invalid("page_token", format!("`{token}` is not the next_page_token of an answer"))
            })?),
        };
        let query = Query {
            from: ms("from_unix_ms", asked.from_unix_ms)?,
            to: if asked.to_unix_ms == 0 { u64::MAX } else { ms("to_unix_ms", asked.to_unix_ms)? },
            account: asked.account.map(|account| text::account_or_none("account", &account)).transpose()?,
            radio: (!asked.radio.is_empty()).then(|| text::mac("radio", &asked.radio)).transpose()?,
            service: (!asked.service.is_empty())
                .then(|| text::uuid("service", &asked.service))
                .transpose()?,
            after,
            limit,
        };
        let records = super::there(self.matchmaker()?.records.upgrade())?;
        let page = records.sessions(query).await.map_err(|error| Status::unavailable(error.to_string()))?;
        Ok(ListUsageResponse {
            usage: page.sessions.iter().map(message).collect(),
            next_page_token: page.more.map_or_else(String::new, |cursor| cursor.token()),
        })
    }
}

fn message(session: &Session) -> Usage {
    Usage {
        session_id: session.session.iter().map(|octet| format!("{octet:02x}")).collect(),
        client: session.client.to_string(),
        service: session.service.to_string(),
        radio: session.radio.to_string(),
        service_account: text::account_text(session.account.as_ref()),
        radio_account: text::account_text(session.radio_account.as_ref()),
        first_unix_ms: unix_ms(session.first),
        by_radio: session.by_radio.map(totals),
        by_service: session.by_service.map(totals),
        disagree: session.disagrees(),
    }
}

fn totals(totals: Totals) -> UsageTotals {
    UsageTotals {
        up_octets: totals.up_octets,
        down_octets: totals.down_octets,
        up_packets: totals.up_packets,
        down_packets: totals.down_packets,
        seconds: totals.seconds,
        rssi_dbm: totals.rssi_dbm,
        ended: totals.ended,
        last_unix_ms: unix_ms(totals.at),
    }
}

fn unix_ms(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}
