//! One receiver, and what it got: counts that are missing, and samples that come again.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::{Mutex, PoisonError};

use rosterd_testkit::{ReceivedSample, RemoteWriteReceiver, WriteRequest};

use super::counter::SERIES;
use super::mood::Mood;
use super::series::{Arrival, Series};
use crate::dice::Dice;

/// A scrape that was not in time can be counted by its target behind those after it, which are not further from it than this.
const BEHIND_MS: i64 = 2000;

/// One receiver.
pub(super) struct End {
    pub(super) name: &'static str,
    message: &'static str,
    receiver: RemoteWriteReceiver,
    mood: Mood,
    series: BTreeMap<Labels, (What, Series)>,
    targets: Vec<Target>,
    /// How often something happened after which samples may come again.
    life: usize,
    /// Requests with such samples in this life, and how many there may be.
    again: (usize, usize),
    leaps: bool,
    /// What waits on a disk that could not be used at the start may come behind what was scraped since.
    mixes: bool,
}

/// Labels as they came.
type Labels = Vec<(String, String)>;

/// What is known of the samples of a target.
struct Target {
    address: String,
    /// The last count of each series, and its time.
    last: [(usize, i64); SERIES],
    /// Counts that need not arrive, and why.
    excused: Vec<(RangeInclusive<usize>, String)>,
    /// Counts of each series that were refused.
    refused: [BTreeSet<usize>; SERIES],
    /// The times of scrapes that were not in time.
    late: Vec<i64>,
}

/// What a series is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    /// It counts the scrapes of a target: the numbers of that, and of the series.
    Count(usize, usize),
    /// Whether a scrape of a target was in time.
    Up(usize),
    Other,
}

impl End {
    pub(super) async fn start(name: &'static str, message: &'static str, addresses: &[String]) -> Self {
        let target = |address: &String| Target {
            address: address.clone(),
            last: [(0, i64::MIN); SERIES],
            excused: Vec::new(),
            refused: Default::default(),
            late: Vec::new(),
        };
        Self {
            name,
            message,
            receiver: RemoteWriteReceiver::start().await,
            mood: Mood::Well,
            series: BTreeMap::new(),
            targets: addresses.iter().map(target).collect(),
            life: 0,
            again: (0, 0),
            leaps: false,
            mixes: false,
        }
    }

    /// An item of `remote_write`.
    pub(super) fn configuration(&self) -> String {
        let Self { name, message, receiver, .. } = self;
        format!(
            "- {{name: {name}, url: '{}', protobuf_message: {message}, remote_timeout: 30s, \
             queue_config: {{batch_send_deadline: 100ms, max_backoff: 300ms, max_shards: 4}}}}\n",
            receiver.url()
        )
    }

    /// Changes its mood. Whoever waits in vain for an answer waits no longer.
    pub(super) async fn change(&mut self, mood: Mood, dice: Dice) {
        let dice = Mutex::new(dice);
        self.receiver.rule(move |request| {
            let turn = || *dice.lock().unwrap_or_else(PoisonError::into_inner).pick(&Mood::TURNS);
            if mood == Mood::Fickle { turn() } else { mood }.answer(request)
        });
        let before = std::mem::replace(&mut self.mood, mood);
        if before != Mood::Down && (mood == Mood::Down || before == Mood::Hangs) {
            self.receiver.off().await;
        }
        if mood != Mood::Down && [Mood::Down, Mood::Hangs].contains(&before) {
            self.receiver.on().await;
        }
    }

    pub(super) async fn finish(mut self) {
        self.receiver.off().await;
    }

    /// The clock was changed.
    pub(super) fn leaps(&mut self) {
        self.leaps = true;
    }

    /// What waits on the disk may come behind what is newer, until nothing waits.
    pub(super) fn mixes(&mut self) {
        self.mixes = true;
    }

    /// Of each target these counts need not arrive from now on; in so many requests `again` the last samples may do so twice.
    pub(super) fn excuse(&mut self, why: &str, again: usize, counts: &[RangeInclusive<usize>]) {
        for (target, counts) in self.targets.iter_mut().zip(counts) {
            target.excused.push((counts.clone(), why.to_owned()));
        }
        if again > 0 {
            (self.life, self.again) = (self.life + 1, (0, again));
        }
    }

    /// Up to these counts, one for each target, nothing comes any more.
    pub(super) fn settle(&mut self, counts: &[usize]) {
        self.series.values_mut().for_each(|(_, series)| series.settle(self.life));
        self.mixes = false;
        for (target, counted) in self.targets.iter_mut().zip(counts) {
            target.excused.retain(|(counts, _)| counts.end() > counted);
            target.refused.iter_mut().for_each(|refused| refused.retain(|count| count > counted));
            let oldest = target.last.iter().map(|(_, at_ms)| *at_ms).min().unwrap_or_default();
            target.late.retain(|late| self.leaps || *late > oldest.saturating_sub(BEHIND_MS));
        }
    }

