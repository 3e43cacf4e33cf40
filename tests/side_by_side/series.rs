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
