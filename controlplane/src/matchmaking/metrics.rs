//! What Prometheus is told of the matchmaker: once a second, off the path of datagrams.

use std::time::Duration;

use super::Desk;

/// When it was told what takes longer to count.
#[derive(Debug, Default)]
pub(super) struct Told(Duration);

/// Instances are counted by going through all services.
const SELDOM: Duration = Duration::from_secs(5);

/// Counters as they are now, and how much there is.
pub(super) fn tell(desk: &Desk, told: &mut Told, now: Duration) {
    for (name, value) in desk.counted() {
        metrics::counter!("ttg_matchmaker_total", "what" => name).absolute(value);
    }
    let gauge = |name: &'static str, value: usize| {
        metrics::gauge!("ttg_matchmaker", "what" => name).set(value as f64)
    };
    gauge("radios", desk.matchmaker.radios());
    gauge("bindings", desk.matchmaker.bindings().len());
    gauge("introductions", desk.matchmaker.introductions());
    gauge("services_of_strangers", desk.matchmaker.services_of_strangers() as usize);
    gauge("watchers", desk.watchers());
    if now.saturating_sub(told.0) < SELDOM {
        return;
    }
    told.0 = now;
    let live =
        |instances: &[matchmaker::presence::Instance]| instances.iter().filter(|i| i.is_live(now)).count();
    gauge("accounts", desk.matchmaker.accounts().known().count());
    gauge("services", desk.matchmaker.services().count());
    gauge("instances", desk.matchmaker.services().map(|(_, instances)| live(instances)).sum());
}
