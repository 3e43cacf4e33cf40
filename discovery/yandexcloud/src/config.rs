//! What the user writes under `yandexcloud_sd_configs`.

use std::path::Path;
use std::time::Duration as StdDuration;

use rosterd_client::{SafeUrl, Secret, unset};
use rosterd_credentials::Kept;
use rosterd_discovery::{
    Build, CheckContext, Discoverer, Error, Finding, Identity, MechanismConfig, MechanismShared, Polling, System,
};
use rosterd_model::{Duration, Problem};
use rosterd_rest::{Calls, Throttles};
use rosterd_tasks::Stopper;

use super::account::Account;
use super::discoverer::Yandexcloud;

rosterd_client::with_http_client! {
    /// One entry of `yandexcloud_sd_configs`.
    #[derive(Debug, Clone, PartialEq)]
    pub struct YandexcloudConfig {
        /// What is discovered: `compute`.
        pub service: String = String::new(),
        /// What a token is asked for with. Without it, it is that of the service account of the machine.
        #[serde(skip_serializing_if = "unset")]
        pub yandex_passport_oauth_token: Secret = Secret::default(),
        /// Where it is said which service is where.
        pub api_endpoint: SafeUrl = SafeUrl::new("https://api.cloud.yandex.net"),
        /// The folders; all that can be seen if there are none.
        #[serde(skip_serializing_if = "unset")]
        pub folder_ids: Vec<String> = Vec::new(),
        /// How often all is read. An answer that takes longer is given up.
        pub refresh_interval: Duration = Duration::from_secs(30),
    }
}

impl YandexcloudConfig {
    /// What counts for where the services are and for tokens.
    pub(super) fn asker(&self) -> Self {
        Self { service: String::new(), folder_ids: Vec::new(), refresh_interval: Duration::default(), ..self.clone() }
    }

    /// Says who asks whom.
    pub(super) fn who(&self, id: &mut Identity) {
        id.url("api_endpoint", &self.api_endpoint);
        id.secret("yandex_passport_oauth_token", &self.yandex_passport_oauth_token);
        self.client.identity(id);
    }
}

impl MechanismConfig for YandexcloudConfig {
    const MECHANISM: &'static str = "yandexcloud";

    type Metrics = Calls<Self>;
    type Shared = Shared;

    fn identity(&self, id: &mut Identity) {
        self.who(id);
        id.set("folder_ids", &self.folder_ids);
    }

    fn check(&self, _: &CheckContext) -> Vec<Problem> {
        let mut problems = Vec::new();
        match self.service.as_str() {
            "compute" => {}
            "" => problems.push(Problem::new("service", "cfg_missing_key", "service is missing: compute")),
            other => {
                let message = format!("there is no service {other:?} to discover: only compute");
                problems.push(Problem::new("service", "cfg_invalid_value", message));
            }
        }
        problems.extend(self.api_endpoint.check("api_endpoint"));
        for (index, _) in self.folder_ids.iter().enumerate().filter(|(_, folder)| folder.is_empty()) {
            problems.push(Problem::new(format!("folder_ids[{index}]"), "cfg_empty_entry", "a folder has an id"));
        }
        problems.extend(self.client.check());
        problems
    }

    fn resolve_paths(&mut self, base: &Path) {
        self.client.resolve_paths(base);
    }

    fn examine(&self, _: &CheckContext) -> Vec<Finding> {
        self.client.examine().into_iter().map(Finding::Missing).collect()
    }

    fn refresh_interval(&self) -> Option<StdDuration> {
        Some(self.refresh_interval.into())
    }

    fn build(&self, cx: Build<'_, Self>) -> Result<Box<dyn Discoverer>, Error> {
        Ok(Polling::boxed(Yandexcloud::new(self.clone(), &cx)?, self.refresh_interval.into()))
    }
}

rosterd_discovery::register!(YandexcloudConfig);

/// What all discoverers have in common.
#[derive(Debug, Default)]
pub struct Shared {
    pub(super) throttles: Throttles,
    /// By [what counts for them](YandexcloudConfig::asker).
    pub(super) accounts: Kept<YandexcloudConfig, Account>,
}

impl MechanismShared for Shared {
    fn start(_: &Stopper, _: &System) -> Self {
        Self::default()
    }
}
