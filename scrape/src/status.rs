//! What is known of each target's scrapes, for the API. Kept by the engine, read by anybody.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use rosterd_exposition::Metadata;
use rosterd_model::{Labels, Report};

use crate::divided::Divided;

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
    /// How large the body of its last scrape was, once unpacked.
    pub bytes: u32,
    /// How its scrapes went.
    pub outcomes: Outcomes,
    /// When and why a scrape of it failed last, also when others went well since.
    pub last_failure: Option<Arc<(SystemTime, Arc<Report>)>>,
    /// What it says about its metric families.
    pub metadata: Option<Arc<[Metadata]>>,
}

/// How the scrapes of a target went since it came, or since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Outcomes {
    scrapes: u32,
    failures: u32,
    /// A bit for each of the last ones, 1 for one that failed; the last one is the lowest.
    last: u32,
}

impl Outcomes {
    /// How many scrapes there were.
    pub fn scrapes(self) -> u32 {
        self.scrapes
    }

    /// How many of them failed.
    pub fn failures(self) -> u32 {
        self.failures
    }

    /// Whether each of the last 32 went well, the last one first.
    pub fn last(self) -> impl Iterator<Item = bool> {
        (0..u32::BITS.min(self.scrapes)).map(move |index| self.last >> index & 1 == 0)
    }

    pub(crate) fn note(&mut self, failed: bool) {
        self.scrapes = self.scrapes.saturating_add(1);
        self.failures = self.failures.saturating_add(u32::from(failed));
        self.last = self.last << 1 | u32::from(failed);
    }
}

/// Outcomes that are told, the first one first: for those who read them and have nobody who scrapes.
impl FromIterator<bool> for Outcomes {
    fn from_iter<I: IntoIterator<Item = bool>>(went_well: I) -> Self {
        let mut outcomes = Self::default();
        went_well.into_iter().for_each(|well| outcomes.note(!well));
        outcomes
    }
}

/// A target whose scrapes fail after they did not, or work after they failed, or that is scraped for the first time.
#[derive(Debug, Clone)]
pub struct HealthTurn {
    /// Its job.
    pub job: Arc<str>,
    /// The hash of its final labels.
    pub fingerprint: u64,
    /// How it is now: up or down.
    pub health: Health,
    /// Why it is down.
    pub error: Option<Arc<Report>>,
    /// Whether nothing was known of it before.
    pub is_first: bool,
}

/// The statuses of all targets. Cloning shares them.
#[derive(Debug, Clone)]
pub struct Statuses {
    parts: Arc<[Mutex<Part>]>,
    listener: Listener,
}

type Listening = Box<dyn Fn(HealthTurn) + Send + Sync>;

/// Hears of each turn.
#[derive(Clone, Default)]
struct Listener(Arc<OnceLock<Listening>>);

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Listener")
    }
}

/// Some of the targets, and what is told of all of them together: nobody has to look at each for that.
#[derive(Debug, Default)]
struct Part {
    jobs: HashMap<Arc<str>, OfJob>,
    /// The lists of metadata by their addresses, and how many targets have each.
    lists: HashMap<usize, (Arc<[Metadata]>, usize)>,
}

/// Targets of one job, by the fingerprint of their labels.
#[derive(Debug, Default)]
struct OfJob {
    targets: Divided<(u64, TargetStatus)>,
    /// How many are of each health.
    counts: [usize; Health::ALL.len()],
    /// How many are down, by the code of what is wrong.
    errors: HashMap<String, usize>,
}

/// So many locks: readers and the threads that scrape seldom meet.
const PARTS: usize = 16;

impl Default for Statuses {
    fn default() -> Self {
        Self { parts: (0..PARTS).map(|_| Mutex::default()).collect(), listener: Listener::default() }
    }
}

impl Statuses {
    /// The status of a target by its job and its final labels; `None` when nobody scrapes it.
    pub fn get(&self, job: &str, labels: &Labels) -> Option<TargetStatus> {
        let fingerprint = labels.fingerprint();
        let part = self.part(fingerprint);
        let (_, status) = part.jobs.get(job)?.targets.find(place(fingerprint), |(other, _)| *other == fingerprint)?;
        Some(status.clone())
    }

    /// How many targets of a job are up, down and unknown.
    pub fn counts(&self, job: &str) -> [usize; 3] {
        let mut sum = [0; 3];
        for part in self.parts.iter() {
            let part = part.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(of_job) = part.jobs.get(job) else { continue };
            let counts = [Health::Up, Health::Down, Health::Unknown].map(|health| of_job.counts[health as usize]);
            sum.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
        }
        sum
    }

    /// How many targets of a job are down, by the code of what is wrong; what is most frequent first.
    pub fn errors(&self, job: &str) -> Vec<(String, usize)> {
        let mut sum = BTreeMap::new();
        for part in self.parts.iter() {
            let part = part.lock().unwrap_or_else(PoisonError::into_inner);
            for (code, count) in part.jobs.get(job).into_iter().flat_map(|of_job| &of_job.errors) {
                *sum.entry(code.clone()).or_default() += count;
            }
        }
        let mut all: Vec<_> = sum.into_iter().collect();
        all.sort_by_key(|(_, count)| Reverse(*count));
        all
    }

