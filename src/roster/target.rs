//! A target: what relabelling leaves of one entry of a target group. Pure.

use std::sync::Arc;

use rosterd_model::labels::{ADDRESS, INSTANCE, META_PREFIX, SCRAPE_INTERVAL, SCRAPE_TIMEOUT};
use rosterd_model::relabel::{Rules, Scratch};
use rosterd_model::target::BOOLEANS;
use rosterd_model::{Builder, Duration, Labels, Names, bare_url};
use serde::Serialize;

use super::block::RawEntry;
use super::job::JobSpec;

/// What became of one entry of a target group in one job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// It is a target with these final labels, those that begin with `__` included. Equal ones share one allocation.
    Active(Labels),
    /// Relabelling dropped it.
    Dropped,
    /// It cannot be a target.
    Failed(Arc<Failure>),
}

/// Why an entry cannot be a target. The rules are those of Prometheus (`PopulateLabels` in `scrape/target.go`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Failure {
    /// Relabelling left no `__address__`.
    #[error("no address")]
    NoAddress,
    /// The address holds a slash.
    #[error("{address:?} is not a host and port: the scheme goes into __scheme__, the path into __metrics_path__")]
    BadAddress {
        /// The address, without what may be secret in a URL.
        address: String,
    },
    /// Interval or timeout are no durations.
    #[error("{label} is {value:?}, which is not a duration: write one such as 15s")]
    BadDuration {
        /// The label.
        label: &'static str,
        /// Its value.
        value: String,
    },
    /// Interval or timeout are 0.
    #[error("{label} cannot be 0")]
    ZeroDuration {
        /// The label.
        label: &'static str,
    },
    /// The timeout is above the interval.
    #[error("the timeout {timeout} is greater than the interval {interval}: lower it, or scrape less often")]
    TimeoutAboveInterval {
        /// The interval.
        interval: String,
        /// The timeout.
        timeout: String,
    },
    /// A label that has to be a boolean is none.
    #[error("{label} is {value:?}: write true or false")]
    BadBoolean {
        /// The label.
        label: &'static str,
        /// Its value.
        value: String,
    },
}

/// Scratch space for [`populate`], kept from target to target.
#[derive(Debug, Default)]
pub struct Workbench {
    /// The labels under construction; hold the discovered labels when [`populate`] is called.
    pub labels: Builder,
    scratch: Scratch,
}

/// What becomes of an entry of a block in a job.
pub fn relabel(bench: &mut Workbench, entry: RawEntry<'_>, job: &JobSpec, names: &mut Names) -> Entry {
    // Most of a large cluster is dropped by the first rule, which looks at one label or two: no others are copied then.
    let leading = job.rules.leading();
    if !leading.is_empty() {
        entry.load_some(|name| leading.look_at(name), &mut bench.labels);
        job.add_defaults(&mut bench.labels);
        if leading.drop(&mut bench.labels, &mut bench.scratch) {
            return Entry::Dropped;
        }
    }
    entry.load(&mut bench.labels);
    populate(bench, job, names)
}

/// Turns the discovered labels in `bench.labels` into a target of the job.
pub fn populate(bench: &mut Workbench, job: &JobSpec, names: &mut Names) -> Entry {
    job.add_defaults(&mut bench.labels);
    match relabelled(bench, &job.rules, job) {
        Ok(true) => Entry::Active(bench.labels.build(names)),
        Ok(false) => Entry::Dropped,
        Err(failure) => Entry::Failed(Arc::new(failure)),
    }
}

fn relabelled(bench: &mut Workbench, rules: &Rules, job: &JobSpec) -> Result<bool, Failure> {
    let labels = &mut bench.labels;
    if !rules.apply(labels, &mut bench.scratch) {
        return Ok(false);
    }
    check(labels, job)?;
    labels.retain(|name, _| !name.starts_with(META_PREFIX));
    if !labels.contains(INSTANCE) {
        let address = labels.get(ADDRESS).to_owned();
        labels.set(INSTANCE, &address);
    }
    // A target without a single label of its own counts as dropped, as in Prometheus; `instance` rules that out.
    Ok(true)
}

