//! The index against a model, at full size, and while it changes its size.

use super::*;
use proptest::prelude::*;
use std::collections::HashMap;

fn key(n: u32) -> Key {
    let [a, b, c, d] = n.to_be_bytes();
    Key::new([2, 0, 0, 0, 0, 1], [2, 0, a, b, c, d])
}

/// Every entry is where a look-up gets to, in the order of homes, and counted.
fn check(index: &Index) {
    let mut entries = 0;
    for (table, longest) in [(Some(index.table), index.head.longest), (index.old, index.head.old_longest)] {
        let Some(table) = table else { continue };
        for at in (0..=table.mask).filter(|&at| table.entry(at).place != 0) {
            entries += 1;
            let distance = table.distance(at, index.seed);
            assert!(distance <= longest as usize);
            let before = at.wrapping_sub(1) & table.mask;
            let before = (table.entry(before).place != 0).then(|| table.distance(before, index.seed));
            assert!(before.map_or(distance < LINE, |before| distance <= before + 1), "no gap on the way");
        }
    }
    assert_eq!(entries, index.len());
}

fn station(n: u32, value: u32) -> StationId {
    StationId(n.wrapping_mul(7) % 1000 + value)
}

#[derive(Clone, Debug)]
enum Step {
    Insert(u32, u32),
    Remove(u32, u32),
    InsertMany(u32, u32),
    RemoveMany(u32, u32),
    Maintain(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let n = 0..4000u32;
    proptest::collection::vec(
        prop_oneof![
            4 => (n.clone(), 0..3u32).prop_map(|(n, value)| Step::Insert(n, value)),
            4 => (n.clone(), 0..3u32).prop_map(|(n, value)| Step::Remove(n, value)),
            1 => (n.clone(), 0..1500u32).prop_map(|(n, many)| Step::InsertMany(n, many)),
            1 => (n, 0..1500u32).prop_map(|(n, many)| Step::RemoveMany(n, many)),
            1 => (0..2000usize).prop_map(Step::Maintain),
        ],
        1..120,
    )
}

struct Model {
    index: Index,
    map: HashMap<u32, StationId>,
}

impl Model {
    fn insert(&mut self, n: u32, value: u32) {
        assert!(self.index.insert(key(n), station(n, value)));
        self.map.insert(n, station(n, value));
    }

    fn remove(&mut self, n: u32, value: u32) {
        let there = self.map.get(&n) == Some(&station(n, value));
        assert_eq!(self.index.remove(key(n), station(n, value)), there);
        if there {
            self.map.remove(&n);
        }
    }
}

proptest! {
    #[test]
    fn behaves_like_a_map_through_growth_removal_and_shrinking(steps in steps(), seed: u64) {
        let mut model = Model { index: Index::new(1, seed), map: HashMap::new() };
        for step in steps {
            match step {
                Step::Insert(n, value) => model.insert(n, value),
                Step::Remove(n, value) => model.remove(n, value),
                Step::InsertMany(from, many) => (from..from + many).for_each(|n| model.insert(n, 0)),
                Step::RemoveMany(from, many) => (from..from + many).for_each(|n| model.remove(n, 0)),
                Step::Maintain(slots) => model.index.maintain(slots),
            }
            prop_assert_eq!(model.index.len(), model.map.len());
        }
        let Model { index, map } = model;
        check(&index);
        let keys: Vec<_> = (0..6000).map(key).collect();
        let mut found = vec![None; keys.len()];
        index.get_burst(&keys, &mut found);
        for n in 0..6000 {
            prop_assert_eq!(index.get(key(n)), map.get(&n).copied());
            prop_assert_eq!(found[n as usize], map.get(&n).copied());
        }
    }
}

#[test]
fn it_shrinks_to_what_it_was_and_gives_memory_back() {
    let mut index = Index::new(48, 5);
    let least = index.stats().entries;
    (0..50_000).for_each(|n| assert!(index.insert(key(n), StationId(n))));
    assert_eq!(index.stats().entries, 1 << 17);
    (0..50_000).for_each(|n| assert!(index.remove(key(n), StationId(n))));
    while index.stats().entries > least {
        // Each removal is a chance to go on.
        index.insert(key(1), StationId(1));
        index.remove(key(1), StationId(1));
    }
    index.maintain(usize::MAX);
    assert!(!index.stats().resizing && index.is_empty());
    while index.stale.1 > 0 {
        index.maintain(0);
    }
    (0..50_000).for_each(|n| assert!(index.insert(key(n), StationId(n))));
    assert!((0..50_000).all(|n| index.get(key(n)) == Some(StationId(n))));
    check(&index);
}

#[test]
fn no_key_is_far_from_home_at_full_size() {
    // As full as it gets: three quarters of 2²² entries, then while it grows.
    let keys = 3 << 20;
    let (mut index, _) = Index::reserve(keys - 1, keys * 2, 0x1234_5678_9abc_def0).unwrap();
    (0..keys as u32).for_each(|n| assert!(index.insert(key(n), StationId(n))));
    let stats = index.stats();
    assert_eq!((stats.keys, stats.entries, stats.resizing), (keys as u64, 1 << 22, false));
    assert!(stats.longest_probe <= MAX_PROBE, "{stats:?}");
    let looked = (0..keys as u32).step_by(1001);
    assert!(looked.clone().all(|n| index.get(key(n)) == Some(StationId(n))));
    let mut more = keys as u32;
    while !index.stats().resizing || !more.is_multiple_of(1000) {
        assert!(index.insert(key(more), StationId(more)));
        more += 1;
    }
    assert!(looked.clone().all(|n| index.get(key(n)) == Some(StationId(n))));
    while index.stats().resizing {
        index.maintain(1 << 16);
    }
    assert!(looked.clone().all(|n| index.get(key(n)) == Some(StationId(n))));
    assert!((more..more + 1000).all(|n| index.get(key(n)).is_none()));
    assert!(index.stats().longest_probe <= MAX_PROBE, "{:?}", index.stats());
    eprintln!("{stats:?}, then {:?}", index.stats());
}

#[test]
fn a_full_index_refuses() {
    let (mut index, _) = Index::reserve(10, 96, 1).unwrap();
    let taken = (0..1000).filter(|&n| index.insert(key(n), StationId(n))).count();
    assert_eq!(taken, 192, "three quarters of the largest table");
    assert!(index.insert(key(0), StationId(9)), "known keys are replaced");
    assert_eq!((index.len(), index.get(key(0)), index.get(key(999))), (192, Some(StationId(9)), None));
}

#[test]
fn a_key_of_zeros_is_a_key_and_a_gap_is_none() {
    let mut index = Index::new(100, 1);
    let (zeros, mut out) = (Key::default(), [Some(StationId(9)); 2]);
    index.get_burst(&[zeros, key(1)], &mut out);
    assert_eq!(out, [None, None]);
    assert!(!index.remove(zeros, StationId(0)));
    assert!(index.insert(zeros, StationId(0)));
    index.get_burst(&[zeros, key(1)], &mut out);
    assert_eq!(out, [Some(StationId(0)), None]);
    assert!(index.remove(zeros, StationId(0)));
    assert_eq!(index.get(zeros), None);
}
