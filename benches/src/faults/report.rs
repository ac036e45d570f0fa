//! What the run came to: a table for people, JSON for programs.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};

use super::{Fault, model::Violations};
use crate::bench::section::table;

/// Of all rounds with one kind of fault.
#[derive(Debug, Clone, Default)]
pub struct Kind {
    /// How many there were.
    pub rounds: u64,
    /// What was acknowledged meanwhile.
    pub acknowledged: u64,
    /// Found after them for the first time.
    pub violations: Violations,
    /// The longest that a change of a binding waited.
    pub change: Duration,
    /// The longest that a registration waited.
    pub registration: Duration,
    /// How long it took at most, after everything was back, until every control process knew what is at the others.
    pub known: Duration,
}

/// Of a run.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// What repeats it, as far as times allow.
    pub seed: u64,
    /// By kind of fault.
    pub kinds: BTreeMap<Fault, Kind>,
    /// Everything that was found.
    pub violations: Violations,
    /// Answers that should not have been given.
    pub errors: Vec<String>,
    /// Bindings and services in the end.
    pub size: (usize, usize),
    /// How long it took.
    pub took: Duration,
}

impl Report {
    /// Nothing acknowledged was lost, nothing is there that was not asked for, and all answers were as they should be.
    pub fn is_good(&self) -> bool {
        self.violations.is_empty() && self.errors.is_empty()
    }

    /// How many rounds there were.
    pub fn rounds(&self) -> u64 {
        self.kinds.values().map(|kind| kind.rounds).sum()
    }

    /// For people.
    pub fn text(&self) -> String {
        let line = |name: &str, kind: &Kind| {
            [
                name.to_owned(),
                kind.rounds.to_string(),
                kind.acknowledged.to_string(),
                kind.violations.lost.len().to_string(),
                kind.violations.unasked.len().to_string(),
                format!("{:.1}", kind.change.as_secs_f64()),
                format!("{:.1}", kind.registration.as_secs_f64()),
                format!("{:.1}", kind.known.as_secs_f64()),
            ]
        };
        let all = self.kinds.values().fold(Kind::default(), |mut all, kind| {
            all.rounds += kind.rounds;
            all.acknowledged += kind.acknowledged;
            all.violations.add(kind.violations.clone());
            all.change = all.change.max(kind.change);
            all.registration = all.registration.max(kind.registration);
            all.known = all.known.max(kind.known);
            all
        });
        let kinds = self.kinds.iter().map(|(fault, kind)| line(fault.name(), kind));
        let lines = kinds.chain([line("all", &all)]).collect::<Vec<_>>();
        let head = [
            "kill -9 of",
            "rounds",
            "acknowledged",
            "lost",
            "unasked",
            "longest change, s",
            "registration, s",
            "known elsewhere, s",
        ];
        let mut text = format!(
            "{}\nAfter each round every control process and the database were compared with what had been acknowledged, and a device at\n\
             each was introduced to a gateway at each; in the end {} bindings and {} services. {:.0} s, seed {}.\n",
            table(&head, lines),
            self.size.0,
            self.size.1,
            self.took.as_secs_f64(),
            self.seed,
        );
        let violations = &self.violations;
        let lists = [("lost", &violations.lost), ("unasked", &violations.unasked)];
        for (name, list) in lists {
            list.iter().take(20).for_each(|what| text.push_str(&format!("{name}: {what}\n")));
        }
        self.errors.iter().take(20).for_each(|error| text.push_str(&format!("error: {error}\n")));
        text
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let kind = |(fault, kind): (&Fault, &Kind)| {
            json!({
                "killed": fault.name(), "rounds": kind.rounds, "acknowledged": kind.acknowledged,
                "lost": kind.violations.lost.len(), "unasked": kind.violations.unasked.len(),
                "longest_change_s": kind.change.as_secs_f64(), "longest_registration_s": kind.registration.as_secs_f64(),
                "longest_known_elsewhere_s": kind.known.as_secs_f64(),
            })
        };
        json!({
            "rounds": self.rounds(), "seed": self.seed, "seconds": self.took.as_secs_f64(),
            "kinds": self.kinds.iter().map(kind).collect::<Vec<_>>(),
            "lost": self.violations.lost, "unasked": self.violations.unasked, "errors": self.errors,
            "bindings": self.size.0, "services": self.size.1,
        })
    }
}
