//! The roster as values of a template. Labels are read in place: a large roster is not copied. Pure.

use std::sync::{Arc, Mutex, PoisonError};

use minijinja::Value;
use minijinja::value::{Enumerator, Object, ObjectExt};
use rosterd_model::Labels;
use rosterd_model::labels::{ADDRESS, METRICS_PATH, RESERVED_PREFIX, SCHEME};

use super::clock::Clock;
use crate::roster::view::JobView;

/// `jobs`, each with `name` and `targets`, and `targets` of all of them. Sorted: jobs by their names, targets by address and
/// labels, so that the same roster gives the same text.
pub(super) fn context(jobs: &[Arc<JobView>], asked: &Arc<Asked>) -> Value {
    let mut jobs: Vec<_> = jobs.iter().collect();
    jobs.sort_by(|one, other| one.spec().name.cmp(&other.spec().name));
    jobs.dedup_by(|one, other| one.spec().name == other.spec().name);
    let mut all = Vec::new();
    let mut listed = Vec::new();
    for job in jobs {
        let name = &job.spec().name;
        let mut targets: Vec<_> = job
            .targets()
            .map(|slot| Target {
                job: Arc::clone(name),
                labels: slot.labels.clone(),
                held: slot.is_held(),
                asked: Arc::clone(asked),
            })
            .collect();
        targets.sort_by(Target::compare);
        let first = all.len();
        all.extend(targets);
        listed.push((Arc::clone(name), first..all.len()));
    }
    let values: Vec<Value> = all.iter().cloned().map(Value::from_object).collect();
    let jobs = listed.into_iter().map(|(name, own)| {
        let targets: Value = values[own].iter().cloned().collect();
        Value::from_pairs([("name", Value::from(&*name)), ("targets", targets)])
    });
    let jobs: Value = jobs.collect();
    let mut all: Vec<_> = all.iter().zip(values).collect();
    all.sort_by(|(one, _), (other, _)| one.compare(other));
    let targets: Value = all.into_iter().map(|(_, value)| value).collect();
    Value::from_pairs([("jobs", jobs), ("targets", targets)])
}

/// What a template asks of targets: nothing any more when its time is over, and what it asked for in vain.
#[derive(Debug)]
pub(super) struct Asked {
    clock: Arc<Clock>,
    missed: Mutex<Option<Missed>>,
}

/// A label that a target does not have.
#[derive(Debug)]
struct Missed {
    label: String,
    job: Arc<str>,
    labels: Labels,
}

impl Asked {
    /// Nothing yet.
    pub(super) fn new(clock: Arc<Clock>) -> Self {
        Self { clock, missed: Mutex::new(None) }
    }

    /// When its time is over.
    pub(super) fn clock(&self) -> &Arc<Clock> {
        &self.clock
    }

    /// The target that has no such label as this error is about, as it seems.
    pub(super) fn missed(&self, error: &str) -> Option<String> {
        let missed = self.missed.lock().unwrap_or_else(PoisonError::into_inner);
        let Missed { label, job, labels } = missed.as_ref()?;
        let address = labels.get(ADDRESS).unwrap_or_default();
        error.contains(&**label).then(|| format!("{address} of job {job} has no label {label:?}"))
    }
}

/// A target.
#[derive(Debug, Clone)]
struct Target {
    job: Arc<str>,
    labels: Labels,
    held: bool,
    asked: Arc<Asked>,
}

const MEMBERS: &[&str] = &["job", "address", "host", "port", "scheme", "path", "labels", "held"];

impl Target {
    fn address(&self) -> &str {
        self.labels.get(ADDRESS).unwrap_or_default()
    }

    fn compare(&self, other: &Self) -> std::cmp::Ordering {
        self.address().cmp(other.address()).then_with(|| self.labels.iter().cmp(other.labels.iter()))
    }
}

impl Object for Target {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        if let Err(error) = self.asked.clock.check() {
            return Some(error.into());
        }
        let label = |name| Value::from(self.labels.get(name).unwrap_or_default());
        Some(match key {
            "job" => Value::from(&*self.job),
            "address" => Value::from(self.address()),
            "host" => Value::from(host_and_port(self.address()).0),
            "port" => Value::from(host_and_port(self.address()).1),
            "scheme" => label(SCHEME),
            "path" => label(METRICS_PATH),
            "labels" => Value::from_object(Visible(Target::clone(self))),
            "held" => Value::from(self.held),
            _ => return None,
        })
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Str(MEMBERS)
    }
}

/// The labels of a target but for those that begin with `__`, which are none once it is scraped.
#[derive(Debug)]
struct Visible(Target);

impl Object for Visible {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        let Self(target) = &**self;
        let found = target.labels.get(key).filter(|_| !key.starts_with(RESERVED_PREFIX)).map(Value::from);
        if found.is_none() {
            let (job, labels) = (Arc::clone(&target.job), target.labels.clone());
            let missed = Missed { label: key.to_owned(), job, labels };
            *target.asked.missed.lock().unwrap_or_else(PoisonError::into_inner) = Some(missed);
        }
        found
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        self.mapped_enumerator(|it| {
            let names = it.0.labels.iter().map(|(name, _)| name);
            Box::new(
                names
                    .filter(|name| !name.starts_with(RESERVED_PREFIX))
                    .map(Value::from)
                    .collect::<Vec<_>>()
                    .into_iter(),
            )
        })
    }
}

/// The parts of an address: the host without the brackets of IPv6, and the port, empty where there is none.
fn host_and_port(address: &str) -> (&str, &str) {
    let (host, port) = match address.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') && (!host.contains(':') || host.ends_with(']')) => (host, port),
        _ => (address, ""),
    };
    (host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host), port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_apart() {
        for (address, host, port) in [
            ("10.0.0.1:9100", "10.0.0.1", "9100"),
            ("h", "h", ""),
            ("[fe80::1]:80", "fe80::1", "80"),
            ("[fe80::1]", "fe80::1", ""),
            ("fe80::1", "fe80::1", ""),
        ] {
            assert_eq!(host_and_port(address), (host, port), "{address}");
        }
    }
}
