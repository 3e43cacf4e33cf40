//! Sections that are read with Prometheus' rules, so that mistakes in a shared file show, and that have no effect here.

use std::collections::BTreeMap;

use rosterd_client::{Secret, TlsConfig, with_http_client};
use rosterd_model::Problem;
use rosterd_model::relabel::RuleConfig;
use rosterd_model::{Duration, NameScheme, Size};
use serde::Deserialize;

use super::cloud::SigV4;
use super::reserved::check_headers;
use super::rules::check_rules;
use super::scalars::or_default;
use super::url::DestinationUrl;
use crate::error::code;

/// `alerting`, of which each entry of `alertmanagers` is an [`Alertmanager`].
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Alerting {
    pub(crate) alert_relabel_configs: Vec<RuleConfig>,
}

impl Alerting {
    pub(crate) fn check(&self, scheme: NameScheme) -> Vec<Problem> {
        check_rules(&self.alert_relabel_configs, scheme, "alert_relabel_configs")
    }
}

with_http_client! {
    /// An entry of `alertmanagers`, without its discovery.
    #[derive(Debug, Clone, PartialEq)]
    pub(crate) struct Alertmanager {
        sigv4: Option<SigV4> = None,
        scheme: String = "http".to_owned(),
        path_prefix: String = String::new(),
        #[serde(deserialize_with = "or_default")]
        timeout: Duration = Duration::from_secs(10),
        api_version: String = "v2".to_owned(),
        relabel_configs: Vec<RuleConfig> = Vec::new(),
        alert_relabel_configs: Vec<RuleConfig> = Vec::new(),
    }
}

const NO_V1: &str =
    "Prometheus 3 knows no other api_version than v2: write v2, or remove all of `alerting`, which has no effect here";

impl Alertmanager {
    pub(crate) fn check(&self, scheme: NameScheme) -> Vec<Problem> {
        let mut problems = self.client.check();
        if self.api_version != "v2" {
            problems.push(Problem::new("api_version", code::INVALID_VALUE, NO_V1));
        }
        if self.sigv4.is_some()
            && (self.client.basic_auth.is_some() || self.client.authorization.is_some() || self.client.oauth2.is_some())
        {
            let message = "only one of basic_auth, authorization, oauth2, sigv4 can be used";
            problems.push(Problem::new("sigv4", code::CONFLICTING_KEYS, message));
        }
        problems.extend(self.sigv4.as_ref().and_then(SigV4::check));
        problems.extend(check_rules(&self.relabel_configs, scheme, "relabel_configs"));
        problems.extend(check_rules(&self.alert_relabel_configs, scheme, "alert_relabel_configs"));
        problems
    }
}

#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Storage {
    tsdb: Tsdb,
    exemplars: Exemplars,
}

#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default)]
struct Tsdb {
    #[serde(deserialize_with = "or_default")]
    out_of_order_time_window: Duration,
    stale_series_compaction_threshold: f64,
    chunk_encoding: ChunkEncoding,
    retention: Retention,
}

#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default)]
struct ChunkEncoding {
    floats: String,
}

#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default)]
struct Retention {
    #[serde(deserialize_with = "or_default")]
    time: Duration,
    #[serde(deserialize_with = "or_default")]
    size: Size,
    percentage: f64,
}

#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default)]
struct Exemplars {
    max_exemplars: i64,
}

