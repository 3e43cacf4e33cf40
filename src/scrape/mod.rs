//! Scraping in the agent: what the configuration says becomes jobs of the engine and endpoints of remote write, and the
//! engine follows the roster.

mod entra; // tokens of Microsoft Entra ID; pure
mod follow; // brings the engine in step
mod jobs; // from the configuration; pure but for the making of clients
mod scraped; // the jobs and the share, for others
mod status; // what others are told of remote write

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use rosterd_client::{ClientError, System};
use rosterd_config::Config;
use rosterd_exposition::Metadata;
use rosterd_model::{Coded, Priority, Report, Retry};
use rosterd_scrape::{Clock, Engine, Settings, Sink, Statuses, Totals};
use rosterd_ship::{Block, EndpointStatus, ShipError, Shipper, Wants};
use rosterd_tasks::{Stopper, portion};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};
use tracing::warn;

use crate::cluster::Share;
use crate::roster::RosterHandle;
use follow::{Wanted, follow};
pub(crate) use jobs::Clients;
use jobs::{Makers, endpoints};
pub use scraped::{ScrapedJobs, ToScrape};
pub use status::{RemoteWriteState, RemoteWriteStatus, RemoteWrites};

/// Why a configuration cannot be put into effect. What ran before goes on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The settings of a job's HTTP client are of no use.
    #[error("cannot use the HTTP client settings of job {job:?}")]
    Client {
        /// The job.
        job: String,
        /// Why not.
        source: ClientError,
    },
    /// An endpoint of remote write cannot be used.
    #[error(transparent)]
    RemoteWrite(#[from] ShipError),
}

impl Coded for Error {
    fn code(&self) -> &'static str {
        match self {
            Self::Client { .. } => "scrape_client",
            Self::RemoteWrite(error) => error.code(),
        }
    }

    fn priority(&self) -> Priority {
        Priority::Operator
    }

    fn retry(&self) -> Retry {
        Retry::Never
    }
}

/// What scraping needs of the machine.
pub(crate) struct Surroundings {
    /// Where queues are kept; without it they are in memory.
    pub(crate) queues: Option<PathBuf>,
    /// The machine: from its name schedules follow, and its environment may tell keys of AWS.
    pub(crate) system: System,
    /// How many threads there are.
    pub(crate) threads: usize,
}

/// The share of the time for an end that scrapes have; the rest is for sending.
const SCRAPES: f64 = 0.4;

/// Workers that scrape and send.
#[derive(Debug)]
pub(crate) struct Scraping {
    engine: Engine,
    shipper: Shipper,
    makers: Makers,
    wanted: watch::Sender<Wanted>,
    metrics: rosterd_scrape::Metrics,
    /// Ends the following of the roster, before the workers end.
    following: Stopper,
    system: System,
    stale_on_shutdown: bool,
}

/// Samples go from scrapes to remote write.
struct ToShipper(Shipper);

impl Sink for ToShipper {
    fn wants(&self) -> Wants {
        self.0.wants()
    }

    fn push(&self, key: u64, block: &Block) {
        self.0.push(key, block);
    }
}

/// Tells what scrapes and remote write have counted.
#[derive(Debug, Clone)]
pub(crate) struct Counted {
    metrics: rosterd_scrape::Metrics,
    shipper: Shipper,
}

impl Counted {
    /// By now.
    pub(crate) fn now(&self) -> (Totals, Vec<EndpointStatus>) {
        (self.metrics.totals(), self.shipper.status())
    }
}

