//! What a receiver of remote write got, as what happened to each series: its values without repetitions, and when it
//! became stale. How often and when exactly it was scraped does not show.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use rosterd_testkit::{ReceivedSample, RemoteWriteReceiver};

use super::targets::Labels;

/// The value that says that a series is gone.
const STALE: u64 = 0x7ff0_0000_0000_0002;

/// What happened to each series, in order.
pub(crate) type Events = BTreeMap<Labels, Vec<String>>;

/// What a receiver got so far.
pub(crate) struct Seen {
    /// Whether the values of a series matter. If not, each counts as the same.
    is_stable: fn(&Labels) -> bool,
    newest: BTreeMap<Labels, i64>,
    /// All series.
    pub(crate) events: Events,
    /// Exemplars, each with its series. When they were scraped does not matter.
    pub(crate) exemplars: BTreeSet<(Labels, Labels, String)>,
    /// Families that metadata came for.
    pub(crate) families: BTreeSet<String>,
}

impl Seen {
    /// Nothing yet.
    pub(crate) fn new(is_stable: fn(&Labels) -> bool) -> Self {
        let (events, exemplars, families) = (Events::new(), BTreeSet::new(), BTreeSet::new());
        Self { is_stable, newest: BTreeMap::new(), events, exemplars, families }
    }

    /// Takes what came to a receiver since.
    ///
    /// # Panics
    ///
    /// When the samples of a series did not come in the order of their timestamps, or labels were not in order.
    pub(crate) fn take(&mut self, receiver: &RemoteWriteReceiver) {
        for request in receiver.take_requests() {
            request.samples.iter().for_each(|sample| self.sample(sample));
            let exemplars = request.exemplars.into_iter().map(|exemplar| {
                let own = &exemplar.labels;
                assert!(own.is_sorted_by(|one, other| one.0 < other.0), "labels of exemplars are in order: {own:?}");
                let [series, labels] = [exemplar.series, exemplar.labels].map(|labels| labels.into_iter().collect());
                (series, labels, exemplar.value.to_string())
            });
            self.exemplars.extend(exemplars);
            self.families.extend(request.metadata);
        }
    }

    fn sample(&mut self, sample: &ReceivedSample) {
        let labels = labels(sample);
        let newest = self.newest.entry(labels.clone()).or_insert(i64::MIN);
        assert!(sample.timestamp_ms >= *newest, "{labels:?} goes back in time");
        // 2.42 marks a series as stale that another one became by relabelling in the same scrape. A receiver keeps what it
        // has for that time.
        if is_stale(sample) && sample.timestamp_ms == *newest {
            return;
        }
        *newest = sample.timestamp_ms;
        let event = event(sample, (self.is_stable)(&labels));
        let before = self.events.entry(labels).or_default();
        if before.last() != Some(&event) {
            before.push(event);
        }
    }
}

/// The labels of a sample.
///
/// # Panics
///
/// When they are not in order.
fn labels(sample: &ReceivedSample) -> Labels {
    assert!(sample.labels.is_sorted_by(|one, other| one.0 < other.0), "labels are in order: {:?}", sample.labels);
    sample.labels.iter().cloned().collect()
}

/// Whether a sample says that its series is gone.
fn is_stale(sample: &ReceivedSample) -> bool {
    sample.value.is_some_and(|value| value.to_bits() == STALE)
}

fn event(sample: &ReceivedSample, is_stable: bool) -> String {
    if is_stale(sample) {
        return "stale".to_owned();
    }
    let timed = sample.label("__name__").is_some_and(|name| name.starts_with("timed"));
    match sample.value {
        Some(value) if timed => format!("{value} at {}", sample.timestamp_ms),
        // Prometheus sends -0 as 0.
        Some(value) if is_stable => (value + 0.0).to_string(),
        _ => "any".to_owned(),
    }
}

/// In what two receivers differ, in words; empty when they got the same.
pub(crate) fn difference(one: &Events, other: &Events, names: [&str; 2]) -> String {
    let all: BTreeMap<_, ()> = one.keys().chain(other.keys()).map(|labels| (labels, ())).collect();
    let mut text = String::new();
    for (labels, ()) in all {
        let (one, other) = (one.get(labels), other.get(labels));
        if one != other {
            let [name, other_name] = names;
            writeln!(text, "{labels:?}\n  {name}: {one:?}\n  {other_name}: {other:?}")
                .expect("a string takes any text");
        }
    }
    text
}

