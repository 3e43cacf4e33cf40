//! What the user writes under `aws_sd_configs`, `ec2_sd_configs` and the others.

use std::path::Path;
use std::time::Duration as StdDuration;

use rosterd_client::{HttpClientConfig, SafeUrl, Secret, unset};
use rosterd_credentials::aws::Who;
use rosterd_discovery::{Build, CheckContext, Discoverer, Error, Finding, Identity, MechanismConfig, Polling};
use rosterd_model::{Duration, Problem};
use rosterd_rest::{Calls, or_default};
use serde::{Deserialize, Serialize};

use super::discoverer::Aws;
use super::hub::Hubs;

const PORT: u16 = 80;
const CONCURRENCY: usize = 10;
const CONCURRENCY_OF_ECS: usize = 20;

/// Which things of AWS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Instances of EC2.
    Ec2,
    /// Instances of Lightsail.
    Lightsail,
    /// Tasks of ECS.
    Ecs,
    /// Brokers and controllers of MSK.
    Msk,
    /// Instances of clusters of databases.
    Rds,
    /// Nodes of caches.
    Elasticache,
}

/// What is asked for has one of these values.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a map of keys and values")]
pub struct Filter {
    /// As AWS calls it.
    #[serde(deserialize_with = "or_default")]
    pub name: String,
    /// One of these.
    #[serde(deserialize_with = "or_default")]
    pub values: Vec<String>,
}

/// What a role needs to know, whatever entry it stands in.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Wanted {
    pub(super) role: Role,
    pub(super) filters: Vec<Filter>,
    pub(super) clusters: Vec<String>,
    pub(super) port: u16,
    pub(super) concurrency: usize,
}

/// Where and as whom is asked.
pub(super) struct Access<'a> {
    pub(super) who: Who,
    pub(super) endpoint: &'a SafeUrl,
    pub(super) client: &'a HttpClientConfig,
    pub(super) interval: StdDuration,
}

