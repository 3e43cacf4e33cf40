//! What the roster has to know of a job. Made from a `scrape_config`; compared as a value to tell an unchanged job.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rosterd_discovery::ProviderKey;
use rosterd_model::Builder;
use rosterd_model::relabel::Rules;
use rosterd_model::target::Target;

use super::brake::{Brake, Change, Confirm};
use super::hold::HoldReason;

/// A job as the roster sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct JobSpec {
    /// Its name, unique in the configuration.
    pub name: Arc<str>,
    /// The relabelling of targets.
    pub rules: Rules,
    /// Labels that each discovered target gets unless it has them: `job`, `__scheme__`, `__param_*` and so on.
    pub defaults: Vec<(String, String)>,
    /// The scrape interval, as in its label.
    pub interval: String,
    /// The scrape timeout, as in its label.
    pub timeout: String,
    /// URL parameters; the first value of each is also a default label.
    pub params: BTreeMap<String, Vec<String>>,
    /// Limits; 0 means none.
    pub limits: Limits,
    /// What of what its sources no longer have stays for a while.
    pub keeping: Keeping,
    /// The providers of the job, each once.
    pub providers: Vec<ProviderKey>,
}

/// What of what the sources of a job no longer have stays for a while.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Keeping {
    /// Removals that a second reading has to confirm, if any.
    pub brake: Option<Brake>,
    /// How long each target stays that is not there any more: for a moment, perhaps.
    pub grace: Duration,
}

impl Keeping {
    /// Whether anything is kept for this reason.
    pub(super) fn keeps(&self, reason: HoldReason) -> bool {
        match reason {
            HoldReason::Braked => self.brake.is_some(),
            HoldReason::Grace => !self.grace.is_zero(),
            HoldReason::Restored | HoldReason::Unread | HoldReason::Replaced => false,
        }
    }

    /// How long something is kept for this reason, where time alone ends it.
    pub(super) fn longest(&self, reason: HoldReason) -> Option<Duration> {
        match (reason, self.confirm()) {
            (HoldReason::Grace, _) => Some(self.grace),
            (HoldReason::Braked, Some(Confirm::After(time))) => Some(time),
            _ => None,
        }
    }

    /// Whether a removal would be held that leaves so many of the targets before.
    pub fn would_hold(&self, before: usize, after: usize) -> bool {
        let change = Change { before, after, ..Change::default() };
        self.brake.is_some_and(|brake| brake.holds(change, before))
    }

    /// What confirms a removal.
    pub fn confirm(&self) -> Option<Confirm> {
        self.brake.map(|brake| brake.confirm)
    }
}

/// The limits of a job that concern targets; 0 means none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Above this many targets the whole job fails.
    pub targets: usize,
    /// How many labels a target may have.
    pub labels: usize,
    /// How long a label name may be, in bytes.
    pub label_name_length: usize,
    /// How long a label value may be, in bytes.
    pub label_value_length: usize,
    /// How many dropped targets are listed.
    pub keep_dropped: usize,
}

impl Limits {
    /// Which limit on labels the target's own labels exceed, in the words of Prometheus: each of its samples would be
    /// refused.
    pub fn exceeded_by(&self, target: Target<'_>) -> Option<String> {
        let Self { labels, label_name_length: longest_name, label_value_length: longest_value, .. } = *self;
        if labels + longest_name + longest_value == 0 {
            return None;
        }
        let count = target.public().count();
        if labels > 0 && count > labels {
            return Some(format!("label_limit exceeded (number of labels: {count}, limit: {labels})"));
        }
        target.public().find_map(|(name, value)| {
            let exceeded = |what: &str, length: usize, limit: usize| {
                let told = || format!("{what} exceeded (label name: {name}, length: {length}, limit: {limit})");
                (limit > 0 && length > limit).then(told)
            };
            exceeded("label_name_length_limit", name.len(), longest_name)
                .or_else(|| exceeded("label_value_length_limit", value.len(), longest_value))
        })
    }
}

impl JobSpec {
    /// Adds what the configuration gives to every target that does not say otherwise.
    pub fn add_defaults(&self, labels: &mut Builder) {
        for (name, value) in &self.defaults {
            labels.set_default(name, value);
        }
    }

    /// Whether targets of the other job would come out the same from the same groups.
    pub fn relabels_like(&self, other: &Self) -> bool {
        self.rules == other.rules
            && self.defaults == other.defaults
            && self.interval == other.interval
            && self.timeout == other.timeout
    }
}
