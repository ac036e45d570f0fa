//! Devices that hide their address, in a town: how many of those who arrive somewhere see their network within three seconds.
//!
//! The matchmaker is the real one, on virtual time; radios follow the agent's rules of what goes first when there are more
//! networks than BSSIDs. Beside it the same town with a matchmaker that goes by addresses alone: no names of networks, no
//! prediction. Counted is who stays at least a minute.
//!
//! In the JSON file, `city` is an object: `plan`, and `rows`, each with `who`, `arrivals`, `share` and `share_by_address`.

mod radio;
mod simulation;
mod town;

use serde_json::json;

use super::section::{Goal, Section, Target, number, table};
use simulation::{Scheme, Tally, simulate};

pub use town::Plan;

impl Plan {
    pub const FULL: Plan = Plan { side: 20, warm_up: 9, days: 5 };
}

/// Simulates.
pub fn run(plan: &Plan) -> Section {
    let (ours, predictions) = simulate(plan, Scheme::All);
    let (by_address, _) = simulate(plan, Scheme::AddressOnly);
    let (mut rows, mut lines) = (Vec::new(), Vec::new());
    for ((who, ours), (_, by_address)) in ours.rows().into_iter().zip(by_address.rows()) {
        lines.push([who.to_owned(), ours.arrivals.to_string(), percent(ours), percent(by_address)]);
        rows.push(json!({
            "who": who, "arrivals": ours.arrivals, "share": ours.share(), "share_by_address": by_address.share(),
        }));
    }
    let text = format!(
        "{} radios with {} BSSIDs each, three people to a radio, {} days after {} to get to know them. Of 100 who arrive, so \
         many see their network within 3 s:\n\n{}\nOf the networks that were shown because somebody was expected, {} in a hundred were \
         joined; of those who came with a throw-away address, {} in a hundred had been expected.\n",
        plan.side * plan.side,
        radio::BSSIDS,
        plan.days,
        plan.warm_up,
        table(&["who", "arrivals", "all means", "address only"], lines),
        number(predictions.hits as f64 * 100.0 / predictions.offered.max(1) as f64),
        number(predictions.hits as f64 * 100.0 / (predictions.hits + predictions.misses).max(1) as f64),
    );
    let hidden = ours.hidden().share() / by_address.hidden().share().max(0.001);
    let goals = vec![Goal::new(
        "city: away from home with throw-away addresses, networks seen: all means / address only",
        hidden,
        Target::AtLeast(10.0),
    )];
    let plan = json!({ "radios": plan.side * plan.side, "warm_up_days": plan.warm_up, "days": plan.days });
    Section { text, json: json!({ "plan": plan, "rows": rows }), goals }
}

fn percent(tally: Tally) -> String {
    number(tally.share() * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_town_finds_its_networks() {
        let plan = Plan { side: 8, warm_up: 2, days: 1 };
        let (ours, _) = simulate(&plan, Scheme::All);
        let (by_address, _) = simulate(&plan, Scheme::AddressOnly);
        assert_eq!(ours.all().arrivals, by_address.all().arrivals, "the same days");
        assert!(ours.all().arrivals > 300);
        // At home everybody is known by the place.
        let of = |tally: &simulation::Tallies, who: &str| {
            tally.rows().into_iter().find(|(name, _)| *name == who).expect("such a row").1.share()
        };
        assert!(of(&ours, "at home") > 0.99);
        assert!(of(&ours, "away, own address") > 0.95);
        assert!(ours.hidden().share() > 2.0 * by_address.hidden().share());
        assert!(of(&by_address, "away, throw-away address, silent") < 0.2);
    }
}