macro_rules! mechanism {
    (
        $(#[doc = $doc:expr])*
        $name:ident, $mechanism:literal, $wanted:expr;
        $(
            $(#[doc = $field_doc:expr])*
            $(#[serde($($serde:tt)*)])*
            $field:ident: $type:ty = $default:expr;
        )*
    ) => {
        rosterd_client::with_http_client! {
            $(#[doc = $doc])*
            #[derive(Debug, Clone, PartialEq)]
            pub struct $name {
                $(
                    $(#[doc = $field_doc])*
                    $(#[serde($($serde)*)])*
                    pub $field: $type = $default,
                )*
                /// The region; found where it is left out.
                pub region: String = String::new(),
                /// The URL of the service, instead of that of the region.
                #[serde(skip_serializing_if = "unset")]
                pub endpoint: SafeUrl = SafeUrl::default(),
                /// The id of a key; without it and the key they are found.
                #[serde(skip_serializing_if = "unset")]
                pub access_key: String = String::new(),
                /// The key.
                #[serde(skip_serializing_if = "unset")]
                pub secret_key: Secret = Secret::default(),
                /// A profile of the shared files.
                #[serde(skip_serializing_if = "unset")]
                pub profile: String = String::new(),
                /// A role to assume.
                #[serde(skip_serializing_if = "unset")]
                pub role_arn: String = String::new(),
                /// For the role.
                #[serde(skip_serializing_if = "unset")]
                pub external_id: String = String::new(),
                /// How often all is read. An answer that takes longer is given up.
                pub refresh_interval: Duration = Duration::from_secs(60),
                /// The port of targets.
                pub port: u16 = PORT,
            }
        }

        impl $name {
            fn wanted(&self) -> Option<Wanted> {
                let wanted: fn(&Self) -> Option<Wanted> = $wanted;
                wanted(self)
            }

            fn access(&self) -> Access<'_> {
                let who = Who {
                    region: self.region.clone(),
                    access_key: self.access_key.clone(),
                    secret_key: self.secret_key.clone(),
                    profile: self.profile.clone(),
                    role_arn: self.role_arn.clone(),
                    external_id: self.external_id.clone(),
                    fips_sts: None,
                };
                let interval = self.refresh_interval.into();
                Access { who, endpoint: &self.endpoint, client: &self.client, interval }
            }
        }

        impl MechanismConfig for $name {
            const MECHANISM: &'static str = $mechanism;

            type Metrics = Calls<Self>;
            type Shared = Hubs;

            fn identity(&self, id: &mut Identity) {
                if let Some(wanted) = self.wanted() {
                    wanted.identity(id);
                }
                self.access().identity(id);
            }

            fn check(&self, _: &CheckContext) -> Vec<Problem> {
                let wanted = match self.wanted() {
                    Some(wanted) => wanted.check(),
                    None => {
                        let roles = "ec2, lightsail, ecs, msk, rds or elasticache";
                        let message = format!("role is missing: write {roles}");
                        vec![Problem::new("role", "cfg_missing_key", message)]
                    }
                };
                let endpoint = (!unset(&self.endpoint)).then(|| self.endpoint.check("endpoint")).flatten();
                wanted.into_iter().chain(endpoint).chain(self.client.check()).collect()
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
                let access = self.access();
                let hub = cx.shared.get(&access, cx.system, cx.provider)?;
                let interval = access.interval;
                // Checks refuse a configuration that wants nothing.
                let wanted = self.wanted().unwrap_or_else(|| Wanted::new(Role::Ec2, self.port));
                Ok(Polling::boxed(Aws::new(wanted, self.endpoint.clone(), hub, cx.metrics.counter()), interval))
            }
        }

        rosterd_discovery::register!($name);
    };
}

mechanism! {
    /// One entry of `aws_sd_configs`: any of the others, by its role.
    AwsConfig, "aws", |config| {
        let role = config.role?;
        // As with Prometheus, which makes no difference here between 0 and nothing.
        let port = if config.port == 0 { PORT } else { config.port };
        let (filters, clusters) = match role {
            Role::Ec2 => (config.filters.clone(), Vec::new()),
            Role::Rds => (config.filters.clone(), config.clusters.clone()),
            Role::Ecs | Role::Msk | Role::Elasticache => (Vec::new(), config.clusters.clone()),
            Role::Lightsail => (Vec::new(), Vec::new()),
        };
        Some(Wanted { filters, clusters, ..Wanted::new(role, port) })
    };
    /// What becomes targets.
    #[serde(skip_serializing_if = "unset")]
    role: Option<Role> = None;
    /// Which of them, for `ec2` and `rds`.
    #[serde(skip_serializing_if = "unset")]
    filters: Vec<Filter> = Vec::new();
    /// Which clusters, for `ecs`, `msk`, `rds` and `elasticache`; all if there are none.
    #[serde(skip_serializing_if = "unset")]
    clusters: Vec<String> = Vec::new();
}

mechanism! {
    /// One entry of `ec2_sd_configs`.
    Ec2Config, "ec2", |config| {
        Some(Wanted { filters: config.filters.clone(), ..Wanted::new(Role::Ec2, config.port) })
    };
    /// Which instances.
    #[serde(skip_serializing_if = "unset")]
    filters: Vec<Filter> = Vec::new();
}

mechanism! {
    /// One entry of `lightsail_sd_configs`.
    LightsailConfig, "lightsail", |config| Some(Wanted::new(Role::Lightsail, config.port));
}

mechanism! {
    /// One entry of `ecs_sd_configs`.
    EcsConfig, "ecs", |config| {
        let (clusters, concurrency) = (config.clusters.clone(), config.request_concurrency);
        Some(Wanted { clusters, concurrency, ..Wanted::new(Role::Ecs, config.port) })
    };
    /// Which clusters; all if there are none.
    #[serde(skip_serializing_if = "unset")]
    clusters: Vec<String> = Vec::new();
    /// How many of them are read at the same time.
    request_concurrency: usize = CONCURRENCY_OF_ECS;
}

mechanism! {
    /// One entry of `msk_sd_configs`.
    MskConfig, "msk", |config| {
        let (clusters, concurrency) = (config.clusters.clone(), config.request_concurrency);
        Some(Wanted { clusters, concurrency, ..Wanted::new(Role::Msk, config.port) })
    };
    /// Which clusters; all if there are none.
    #[serde(skip_serializing_if = "unset")]
    clusters: Vec<String> = Vec::new();
    /// How many of them are read at the same time.
    request_concurrency: usize = CONCURRENCY;
}

mechanism! {
    /// One entry of `rds_sd_configs`.
    RdsConfig, "rds", |config| {
        let (filters, clusters, concurrency) =
            (config.filters.clone(), config.clusters.clone(), config.request_concurrency);
        Some(Wanted { filters, clusters, concurrency, ..Wanted::new(Role::Rds, config.port) })
    };
    /// Which instances.
    #[serde(skip_serializing_if = "unset")]
    filters: Vec<Filter> = Vec::new();
    /// Which clusters; all if there are none.
    #[serde(skip_serializing_if = "unset")]
    clusters: Vec<String> = Vec::new();
    /// How many of them are read at the same time.
    request_concurrency: usize = CONCURRENCY;
}

mechanism! {
    /// One entry of `elasticache_sd_configs`.
    ElasticacheConfig, "elasticache", |config| {
        let (clusters, concurrency) = (config.clusters.clone(), config.request_concurrency);
        Some(Wanted { clusters, concurrency, ..Wanted::new(Role::Elasticache, config.port) })
    };
    /// Which caches; all if there are none.
    #[serde(skip_serializing_if = "unset")]
    clusters: Vec<String> = Vec::new();
    /// How many questions about tags are under way at the same time.
    request_concurrency: usize = CONCURRENCY;
}

impl Role {
    /// As it is written.
    const fn name(self) -> &'static str {
        match self {
            Self::Ec2 => "ec2",
            Self::Lightsail => "lightsail",
            Self::Ecs => "ecs",
            Self::Msk => "msk",
            Self::Rds => "rds",
            Self::Elasticache => "elasticache",
        }
    }

    /// The service that it asks, as its endpoints and signatures call it.
    pub(super) const fn service(self) -> &'static str {
        match self {
            Self::Msk => "kafka",
            _ => self.name(),
        }
    }
}

impl Wanted {
    fn new(role: Role, port: u16) -> Self {
        let concurrency = if role == Role::Ecs { CONCURRENCY_OF_ECS } else { CONCURRENCY };
        Self { role, filters: Vec::new(), clusters: Vec::new(), port, concurrency }
    }

    fn identity(&self, id: &mut Identity) {
        id.text("role", self.role.name());
        id.parts("filters", &self.filters, |id, filter| {
            id.text("name", &filter.name);
            id.set("values", &filter.values);
        });
        id.set("clusters", &self.clusters);
        if self.role != Role::Elasticache {
            id.value("port", &self.port, &PORT);
        }
    }

    fn check(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (at, filter) in self.filters.iter().enumerate() {
            let of_nothing = format!("filter {:?} has no values: nothing would have one of them", filter.name);
            if filter.values.is_empty() && self.role == Role::Ec2 {
                problems.push(Problem::new(format!("filters[{at}].values"), "cfg_missing_key", of_nothing));
            }
        }
        if self.concurrency == 0 {
            let message = "request_concurrency must be greater than 0: nothing could be asked";
            problems.push(Problem::new("request_concurrency", "cfg_invalid_value", message));
        }
        problems
    }
}

impl Access<'_> {
    pub(super) fn identity(&self, id: &mut Identity) {
        self.who.identity(id);
        id.url("endpoint", self.endpoint);
        self.client.identity(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems<C: MechanismConfig>(text: &str) -> Vec<String> {
        let config: C = serde_yaml::from_str(text).expect(text);
        let problems = config.check(&CheckContext::default());
        problems.iter().map(|problem| format!("{} {}", problem.code, problem.path)).collect()
    }

    #[test]
    fn a_role_is_needed_and_filters_need_values() {
        assert_eq!(problems::<AwsConfig>("{}"), ["cfg_missing_key role"]);
        for role in ["ec2", "lightsail", "ecs", "msk", "rds", "elasticache"] {
            assert_eq!(problems::<AwsConfig>(&format!("{{role: {role}, port: 9090}}")), [""; 0]);
        }
        assert!(serde_yaml::from_str::<AwsConfig>("{role: s3}").is_err());
        assert!(serde_yaml::from_str::<AwsConfig>("{role: ecs, request_concurrency: 3}").is_err());
        let values = ["cfg_missing_key filters[1].values"];
        let filters = "filters: [{name: a, values: [b]}, {name: c, values: }]";
        assert_eq!(problems::<Ec2Config>(&format!("{{{filters}}}")), values);
        assert_eq!(problems::<AwsConfig>(&format!("{{role: ec2, {filters}}}")), values);
        assert_eq!(problems::<AwsConfig>(&format!("{{role: msk, {filters}}}")), [""; 0], "it has no use for them");
        assert_eq!(problems::<EcsConfig>("{request_concurrency: 0}"), ["cfg_invalid_value request_concurrency"]);
        assert_eq!(
            problems::<LightsailConfig>("{bearer_token: foo, bearer_token_file: foo}"),
            ["cfg_conflicting_keys bearer_token_file"]
        );
        assert_eq!(problems::<Ec2Config>("{endpoint: 'ec2:80'}"), ["cfg_invalid_value endpoint"]);
        assert_eq!(problems::<Ec2Config>("{access_key: half, external_id: alone}"), [""; 0]);
    }

    #[test]
    fn the_defaults_are_those_of_prometheus_and_keys_are_not_shown() {
        let text = "{region: '', refresh_interval: 60s, port: 80, request_concurrency: 20}";
        assert_eq!(serde_yaml::from_str::<EcsConfig>(text).expect(text), EcsConfig::default());
        assert_eq!(RdsConfig::default().request_concurrency, 10);
        let config: Ec2Config = serde_yaml::from_str("{access_key: id, secret_key: hunter2}").expect("a configuration");
        let shown = serde_yaml::to_string(&config).expect("serialises");
        assert!(shown.contains("id") && !shown.contains("hunter2") && !format!("{config:?}").contains("hunter2"));
        let zero: AwsConfig = serde_yaml::from_str("{role: ec2, port: 0}").expect("a configuration");
        assert_eq!(zero.wanted().map(|wanted| wanted.port), Some(80));
    }

    #[test]
    fn who_asks_and_for_what_is_the_identity() {
        let hash = |text: &str| {
            let mut id = Identity::new();
            serde_yaml::from_str::<AwsConfig>(text).expect(text).identity(&mut id);
            id.hash()
        };
        let plain = hash("{role: ecs}");
        for other in ["{role: msk}", "{role: ecs, region: r}", "{role: ecs, clusters: [c]}", "{role: ecs, profile: p}"]
        {
            assert_ne!(plain, hash(other), "{other}");
        }
        for same in ["{role: ecs, refresh_interval: 7s}", "{role: ecs, port: 80}", "{role: ecs, filters: [{name: a}]}"]
        {
            assert_eq!(plain, hash(same), "{same}");
        }
    }
}
