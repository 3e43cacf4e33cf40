//! What ends the removal that is held of a job, when that may be, and how to be faster: for people. Pure.

use std::collections::{HashMap, HashSet};
use std::time::SystemTime;

use rosterd_discovery::{ProviderKey, ProviderStatus};

use super::brake::{APART, Confirm, STILL};
use super::view::JobView;

/// What ends it that targets are braked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirmation {
    /// As in the configuration: `reading`, `never`, or a time.
    pub confirm: String,
    /// When that may be, at the earliest: with the next reading, or when a time is over, if the source can be read then. None where
    /// that should have been by now, or only a person ends it.
    pub expected: Option<SystemTime>,
}

/// When providers are read next: made once for whoever asks of many jobs.
#[derive(Debug)]
pub struct Readings<'a>(HashMap<&'a ProviderKey, Option<SystemTime>>);

impl<'a> Readings<'a> {
    /// Of these providers.
    pub fn of(providers: impl IntoIterator<Item = &'a ProviderStatus>) -> Self {
        Self(providers.into_iter().map(|provider| (&provider.key, provider.status.next_try)).collect())
    }
}

impl Confirmation {
    /// Of a job of which targets are braked.
    pub fn of(job: &JobView, readings: &Readings<'_>, now: SystemTime) -> Option<Self> {
        let (since, confirm) = (job.braked()?, job.spec().keeping.confirm().unwrap_or(Confirm::Reading));
        let expected = match confirm {
            Confirm::Never => None,
            Confirm::After(time) => Some(since + time),
            Confirm::Reading => {
                let watching = job.providers().iter().filter(|provider| !provider.polls);
                let watching: HashSet<_> = watching.map(|provider| &provider.key).collect();
                let read = |key: &ProviderKey| {
                    let next = readings.0.get(key)?.map(|next| next.max(since + APART));
                    // Of one that watches it is enough that it does not take it back, and it may read all of it before.
                    let still = watching.contains(key).then_some(since + STILL);
                    next.into_iter().chain(still).min()
                };
                job.braked_by().filter_map(read).min()
            }
        };
        Some(Self { confirm: confirm.to_string(), expected: expected.filter(|expected| *expected > now) })
    }
}

/// Until when targets are braked, where `expected` says when that may be: `until another reading confirms it, expected in 12s`.
pub fn until(confirm: &str, expected: Option<&str>) -> String {
    match (confirm, expected) {
        ("never", _) => "until it is released".to_owned(),
        ("reading", None) => "until another reading confirms it".to_owned(),
        ("reading", Some(expected)) => format!("until another reading confirms it, expected {expected}"),
        (time, None) => format!("for {time}"),
        (time, Some(over)) => format!("for {time}, over {over}"),
    }
}

/// What keeps what is braked of a job, once it stands in the configuration and that is read again.
pub fn keeping(job: &str) -> String {
    format!("rosterd: {{jobs: {{{}: {{brake: {{confirm: never}}}}}}}}", key(job))
}

/// What ends the time of grace of a job, once it stands in the configuration and that is read again.
pub fn ending_grace(job: &str) -> String {
    format!("rosterd: {{jobs: {{{}: {{target_removal_grace: 0s}}}}}}", key(job))
}

/// The name of a job as a key of YAML.
fn key(job: &str) -> String {
    let is_word = job.starts_with(|first: char| first.is_ascii_alphabetic())
        && job.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    let is_other = ["true", "false", "yes", "no", "on", "off", "null", "y", "n"].contains(&&*job.to_ascii_lowercase());
    if is_word && !is_other { job.to_owned() } else { format!("{job:?}") }
}

/// The command that lets go of what is braked of a job.
pub fn releasing(job: &str) -> String {
    let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | ':');
    let quoted = || format!("'{}'", job.replace('\'', r"'\''"));
    let name = if job.chars().all(is_word) && !job.starts_with('-') { job.to_owned() } else { quoted() };
    format!("rosterd brake release {name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_it_is_told_with_when_that_may_be() {
        assert_eq!(until("reading", Some("in 12s")), "until another reading confirms it, expected in 12s");
        assert_eq!(until("reading", None), "until another reading confirms it");
        assert_eq!(until("5m", Some("in 2m")), "for 5m, over in 2m");
        assert_eq!((until("5m", None), until("never", None)), ("for 5m".to_owned(), "until it is released".to_owned()));
    }

    #[test]
    fn names_of_jobs_are_quoted_where_they_have_to_be() {
        for (job, yaml, shell) in [
            ("web", "web", "web"),
            ("no", "\"no\"", "no"),
            ("7", "\"7\"", "7"),
            ("a b", "\"a b\"", "'a b'"),
            ("serviceMonitor/a/0", "\"serviceMonitor/a/0\"", "serviceMonitor/a/0"),
            ("it's", "\"it's\"", r"'it'\''s'"),
        ] {
            let text = keeping(job);
            assert_eq!(text, format!("rosterd: {{jobs: {{{yaml}: {{brake: {{confirm: never}}}}}}}}"));
            let read: serde_yaml::Value = serde_yaml::from_str(&text).unwrap();
            assert_eq!(read["rosterd"]["jobs"][job]["brake"]["confirm"], "never", "{text}");
            assert_eq!(ending_grace(job), format!("rosterd: {{jobs: {{{yaml}: {{target_removal_grace: 0s}}}}}}"));
            assert_eq!(releasing(job), format!("rosterd brake release {shell}"));
        }
    }
}
