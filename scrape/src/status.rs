//! What is known of each target's scrapes, for the API. Kept by the engine, read by anybody.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use rosterd_exposition::Metadata;
use rosterd_model::{Labels, Report};

/// How a target is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Health {
    /// It was not scraped yet.
    #[default]
    Unknown,
    /// Its last scrape worked.
    Up,
    /// Its last scrape failed.
    Down,
}

impl Health {
    /// All there are.
    pub(crate) const ALL: [Self; 3] = [Self::Unknown, Self::Up, Self::Down];

    /// As in Prometheus' API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

/// What the last scrape of a target came to.
#[derive(Debug, Clone, Default)]
pub struct TargetStatus {
    /// How the target is.
    pub health: Health,
    /// Why it is down.
    pub error: Option<Arc<Report>>,
    /// When its last scrape began.
    pub last_scrape: Option<SystemTime>,
    /// How long that took.
    pub duration: Duration,
    /// Until when it is left alone, as it asked to be (`Retry-After`).
    pub snoozed_until: Option<SystemTime>,
    /// How many samples its last good scrape had.
    pub samples: usize,
    /// What it says about its metric families.
    pub metadata: Option<Arc<[Metadata]>>,
}

/// The statuses of all targets. Cloning shares them.
#[derive(Debug, Clone)]
pub struct Statuses(Arc<[Mutex<Part>]>);

/// The targets of one job, by the fingerprint of their labels.
type Part = HashMap<Arc<str>, HashMap<u64, TargetStatus>>;

/// So many locks: readers and the threads that scrape seldom meet.
const PARTS: usize = 16;

impl Default for Statuses {
    fn default() -> Self {
        Self((0..PARTS).map(|_| Mutex::default()).collect())
    }
}

impl Statuses {
    /// The status of a target by its job and its final labels; `None` when nobody scrapes it.
    pub fn get(&self, job: &str, labels: &Labels) -> Option<TargetStatus> {
        let fingerprint = labels.fingerprint();
        self.part(fingerprint).get(job)?.get(&fingerprint).cloned()
    }

    /// How many targets of a job are up, down and unknown.
    pub fn counts(&self, job: &str) -> [usize; 3] {
        let mut counts = [0; 3];
        for part in self.0.iter() {
            let part = part.lock().unwrap_or_else(PoisonError::into_inner);
            for status in part.get(job).into_iter().flat_map(HashMap::values) {
                counts[match status.health {
                    Health::Up => 0,
                    Health::Down => 1,
                    Health::Unknown => 2,
                }] += 1;
            }
        }
        counts
    }

    /// What targets say about their metric families, each list once however many say it.
    pub fn metadata(&self) -> Vec<Arc<[Metadata]>> {
        let mut lists = HashMap::new();
        for part in self.0.iter() {
            let part = part.lock().unwrap_or_else(PoisonError::into_inner);
            let statuses = part.values().flat_map(HashMap::values);
            for list in statuses.filter_map(|status| status.metadata.as_ref()) {
                lists.entry(Arc::as_ptr(list).cast::<()>()).or_insert_with(|| Arc::clone(list));
            }
        }
        lists.into_values().collect()
    }

    /// Changes the status of a target, which is made if it is not there.
    pub(crate) fn update(&self, job: &Arc<str>, fingerprint: u64, change: impl FnOnce(&mut TargetStatus)) {
        let mut part = self.part(fingerprint);
        if !part.contains_key(job) {
            part.insert(Arc::clone(job), HashMap::new());
        }
        if let Some(targets) = part.get_mut(job) {
            change(targets.entry(fingerprint).or_default());
        }
    }

    /// Forgets a target.
    pub(crate) fn remove(&self, job: &str, fingerprint: u64) -> Option<TargetStatus> {
        let mut part = self.part(fingerprint);
        let targets = part.get_mut(job)?;
        let removed = targets.remove(&fingerprint);
        if targets.is_empty() {
            part.remove(job);
        }
        removed
    }

    fn part(&self, fingerprint: u64) -> MutexGuard<'_, Part> {
        self.0[fingerprint as usize % PARTS].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Statuses as they are told, by job and final labels: for those who read them and have nobody who scrapes.
impl FromIterator<(Arc<str>, Labels, TargetStatus)> for Statuses {
    fn from_iter<I: IntoIterator<Item = (Arc<str>, Labels, TargetStatus)>>(told: I) -> Self {
        let statuses = Self::default();
        for (job, labels, status) in told {
            statuses.update(&job, labels.fingerprint(), |known| *known = status);
        }
        statuses
    }
}
