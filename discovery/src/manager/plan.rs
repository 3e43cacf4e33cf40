//! Which providers a configuration needs, and which of them run already. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::provider::ProviderKey;
use super::supervisor::Jobs;
use crate::AnyConfig;

/// Providers by key, each with its configuration.
pub type Providers = BTreeMap<ProviderKey, Arc<dyn AnyConfig>>;

/// The step from the running providers to those that a configuration needs.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// Providers to start.
    pub start: Providers,
    /// Providers to stop.
    pub stop: Vec<ProviderKey>,
    /// The providers of each job, in the order of the file, each once.
    pub jobs: BTreeMap<Arc<str>, Vec<ProviderKey>>,
}

impl Plan {
    /// Compares what runs with what `jobs` need. Configurations are compared as values, never as text.
    pub fn new(running: &Providers, jobs: &Jobs) -> Self {
        let mut needed = Providers::new();
        let mut by_job = BTreeMap::new();
        for (job, configs) in jobs {
            let mut keys = Vec::with_capacity(configs.len());
            for config in configs {
                let key = key_of(config, running, &needed);
                needed.entry(key.clone()).or_insert_with(|| Arc::clone(config));
                if !keys.contains(&key) {
                    keys.push(key);
                }
            }
            by_job.insert(Arc::clone(job), keys);
        }
        let stop = running.keys().filter(|key| !needed.contains_key(*key)).cloned().collect();
        needed.retain(|key, _| !running.contains_key(key));
        Self { start: needed, stop, jobs: by_job }
    }
}

/// The key of a configuration: the one that an equal configuration has already, or a free one made from what it reads and
/// as whom. Unequal configurations with the same data are told apart by a number.
fn key_of(config: &Arc<dyn AnyConfig>, running: &Providers, needed: &Providers) -> ProviderKey {
    let base = format!("{}/{:016x}", config.mechanism(), config.data());
    let from = ProviderKey::new(base.clone());
    let same_data = |all: &Providers| {
        let all = all.range(from.clone()..).take_while(|(key, _)| key.as_str().starts_with(&base));
        all.filter(|(_, taken)| taken.equals(&**config)).map(|(key, _)| key.clone()).next()
    };
    let free = || {
        let numbered = (2..).map(|number| ProviderKey::new(format!("{base}-{number}")));
        let mut keys = [from.clone()].into_iter().chain(numbered);
        keys.find(|key| !running.contains_key(key) && !needed.contains_key(key)).expect("numbers do not end")
    };
    same_data(running).or_else(|| same_data(needed)).unwrap_or_else(free)
}
