//! What has to be known of a scrape whose series are not those of the one before: the long way.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::hash::BuildHasherDefault;

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::Track;
use super::pass::{Bench, Pass, Span};
use super::track::flag;

pub(super) type Set = HashSet<u64, BuildHasherDefault<Identity>>;
pub(super) type Map = HashMap<u64, i64, BuildHasherDefault<Identity>>;

/// The memory behind an entry of a set and of a map, empty places included.
const SET: usize = 11;
const MAP: usize = 20;

/// Hashes are hashed already, but for the bits that are flags.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Identity(u64);

impl std::hash::Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("only hashes are hashed");
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash.rotate_right(flag::ALL.count_ones());
    }
}

/// What has to be known of a scrape whose series are not those of the one before.
#[derive(Debug, Default)]
pub(super) struct Other {
    /// The series until here.
    pub(super) seen: Set,
    /// The series that are no news.
    pub(super) known: Set,
    /// Their newest timestamps.
    pub(super) times: Map,
    /// The hashes of final labels, and the first time at which they came: two series may end with the same labels.
    came: Map,
    /// Hashes of labels that came again, with their times.
    came_again: Set,
}

/// How often a sample with these labels came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Times {
    First,
    /// At other times.
    Before,
    /// At the same time.
    Again,
}

impl Other {
    /// Notes that a sample came; what is not sent has no time: `i64::MIN`.
    pub(super) fn come(&mut self, labels: &[u8], at_ms: i64) -> Times {
        let hash = xxh3_64(labels);
        match self.came.entry(hash) {
            Entry::Vacant(first) => {
                first.insert(at_ms);
                Times::First
            }
            Entry::Occupied(first) => {
                let is_new = *first.get() != at_ms && self.came_again.insert(xxh3_64_with_seed(labels, at_ms as u64));
                if is_new || at_ms == i64::MIN { Times::Before } else { Times::Again }
            }
        }
    }

    /// The memory behind it, in bytes.
    pub(super) fn bytes(&self) -> usize {
        let sets = [&self.seen, &self.known, &self.came_again].map(|set| set.capacity() * SET).iter().sum::<usize>();
        sets + (self.times.capacity() + self.came.capacity()) * MAP
    }

    pub(super) fn know(&mut self, track: &Track) {
        self.known.clear();
        if !track.outdated {
            let old = track.hashes.iter().filter(|hash| **hash & flag::REFUSED == 0);
            self.known.extend(old.chain(&track.known).map(|hash| hash & !flag::ALL));
        }
    }
}

impl Bench {
    /// The newest timestamp of the series that is due.
    pub(super) fn newest(&self, hash: u64, track: &Track, pass: &Pass<'_>) -> i64 {
        if pass.same {
            track.times.get(self.times.len()).copied().unwrap_or(i64::MIN)
        } else {
            self.other.times.get(&(hash & !flag::ALL)).copied().unwrap_or(i64::MIN)
        }
    }

    pub(super) fn is_known(&self, hash: u64, pass: &Pass<'_>) -> bool {
        pass.same || self.other.known.contains(&(hash & !flag::ALL))
    }

    /// From here on the series are not those of the scrape before.
    #[cold]
    pub(super) fn diverge(&mut self, track: &Track, pass: &mut Pass<'_>) {
        pass.same = false;
        let mut other = std::mem::take(&mut self.other);
        other.seen.clear();
        other.seen.extend(self.hashes.iter().map(|hash| hash & !flag::ALL));
        other.know(track);
        other.times.clear();
        let timed = |hashes: &[u64]| {
            hashes.iter().filter(|hash| **hash & flag::TIMED != 0).map(|hash| hash & !flag::ALL).collect()
        };
        let old: Vec<u64> = timed(&track.hashes);
        other.times.extend(old.into_iter().zip(track.times.iter().copied()));
        let new: Vec<u64> = timed(&self.hashes);
        other.times.extend(new.into_iter().zip(self.times.iter().copied()));
        other.came.clear();
        other.came_again.clear();
        let Self { parts, labels, block, aside, hashes, times, .. } = self;
        let mut times = times.iter();
        parts.each_labels(labels, block, aside, |index, span, labels| {
            let at_ms = if hashes[index] & flag::TIMED != 0 { times.next().copied() } else { None };
            if span != Span::NOWHERE {
                let at_ms = if span.is_aside() { i64::MIN } else { at_ms.unwrap_or(pass.at_ms) };
                other.come(labels, at_ms);
            }
        });
        self.other = other;
    }
}
