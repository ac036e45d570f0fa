//! What devices used is kept for as long as the configuration says, and then forgotten.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use records::{Records, RecordsError};

/// It is looked at that often; several processes do no harm to each other.
const EVERY: Duration = Duration::from_secs(6 * 3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Until the process ends. `days`: zero for ever.
pub(super) async fn run(records: Arc<dyn Records>, days: u32) {
    if days == 0 {
        return std::future::pending().await;
    }
    loop {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        match forget(&*records, DAY.saturating_mul(days), now).await {
            Ok(0) => {}
            Ok(forgotten) => {
                tracing::info!(forgotten, days, "sessions that are over for so long are forgotten")
            }
            Err(error) => tracing::warn!(%error, "cannot forget old sessions; trying again later"),
        }
        tokio::time::sleep(EVERY).await;
    }
}

async fn forget(records: &dyn Records, keep: Duration, now: Duration) -> Result<u64, RecordsError> {
    let before = u64::try_from(now.saturating_sub(keep).as_millis()).unwrap_or(u64::MAX);
    records.forget_sessions(before).await
}

#[cfg(test)]
mod tests {
    use dot11::MacAddr;
    use matchmaker::Uuid;
    use records::{Embedded, Query, Report, Side, Totals};

    use super::*;

    #[tokio::test]
    async fn what_is_older_than_the_setting_is_forgotten() {
        let state = tempfile::tempdir().unwrap();
        let records = Embedded::open(&state.path().join("records")).unwrap();
        let report = |session: u8, day: u64| Report {
            account: None,
            session: [session; 16],
            client: MacAddr([2, 0, 0, 0, 0, 7]),
            service: Uuid::from_u128(1),
            radio: MacAddr([2, 0, 0, 0, 0, 9]),
            radio_account: None,
            side: Side::Radio,
            totals: Totals { sequence: 1, at: day * 24 * 3600 * 1000, ..Totals::default() },
        };
        records.account(vec![report(1, 10), report(2, 411), report(3, 500)]).await.unwrap();
        assert_eq!(forget(&records, 400 * DAY, 811 * DAY).await.unwrap(), 1);
        assert_eq!(forget(&records, 400 * DAY, 811 * DAY).await.unwrap(), 0);
        assert_eq!(records.sessions(Query::default()).await.unwrap().sessions.len(), 2);
    }
}
