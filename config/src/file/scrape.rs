//! `scrape_configs`: jobs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rosterd_client::{HttpClientConfig, unset, with_http_client};
use rosterd_discovery::AnyConfig;
use rosterd_model::Problem;
use rosterd_model::relabel::{RuleConfig, Rules};
use rosterd_model::{Duration, NameScheme, Size};
use rosterd_tasks::files::resolve;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::global::{Global, check_protocols, or, timeout_above_interval};
use super::rules::compile;
use super::scalars::{EscapingScheme, ScrapeProtocol, empty_is_none, or_default};
use crate::error::code;

with_http_client! {
    /// Every key of a job but those of discovery. In a loaded configuration, what the job left out has been taken from
    /// `global` or the defaults. A limit of 0 is no limit.
    #[derive(Debug, Clone, PartialEq)]
    pub struct ScrapeSettings {
        /// The name of the job.
        pub job_name: String = String::new(),
        /// Whether labels of the target win over rosterd's.
        #[serde(skip_serializing_if = "unset")]
        pub honor_labels: bool = false,
        /// Whether timestamps of the target are kept.
        pub honor_timestamps: bool = true,
        /// Whether series with timestamps go stale at once.
        pub track_timestamps_staleness: bool = false,
        /// Parameters of the scrape's URL.
        #[serde(skip_serializing_if = "unset")]
        pub params: BTreeMap<String, Vec<String>> = BTreeMap::new(),
        /// How often to scrape.
        #[serde(deserialize_with = "or_default", skip_serializing_if = "unset")]
        pub scrape_interval: Duration = Duration::ZERO,
        /// When to give up a scrape.
        #[serde(deserialize_with = "or_default", skip_serializing_if = "unset")]
        pub scrape_timeout: Duration = Duration::ZERO,
        /// Formats to ask for, the most wanted first.
        #[serde(skip_serializing_if = "unset")]
        pub scrape_protocols: Option<Vec<ScrapeProtocol>> = None,
        /// The format of targets that do not name theirs.
        #[serde(deserialize_with = "empty_is_none", skip_serializing_if = "unset")]
        pub fallback_scrape_protocol: Option<ScrapeProtocol> = None,
        /// Whether to scrape native histograms.
        #[serde(skip_serializing_if = "unset")]
        pub scrape_native_histograms: Option<bool> = None,
        /// Whether to scrape a classic histogram that is there as a native one too.
        #[serde(skip_serializing_if = "unset")]
        pub always_scrape_classic_histograms: Option<bool> = None,
        /// Whether to make native histograms of classic ones.
        #[serde(skip_serializing_if = "unset")]
        pub convert_classic_histograms_to_nhcb: Option<bool> = None,
        /// Where failed scrapes are written down.
        #[serde(skip_serializing_if = "unset")]
        pub scrape_failure_log_file: PathBuf = PathBuf::new(),
        /// The path of the scrape's URL.
        #[serde(skip_serializing_if = "unset")]
        pub metrics_path: String = "/metrics".to_owned(),
        /// The scheme of the scrape's URL.
        #[serde(skip_serializing_if = "unset")]
        pub scheme: String = "http".to_owned(),
        /// Whether to ask for a compressed body.
        pub enable_compression: bool = true,
        /// The largest body of a scrape.
        #[serde(deserialize_with = "or_default", skip_serializing_if = "unset")]
        pub body_size_limit: Size = Size::ZERO,
        /// The most samples of a scrape.
        #[serde(skip_serializing_if = "unset")]
        pub sample_limit: u64 = 0,
        /// The most targets of the job.
        #[serde(skip_serializing_if = "unset")]
        pub target_limit: u64 = 0,
        /// The most labels of a series.
        #[serde(skip_serializing_if = "unset")]
        pub label_limit: u64 = 0,
        /// The longest name of a label.
        #[serde(skip_serializing_if = "unset")]
        pub label_name_length_limit: u64 = 0,
        /// The longest value of a label.
        #[serde(skip_serializing_if = "unset")]
        pub label_value_length_limit: u64 = 0,
        /// The most buckets of a native histogram.
        #[serde(skip_serializing_if = "unset")]
        pub native_histogram_bucket_limit: u64 = 0,
        /// The least factor between buckets of a native histogram.
        #[serde(skip_serializing_if = "unset")]
        pub native_histogram_min_bucket_factor: f64 = 0.0,
        /// The most dropped targets to keep.
        #[serde(skip_serializing_if = "unset")]
        pub keep_dropped_targets: u64 = 0,
        /// What counts as a name.
        #[serde(deserialize_with = "empty_is_none", skip_serializing_if = "unset")]
        pub metric_name_validation_scheme: Option<NameScheme> = None,
        /// What targets are asked to make of names.
        #[serde(deserialize_with = "empty_is_none", skip_serializing_if = "unset")]
        pub metric_name_escaping_scheme: Option<EscapingScheme> = None,
        /// Whether to write more metrics about each scrape.
        #[serde(skip_serializing_if = "unset")]
        pub extra_scrape_metrics: Option<bool> = None,
        /// Rules for the labels of targets.
        #[serde(skip_serializing)]
        pub relabel_configs: Vec<RuleConfig> = Vec::new(),
        /// Rules for the labels of samples.
        #[serde(skip_serializing)]
        pub metric_relabel_configs: Vec<RuleConfig> = Vec::new(),
    }
}

