//! What the user writes under `stackit_sd_configs`, and how it is asked for.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration as StdDuration;

use async_trait::async_trait;
use rosterd_client::{SafeUrl, Secret, unset};
use rosterd_credentials::{Bearer, Kept, Tokens};
use rosterd_discovery::{
    Build, CheckContext, Discoverer, Error, Finding, Identity, MechanismConfig, MechanismShared, Polling, Reading,
    Refresh, System,
};
use rosterd_model::{Duration, Problem, in_words};
use rosterd_rest::{Api, Calls, Throttles};
use rosterd_tasks::{Stopper, files};

use super::decode;
use super::key_flow::{KeyFlow, TOKEN};

/// What is asked for: of whoever gives tokens, too.
const OPERATIONS: [&str; 2] = ["servers", TOKEN];

rosterd_client::with_http_client! {
    /// One entry of `stackit_sd_configs`.
    #[derive(Debug, Clone, PartialEq)]
    pub struct StackitConfig {
        /// The id of the project.
        pub project: String = String::new(),
        /// The region, which says where the API is.
        pub region: String = "eu01".to_owned(),
        /// Where the API is, if not where that of the region is.
        #[serde(skip_serializing_if = "unset")]
        pub endpoint: SafeUrl = SafeUrl::default(),
        /// The port of targets.
        pub port: u16 = 80,
        /// How often the API is asked. An answer that takes longer is given up.
        pub refresh_interval: Duration = Duration::from_secs(60),
        /// The key of a service account, as JSON.
        #[serde(skip_serializing_if = "unset")]
        pub service_account_key: Secret = Secret::default(),
        /// A file with it.
        #[serde(skip_serializing_if = "unset")]
        pub service_account_key_path: PathBuf = PathBuf::new(),
        /// The private key, in PEM, if it is another one than the key of the account has in it.
        #[serde(skip_serializing_if = "unset")]
        pub private_key: Secret = Secret::default(),
        /// A file with it.
        #[serde(skip_serializing_if = "unset")]
        pub private_key_path: PathBuf = PathBuf::new(),
        /// A file that may have the private key, too.
        #[serde(skip_serializing_if = "unset")]
        pub credentials_file_path: PathBuf = PathBuf::new(),
    }
}

impl StackitConfig {
    /// Where the API is.
    fn server(&self) -> SafeUrl {
        match self.endpoint.parse() {
            None => SafeUrl::new(format!("https://iaas.api.{}.stackit.cloud", self.region)),
            Some(_) => self.endpoint.clone(),
        }
    }

    /// Whether tokens are asked for by the key of a service account.
    fn has_key(&self) -> bool {
        !self.service_account_key.is_empty() || !unset(&self.service_account_key_path)
    }

    /// What counts for tokens: the keys, and by which way they are asked for. What proves to the API who asks is not for whoever makes
    /// tokens.
    fn asker(&self) -> Self {
        Self {
            service_account_key: self.service_account_key.clone(),
            service_account_key_path: self.service_account_key_path.clone(),
            private_key: self.private_key.clone(),
            private_key_path: self.private_key_path.clone(),
            credentials_file_path: self.credentials_file_path.clone(),
            client: self.client.without_proof(),
            ..Self::default()
        }
    }

    /// Says who asks whom.
    fn who(&self, id: &mut Identity) {
        id.url("server", &self.server());
        id.secret("service_account_key", &self.service_account_key);
        id.quietly(|id| id.path("service_account_key_path", &self.service_account_key_path));
        self.client.identity(id);
    }

    fn files(&mut self) -> [(&'static str, &mut PathBuf); 3] {
        [
            ("service_account_key_path", &mut self.service_account_key_path),
            ("private_key_path", &mut self.private_key_path),
            ("credentials_file_path", &mut self.credentials_file_path),
        ]
    }
}

impl MechanismConfig for StackitConfig {
    const MECHANISM: &'static str = "stackit";

    type Metrics = Calls<Self>;
    type Shared = Shared;

