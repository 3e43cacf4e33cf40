//! What the user writes under `hetzner_sd_configs`.

use std::path::Path;
use std::time::Duration as StdDuration;

use rosterd_discovery::{Build, CheckContext, Discoverer, Error, Finding, Identity, MechanismConfig, Polling};
use rosterd_model::{Duration, Problem};
use rosterd_rest::{Calls, Throttles, examine_proof};
use serde::{Deserialize, Serialize};

use super::discoverer::Hetzner;

rosterd_client::with_http_client! {
    /// One entry of `hetzner_sd_configs`.
    #[derive(Debug, Clone, PartialEq)]
    pub struct HetznerConfig {
        /// What becomes targets.
        #[serde(skip_serializing_if = "client_key_unset")]
        pub role: Option<Role> = None,
        /// Which servers of the cloud are wanted, by their labels.
        #[serde(skip_serializing_if = "client_key_unset")]
        pub label_selector: String = String::new(),
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
    /// Servers of the cloud.
    Hcloud,
    /// Dedicated servers.
    Robot,
}

impl Role {
    /// As it is written.
    const fn name(self) -> &'static str {
        match self {
            Self::Hcloud => "hcloud",
            Self::Robot => "robot",
        }
    }

    /// Whom is asked.
    pub(super) const fn host(self) -> &'static str {
        match self {
            Self::Hcloud => "api.hetzner.cloud",
            Self::Robot => "robot-ws.your-server.de",
        }
    }
}

impl HetznerConfig {
    /// Checks refuse a configuration without one.
    pub(super) fn role(&self) -> Role {
        self.role.unwrap_or(Role::Hcloud)
    }
}

impl MechanismConfig for HetznerConfig {
    const MECHANISM: &'static str = "hetzner";

    type Metrics = Calls<Self>;
    type Shared = Throttles;

    fn identity(&self, id: &mut Identity) {
        id.text("role", self.role.map_or("", Role::name));
        if self.role() == Role::Hcloud {
            id.text("label_selector", &self.label_selector);
        }
        id.value("port", &self.port, &80);
        self.client.identity(id);
    }

    fn check(&self, _: &CheckContext) -> Vec<Problem> {
        let message = "role is missing: write hcloud for servers of the cloud, or robot for dedicated ones";
        let role = self.role.is_none().then(|| Problem::new("role", "cfg_missing_key", message));
        role.into_iter().chain(self.client.check()).collect()
    }

    fn resolve_paths(&mut self, base: &Path) {
        self.client.resolve_paths(base);
    }

    fn examine(&self, _: &CheckContext) -> Vec<Finding> {
        let message = "label_selector is for servers of the cloud: it has no effect on dedicated ones";
        let idle = (self.role() == Role::Robot && !self.label_selector.is_empty())
            .then(|| Finding::Idle(Problem::new("label_selector", "cfg_no_effect", message)));
        idle.into_iter().chain(examine_proof(&self.client, self.role().host())).collect()
    }

    fn refresh_interval(&self) -> Option<StdDuration> {
        Some(self.refresh_interval.into())
    }

    fn build(&self, cx: Build<'_, Self>) -> Result<Box<dyn Discoverer>, Error> {
        Ok(Polling::boxed(Hetzner::new(self, &cx)?, self.refresh_interval.into()))
    }
}

rosterd_discovery::register!(HetznerConfig);
