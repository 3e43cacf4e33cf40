//! What the user writes under `outscale_sd_configs`, and how it is asked for.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration as StdDuration;

use async_trait::async_trait;
use rosterd_client::{SafeUrl, Secret};
use rosterd_discovery::{
    Build, CheckContext, Discoverer, Error, Finding, Identity, MechanismConfig, Polling, Reading, Refresh,
};
use rosterd_model::{Duration, Problem};
use rosterd_rest::{Api, Calls, Key, PagePlace, Throttles};
use rosterd_tasks::files::resolve;

use super::decode;
use super::signer::Signer;

const REGION: &str = "eu-west-2";
/// The name of the key that proves who asks.
const SECRET_KEY: &str = "secret_key";
/// What is asked for: as many as it gives on one page.
const QUESTION: &[u8] = br#"{"ResultsPerPage":1000}"#;

rosterd_client::with_http_client! {
    /// One entry of `outscale_sd_configs`.
    #[derive(Debug, Clone, PartialEq)]
    pub struct OutscaleConfig {
        /// Where the API is, if not at that of the region.
        #[serde(skip_serializing_if = "client_key_unset")]
        pub endpoint: SafeUrl = SafeUrl::default(),
        /// The region.
        pub region: String = REGION.to_owned(),
        /// The id of the key.
        pub access_key: String = String::new(),
        /// The key.
        #[serde(skip_serializing_if = "client_key_unset")]
        pub secret_key: Secret = Secret::default(),
        /// A file with it, which is read with each request.
        #[serde(skip_serializing_if = "client_key_unset")]
        pub secret_key_file: PathBuf = PathBuf::new(),
        /// The port of targets.
        pub port: u16 = 80,
        /// How often all is read. An answer that takes longer is given up.
        pub refresh_interval: Duration = Duration::from_secs(60),
    }
}

impl OutscaleConfig {
    fn key(&self) -> Key {
        Key::new(&self.secret_key, &self.secret_key_file)
    }

    fn server(&self) -> SafeUrl {
        match self.endpoint.parse() {
            Some(_) => self.endpoint.clone(),
            None => SafeUrl::new(format!("https://api.{}.outscale.com/api/v1", self.region)),
        }
    }

    /// A region that is none of a name of a host shows here, too.
    fn check_server(&self) -> Option<Problem> {
        let key = if self.endpoint.parse().is_some() { "endpoint" } else { "region" };
        self.server().check(key)
    }
}

impl MechanismConfig for OutscaleConfig {
    const MECHANISM: &'static str = "outscale";

    type Metrics = Calls<Self>;
    type Shared = Throttles;

    fn identity(&self, id: &mut Identity) {
        id.url("endpoint", &self.endpoint);
        id.value("region", &&*self.region, &REGION);
        id.quietly(|id| id.text("access_key", &self.access_key));
        self.key().identity(SECRET_KEY, id);
        id.value("port", &self.port, &80);
        self.client.identity(id);
    }

    fn check(&self, _: &CheckContext) -> Vec<Problem> {
        let required = [("region", &self.region), ("access_key", &self.access_key)];
        let missing = required.into_iter().filter(|(_, value)| value.is_empty());
        let mut problems: Vec<_> =
            missing.map(|(key, _)| Problem::new(key, "cfg_missing_key", format!("{key} is missing"))).collect();
        problems.extend(self.key().check(SECRET_KEY));
        if !self.region.is_empty() {
            problems.extend(self.check_server());
        }
        problems.extend(self.client.check());
        problems
    }

    fn resolve_paths(&mut self, base: &Path) {
        self.client.resolve_paths(base);
        resolve(base, &mut self.secret_key_file);
    }

    fn examine(&self, _: &CheckContext) -> Vec<Finding> {
        self.client.examine().into_iter().chain(self.key().examine(SECRET_KEY)).map(Finding::Missing).collect()
    }

    fn refresh_interval(&self) -> Option<StdDuration> {
        Some(self.refresh_interval.into())
    }

    fn build(&self, cx: Build<'_, Self>) -> Result<Box<dyn Discoverer>, Error> {
        let interval = self.refresh_interval.into();
        let who = |id: &mut Identity| id.text("access_key", &self.access_key);
        let api = Api::shared(&self.server(), &self.client, interval, &cx, &["vms"], who)?;
        let signer = Signer { id: self.access_key.clone(), secret: self.key().source(SECRET_KEY, cx.system)? };
        let outscale = Outscale { api: api.authorized(Arc::new(signer)), region: self.region.clone(), port: self.port };
        Ok(Polling::boxed(outscale, interval))
    }
}

rosterd_discovery::register!(OutscaleConfig);

struct Outscale {
    api: Api,
    region: String,
    port: u16,
}

#[async_trait]
impl Refresh for Outscale {
    async fn refresh(&mut self) -> Result<Reading, Error> {
        let question = self.api.post(["ReadVms"], QUESTION.to_vec()).named("vms");
        let machines = question.paged(PagePlace::Json("NextPageToken"), |_, body, _| decode::page(body)).await?;
        Ok(Reading::Everything(decode::groups(machines, &self.region, self.port)))
    }
}
