//! What a job says about the scrapes of its targets.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, header};
use rosterd_client::{Budget, Client};
use rosterd_exposition::{Escaping, Protocol, accept};

use crate::failure_log::FailureLog;
use crate::ingest;
use crate::metrics::JobMetrics;
use crate::schedule::Seed;

/// A job, ready for scraping.
#[derive(Debug)]
pub struct Job {
    /// Its name, unique in the configuration.
    pub name: Arc<str>,
    /// How its targets are connected to.
    pub client: Client,
    /// Parameters of the URL; labels of the target replace the first value of each.
    pub params: BTreeMap<String, Vec<String>>,
    /// Headers of each request, but for the timeout's; see [`headers`].
    pub headers: HeaderMap,
    /// The format of targets that do not name theirs.
    pub fallback: Option<Protocol>,
    /// The size that a body must not reach, as sent and once unpacked.
    pub body_limit: u64,
    /// The memory for all scrapes under way, of all jobs: their bodies, and what becomes of them.
    pub budget: Budget,
    /// How long at most a target is left alone that asks for it.
    pub honor_retry_after: Duration,
    /// Moves the schedules of its targets.
    pub seed: Seed,
    /// What becomes of samples.
    pub rules: ingest::Rules,
    /// Where failed scrapes are written down.
    pub failure_log: Option<FailureLog>,
    /// Its share of the metrics.
    pub metrics: JobMetrics,
}

/// The header that tells the target how long the scrape waits.
pub(crate) const TIMEOUT_HEADER: &str = "x-prometheus-scrape-timeout-seconds";

/// The headers that ask for these formats, packed or not.
pub fn headers(protocols: &[Protocol], escaping: Escaping, compression: bool) -> HeaderMap {
    let accept = HeaderValue::try_from(accept(protocols, escaping)).expect("formats are named in ASCII");
    let encoding = HeaderValue::from_static(if compression { "gzip" } else { "identity" });
    HeaderMap::from_iter([(header::ACCEPT, accept), (header::ACCEPT_ENCODING, encoding)])
}
