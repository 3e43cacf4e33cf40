//! What the user writes under `aws_sd_configs`, `ec2_sd_configs` and the others.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration as StdDuration;

use rosterd_client::{Environment, HttpClientConfig, SafeUrl, Secret, unset};
use rosterd_credentials::aws::{METADATA, STS, Who, endpoint_on};
use rosterd_discovery::{Build, CheckContext, Discoverer, Error, Finding, Identity, MechanismConfig, Polling, System};
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
    pub(super) endpoint: SafeUrl,
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
                Access { who, endpoint: in_full(&self.endpoint), client: &self.client, interval }
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

            fn identity_on(&self, id: &mut Identity, system: &System) {
                self.identity(id);
                if let Some(wanted) = self.wanted() {
                    self.access().identity_on(wanted.role, id, system.environment());
                }
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
                wanted.into_iter().chain(self.client.check()).collect()
            }

            fn resolve_paths(&mut self, base: &Path) {
                self.client.resolve_paths(base);
            }

            fn examine(&self, _: &CheckContext) -> Vec<Finding> {
                let endpoint = self.access().endpoint;
                // As with Prometheus, it is loaded, and nothing can be asked there.
                let endpoint = (!unset(&endpoint)).then(|| endpoint.check("endpoint")).flatten();
                let missing = self.client.examine().into_iter().chain(endpoint).map(Finding::Missing);
                missing.chain(self.access().half_a_key().map(Finding::Idle)).collect()
            }

            fn refresh_interval(&self) -> Option<StdDuration> {
                Some(self.refresh_interval.into())
            }

            fn build(&self, cx: Build<'_, Self>) -> Result<Box<dyn Discoverer>, Error> {
                let access = self.access();
                // Checks refuse a configuration that wants nothing.
                let wanted = self.wanted().unwrap_or_else(|| Wanted::new(Role::Ec2, self.port));
                let (interval, calls) = (access.interval, cx.metrics.counter(wanted.role.operations()));
                let hub = cx.shared.get(&access, cx.system, cx.provider, Arc::new(calls.clone()))?;
                let aws = Aws::new(wanted, access.endpoint, interval, hub, calls);
                Ok(Polling::boxed(aws, interval))
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

/// With its scheme, which vmagent lets people leave out.
fn in_full(endpoint: &SafeUrl) -> SafeUrl {
    let written = endpoint.written();
    if written.is_empty() || written.contains("://") {
        return endpoint.clone();
    }
    SafeUrl::new(format!("https://{written}"))
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

    /// What it asks for, of whoever gives it keys, too.
    pub(super) const fn operations(self) -> &'static [&'static str] {
        match self {
            Self::Ec2 => &["DescribeInstances", "DescribeAvailabilityZones", STS, METADATA],
            Self::Lightsail => &["GetInstances", STS, METADATA],
            Self::Ecs => &[
                "ListClusters",
                "DescribeClusters",
                "ListTasks",
                "DescribeTasks",
                "DescribeServices",
                "DescribeContainerInstances",
                "DescribeInstances",
                "DescribeNetworkInterfaces",
                STS,
                METADATA,
            ],
            Self::Msk => &["ListClustersV2", "DescribeClusterV2", "ListNodes", STS, METADATA],
            Self::Rds => &["DescribeDBClusters", "DescribeDBInstances", STS, METADATA],
            Self::Elasticache => {
                &["DescribeCacheClusters", "DescribeServerlessCaches", "ListTagsForResource", STS, METADATA]
            }
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
        id.url("endpoint", &self.endpoint);
        self.client.identity(id);
    }

    /// And what the environment says of it.
    fn identity_on(&self, role: Role, id: &mut Identity, environment: &Environment) {
        self.who.identity_on(id, environment);
        let at = |role: Role| endpoint_on(role.service(), environment);
        id.quietly(|id| {
            if unset(&self.endpoint) {
                id.url("endpoint", &at(role));
            }
            // Its tasks run on machines of EC2, for which there is no key.
            if role == Role::Ecs {
                id.url("environment/ec2", &at(Role::Ec2));
            }
        });
    }

    /// What is written of a key of which only one half is.
    fn half_a_key(&self) -> Option<Problem> {
        let (written, other) = match (self.who.access_key.is_empty(), self.who.secret_key.is_empty()) {
            (false, true) => ("access_key", "secret_key"),
            (true, false) => ("secret_key", "access_key"),
            _ => return None,
        };
        let message = format!(
            "{written} counts only beside {other}: as it is, credentials are looked for as if there were none of the two"
        );
        Some(Problem::new(written, "cfg_no_effect", message))
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
        assert_eq!(problems::<Ec2Config>("{endpoint: 'ec2:80'}"), [""; 0]);
        assert_eq!(problems::<Ec2Config>("{access_key: half, external_id: alone}"), [""; 0]);
    }

    #[test]
    fn an_endpoint_is_one_of_https_unless_it_says_so_and_is_looked_at_when_it_is_used() {
        let config = |endpoint: &str| -> Ec2Config {
            let text = format!("{{endpoint: '{endpoint}'}}");
            serde_yaml::from_str(&text).expect(&text)
        };
        let url = |endpoint: &str| config(endpoint).access().endpoint.to_string();
        assert_eq!([url(""), url("ec2:80"), url("http://ec2")], ["", "https://ec2:80", "http://ec2"]);
        let found = |endpoint: &str| config(endpoint).examine(&CheckContext::default()).len();
        assert_eq!([found("ec2:80"), found("ftp://ec2"), found("ec2:x")], [0, 1, 1]);
    }

    #[test]
    fn one_half_of_a_key_is_told() {
        for (text, half) in [
            ("{access_key: id}", Some("access_key")),
            ("{secret_key: hunter2}", Some("secret_key")),
            ("{access_key: id, secret_key: hunter2}", None),
            ("{}", None),
        ] {
            let config: Ec2Config = serde_yaml::from_str(text).expect(text);
            let found = config.examine(&CheckContext::default());
            let told: Vec<_> = found
                .iter()
                .map(|finding| match finding {
                    Finding::Idle(problem) => (&*problem.path, problem.code),
                    other => panic!("{text}: {other:?}"),
                })
                .collect();
            assert_eq!(told, Vec::from_iter(half.map(|key| (key, "cfg_no_effect"))), "{text}");
        }
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
    fn what_is_written_is_what_is_asked_for_and_as_whom() {
        fn read<C: MechanismConfig>(text: &str) -> C {
            serde_yaml::from_str(&format!("{{{text}}}")).expect(text)
        }
        let (filters, clusters) = ("filters: [{name: f, values: [v]}]", "clusters: [c]");
        let filter = || vec![Filter { name: "f".to_owned(), values: vec!["v".to_owned()] }];
        let cluster = || vec!["c".to_owned()];
        let bare = |role| Wanted::new(role, 7);
        for (role, want) in [
            (Role::Ec2, Wanted { filters: filter(), ..bare(Role::Ec2) }),
            (Role::Lightsail, bare(Role::Lightsail)),
            (Role::Ecs, Wanted { clusters: cluster(), ..bare(Role::Ecs) }),
            (Role::Msk, Wanted { clusters: cluster(), ..bare(Role::Msk) }),
            (Role::Rds, Wanted { filters: filter(), clusters: cluster(), ..bare(Role::Rds) }),
            (Role::Elasticache, Wanted { clusters: cluster(), ..bare(Role::Elasticache) }),
        ] {
            let config: AwsConfig = read(&format!("role: {}, port: 7, {filters}, {clusters}", role.name()));
            assert_eq!(config.wanted(), Some(want), "{role:?}");
        }
        let own = format!("port: 7, {clusters}, request_concurrency: 3");
        let want = |role| Some(Wanted { clusters: cluster(), concurrency: 3, ..bare(role) });
        assert_eq!(read::<EcsConfig>(&own).wanted(), want(Role::Ecs));
        assert_eq!(read::<MskConfig>(&own).wanted(), want(Role::Msk));
        assert_eq!(read::<ElasticacheConfig>(&own).wanted(), want(Role::Elasticache));
        let of_rds = want(Role::Rds).map(|want| Wanted { filters: filter(), ..want });
        assert_eq!(read::<RdsConfig>(&format!("{own}, {filters}")).wanted(), of_rds);
        assert_eq!(read::<LightsailConfig>("port: 7").wanted(), Some(bare(Role::Lightsail)));
        let of_ec2 = Wanted { filters: filter(), ..bare(Role::Ec2) };
        assert_eq!(read::<Ec2Config>(&format!("port: 7, {filters}")).wanted(), Some(of_ec2));
        let named = "region: r, access_key: a, secret_key: s, profile: p, role_arn: o, external_id: e";
        let who = Who {
            region: "r".to_owned(),
            access_key: "a".to_owned(),
            secret_key: "s".into(),
            profile: "p".to_owned(),
            role_arn: "o".to_owned(),
            external_id: "e".to_owned(),
            fips_sts: None,
        };
        assert_eq!(read::<Ec2Config>(named).access().who, who);
    }

    #[test]
    fn whom_the_environment_names_counts_as_whom_the_configuration_does() {
        let data = |text: &str, variables: &[(&str, &str)]| {
            let system = System::new("m", variables.iter().copied().collect());
            let mut id = Identity::new();
            serde_yaml::from_str::<AwsConfig>(text).expect(text).identity_on(&mut id, &system);
            id.hash()
        };
        let plain = data("{role: ecs}", &[]);
        for variable in
            ["AWS_PROFILE", "AWS_REGION", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_ECS", "AWS_ENDPOINT_URL_EC2"]
        {
            assert_ne!(plain, data("{role: ecs}", &[(variable, "http://a")]), "{variable}");
        }
        assert_eq!(plain, data("{role: ecs}", &[("AWS_ENDPOINT_URL_RDS", "http://a")]), "that of others");
        assert_ne!(data("{role: msk}", &[]), data("{role: msk}", &[("AWS_ENDPOINT_URL_KAFKA", "http://a")]));
        let written = "{role: rds, region: r, endpoint: 'http://a', access_key: id, secret_key: hunter2}";
        let other = [("AWS_REGION", "s"), ("AWS_ENDPOINT_URL", "http://b"), ("AWS_ACCESS_KEY_ID", "i")];
        assert_eq!(data(written, &other), data(written, &[]), "what is written counts more");
        let keys = [("AWS_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", "hunter2")];
        let named = [keys[0], keys[1], ("AWS_REGION", "r"), ("AWS_ENDPOINT_URL", "http://a")];
        assert_eq!(data("{role: rds}", &named), data(written, &[]));
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
