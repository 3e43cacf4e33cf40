//! What the user writes under `digitalocean_sd_configs`.

use std::path::Path;
use std::time::Duration as StdDuration;

use rosterd_discovery::{Build, CheckContext, Discoverer, Error, Finding, Identity, MechanismConfig, Polling};
use rosterd_model::{Duration, Problem};
use rosterd_rest::{Calls, Throttles, examine_proof};
use serde::{Deserialize, Serialize};

use super::discoverer::{Digitalocean, HOST};

rosterd_client::with_http_client! {
    /// One entry of `digitalocean_sd_configs`.
    #[derive(Debug, Clone, PartialEq)]
    pub struct DigitaloceanConfig {
        /// What becomes targets.
        pub role: Role = Role::Droplets,
        /// The port of targets.
        pub port: u16 = 80,
        /// How often all is read. An answer that takes longer is given up.
        pub refresh_interval: Duration = Duration::from_secs(60),
    }
}

/// What becomes targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Machines.
    Droplets,
    /// Clusters of databases that DigitalOcean runs.
    Databases,
}

impl MechanismConfig for DigitaloceanConfig {
    const MECHANISM: &'static str = "digitalocean";

    type Metrics = Calls<Self>;
    type Shared = Throttles;

    fn identity(&self, id: &mut Identity) {
        id.text("role", if self.role == Role::Databases { "databases" } else { "" });
        id.value("port", &self.port, &80);
        self.client.identity(id);
    }

    fn check(&self, _: &CheckContext) -> Vec<Problem> {
        self.client.check()
    }

    fn resolve_paths(&mut self, base: &Path) {
        self.client.resolve_paths(base);
    }

    fn examine(&self, _: &CheckContext) -> Vec<Finding> {
        examine_proof(&self.client, HOST)
    }

    fn refresh_interval(&self) -> Option<StdDuration> {
        Some(self.refresh_interval.into())
    }

    fn build(&self, cx: Build<'_, Self>) -> Result<Box<dyn Discoverer>, Error> {
        Ok(Polling::boxed(Digitalocean::new(self, &cx)?, self.refresh_interval.into()))
    }
}

rosterd_discovery::register!(DigitaloceanConfig);
