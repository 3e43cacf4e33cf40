//! What the user writes under `azure_sd_configs`.

use std::path::Path;
use std::time::Duration as StdDuration;

use rosterd_client::{HttpClientConfig, SafeUrl, Secret, unset};
use rosterd_credentials::azure::AzureMethod;
use rosterd_discovery::{Build, CheckContext, Discoverer, Error, Finding, Identity, MechanismConfig, Polling, System};
use rosterd_model::{Duration, Problem, bare_url};
use serde::{Deserialize, Serialize};

use super::cloud::Cloud;
use super::discoverer::{Asked, Azure};
use super::metrics::AzureMetrics;

const PORT: u16 = 80;
const ENVIRONMENT: &str = "AzurePublicCloud";

rosterd_client::with_http_client! {
    /// One entry of `azure_sd_configs`.
    #[derive(Debug, Clone, PartialEq)]
    pub struct AzureConfig {
        /// The cloud.
        pub environment: String = ENVIRONMENT.to_owned(),
        /// The port of targets.
        pub port: u16 = PORT,
        /// The subscription.
        pub subscription_id: String = String::new(),
        /// The tenant of who asks.
        #[serde(skip_serializing_if = "unset")]
        pub tenant_id: String = String::new(),
        /// Who asks: an application, or an identity of this machine.
        #[serde(skip_serializing_if = "unset")]
        pub client_id: String = String::new(),
        /// The secret of the application.
        #[serde(skip_serializing_if = "unset")]
        pub client_secret: Secret = Secret::default(),
        /// How often all is read. An answer that takes longer is given up.
        pub refresh_interval: Duration = Duration::from_secs(300),
        /// How one proves who one is.
        pub authentication_method: Method = Method::OAuth,
        /// The resource group; all of the subscription if it is empty.
        #[serde(skip_serializing_if = "unset")]
        pub resource_group: String = String::new(),
        /// rosterd's own: where the Resource Manager is, of a cloud that has no name.
        #[serde(skip_serializing_if = "unset")]
        pub endpoint: SafeUrl = SafeUrl::default(),
        /// rosterd's own: where the tokens of that cloud are made.
        #[serde(skip_serializing_if = "unset")]
        pub authority: SafeUrl = SafeUrl::default(),
    }
}

/// How one proves who one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Method {
    /// By the secret of an application.
    OAuth,
    /// By an identity that Azure has given to this machine.
    ManagedIdentity,
    /// As the SDK of Azure finds it out.
    #[serde(rename = "SDK")]
    Sdk,
    /// By a workload identity of Kubernetes.
    WorkloadIdentity,
}

impl Method {
    const fn name(self) -> &'static str {
        match self {
            Self::OAuth => "OAuth",
            Self::ManagedIdentity => "ManagedIdentity",
            Self::Sdk => "SDK",
            Self::WorkloadIdentity => "WorkloadIdentity",
        }
    }
}

impl AzureConfig {
    /// The cloud. Checks refuse one that is not known.
    fn cloud(&self) -> Cloud {
        Cloud::of(&self.environment).unwrap_or(Cloud::Public)
    }

    /// Where the Resource Manager is.
    pub(super) fn server(&self) -> SafeUrl {
        if unset(&self.endpoint) { SafeUrl::new(self.cloud().endpoint()) } else { self.endpoint.clone() }
    }

    /// Where tokens are made.
    pub(super) fn authority(&self) -> String {
        match self.authority.parse() {
            Some(Ok(url)) => url.to_string(),
            _ => self.cloud().authority().to_owned(),
        }
    }

    /// What tokens are good for.
    pub(super) fn scope(&self) -> String {
        match self.endpoint.parse() {
            Some(Ok(url)) => format!("{}/.default", url.to_string().trim_end_matches('/')),
            _ => self.cloud().scope().to_owned(),
        }
    }

