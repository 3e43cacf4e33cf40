//! What arrived of a target that counts, judged: nothing is missing, in order, and twice only if equal.

use std::collections::BTreeMap;

use rosterd_testkit::{ReceivedSample, RemoteWriteReceiver, eventually_ok, patience};

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
        Self::those(receiver, |_| true)
    }

    /// Takes some of what a receiver got.
    ///
    /// # Panics
    ///
    /// As [`Self::of`].
    pub(crate) fn those(receiver: &RemoteWriteReceiver, wanted: impl Fn(&ReceivedSample) -> bool) -> Self {
        let mut series: BTreeMap<Labels, Vec<(i64, f64)>> = BTreeMap::new();
        for ReceivedSample { labels, timestamp_ms, value } in receiver.samples().into_iter().filter(wanted) {
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

    /// The times and values of the series of this name, in order, without stale markers.
    fn samples(&self, name: &str, number: Option<usize>) -> Vec<(i64, f64)> {
        let is = |labels: &Labels| {
            let label = |wanted: &str| labels.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
            label("__name__") == Some(name) && number.is_none_or(|number| label("number") == Some(&number.to_string()))
        };
        let found = self.0.iter().filter(|(labels, _)| is(labels)).flat_map(|(_, samples)| samples);
        found.copied().filter(|(_, value)| value.to_bits() != STALE).collect()
    }

    fn values(&self, name: &str, number: Option<usize>) -> Vec<f64> {
        self.samples(name, number).into_iter().map(|(_, value)| value).collect()
    }

    /// Whether all counts from one to another have arrived. One that is missing is excused by a scrape that was not in time
    /// right there, between the counts beside it.
    fn has_all(&self, from: usize, to: usize) -> bool {
        let late = self.late();
        (0..SERIES).all(|number| {
            let (mut next, mut since) = (from as f64, i64::MIN);
            // Whatever comes behind the last one ends what may be missing there.
            let end = (i64::MAX, to as f64 + 1.0);
            for (at_ms, count) in self.samples("count", Some(number)).into_iter().chain([end]) {
                if count < next {
                    since = at_ms;
                    continue;
                }
                let count = count.min(end.1);
                let excused = late.iter().filter(|late| since < **late && **late < at_ms).count();
                if count - next > excused as f64 {
                    return false;
                }
                (next, since) = (count + 1.0, at_ms);
            }
            true
        })
    }

    /// The times of scrapes that were not in time.
    pub(crate) fn late(&self) -> Vec<i64> {
        self.samples("up", None).into_iter().filter(|(_, up)| *up == 0.0).map(|(at_ms, _)| at_ms).collect()
    }

    fn summary(&self) -> String {
        format!("count: {:?}, up: {:?}", self.values("count", Some(0)), self.values("up", None))
    }
}

/// Waits until all counts from one to another have arrived.
pub(crate) async fn wait_all(receiver: &RemoteWriteReceiver, from: usize, to: usize) {
    wait_all_in(|| Arrivals::of(receiver), from, to).await;
}

/// Waits until all counts from one to another are among what has arrived.
pub(crate) async fn wait_all_in(look: impl Fn() -> Arrivals, from: usize, to: usize) {
    let look = async || {
        let arrivals = look();
        if arrivals.has_all(from, to) { Ok(()) } else { Err(arrivals.summary()) }
    };
    eventually_ok(patience(), &format!("all from {from} to {to} arrive"), look).await;
}

/// Samples of all series that count, and of `up`.
fn arrivals(counts: &[(i64, usize)], ups: &[(i64, f64)]) -> Arrivals {
    let labels = |pairs: &[(&str, &str)]| -> Labels {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    let counts: Vec<_> = counts.iter().map(|(at_ms, count)| (*at_ms, *count as f64)).collect();
    let series =
        (0..SERIES).map(|number| (labels(&[("__name__", "count"), ("number", &number.to_string())]), counts.clone()));
    Arrivals(series.chain([(labels(&[("__name__", "up")]), ups.to_vec())]).collect())
}

#[test]
fn a_scrape_that_was_not_in_time_excuses_its_own_sample_and_no_other() {
    let whole = [(10, 1), (20, 2), (30, 3), (40, 4)];
    let has_all = |counts: &[(i64, usize)], ups: &[(i64, f64)]| arrivals(counts, ups).has_all(1, 4);
    assert!(has_all(&whole, &[]));
    for missing in 0..whole.len() {
        let (at_ms, _) = whole[missing];
        let rest = [&whole[..missing], &whole[missing + 1..]].concat();
        assert!(!has_all(&rest, &[]), "{missing}");
        assert!(!has_all(&rest, &[(at_ms, 1.0)]), "{missing}");
        assert!(has_all(&rest, &[(at_ms, 0.0)]), "{missing}");
        for (other, _) in whole.iter().filter(|(other, _)| *other != at_ms) {
            assert!(!has_all(&rest, &[(*other, 0.0)]), "{missing} at {other}");
        }
    }
    // Two are missing side by side, and one was late.
    assert!(!has_all(&[(10, 1), (40, 4)], &[(20, 0.0)]));
    assert!(has_all(&[(10, 1), (40, 4)], &[(20, 0.0), (30, 0.0)]));
    assert!(!has_all(&[(10, 2), (20, 1), (30, 3), (40, 4)], &[]), "in another order");
    assert!(arrivals(&[(10, 1), (20, 5), (30, 6), (40, 8)], &[]).has_all(5, 6), "others do not matter");
    let mut one_short = arrivals(&whole, &[]);
    one_short.0.values_mut().next().expect("there are some").pop();
    assert!(!one_short.has_all(1, 4), "each series counts");
}
