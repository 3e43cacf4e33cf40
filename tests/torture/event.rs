//! What can happen, thrown with the dice.

use std::ops::Range;

use crate::dice::Dice;
use crate::world::{LATE, NEVER};

/// Something that happens. What is thrown for it in detail follows from its `dice`.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) what: What,
    pub(crate) dice: Dice,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// Some targets of a job come, and some go.
    Change { job: usize },
    /// Most targets of a job go, or are others.
    Turn { job: usize },
    /// A source answers with nothing or a small part of what it has, until it was read so often.
    Lie { job: usize, readings: usize },
    /// A source goes wrong, until something else happens to it.
    Fail { job: usize },
    /// It goes wrong and right in turns.
    Flap { job: usize },
    /// It answers as it should, at once or slowly.
    Heal { job: usize },
    /// A job is taken out of the configuration, or back into it.
    Toggle { job: usize },
    /// Its source is read more or less often.
    Pace { job: usize },
    /// Other rules for its labels.
    Rules { job: usize },
    /// The configuration gets what cannot be, and is mended.
    Invalid,
    /// The process is killed after so many looks at it, and begins again.
    Kill { after: usize },
    /// It is killed as well, and begins again when the calendar is much further.
    Sleep,
    /// It ends in order, and begins again.
    Stop,
    /// Somebody else removes a file that it wrote, or puts another one there.
    Meddle { job: usize },
    /// A file that it stored is damaged after it was killed.
    Damage,
    /// The disk is full, cannot be written, or works again.
    Disk,
    /// The calendar jumps.
    Jump,
    /// A consumer hangs.
    Hang,
    /// The receiver has another temper.
    Temper,
    /// Everything is well again; the roster is to be what the sources have.
    Calm,
}

/// So many things happen between two times of calm, at most.
const RUSH: usize = 8;

/// The throws that things happen by, of each kind one that need not be waited for long: each of them happens once before chance decides,
/// so that a short run has them all. Of jobs one comes, and one goes.
const KINDS: [usize; 19] = [0, 10, 12, 18, 23, 25, 28, 29, 30, 31, 33, 34, 38, 39, 41, 44, 45, 47, 50];

/// To whom something happens first: many targets go of one whose removal another reading confirms; one lies of which nothing but a person
/// lets go; and the last one comes, of which nothing is known then.
const FIRSTS: [(Range<usize>, usize); 3] = [(10..12, 0), (12..18, NEVER), (28..30, LATE)];

/// What happens, one after the other, without an end.
pub(crate) struct Events {
    dice: Dice,
    jobs: usize,
    rush: usize,
    /// The kinds that did not happen yet.
    kinds: Vec<usize>,
    /// The jobs that something happens to first, with its throws.
    firsts: Vec<(Range<usize>, usize)>,
}

impl Events {
    pub(crate) fn new(dice: Dice, jobs: usize) -> Self {
        Self { dice, jobs, rush: 0, kinds: KINDS.to_vec(), firsts: FIRSTS.to_vec() }
    }
}

impl Iterator for Events {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        let dice = &mut self.dice;
        self.rush += 1;
        if self.rush > RUSH || self.rush > RUSH / 2 && dice.one_in(RUSH / 2) {
            self.rush = 0;
            return Some(Event { what: What::Calm, dice: dice.fork() });
        }
        let mut job = dice.below(self.jobs);
        let thrown = match self.kinds.len() {
            0 => dice.below(53),
            left => self.kinds.swap_remove(dice.below(left)),
        };
        if let Some(at) = self.firsts.iter().position(|(throws, _)| throws.contains(&thrown)) {
            job = self.firsts.swap_remove(at).1;
        }
        let what = match thrown {
            0..10 => What::Change { job },
            10..12 => What::Turn { job },
            12..18 => What::Lie { job, readings: 1 + dice.below(2) },
            18..23 => What::Fail { job },
            23..25 => What::Flap { job },
            25..28 => What::Heal { job },
            28..30 => What::Toggle { job },
            30 => What::Pace { job },
            31..33 => What::Rules { job },
            33 => What::Invalid,
            34..38 => What::Kill { after: dice.below(6) },
            38 => What::Stop,
            39..41 => What::Damage,
            41..44 => What::Disk,
            44 => What::Jump,
            45..47 => What::Hang,
            47..50 => What::Temper,
            50..52 => What::Sleep,
            _ => What::Meddle { job },
        };
        Some(Event { what, dice: dice.fork() })
    }
}

#[test]
fn each_kind_happens_in_a_short_run() {
    let kind = |event: Event| format!("{:?}", event.what).split([' ', '{']).next().map(str::to_owned);
    for seed in 0..50 {
        let mut kinds: std::collections::BTreeSet<_> =
            Events::new(Dice::new(seed), 9).take(26).filter_map(kind).collect();
        // It is in the run by chance alone: a file is looked at each 25 seconds.
        kinds.remove("Meddle");
        assert!(kinds.len() >= KINDS.len(), "{kinds:?}");
    }
}