    /// Who asks.
    pub(super) fn method(&self) -> AzureMethod {
        let [tenant_id, client_id] = [&self.tenant_id, &self.client_id].map(Clone::clone);
        match self.authentication_method {
            Method::OAuth => AzureMethod::Secret { tenant_id, client_id, client_secret: self.client_secret.clone() },
            Method::ManagedIdentity => AzureMethod::ManagedIdentity { client_id },
            Method::Sdk => AzureMethod::Sdk { tenant_id },
            // The environment alone says who that is.
            Method::WorkloadIdentity => AzureMethod::WorkloadIdentity {
                tenant_id: String::new(),
                client_id: String::new(),
                token_file: Default::default(),
            },
        }
    }

    /// How those are reached who make tokens: as the Resource Manager is, but with nothing that proves who asks; by the proxy of the
    /// environment if none is named.
    pub(super) fn token_client(&self) -> HttpClientConfig {
        let client = &self.client;
        HttpClientConfig {
            proxy_from_environment: client.proxy_from_environment || unset(&client.proxy_url),
            ..client.without_proof()
        }
    }

    /// Says who asks where.
    pub(super) fn who(&self, id: &mut Identity) {
        id.text("authority", self.authority());
        id.text("scope", self.scope());
        self.method().identity(id);
        self.token_client().identity(id);
    }
}

impl MechanismConfig for AzureConfig {
    const MECHANISM: &'static str = "azure";

    type Metrics = AzureMetrics;
    type Shared = Asked;

    fn identity(&self, id: &mut Identity) {
        id.value("environment", &self.environment.to_ascii_lowercase(), &ENVIRONMENT.to_ascii_lowercase());
        id.text("subscription_id", &self.subscription_id);
        id.quietly(|id| {
            id.text("tenant_id", &self.tenant_id);
            id.text("client_id", &self.client_id);
            id.secret("client_secret", &self.client_secret);
        });
        id.value("authentication_method", &self.authentication_method.name(), &Method::OAuth.name());
        id.text("resource_group", &self.resource_group);
        id.value("port", &self.port, &PORT);
        id.url("endpoint", &self.endpoint);
        id.url("authority", &self.authority);
        self.client.identity(id);
    }

    fn identity_on(&self, id: &mut Identity, system: &System) {
        self.identity(id);
        self.method().named_by(system.environment(), id);
    }

    fn check(&self, _: &CheckContext) -> Vec<Problem> {
        let missing = |key: &str, message: String| Problem::new(key, "cfg_missing_key", message);
        let mut problems = Vec::new();
        if self.subscription_id.is_empty() {
            problems.push(missing(
                "subscription_id",
                "subscription_id is missing: write the ID of the subscription whose machines are wanted".to_owned(),
            ));
        }
        if self.authentication_method == Method::OAuth {
            let needed = [
                ("tenant_id", self.tenant_id.is_empty()),
                ("client_id", self.client_id.is_empty()),
                ("client_secret", self.client_secret.is_empty()),
            ];
            let without = needed.into_iter().filter(|(_, is_missing)| *is_missing);
            problems.extend(without.map(|(key, _)| {
                missing(
                    key,
                    format!("{key} is missing: the authentication_method OAuth, which is the default, needs it"),
                )
            }));
        }
        if Cloud::of(&self.environment).is_none() {
            let message = format!(
                "there is no cloud {:?}: AzurePublicCloud, AzureChinaCloud and AzureUSGovernmentCloud are; of any other, endpoint and authority say where it is",
                bare_url(&self.environment)
            );
            problems.push(Problem::new("environment", "cfg_invalid_value", message));
        }
        let urls = [("endpoint", &self.endpoint), ("authority", &self.authority)];
        problems.extend(urls.into_iter().filter(|(_, url)| !unset(*url)).filter_map(|(key, url)| url.check(key)));
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
        Ok(Polling::boxed(Azure::new(self.clone(), &cx)?, self.refresh_interval.into()))
    }
}

rosterd_discovery::register!(AzureConfig);
