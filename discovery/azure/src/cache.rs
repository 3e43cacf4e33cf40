//! Network interfaces that were read lately: there are many, each costs a question, and they hardly change.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use xxhash_rust::xxh3::xxh3_64;

use super::decode::Interface;

/// So many are kept; of more, those whose time is over first.
const MOST: usize = 5000;
/// How many intervals one is kept, and how many more at most, by its id: else all would be asked about at once again.
const KEPT: u32 = 10;
const SPREAD: u32 = 3;
/// How many intervals one is kept that says that its machine is nowhere: it may be started at any time.
const NOWHERE: u32 = 2;

/// Interfaces by id.
#[derive(Debug)]
pub(super) struct Cache {
    interval: Duration,
    held: BTreeMap<Arc<str>, (Instant, Interface)>,
    /// The same ids by when their time is over.
    ends: BTreeSet<(Instant, Arc<str>)>,
}

impl Cache {
    /// An empty one, for who reads at this interval.
    pub(super) fn new(interval: Duration) -> Self {
        Self { interval, held: BTreeMap::new(), ends: BTreeSet::new() }
    }

    /// The interface of this id, if it was read lately.
    pub(super) fn get(&self, id: &str) -> Option<&Interface> {
        self.held.get(id).filter(|(end, _)| Instant::now() < *end).map(|(_, interface)| interface)
    }

    /// Keeps what was read just now.
    pub(super) fn put(&mut self, id: &str, interface: Interface) {
        let Some(end) = Instant::now().checked_add(self.time(id, &interface)) else { return };
        let id = Arc::<str>::from(id);
        if let Some((end, _)) = self.held.insert(Arc::clone(&id), (end, interface)) {
            self.ends.remove(&(end, Arc::clone(&id)));
        }
        self.ends.insert((end, id));
        if self.held.len() > MOST
            && let Some((_, first)) = self.ends.pop_first()
        {
            self.held.remove(&first);
        }
    }

    fn time(&self, id: &str, interface: &Interface) -> Duration {
        let share = f64::from((xxh3_64(id.as_bytes()) >> 32) as u32) / f64::from(u32::MAX);
        let (kept, spread) = match interface {
            Interface::Deallocated => (NOWHERE, 0),
            Interface::Primary(address) if address.private.is_empty() => (NOWHERE, 0),
            Interface::Other | Interface::Primary(_) => (KEPT, SPREAD),
        };
        let spread = self.interval.saturating_mul(spread);
        self.interval.saturating_mul(kept).saturating_add(spread.mul_f64(share.min(1.0)))
    }
}

#[cfg(test)]
mod tests {
    use rosterd_testkit::leak_checked;

    use super::*;
    use crate::decode;

    #[test]
    fn interfaces_are_kept_for_some_intervals_and_not_all_as_long() {
        leak_checked(async || {
            let mut cache = Cache::new(Duration::from_secs(60));
            let ids: Vec<_> = (0..100).map(|number| format!("/nics/{number}")).collect();
            ids.iter().for_each(|id| cache.put(id, Interface::default()));
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
            cache.put("old", Interface::default());
            tokio::time::advance(Duration::from_secs(500)).await;
            (0..=MOST).for_each(|number| cache.put(&number.to_string(), Interface::default()));
            assert!(cache.get("old").is_none(), "its time would be over before that of all others");
            // What is put anew takes no place of others.
            cache.put("7", Interface::Deallocated);
            assert_eq!(cache.ends.len(), MOST);
            assert_eq!(cache.held.len(), MOST);
            assert!(cache.get(&MOST.to_string()).is_some());
        });
    }

    #[test]
    fn a_machine_that_is_nowhere_is_looked_for_again_soon() {
        leak_checked(async || {
            let mut cache = Cache::new(Duration::from_secs(60));
            let address = |private: &str| {
                let configuration = format!(r#"{{"properties": {{"privateIPAddress": "{private}"}}}}"#);
                let text = format!(r#"{{"properties": {{"primary": true, "ipConfigurations": [{configuration}]}}}}"#);
                decode::interface(text.as_bytes()).expect("an interface")
            };
            let all = [("stopped", Interface::Deallocated), ("bare", address("")), ("there", address("10.0.0.1"))];
            all.into_iter().for_each(|(id, interface)| cache.put(id, interface));
            let known = |cache: &Cache| ["stopped", "bare", "there"].map(|id| cache.get(id).is_some());
            tokio::time::advance(Duration::from_secs(119)).await;
            assert_eq!(known(&cache), [true, true, true]);
            tokio::time::advance(Duration::from_secs(2)).await;
            assert_eq!(known(&cache), [false, false, true]);
        });
    }
}
