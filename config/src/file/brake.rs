//! `rosterd.brake`, and what a job says otherwise: removals of so many targets at once that a second reading has to confirm them.

use std::fmt;

use rosterd_client::unset;
use rosterd_model::{Duration, Problem};
use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use super::scraping::{OrFlag, flag};
use crate::error::code;

/// When removals of targets are held. `true` and `false` stand for the key `enabled` alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BrakeSettings {
    /// Whether any are.
    pub enabled: bool,
    /// The share of the targets of a job above which a removal is held.
    pub share: Share,
    /// Of jobs with fewer targets nothing is held.
    pub min_targets: u64,
    /// For how long the greatest number of targets counts as the number before: what drains slowly is held too.
    pub window: Duration,
    /// What confirms a removal.
    pub confirm: Confirm,
    /// The same over all jobs together.
    #[serde(skip_serializing_if = "unset", deserialize_with = "agent")]
    pub agent: AgentBrake,
}

impl Default for BrakeSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            share: Share::HALF,
            min_targets: 10,
            window: Duration::from_secs(600),
            confirm: Confirm::Reading,
            agent: AgentBrake::default(),
        }
    }
}

/// When removals are held for what they come to in all jobs together. `true` and `false` stand for the key `enabled` alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AgentBrake {
    /// Whether any are.
    pub enabled: bool,
    /// The share of all targets.
    pub share: Share,
    /// With fewer targets nothing is held.
    pub min_targets: u64,
}

impl Default for AgentBrake {
    fn default() -> Self {
        Self { enabled: true, share: Share::HALF, min_targets: 10 }
    }
}

/// What a job says otherwise. `true` and `false` stand for the key `enabled` alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct JobBrake {
    /// Whether removals are held of this job.
    #[serde(skip_serializing_if = "unset", deserialize_with = "flag")]
    pub enabled: Option<bool>,
    /// The share of its targets above which a removal is held.
    #[serde(skip_serializing_if = "unset")]
    pub share: Option<Share>,
    /// With fewer targets nothing is held.
    #[serde(skip_serializing_if = "unset")]
    pub min_targets: Option<u64>,
    /// For how long its greatest number of targets counts as the number before.
    #[serde(skip_serializing_if = "unset")]
    pub window: Option<Duration>,
    /// What confirms a removal.
    #[serde(skip_serializing_if = "unset")]
    pub confirm: Option<Confirm>,
}

impl BrakeSettings {
    /// What holds for a job that says so otherwise; `None` where nothing is held.
    pub fn of(&self, job: Option<JobBrake>) -> Option<Self> {
        let JobBrake { enabled, share, min_targets, window, confirm } = job.unwrap_or_default();
        let of_job = Self {
            enabled: enabled.unwrap_or(self.enabled),
            share: share.unwrap_or(self.share),
            min_targets: min_targets.unwrap_or(self.min_targets),
            window: window.unwrap_or(self.window),
            confirm: confirm.unwrap_or(self.confirm),
            agent: self.agent,
        };
        of_job.enabled.then_some(of_job)
    }

    pub(super) fn check(&self) -> Vec<Problem> {
        let own = check("brake", Some(self.share), Some(self.min_targets));
        own.chain(check("brake.agent", Some(self.agent.share), Some(self.agent.min_targets))).collect()
    }
}

impl JobBrake {
    pub(super) fn check(&self, path: &str) -> Vec<Problem> {
        check(path, self.share, self.min_targets).collect()
    }
}

fn check(path: &str, share: Option<Share>, min_targets: Option<u64>) -> impl Iterator<Item = Problem> {
    let problem = |key: &str, message: &str| Problem::new(format!("{path}.{key}"), code::INVALID_VALUE, message);
    let share = share.filter(|share| !(0.0..1.0).contains(&share.0)).map(|share| {
        let why = if share.0 >= 1.0 { "no removal is more than that" } else { "that is no share" };
        problem("share", &format!("{why}: give a share of the targets from 0 to below 1, such as 0.5"))
    });
    let fewest = min_targets.filter(|targets| *targets == 0);
    share.into_iter().chain(fewest.map(|_| problem("min_targets", "no job has fewer targets than 1: give 1 or more")))
}

/// A share of targets: 0.5 is half of them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Share(f64);

/// What is no number is no share.
impl Eq for Share {}

impl Share {
    const HALF: Self = Self(0.5);

    /// As a number.
    pub fn get(self) -> f64 {
        self.0
    }
}

