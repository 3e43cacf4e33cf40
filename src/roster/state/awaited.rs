//! What jobs waited for when the process ended, and wait for still. Pure.

use std::collections::{BTreeMap, BTreeSet};

use rosterd_discovery::ProviderKey;

use super::provider::Stored;
use crate::roster::head::HeldBy;
use crate::roster::job::JobSpec;

/// Providers, each with others of which it does not adopt what they know although the data are the same: a job holds what it had before
/// in its place, and would let go of that for what somebody else knows.
#[derive(Debug, Default)]
pub(super) struct Awaited(BTreeSet<(ProviderKey, ProviderKey)>);

impl Awaited {
    /// Those of these jobs, of which this was stored.
    pub(super) fn of(specs: &[JobSpec], stored: &[Stored]) -> Self {
        let mut holds: BTreeMap<&str, Vec<&HeldBy>> = BTreeMap::new();
        for (job, held) in stored.iter().flat_map(|stored| &stored.head.held) {
            holds.entry(&**job).or_default().push(held);
        }
        let mut pairs = BTreeSet::new();
        for spec in specs {
            let Some(held) = holds.get(&*spec.name) else { continue };
            let came = |key: &&ProviderKey| held.iter().any(|held| !held.beside.contains(key.as_str()));
            for key in spec.providers.iter().filter(came) {
                // What the job itself used until it was stopped, and does not use now, it gave up for this one.
                let gave_up = |it: &Stored| {
                    let used = it.head.jobs.contains(&spec.name) && !it.head.held.contains_key(&spec.name);
                    used && !spec.providers.contains(&it.key)
                };
                let twins = stored.iter().filter(|it| it.key.data() == key.data() && !gave_up(it));
                pairs.extend(twins.map(|twin| (key.clone(), twin.key.clone())));
            }
        }
        Self(pairs)
    }

    /// Whether a provider of which nothing is known may begin with what another one knows.
    pub(super) fn may_adopt(&self, key: &ProviderKey, other: &ProviderKey) -> bool {
        other.data() == key.data() && !self.0.contains(&(key.clone(), other.clone()))
    }
}
