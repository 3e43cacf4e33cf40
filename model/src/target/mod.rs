//! A target: the final label set that relabelling leaves, read as what it means.

use std::fmt;

use crate::Labels;
use crate::labels::{
    ADDRESS, JOB, METRICS_PATH, PARAM_PREFIX, RESERVED_PREFIX, SCHEME, SCRAPE_INTERVAL, SCRAPE_TIMEOUT,
};

mod url;

pub use url::{scrape_url, write_url};

/// The unix socket through which a target is scraped.
pub const UNIX_SOCKET: &str = "__unix_socket__";
/// Whether classic histograms become native ones with custom buckets.
pub const CONVERT_CLASSIC_HISTOGRAMS: &str = "__convert_classic_histograms_to_nhcb__";
/// Whether classic histograms are kept beside native ones.
pub const ALWAYS_SCRAPE_CLASSIC_HISTOGRAMS: &str = "__always_scrape_classic_histograms__";
/// Whether native histograms are scraped.
pub const SCRAPE_NATIVE_HISTOGRAMS: &str = "__scrape_native_histograms__";
/// The labels whose value is a boolean.
pub const BOOLEANS: [&str; 3] =
    [CONVERT_CLASSIC_HISTOGRAMS, ALWAYS_SCRAPE_CLASSIC_HISTOGRAMS, SCRAPE_NATIVE_HISTOGRAMS];

/// The final labels of a target, read as what they mean.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a>(pub &'a Labels);

impl<'a> Target<'a> {
    /// `host:port`.
    pub fn address(self) -> &'a str {
        self.0.get(ADDRESS).unwrap_or_default()
    }

    /// The interval as it was configured or relabelled.
    pub fn interval(self) -> &'a str {
        self.0.get(SCRAPE_INTERVAL).unwrap_or_default()
    }

    /// The timeout as it was configured or relabelled.
    pub fn timeout(self) -> &'a str {
        self.0.get(SCRAPE_TIMEOUT).unwrap_or_default()
    }

    /// The labels that its series get: those that do not begin with `__`.
    pub fn public(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0.iter().filter(|(name, _)| !name.starts_with(RESERVED_PREFIX))
    }

    /// The value of such a label.
    pub fn public_label(self, name: &str) -> Option<&'a str> {
        self.0.get(name).filter(|_| !name.starts_with(RESERVED_PREFIX))
    }

    /// Scheme, path and the parameters set by labels: what its URL is made of besides the address.
    pub fn url_parts(self) -> (&'a str, &'a str, impl Iterator<Item = (&'a str, &'a str)> + Clone) {
        let params = self.0.iter().filter_map(|(name, value)| Some((name.strip_prefix(PARAM_PREFIX)?, value)));
        (self.0.get(SCHEME).unwrap_or_default(), self.0.get(METRICS_PATH).unwrap_or_default(), params)
    }

    /// The name of its job, which relabelling may have changed.
    pub fn job(self) -> &'a str {
        self.0.get(JOB).unwrap_or_default()
    }
}

impl fmt::Display for Target<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.0, f)
    }
}
