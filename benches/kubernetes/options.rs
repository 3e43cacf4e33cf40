//! What may be said on the command line.

use std::str::FromStr;
use std::time::Duration;

use super::cluster::Size;
use super::shared::program::Kind;

/// All options.
#[derive(Debug, Clone)]
pub(super) struct Options {
    /// How large the cluster is.
    pub(super) size: Size,
    /// How long CPU is measured while things happen.
    pub(super) measured: Duration,
    /// How long latency is measured then, and how much longer the last changes may take to be seen.
    pub(super) watched: Duration,
    /// Events a second.
    pub(super) rate: usize,
    /// The programs to run.
    pub(super) kinds: Vec<Kind>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            size: Size { pods: 50_000, nodes: 3_000, services: 5_000, namespaces: 500 },
            measured: Duration::from_secs(60),
            watched: Duration::from_secs(30),
            rate: 100,
            // Debian's Prometheus is built without discovery by Kubernetes.
            kinds: vec![Kind::Rosterd, Kind::Vmagent],
        }
    }
}

impl Options {
    /// Reads options; returns also what are none.
    pub(super) fn read(arguments: impl Iterator<Item = String>) -> (Self, Vec<String>) {
        let (mut options, mut others) = (Self::default(), Vec::new());
        for argument in arguments {
            match argument.split_once('=') {
                Some(("--pods", pods)) => options.size = options.size.of(number(&argument, pods)),
                Some(("--seconds", seconds)) => options.measured = Duration::from_secs(number(&argument, seconds)),
                Some(("--watched", seconds)) => options.watched = Duration::from_secs(number(&argument, seconds)),
                Some(("--rate", rate)) => options.rate = number(&argument, rate),
                Some(("--only", names)) => options.kinds = names.split(',').map(Kind::named).collect(),
                // What cargo adds.
                _ if argument == "--bench" => {}
                _ => others.push(argument),
            }
        }
        (options, others)
    }
}

fn number<T: FromStr>(argument: &str, text: &str) -> T {
    text.parse().unwrap_or_else(|_| panic!("{argument} is no number"))
}
