//! What arrived of a target that counts, judged: nothing is missing, in order, and twice only if equal.

use std::collections::BTreeMap;
use std::time::Duration;

use rosterd_testkit::{ReceivedSample, RemoteWriteReceiver, patience};
use tokio::time::{Instant, sleep};

use super::counter::SERIES;

/// The value that says that a series is gone.
const STALE: u64 = 0x7ff0_0000_0000_0002;

/// Whether a sample says that its series is gone.
pub(crate) fn is_stale(sample: &ReceivedSample) -> bool {
    sample.value.is_some_and(|value| value.to_bits() == STALE)
}

/// Labels as they came.
type Labels = Vec<(String, String)>;

/// Samples of each series by their time, in order of first arrival.
pub(crate) struct Arrivals(BTreeMap<Labels, Vec<(i64, f64)>>);

impl Arrivals {
    /// Takes what a receiver got.
    ///
    /// # Panics
    ///
    /// When something came out of order that had not come before, or again with another value.
    pub(crate) fn of(receiver: &RemoteWriteReceiver) -> Self {
        let mut series: BTreeMap<Labels, Vec<(i64, f64)>> = BTreeMap::new();
        for ReceivedSample { labels, timestamp_ms, value } in receiver.samples() {
            let value = value.expect("there are no histograms");
            let known = series.entry(labels).or_default();
            match known.binary_search_by_key(&timestamp_ms, |known| known.0) {
                Ok(place) => assert_eq!(known[place].1.to_bits(), value.to_bits(), "at {timestamp_ms}"),
                Err(place) if place == known.len() => known.push((timestamp_ms, value)),
                Err(place) => panic!("{value} at {timestamp_ms} came after {:?}", &known[place..]),
            }
        }
        Self(series)
    }

    /// The values of a series of this name, in order, without stale markers.
    fn values(&self, name: &str, number: Option<usize>) -> Vec<f64> {
        let is = |labels: &Labels| {
            let label = |wanted: &str| labels.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
            label("__name__") == Some(name) && number.is_none_or(|number| label("number") == Some(&number.to_string()))
        };
        let found = self.0.iter().filter(|(labels, _)| is(labels)).flat_map(|(_, samples)| samples);
        found.map(|(_, value)| *value).filter(|value| value.to_bits() != STALE).collect()
    }

    /// Whether all counts from one to another have arrived, but for those of scrapes that were not in time.
    fn has_all(&self, from: usize, to: usize) -> bool {
        let late = self.values("up", None).iter().filter(|up| **up == 0.0).count();
        (0..SERIES).all(|number| {
            let values = self.values("count", Some(number));
            let arrived = values.iter().filter(|value| (from as f64..=to as f64).contains(*value)).count();
            values.is_sorted() && arrived + late > to - from
        })
    }

    fn summary(&self) -> String {
        format!("count: {:?}, up: {:?}", self.values("count", Some(0)), self.values("up", None))
    }
}

/// Waits until all counts from one to another have arrived.
pub(crate) async fn wait_all(receiver: &RemoteWriteReceiver, from: usize, to: usize) {
    let end = Instant::now() + patience();
    while !Arrivals::of(receiver).has_all(from, to) {
        let arrivals = Arrivals::of(receiver);
        assert!(Instant::now() < end, "not all from {from} to {to} arrives: {}", arrivals.summary());
        sleep(Duration::from_millis(50)).await;
    }
}
