//! CCMP by itself: the gateway's kernels beside everybody else's, and beside the wall; and GCMP beside others' GCM.
//!
//! All of them seal or open the same bursts of 32 frames, every frame under another key, in turns. Ours gets whole frames and makes nonce and
//! additional data itself; the others, which only know CCM or GCM, get these ready-made.

mod gcmp;
mod ours;
#[cfg(feature = "peers")]
mod peers;
mod raw;
mod rustcrypto;
mod work;

use serde_json::{Value, json};

use super::clock;
use super::section::{Goal, Section, Target, table};
use super::turns::{self, Samples};
use dataplane::crypto::{Kernel, Suite};
use dataplane::packet::BURST;
use ours::Ours;
use raw::Raw;
use rustcrypto::RustCrypto;
use work::{Sizes, Work};

/// Somebody who seals and opens.
trait Contender {
    /// As the tables say it.
    fn name(&self) -> &'static str;

    /// Before every burst, outside of the timing.
    fn prepare(&mut self, _work: &mut Work) {}

    /// Seals every frame in place.
    fn seal(&mut self, work: &mut Work);

    /// Opens every frame in place; how many had the right MIC.
    fn open(&mut self, work: &mut Work) -> usize;
}

/// What to measure, and how often.
pub struct Plan {
    sizes: &'static [Sizes],
    /// Keys in the working set.
    keys: &'static [usize],
    rounds: usize,
    /// Octets of bodies per turn, about.
    turn: usize,
}

impl Plan {
    /// What `make bench` does.
    pub const FULL: Plan = Plan {
        sizes: &[Sizes::Fixed(64), Sizes::Fixed(512), Sizes::Fixed(1500), Sizes::Imix, Sizes::Random],
        keys: &[32, 1 << 20],
        rounds: 41,
        turn: 150_000,
    };
}

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Seal,
    Open,
}

impl Way {
    fn name(self) -> &'static str {
        match self {
            Way::Seal => "seal",
            Way::Open => "open",
        }
    }
}