    /// Judges the requests that have come. Returns what is wrong.
    pub(super) fn take(&mut self) -> Vec<String> {
        let mut faults = Vec::new();
        for request in self.receiver.take_requests() {
            match request.status {
                200..=299 => self.taken(request, &mut faults),
                400 | 413 => self.refused(&request.samples),
                _ => {}
            }
        }
        faults.iter().map(|fault| format!("receiver {}: {fault}", self.name)).collect()
    }

    fn refused(&mut self, samples: &[ReceivedSample]) {
        for sample in samples {
            if let What::Count(target, number) = self.what(&sample.labels) {
                self.targets[target].refused[number].insert(count(sample.value));
            }
        }
    }

    fn taken(&mut self, request: WriteRequest, faults: &mut Vec<String>) {
        let mut again = false;
        for ReceivedSample { labels, timestamp_ms, value } in request.samples {
            let what = self.series.get(&labels).map_or_else(|| self.what(&labels), |(what, _)| *what);
            let text = format!("{labels:?}");
            let (_, series) = self.series.entry(labels).or_insert_with(|| (what, Series::default()));
            let counts = matches!(what, What::Count(..)) && !self.mixes;
            let value = value.unwrap_or(f64::NAN);
            match series.arrives(timestamp_ms, value, self.life, counts, self.leaps || self.mixes) {
                Ok(Arrival::New) => faults.extend(self.arrived(what, timestamp_ms, value)),
                Ok(Arrival::Again) => again = true,
                Err(fault) => faults.push(format!("{text}: {fault}")),
            }
        }
        self.again.0 += usize::from(again);
        let (again, most) = self.again;
        if again > most {
            faults.push(format!("after one kill {again} requests had what had come before, and not {most} at most"));
        }
    }

    /// Returns what is missing before a sample that is new.
    fn arrived(&mut self, what: What, at_ms: i64, value: f64) -> Option<String> {
        match what {
            What::Up(target) if value == 0.0 => {
                self.targets[target].late.push(at_ms);
                None
            }
            // A marker has no count.
            What::Count(target, number) if !value.is_nan() => {
                let found = count(Some(value));
                let (last, _) = self.targets[target].last[number];
                if self.mixes && found <= last {
                    return None;
                }
                let missing = self.missing(target, number, last + 1..=found.saturating_sub(1), at_ms);
                self.targets[target].last[number] = (found, at_ms);
                missing
            }
            _ => None,
        }
    }

    /// Tells of counts that should have arrived between the last one and this time.
    fn missing(&self, target: usize, number: usize, counts: RangeInclusive<usize>, until: i64) -> Option<String> {
        let Target { address, last, excused, refused, late } = &self.targets[target];
        let (last, since) = last[number];
        let is_excused =
            |count: &usize| refused[number].contains(count) || excused.iter().any(|(counts, _)| counts.contains(count));
        let missing: Vec<_> = counts.filter(|count| !is_excused(count)).collect();
        let from = since.saturating_sub(BEHIND_MS);
        let late = late.iter().filter(|late| self.leaps || from < **late && **late < until).count();
        (missing.len() > late).then(|| {
            format!(
                "{missing:?} of series {number} of {address} are missing behind {last} at {since}, before {until}; {late} \
                 scrapes were late there, and excused are {excused:?}"
            )
        })
    }

    /// Whether all counts up to these, one for each target, have arrived.
    pub(super) fn has_all(&self, wanted: &[usize]) -> Result<(), String> {
        for (target, wanted) in wanted.iter().enumerate() {
            for number in 0..SERIES {
                let (last, _) = self.targets[target].last[number];
                if let Some(missing) = self.missing(target, number, last + 1..=*wanted, i64::MAX) {
                    return Err(format!("receiver {} ({:?}): {missing}", self.name, self.mood));
                }
            }
        }
        Ok(())
    }

    fn what(&self, labels: &Labels) -> What {
        let label = |wanted: &str| labels.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
        let target = self.targets.iter().position(|target| Some(&*target.address) == label("instance"));
        let number = label("number").and_then(|number| number.parse().ok()).filter(|number| *number < SERIES);
        match (label("__name__"), target, number) {
            (Some("count"), Some(target), Some(number)) => What::Count(target, number),
            (Some("up"), Some(target), _) => What::Up(target),
            _ => What::Other,
        }
    }
}

/// A count as it was sent: small whole numbers.
fn count(value: Option<f64>) -> usize {
    value.map_or(0, |value| value as usize)
}
