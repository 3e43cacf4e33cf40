//! What arrived of one series, judged: in order, and again only where that may be.

use std::collections::VecDeque;

/// So many samples of a series are remembered: what comes again after more of them is out of order.
const REMEMBERED: usize = 4096;
/// The value that says that a series is gone.
const STALE: u64 = 0x7ff0_0000_0000_0002;

/// Samples of a series in the order in which they came first.
#[derive(Debug, Default)]
pub(super) struct Series {
    seen: VecDeque<(i64, u64)>,
    /// How many more there were before these.
    forgotten: usize,
    /// The life in which samples came again last, and the number of the last of those, as long as nothing new has come.
    again: (usize, Option<usize>),
    /// The last value, which goes up with each sample of a series that counts.
    count: Option<f64>,
}

/// What a sample is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrival {
    New,
    /// It has come before, and may.
    Again,
}

impl Series {
    /// A sample comes, in a life: how often something had happened after which samples may come again, those at the end of what had
    /// come before, in order. `counts` says that values go up, `leaps` that times may go back.
    pub(super) fn arrives(
        &mut self,
        at_ms: i64,
        value: f64,
        life: usize,
        counts: bool,
        leaps: bool,
    ) -> Result<Arrival, String> {
        let sample = (at_ms, value.to_bits());
        if let Some(index) = self.seen.iter().rposition(|seen| *seen == sample) {
            let index = self.forgotten + index;
            let (last_life, last) = self.again;
            if last_life >= life && last.is_none_or(|last| index <= last) {
                return Err(format!("{value} at {at_ms} came twice, and nothing had happened that excuses that"));
            }
            self.again = (life, Some(index));
            return Ok(Arrival::Again);
        }
        if let Some((last_ms, last)) = self.seen.back().filter(|(last_ms, _)| *last_ms >= at_ms && !leaps) {
            return Err(format!("{value} at {at_ms} came after {} at {last_ms}", f64::from_bits(*last)));
        }
        if counts && sample.1 != STALE {
            if let Some(count) = self.count.filter(|count| value <= *count) {
                return Err(format!("{value} at {at_ms} came after {count}"));
            }
            self.count = Some(value);
        }
        self.again.1 = None;
        self.seen.push_back(sample);
        if self.seen.len() > REMEMBERED {
            self.seen.pop_front();
            self.forgotten += 1;
        }
        Ok(Arrival::New)
    }

    /// What may have come again until now does not from now on.
    pub(super) fn settle(&mut self, life: usize) {
        self.again = (life, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes, each in a life; `None` where it may not.
    fn judged(samples: &[(i64, f64, usize)]) -> Vec<Option<Arrival>> {
        let mut series = Series::default();
        samples.iter().map(|(at_ms, value, life)| series.arrives(*at_ms, *value, *life, true, false).ok()).collect()
    }

    #[test]
    fn samples_come_once_and_in_order() {
        let (new, again) = (Some(Arrival::New), Some(Arrival::Again));
        let three = [(10, 1.0, 0), (20, 2.0, 0), (30, 3.0, 0)];
        let then = |more: &[(i64, f64, usize)]| judged(&[&three[..], more].concat())[3..].to_vec();
        assert_eq!(judged(&three), [new; 3]);
        assert_eq!(then(&[(30, 3.0, 0), (40, 4.0, 0)]), [None, new], "twice");
        assert_eq!(
            then(&[(30, 4.0, 0), (25, 4.0, 0), (40, 2.0, 0)]),
            [None; 3],
            "changed, back in time, back in value"
        );
        assert_eq!(then(&[(40, f64::from_bits(STALE), 0), (50, 4.0, 0)]), [new; 2], "a marker has no count");
        assert_eq!(then(&[(20, 2.0, 1), (30, 3.0, 1), (40, 4.0, 1)]), [again, again, new], "after a kill");
        assert_eq!(then(&[(20, 2.0, 1), (20, 2.0, 1), (10, 1.0, 1)]), [again, None, None], "twice after one kill");
        assert_eq!(then(&[(20, 2.0, 1), (40, 4.0, 1), (30, 3.0, 1)]), [again, new, None], "after what is new");
        assert_eq!(then(&[(30, 3.0, 1), (30, 3.0, 2)]), [again, again], "two kills");
    }
}
