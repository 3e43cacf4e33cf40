//! `global` and `runtime`: what jobs inherit.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rosterd_client::unset;
use rosterd_model::{Duration, NameScheme, Problem, Size};
use rosterd_tasks::files::resolve;
use serde::{Deserialize, Serialize};

use super::scalars::{EscapingScheme, ScrapeProtocol, empty_is_none, or_default};
use crate::error::code;

/// What holds for all jobs that do not say otherwise. A limit of 0 is no limit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default = "Global::unset")]
pub struct Global {
    /// How often to scrape.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "unset")]
    pub scrape_interval: Duration,
    /// When to give up a scrape.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "unset")]
    pub scrape_timeout: Duration,
    /// Formats to ask for, the most wanted first.
    #[serde(skip_serializing_if = "unset")]
    pub scrape_protocols: Option<Vec<ScrapeProtocol>>,
    /// For rules, which rosterd has none of.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "unset")]
    pub evaluation_interval: Duration,
    /// For rules, which rosterd has none of.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "unset")]
    pub rule_query_offset: Duration,
    /// For queries, which rosterd does not answer.
    #[serde(skip_serializing_if = "unset")]
    pub query_log_file: PathBuf,
    /// Where failed scrapes are written down.
    #[serde(skip_serializing_if = "unset")]
    pub scrape_failure_log_file: PathBuf,
    /// Labels of all series that are sent away, with `${VARIABLES}` of the environment in place.
    #[serde(skip_serializing_if = "unset")]
    pub external_labels: BTreeMap<String, String>,
    /// The largest body of a scrape.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "unset")]
    pub body_size_limit: Size,
    /// The most samples of a scrape.
    #[serde(skip_serializing_if = "unset")]
    pub sample_limit: u64,
    /// The most targets of a job.
    #[serde(skip_serializing_if = "unset")]
    pub target_limit: u64,
    /// The most labels of a series.
    #[serde(skip_serializing_if = "unset")]
    pub label_limit: u64,
    /// The longest name of a label.
    #[serde(skip_serializing_if = "unset")]
    pub label_name_length_limit: u64,
    /// The longest value of a label.
    #[serde(skip_serializing_if = "unset")]
    pub label_value_length_limit: u64,
    /// The most dropped targets to keep for a job.
    #[serde(skip_serializing_if = "unset")]
    pub keep_dropped_targets: u64,
    /// What counts as a name.
    #[serde(deserialize_with = "empty_is_none", skip_serializing_if = "unset")]
    pub metric_name_validation_scheme: Option<NameScheme>,
    /// What targets are asked to make of names.
    #[serde(deserialize_with = "empty_is_none", skip_serializing_if = "unset")]
    pub metric_name_escaping_scheme: Option<EscapingScheme>,
    /// Whether to scrape native histograms.
    #[serde(skip_serializing_if = "unset")]
    pub scrape_native_histograms: Option<bool>,
    /// Whether to make native histograms of classic ones.
    #[serde(skip_serializing_if = "unset")]
    pub convert_classic_histograms_to_nhcb: bool,
    /// Whether to scrape a classic histogram that is there as a native one too.
    #[serde(skip_serializing_if = "unset")]
    pub always_scrape_classic_histograms: bool,
    /// Whether to write more metrics about each scrape.
    #[serde(skip_serializing_if = "unset")]
    pub extra_scrape_metrics: Option<bool>,
}

const SCRAPE_INTERVAL: Duration = Duration::from_secs(60);
const SCRAPE_TIMEOUT: Duration = Duration::from_secs(10);

/// What holds without a section `global`.
impl Default for Global {
    fn default() -> Self {
        let mut global = Self::unset();
        global.metric_name_escaping_scheme = Some(EscapingScheme::AllowUtf8);
        global.fill_in();
        global
    }
}

