//! `remote_write`: where samples are sent to.

use std::collections::BTreeMap;
use std::path::Path;

use rosterd_client::{Secret, unset, with_http_client};
use rosterd_model::Problem;
use rosterd_model::relabel::{RuleConfig, Rules};
use rosterd_model::{Duration, NameScheme};
use serde::{Deserialize, Serialize};

use super::cloud::{AzureAd, GoogleIam, SigV4};
use super::reserved::check_headers;
use super::rules::check_rules;
use super::scalars::{ProtobufMessage, or_default};
use super::url::DestinationUrl;
use crate::error::code;

with_http_client! {
    /// A destination of samples.
    #[derive(Debug, Clone, PartialEq)]
    pub struct RemoteWrite {
        /// The endpoint.
        #[serde(skip_serializing_if = "unset")]
        pub url: Option<DestinationUrl> = None,
        /// When to give up a request.
        #[serde(deserialize_with = "or_default", skip_serializing_if = "unset")]
        pub remote_timeout: Duration = Duration::from_secs(30),
        /// Headers of each request.
        #[serde(skip_serializing_if = "unset")]
        pub headers: BTreeMap<String, Secret> = BTreeMap::new(),
        /// Rules for the labels of samples.
        #[serde(skip_serializing_if = "unset")]
        pub write_relabel_configs: Vec<RuleConfig> = Vec::new(),
        /// A name for logs and metrics.
        #[serde(skip_serializing_if = "unset")]
        pub name: String = String::new(),
        /// Whether to send exemplars.
        #[serde(skip_serializing_if = "unset")]
        pub send_exemplars: bool = false,
        /// Whether to send native histograms.
        #[serde(skip_serializing_if = "unset")]
        pub send_native_histograms: bool = false,
        /// Whether to spread connections over all addresses of the host.
        #[serde(skip_serializing_if = "unset")]
        pub round_robin_dns: bool = false,
        /// Which message to send.
        pub protobuf_message: ProtobufMessage = ProtobufMessage::V1,
        /// Whether to log requests that failed.
        #[serde(skip_serializing_if = "unset")]
        pub failed_request_logging: bool = false,
        /// The queue.
        #[serde(skip_serializing)]
        pub queue_config: QueueConfig = QueueConfig::default(),
        /// Help texts, types and units.
        #[serde(skip_serializing)]
        pub metadata_config: MetadataConfig = MetadataConfig::default(),
        /// AWS Signature Version 4.
        #[serde(skip_serializing)]
        pub sigv4: Option<SigV4> = None,
        /// Microsoft Entra ID.
        #[serde(skip_serializing)]
        pub azuread: Option<AzureAd> = None,
        /// Google's IAM.
        #[serde(skip_serializing)]
        pub google_iam: Option<GoogleIam> = None,
    }
}

impl RemoteWrite {
    /// Whether this is its name or its URL.
    pub(super) fn is_called(&self, name: &str) -> bool {
        self.name == name || self.url.as_ref().is_some_and(|url| url.expose().to_string() == name)
    }

    /// `write_relabel_configs`, compiled; they were checked with the configuration.
    pub fn rules(&self, scheme: NameScheme) -> Rules {
        Rules::compile(&self.write_relabel_configs, scheme).unwrap_or_default()
    }

    /// Finds what is wrong.
    pub(crate) fn check(&self, scheme: NameScheme) -> Vec<Problem> {
        let mut problems = self.client.check();
        if self.url.is_none() {
            problems.push(Problem::new("url", code::MISSING_KEY, "remote_write needs a url"));
        }
        problems.extend(check_headers(self.headers.keys()));
        problems.extend(check_rules(&self.write_relabel_configs, scheme, "write_relabel_configs"));
        problems.extend(self.queue_config.check());
        problems.extend(self.sigv4.as_ref().and_then(SigV4::check));
        problems.extend(self.azuread.iter().flat_map(AzureAd::check));
        let ways = [
            ("basic_auth", self.client.basic_auth.is_some()),
            ("authorization", self.client.authorization.is_some()),
            ("oauth2", self.client.oauth2.is_some()),
            ("sigv4", self.sigv4.is_some()),
            ("azuread", self.azuread.is_some()),
            ("google_iam", self.google_iam.is_some()),
        ];
        let set: Vec<_> = ways.iter().filter(|(_, set)| *set).map(|(name, _)| *name).collect();
        let by_cloud = self.sigv4.is_some() || self.azuread.is_some() || self.google_iam.is_some();
        if let ([_, second, ..], true) = (set.as_slice(), by_cloud) {
            let message = format!("only one way to authenticate can be used, and there are {}", set.join(", "));
            problems.push(Problem::new(*second, code::CONFLICTING_KEYS, message));
        }
        problems
    }

