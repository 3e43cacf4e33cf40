//! What ends the removal that is held of a job, when that may be, and how to be faster: for people. Pure.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::time::SystemTime;

use rosterd_discovery::{ProviderKey, ProviderStatus};

use super::brake::{APART, Confirm, STILL};
use super::job::Keeping;
use super::view::JobView;

/// What ends it that targets are braked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirmation {
    /// As in the configuration: `reading`, `never`, or a time.
    pub confirm: String,
    /// Whether that is not the next reading, but that a watched source does not take it back for a while.
    pub watched: bool,
    /// When that may be, at the earliest: with the next reading, or when a time is over, if the source can be read then. None where
    /// that should have been by now, or only a person ends it.
    pub expected: Option<SystemTime>,
    /// Until when it stays in its time of grace after that, the last of it, where that is not over before.
    pub grace: Option<SystemTime>,
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
        let Keeping { grace, .. } = job.spec().keeping;
        let (since, confirm) = (job.braked()?, job.spec().keeping.confirm().unwrap_or(Confirm::Reading));
        let next = |key: &ProviderKey| *readings.0.get(key)?;
        let (expected, watched) = match confirm {
            Confirm::Never => (None, false),
            Confirm::After(time) => {
                // What may still come is not known to be gone before all is read.
                let over = |key: &ProviderKey| {
                    next(key).filter(|_| job.awaits(key)).map_or(since + time, |next| next.max(since + time))
                };
                (job.braked_by().map(over).min(), false)
            }
            Confirm::Reading => {
                let watching = job.providers().iter().filter(|provider| !provider.polls);
                let watching: HashSet<_> = watching.map(|provider| &provider.key).collect();
                let is_still = |key: &ProviderKey| watching.contains(key) && !job.awaits(key);
                let read = |key: &ProviderKey| {
                    let next = next(key).map(|next| (next.max(since + APART), false));
                    // Of one that watches it is enough that it does not take it back, and it may read all of it before.
                    let still = is_still(key).then_some((since + STILL, true));
                    next.into_iter().chain(still).min()
                };
                let first = job.braked_by().filter_map(read).min();
                first.map_or((None, false), |(expected, watched)| (Some(expected), watched))
            }
        };
        let expected = expected.filter(|expected| *expected > now);
        let grace =
            job.braked_last().map(|last| last + grace).filter(|_| confirm != Confirm::Never && !grace.is_zero());
        let grace = grace.filter(|grace| *grace > expected.unwrap_or(now));
        Some(Self { confirm: confirm.to_string(), watched, expected, grace })
    }

    /// Until when it is, where `due` tells a time that is to come.
    pub fn told(&self, due: impl Fn(SystemTime) -> String) -> String {
        let [expected, grace] = [self.expected, self.grace].map(|time| time.map(&due));
        let (confirm, watched) = (&*self.confirm, self.watched);
        Until { confirm, watched, expected: expected.as_deref(), grace: grace.as_deref() }.to_string()
    }
}

/// Until when targets are braked, with times in words: `until another reading confirms it, expected in 12s`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Until<'a> {
    /// As in the configuration: `reading`, `never`, or a time.
    pub confirm: &'a str,
    /// Whether that is not the next reading, but that a watched source does not take it back for a while.
    pub watched: bool,
    /// When that may be.
    pub expected: Option<&'a str>,
    /// When the time of grace is over in which they are then.
    pub grace: Option<&'a str>,
}

impl fmt::Display for Until<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let when = match self.confirm {
            "never" => return f.write_str("until it is released"),
            "reading" if self.watched => {
                f.write_str("until its source has not taken it back for a minute")?;
                "expected"
            }
            "reading" => {
                f.write_str("until another reading confirms it")?;
                "expected"
            }
            time => {
                write!(f, "for {time}")?;
                "over"
            }
        };
        self.expected.map_or(Ok(()), |expected| write!(f, ", {when} {expected}"))?;
        self.grace.map_or(Ok(()), |grace| write!(f, ", and then in the time of grace, over {grace}"))
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
        let until = |confirm, expected| Until { confirm, expected, ..Until::default() };
        for (until, text) in [
            (until("reading", Some("in 12s")), "until another reading confirms it, expected in 12s"),
            (until("reading", None), "until another reading confirms it"),
            (until("5m", Some("in 2m")), "for 5m, over in 2m"),
            (until("5m", None), "for 5m"),
            (until("never", None), "until it is released"),
            (Until { grace: Some("in 1m"), ..until("never", None) }, "until it is released"),
            (
                Until { watched: true, grace: Some("in 1m"), ..until("reading", Some("in 12s")) },
                "until its source has not taken it back for a minute, expected in 12s, and then in the time of grace, over in 1m",
            ),
        ] {
            assert_eq!(until.to_string(), text);
        }
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
