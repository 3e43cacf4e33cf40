//! The slot of a target: a fixed fraction of all targets, and the unit of ownership.

use rosterd_model::Labels;
use xxhash_rust::xxh3::Xxh3Default;

/// How many slots there are.
pub const SLOTS: u16 = 4096;

/// The slot of a target, below [`SLOTS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(u16);

impl Slot {
    /// The slot of the target of a job with these final labels. It follows from what is asked: the job, the address, and what tells
    /// apart targets of one address, which are scheme, path and parameters. Other labels may change, and the target stays where it is.
    /// It is the same on every machine and in every version.
    pub fn of(job: &str, labels: &Labels) -> Self {
        let mut hasher = Xxh3Default::new();
        hasher.update(job.as_bytes());
        for (name, value) in labels.iter().filter(|(name, _)| is_asked(name)) {
            for part in [name, value] {
                // No label holds this byte: what is put together alike is alike.
                hasher.update(&[0xff]);
                hasher.update(part.as_bytes());
            }
        }
        Self((hasher.digest() % u64::from(SLOTS)) as u16)
    }

    /// All slots, in order.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..SLOTS).map(Self)
    }

    /// Its place among all.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// Whether a label of a target says what is asked of it: its URL.
pub fn is_asked(name: &str) -> bool {
    matches!(name, "__address__" | "__scheme__" | "__metrics_path__") || name.starts_with("__param_")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn of(job: &str, labels: &[(&str, &str)]) -> u16 {
        Slot::of(job, &labels.iter().copied().collect()).0
    }

    #[test]
    fn it_follows_from_what_is_asked() {
        let target = [("__address__", "10.0.3.7:9100"), ("__metrics_path__", "/metrics"), ("__scheme__", "http")];
        let with = |more: (&'static str, &'static str)| target.into_iter().chain([more]).collect::<Vec<_>>();
        assert_eq!(of("node", &target), of("node", &with(("pod", "a"))));
        assert_eq!(of("node", &with(("instance", "a"))), of("node", &with(("instance", "b"))));
        let all = [
            of("node", &target),
            of("nodes", &target),
            of("node", &with(("__param_target", "a"))),
            of("node", &with(("__param_target", "b"))),
            of("node", &target[..2]),
            of("node", &[("__address__", "10.0.3.8:9100")]),
        ];
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len(), "{all:?}");
    }

    #[test]
    fn it_is_the_same_in_every_version() {
        // Members of several versions share the targets: whoever changes these numbers doubles some and loses others.
        assert_eq!(of("node", &[("__address__", "10.0.3.7:9100"), ("__scheme__", "http")]), 71);
        assert_eq!(of("", &[]), 1218);
    }

    #[test]
    fn slots_are_alike_in_size() {
        let mut targets = vec![0; usize::from(SLOTS)];
        for n in 0..409_600 {
            let address = format!("10.{}.{}.{}:9100", n >> 16, n >> 8 & 255, n & 255);
            targets[usize::from(of("node", &[("__address__", &address)]))] += 1;
        }
        // A hundred each, and six standard deviations.
        assert!(targets.iter().all(|count| (40..=160).contains(count)), "{targets:?}");
    }
}
