//! The jobs that are scraped, for those who ask a target beside its schedule.

use std::fmt;
use std::sync::Arc;

use rosterd_scrape::Job;

/// Finds a job that is scraped at the moment.
#[derive(Clone)]
pub struct ScrapedJobs(Arc<Find>);

type Find = dyn Fn(&str) -> Option<Arc<Job>> + Send + Sync;

impl ScrapedJobs {
    /// Wraps what knows the jobs; it must not block.
    pub fn new(find: impl Fn(&str) -> Option<Arc<Job>> + Send + Sync + 'static) -> Self {
        Self(Arc::new(find))
    }

    /// The job of this name, if it is scraped.
    pub fn get(&self, name: &str) -> Option<Arc<Job>> {
        (self.0)(name)
    }
}

impl fmt::Debug for ScrapedJobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ScrapedJobs")
    }
}
