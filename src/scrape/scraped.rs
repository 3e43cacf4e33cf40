//! What is scraped, for others: the jobs, and which of their targets.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use rosterd_model::Labels;
use rosterd_scrape::Job;

use crate::cluster::Share;

/// The jobs to scrape, by name, and which of their targets.
#[derive(Debug, Default)]
pub struct ToScrape {
    /// The jobs.
    pub jobs: BTreeMap<Arc<str>, Arc<Job>>,
    /// The targets.
    pub share: Share,
}

impl ToScrape {
    /// Whether other members scrape some of the targets of a job.
    pub fn is_shared(&self, job: &str) -> bool {
        self.jobs.contains_key(job) && self.share.table().is_some()
    }

    /// The member that scrapes a target of a job with these final labels, if that is another one.
    pub fn other(&self, job: &str, labels: &Labels) -> Option<&Arc<str>> {
        self.jobs.contains_key(job).then(|| self.share.other(job, labels)).flatten()
    }
}

/// Tells what is scraped here at the moment.
#[derive(Clone)]
pub struct ScrapedJobs(Arc<Tell>);

type Tell = dyn Fn() -> Arc<ToScrape> + Send + Sync;

impl ScrapedJobs {
    /// Wraps what knows; it must not block.
    pub fn new(tell: impl Fn() -> Arc<ToScrape> + Send + Sync + 'static) -> Self {
        Self(Arc::new(tell))
    }

    /// By now.
    pub fn now(&self) -> Arc<ToScrape> {
        (self.0)()
    }

    /// The job of this name, if it is scraped.
    pub fn get(&self, name: &str) -> Option<Arc<Job>> {
        self.now().jobs.get(name).cloned()
    }
}

impl fmt::Debug for ScrapedJobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ScrapedJobs")
    }
}