    /// Makes relative paths absolute.
    pub(crate) fn resolve_paths(&mut self, base: &Path) {
        self.client.resolve_paths(base);
        if let Some(azure) = &mut self.azuread {
            azure.resolve_paths(base);
        }
        if let Some(google) = &mut self.google_iam {
            google.resolve_paths(base);
        }
    }

    /// As Prometheus shows it: the queue after the client's keys.
    pub(super) fn shown(&self) -> impl Serialize {
        #[derive(Serialize)]
        struct Shown<'a> {
            #[serde(flatten)]
            head: &'a RemoteWrite,
            queue_config: &'a QueueConfig,
            metadata_config: &'a MetadataConfig,
            #[serde(skip_serializing_if = "Option::is_none")]
            sigv4: Option<&'a SigV4>,
            #[serde(skip_serializing_if = "Option::is_none")]
            azuread: Option<&'a AzureAd>,
            #[serde(skip_serializing_if = "Option::is_none")]
            google_iam: Option<&'a GoogleIam>,
        }
        Shown {
            head: self,
            queue_config: &self.queue_config,
            metadata_config: &self.metadata_config,
            sigv4: self.sigv4.as_ref(),
            azuread: self.azuread.as_ref(),
            google_iam: self.google_iam.as_ref(),
        }
    }
}

/// The queue of a destination.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct QueueConfig {
    /// Samples that wait in a shard before reading stops.
    #[serde(skip_serializing_if = "unset")]
    pub capacity: i64,
    /// The most shards.
    #[serde(skip_serializing_if = "unset")]
    pub max_shards: i64,
    /// The least shards.
    #[serde(skip_serializing_if = "unset")]
    pub min_shards: i64,
    /// The most samples of a request.
    #[serde(skip_serializing_if = "unset")]
    pub max_samples_per_send: i64,
    /// How long a sample waits for others.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "unset")]
    pub batch_send_deadline: Duration,
    /// The first wait after a failure.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "unset")]
    pub min_backoff: Duration,
    /// The longest wait after a failure.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "unset")]
    pub max_backoff: Duration,
    /// Whether to try again after status 429.
    #[serde(skip_serializing_if = "unset")]
    pub retry_on_http_429: bool,
    /// Older samples are dropped; 0 keeps all.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "unset")]
    pub sample_age_limit: Duration,
}

impl Default for QueueConfig {
    fn default() -> Self {
        Self {
            capacity: 10_000,
            max_shards: 50,
            min_shards: 1,
            max_samples_per_send: 2000,
            batch_send_deadline: Duration::from_secs(5),
            min_backoff: Duration::from_millis(30),
            max_backoff: Duration::from_secs(5),
            retry_on_http_429: false,
            sample_age_limit: Duration::ZERO,
        }
    }
}

impl QueueConfig {
    fn check(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let positive = [
            ("max_shards", self.max_shards),
            ("min_shards", self.min_shards),
            ("max_samples_per_send", self.max_samples_per_send),
            ("capacity", self.capacity),
        ];
        for (key, _) in positive.iter().filter(|(_, value)| *value <= 0) {
            let message = format!("{key} must be positive; leave it out for the default");
            problems.push(Problem::new(format!("queue_config.{key}"), code::INVALID_VALUE, message));
        }
        if self.min_shards > self.max_shards {
            let message = "min_shards must not be greater than max_shards";
            problems.push(Problem::new("queue_config.min_shards", code::CONFLICTING_KEYS, message));
        }
        if self.max_backoff < self.min_backoff {
            let message = "max_backoff must not be less than min_backoff";
            problems.push(Problem::new("queue_config.max_backoff", code::CONFLICTING_KEYS, message));
        }
        problems
    }
}

/// Help texts, types and units of metrics.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MetadataConfig {
    /// Whether to send them.
    pub send: bool,
    /// How often.
    #[serde(deserialize_with = "or_default")]
    pub send_interval: Duration,
    /// The most of a request.
    #[serde(skip_serializing_if = "unset")]
    pub max_samples_per_send: i64,
}

impl Default for MetadataConfig {
    fn default() -> Self {
        Self { send: true, send_interval: Duration::from_secs(60), max_samples_per_send: 2000 }
    }
}
