//! The configuration of the fake.

use std::time::Duration;

use rosterd_discovery::{Build, CheckContext, Discoverer, Error, MechanismConfig, Problem};
use serde::{Deserialize, Serialize};

use super::Probe;
use super::discoverer::Fake;
use crate::group;

/// One entry of `fake_sd_configs`.
///
/// One that was read from a file has no probe: it reports its `targets` as one group and waits until it is stopped.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Tells fakes apart.
    pub name: String,
    /// Addresses that the fake reports before anything that its probe sends; nothing when there are none and it has a
    /// probe.
    pub targets: Vec<String>,
    /// Anything: a configuration that differs only in this is another one with the same probe.
    pub revision: u64,
    /// Makes [`check`](MechanismConfig::check) complain with this code `cfg_fake` and this message.
    pub problem: Option<String>,
    /// What drives the fake.
    #[serde(skip)]
    pub probe: Option<Probe>,
}

impl PartialEq for Config {
    fn eq(&self, other: &Self) -> bool {
        let content =
            |config: &Self| (config.name.clone(), config.targets.clone(), config.revision, config.problem.clone());
        let same_probe = match (&self.probe, &other.probe) {
            (Some(left), Some(right)) => left.is(right),
            (None, None) => true,
            _ => false,
        };
        same_probe && content(self) == content(other)
    }
}

impl MechanismConfig for Config {
    const MECHANISM: &'static str = "fake";
    type Metrics = ();

    fn check(&self, _: &CheckContext) -> Vec<Problem> {
        self.problem.iter().map(|message| Problem::new("problem", "cfg_fake", message)).collect()
    }

    fn refresh_interval(&self) -> Option<Duration> {
        None
    }

    fn build(&self, _: Build<'_, ()>) -> Result<Box<dyn Discoverer>, Error> {
        let addresses: Vec<_> = self.targets.iter().map(String::as_str).collect();
        let targets = (!addresses.is_empty()).then(|| group(&self.name, &addresses));
        match &self.probe {
            Some(probe) => {
                probe.built()?;
                Ok(Box::new(Fake { first: targets.map(|group| vec![group]), probe: probe.clone() }))
            }
            None => Ok(Box::new(Fake { first: Some(targets.into_iter().collect()), probe: Probe::new() })),
        }
    }
}
