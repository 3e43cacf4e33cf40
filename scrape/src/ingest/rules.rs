//! What a job says about its samples.

use rosterd_exposition::HistogramLimits;
use rosterd_model::{NameScheme, relabel};
use rosterd_ship::Wants;

use super::track::flag;

/// What a job says about its samples. Limits of 0 are none.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    /// Whether labels of the exposition win over those of the target.
    pub honor_labels: bool,
    /// Whether timestamps of the exposition are kept.
    pub honor_timestamps: bool,
    /// Whether series with timestamps of their own get stale markers.
    pub track_timestamps_staleness: bool,
    /// `metric_relabel_configs`.
    pub relabel: relabel::Rules,
    /// The most samples of a scrape, after relabelling.
    pub sample_limit: usize,
    /// The most labels of a series.
    pub label_limit: usize,
    /// The longest name of a label, in bytes.
    pub label_name_length_limit: usize,
    /// The longest value of a label, in bytes.
    pub label_value_length_limit: usize,
    /// `native_histogram_bucket_limit` and `native_histogram_min_bucket_factor`.
    pub histograms: HistogramLimits,
    /// Which names are valid.
    pub scheme: NameScheme,
    /// Labels that a series gets unless it has them, sorted by name: `external_labels`.
    pub external: Vec<(String, String)>,
    /// Whether to add the series of `extra_scrape_metrics`.
    pub extra_metrics: bool,
    /// What endpoints make use of.
    pub wants: Wants,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            honor_labels: false,
            honor_timestamps: true,
            track_timestamps_staleness: false,
            relabel: relabel::Rules::default(),
            sample_limit: 0,
            label_limit: 0,
            label_name_length_limit: 0,
            label_value_length_limit: 0,
            histograms: HistogramLimits::default(),
            scheme: NameScheme::Utf8,
            external: Vec::new(),
            extra_metrics: false,
            wants: Wants { samples: true, ..Wants::default() },
        }
    }
}

impl Rules {
    /// What the hash of a series says, whose sample has a timestamp of its own or not.
    pub(super) fn flags(&self, timed: bool) -> u64 {
        match (timed, self.track_timestamps_staleness) {
            (false, _) => 0,
            (true, true) => flag::TIMED,
            (true, false) => flag::TIMED | flag::UNTRACKED,
        }
    }

    /// Whether each series has to be looked at, not only the names of its labels.
    pub(super) fn checks_each(&self) -> bool {
        self.label_limit + self.label_name_length_limit + self.label_value_length_limit > 0
            || self.scheme != NameScheme::Utf8
    }
}
