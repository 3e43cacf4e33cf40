//! What the user writes under `linode_sd_configs`.

use std::path::Path;
use std::time::Duration as StdDuration;

use rosterd_discovery::{Build, CheckContext, Discoverer, Error, Finding, Identity, MechanismConfig, Polling};
use rosterd_model::{Duration, Problem};
use rosterd_rest::{Calls, Throttles, examine_proof};

use super::discoverer::{HOST, Linode};

rosterd_client::with_http_client! {
    /// One entry of `linode_sd_configs`.
    #[derive(Debug, Clone, PartialEq)]
    pub struct LinodeConfig {
        /// The region whose instances are wanted; all if it is empty.
        #[serde(skip_serializing_if = "client_key_unset")]
        pub region: String = String::new(),
        /// What stands between the items of a list.
        pub tag_separator: String = ",".to_owned(),
        /// The port of targets.
        pub port: u16 = 80,
        /// How often Linode is asked. An answer that takes longer is given up.
        pub refresh_interval: Duration = Duration::from_secs(60),
    }
}

impl MechanismConfig for LinodeConfig {
    const MECHANISM: &'static str = "linode";

    type Metrics = Calls<Self>;
    type Shared = Throttles;

    fn identity(&self, id: &mut Identity) {
        id.text("region", &self.region);
        if self.tag_separator != "," {
            // An empty one counts, too.
            id.text("tag_separator", format!("={}", self.tag_separator));
        }
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
        Ok(Polling::boxed(Linode::new(self, &cx)?, self.refresh_interval.into()))
    }
}

rosterd_discovery::register!(LinodeConfig);
