//! How often what goes on, a failure above all, is told in the log: when it begins, when its kind changes, then at distances
//! that grow, and once when it is over. Pure.

use std::time::Duration;

use tokio::time::Instant;

/// The first distance; each is twice the one before,
const FIRST: Duration = Duration::from_secs(60);
/// up to this one.
const LONGEST: Duration = Duration::from_secs(3600);
/// More kinds of failures than this in a row are not told each when they come.
const KINDS: usize = 8;

/// Failures in a row.
#[derive(Debug, Clone)]
struct Row {
    count: u64,
    /// The codes that were told.
    codes: Vec<&'static str>,
    last_told: Instant,
    last: Instant,
    pause: Duration,
    /// Whether a failure was told since it was told that it works.
    open: bool,
    /// Whether it works since the last one.
    works: bool,
}

/// Counts failures in a row, and says which of them are to be told.
#[derive(Debug, Clone, Default)]
pub struct Telling(Option<Row>);

impl Telling {
    /// One more failed. Returns how many that are in a row, if this one is to be told.
    pub fn failed(&mut self, code: &'static str, now: Instant) -> Option<u64> {
        // What fails again soon after it worked goes on failing.
        let goes_on = |row: &Row| !row.works || now.saturating_duration_since(row.last) < row.pause;
        let row = self.0.take().filter(goes_on).unwrap_or_else(|| Row {
            count: 0,
            codes: Vec::new(),
            last_told: now,
            last: now,
            pause: FIRST / 2,
            open: false,
            works: false,
        });
        let row = self.0.insert(Row { count: row.count + 1, last: now, works: false, ..row });
        let is_due = now.saturating_duration_since(row.last_told) >= row.pause;
        let is_new = !row.codes.contains(&code) && row.codes.len() < KINDS;
        if is_new {
            row.codes.push(code);
        }
        if row.count == 1 || is_due {
            row.last_told = now;
            row.pause = (2 * row.pause).min(LONGEST);
        }
        let told = row.count == 1 || is_due || is_new;
        row.open |= told;
        told.then_some(row.count)
    }

    /// It works. Returns how many failed in a row before, if that is to be told.
    pub fn worked(&mut self) -> Option<u64> {
        let row = self.0.as_mut()?;
        row.works = true;
        std::mem::take(&mut row.open).then_some(row.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_on_is_told_at_growing_distances_and_its_end_once() {
        let (mut telling, start) = (Telling::default(), Instant::now());
        assert_eq!(telling.worked(), None);
        let fails = |telling: &mut Telling, from: u64, to: u64| -> Vec<(u64, u64)> {
            let each = (from..to).map(|second| (second, start + Duration::from_secs(second)));
            each.filter_map(|(second, now)| Some((second, telling.failed("a", now)?))).collect()
        };
        assert_eq!(fails(&mut telling, 0, 600), [(0, 1), (60, 61), (180, 181), (420, 421)]);
        let rest = fails(&mut telling, 600, 30_000);
        let distances: Vec<_> = rest.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
        assert!(distances[..3] == [960, 1920, 3600] && distances[3..].iter().all(|it| *it == 3600), "{distances:?}");
        assert_eq!((telling.worked(), telling.worked()), (Some(30_000), None));
        assert_eq!(fails(&mut telling, 40_000, 40_059), [(40_000, 1)]);
    }

    #[test]
    fn what_works_for_a_moment_between_failures_is_told_no_more_often() {
        let (mut telling, start) = (Telling::default(), Instant::now());
        let mut told = Vec::new();
        for second in (0..600).step_by(5) {
            let now = start + Duration::from_secs(second);
            told.extend(telling.failed("a", now).map(|_| (second, "fails")));
            told.extend(telling.worked().map(|_| (second, "works")));
        }
        let times: Vec<_> = told.iter().map(|(second, _)| *second).collect();
        assert_eq!(times, [0, 0, 60, 60, 180, 180, 420, 420], "{told:?}");
    }

    #[test]
    fn another_kind_of_failure_is_told_when_it_comes_and_not_each_time() {
        let (mut telling, now) = (Telling::default(), Instant::now());
        let told: Vec<_> = ["a", "b", "a", "b", "c"].into_iter().map(|code| telling.failed(code, now)).collect();
        assert_eq!(told, [Some(1), Some(2), None, None, Some(5)]);
    }
}
