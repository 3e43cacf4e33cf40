//! The brake: whether so many targets end at once, or within a while, that a second reading has to say so too. Pure.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

/// A reading sooner after another one than this is the same one: whoever writes a file twice within a moment has not confirmed it.
pub(super) const APART: Duration = Duration::from_secs(10);
/// What a source that is watched, and never read again, does not take back for so long it has confirmed.
pub(super) const STILL: Duration = Duration::from_secs(60);

/// When removals are held, and until when.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Brake {
    /// Which share of the targets has to be left for that, at least.
    pub share: f64,
    /// With fewer targets than this nothing is held.
    pub min_targets: usize,
    /// For how long the greatest number of targets counts as the number before.
    pub window: Duration,
    /// What ends it, besides somebody who releases it.
    pub confirm: Confirm,
}

/// What confirms a removal that is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confirm {
    /// Another reading.
    Reading,
    /// Time, if the source can be read then.
    After(Duration),
    /// Nothing.
    Never,
}

/// As in the configuration.
impl fmt::Display for Confirm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reading => f.write_str("reading"),
            Self::After(time) => rosterd_model::Duration::from(*time).fmt(f),
            Self::Never => f.write_str("never"),
        }
    }
}

/// How an event changed the number of targets that sources say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Change {
    pub(super) before: usize,
    pub(super) after: usize,
    /// Of those after it so many were kept before: they come back, and take the place of no other.
    pub(super) returned: usize,
    /// How many were there besides those before it: braked, as nobody has confirmed yet that they are gone, or in their time of grace and
    /// come back.
    pub(super) kept: usize,
}

impl Brake {
    /// Whether a removal is held, where there were so many targets lately. A target that another one takes the place of does not
    /// count: nothing is held of an event that leaves as many as there were, unless some of them were kept.
    pub(super) fn holds(&self, change: Change, greatest: usize) -> bool {
        let Change { before, after, returned, kept } = change;
        let of = (before + kept).max(greatest);
        after < before + returned && of >= self.min_targets && (of - after) as f64 > self.share * of as f64
    }
}

/// How many targets there were lately, as far as the greatest number is concerned.
#[derive(Debug, Clone, Default)]
pub(super) struct Sizes(VecDeque<Size>);

#[derive(Debug, Clone, Copy)]
struct Size {
    /// From when to when there were so many.
    from: Instant,
    until: Instant,
    targets: usize,
}

/// So many sizes are remembered of a window, at most: those that are closer together are one, the greatest of them.
const SLICES: u32 = 16;

impl Sizes {
    /// Forgets what there was.
    pub(super) fn begin(&mut self, targets: usize, now: Instant) {
        self.0.clear();
        self.0.push_back(Size { from: now, until: now, targets });
    }

    /// There are so many targets now.
    pub(super) fn note(&mut self, targets: usize, now: Instant, window: Duration) {
        while self.0.front().is_some_and(|size| size.until + window < now) {
            self.0.pop_front();
        }
        let mut from = now;
        while let Some(size) = self.0.pop_back_if(|size| size.targets <= targets) {
            from = size.from;
        }
        match self.0.back_mut() {
            Some(last) if now.duration_since(last.from) < window / SLICES => last.until = now,
            _ => self.0.push_back(Size { from, until: now, targets }),
        }
    }

    /// The greatest number within the time before now.
    pub(super) fn greatest(&self, now: Instant, window: Duration) -> usize {
        let lately = |size: &&Size| size.until + window >= now;
        self.0.iter().filter(lately).map(|size| size.targets).max().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BRAKE: Brake =
        Brake { share: 0.5, min_targets: 10, window: Duration::from_secs(600), confirm: Confirm::Reading };

    fn holds(before: usize, after: usize, greatest: usize) -> bool {
        BRAKE.holds(Change { before, after, returned: 0, kept: 0 }, greatest)
    }

    #[test]
    fn more_than_the_share_of_enough_targets_is_held() {
        for (before, after, greatest, held) in [
            (10, 5, 0, false),
            (10, 4, 0, true),
            (10, 0, 0, true),
            (9, 0, 0, false),
            (100, 50, 0, false),
            (100, 49, 0, true),
            // What drained slowly.
            (60, 50, 100, false),
            (51, 49, 100, true),
            (9, 4, 10, true),
            // As many as before, or more.
            (49, 49, 100, false),
            (40, 45, 100, false),
            (0, 0, 0, false),
        ] {
            assert_eq!(holds(before, after, greatest), held, "{before} -> {after} of {greatest}");
        }
        let none = Brake { share: 1.0, ..BRAKE };
        let change = |before, after| Change { before, after, returned: 0, kept: 0 };
        assert!(!none.holds(change(1000, 0), 1000), "nothing is more than all");
        let any = Brake { share: 0.0, min_targets: 1, ..BRAKE };
        assert!(any.holds(change(1000, 999), 0));
    }

    #[test]
    fn what_comes_back_takes_the_place_of_no_other_target() {
        let third = Brake { share: 0.3, ..BRAKE };
        for (before, after, returned, held) in [
            (12, 12, 0, false),
            // Eight are held of twenty, and come back while eight others go.
            (12, 12, 8, true),
            // What was held long enough that nobody remembers more than twelve.
            (12, 20, 8, false),
            (12, 15, 8, false),
        ] {
            let change = Change { before, after, returned, kept: returned };
            assert_eq!(third.holds(change, before), held, "{change:?}");
        }
    }

    #[test]
    fn what_is_braked_counts_as_there_until_it_is_confirmed() {
        for (before, after, kept, held) in [(3, 0, 17, true), (3, 0, 6, false), (12, 9, 4, false), (3, 3, 17, false)] {
            let change = Change { before, after, returned: 0, kept };
            assert_eq!(BRAKE.holds(change, before), held, "{change:?}");
        }
    }

    #[test]
    fn the_greatest_size_counts_until_the_window_is_over() {
        let (start, window) = (Instant::now(), BRAKE.window);
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut sizes = Sizes::default();
        sizes.begin(100, at(0));
        // There were so many until now.
        sizes.note(100, at(1000), window);
        sizes.note(60, at(1000), window);
        sizes.note(60, at(1300), window);
        sizes.note(55, at(1300), window);
        assert_eq!([1300, 1600, 1601, 1900].map(|seconds| sizes.greatest(at(seconds), window)), [100, 100, 60, 60]);
        sizes.begin(7, at(1300));
        assert_eq!(sizes.greatest(at(1300), window), 7);
    }

    proptest! {
        #[test]
        fn what_is_remembered_is_bounded_and_no_greatest_size_is_missed(
            steps in prop::collection::vec((0u64..200, 0usize..1000), 1..200),
        ) {
            let (start, window) = (Instant::now(), BRAKE.window);
            let (mut sizes, mut all, mut seconds) = (Sizes::default(), Vec::new(), 0);
            for (wait, targets) in steps {
                seconds += wait;
                let now = start + Duration::from_secs(seconds);
                sizes.note(targets, now, window);
                all.push((seconds, targets));
                let greatest = |window: u64| {
                    let lately = all.iter().filter(|(at, _)| at + window >= seconds);
                    lately.map(|(_, targets)| *targets).max().unwrap_or_default()
                };
                let found = sizes.greatest(now, window);
                prop_assert!(found >= greatest(600), "{found} {:?}", sizes);
                prop_assert!(found <= greatest(600 + 600 / 16), "{found} {:?}", sizes);
                prop_assert!(sizes.0.len() <= 2 + SLICES as usize);
            }
        }
    }
}
