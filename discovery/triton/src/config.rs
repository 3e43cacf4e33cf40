//! What the user writes under `triton_sd_configs`, and how it is asked for.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration as StdDuration;

use async_trait::async_trait;
use rosterd_client::{HttpClientConfig, SafeUrl, TlsConfig, unset};
use rosterd_discovery::{
    Build, CheckContext, Discoverer, Error, Finding, Identity, MechanismConfig, Polling, Reading, Refresh, host_port,
};
use rosterd_model::{Duration, Problem};
use rosterd_rest::Api;
use serde::{Deserialize, Serialize};

use super::decode;

/// One entry of `triton_sd_configs`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a map of keys and values")]
pub struct TritonConfig {
    /// The account. CMON takes it from the certificate.
    pub account: String,
    /// What becomes targets.
    pub role: Role,
    /// What the addresses of targets end in.
    pub dns_suffix: String,
    /// The host of CMON.
    pub endpoint: String,
    /// The groups whose containers are wanted; all if there are none.
    #[serde(skip_serializing_if = "unset")]
    pub groups: Vec<String>,
    /// The port of CMON, and of targets.
    pub port: u16,
    /// How often CMON is asked.
    pub refresh_interval: Duration,
    /// The certificate that says who asks, and whom to trust.
    #[serde(skip_serializing_if = "unset")]
    pub tls_config: TlsConfig,
    /// The version of the API.
    pub version: u32,
}

/// What becomes targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The containers of the account: zones and virtual machines.
    Container,
    /// The compute nodes of the data center.
    Cn,
}

impl Default for TritonConfig {
    fn default() -> Self {
        Self {
            account: String::new(),
            role: Role::Container,
            dns_suffix: String::new(),
            endpoint: String::new(),
            groups: Vec::new(),
            port: 9163,
            refresh_interval: Duration::from_secs(60),
            tls_config: TlsConfig::default(),
            version: 1,
        }
    }
}

impl TritonConfig {
    /// Where CMON is. An IPv6 address may stand in brackets.
    fn server(&self) -> SafeUrl {
        let host = self.endpoint.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(&self.endpoint);
        SafeUrl::new(format!("https://{}", host_port(host, self.port)))
    }

    fn client(&self) -> HttpClientConfig {
        HttpClientConfig::of_tls(&self.tls_config)
    }

    fn check_endpoint(&self) -> Option<Problem> {
        let found = self.server().check("endpoint");
        let is_more = || self.endpoint.contains(['/', '?', '#', '@']);
        let message = "endpoint is the name of a host: without a scheme, a port and a path";
        (found.is_some() || is_more()).then(|| Problem::new("endpoint", "cfg_invalid_value", message))
    }
}

impl MechanismConfig for TritonConfig {
    const MECHANISM: &'static str = "triton";

    type Metrics = ();
    type Shared = ();

    fn identity(&self, id: &mut Identity) {
        id.url("server", &self.server());
        id.value("version", &self.version, &1);
        id.text("role", if self.role == Role::Cn { "cn" } else { "" });
        id.set("groups", &self.groups);
        id.text("dns_suffix", &self.dns_suffix);
        self.client().identity(id);
    }

    fn check(&self, _: &CheckContext) -> Vec<Problem> {
        let required = [("account", &self.account), ("dns_suffix", &self.dns_suffix), ("endpoint", &self.endpoint)];
        let missing = required.into_iter().filter(|(_, value)| value.is_empty());
        let mut problems: Vec<_> =
            missing.map(|(key, _)| Problem::new(key, "cfg_missing_key", format!("{key} is missing"))).collect();
        if !self.endpoint.is_empty() {
            problems.extend(self.check_endpoint());
        }
        problems.extend(self.client().check());
        problems
    }

    fn resolve_paths(&mut self, base: &Path) {
        self.tls_config.resolve_paths(base);
    }

    fn examine(&self, _: &CheckContext) -> Vec<Finding> {
        self.client().examine().into_iter().map(Finding::Missing).collect()
    }

    fn refresh_interval(&self) -> Option<StdDuration> {
        Some(self.refresh_interval.into())
    }

    fn build(&self, cx: Build<'_, Self>) -> Result<Box<dyn Discoverer>, Error> {
        let interval = self.refresh_interval.into();
        let api = Api::new(&self.server(), &self.client(), interval, &cx)?;
        Ok(Polling::boxed(Triton { api, config: Arc::new(self.clone()) }, interval))
    }
}

rosterd_discovery::register!(TritonConfig);

struct Triton {
    api: Api,
    config: Arc<TritonConfig>,
}

#[async_trait]
impl Refresh for Triton {
    async fn refresh(&mut self) -> Result<Reading, Error> {
        let config = Arc::clone(&self.config);
        let version = format!("v{}", config.version);
        let question = match config.role {
            Role::Container => self.api.get([&*version, "discover"]),
            Role::Cn => self.api.get([&*version, "gz", "discover"]),
        };
        let question = question.parameter_if_set("groups", &config.groups.join(","));
        Ok(Reading::Everything(question.read(move |body| decode::groups(body, &config)).await?))
    }
}
