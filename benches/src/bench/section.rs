//! What one bench gives: tables for people, JSON for programs, and whether the goals of the design are met.

use serde_json::{Value, json};

/// What one bench found.
pub struct Section {
    /// Tables, with what is compared and how.
    pub text: String,
    /// The same for programs.
    pub json: Value,
    /// What was aimed at.
    pub goals: Vec<Goal>,
}

/// Something aimed at, and what was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Goal {
    /// What is measured, and of what.
    pub what: String,
    /// Found.
    pub measured: f64,
    /// Aimed at.
    pub target: Target,
}

/// What is aimed at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Target {
    /// This or more.
    AtLeast(f64),
    /// This or less.
    AtMost(f64),
}

impl Goal {
    /// A goal, and what was found.
    pub fn new(what: impl Into<String>, measured: f64, target: Target) -> Goal {
        Goal { what: what.into(), measured, target }
    }

    /// Whether it is met.
    pub fn is_met(&self) -> bool {
        match self.target {
            Target::AtLeast(least) => self.measured >= least,
            Target::AtMost(most) => self.measured <= most,
        }
    }
}

/// The table of all goals.
pub fn goals(goals: &[Goal]) -> String {
    let line = |goal: &Goal| {
        let target = match goal.target {
            Target::AtLeast(least) => format!(">= {}", number(least)),
            Target::AtMost(most) => format!("<= {}", number(most)),
        };
        let verdict = if goal.is_met() { "met" } else { "MISSED" };
        [goal.what.clone(), number(goal.measured), target, verdict.to_owned()]
    };
    table(&["goal", "measured", "target", ""], goals.iter().map(line))
}

/// All goals for programs.
pub fn goals_json(goals: &[Goal]) -> Value {
    let object = |goal: &Goal| {
        let (bound, target) = match goal.target {
            Target::AtLeast(least) => ("at_least", least),
            Target::AtMost(most) => ("at_most", most),
        };
        json!({ "what": goal.what, "measured": goal.measured, bound: target, "met": goal.is_met() })
    };
    goals.iter().map(object).collect()
}

/// With as many decimals as its size deserves.
pub fn number(value: f64) -> String {
    let decimals = match value.abs() {
        size if size >= 100.0 || size == size.trunc() && size >= 10.0 => 0,
        size if size >= 10.0 => 1,
        _ => 2,
    };
    format!("{value:.decimals$}")
}

/// The same of what may not be there.
pub fn cell(value: Option<f64>, decimals: usize) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.decimals$}"))
}

/// Columns as wide as their widest cell; the first is aligned to the left, the others to the right.
pub fn table<H: AsRef<str>, L: AsRef<[String]>>(header: &[H], rows: impl IntoIterator<Item = L>) -> String {
    let mut lines = vec![header.iter().map(|cell| cell.as_ref().to_owned()).collect::<Vec<_>>()];
    lines.extend(rows.into_iter().map(|row| row.as_ref().to_vec()));
    let columns = lines.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        lines.iter().filter_map(|line| line.get(column)).map(|cell| cell.chars().count()).max()
    };
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or_default()).collect();
    let mut text = String::new();
    for line in &lines {
        let mut cells = line.iter().zip(&widths);
        let first = cells.next().map(|(cell, width)| format!("{cell:<width$}")).unwrap_or_default();
        let line = cells.fold(first, |line, (cell, width)| format!("{line}  {cell:>width$}"));
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = [["a".to_owned(), "1".to_owned()], ["long".to_owned(), "10".to_owned()]];
        assert_eq!(table(&["", "n"], rows), "       n\na      1\nlong  10\n");
    }

    #[test]
    fn goals_say_what_is_met() {
        let found = [
            Goal::new("seal, 64 octets: ours / peer", 4.25, Target::AtLeast(4.0)),
            Goal::new("octets per station", 1100.0, Target::AtMost(1024.0)),
        ];
        assert_eq!(
            goals(&found),
            "goal                          measured   target\n\
             seal, 64 octets: ours / peer      4.25  >= 4.00     met\n\
             octets per station                1100  <= 1024  MISSED\n"
        );
        assert_eq!(
            goals_json(&found[1..]),
            json!([{ "what": "octets per station", "measured": 1100.0, "at_most": 1024.0, "met": false }])
        );
    }
}
