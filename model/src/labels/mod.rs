//! Label sets: sorted, immutable, cheap to clone, to compare and to hash.
//!
//! A label set is one allocation: its values, back to back, behind a pointer to the list of its names. Label sets with
//! the same names share that list when they were built with the same [`Names`], which is what makes a target cost its
//! values and little more.

mod builder;
mod names;
mod set;
mod valid;

pub use builder::Builder;
pub(crate) use builder::Span;
pub use names::Names;
pub use set::{Iter, Labels};
pub use valid::{NameScheme, is_valid_name};

/// The label that holds `host:port` of a target.
pub const ADDRESS: &str = "__address__";
/// The label that holds the URL scheme of a target.
pub const SCHEME: &str = "__scheme__";
/// The label that holds the URL path of a target.
pub const METRICS_PATH: &str = "__metrics_path__";
/// The label that holds the scrape interval of a target.
pub const SCRAPE_INTERVAL: &str = "__scrape_interval__";
/// The label that holds the scrape timeout of a target.
pub const SCRAPE_TIMEOUT: &str = "__scrape_timeout__";
/// The prefix of labels that become URL parameters of a target.
pub const PARAM_PREFIX: &str = "__param_";
/// The prefix of labels that only relabelling sees.
pub const META_PREFIX: &str = "__meta_";
/// The prefix of labels that are not part of a target's series.
pub const RESERVED_PREFIX: &str = "__";
/// The label that holds the name of a series' metric.
pub const METRIC_NAME: &str = "__name__";
/// The label that names the job.
pub const JOB: &str = "job";
/// The label that names the instance.
pub const INSTANCE: &str = "instance";