/// What confirms a removal that is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confirm {
    /// Another reading of the source.
    Reading,
    /// So much time, if the source can be read then.
    After(Duration),
    /// Nothing but a person.
    Never,
}

impl Serialize for Confirm {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Reading => serializer.serialize_str("reading"),
            Self::After(time) => time.serialize(serializer),
            Self::Never => serializer.serialize_str("never"),
        }
    }
}

impl<'de> Deserialize<'de> for Confirm {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Word;
        impl Visitor<'_> for Word {
            type Value = Confirm;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("reading, never, or a duration such as 5m")
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<Confirm, E> {
                match word {
                    "reading" => Ok(Confirm::Reading),
                    "never" => Ok(Confirm::Never),
                    time => match time.parse() {
                        Ok(Duration::ZERO) => Err(E::custom(
                            "cannot be 0, which would hold nothing: write a longer time, or enabled: false for no brake",
                        )),
                        Ok(time) => Ok(Confirm::After(time)),
                        Err(_) => {
                            Err(E::custom(format!("{time:?} is none of reading, never, and durations such as 5m")))
                        }
                    },
                }
            }
        }
        from.deserialize_str(Word)
    }
}

/// Reads the settings, or the short form of them.
pub(super) fn brake<'de, D: Deserializer<'de>>(from: D) -> Result<BrakeSettings, D::Error> {
    BrakeSettings::deserialize(OrFlag(from))
}

/// The same of a job.
pub(super) fn job_brake<'de, D: Deserializer<'de>>(from: D) -> Result<Option<JobBrake>, D::Error> {
    JobBrake::deserialize(OrFlag(from)).map(Some)
}

fn agent<'de, D: Deserializer<'de>>(from: D) -> Result<AgentBrake, D::Error> {
    AgentBrake::deserialize(OrFlag(from))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::rosterd::Rosterd;
    use super::*;

    /// As it is read from a file: only there the short forms are known.
    fn read(text: &str) -> Option<Rosterd> {
        rosterd_yaml::load(Path::new("rosterd.yml"), text.as_bytes()).ok()
    }

    fn settings(text: &str) -> Rosterd {
        read(text).unwrap()
    }

    #[test]
    fn a_job_has_what_it_says_otherwise_and_the_rest_of_all() {
        let own = settings(
            "{brake: {share: 0.3, confirm: 5m}, jobs: {a: {brake: {share: 0.9, confirm: never}}, b: {brake: false}, c: {}}}",
        );
        let of = |job: &str| own.brake.of(own.jobs[job].brake);
        let a = of("a").unwrap();
        assert_eq!((a.share.get(), a.min_targets, a.confirm), (0.9, 10, Confirm::Never));
        assert_eq!(of("b"), None);
        let c = of("c").unwrap();
        assert_eq!((c.share.get(), c.confirm), (0.3, Confirm::After(Duration::from_secs(300))));
        let none = settings("{brake: false, jobs: {a: {brake: true}, b: {brake: {share: 0.1}}}}");
        assert!(none.brake.of(none.jobs["a"].brake).is_some());
        assert_eq!((none.brake.of(none.jobs["b"].brake), none.brake.of(None)), (None, None));
        assert!(!settings("brake: {agent: false}").brake.agent.enabled);
    }

    #[test]
    fn what_holds_nothing_or_cannot_be_is_told() {
        let problems = |text: &str| {
            let problems = settings(text).check(&["a"], &[], false);
            problems.iter().map(|problem| format!("{} {}", problem.code, problem.path)).collect::<Vec<_>>()
        };
        let invalid =
            |paths: &[&str]| paths.iter().map(|path| format!("{} {path}", code::INVALID_VALUE)).collect::<Vec<_>>();
        assert_eq!(problems("brake: {share: 1, min_targets: 0}"), invalid(&["brake.share", "brake.min_targets"]));
        assert_eq!(problems("brake: {agent: {share: -0.1}}"), invalid(&["brake.agent.share"]));
        assert_eq!(problems("jobs: {a: {brake: {share: -1}}}"), invalid(&["jobs.a.brake.share"]));
        for text in ["brake: {confirm: soon}", "brake: {confirm: 0s}", "brake: {share: half}", "brake: [1]"] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let own = settings(
            "{brake: {share: 0.25, confirm: never, agent: {min_targets: 3}}, jobs: {a: {brake: {confirm: 90s}, target_removal_grace: 5m}}}",
        );
        let text = serde_yaml::to_string(&own).unwrap();
        assert_eq!(settings(&text), own, "{text}");
    }
}