    /// What targets say about their metric families, each list once however many say it.
    pub fn metadata(&self) -> Vec<Arc<[Metadata]>> {
        let mut lists = HashMap::new();
        for part in self.parts.iter() {
            let part = part.lock().unwrap_or_else(PoisonError::into_inner);
            lists.extend(part.lists.iter().map(|(address, (list, _))| (*address, Arc::clone(list))));
        }
        lists.into_values().collect()
    }

    /// Tells of each target whose scrapes fail after they did not, or work after they failed, and of the first scrape of each, from now on. The first who
    /// listens does so for good. It is called on threads that scrape, and must not block.
    pub fn on_turn(&self, listener: impl Fn(HealthTurn) + Send + Sync + 'static) {
        self.listener.0.set(Box::new(listener)).ok();
    }

    /// Changes the status of a target, which is made if it is not there.
    pub(crate) fn update(&self, job: &Arc<str>, fingerprint: u64, change: impl FnOnce(&mut TargetStatus)) {
        let mut turn = None;
        self.change(job, fingerprint, |status| {
            let before = status.health;
            change(status);
            turn = match (before, status.health) {
                (Health::Up | Health::Unknown, Health::Down) | (Health::Down | Health::Unknown, Health::Up) => {
                    Some((status.health, status.error.clone(), before == Health::Unknown))
                }
                _ => None,
            };
        });
        if let (Some((health, error, is_first)), Some(listener)) = (turn, self.listener.0.get()) {
            listener(HealthTurn { job: Arc::clone(job), fingerprint, health, error, is_first });
        }
    }

    fn change(&self, job: &Arc<str>, fingerprint: u64, change: impl FnOnce(&mut TargetStatus)) {
        let mut part = self.part(fingerprint);
        let Part { jobs, lists } = &mut *part;
        if !jobs.contains_key(job) {
            jobs.insert(Arc::clone(job), OfJob::default());
        }
        let Some(OfJob { targets, counts, errors }) = jobs.get_mut(job) else { return };
        match targets.find_mut(place(fingerprint), |(other, _)| *other == fingerprint) {
            Some((_, status)) => {
                let (health, list) = (status.health, status.metadata.as_ref().map(address));
                let error = error(status).cloned();
                change(status);
                recount(errors, error.as_deref(), self::error(status).map(Arc::as_ref));
                counts[health as usize] -= 1;
                counts[status.health as usize] += 1;
                if status.metadata.as_ref().map(address) != list {
                    count_out(lists, list);
                    count_in(lists, status.metadata.as_ref());
                }
            }
            None => {
                let mut status = TargetStatus::default();
                change(&mut status);
                counts[status.health as usize] += 1;
                recount(errors, None, error(&status).map(Arc::as_ref));
                count_in(lists, status.metadata.as_ref());
                targets.insert(place(fingerprint), (fingerprint, status), |(other, _)| place(*other));
            }
        }
    }

    /// Forgets a target.
    pub(crate) fn remove(&self, job: &str, fingerprint: u64) -> Option<TargetStatus> {
        let mut part = self.part(fingerprint);
        let Part { jobs, lists } = &mut *part;
        let of_job = jobs.get_mut(job)?;
        let equal = |(other, _): &(u64, TargetStatus)| *other == fingerprint;
        let (_, removed) = of_job.targets.remove(place(fingerprint), equal, |(other, _)| place(*other))?;
        of_job.counts[removed.health as usize] -= 1;
        recount(&mut of_job.errors, error(&removed).map(Arc::as_ref), None);
        count_out(lists, removed.metadata.as_ref().map(address));
        if of_job.targets.is_empty() {
            jobs.remove(job);
        }
        Some(removed)
    }