/// One line.
struct Row {
    way: Way,
    sizes: Sizes,
    keys: usize,
    /// Cycles per octet of body, in the order of the contenders.
    cycles: Vec<(&'static str, f64)>,
    /// How many times as fast as the better of ipsec-mb's two ours is.
    of_ipsec_mb: Option<f64>,
    /// The same beside the fastest of all its three, one of which it would not choose here.
    of_best: Option<f64>,
    /// How many times as fast as the better of the two the wall is.
    wall: Option<f64>,
    /// How many times as fast as ipsec-mb held to AVX2 VAES-256 and AES-NI are.
    of_avx2: [Option<f64>; 2],
    /// The wall's time as a fraction of ours.
    of_raw: Option<f64>,
}

/// As it sets itself up here, and last, for AVX2.
const IPSEC_MB: [&str; 3] = ["ipsec-mb", "ipsec-mb+key", "ipsec-mb AVX2"];

/// Measures everything.
///
/// # Panics
/// If a contender opens a burst and finds a wrong MIC.
pub fn run(plan: &Plan) -> Section {
    let mut rows = Vec::new();
    let mut peer = "not built: feature `peers`";
    for &keys in plan.keys {
        let mut work = Work::new(Suite::Ccmp128, keys);
        let mut contenders = contenders(&work, &mut peer);
        for way in [Way::Seal, Way::Open] {
            for &sizes in plan.sizes {
                work.set_sizes(sizes);
                rows.push(row(plan, way, sizes, &mut work, &mut contenders));
            }
        }
    }
    let gcmp = gcmp::run(plan);
    let json = rows.iter().map(json).chain(gcmp.iter().map(gcmp::Row::json));
    let goals = [goals(&rows), gcmp::goals(&gcmp)].concat();
    Section { json: json.collect(), goals, text: text(&rows, peer) + &gcmp::text(&gcmp) }
}

fn contenders(work: &Work, _peer: &mut &'static str) -> Vec<Box<dyn Contender>> {
    let mut all: Vec<Box<dyn Contender>> = Vec::new();
    all.extend(Ours::all().into_iter().map(|ours| Box::new(ours) as Box<dyn Contender>));
    #[cfg(feature = "peers")]
    {
        use peers::{IpsecMb, Use};
        let keys = &work.keys;
        let stored = IpsecMb::new(keys, Use::Stored);
        *_peer = stored.arch();
        all.push(Box::new(stored));
        all.push(Box::new(IpsecMb::new(keys, Use::Expanding)));
        if is_avx2() {
            all.push(Box::new(IpsecMb::new(keys, Use::Avx2)));
        }
        all.push(Box::new(peers::AwsLc::ccm(keys)));
        all.push(Box::new(peers::OpenSsl::new(keys)));
    }
    all.push(Box::new(RustCrypto::new(&work.keys)));
    if let Some(raw) = Raw::new() {
        all.push(Box::new(raw));
    }
    all
}

#[cfg(feature = "peers")]
fn is_avx2() -> bool {
    #[cfg(target_arch = "x86_64")]
    return is_x86_feature_detected!("avx2");
    #[cfg(not(target_arch = "x86_64"))]
    return false;
}

/// Lets all of them take turns; cycles per octet of body.
fn samples(
    plan: &Plan,
    way: Way,
    sizes: Sizes,
    work: &mut Work,
    contenders: &mut [Box<dyn Contender>],
) -> Samples {
    let bursts = (plan.turn / (sizes.mean() * BURST)).clamp(1, 64);
    turns::take(contenders.len(), plan.rounds, |whose| {
        let contender = &mut contenders[whose];
        let (mut taken, mut octets) = (0, 0);
        for _ in 0..bursts {
            match way {
                Way::Seal => work.next(),
                Way::Open => work.next_sealed(),
            }
            contender.prepare(work);
            let start = clock::now();
            let right = match way {
                Way::Seal => {
                    contender.seal(work);
                    BURST
                }
                Way::Open => contender.open(work),
            };
            taken += clock::now() - start;
            assert_eq!(right, BURST, "{}: every MIC is right", contender.name());
            octets += work.octets();
        }
        taken as f64 / octets as f64
    })
}

fn row(plan: &Plan, way: Way, sizes: Sizes, work: &mut Work, contenders: &mut [Box<dyn Contender>]) -> Row {
    let samples = samples(plan, way, sizes, work, contenders);
    let cycles: Vec<_> =
        contenders.iter().enumerate().map(|(at, contender)| (contender.name(), samples.median(at))).collect();
    let find = |name: &str| cycles.iter().position(|(known, _)| *known == name);
    let times = |peers: &[&str], who: usize| {
        peers.iter().filter_map(|name| Some(samples.ratio(find(name)?, who))).min_by(f64::total_cmp)
    };
    let raw = find("raw AES");
    let of_avx2 = [Kernel::Vaes256, Kernel::AesNi].map(|kernel| {
        let who = find(kernel.name()).or((Kernel::best() == kernel).then_some(0));
        Some(samples.ratio(find("ipsec-mb AVX2")?, who?))
    });
    let (of_ipsec_mb, of_best) = (times(&IPSEC_MB[..2], 0), times(&IPSEC_MB, 0));
    let wall = raw.and_then(|raw| times(&IPSEC_MB[..2], raw));
    let of_raw = raw.map(|raw| samples.ratio(raw, 0));
    Row { way, sizes, keys: work.keys.keys.len(), cycles, of_ipsec_mb, of_best, wall, of_avx2, of_raw }
}

/// The goals: octets, keys, times ipsec-mb, fraction of raw.
const GOALS: [(Sizes, usize, f64, Option<f64>); 6] = [
    (Sizes::Fixed(64), 32, 4.0, None),
    (Sizes::Fixed(512), 32, 3.0, Some(0.55)),
    (Sizes::Imix, 32, 3.0, Some(0.55)),
    (Sizes::Fixed(1500), 32, 2.5, Some(0.80)),
    (Sizes::Imix, 1 << 20, 2.5, None),
    (Sizes::Fixed(1500), 1 << 20, 0.0, Some(0.70)),
];

fn goals(rows: &[Row]) -> Vec<Goal> {
    let mut goals = Vec::new();
    for row in rows {
        let Some(&(_, _, times, of_raw)) =
            GOALS.iter().find(|goal| (goal.0, goal.1) == (row.sizes, row.keys))
        else {
            continue;
        };
        let what = format!("{} {}, {}", row.way.name(), row.sizes.name(), keys_name(row.keys));
        let least = Target::AtLeast(times);
        if let (Some(found), Some(wall)) = (row.of_ipsec_mb.filter(|_| times > 0.0), row.wall) {
            // What is beyond the wall cannot be met, and is shown as missed.
            let wall = if wall < times { format!(" (the wall is {wall:.2})") } else { String::new() };
            goals.push(Goal::new(format!("{what}: times ipsec-mb{wall}"), found, least));
        }
        let [_, aes_ni] = row.of_avx2;
        if let Some(found) = aes_ni.filter(|_| row.sizes == Sizes::Fixed(1500) && times > 0.0) {
            let least = Target::AtLeast(1.4);
            goals.push(Goal::new(format!("{what}: AES-NI, times ipsec-mb with AVX2"), found, least));
        }
        if let (Some(found), Some(least)) = (row.of_raw, of_raw) {
            goals.push(Goal::new(format!("{what}: of raw AES"), found, Target::AtLeast(least)));
        }
    }
    goals
}

fn keys_name(keys: usize) -> String {
    if keys == 1 << 20 { "1 M keys".to_owned() } else { format!("{keys} keys") }
}

fn text(rows: &[Row], peer: &str) -> String {
    let Some(first) = rows.first() else { return String::new() };
    let unit = if clock::CYCLES { "cycles" } else { "nanoseconds" };
    let mut header = vec![String::new(), "octets".to_owned(), "keys".to_owned()];
    header.extend(first.cycles.iter().map(|(name, _)| (*name).to_owned()));
    header.extend(["x ipsec-mb", "wall x", "x its best", "of raw"].map(str::to_owned));
    let line = |row: &Row| {
        let mut cells = vec![row.way.name().to_owned(), row.sizes.name(), row.keys.to_string()];
        cells.extend(row.cycles.iter().map(|(_, cycles)| format!("{cycles:.2}")));
        cells.extend(
            [row.of_ipsec_mb, row.wall, row.of_best, row.of_raw].map(|ratio| super::section::cell(ratio, 2)),
        );
        cells
    };
    format!(
        "CCMP-128 kernels, one core, {unit} per octet of body; ours is {}:\n\n{}\n\
         Bursts of 32 frames, each under another key; of a million keys, drawn at random. \"ours\" takes whole frames and 16-octet keys. The\n\
         others get nonce and additional data ready-made, and keys expanded before; at a million keys ccm, aws-lc and OpenSSL expand the key of\n\
         each frame. ipsec-mb chooses {peer} here and is shown with keys expanded before, expanding them (+key), and held to AVX2. \"raw AES\": as\n\
         many AES blocks, nothing else. \"x ipsec-mb\": how many times as fast as ipsec-mb is ours, where it chooses; \"wall x\": raw AES likewise;\n\
         \"x its best\": ours beside the fastest of all three; \"of raw\": time of raw AES / time of ours.\n",
        Kernel::best().name(),
        table(&header, rows.iter().map(line)),
    )
}

fn json(row: &Row) -> Value {
    let cycles: serde_json::Map<_, _> =
        row.cycles.iter().map(|&(name, cycles)| (name.to_owned(), json!(cycles))).collect();
    json!({
        "suite": "CCMP-128", "way": row.way.name(), "octets": row.sizes.name(), "keys": row.keys, "cycles_per_octet": cycles,
        "times_ipsec_mb": row.of_ipsec_mb, "times_best_ipsec_mb": row.of_best, "raw_times_ipsec_mb": row.wall, "of_raw": row.of_raw,
        "vaes_256_times_ipsec_mb_avx2": row.of_avx2[0], "aes_ni_times_ipsec_mb_avx2": row.of_avx2[1],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_contenders_seal_alike_and_open_what_another_sealed() {
        for keys in [32, 1000] {
            let mut work = Work::new(Suite::Ccmp128, keys);
            let mut contenders = contenders(&work, &mut "");
            for sizes in [Sizes::Fixed(64), Sizes::Random, Sizes::Imix] {
                work.set_sizes(sizes);
                for contender in contenders.iter_mut().filter(|contender| contender.name() != "raw AES") {
                    work.next();
                    let keys = work.keys.keys.clone();
                    let plain: Vec<_> =
                        work.frames.iter_mut().map(|frame| frame.parts().0.to_vec()).collect();
                    contender.prepare(&mut work);
                    contender.seal(&mut work);
                    for (frame, plain) in work.frames.iter_mut().zip(&plain) {
                        let tk = dot11::rsn::Tk::new(keys[frame.key].0);
                        let mut clear = frame.buf[..work::HEADER].to_vec();
                        clear[1] &= !0x40;
                        let clear = [&clear, &plain[..]].concat();
                        let pn = dot11::ccmp::Pn::new(frame.pn).unwrap();
                        let expected = dot11::ccmp::seal(&tk, 0, pn, &clear).unwrap();
                        assert_eq!(
                            frame.buf[work::BODY..work::BODY + frame.len + 8],
                            expected[work::BODY..],
                            "{} {sizes:?}",
                            contender.name()
                        );
                    }
                    work.next_sealed();
                    work.frames[3].parts().1[0] ^= 1;
                    contender.prepare(&mut work);
                    assert_eq!(contender.open(&mut work), BURST - 1, "{}", contender.name());
                }
            }
        }
    }

    #[test]
    fn every_combination_has_its_line() {
        let plan =
            Plan { sizes: &[Sizes::Fixed(64), Sizes::Fixed(1500)], keys: &[32, 100], rounds: 3, turn: 1 };
        let section = run(&plan);
        let rows = section.json.as_array().unwrap();
        let of = |suite| rows.iter().filter(|row| row["suite"] == suite).collect::<Vec<_>>();
        assert_eq!((of("CCMP-128").len(), of("GCMP-128").len()), (8, 6));
        assert!(rows.iter().all(|row| row["cycles_per_octet"]["ours"].as_f64().unwrap() > 0.0));
        assert_eq!(of("CCMP-128")[7]["way"], "open");
    }
}
