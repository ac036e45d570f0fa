//! A town: places with a radio each, people with habits, and where everybody is on which day.

use std::time::Duration;

/// Everything is drawn from here, so that a run can be repeated.
pub(super) struct Draw(u64);

impl Draw {
    pub fn new(seed: u64) -> Draw {
        Draw(seed)
    }

    /// splitmix64.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// In so many of a hundred cases.
    pub fn in_hundred(&mut self, cases: u64) -> bool {
        self.below(100) < cases
    }

    fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len() as u64) as usize]
    }
}

/// How large a town, and for how long it is watched.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Radios on each side of the square.
    pub side: usize,
    /// Days before anything is counted.
    pub warm_up: u32,
    /// Days that count.
    pub days: u32,
}

/// What a device shows of itself while it looks for a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scanning {
    /// Its own address.
    OwnAddress,
    /// A throw-away address, but the name of the network that it knows.
    Names,
    /// A throw-away address, and nothing else.
    Silent,
}

/// Which network a device belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Belongs {
    /// That of its household.
    Household(usize),
    /// That of an operator.
    Operator(usize),
}

/// Somebody with a device.
pub(super) struct Person {
    pub home: usize,
    pub belongs: Belongs,
    pub scanning: Scanning,
    work: Option<usize>,
    /// Minute of the day at which it leaves.
    leaves: u64,
    /// Cafés, shops, and homes of friends.
    favourites: Vec<usize>,
}

/// Somebody is somewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stay {
    pub from: Duration,
    pub to: Duration,
    pub person: usize,
    pub place: usize,
}

pub(super) struct Town {
    pub side: usize,
    pub people: Vec<Person>,
}

pub(super) const OPERATORS: usize = 2;
const DAY: u64 = 24 * 60;

impl Town {
    /// Three people live at each place; one place in five is also one where people work, one in ten also one where they meet.
    pub fn new(side: usize, draw: &mut Draw) -> Town {
        let places: Vec<usize> = (0..side * side).collect();
        let of_kind = |draw: &mut Draw, share: u64| -> Vec<usize> {
            places.iter().copied().filter(|_| draw.in_hundred(share)).collect()
        };
        let (offices, meeting_places) = (of_kind(draw, 20), of_kind(draw, 10));
        let nearest = |draw: &mut Draw, of: &[usize], at: usize| {
            let distance =
                |place: usize| (place / side).abs_diff(at / side) + (place % side).abs_diff(at % side);
            (0..6).map(|_| *draw.pick(of)).min_by_key(|&place| distance(place)).unwrap_or(at)
        };
        let mut people = Vec::new();
        for &home in &places {
            for _ in 0..3 {
                let belongs = match draw.in_hundred(30) {
                    true => Belongs::Operator(draw.below(OPERATORS as u64) as usize),
                    false => Belongs::Household(home),
                };
                let scanning = match draw.below(100) {
                    0..10 => Scanning::OwnAddress,
                    10..25 => Scanning::Names,
                    _ => Scanning::Silent,
                };
                let work = draw.in_hundred(60).then(|| nearest(draw, &offices, home));
                let mut favourites: Vec<_> = (0..3).map(|_| nearest(draw, &meeting_places, home)).collect();
                favourites.extend(work.map(|work| nearest(draw, &meeting_places, work)));
                favourites.extend((0..2).map(|_| *draw.pick(&places)));
                let leaves = 6 * 60 + draw.below(180);
                people.push(Person { home, belongs, scanning, work, leaves, favourites });
            }
        }
        Town { side, people }
    }

    /// The eight around a place, as far as there are so many.
    pub fn neighbours(&self, place: usize) -> Vec<usize> {
        let (row, column) = (place / self.side, place % self.side);
        let near = |at: usize| at.saturating_sub(1)..(at + 2).min(self.side);
        let all = near(row).flat_map(|row| near(column).map(move |column| (row, column)));
        all.map(|(row, column)| row * self.side + column).filter(|&other| other != place).collect()
    }

    /// Everybody's day, in order of arrival. A stay follows the other; on the way each place is passed in half a minute.
    pub fn day(&self, day: u32, draw: &mut Draw) -> Vec<Stay> {
        let mut stays = Vec::new();
        for number in 0..self.people.len() {
            let person = &self.people[number];
            let weekend = day % 7 >= 5;
            let mut visits = Vec::new();
            match person.work.filter(|_| !weekend) {
                Some(work) => {
                    let begin = person.leaves + draw.below(20);
                    visits.push((begin, work, 4 * 60));
                    let lunch = draw.in_hundred(50).then(|| *draw.pick(&person.favourites));
                    visits.extend(lunch.map(|place| (begin + 4 * 60, place, 40)));
                    visits.push((begin + 5 * 60, work, 4 * 60));
                    if draw.in_hundred(50) {
                        visits.push((begin + 10 * 60, *draw.pick(&person.favourites), 30 + draw.below(90)));
                    }
                }
                None => {
                    for hour in [10, 14, 18] {
                        if draw.in_hundred(50) {
                            let begin = hour * 60 + draw.below(90);
                            visits.push((begin, *draw.pick(&person.favourites), 20 + draw.below(90)));
                        }
                    }
                }
            }
            self.walk(number, u64::from(day) * DAY, &visits, draw, &mut stays);
        }
        stays.sort_unstable();
        stays
    }

    /// From home through the visits back home: what is on the way, and the stays. A visit: minute, place, minutes.
    fn walk(
        &self,
        person: usize,
        midnight: u64,
        visits: &[(u64, usize, u64)],
        draw: &mut Draw,
        stays: &mut Vec<Stay>,
    ) {
        let home = self.people[person].home;
        let second = |minute: u64, draw: &mut Draw| {
            Duration::from_millis((midnight + minute) * 60_000 + draw.below(60_000))
        };
        let (mut at, mut from) = (home, second(0, draw));
        let last = visits.last().map(|&(begin, _, minutes)| (begin + minutes, home, 0));
        for (begin, place, _) in visits.iter().copied().chain(last) {
            if place == at {
                continue;
            }
            let leave = second(begin, draw).max(from + Duration::from_secs(120));
            stays.push(Stay { from, to: leave, person, place: at });
            let mut now = leave;
            for passed in self.between(at, place) {
                let to = now + Duration::from_secs(30);
                stays.push(Stay { from: now, to, person, place: passed });
                now = to;
            }
            (at, from) = (place, now);
        }
        let end = Duration::from_secs((midnight + DAY) * 60);
        if end > from {
            stays.push(Stay { from, to: end, person, place: at });
        }
    }

    /// What is passed: along the row, then the column; who goes farther than six places takes a train.
    fn between(&self, from: usize, to: usize) -> Vec<usize> {
        let (mut row, mut column) = (from / self.side, from % self.side);
        let (end_row, end_column) = (to / self.side, to % self.side);
        let step = |at: usize, end: usize| if at < end { at + 1 } else { at - 1 };
        let mut passed = Vec::new();
        while (row, column) != (end_row, end_column) {
            if column == end_column {
                row = step(row, end_row);
            } else {
                column = step(column, end_column);
            }
            passed.push(row * self.side + column);
        }
        passed.pop();
        if passed.len() > 6 { [&passed[..3], &passed[passed.len() - 3..]].concat() } else { passed }
    }
}