/// The keys that only a scrape has a use for; the others shape targets.
pub(crate) const ONLY_FOR_SCRAPING: [&str; 27] = [
    "authorization",
    "basic_auth",
    "bearer_token",
    "bearer_token_file",
    "body_size_limit",
    "enable_compression",
    "enable_http2",
    "extra_scrape_metrics",
    "fallback_scrape_protocol",
    "follow_redirects",
    "honor_labels",
    "honor_timestamps",
    "http_headers",
    "metric_name_escaping_scheme",
    "metric_relabel_configs",
    "native_histogram_bucket_limit",
    "native_histogram_min_bucket_factor",
    "no_proxy",
    "oauth2",
    "proxy_connect_header",
    "proxy_from_environment",
    "proxy_url",
    "sample_limit",
    "scrape_failure_log_file",
    "scrape_protocols",
    "tls_config",
    "track_timestamps_staleness",
];

impl ScrapeSettings {
    /// Takes from `global` what the job leaves out, and finds what is wrong.
    pub(crate) fn check(&mut self, global: &Global) -> Vec<Problem> {
        let mut problems = self.client.check();
        if self.job_name.is_empty() {
            problems.push(Problem::new("job_name", code::MISSING_KEY, "job_name is empty: give the job a name"));
        }
        or(&mut self.scrape_interval, global.scrape_interval);
        if self.scrape_timeout > self.scrape_interval {
            problems.push(timeout_above_interval(self.scrape_timeout, self.scrape_interval));
        }
        or(&mut self.scrape_timeout, global.scrape_timeout.min(self.scrape_interval));
        self.inherit_limits(global);
        or(&mut self.scrape_failure_log_file, global.scrape_failure_log_file.clone());
        let native = *self.scrape_native_histograms.get_or_insert(global.scrape_native_histograms.unwrap_or_default());
        self.extra_scrape_metrics.get_or_insert(global.extra_scrape_metrics.unwrap_or_default());
        self.convert_classic_histograms_to_nhcb.get_or_insert(global.convert_classic_histograms_to_nhcb);
        self.always_scrape_classic_histograms.get_or_insert(global.always_scrape_classic_histograms);
        problems.extend(check_protocols(self.scrape_protocols.as_deref()));
        self.scrape_protocols.get_or_insert_with(|| match &global.scrape_protocols {
            Some(protocols) => protocols.clone(),
            None if native => ScrapeProtocol::DEFAULT_WITH_NATIVE_HISTOGRAMS.to_vec(),
            None => ScrapeProtocol::DEFAULT.to_vec(),
        });
        problems.extend(self.check_schemes(global));
        problems
    }

    fn inherit_limits(&mut self, global: &Global) {
        or(&mut self.body_size_limit, global.body_size_limit);
        or(&mut self.sample_limit, global.sample_limit);
        or(&mut self.target_limit, global.target_limit);
        or(&mut self.label_limit, global.label_limit);
        or(&mut self.label_name_length_limit, global.label_name_length_limit);
        or(&mut self.label_value_length_limit, global.label_value_length_limit);
        or(&mut self.keep_dropped_targets, global.keep_dropped_targets);
    }

    /// What counts as a name decides what may be asked of targets.
    fn check_schemes(&mut self, global: &Global) -> Option<Problem> {
        let natural = |scheme| match scheme {
            NameScheme::Legacy => EscapingScheme::Underscores,
            NameScheme::Utf8 => EscapingScheme::AllowUtf8,
        };
        // A job that only says `legacy` must not inherit an escaping that contradicts it.
        let inherited = match self.metric_name_validation_scheme {
            None => global.metric_name_escaping_scheme.unwrap_or_else(|| natural(global.name_scheme())),
            Some(own) => natural(own),
        };
        let names = *self.metric_name_validation_scheme.get_or_insert(global.name_scheme());
        let escaping = *self.metric_name_escaping_scheme.get_or_insert(inherited);
        (escaping == EscapingScheme::AllowUtf8 && names == NameScheme::Legacy).then(|| {
            let message = "allow-utf-8 goes only with metric_name_validation_scheme utf8: change one of the two";
            Problem::new("metric_name_escaping_scheme", code::CONFLICTING_KEYS, message)
        })
    }

