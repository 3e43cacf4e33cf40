//! How large requests may be, as far as the receiver has told by refusing larger ones (413). Pure: it is told what happened.

use std::time::Duration;

use tokio::time::Instant;

use crate::wire::MOST_BYTES;

/// After so long without a refusal, twice as much is tried: what stands before the receiver may have been set up anew.
const WHILE: Duration = Duration::from_secs(600);
/// Whoever refuses less than this refuses everything.
const LEAST: usize = 128 << 10;

/// The bound of an endpoint, in bytes before compression. Half of what was refused; who refuses by the size of what is
/// compressed is understood all the same.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Size {
    /// And since when.
    bound: Option<(usize, Instant)>,
}

impl Size {
    /// How many bytes a request may have.
    pub(super) fn most(&mut self, now: Instant) -> usize {
        let Some((bound, since)) = &mut self.bound else { return MOST_BYTES };
        while now.saturating_duration_since(*since) >= WHILE && *bound < MOST_BYTES {
            *bound *= 2;
            *since += WHILE;
        }
        let bound = (*bound).min(MOST_BYTES);
        if bound == MOST_BYTES {
            self.bound = None;
        }
        bound
    }

    /// A request of so many bytes was too large.
    pub(super) fn refused(&mut self, bytes: usize, now: Instant) {
        let bound = self.most(now).min((bytes / 2).max(LEAST));
        self.bound = Some((bound, now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_refused_is_not_tried_again_for_a_while() {
        let (mut size, start) = (Size::default(), Instant::now());
        assert_eq!(size.most(start), MOST_BYTES);
        size.refused(4 << 20, start);
        assert_eq!(size.most(start), 2 << 20);
        // Of those that were under way together the larger ones say nothing new, smaller ones do.
        size.refused(6 << 20, start);
        assert_eq!(size.most(start), 2 << 20);
        size.refused(1 << 20, start);
        assert_eq!(size.most(start + WHILE - Duration::from_secs(1)), 512 << 10);
        assert_eq!(size.most(start + WHILE), 1 << 20);
        assert_eq!(size.most(start + WHILE), 1 << 20);
        assert_eq!(size.most(start + 3 * WHILE), 4 << 20);
        size.refused(4 << 20, start + 3 * WHILE);
        assert_eq!(size.most(start + 3 * WHILE), 2 << 20);
        assert_eq!(size.most(start + 9 * WHILE), MOST_BYTES);
        size.refused(1, start + 9 * WHILE);
        assert_eq!(size.most(start + 9 * WHILE), LEAST);
    }
}