    fn part(&self, fingerprint: u64) -> MutexGuard<'_, Part> {
        self.parts[fingerprint as usize % PARTS].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where the target stands among those of its part, which have the last bits of their fingerprints in common.
fn place(fingerprint: u64) -> u64 {
    fingerprint.rotate_right(PARTS.ilog2())
}

/// Why a target is down, if it is.
fn error(status: &TargetStatus) -> Option<&Arc<Report>> {
    status.error.as_ref().filter(|_| status.health == Health::Down)
}

/// Counts the error that a target has instead of another one.
fn recount(errors: &mut HashMap<String, usize>, before: Option<&Report>, after: Option<&Report>) {
    let [before, after] = [before, after].map(|report| report.map(|report| report.code.as_str()));
    if before == after {
        return;
    }
    if let Some((code, count)) = before.and_then(|code| Some((code, errors.get_mut(code)?))) {
        *count -= 1;
        if *count == 0 {
            errors.remove(code);
        }
    }
    if let Some(code) = after {
        match errors.get_mut(code) {
            Some(count) => *count += 1,
            None => _ = errors.insert(code.to_owned(), 1),
        }
    }
}

fn address(list: &Arc<[Metadata]>) -> usize {
    Arc::as_ptr(list).addr()
}

fn count_in(lists: &mut HashMap<usize, (Arc<[Metadata]>, usize)>, list: Option<&Arc<[Metadata]>>) {
    let Some(list) = list else { return };
    lists.entry(address(list)).or_insert_with(|| (Arc::clone(list), 0)).1 += 1;
}

fn count_out(lists: &mut HashMap<usize, (Arc<[Metadata]>, usize)>, address: Option<usize>) {
    let Some(address) = address else { return };
    if let Some((_, count)) = lists.get_mut(&address) {
        *count -= 1;
        if *count == 0 {
            lists.remove(&address);
        }
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

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use super::*;

    #[test]
    fn of_many_outcomes_all_are_counted_and_the_last_ones_are_known() {
        assert_eq!(Outcomes::default().last().count(), 0);
        let few: Outcomes = [true, false, false].into_iter().collect();
        assert_eq!(few.last().collect::<Vec<_>>(), [false, false, true]);
        let many: Outcomes = (0..100).map(|number| number != 67).collect();
        assert_eq!((many.scrapes(), many.failures(), many.last().count()), (100, 1, 32));
        assert!(many.last().all(|well| well), "the one that failed is the 33rd");
        let next: Outcomes = (0..100).map(|number| number != 68).collect();
        assert_eq!(next.last().position(|well| !well), Some(31));
    }

    #[test]
    fn what_is_told_of_all_follows_what_becomes_of_each() {
        let (statuses, job) = (Statuses::default(), Arc::from("job"));
        let [one, other]: [Arc<[Metadata]>; 2] = [Arc::from([]), Arc::from([])];
        let list = |number: u64| Some(if number.is_multiple_of(2) { Arc::clone(&one) } else { Arc::clone(&other) });
        let lists = || statuses.metadata().len();
        for number in 0..100 {
            statuses.update(&job, number, |_| {});
        }
        assert_eq!((statuses.counts("job"), lists()), ([0, 0, 100], 0));
        for number in 0..60 {
            let health = if number < 40 { Health::Up } else { Health::Down };
            statuses.update(&job, number, |status| (status.health, status.metadata) = (health, list(number)));
        }
        assert_eq!((statuses.counts("job"), lists()), ([40, 20, 40], 2));
        statuses.update(&job, 0, |status| status.metadata = list(1));
        for number in (2..40).step_by(2) {
            assert_eq!(statuses.remove("job", number).map(|status| status.health), Some(Health::Up));
        }
        assert_eq!((statuses.counts("job"), lists()), ([21, 20, 40], 2));
        for number in 0..100 {
            statuses.update(&job, number, |status| status.metadata = None);
        }
        assert_eq!((statuses.counts("job"), lists()), ([21, 20, 59], 0));
        (0..100).for_each(|number| drop(statuses.remove("job", number)));
        assert_eq!((statuses.counts("job"), statuses.counts("other")), ([0; 3], [0; 3]));
        assert!(statuses.parts.iter().all(|part| part.lock().expect("nobody panicked").jobs.is_empty()));
    }

    #[test]
    fn errors_are_counted_by_their_codes_while_targets_are_down() {
        let (statuses, job) = (Statuses::default(), Arc::from("job"));
        let fail = |numbers: Range<u64>, code: &str| {
            let report = Report { code: code.to_owned(), ..Report::of(&crate::ScrapeError::BodySize { limit: 1 }) };
            for number in numbers {
                let error = Some(Arc::new(report.clone()));
                statuses.update(&job, number, |status| (status.health, status.error) = (Health::Down, error));
            }
        };
        let told =
            || statuses.errors("job").into_iter().map(|(code, count)| format!("{count} {code}")).collect::<Vec<_>>();
        fail(0..90, "a");
        fail(0..90, "a");
        fail(50..100, "b");
        assert_eq!(told(), ["50 a", "50 b"]);
        fail(49..50, "b");
        assert_eq!(told(), ["51 b", "49 a"]);
        (0..49).for_each(|number| statuses.update(&job, number, |status| status.health = Health::Up));
        assert_eq!(told(), ["51 b"]);
        (49..100).for_each(|number| drop(statuses.remove("job", number)));
        assert_eq!((told(), statuses.errors("other")), (Vec::new(), Vec::new()));
    }

    #[test]
    fn who_listens_hears_of_targets_that_go_down_and_come_back_and_of_the_first_scrape_of_each() {
        let (statuses, job) = (Statuses::default(), Arc::from("job"));
        let heard = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&heard);
        statuses.on_turn(move |turn| {
            told.lock().expect("nobody panicked").push((turn.fingerprint, turn.health, turn.is_first));
        });
        for (number, health) in [
            (1, Health::Unknown),
            (1, Health::Up),
            (1, Health::Up),
            (1, Health::Down),
            (1, Health::Down),
            (1, Health::Up),
            (2, Health::Down),
        ] {
            statuses.update(&job, number, |status| status.health = health);
        }
        let expected =
            [(1, Health::Up, true), (1, Health::Down, false), (1, Health::Up, false), (2, Health::Down, true)];
        assert_eq!(*heard.lock().expect("nobody panicked"), expected);
    }
}
