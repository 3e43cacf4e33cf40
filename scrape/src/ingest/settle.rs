//! What a scrape changes: which series are new, which are gone, and what is remembered for the next one.

use rosterd_ship::wire::STALE;
use xxhash_rust::xxh3::xxh3_64;

use super::Track;
use super::other::Set;
use super::pass::{Bench, Pass};
use super::report::put;
use super::track::{Packed, bit, flag};

/// Scrapes that fail may leave so many series behind, and twice those of the last good one.
const LEFT_BEHIND: usize = 1000;

impl Bench {
    /// Compares the series with those before, adds stale markers of what is gone, and remembers what is there. Of a scrape
    /// that failed nothing but stale markers stays in the block, and only the series up to the fault are looked at, as
    /// Prometheus does. The first `counted` of them count as new ones.
    pub(super) fn settle(&mut self, track: &mut Track, pass: &mut Pass<'_>, good: bool, counted: usize) {
        let end = pass.cut.unwrap_or(self.hashes.len());
        if pass.same && end == track.hashes.len() {
            track.stale = false;
            if good {
                track.known = Box::default();
                track.times.copy_from_slice(&self.times);
            } else {
                // Nothing was sent: what comes next is taken, even if it is not newer.
                track.times.fill(i64::MIN);
                self.begin();
            }
            return;
        }
        if pass.same {
            self.other.know(track);
        }
        pass.ingested.added = self.added(end.min(counted));
        // Of a scrape that failed by new rules nothing stays: what it left out is no guide to what was sent by the old ones.
        let stays = if good || !track.outdated { end } else { 0 };
        let gone = if track.stale { Vec::new() } else { self.gone(track, stays) };
        let before = std::mem::take(&mut track.packed);
        self.remember(track, pass, good, end);
        if !good {
            self.begin();
        }
        let mut gone = gone.into_iter().peekable();
        if gone.peek().is_some() {
            self.stale(&before, pass.at_ms, |index, _| gone.next_if_eq(&index).is_some());
        }
    }

    /// How many of the first `counted` series are new.
    fn added(&self, counted: usize) -> usize {
        let mut news = Set::default();
        for (index, hash) in self.hashes[..counted].iter().enumerate() {
            if hash & flag::REFUSED == 0
                && !bit(&self.dropped, index)
                && !self.other.known.contains(&(hash & !flag::ALL))
            {
                news.insert(hash & !flag::ALL);
            }
        }
        news.len()
    }

    /// The numbers of series that are not there any more.
    fn gone(&mut self, track: &Track, end: usize) -> Vec<usize> {
        let mut gone = Vec::new();
        let tracked = |hash: &&u64| **hash & flag::UNTRACKED == 0;
        let new: Set = self.hashes[..end].iter().filter(tracked).map(|hash| hash & !flag::ALL).collect();
        let stays = |hash: &u64| !track.outdated && new.contains(&(hash & !flag::ALL));
        if track.hashes.iter().filter(tracked).all(stays) {
            return gone;
        }
        // The same series, written in another way, is not gone.
        let mut finals = Set::default();
        self.tracked(end, |_, labels| {
            finals.insert(xxh3_64(labels));
        });
        track.packed.each(&mut self.packer, |index, labels| {
            if !stays(&track.hashes[index]) && !finals.contains(&xxh3_64(labels)) {
                gone.push(index);
            }
        });
        gone
    }

    /// Hands out how long the identities of the first `end` series are, and their final labels; none for those that cannot
    /// become stale.
    fn tracked(&mut self, end: usize, mut see: impl FnMut(u32, &[u8])) {
        let Self { parts, labels, block, aside, hashes, lengths, .. } = self;
        parts.each_labels(&labels[..end], block, aside, |index, _, labels| {
            see(lengths[index], if hashes[index] & flag::UNTRACKED == 0 { labels } else { &[] });
        });
    }

    fn remember(&mut self, track: &mut Track, pass: &Pass<'_>, good: bool, end: usize) {
        track.known = if good { Box::default() } else { self.left_behind(track, end) };
        let mut packer = std::mem::take(&mut self.packer);
        packer.rewind();
        self.tracked(end, |length, labels| packer.add(length, labels));
        track.packed = packer.finish();
        self.packer = packer;
        self.hashes.truncate(end);
        track.hashes = self.hashes.as_slice().into();
        track.dropped = if pass.rules.relabel.is_empty() { Box::default() } else { self.dropped.as_slice().into() };
        let timed = self.hashes.iter().filter(|hash| **hash & flag::TIMED != 0).count();
        self.times.truncate(timed);
        if !good {
            self.times.fill(i64::MIN);
        }
        track.times = self.times.as_slice().into();
        track.irregular = pass.irregular;
        track.outdated = false;
        track.stale = false;
    }

    /// Series that were there before the scrape that failed now.
    fn left_behind(&self, track: &Track, end: usize) -> Box<[u64]> {
        let new: Set = self.hashes[..end].iter().map(|hash| hash & !flag::ALL).collect();
        let mut left: Vec<u64> = self.other.known.difference(&new).copied().collect();
        if left.len() > 2 * track.hashes.len() + LEFT_BEHIND {
            left.clear();
        }
        left.sort_unstable();
        left.into()
    }

    /// Adds stale markers of all series: the scrape failed.
    pub fn failed(&mut self, track: &mut Track, at_ms: i64) {
        self.failed_but(track, &Set::default(), at_ms);
    }

    /// The same without those whose labels have these hashes.
    pub(super) fn failed_but(&mut self, track: &mut Track, but: &Set, at_ms: i64) {
        if std::mem::replace(&mut track.stale, true) || track.is_empty() {
            return;
        }
        self.stale(&track.packed, at_ms, |_, labels| but.is_empty() || !but.contains(&xxh3_64(labels)));
    }

    /// Adds stale markers of the series that are wanted, by their numbers and final labels.
    fn stale(&mut self, packed: &Packed, at_ms: i64, mut wanted: impl FnMut(usize, &[u8]) -> bool) {
        let mut packer = std::mem::take(&mut self.packer);
        packed.each(&mut packer, |index, labels| {
            if wanted(index, labels) {
                put(&mut self.block, labels.len(), |out| out.extend_from_slice(labels), STALE, at_ms);
                if self.is_part() {
                    self.seal();
                }
            }
        });
        self.packer = packer;
    }
}
