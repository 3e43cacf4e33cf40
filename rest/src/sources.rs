//! Several sources that are read at the same time, and only for so long: one that does not answer withholds nothing of the others.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use rosterd_discovery::Error;
use tokio::time::{Instant, timeout_at};

use crate::RestError;

/// So many intervals all of them may take together, but at least and at most so long.
const INTERVALS: u32 = 5;
const LEAST: Duration = Duration::from_secs(30);
const MOST: Duration = Duration::from_secs(3600);

/// Sources that are read again and again.
#[derive(Debug)]
pub struct Sources {
    longest: Duration,
    /// Those that were not read when the time was over. They come first in the next round, so that each has its turn.
    late: Mutex<HashSet<String>>,
}

/// One reading of all of them, in as many parts as it takes: those of a tree level by level. Each part has the whole time.
#[derive(Debug)]
pub struct Round<'a> {
    sources: &'a Sources,
    /// Those that were late in the round before.
    first: HashSet<String>,
    late: HashSet<String>,
}

impl Sources {
    /// Those of who reads at this interval.
    pub fn new(interval: Duration) -> Self {
        Self { longest: interval.saturating_mul(INTERVALS).clamp(LEAST, MOST), late: Mutex::default() }
    }

    /// Begins a round. Those that were late in the one before come first, in whichever part of it they are.
    pub fn round(&self) -> Round<'_> {
        Round { sources: self, first: std::mem::take(&mut *self.late()), late: HashSet::new() }
    }

    /// A round of one part.
    pub async fn read<T, F>(&self, at_once: usize, all: Vec<(String, F)>) -> Vec<(String, Result<T, Error>)>
    where
        F: Future<Output = Result<T, Error>>,
    {
        self.round().read(at_once, all).await
    }

    fn late(&self) -> std::sync::MutexGuard<'_, HashSet<String>> {
        self.late.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Round<'_> {
    /// What comes of the reading of these, so many at a time, in the order in which they are named. Of one that is not read in time an
    /// error comes.
    pub async fn read<T, F>(&mut self, at_once: usize, all: Vec<(String, F)>) -> Vec<(String, Result<T, Error>)>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let (names, reads): (Vec<_>, Vec<_>) = all.into_iter().unzip();
        let mut reading: Vec<_> =
            reads.into_iter().enumerate().map(|(at, read)| async move { (at, read.await) }).zip(&names).collect();
        reading.sort_by_key(|(_, name)| !self.first.contains(*name));
        let reading: Vec<_> = reading.into_iter().map(|(read, _)| read).collect();
        let mut results: Vec<_> = names.iter().map(|_| None).collect();
        let end = Instant::now() + self.sources.longest;
        {
            let mut reading = std::pin::pin!(stream::iter(reading).buffer_unordered(at_once.max(1)));
            while let Ok(Some((at, result))) = timeout_at(end, reading.next()).await {
                results[at] = Some(result);
            }
        }
        let is_late = |(name, result): (&String, &Option<_>)| result.is_none().then(|| name.clone());
        self.late.extend(names.iter().zip(&results).filter_map(is_late));
        let late = || Err(RestError::Late { longest: self.sources.longest }.into());
        names.into_iter().zip(results).map(|(name, result)| (name, result.unwrap_or_else(late))).collect()
    }
}

impl Drop for Round<'_> {
    fn drop(&mut self) {
        *self.sources.late() = std::mem::take(&mut self.late);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rosterd_testkit::leak_checked;
    use tokio::time::sleep;

    use super::*;

    async fn read(sources: &Sources, all: &[(&str, u64)]) -> (Vec<String>, Vec<String>) {
        part(&mut sources.round(), all).await
    }

    /// Reads sources of these names, each of which takes so many seconds: what came of each, and in which order they began.
    async fn part(round: &mut Round<'_>, all: &[(&str, u64)]) -> (Vec<String>, Vec<String>) {
        let begun = Arc::new(Mutex::new(Vec::new()));
        let reading = |(name, seconds): &(&str, u64)| {
            let (name, seconds, begun) = ((*name).to_owned(), *seconds, Arc::clone(&begun));
            let read = {
                let name = name.clone();
                async move {
                    begun.lock().expect("nobody panics").push(name.clone());
                    sleep(Duration::from_secs(seconds)).await;
                    Ok::<_, Error>(seconds)
                }
            };
            (name, read)
        };
        let read = round.read(2, all.iter().map(reading).collect()).await;
        let told = read.into_iter().map(|(name, result)| match result {
            Ok(seconds) => format!("{name} {seconds}"),
            Err(error) => format!("{name} {}", error.code()),
        });
        (told.collect(), Arc::into_inner(begun).expect("all ended").into_inner().expect("nobody panics"))
    }

    #[test]
    fn one_that_does_not_answer_withholds_nothing_of_the_others_for_long() {
        leak_checked(async || {
            let sources = Sources::new(Duration::from_secs(60));
            let never = 1 << 20;
            let begun = Instant::now();
            let all = [("a", never), ("b", 10), ("c", never), ("d", 1), ("e", 1)];
            let (told, order) = read(&sources, &all).await;
            assert_eq!(begun.elapsed(), Duration::from_secs(300));
            assert_eq!(told, ["a sd_rest_late", "b 10", "c sd_rest_late", "d sd_rest_late", "e sd_rest_late"]);
            assert_eq!(order, ["a", "b", "c"]);
            // Those whose turn did not come begin, and what is read stands where it is named.
            let all = [("a", 1), ("b", 10), ("c", 1), ("d", 1), ("e", 1)];
            let (told, order) = read(&sources, &all).await;
            assert_eq!(told, ["a 1", "b 10", "c 1", "d 1", "e 1"]);
            assert_eq!(order, ["a", "c", "d", "e", "b"]);
            assert_eq!(read(&sources, &all).await.1, ["a", "b", "c", "d", "e"]);
        });
    }

    #[test]
    fn what_was_late_in_any_part_of_a_round_comes_first_in_the_next_one() {
        leak_checked(async || {
            let (sources, never) = (Sources::new(Duration::from_secs(60)), 1 << 20);
            let mut round = sources.round();
            let above = [("a", never), ("b", never), ("c", 1)];
            assert_eq!(part(&mut round, &above).await.0, ["a sd_rest_late", "b sd_rest_late", "c sd_rest_late"]);
            // The next part has the whole time again.
            let beneath = [("d", 1), ("e", never), ("f", never), ("g", 1)];
            let told = ["d 1", "e sd_rest_late", "f sd_rest_late", "g sd_rest_late"];
            assert_eq!(part(&mut round, &beneath).await.0, told);
            drop(round);
            let mut round = sources.round();
            assert_eq!(part(&mut round, &[("x", 1), ("c", 1)]).await.1, ["c", "x"]);
            assert_eq!(part(&mut round, &[("d", 1), ("f", 1), ("g", 1), ("x", 1)]).await.1, ["f", "g", "d", "x"]);
            drop(round);
            assert_eq!(read(&sources, &[("d", 1), ("g", 1), ("c", 1)]).await.1, ["d", "g", "c"], "it is forgotten");
        });
    }

    #[test]
    fn a_short_interval_leaves_time_all_the_same() {
        leak_checked(async || {
            let sources = Sources::new(Duration::from_secs(1));
            assert_eq!(read(&sources, &[("a", 29), ("b", 31)]).await.0, ["a 29", "b sd_rest_late"]);
        });
    }
}
