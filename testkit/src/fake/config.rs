//! The configuration of the fake.

use std::sync::Arc;
use std::time::Duration;

use rosterd_discovery::{Build, CheckContext, Discoverer, Error, Identity, MechanismConfig};
use rosterd_model::Problem;
use serde::{Deserialize, Serialize};

use super::discoverer::Fake;
use super::{Probe, Shared};
use crate::group;

/// One entry of `fake_sd_configs`.
///
/// One that was read from a file has no probe: it reports its `targets` and waits until it is stopped.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Tells fakes, and what they read, apart.
    pub name: String,
    /// Addresses that the fake reports as one group before anything else; without them a fake that has a probe reports
    /// nothing by itself.
    pub targets: Option<Vec<String>>,
    /// Anything: a configuration that differs only in this is another one with the same probe.
    pub revision: u64,
    /// Makes [`check`](MechanismConfig::check) complain, with the code `cfg_fake` and this message.
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
    type Shared = Shared;

    fn identity(&self, id: &mut Identity) {
        id.text("name", &self.name);
        id.list("targets", self.targets.iter().flatten());
    }

    fn check(&self, _: &CheckContext) -> Vec<Problem> {
        self.problem.iter().map(|message| Problem::new("problem", "cfg_fake", message)).collect()
    }

    fn refresh_interval(&self) -> Option<Duration> {
        None
    }

    fn build(&self, cx: Build<'_, Self>) -> Result<Box<dyn Discoverer>, Error> {
        let first = self.targets.as_ref().map(|targets| {
            let addresses: Vec<_> = targets.iter().map(String::as_str).collect();
            vec![group(&self.name, &addresses)]
        });
        match &self.probe {
            Some(probe) => {
                probe.built(cx.shared)?;
                Ok(Box::new(Fake { first, probe: probe.clone(), shared: Arc::clone(cx.shared) }))
            }
            None => Ok(Box::new(Fake {
                first: first.or(Some(Vec::new())),
                probe: Probe::new(),
                shared: Arc::clone(cx.shared),
            })),
        }
    }
}