impl Scraping {
    /// Starts without jobs. Fails when a metric is registered already.
    pub(crate) fn start(
        surroundings: Surroundings,
        registry: &prometheus::Registry,
        roster: &RosterHandle,
        work: &Stopper,
    ) -> Result<Self, prometheus::Error> {
        let Surroundings { queues, system, threads } = surroundings;
        let metrics = rosterd_scrape::Metrics::register(registry)?;
        let shipper = Shipper::new(queues, rosterd_ship::Metrics::register(registry)?, &system, work);
        let sink: Arc<dyn Sink> = Arc::new(ToShipper(shipper.clone()));
        let engine = Engine::start(&Settings { shards: threads, clock: Clock::system() }, &sink, &metrics, work);
        let statuses = engine.statuses().clone();
        shipper.set_metadata_source(Arc::new(move || families(&statuses)));
        let (wanted, wishes) = watch::channel(None);
        let following = work.child();
        // Which targets the engine has is known to nobody else.
        let follow = follow(engine.clone(), wishes, roster.steps(), following.token().clone());
        following.spawn_essential("scrape follower", follow);
        let makers = Makers::new(metrics.clone(), work.clone(), system.name().to_owned());
        Ok(Self { engine, shipper, makers, wanted, metrics, following, system, stale_on_shutdown: false })
    }

    /// What is known of each target.
    pub(crate) fn statuses(&self) -> Statuses {
        self.engine.statuses().clone()
    }

    /// How remote write goes.
    pub(crate) fn remote_writes(&self) -> RemoteWrites {
        let shipper = self.shipper.clone();
        RemoteWrites::new(move || shipper.status().into_iter().map(status::of).collect())
    }

    /// The jobs that are scraped, and which of their targets.
    pub(crate) fn jobs(&self) -> ScrapedJobs {
        let wanted = self.wanted.subscribe();
        ScrapedJobs::new(move || wanted.borrow().clone().unwrap_or_default())
    }

    /// What was counted.
    pub(crate) fn counted(&self) -> Counted {
        Counted { metrics: self.metrics.clone(), shipper: self.shipper.clone() }
    }

    /// Makes clients for the jobs of a configuration, for which it reads certificates. Fails when settings are of no use.
    pub(crate) fn clients(config: &Config, system: &System) -> Result<Clients, Error> {
        Makers::clients(config, system).map_err(|(job, source)| Error::Client { job, source })
    }

    /// Brings remote write to what a configuration says. Fails when that cannot be; then everything is as it was.
    pub(crate) async fn prepare(&self, config: &Config) -> Result<(), Error> {
        match self.shipper.configure(endpoints(config, self.system.environment())).await {
            Ok(()) => Ok(()),
            Err(error @ (ShipError::Queue { .. } | ShipError::QueueInUse { .. })) => {
                let report = Report::of(&error);
                warn!(error = %report, code = error.code(), "samples are queued in memory alone until the disk can be used");
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Scrapes this share of what the configuration says from now on.
    pub(crate) fn take(&mut self, config: &Config, clients: Clients, share: Share) {
        let jobs = self.makers.jobs(config, clients, self.shipper.wants(), &share);
        self.stale_on_shutdown = config.rosterd.stale_markers_on_shutdown;
        self.wanted.send_replace(Some(Arc::new(ToScrape { jobs, share })));
    }

    /// Ends all scrapes, and sends what there is within the deadline. What is left waits in the queues on disk. Returns the
    /// names of tasks that had to be aborted.
    pub(crate) async fn end(&self, deadline: Instant) -> Vec<Arc<str>> {
        let scraping = portion(deadline, SCRAPES);
        let stragglers = self.following.stop_by(scraping).await;
        // A shard that does not listen is named when the work is stopped.
        timeout_at(scraping, self.engine.end(self.stale_on_shutdown)).await.ok();
        self.shipper.shutdown(deadline).await;
        stragglers
    }
}

/// All that targets say about their metric families, each thing once.
fn families(statuses: &Statuses) -> Vec<Metadata> {
    let lists = statuses.metadata();
    let mut seen = BTreeSet::new();
    let all = lists.iter().flat_map(|list| list.iter());
    // As in Prometheus: of several that tell different things of one family, one is sent.
    all.filter(|metadata| seen.insert(metadata.family.clone())).cloned().collect()
}
