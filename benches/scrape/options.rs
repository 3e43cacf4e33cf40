//! What may be said on the command line.

use std::str::FromStr;
use std::time::Duration;

use super::shared::program::Kind;

/// How many targets, how many series each has, and how often they are scraped.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub(super) targets: usize,
    pub(super) series: usize,
    pub(super) interval: Duration,
}

/// All options.
#[derive(Debug, Clone)]
pub(super) struct Options {
    /// Before anything is measured, from when the targets are known.
    pub(super) warmup: Duration,
    /// How long is measured.
    pub(super) measured: Duration,
    /// How long what was scraped may take to arrive.
    pub(super) grace: Duration,
    /// How long the receiver is away.
    pub(super) outage: Duration,
    /// The programs to run.
    pub(super) kinds: Vec<Kind>,
    /// The version of remote write that rosterd is told to use.
    pub(super) message: u8,
    /// And how to compress its requests.
    pub(super) compression: String,
    /// In place of those of the scenario.
    targets: Option<usize>,
    series: Option<usize>,
    interval: Option<Duration>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            warmup: Duration::from_secs(30),
            measured: Duration::from_secs(60),
            grace: Duration::from_secs(60),
            outage: Duration::from_secs(60),
            kinds: Kind::ALL.to_vec(),
            message: 1,
            compression: "snappy".to_owned(),
            targets: None,
            series: None,
            interval: None,
        }
    }
}

impl Options {
    /// Reads options; returns also what are none.
    pub(super) fn read(arguments: impl Iterator<Item = String>) -> (Self, Vec<String>) {
        let (mut options, mut others) = (Self::default(), Vec::new());
        for argument in arguments {
            match argument.split_once('=') {
                Some(("--warmup", value)) => options.warmup = seconds(value),
                Some(("--seconds", value)) => options.measured = seconds(value),
                Some(("--grace", value)) => options.grace = seconds(value),
                Some(("--outage", value)) => options.outage = seconds(value),
                Some(("--only", names)) => options.kinds = names.split(',').map(Kind::named).collect(),
                Some(("--message", value)) => options.message = number(value),
                Some(("--compression", value)) => options.compression = value.to_owned(),
                Some(("--targets", value)) => options.targets = Some(number(value)),
                Some(("--series", value)) => options.series = Some(number(value)),
                Some(("--interval", value)) => options.interval = Some(seconds(value)),
                _ if argument == "--bench" => {}
                _ => others.push(argument),
            }
        }
        (options, others)
    }

    /// The shape to run instead of this one.
    pub(super) fn shape(&self, shape: Shape) -> Shape {
        Shape {
            targets: self.targets.unwrap_or(shape.targets),
            series: self.series.unwrap_or(shape.series),
            interval: self.interval.unwrap_or(shape.interval),
        }
    }
}

fn seconds(text: &str) -> Duration {
    Duration::from_secs(number(text))
}

fn number<T: FromStr>(text: &str) -> T {
    text.parse().unwrap_or_else(|_| panic!("{text:?} is no number that fits here"))
}