fn check(labels: &Builder, job: &JobSpec) -> Result<(), Failure> {
    let address = labels.get(ADDRESS);
    if address.is_empty() {
        return Err(Failure::NoAddress);
    }
    if address.contains('/') {
        return Err(Failure::BadAddress { address: bare_url(address).into_owned() });
    }
    let (interval, timeout) = (labels.get(SCRAPE_INTERVAL), labels.get(SCRAPE_TIMEOUT));
    // The job's own values were checked with the configuration.
    if (interval, timeout) != (job.interval.as_str(), job.timeout.as_str()) {
        let interval_duration = duration(SCRAPE_INTERVAL, interval)?;
        if duration(SCRAPE_TIMEOUT, timeout)? > interval_duration {
            return Err(Failure::TimeoutAboveInterval { interval: interval.to_owned(), timeout: timeout.to_owned() });
        }
    }
    for label in BOOLEANS {
        let value = labels.get(label);
        if !matches!(
            value,
            "" | "true" | "false" | "1" | "0" | "t" | "f" | "T" | "F" | "TRUE" | "FALSE" | "True" | "False"
        ) {
            return Err(Failure::BadBoolean { label, value: value.to_owned() });
        }
    }
    Ok(())
}

fn duration(label: &'static str, value: &str) -> Result<std::time::Duration, Failure> {
    let parsed: Duration = value.parse().map_err(|_| Failure::BadDuration { label, value: value.to_owned() })?;
    let parsed = std::time::Duration::from(parsed);
    if parsed.is_zero() { Err(Failure::ZeroDuration { label }) } else { Ok(parsed) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rosterd_model::TargetGroup;
    use rosterd_model::relabel::RuleConfig;

    use super::*;
    use crate::roster::block::{RawGroup, encode};

    /// A rule over labels of which some are there, some are only defaults, and some come from rules before it.
    fn rule() -> impl Strategy<Value = String> {
        let name = || prop::sample::select(vec!["a", "b", "c", "job", "__address__"]);
        let sources = || prop::collection::vec(name(), 0..3).prop_map(|names| names.join(", "));
        let regex = || prop::sample::select(vec!["", "1", "1;2", "x|.*1", "h:1", "(.*)"]);
        prop_oneof![
            4 => (sources(), regex(), prop::sample::select(vec!["keep", "drop"])).prop_map(|(sources, regex, action)| {
                format!("{{source_labels: [{sources}], regex: '{regex}', action: {action}}}")
            }),
            2 => (name(), name(), prop::sample::select(vec!["keepequal", "dropequal"])).prop_map(|(one, other, action)| {
                format!("{{source_labels: [{one}], target_label: {other}, action: {action}}}")
            }),
            1 => (sources(), name()).prop_map(|(sources, to)| format!("{{source_labels: [{sources}], target_label: {to}}}")),
            1 => regex().prop_map(|regex| format!("{{regex: '{regex}', action: labeldrop}}")),
        ]
    }

    proptest! {
        #[test]
        fn what_is_dropped_at_a_glance_is_what_is_dropped_after_all(
            rules in prop::collection::vec(rule(), 0..5),
            shared in prop::collection::btree_map(prop::sample::select(vec!["a", "b"]), "[12]", 0..3),
            own in prop::collection::btree_map(prop::sample::select(vec!["a", "b", "c"]), "[12]", 0..4),
        ) {
            let configs: Vec<RuleConfig> = serde_yaml::from_str(&format!("[{}]", rules.join(", "))).unwrap();
            let rules = Rules::compile(&configs, Default::default()).unwrap();
            let job = JobSpec {
                name: "j".into(),
                rules,
                defaults: vec![("job".to_owned(), "1".to_owned())],
                interval: String::new(),
                timeout: String::new(),
                params: Default::default(),
                limits: Default::default(),
                keeping: Default::default(),
                providers: Vec::new(),
            };
            let labels = |map: &std::collections::BTreeMap<&str, String>| map.iter().map(|(k, v)| (*k, &**v)).collect();
            let target: Labels = labels(&own);
            let address: Labels = target.iter().chain([("__address__", "h:1")]).collect();
            let group = TargetGroup { labels: labels(&shared), targets: vec![address], ..TargetGroup::default() };
            let mut text = Vec::new();
            encode(&group, &mut text);
            let entry = RawGroup::read(&text).unwrap().entries().next().unwrap();
            let (mut bench, mut names) = (Workbench::default(), Names::new());
            let quick = relabel(&mut bench, entry, &job, &mut names);
            entry.load(&mut bench.labels);
            prop_assert_eq!(quick, populate(&mut bench, &job, &mut names));
        }
    }
}