/// Takes away what any Prometheus tells because of a reload of jobs that changed, be it that a target goes on, moves or ends. A scrape that is
/// cancelled counts as one that failed: its values are 0, and what the target gives is stale. And where the next scrape takes longer than a
/// tenth of the interval, the scrape loop before marks all as stale meanwhile. rosterd does neither. So in jobs of which no scrape fails and
/// then does not, and no target comes back, a 0 in the midst is of such a scrape, and so is what was stale there last.
pub(crate) fn forget_reload(events: &mut Events, of_job: impl Fn(&str) -> bool) {
    const OF_SCRAPES: [&str; 3] = ["up", "scrape_samples_scraped", "scrape_samples_post_metric_relabeling"];
    let is_own = |labels: &Labels| labels["__name__"] != "up" && !labels["__name__"].starts_with("scrape_");
    let mut told = BTreeSet::new();
    for (labels, events) in events.iter_mut().filter(|(labels, _)| of_job(&labels["job"]) && !is_own(labels)) {
        let cancelled = OF_SCRAPES.contains(&&*labels["__name__"]) && forget_in_the_midst(events, "0");
        if forget_in_the_midst(events, "stale") || cancelled {
            told.insert(labels["job"].clone());
        }
    }
    for (_, events) in events.iter_mut().filter(|(labels, _)| told.contains(&labels["job"]) && is_own(labels)) {
        forget_in_the_midst(events, "stale");
    }
}

/// Takes the last event of this kind away that has another one before it and one behind it. Returns whether there was one.
fn forget_in_the_midst(events: &mut Vec<String>, what: &str) -> bool {
    let inner = events.get(1..events.len().saturating_sub(1)).unwrap_or_default();
    let Some(found) = inner.iter().rposition(|event| event == what) else { return false };
    events.remove(found + 1);
    events.dedup();
    true
}

#[test]
fn of_a_reload_nothing_is_left_and_what_failed_or_ended_for_good_stays() {
    let events = |name: &str, job: &str, events: &str| {
        let labels = Labels::from_iter([("__name__", name), ("job", job)].map(|(n, v)| (n.to_owned(), v.to_owned())));
        (labels, events.split(' ').map(str::to_owned).collect::<Vec<_>>())
    };
    let forgotten = |told: &[(&str, &str, &str)]| {
        let mut told = told.iter().map(|(name, job, told)| events(name, job, told)).collect();
        forget_reload(&mut told, |_| true);
        told.into_values().map(|events| events.join(" ")).collect::<Vec<_>>()
    };
    let row = |job: &str, own: &str, up: &str, scraped: &str| {
        forgotten(&[("a", job, own), ("scrape_samples_scraped", job, scraped), ("up", job, up)]).join(", ")
    };
    assert_eq!(row("goes on", "1 stale 1 2", "1 0 1", "2 0 2"), "1 2, 2, 1");
    assert_eq!(row("ends", "1 stale", "1 0 stale", "2 0 stale"), "1 stale, 2 stale, 1 stale");
    assert_eq!(row("removed", "1 stale stale", "1 0 stale", "2 0 stale"), "1 stale, 2 stale, 1 stale");
    assert_eq!(row("limited", "1 stale", "1 0", "2 0 2"), "1 stale, 2, 1 0");
    assert_eq!(row("lifted", "1", "0 1", "2 0 2"), "1, 2, 0 1");
    assert_eq!(row("came before", "1 stale 1 stale 1", "1 0 1", "3 2 3 0 2"), "1 stale 1, 3 2 3 2, 1");
    assert_eq!(row("slow", "1 stale 1 stale 1", "1 stale 1", "3 2 3 stale 2"), "1 stale 1, 3 2 3 2, 1");
    assert_eq!(row("cancelled and slow", "1 stale 1", "1 0 stale 1", "2 0 stale 2"), "1, 2, 1");
    assert_eq!(row("untouched", "1 stale 1", "1", "2"), "1 stale 1, 2, 1", "nothing was cancelled");
}
