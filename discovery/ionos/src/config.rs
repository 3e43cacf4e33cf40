//! What the user writes under `ionos_sd_configs`, and how it is asked for.

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
pub(super) const HOST: &str = "api.ionos.com";
/// So many servers are asked for at once.
const PAGE: usize = 1000;
/// How deep an answer goes: down to network cards and volumes.
const DEPTH: &str = "3";

rosterd_client::with_http_client! {
    /// One entry of `ionos_sd_configs`.
    #[derive(Debug, Clone, PartialEq)]
    pub struct IonosConfig {
        /// The id of the datacenter.
        pub datacenter_id: String = String::new(),
        /// The port of targets.
        pub port: u16 = 80,
        /// How often all is read. An answer that takes longer is given up.
        pub refresh_interval: Duration = Duration::from_secs(60),
    }
}

impl MechanismConfig for IonosConfig {
    const MECHANISM: &'static str = "ionos";

    type Metrics = Calls<Self>;
    type Shared = Throttles;

    fn identity(&self, id: &mut Identity) {
        id.text("datacenter_id", &self.datacenter_id);
        id.value("port", &self.port, &80);
        self.client.identity(id);
    }

    fn check(&self, _: &CheckContext) -> Vec<Problem> {
        let missing = self.datacenter_id.is_empty().then(|| {
            Problem::new(
                "datacenter_id",
                "cfg_missing_key",
                "datacenter_id is missing: write the ID of the data center whose servers are wanted",
            )
        });
        missing.into_iter().chain(self.client.check()).collect()
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
        let api = Api::shared(&server, &self.client, interval, &cx, &["servers"], |_| ())?;
        Ok(Polling::boxed(Ionos { api, datacenter: self.datacenter_id.clone(), port: self.port }, interval))
    }
}

rosterd_discovery::register!(IonosConfig);

struct Ionos {
    api: Api,
    datacenter: String,
    port: u16,
}

#[async_trait]
impl Refresh for Ionos {
    async fn refresh(&mut self) -> Result<Reading, Error> {
        let question = self
            .api
            .get(["cloudapi", "v6", "datacenters", &*self.datacenter, "servers"])
            .named("servers")
            .asking_json();
        let question =
            question.parameter("depth", DEPTH).parameter("limit", &PAGE.to_string()).parameter("offset", "0");
        let page = |body: &[u8], before| decode::page(body, before, PAGE);
        let servers =
            question.paged(PagePlace::Parameter("offset"), move |_, body, before| page(body, before.items)).await?;
        Ok(Reading::Everything(decode::groups(servers, self.port)))
    }
}
