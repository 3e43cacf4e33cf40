//! Network interfaces that were read lately: there are many, each costs a question, and they hardly change.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;
use xxhash_rust::xxh3::xxh3_64;

use super::decode::Interface;

/// So many are kept; of more, those whose time is over first.
const MOST: usize = 5000;
/// How many intervals one is kept, and how many more at most, by its id: else all would be asked about at once again.
const KEPT: u32 = 10;
const SPREAD: u32 = 3;

/// Interfaces by id.
#[derive(Debug)]
pub(super) struct Cache {
    interval: Duration,
    held: BTreeMap<String, (Instant, Interface)>,
}

impl Cache {
    /// An empty one, for who reads at this interval.
    pub(super) fn new(interval: Duration) -> Self {
        Self { interval, held: BTreeMap::new() }
    }

    /// The interface of this id, if it was read lately.
    pub(super) fn get(&self, id: &str) -> Option<&Interface> {
        self.held.get(id).filter(|(end, _)| Instant::now() < *end).map(|(_, interface)| interface)
    }

    /// Keeps what was read just now.
    pub(super) fn put(&mut self, id: String, interface: Interface) {
        let now = Instant::now();
        if self.held.len() >= MOST && !self.held.contains_key(&id) {
            self.held.retain(|_, (end, _)| now < *end);
        }
        if self.held.len() >= MOST
            && !self.held.contains_key(&id)
            && let Some(first) = self.held.iter().min_by_key(|(_, (end, _))| *end).map(|(id, _)| id.clone())
        {
            self.held.remove(&first);
        }
        if let Some(end) = now.checked_add(self.time(&id)) {
            self.held.insert(id, (end, interface));
        }
    }

    fn time(&self, id: &str) -> Duration {
        let share = f64::from((xxh3_64(id.as_bytes()) >> 32) as u32) / f64::from(u32::MAX);
        let spread = self.interval.saturating_mul(SPREAD);
        self.interval.saturating_mul(KEPT).saturating_add(spread.mul_f64(share.min(1.0)))
    }
}

#[cfg(test)]
mod tests {
    use rosterd_testkit::leak_checked;

    use super::*;

    #[test]
    fn interfaces_are_kept_for_some_intervals_and_not_all_as_long() {
        leak_checked(async || {
            let mut cache = Cache::new(Duration::from_secs(60));
            let ids: Vec<_> = (0..100).map(|number| format!("/nics/{number}")).collect();
            ids.iter().for_each(|id| cache.put(id.clone(), Interface::default()));
            let known = |cache: &Cache| ids.iter().filter(|id| cache.get(id).is_some()).count();
            tokio::time::advance(Duration::from_secs(599)).await;
            assert_eq!(known(&cache), 100);
            tokio::time::advance(Duration::from_secs(91)).await;
            let half = known(&cache);
            assert!((20..80).contains(&half), "{half}");
            tokio::time::advance(Duration::from_secs(91)).await;
            assert_eq!(known(&cache), 0);
            assert!(cache.get("/nics/other").is_none());
        });
    }

    #[test]
    fn of_too_many_those_go_first_whose_time_is_over_first() {
        leak_checked(async || {
            let mut cache = Cache::new(Duration::from_secs(60));
            (0..=MOST).for_each(|number| cache.put(number.to_string(), Interface::default()));
            assert_eq!(cache.held.len(), MOST);
            assert!(cache.get(&MOST.to_string()).is_some());
        });
    }
}
