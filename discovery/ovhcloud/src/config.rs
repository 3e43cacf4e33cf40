//! What the user writes under `ovhcloud_sd_configs`.

use std::time::Duration as StdDuration;

use rosterd_client::{SafeUrl, Secret};
use rosterd_discovery::{Build, CheckContext, Discoverer, Error, Finding, Identity, MechanismConfig, Polling};
use rosterd_model::{Duration, Problem};
use rosterd_rest::{Calls, Throttles};
use serde::{Deserialize, Serialize};

use super::discoverer::Ovhcloud;

/// The names of APIs.
const NAMED: [(&str, &str); 7] = [
    ("ovh-eu", "https://eu.api.ovh.com/1.0"),
    ("ovh-ca", "https://ca.api.ovh.com/1.0"),
    ("ovh-us", "https://api.us.ovhcloud.com/1.0"),
    ("kimsufi-eu", "https://eu.api.kimsufi.com/1.0"),
    ("kimsufi-ca", "https://ca.api.kimsufi.com/1.0"),
    ("soyoustart-eu", "https://eu.api.soyoustart.com/1.0"),
    ("soyoustart-ca", "https://ca.api.soyoustart.com/1.0"),
];

/// One entry of `ovhcloud_sd_configs`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a map of keys and values")]
pub struct OvhcloudConfig {
    /// Which API is asked: its name, or its URL.
    pub endpoint: String,
    /// The id of the application that asks.
    pub application_key: String,
    /// Its secret.
    pub application_secret: Secret,
    /// For whom it asks.
    pub consumer_key: Secret,
    /// How often all is read. An answer that takes longer is given up.
    pub refresh_interval: Duration,
    /// What becomes targets.
    pub service: Option<Service>,
}

/// What becomes targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Service {
    /// Virtual private servers.
    Vps,
    /// Dedicated servers.
    DedicatedServer,
}

impl Default for OvhcloudConfig {
    fn default() -> Self {
        Self {
            endpoint: "ovh-eu".to_owned(),
            application_key: String::new(),
            application_secret: Secret::default(),
            consumer_key: Secret::default(),
            refresh_interval: Duration::from_secs(60),
            service: None,
        }
    }
}

impl OvhcloudConfig {
    /// Where the API is: of a name that nobody knows, nowhere.
    pub(super) fn server(&self) -> Option<SafeUrl> {
        if self.endpoint.contains('/') {
            return Some(SafeUrl::new(&*self.endpoint));
        }
        let (_, url) = NAMED.iter().find(|(name, _)| *name == self.endpoint)?;
        Some(SafeUrl::new(*url))
    }

    /// Prometheus finds these at each refresh only, and so nobody may refuse a file for them.
    fn check_endpoint(&self) -> Option<Problem> {
        if self.endpoint.is_empty() {
            return None;
        }
        let names = NAMED.map(|(name, _)| name).join(", ");
        let message = format!("endpoint is none of {names}, and no URL: nothing is found");
        match self.server() {
            None => Some(Problem::new("endpoint", "cfg_no_effect", message)),
            Some(server) => server.check("endpoint"),
        }
    }
}

impl MechanismConfig for OvhcloudConfig {
    const MECHANISM: &'static str = "ovhcloud";

    type Metrics = Calls<Self>;
    type Shared = Throttles;

    fn identity(&self, id: &mut Identity) {
        match self.server() {
            Some(server) => id.url("server", &server),
            None => id.text("endpoint", &self.endpoint),
        }
        id.quietly(|id| id.text("application_key", &self.application_key));
        id.secret("application_secret", &self.application_secret);
        id.secret("consumer_key", &self.consumer_key);
        id.text("service", if self.service == Some(Service::DedicatedServer) { "dedicated_server" } else { "" });
    }

    fn check(&self, _: &CheckContext) -> Vec<Problem> {
        let is_missing = [
            ("endpoint", self.endpoint.is_empty()),
            ("application_key", self.application_key.is_empty()),
            ("application_secret", self.application_secret.is_empty()),
            ("consumer_key", self.consumer_key.is_empty()),
        ];
        let missing = is_missing.into_iter().filter(|(_, is_missing)| *is_missing);
        let missing = missing.map(|(key, _)| Problem::new(key, "cfg_missing_key", format!("{key} is missing")));
        let message = "service is missing: write vps or dedicated_server";
        let service = self.service.is_none().then(|| Problem::new("service", "cfg_missing_key", message));
        missing.chain(service).collect()
    }

    fn examine(&self, _: &CheckContext) -> Vec<Finding> {
        self.check_endpoint().map(Finding::Idle).into_iter().collect()
    }

    fn refresh_interval(&self) -> Option<StdDuration> {
        Some(self.refresh_interval.into())
    }

    fn build(&self, cx: Build<'_, Self>) -> Result<Box<dyn Discoverer>, Error> {
        Ok(Polling::boxed(Ovhcloud::new(self, &cx)?, self.refresh_interval.into()))
    }
}

rosterd_discovery::register!(OvhcloudConfig);