impl Global {
    /// Everything at zero, as it is before the defaults are filled in.
    fn unset() -> Self {
        Self {
            scrape_interval: Duration::ZERO,
            scrape_timeout: Duration::ZERO,
            scrape_protocols: None,
            evaluation_interval: Duration::ZERO,
            rule_query_offset: Duration::ZERO,
            query_log_file: PathBuf::new(),
            scrape_failure_log_file: PathBuf::new(),
            external_labels: BTreeMap::new(),
            body_size_limit: Size::ZERO,
            sample_limit: 0,
            target_limit: 0,
            label_limit: 0,
            label_name_length_limit: 0,
            label_value_length_limit: 0,
            keep_dropped_targets: 0,
            metric_name_validation_scheme: None,
            metric_name_escaping_scheme: None,
            scrape_native_histograms: None,
            convert_classic_histograms_to_nhcb: false,
            always_scrape_classic_histograms: false,
            extra_scrape_metrics: None,
        }
    }

    fn fill_in(&mut self) {
        or(&mut self.scrape_interval, SCRAPE_INTERVAL);
        or(&mut self.scrape_timeout, SCRAPE_TIMEOUT.min(self.scrape_interval));
        or(&mut self.evaluation_interval, SCRAPE_INTERVAL);
        self.scrape_native_histograms.get_or_insert(false);
        self.extra_scrape_metrics.get_or_insert(false);
        self.metric_name_validation_scheme.get_or_insert_default();
    }

    /// What counts as a name in jobs that do not say otherwise.
    pub fn name_scheme(&self) -> NameScheme {
        self.metric_name_validation_scheme.unwrap_or_default()
    }

    /// Checks what was written and fills in the defaults.
    pub(crate) fn check(&mut self) -> Vec<Problem> {
        let mut problems = Vec::new();
        or(&mut self.scrape_interval, SCRAPE_INTERVAL);
        if self.scrape_timeout > self.scrape_interval {
            problems.push(timeout_above_interval(self.scrape_timeout, self.scrape_interval));
        }
        for name in self.external_labels.keys() {
            if !rosterd_model::labels::is_valid_name(name, self.name_scheme()) {
                let message = format!("{name:?} is not a valid label name");
                problems.push(Problem::new(format!("external_labels.{name}"), code::INVALID_LABEL, message));
            }
        }
        problems.extend(check_protocols(self.scrape_protocols.as_deref()));
        self.fill_in();
        problems
    }

    /// Makes relative paths absolute.
    pub(crate) fn resolve_paths(&mut self, base: &Path) {
        resolve(base, &mut self.query_log_file);
        resolve(base, &mut self.scrape_failure_log_file);
    }
}

/// Puts a default in place of a zero.
pub(super) fn or<T: Default + PartialEq>(value: &mut T, default: T) {
    if unset(value) {
        *value = default;
    }
}

pub(super) fn timeout_above_interval(timeout: Duration, interval: Duration) -> Problem {
    let message =
        format!("the timeout {timeout} is greater than the interval {interval}: lower it, or scrape less often");
    Problem::new("scrape_timeout", code::TIMEOUT_ABOVE_INTERVAL, message)
}

/// Formats must be distinct, and there must be one.
pub(super) fn check_protocols(protocols: Option<&[ScrapeProtocol]>) -> Option<Problem> {
    let protocols = protocols?;
    if protocols.is_empty() {
        let message = "scrape_protocols must not be empty: leave the key out for the default";
        return Some(Problem::new("scrape_protocols", code::INVALID_VALUE, message));
    }
    let again = (1..protocols.len()).find(|index| protocols[..*index].contains(&protocols[*index]))?;
    let path = format!("scrape_protocols[{again}]");
    Some(Problem::new(path, code::INVALID_VALUE, "this protocol is in the list already: remove it"))
}

/// Settings of the Go runtime. Accepted and shown; rosterd has no use for them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Runtime {
    /// `GOGC`.
    #[serde(skip_serializing_if = "unset")]
    pub gogc: i64,
}

impl Default for Runtime {
    fn default() -> Self {
        Self { gogc: 75 }
    }
}
