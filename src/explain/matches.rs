//! What a search found, the best first, and no more of it than is told. Pure.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::search::Fit;
use crate::roster::target::Entry;

/// Where an entry is: the job, the block of its groups, and the entry in it, by their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) job: usize,
    pub(super) block: usize,
    pub(super) entry: usize,
}

/// What became of an entry of a target group; what matters most first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Became {
    /// It is a target.
    Target,
    /// It cannot be a target.
    Impossible,
    /// Relabelling dropped it.
    Dropped,
}

impl Became {
    pub(super) fn of(entry: &Entry) -> Self {
        match entry {
            Entry::Active(_) => Self::Target,
            Entry::Failed(_) => Self::Impossible,
            Entry::Dropped => Self::Dropped,
        }
    }

    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Target => "target",
            Self::Impossible => "impossible",
            Self::Dropped => "dropped",
        }
    }
}

/// Entries that fit, counted, and of each kind as many as may be told.
#[derive(Debug)]
pub(super) struct Matches {
    most: usize,
    kinds: BTreeMap<(Reverse<Fit>, Became), Kind>,
}

#[derive(Debug, Default)]
struct Kind {
    count: usize,
    places: Vec<Place>,
}

/// What is told of the matches.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Chosen {
    pub(super) places: Vec<Place>,
    /// How many fit as well.
    pub(super) more: usize,
    /// How many fit less well.
    pub(super) parts: usize,
}

impl Matches {
    pub(super) fn new(most: usize) -> Self {
        Self { most, kinds: BTreeMap::new() }
    }

    /// Counts an entry that fits; one that does not is none.
    pub(super) fn add(&mut self, fit: Fit, became: Became, place: Place) {
        if fit == Fit::No {
            return;
        }
        let kind = self.kinds.entry((Reverse(fit), became)).or_default();
        kind.count += 1;
        if kind.places.len() < self.most {
            kind.places.push(place);
        }
    }

    /// Takes an entry back that was counted.
    pub(super) fn take_back(&mut self, fit: Fit, became: Became, place: Place) {
        let Some(kind) = self.kinds.get_mut(&(Reverse(fit), became)) else { return };
        let told = kind.places.iter().position(|known| *known == place);
        if told.is_some() || kind.count > kind.places.len() {
            kind.count -= 1;
        }
        told.map(|index| kind.places.remove(index));
    }

    /// How many fit.
    pub(super) fn count(&self) -> usize {
        self.kinds.values().map(|kind| kind.count).sum()
    }

    /// Whether nothing does.
    pub(super) fn is_empty(&self) -> bool {
        self.count() == 0
    }

    /// Whether something fits as a whole.
    pub(super) fn has_whole(&self) -> bool {
        self.kinds.iter().any(|((fit, _), kind)| *fit == Reverse(Fit::Whole) && kind.count > 0)
    }

    /// Those that fit best.
    pub(super) fn chosen(&self) -> Chosen {
        let best = if self.has_whole() { Fit::Whole } else { Fit::Part };
        let mut chosen = Chosen::default();
        for ((fit, _), kind) in &self.kinds {
            if *fit != Reverse(best) {
                chosen.parts += kind.count;
                continue;
            }
            let room = self.most - chosen.places.len();
            let told = &kind.places[..kind.places.len().min(room)];
            chosen.places.extend_from_slice(told);
            chosen.more += kind.count - told.len();
        }
        chosen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(entry: usize) -> Place {
        Place { job: 0, block: 0, entry }
    }

    #[test]
    fn targets_come_first_and_parts_only_where_nothing_is_whole() {
        let mut matches = Matches::new(2);
        matches.add(Fit::No, Became::Target, place(0));
        assert_eq!((matches.chosen(), matches.is_empty()), (Chosen::default(), true));
        matches.add(Fit::Part, Became::Target, place(1));
        assert!(!matches.is_empty());
        assert_eq!(matches.chosen(), Chosen { places: vec![place(1)], more: 0, parts: 0 });
        matches.add(Fit::Whole, Became::Dropped, place(2));
        matches.add(Fit::Whole, Became::Dropped, place(3));
        matches.add(Fit::Whole, Became::Target, place(4));
        assert_eq!(matches.chosen(), Chosen { places: vec![place(4), place(2)], more: 1, parts: 1 });
    }

    #[test]
    fn what_is_taken_back_does_not_count() {
        let mut matches = Matches::new(1);
        matches.add(Fit::Part, Became::Target, place(1));
        matches.add(Fit::Part, Became::Target, place(2));
        matches.take_back(Fit::Part, Became::Target, place(2));
        assert_eq!(matches.chosen(), Chosen { places: vec![place(1)], more: 0, parts: 0 });
        matches.take_back(Fit::Part, Became::Target, place(3));
        assert_eq!(matches.chosen(), Chosen { places: vec![place(1)], more: 0, parts: 0 });
        matches.take_back(Fit::Part, Became::Target, place(1));
        matches.take_back(Fit::Whole, Became::Target, place(1));
        assert_eq!((matches.chosen(), matches.is_empty()), (Chosen::default(), true));
    }
}
