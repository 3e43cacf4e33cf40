//! What the user writes under `vultr_sd_configs`, and how it is asked for.

use std::path::Path;
use std::time::Duration as StdDuration;

use async_trait::async_trait;
use rosterd_client::SafeUrl;
use rosterd_discovery::{
    Build, CheckContext, Discoverer, Error, Finding, Identity, MechanismConfig, Polling, Reading, Refresh,
};
use rosterd_model::{Duration, Problem};
use rosterd_rest::{Api, Calls, PagePlace, Throttles, examine_proof};

use super::decode;

/// Whom is asked.
pub(super) const HOST: &str = "api.vultr.com";
/// As many as it gives on one page.
const PAGE: &str = "500";

rosterd_client::with_http_client! {
    /// One entry of `vultr_sd_configs`.
    #[derive(Debug, Clone, PartialEq)]
    pub struct VultrConfig {
        /// The port of targets.
        pub port: u16 = 80,
        /// How often all is read. An answer that takes longer is given up.
        pub refresh_interval: Duration = Duration::from_secs(60),
    }
}

impl MechanismConfig for VultrConfig {
    const MECHANISM: &'static str = "vultr";

    type Metrics = Calls<Self>;
    type Shared = Throttles;

    fn identity(&self, id: &mut Identity) {
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
        let (server, interval) = (SafeUrl::new(format!("https://{HOST}")), self.refresh_interval.into());
        let api = Api::shared(&server, &self.client, interval, &cx, &["instances"], |_| ())?;
        Ok(Polling::boxed(Vultr { api, port: self.port }, interval))
    }
}

rosterd_discovery::register!(VultrConfig);

struct Vultr {
    api: Api,
    port: u16,
}

#[async_trait]
impl Refresh for Vultr {
    async fn refresh(&mut self) -> Result<Reading, Error> {
        let question = self.api.get(["v2", "instances"]).named("instances").asking_json().parameter("per_page", PAGE);
        let instances = question.paged(PagePlace::Parameter("cursor"), |_, body, _| decode::page(body)).await?;
        Ok(Reading::Everything(decode::groups(instances, self.port)))
    }
}
