//! What the user writes under `openstack_sd_configs`.

use std::path::{Path, PathBuf};
use std::time::Duration as StdDuration;

use rosterd_client::{HttpClientConfig, SafeUrl, Secret, TlsConfig, unreadable, unset};
use rosterd_discovery::{Build, CheckContext, Discoverer, Error, Finding, Identity, MechanismConfig, Polling, System};
use rosterd_model::{Duration, Problem};
use rosterd_rest::Calls;
use serde::{Deserialize, Serialize};

use super::credentials;
use super::discoverer::Openstack;
use super::error::OpenstackError;
use super::keystone::Logins;

/// One entry of `openstack_sd_configs`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a map of keys and values")]
pub struct OpenstackConfig {
    /// Where Keystone is. If it is left out, the environment tells who asks whom.
    #[serde(skip_serializing_if = "unset")]
    pub identity_endpoint: SafeUrl,
    /// The name of the user.
    #[serde(skip_serializing_if = "unset")]
    pub username: String,
    /// Its id.
    #[serde(skip_serializing_if = "unset")]
    pub userid: String,
    /// Its password.
    #[serde(skip_serializing_if = "unset")]
    pub password: Secret,
    /// The name of the project.
    #[serde(skip_serializing_if = "unset")]
    pub project_name: String,
    /// Its id, which counts more.
    #[serde(skip_serializing_if = "unset")]
    pub project_id: String,
    /// The name of the domain of the user and the project.
    #[serde(skip_serializing_if = "unset")]
    pub domain_name: String,
    /// Its id.
    #[serde(skip_serializing_if = "unset")]
    pub domain_id: String,
    /// The name of an application credential.
    #[serde(skip_serializing_if = "unset")]
    pub application_credential_name: String,
    /// Its id, which counts more.
    #[serde(skip_serializing_if = "unset")]
    pub application_credential_id: String,
    /// Its secret.
    #[serde(skip_serializing_if = "unset")]
    pub application_credential_secret: Secret,
    /// rosterd's own: a token of Keystone.
    #[serde(skip_serializing_if = "unset")]
    pub token: Secret,
    /// rosterd's own: a file with it, which is read whenever Keystone is asked.
    #[serde(skip_serializing_if = "unset")]
    pub token_file: PathBuf,
    /// What becomes targets.
    #[serde(skip_serializing_if = "unset")]
    pub role: Option<Role>,
    /// The region.
    pub region: String,
    /// How often all is read. An answer that takes longer is given up.
    pub refresh_interval: Duration,
    /// The port of servers and hypervisors.
    pub port: u16,
    /// Whether servers of all projects are asked for.
    #[serde(skip_serializing_if = "unset")]
    pub all_tenants: bool,
    /// Certificates and versions.
    #[serde(skip_serializing_if = "unset")]
    pub tls_config: TlsConfig,
    /// Which of the endpoints of a service is asked.
    pub availability: Availability,
    /// Whether the scope is the whole system. Only the environment can say so.
    #[serde(skip)]
    pub(super) is_system: bool,
}

/// What becomes targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The addresses of servers.
    Instance,
    /// The hosts of servers.
    Hypervisor,
    /// Load balancers that have a listener for Prometheus.
    LoadBalancer,
}

/// Whom an endpoint is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Availability {
    /// Everybody.
    Public,
    /// Other services.
    Internal,
    /// Operators.
    Admin,
}

impl Default for OpenstackConfig {
    fn default() -> Self {
        Self {
            identity_endpoint: SafeUrl::default(),
            username: String::new(),
            userid: String::new(),
            password: Secret::default(),
            project_name: String::new(),
            project_id: String::new(),
            domain_name: String::new(),
            domain_id: String::new(),
            application_credential_name: String::new(),
            application_credential_id: String::new(),
            application_credential_secret: Secret::default(),
            token: Secret::default(),
            token_file: PathBuf::new(),
            role: None,
            region: String::new(),
            refresh_interval: Duration::from_secs(60),
            port: 80,
            all_tenants: false,
            tls_config: TlsConfig::default(),
            availability: Availability::Public,
            is_system: false,
        }
    }
}

impl Role {
    /// As it is written.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Instance => "instance",
            Self::Hypervisor => "hypervisor",
            Self::LoadBalancer => "loadbalancer",
        }
    }
}

impl Availability {
    /// As it is written, here and in catalogs.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Internal => "internal",
            Self::Admin => "admin",
        }
    }
}

impl OpenstackConfig {
    pub(super) fn client(&self) -> HttpClientConfig {
        HttpClientConfig::of_tls(&self.tls_config)
    }

    /// What of it counts for a token: who asks which Keystone, and how. The rest is as by default.
    pub(super) fn login(&self) -> Self {
        let Self { role, region, port, all_tenants, availability, .. } = Self::default();
        Self { role, region, port, all_tenants, availability, ..self.clone() }
    }

    /// With what the environment says of who asks whom, unless the configuration does.
    fn complete(&self, system: &System) -> Result<Self, OpenstackError> {
        match self.identity_endpoint.parse() {
            Some(_) => Ok(self.clone()),
            None => credentials::of_environment(self, system.environment()),
        }
    }
}

impl MechanismConfig for OpenstackConfig {
    const MECHANISM: &'static str = "openstack";

    type Metrics = Calls<Self>;
    type Shared = Logins;

    fn identity(&self, id: &mut Identity) {
        id.url("identity_endpoint", &self.identity_endpoint);
        id.quietly(|id| credentials::identity(self, id));
        id.text("role", self.role.map_or("", Role::name));
        id.text("region", &self.region);
        id.value("port", &self.port, &80);
        id.value("all_tenants", &self.all_tenants, &false);
        id.value("availability", &self.availability.name(), &Availability::Public.name());
        id.value("system_scope", &self.is_system, &false);
        self.client().identity(id);
    }

    fn identity_on(&self, id: &mut Identity, system: &System) {
        // What is of no use finds nothing.
        self.complete(system).as_ref().unwrap_or(self).identity(id);
    }

    fn check(&self, _: &CheckContext) -> Vec<Problem> {
        let missing = |key: &str, message: &str| Problem::new(key, "cfg_missing_key", message);
        let role =
            self.role.is_none().then(|| missing("role", "role is missing: write instance, hypervisor or loadbalancer"));
        let region =
            self.region.is_empty().then(|| missing("region", "region is missing: write one such as RegionOne"));
        let mut problems: Vec<_> = role.into_iter().chain(region).collect();
        if self.identity_endpoint.parse().is_some() {
            problems.extend(credentials::check(self));
        }
        problems.extend(self.client().check());
        problems
    }

    fn resolve_paths(&mut self, base: &Path) {
        self.tls_config.resolve_paths(base);
        if !unset(&self.token_file) {
            self.token_file = base.join(&self.token_file);
        }
    }

    fn examine(&self, _: &CheckContext) -> Vec<Finding> {
        // Without Keystone the environment says who asks.
        let token = unreadable("token_file", &self.token_file).filter(|_| self.identity_endpoint.parse().is_some());
        let missing = self.client().examine().into_iter().chain(token).map(Finding::Missing);
        credentials::idle(self).map(Finding::Idle).into_iter().chain(missing).collect()
    }

    fn refresh_interval(&self) -> Option<StdDuration> {
        Some(self.refresh_interval.into())
    }

    fn build(&self, cx: Build<'_, Self>) -> Result<Box<dyn Discoverer>, Error> {
        let config = self.complete(cx.system)?;
        Ok(Polling::boxed(Openstack::new(config, &cx)?, self.refresh_interval.into()))
    }
}

rosterd_discovery::register!(OpenstackConfig);