    fn identity(&self, id: &mut Identity) {
        self.who(id);
        id.text("project", &self.project);
        id.value("port", &self.port, &80);
    }

    fn check(&self, _: &CheckContext) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.endpoint.parse().is_some() {
            problems.extend(self.endpoint.check("endpoint"));
        } else if self.region.is_empty() {
            problems.push(Problem::new("region", "cfg_missing_key", "region is missing, or endpoint"));
        } else if self.server().check("region").is_some() || self.region.contains(['/', '?', '#', '@', ':']) {
            let message = "region is a part of the name of a host, such as eu01";
            problems.push(Problem::new("region", "cfg_invalid_value", message));
        }
        problems.extend(self.client.check());
        problems
    }

    fn resolve_paths(&mut self, base: &Path) {
        for (_, file) in self.files() {
            if !unset(file) {
                *file = base.join(&*file);
            }
        }
        self.client.resolve_paths(base);
    }

    fn examine(&self, _: &CheckContext) -> Vec<Finding> {
        let mut found: Vec<_> = self.client.examine().into_iter().map(Finding::Missing).collect();
        for (key, file) in self.clone().files() {
            if !unset(file)
                && let Err(error) = files::read(file)
            {
                let message = format!("cannot read {}: {}", file.display(), in_words(error));
                found.push(Finding::Missing(Problem::new(key, "cfg_unreadable", message)));
            }
        }
        let idle = |key: &str, message: &str| Finding::Idle(Problem::new(key, "cfg_no_effect", message));
        if self.project.is_empty() {
            found.push(idle("project", "without a project there are no servers to ask for"));
        }
        let has_private_key =
            !self.private_key.is_empty() || !unset(&self.private_key_path) || !unset(&self.credentials_file_path);
        if has_private_key && !self.has_key() {
            found.push(idle("service_account_key", "a private key counts beside the key of a service account only"));
        }
        found
    }

    fn refresh_interval(&self) -> Option<StdDuration> {
        Some(self.refresh_interval.into())
    }

    fn build(&self, cx: Build<'_, Self>) -> Result<Box<dyn Discoverer>, Error> {
        let interval = self.refresh_interval.into();
        let api = Api::new(&self.server(), &self.client, interval, &cx)?.counted(cx.metrics, &OPERATIONS);
        let api = api.throttled(cx.shared.throttles.get(|id| self.who(id)));
        let api = match self.has_key() {
            false => api,
            true => {
                let asker = self.asker();
                let tally = || Arc::new(cx.metrics.counter(&OPERATIONS));
                let flow = || KeyFlow::new(asker.clone(), cx.system, tally()).map(Tokens::new);
                let tokens = cx.shared.tokens.get_or_try(asker.clone(), flow)?;
                api.authorized(Arc::new(Bearer::new(tokens)))
            }
        };
        Ok(Polling::boxed(Stackit { api, config: Arc::new(self.clone()) }, interval))
    }
}

rosterd_discovery::register!(StackitConfig);

/// What all discoverers have in common.
#[derive(Debug, Default)]
pub struct Shared {
    throttles: Throttles,
    /// By [who asks for them](StackitConfig::asker).
    pub(super) tokens: Kept<StackitConfig, Tokens<KeyFlow>>,
}

impl MechanismShared for Shared {
    fn start(_: &Stopper, _: &System) -> Self {
        Self::default()
    }
}

struct Stackit {
    api: Api,
    config: Arc<StackitConfig>,
}

#[async_trait]
impl Refresh for Stackit {
    async fn refresh(&mut self) -> Result<Reading, Error> {
        let config = Arc::clone(&self.config);
        let path = ["v1", "projects", &config.project, "servers"];
        let path = path.into_iter().filter(|segment| !segment.is_empty());
        let question = self.api.get(path).parameter("details", "true").named("servers").asking_json();
        Ok(Reading::Everything(question.read(move |body| decode::groups(body, &config)).await?))
    }
}
