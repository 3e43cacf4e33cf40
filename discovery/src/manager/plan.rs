//! Which providers a configuration needs, and which of them run already. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use rosterd_client::Reads;

use super::provider::ProviderKey;
use super::supervisor::Jobs;
use crate::{AnyConfig, System};

/// Providers by key, each with its configuration.
pub type Providers = BTreeMap<ProviderKey, Arc<dyn AnyConfig>>;

/// The step from the running providers to those that a configuration needs.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// Providers to start.
    pub start: Providers,
    /// Providers to stop.
    pub stop: Vec<ProviderKey>,
    /// What each provider reads, of those to start.
    pub reads: BTreeMap<ProviderKey, Arc<Reads>>,
    /// The providers of each job, in the order of the file, each once.
    pub jobs: BTreeMap<Arc<str>, Vec<ProviderKey>>,
}

impl Plan {
    /// Compares what runs with what `jobs` need. Configurations are compared as values, never as text.
    ///
    /// Keys follow from `jobs` and the machine alone, whatever ran before: a configuration that comes in place of another one with the same
    /// data is begun under its key, and so is one before which another one went.
    pub fn new(running: &Providers, jobs: &Jobs, system: &System) -> Self {
        let mut needed = Providers::new();
        let (mut by_job, mut reads) = (BTreeMap::new(), BTreeMap::new());
        for (job, configs) in jobs {
            let mut keys = Vec::with_capacity(configs.len());
            for config in configs {
                let identity = config.identified(system);
                let key = key_of(config, identity.hash(), &needed);
                reads.entry(key.clone()).or_insert_with(|| Arc::new(identity.reads().clone()));
                needed.entry(key.clone()).or_insert_with(|| Arc::clone(config));
                if !keys.contains(&key) {
                    keys.push(key);
                }
            }
            by_job.insert(Arc::clone(job), keys);
        }
        let equal =
            |one: Option<&Arc<dyn AnyConfig>>, other: &Arc<dyn AnyConfig>| one.is_some_and(|it| it.equals(&**other));
        let stop = running.iter().filter(|(key, config)| !equal(needed.get(*key), config)).map(|(key, _)| key.clone());
        let stop = stop.collect();
        needed.retain(|key, config| !equal(running.get(key), config));
        reads.retain(|key, _| needed.contains_key(key));
        Self { start: needed, stop, reads, jobs: by_job }
    }
}

/// The key of a configuration: a hash of what it reads and as whom. Unequal configurations with the same data are told apart by a
/// number, in the order of the jobs' names and in each job in that of the file.
fn key_of(config: &Arc<dyn AnyConfig>, data: u64, needed: &Providers) -> ProviderKey {
    let base = format!("{}/{data:016x}", config.mechanism());
    let numbered = (2..).map(|number| ProviderKey::new(format!("{base}-{number}")));
    let mut keys = [ProviderKey::new(base.clone())].into_iter().chain(numbered);
    let is_its_own = |key: &ProviderKey| needed.get(key).is_none_or(|taken| taken.equals(&**config));
    keys.find(is_its_own).expect("numbers do not end")
}
