//! What was served and what arrived, target by target.

use std::net::SocketAddrV4;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::address_number;
use super::tally::Tally;
use super::walk::{Labels, OF_TARGET};

/// The value of a stale marker.
const STALE: u64 = 0x7ff0_0000_0000_0002;

#[derive(Debug, Clone, Copy, Default)]
struct Target {
    scrapes: u64,
    served: Tally,
    arrived: Tally,
    /// `up` with the value 1, and the time of the last one.
    up: u64,
    last_up: i64,
    /// When it was scraped first, in milliseconds since 1970.
    first: f64,
}

/// All targets.
#[derive(Debug)]
pub(super) struct Account {
    targets: Vec<Target>,
    /// Whether targets are served.
    pub(super) open: bool,
    pub(super) figures: Figures,
}

/// The figures that are asked for over HTTP, since the start or the last reset.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Figures {
    /// Scrapes that were answered, and the samples of their answers.
    pub(crate) scrapes: u64,
    pub(crate) served: u64,
    /// Targets that were scraped.
    pub(crate) seen: usize,
    /// Requests of remote write that were taken, and refused as unreadable; their bytes on the wire and unpacked.
    pub(crate) requests: u64,
    pub(crate) refused: u64,
    pub(crate) bytes: u64,
    pub(crate) unpacked: u64,
    /// Samples of targets, of the agent itself about its scrapes, stale markers, and samples that nobody has exposed.
    pub(crate) arrived: u64,
    pub(crate) automatic: u64,
    pub(crate) stale: u64,
    pub(crate) unknown: u64,
    /// Scrapes that the agent tells as good, as failed, and earlier than one it told before.
    pub(crate) up: u64,
    pub(crate) down: u64,
    pub(crate) disordered: u64,
    /// Samples of `up` and of targets that were served and have not arrived, or more often than they were served, and
    /// targets of which as many samples arrived as were served, but others, or not exactly the same.
    pub(crate) missing: u64,
    pub(crate) doubled: u64,
    pub(crate) different: u64,
    pub(crate) inexact: u64,
}

impl Account {
    pub(super) fn new(targets: usize) -> Self {
        Self { targets: vec![Target::default(); targets], open: true, figures: Figures::default() }
    }

    /// Forgets everything.
    pub(super) fn reset(&mut self) {
        *self = Self::new(self.targets.len());
    }

    /// Notes an answer to a target's scrape; returns whether there is one.
    pub(super) fn scraped(&mut self, target: usize) -> Option<u64> {
        let target = self.targets.get_mut(target).filter(|_| self.open)?;
        if target.scrapes == 0 {
            target.first = now();
        }
        target.scrapes += 1;
        self.figures.scrapes += 1;
        Some(target.scrapes - 1)
    }

    pub(super) fn served(&mut self, target: usize, tally: Tally) {
        self.targets[target].served.extend(tally);
        self.figures.served += tally.count;
    }

    /// Notes a sample.
    pub(super) fn arrived(&mut self, labels: &Labels<'_>, value: f64, time: i64) {
        let target = number(labels.instance).and_then(|number| self.targets.get_mut(number));
        let Some(target) = target.filter(|_| labels.of_target == OF_TARGET.len()) else {
            self.figures.unknown += 1;
            return;
        };
        if value.to_bits() == STALE {
            self.figures.stale += 1;
        } else if labels.name == b"up" {
            self.figures.automatic += 1;
            self.figures.disordered += u64::from(time <= target.last_up);
            target.last_up = time;
            let good = u64::from(value == 1.0);
            target.up += good;
            self.figures.up += good;
            self.figures.down += 1 - good;
        } else if labels.name.starts_with(b"scrape_") {
            self.figures.automatic += 1;
        } else {
            target.arrived.add(labels.series.hash(), value);
            self.figures.arrived += 1;
        }
    }

    /// The figures, with those that are the difference of two others.
    pub(super) fn figures(&self) -> Figures {
        let mut figures = self.figures.clone();
        for target in &self.targets {
            figures.seen += usize::from(target.scrapes > 0);
            for (served, arrived) in [(target.served.count, target.arrived.count), (target.scrapes, target.up)] {
                figures.missing += served.saturating_sub(arrived);
                figures.doubled += arrived.saturating_sub(served);
            }
            let (served, arrived) = (target.served, target.arrived);
            let different = served.count == arrived.count && served.rough != arrived.rough;
            figures.different += u64::from(different);
            figures.inexact += u64::from(!different && served.count == arrived.count && served.exact != arrived.exact);
        }
        figures
    }

    /// When each target was scraped first, in milliseconds since 1970.
    pub(super) fn firsts(&self) -> Vec<f64> {
        self.targets.iter().filter(|target| target.scrapes > 0).map(|target| target.first).collect()
    }
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970").as_secs_f64() * 1000.0
}

fn number(instance: &[u8]) -> Option<usize> {
    let address: SocketAddrV4 = std::str::from_utf8(instance).ok()?.parse().ok()?;
    address_number(*address.ip())
}
