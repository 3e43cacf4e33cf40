//! What one scrape hands over, encoded once for all endpoints.

use std::sync::Arc;

use rosterd_exposition::Metadata;

/// The series of one scrape.
///
/// The bytes are those of remote write 1.0, so that an endpoint without rules of its own copies them. What only remote
/// write 2.0 carries stands beside them, and is there only if [`Wants`] asks for it.
#[derive(Debug, Clone, Default)]
pub struct Block {
    /// `timeseries` fields of a `prometheus.WriteRequest`, one after the other, keys included. Labels are sorted by name,
    /// external ones included.
    pub series: Vec<u8>,
    /// How much is in it.
    pub counts: Counts,
    /// The oldest timestamp, in milliseconds since 1970.
    pub oldest_ms: i64,
    /// The newest timestamp, in milliseconds since 1970.
    pub newest_ms: i64,
    /// One for each series, in order. Those at the end may be missing: nothing more is known of them.
    pub extras: Vec<Extra>,
    /// What [`Extra::metadata`] points into.
    pub metadata: Option<Arc<[Metadata]>>,
}

/// How much something holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Series; a series may stand there several times.
    pub series: u32,
    /// Float samples, stale markers included.
    pub samples: u32,
    /// Native histograms.
    pub histograms: u32,
    /// Exemplars.
    pub exemplars: u32,
}

impl Counts {
    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            series: self.series.saturating_add(other.series),
            samples: self.samples.saturating_add(other.samples),
            histograms: self.histograms.saturating_add(other.histograms),
            exemplars: self.exemplars.saturating_add(other.exemplars),
        }
    }

    /// Float samples and native histograms together: what limits and people call samples.
    pub fn all_samples(self) -> u64 {
        u64::from(self.samples) + u64::from(self.histograms)
    }

    /// What is left without the other.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self {
            series: self.series.saturating_sub(other.series),
            samples: self.samples.saturating_sub(other.samples),
            histograms: self.histograms.saturating_sub(other.histograms),
            exemplars: self.exemplars.saturating_sub(other.exemplars),
        }
    }
}

/// What remote write 2.0 says about a series besides labels and samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Extra {
    /// When it was created, in milliseconds since 1970; 0 if that is not known.
    pub created_ms: i64,
    /// The index of its family in the metadata of the block; [`Extra::NO_METADATA`] if there is none.
    pub metadata: u32,
}

impl Extra {
    /// Nothing is known of its family.
    pub const NO_METADATA: u32 = u32::MAX;
}

/// What at least one endpoint can make use of. Whoever fills a block leaves out the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Wants {
    /// Anything at all: there are endpoints.
    pub samples: bool,
    /// Exemplars.
    pub exemplars: bool,
    /// Native histograms.
    pub native_histograms: bool,
    /// [`Block::extras`].
    pub extras: bool,
}
