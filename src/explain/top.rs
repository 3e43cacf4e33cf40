//! What costs most: the targets and the jobs with the most samples, bytes, time or failures. Pure.

use std::cmp::Reverse;
use std::sync::Arc;

use rosterd_model::Labels;
use rosterd_model::target::Target;
use rosterd_scrape::{Statuses, TargetStatus};
use serde::{Deserialize, Serialize};

use super::finder::url;
use super::search::{Scratch, Search};
use crate::roster::view::JobView;

/// So many pages of targets are looked at in a step.
const PAGES: usize = 32;

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum By {
    /// The samples of the last good scrape.
    #[default]
    Samples,
    /// The size of the last body.
    Bytes,
    /// How long the last scrape took.
    Duration,
    /// How many scrapes failed.
    Failures,
}

impl By {
    /// All there are.
    pub const ALL: [Self; 4] = [Self::Samples, Self::Bytes, Self::Duration, Self::Failures];

    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Samples => "samples",
            Self::Bytes => "bytes",
            Self::Duration => "duration",
            Self::Failures => "failures",
        }
    }

    fn of(self, cost: &Cost) -> u64 {
        match self {
            Self::Samples => cost.samples,
            Self::Bytes => cost.bytes,
            // Microseconds are fine enough to rank by.
            Self::Duration => (cost.duration * 1e6) as u64,
            Self::Failures => cost.failures,
        }
    }
}

/// What scrapes cost.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Cost {
    /// Samples of the last good scrape.
    pub samples: u64,
    /// Bytes of the last body, decompressed.
    pub bytes: u64,
    /// Seconds that the last scrape took.
    pub duration: f64,
    /// Scrapes that failed, and scrapes in all, since the target came or rosterd started.
    pub failures: u64,
    /// Scrapes in all.
    pub scrapes: u64,
}

/// A target and what it costs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TopTarget {
    /// Its job.
    pub job: String,
    /// The URL that it is scraped by.
    pub url: String,
    /// The labels that its series get.
    pub labels: Labels,
    /// `up`, `down` or `unknown`.
    pub health: String,
    /// What it costs.
    #[serde(flatten)]
    pub cost: Cost,
}

/// A job and what its targets cost together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TopJob {
    /// Its name.
    pub job: String,
    /// How many of its targets were counted.
    pub targets: usize,
    /// What they cost.
    #[serde(flatten)]
    pub cost: Cost,
}

/// Those that cost most, the most first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Top {
    /// By what they are sorted.
    pub by: By,
    /// Jobs.
    pub jobs: Vec<TopJob>,
    /// Targets.
    pub targets: Vec<TopTarget>,
}

/// A ranking under way.
#[derive(Debug)]
pub struct Ranking {
    jobs: Vec<Arc<JobView>>,
    statuses: Statuses,
    search: Search,
    scratch: Scratch,
    by: By,
    most: usize,
    /// The job, and the page of its targets, that come next.
    at: (usize, usize),
    of_job: (usize, Cost),
    top_jobs: Vec<TopJob>,
    /// The job, the labels and the state of each, the costliest first.
    top: Vec<(u64, usize, Labels, TargetStatus)>,
}

impl Ranking {
    /// Will rank those targets of these jobs that are searched for, and tell so many.
    pub fn new(jobs: Vec<Arc<JobView>>, statuses: Statuses, search: Search, by: By, most: usize) -> Self {
        let (top_jobs, top) = (Vec::new(), Vec::new());
        Self {
            jobs,
            statuses,
            search,
            scratch: Scratch::default(),
            by,
            most,
            at: (0, 0),
            of_job: Default::default(),
            top_jobs,
            top,
        }
    }

    /// Looks at some targets. Returns whether there are more.
    pub fn step(&mut self) -> bool {
        for _ in 0..PAGES {
            let Some(job) = self.jobs.get(self.at.0).cloned() else { return false };
            match job.pages().nth(self.at.1) {
                Some(page) => page.labels().for_each(|labels| self.consider(&job, labels)),
                None => {
                    let (targets, cost) = std::mem::take(&mut self.of_job);
                    if targets > 0 {
                        self.top_jobs.push(TopJob { job: job.spec().name.to_string(), targets, cost });
                    }
                    self.at = (self.at.0 + 1, 0);
                    continue;
                }
            }
            self.at.1 += 1;
        }
        true
    }

    fn consider(&mut self, job: &JobView, labels: &Labels) {
        if !self.search.finds(labels, &mut self.scratch) {
            return;
        }
        let Some(status) = self.statuses.get(&job.spec().name, labels) else { return };
        let cost = Cost::of(&status);
        self.of_job.0 += 1;
        self.of_job.1.add(&cost);
        let value = self.by.of(&cost);
        let at = self.top.partition_point(|(other, ..)| *other >= value);
        if value > 0 && at < self.most {
            self.top.truncate(self.most - 1);
            self.top.insert(at, (value, self.at.0, labels.clone(), status));
        }
    }

    /// What was found, after the last step.
    pub fn finish(self) -> Top {
        let Self { jobs, by, most, mut top_jobs, top, .. } = self;
        top_jobs.sort_by_key(|job| Reverse(by.of(&job.cost)));
        top_jobs.truncate(most);
        let target = |(_, job, labels, status): (u64, usize, Labels, TargetStatus)| TopTarget {
            job: jobs[job].spec().name.to_string(),
            url: url(&labels, &jobs[job]),
            labels: Target(&labels).public().collect(),
            health: status.health.as_str().to_owned(),
            cost: Cost::of(&status),
        };
        Top { by, jobs: top_jobs, targets: top.into_iter().map(target).collect() }
    }
}

impl Cost {
    fn of(status: &TargetStatus) -> Self {
        Self {
            samples: status.samples as u64,
            bytes: u64::from(status.bytes),
            duration: status.duration.as_secs_f64(),
            failures: u64::from(status.outcomes.failures()),
            scrapes: u64::from(status.outcomes.scrapes()),
        }
    }

    fn add(&mut self, other: &Self) {
        self.samples += other.samples;
        self.bytes += other.bytes;
        self.duration += other.duration;
        self.failures += other.failures;
        self.scrapes += other.scrapes;
    }
}
