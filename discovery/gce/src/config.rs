//! What the user writes under `gce_sd_configs`.

use std::path::Path;
use std::time::Duration as StdDuration;

use rosterd_client::{HttpClientConfig, SafeUrl, unset};
use rosterd_discovery::{Build, CheckContext, Discoverer, Error, Identity, MechanismConfig, Polling, System};
use rosterd_model::{Duration, Problem};
use rosterd_rest::Calls;
use serde::{Deserialize, Serialize};

use super::discoverer::{Asked, Gce};

/// Where the API is.
const ENDPOINT: &str = "https://compute.googleapis.com";

/// One entry of `gce_sd_configs`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a map of keys and values")]
pub struct GceConfig {
    /// The project.
    pub project: String,
    /// The zone.
    pub zone: String,
    /// Which instances are wanted, in the language of the API; all if it is empty.
    #[serde(skip_serializing_if = "unset")]
    pub filter: String,
    /// How often all is read. An answer that takes longer is given up.
    pub refresh_interval: Duration,
    /// The port of targets.
    pub port: u16,
    /// What stands between the tags of an instance.
    pub tag_separator: String,
    /// rosterd's own: where the API is, if not at Google.
    #[serde(skip_serializing_if = "unset")]
    pub endpoint: SafeUrl,
}

impl Default for GceConfig {
    fn default() -> Self {
        Self {
            project: String::new(),
            zone: String::new(),
            filter: String::new(),
            refresh_interval: Duration::from_secs(60),
            port: 80,
            tag_separator: ",".to_owned(),
            endpoint: SafeUrl::default(),
        }
    }
}

impl GceConfig {
    /// Where the API is.
    pub(super) fn server(&self) -> SafeUrl {
        if unset(&self.endpoint) { SafeUrl::new(ENDPOINT) } else { self.endpoint.clone() }
    }

    /// How it is reached: by the proxy of the environment, if there is one, as Google's own programs do.
    pub(super) fn client() -> HttpClientConfig {
        HttpClientConfig { proxy_from_environment: true, ..HttpClientConfig::default() }
    }
}

impl MechanismConfig for GceConfig {
    const MECHANISM: &'static str = "gce";

    type Metrics = Calls<Self>;
    type Shared = Asked;

    fn identity(&self, id: &mut Identity) {
        id.text("project", &self.project);
        id.text("zone", &self.zone);
        id.text("filter", &self.filter);
        id.value("port", &self.port, &80);
        if self.tag_separator != "," {
            // None is another one than the usual one.
            id.list("tag_separator", [&self.tag_separator]);
        }
        id.url("endpoint", &self.endpoint);
    }

    fn identity_on(&self, id: &mut Identity, system: &System) {
        self.identity(id);
        // Who asks stands nowhere else.
        let named = system.environment().get("GOOGLE_APPLICATION_CREDENTIALS").unwrap_or_default();
        id.quietly(|id| id.path("environment/GOOGLE_APPLICATION_CREDENTIALS", Path::new(named)));
    }

    fn check(&self, _: &CheckContext) -> Vec<Problem> {
        let required = [
            ("project", &self.project, "write the ID of the project whose instances are wanted"),
            ("zone", &self.zone, "write the zone of its instances, such as europe-west3-a"),
        ];
        let missing = required.into_iter().filter(|(_, value, _)| value.is_empty());
        let problem = |key: &str, what: &str| Problem::new(key, "cfg_missing_key", format!("{key} is missing: {what}"));
        let missing = missing.map(|(key, _, what)| problem(key, what));
        let endpoint = if unset(&self.endpoint) { None } else { self.endpoint.check("endpoint") };
        missing.chain(endpoint).collect()
    }

    fn refresh_interval(&self) -> Option<StdDuration> {
        Some(self.refresh_interval.into())
    }

    fn build(&self, cx: Build<'_, Self>) -> Result<Box<dyn Discoverer>, Error> {
        Ok(Polling::boxed(Gce::new(self.clone(), &cx)?, self.refresh_interval.into()))
    }
}

rosterd_discovery::register!(GceConfig);
