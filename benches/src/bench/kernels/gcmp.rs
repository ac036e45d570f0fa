//! GCMP-128: the gateway's kernels beside AES-GCM of others, which GCM's parallel hash makes fast one frame after the other too.

use serde_json::{Value, json};

use super::{Contender, Ours, Plan, Sizes, Way, Work, samples};
use crate::bench::clock;
use crate::bench::section::{Goal, Target, cell, table};
use dataplane::crypto::{Kernel, Suite};
use dataplane::packet::BURST;

const SIZES: [Sizes; 3] = [Sizes::Fixed(64), Sizes::Fixed(1500), Sizes::Imix];

/// One line.
pub struct Row {
    way: Way,
    sizes: Sizes,
    /// Cycles per octet of body, in the order of the contenders.
    cycles: Vec<(&'static str, f64)>,
    /// How many times as fast as aws-lc ours is, where that has keys expanded before, and where it expands that of each frame.
    of_aws_lc: [Option<f64>; 2],
    /// The same beside ipsec-mb.
    of_ipsec_mb: [Option<f64>; 2],
}

/// As tables say them, with keys expanded before and for each frame.
const AWS_LC: [&str; 2] = ["aws-lc", "aws-lc+key"];
const IPSEC_MB: [&str; 2] = ["ipsec-mb", "ipsec-mb+key"];

/// Measures with as many keys as frames in a burst.
pub fn run(plan: &Plan) -> Vec<Row> {
    let mut work = Work::new(Suite::Gcmp128, BURST);
    let mut contenders = contenders(&work);
    let mut rows = Vec::new();
    for way in [Way::Seal, Way::Open] {
        for sizes in SIZES {
            work.set_sizes(sizes);
            let samples = samples(plan, way, sizes, &mut work, &mut contenders);
            let names: Vec<_> = contenders.iter().map(|contender| contender.name()).collect();
            let times = |peer: &str| {
                let at = names.iter().position(|name| *name == peer)?;
                Some(samples.ratio(at, 0))
            };
            let (of_aws_lc, of_ipsec_mb) = (AWS_LC.map(times), IPSEC_MB.map(times));
            let cycles = names.iter().enumerate().map(|(at, &name)| (name, samples.median(at))).collect();
            rows.push(Row { way, sizes, cycles, of_aws_lc, of_ipsec_mb });
        }
    }
    rows
}

fn contenders(_work: &Work) -> Vec<Box<dyn Contender>> {
    let mut all: Vec<Box<dyn Contender>> = Vec::new();
    all.extend(Ours::all().into_iter().map(|ours| Box::new(ours) as Box<dyn Contender>));
    #[cfg(feature = "peers")]
    {
        use super::peers::{AwsLc, IpsecMbGcm};
        let keys = &_work.keys;
        for (before, [aws_lc, ipsec_mb]) in
            [true, false].into_iter().zip([0, 1].map(|at| [AWS_LC[at], IPSEC_MB[at]]))
        {
            all.push(Box::new(AwsLc::gcm(aws_lc, keys, before)));
            all.push(Box::new(IpsecMbGcm::new(ipsec_mb, keys, before)));
        }
    }
    all
}

/// 1500 octets within 1.3 times aws-lc's time; ahead of it at 64, whenever it expands its keys.
pub fn goals(rows: &[Row]) -> Vec<Goal> {
    let mut goals = Vec::new();
    for row in rows {
        let what = format!("GCMP-128 {} {}, {BURST} keys", row.way.name(), row.sizes.name());
        let [before, each] = row.of_aws_lc;
        match row.sizes {
            Sizes::Fixed(1500) => goals.extend(before.map(|times| {
                Goal::new(format!("{what}: time, in aws-lc's"), 1.0 / times, Target::AtMost(1.3))
            })),
            Sizes::Fixed(64) => {
                for (found, whose) in [(before, "aws-lc"), (each, "aws-lc with a new key each")] {
                    let goal =
                        |found| Goal::new(format!("{what}: times {whose}"), found, Target::AtLeast(1.0));
                    goals.extend(found.map(goal));
                }
            }
            _ => {}
        }
    }
    goals
}

/// The table and what it means.
pub fn text(rows: &[Row]) -> String {
    let Some(first) = rows.first() else { return String::new() };
    let unit = if clock::CYCLES { "cycles" } else { "nanoseconds" };
    let mut header = vec![String::new(), "octets".to_owned()];
    header.extend(first.cycles.iter().map(|(name, _)| (*name).to_owned()));
    header.extend([AWS_LC, IPSEC_MB].concat().iter().map(|peer| format!("x {peer}")));
    let line = |row: &Row| {
        let mut cells = vec![row.way.name().to_owned(), row.sizes.name()];
        cells.extend(row.cycles.iter().map(|(_, cycles)| format!("{cycles:.2}")));
        cells.extend([row.of_aws_lc, row.of_ipsec_mb].concat().into_iter().map(|ratio| cell(ratio, 2)));
        cells
    };
    format!(
        "\nGCMP-128 kernels, one core, {unit} per octet of body; ours is {}:\n\n{}\n\
         Bursts of {BURST} frames, each under another key, of which there are as many. \"ours\" takes whole frames and 16-octet keys, which it expands\n\
         each time. The others get nonce and additional data ready-made, one frame after the other, and keys expanded before, or (+key) each time.\n\
         \"x\": how many times as fast is ours.\n",
        Kernel::best().name(),
        table(&header, rows.iter().map(line)),
    )
}

impl Row {
    /// For programs.
    pub fn json(&self) -> Value {
        let cycles: serde_json::Map<_, _> =
            self.cycles.iter().map(|&(name, cycles)| (name.to_owned(), json!(cycles))).collect();
        let ([aws_lc, aws_lc_key], [ipsec_mb, ipsec_mb_key]) = (self.of_aws_lc, self.of_ipsec_mb);
        json!({
            "suite": "GCMP-128", "way": self.way.name(), "octets": self.sizes.name(), "keys": BURST, "cycles_per_octet": cycles,
            "times_aws_lc": aws_lc, "times_aws_lc_with_new_keys": aws_lc_key,
            "times_ipsec_mb": ipsec_mb, "times_ipsec_mb_with_new_keys": ipsec_mb_key,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::work::{BODY, HEADER};
    use super::*;

    #[test]
    fn all_contenders_seal_alike_and_open_what_another_sealed() {
        let mut work = Work::new(Suite::Gcmp128, BURST);
        for contender in &mut contenders(&work) {
            for sizes in [Sizes::Fixed(64), Sizes::Random, Sizes::Imix] {
                work.set_sizes(sizes);
                work.next();
                let plain: Vec<_> =
                    work.frames.iter_mut().map(|frame| frame.parts_of::<16>().0.to_vec()).collect();
                contender.prepare(&mut work);
                contender.seal(&mut work);
                for (frame, plain) in work.frames.iter().zip(&plain) {
                    let tk = dot11::rsn::Tk::new(work.keys.keys[frame.key].0);
                    let mut clear = [&frame.buf[..HEADER], &plain[..]].concat();
                    clear[1] &= !0x40;
                    let pn = dot11::ccmp::Pn::new(frame.pn).unwrap();
                    let expected = dot11::gcmp::Gcmp::new(&tk).seal(0, pn, &clear).unwrap();
                    let sealed = &frame.buf[BODY..BODY + frame.len + 16];
                    assert_eq!(sealed, &expected[BODY..], "{} {sizes:?}", contender.name());
                }
                work.next_sealed();
                work.frames[3].parts_of::<16>().1[15] ^= 1;
                contender.prepare(&mut work);
                assert_eq!(contender.open(&mut work), BURST - 1, "{}", contender.name());
            }
        }
    }
}
