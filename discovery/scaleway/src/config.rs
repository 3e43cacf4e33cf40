//! What the user writes under `scaleway_sd_configs`.

use std::path::{Path, PathBuf};
use std::time::Duration as StdDuration;

use rosterd_client::{SafeUrl, Secret};
use rosterd_discovery::{Build, CheckContext, Discoverer, Error, Finding, Identity, MechanismConfig, Polling};
use rosterd_model::{Duration, Problem};
use rosterd_rest::{Calls, Key, Throttles};
use rosterd_tasks::files::resolve;
use serde::{Deserialize, Serialize};

use super::check;
use super::discoverer::Scaleway;

/// The name of the key that proves who asks.
pub(super) const SECRET_KEY: &str = "secret_key";
const ZONE: &str = "fr-par-1";
const API: &str = "https://api.scaleway.com";

rosterd_client::with_http_client! {
    /// One entry of `scaleway_sd_configs`.
    #[derive(Debug, Clone, PartialEq)]
    pub struct ScalewayConfig {
        /// What becomes targets.
        #[serde(skip_serializing_if = "client_key_unset")]
        pub role: Option<Role> = None,
        /// The project. Servers of others are told, too, as far as the key may see them.
        pub project_id: String = String::new(),
        /// The id of the key.
        pub access_key: String = String::new(),
        /// The key.
        #[serde(skip_serializing_if = "client_key_unset")]
        pub secret_key: Secret = Secret::default(),
        /// A file with it, which is read with each request.
        #[serde(skip_serializing_if = "client_key_unset")]
        pub secret_key_file: PathBuf = PathBuf::new(),
        /// The zone.
        pub zone: String = ZONE.to_owned(),
        /// Where the API is.
        pub api_url: SafeUrl = SafeUrl::new(API),
        /// What names of servers have to have in them.
        #[serde(skip_serializing_if = "client_key_unset")]
        pub name_filter: String = String::new(),
        /// Tags that servers have to have, all of them.
        #[serde(skip_serializing_if = "client_key_unset")]
        pub tags_filter: Vec<String> = Vec::new(),
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
    /// Virtual machines.
    Instance,
    /// Elastic Metal servers.
    Baremetal,
}

impl ScalewayConfig {
    pub(super) fn key(&self) -> Key {
        Key::new(&self.secret_key, &self.secret_key_file)
    }

    fn check_api(&self) -> Option<Problem> {
        let found = self.api_url.check("api_url");
        let message = "api_url does not end in a slash";
        let ends_in_slash = self.api_url.to_string().ends_with('/');
        found.or_else(|| ends_in_slash.then(|| Problem::new("api_url", "cfg_invalid_value", message)))
    }
}

impl MechanismConfig for ScalewayConfig {
    const MECHANISM: &'static str = "scaleway";

    type Metrics = Calls<Self>;
    type Shared = Throttles;

    fn identity(&self, id: &mut Identity) {
        id.text("role", if self.role == Some(Role::Baremetal) { "baremetal" } else { "" });
        id.quietly(|id| id.text("access_key", &self.access_key));
        self.key().identity(SECRET_KEY, id);
        id.value("zone", &&*self.zone, &ZONE);
        if self.api_url != SafeUrl::new(API) {
            id.url("api_url", &self.api_url);
        }
        id.text("name_filter", &self.name_filter);
        id.set("tags_filter", &self.tags_filter);
        id.value("port", &self.port, &80);
        self.client.identity(id);
    }

    fn check(&self, _: &CheckContext) -> Vec<Problem> {
        let missing = |name: &str, message: String| Problem::new(name, "cfg_missing_key", message);
        let message = "role is missing: write instance for virtual machines, or baremetal for Elastic Metal servers";
        let mut problems = Vec::from_iter(self.role.is_none().then(|| missing("role", message.to_owned())));
        match self.project_id.as_str() {
            "" => problems.push(missing(
                "project_id",
                "project_id is missing: write the ID of the project whose servers are wanted".to_owned(),
            )),
            id => problems.extend(check::uuid("project_id", id)),
        }
        problems.extend(self.key().check(SECRET_KEY));
        if !self.secret_key.is_empty() {
            problems.extend(check::uuid(SECRET_KEY, self.secret_key.expose()));
        }
        match self.access_key.as_str() {
            "" => problems.push(missing(
                "access_key",
                "access_key is missing: write the ID of an API key, which begins with SCW".to_owned(),
            )),
            key => problems.extend(check::access_key(key)),
        }
        problems.extend(check::zone(&self.zone));
        problems.extend(self.check_api());
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
        Ok(Polling::boxed(Scaleway::new(self, &cx)?, self.refresh_interval.into()))
    }
}

rosterd_discovery::register!(ScalewayConfig);
