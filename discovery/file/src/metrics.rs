//! The metrics of `file`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus::{GaugeVec, IntCounter, Opts};

use rosterd_discovery::MechanismMetrics;

/// The metrics of `file`, shared by all its discoverers.
#[derive(Debug, Clone)]
pub struct FileMetrics {
    /// Files that could not be read or decoded.
    pub(super) read_errors: IntCounter,
    /// Watches that failed.
    pub(super) watcher_errors: IntCounter,
    mtimes: Mtimes,
}

impl FileMetrics {
    /// Shows when a file was modified last, until the handle is dropped.
    pub(super) fn mtime(&self, file: &str) -> Mtime {
        self.mtimes.handle(file)
    }
}

impl MechanismMetrics for FileMetrics {
    fn register(registry: &prometheus::Registry) -> Result<Self, prometheus::Error> {
        let mtime = Opts::new("rosterd_discovery_file_mtime_seconds", "Modification time of a file when it was read.");
        let metrics = Self {
            read_errors: IntCounter::new(
                "rosterd_discovery_file_read_errors_total",
                "Files that could not be read or decoded; what was read before is kept.",
            )?,
            watcher_errors: IntCounter::new(
                "rosterd_discovery_file_watcher_errors_total",
                "Watches that failed, so that changes wait for the refresh interval.",
            )?,
            mtimes: Mtimes { gauge: GaugeVec::new(mtime, &["filename"])?, users: Arc::default() },
        };
        registry.register(Box::new(metrics.read_errors.clone()))?;
        registry.register(Box::new(metrics.watcher_errors.clone()))?;
        registry.register(Box::new(metrics.mtimes.gauge.clone()))?;
        Ok(metrics)
    }
}

/// The gauge, and how many discoverers read each file.
#[derive(Debug, Clone)]
struct Mtimes {
    gauge: GaugeVec,
    users: Arc<Mutex<HashMap<Box<str>, usize>>>,
}

impl Mtimes {
    fn handle(&self, file: &str) -> Mtime {
        *self.users.lock().unwrap_or_else(PoisonError::into_inner).entry(file.into()).or_default() += 1;
        Mtime { all: self.clone(), file: file.into() }
    }
}

/// The modification time of one file as a metric; gone when the last handle of the file is dropped.
#[derive(Debug)]
pub(super) struct Mtime {
    all: Mtimes,
    file: Box<str>,
}

impl Mtime {
    pub(super) fn set(&self, seconds: f64) {
        self.all.gauge.with_label_values(&[&*self.file]).set(seconds);
    }
}

impl Drop for Mtime {
    fn drop(&mut self) {
        let mut users = self.all.users.lock().unwrap_or_else(PoisonError::into_inner);
        let left = users.get_mut(&self.file).map_or(0, |users| {
            *users -= 1;
            *users
        });
        if left == 0 {
            users.remove(&self.file);
            // A file that was never read has no time to remove.
            self.all.gauge.remove_label_values(&[&*self.file]).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_shown_as_long_as_somebody_reads_the_file() {
        let registry = prometheus::Registry::new();
        let metrics = FileMetrics::register(&registry).unwrap();
        let shown = || registry.gather().iter().any(|family| family.name() == "rosterd_discovery_file_mtime_seconds");
        let (one, two) = (metrics.mtime("/a.json"), metrics.mtime("/a.json"));
        one.set(5.0);
        two.set(6.0);
        drop(one);
        assert!(shown());
        drop(two);
        assert!(!shown());
    }
}