impl Storage {
    pub(crate) fn check(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if !matches!(self.tsdb.chunk_encoding.floats.as_str(), "" | "xor" | "xor2") {
            let message = "floats must be xor or xor2";
            problems.push(Problem::new("tsdb.chunk_encoding.floats", code::INVALID_VALUE, message));
        }
        if !(0.0..=100.0).contains(&self.tsdb.retention.percentage) {
            let message = "percentage must be from 0 to 100";
            problems.push(Problem::new("tsdb.retention.percentage", code::INVALID_VALUE, message));
        }
        problems
    }
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct Tracing {
    client_type: TracingClient,
    endpoint: String,
    sampling_fraction: f64,
    insecure: bool,
    tls_config: TlsConfig,
    headers: BTreeMap<String, Secret>,
    compression: String,
    #[serde(deserialize_with = "or_default")]
    timeout: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum TracingClient {
    Http,
    Grpc,
}

impl Default for Tracing {
    fn default() -> Self {
        Self {
            client_type: TracingClient::Grpc,
            endpoint: String::new(),
            sampling_fraction: 0.0,
            insecure: false,
            tls_config: TlsConfig::default(),
            headers: BTreeMap::new(),
            compression: String::new(),
            timeout: Duration::ZERO,
        }
    }
}

impl Tracing {
    pub(crate) fn check(&self) -> Vec<Problem> {
        let mut problems = check_headers(self.headers.keys());
        if self.endpoint.is_empty() {
            problems.push(Problem::new("endpoint", code::MISSING_KEY, "tracing needs an endpoint"));
        }
        if !matches!(self.compression.as_str(), "" | "gzip") {
            problems.push(Problem::new("compression", code::INVALID_VALUE, "compression must be gzip"));
        }
        problems
    }
}

with_http_client! {
    /// An entry of `remote_read`.
    #[derive(Debug, Clone, PartialEq)]
    pub(crate) struct RemoteRead {
        url: Option<DestinationUrl> = None,
        #[serde(deserialize_with = "or_default")]
        remote_timeout: Duration = Duration::from_secs(60),
        chunked_read_limit: u64 = 50_000_000,
        headers: BTreeMap<String, Secret> = BTreeMap::new(),
        read_recent: bool = false,
        pub(crate) name: String = String::new(),
        required_matchers: BTreeMap<String, String> = BTreeMap::new(),
        filter_external_labels: bool = true,
    }
}

impl RemoteRead {
    pub(crate) fn check(&self) -> Vec<Problem> {
        let mut problems = self.client.check();
        if self.url.is_none() {
            problems.push(Problem::new("url", code::MISSING_KEY, "remote_read needs a url"));
        }
        problems.extend(check_headers(self.headers.keys()));
        problems
    }
}

#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Otlp {
    promote_all_resource_attributes: bool,
    promote_resource_attributes: Vec<String>,
    ignore_resource_attributes: Vec<String>,
    translation_strategy: TranslationStrategy,
    keep_identifying_resource_attributes: bool,
    convert_histograms_to_nhcb: bool,
    promote_scope_metadata: bool,
    label_name_underscore_sanitization: bool,
    label_name_preserve_multiple_underscores: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
enum TranslationStrategy {
    #[serde(rename = "")]
    Unset,
    #[default]
    UnderscoreEscapingWithSuffixes,
    UnderscoreEscapingWithoutSuffixes,
    NoUTF8EscapingWithSuffixes,
    NoTranslation,
}

impl Otlp {
    pub(crate) fn check(&self, scheme: NameScheme) -> Vec<Problem> {
        use TranslationStrategy::{NoTranslation, NoUTF8EscapingWithSuffixes};
        let mut problems = Vec::new();
        if scheme == NameScheme::Legacy
            && matches!(self.translation_strategy, NoTranslation | NoUTF8EscapingWithSuffixes)
        {
            let message = "this strategy goes only with metric_name_validation_scheme utf8";
            problems.push(Problem::new("translation_strategy", code::CONFLICTING_KEYS, message));
        }
        let (attributes, key) = if self.promote_all_resource_attributes {
            (&self.ignore_resource_attributes, "ignore_resource_attributes")
        } else {
            (&self.promote_resource_attributes, "promote_resource_attributes")
        };
        if self.promote_all_resource_attributes && !self.promote_resource_attributes.is_empty() {
            let message = "promote_all_resource_attributes promotes these too: remove one of the two keys";
            problems.push(Problem::new("promote_resource_attributes", code::CONFLICTING_KEYS, message));
        }
        if !self.promote_all_resource_attributes && !self.ignore_resource_attributes.is_empty() {
            let message = "ignore_resource_attributes goes only with promote_all_resource_attributes";
            problems.push(Problem::new("ignore_resource_attributes", code::CONFLICTING_KEYS, message));
        }
        for (index, attribute) in attributes.iter().enumerate() {
            let trimmed = attribute.trim();
            let again = attributes[..index].iter().any(|earlier| earlier.trim() == trimmed);
            if trimmed.is_empty() || again {
                let message = if again { "this attribute is in the list already" } else { "an attribute needs a name" };
                problems.push(Problem::new(format!("{key}[{index}]"), code::INVALID_VALUE, message));
            }
        }
        problems
    }
}