    /// Makes relative paths absolute.
    pub(crate) fn resolve_paths(&mut self, base: &Path) {
        self.client.resolve_paths(base);
        resolve(base, &mut self.scrape_failure_log_file);
    }
}

/// A job. Equal jobs need no restart.
#[derive(Debug, Clone, PartialEq)]
pub struct ScrapeConfig {
    /// What was written, with defaults and paths resolved.
    pub settings: ScrapeSettings,
    /// Its discovery configurations, in the order of the file.
    pub discovery: Vec<Arc<dyn AnyConfig>>,
    /// `relabel_configs`, compiled.
    pub relabel: Rules,
    /// `metric_relabel_configs`, compiled.
    pub metric_relabel: Rules,
    /// Whether rosterd scrapes the targets, or only publishes them: `rosterd.jobs.<name>.scrape`.
    pub scrape: bool,
    /// Whether the job stands in the main file rather than in one of `scrape_config_files`.
    pub in_main_file: bool,
}

impl ScrapeConfig {
    /// A job of these settings.
    pub(crate) fn new(
        settings: ScrapeSettings,
        discovery: Vec<Arc<dyn AnyConfig>>,
        in_main_file: bool,
        problems: &mut Vec<Problem>,
    ) -> Self {
        let scheme = settings.metric_name_validation_scheme.unwrap_or_default();
        let relabel = compile(&settings.relabel_configs, scheme, "relabel_configs", problems);
        let metric_relabel = compile(&settings.metric_relabel_configs, scheme, "metric_relabel_configs", problems);
        Self { settings, discovery, relabel, metric_relabel, scrape: true, in_main_file }
    }

    /// The name of the job.
    pub fn job_name(&self) -> &str {
        &self.settings.job_name
    }

    /// What counts as a name.
    pub fn name_scheme(&self) -> NameScheme {
        self.settings.metric_name_validation_scheme.unwrap_or_default()
    }

    /// Whether to scrape native histograms.
    pub fn scrape_native_histograms(&self) -> bool {
        self.settings.scrape_native_histograms.unwrap_or_default()
    }

    /// Whether to make native histograms of classic ones.
    pub fn convert_classic_histograms_to_nhcb(&self) -> bool {
        self.settings.convert_classic_histograms_to_nhcb.unwrap_or_default()
    }

    /// Whether to scrape a classic histogram that is there as a native one too.
    pub fn always_scrape_classic_histograms(&self) -> bool {
        self.settings.always_scrape_classic_histograms.unwrap_or_default()
    }

    /// How scrapes authenticate and connect.
    pub fn client(&self) -> &HttpClientConfig {
        &self.settings.client
    }
}

/// As Prometheus shows a job: rules after the client's keys, then discovery by the name of its key.
impl Serialize for ScrapeConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Shown<'a> {
            #[serde(flatten)]
            settings: &'a ScrapeSettings,
            #[serde(skip_serializing_if = "is_empty")]
            relabel_configs: &'a [RuleConfig],
            #[serde(skip_serializing_if = "is_empty")]
            metric_relabel_configs: &'a [RuleConfig],
            #[serde(flatten)]
            discovery: Discovery<'a>,
        }
        let shown = Shown {
            settings: &self.settings,
            relabel_configs: &self.settings.relabel_configs,
            metric_relabel_configs: &self.settings.metric_relabel_configs,
            discovery: Discovery(&self.discovery),
        };
        shown.serialize(serializer)
    }
}

fn is_empty(rules: &&[RuleConfig]) -> bool {
    rules.is_empty()
}

struct Discovery<'a>(&'a [Arc<dyn AnyConfig>]);

impl Serialize for Discovery<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut keys: BTreeMap<String, Vec<&dyn AnyConfig>> = BTreeMap::new();
        for config in self.0 {
            keys.entry(rosterd_discovery::Mechanism::key_of(config.mechanism())).or_default().push(&**config);
        }
        let mut map = serializer.serialize_map(Some(keys.len()))?;
        for (key, configs) in &keys {
            match configs.as_slice() {
                // The whole list is one configuration.
                [groups] if key == "static_configs" => map.serialize_entry(key, groups)?,
                configs => map.serialize_entry(key, configs)?,
            }
        }
        map.end()
    }
}
