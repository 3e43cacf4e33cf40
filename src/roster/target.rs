//! A target: what relabelling leaves of one entry of a target group. Pure.

use std::sync::Arc;

use rosterd_model::labels::{ADDRESS, INSTANCE, META_PREFIX, SCRAPE_INTERVAL, SCRAPE_TIMEOUT};
use rosterd_model::relabel::{Rules, Scratch};
use rosterd_model::target::BOOLEANS;
use rosterd_model::{Builder, Duration, Labels, Names};
use serde::Serialize;

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
    #[error("{address:?} is not a valid hostname")]
    BadAddress {
        /// The address.
        address: String,
    },
    /// Interval or timeout are no durations.
    #[error("{label} is {value:?}, which is not a duration")]
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
    #[error("scrape timeout cannot be greater than scrape interval ({timeout:?} > {interval:?})")]
    TimeoutAboveInterval {
        /// The interval.
        interval: String,
        /// The timeout.
        timeout: String,
    },
    /// A label that has to be a boolean is none.
    #[error("{label} is {value:?}, which is not a boolean")]
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
        return Err(Failure::BadAddress { address: address.to_owned() });
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
