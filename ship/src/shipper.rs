//! All endpoints together.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};
use std::time::Duration;

use futures_util::future::join_all;
use rosterd_client::{System, shown};
use rosterd_exposition::Metadata;
use rosterd_model::{Report, Retry};
use rosterd_tasks::{Schedule, Stopper, blocking, portion};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::config::EndpointConfig;
use crate::endpoint::{Endpoint, Proofs, Source};
use crate::error::ShipError;
use crate::log::Record;
use crate::metrics::Metrics;
use crate::owner::{self, Left, Owner};
use crate::status::EndpointStatus;
use crate::{Block, Wants, folder, log};

/// How long an endpoint that another configuration takes out has to end.
const PATIENCE: Duration = Duration::from_secs(5);
/// The share of the time for a shutdown in which is sent what there is.
const SENDING: f64 = 0.7;
/// The longest pause before a queue that could not be opened is tried again.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Sends what was scraped to all endpoints. Clones share them.
#[derive(Clone)]
pub struct Shipper(Arc<Shared>);

struct Shared {
    folder: Option<PathBuf>,
    metrics: Metrics,
    system: System,
    proofs: Arc<Proofs>,
    stopper: Stopper,
    endpoints: RwLock<Arc<[Arc<Endpoint>]>>,
    source: Arc<RwLock<Option<Source>>>,
    /// Endpoints that a change takes out, until they have ended: a change that is dropped leaves them to the shutdown.
    leaving: Mutex<Vec<Arc<Endpoint>>>,
    /// One change at a time.
    changing: tokio::sync::Mutex<()>,
    /// Some endpoint has a queue in memory that is to be on disk.
    degraded: Arc<Notify>,
    /// Who tries those again.
    trying: Stopper,
}

/// What is known of queues that could not be opened.
enum Degraded {
    None,
    Hopeless,
    Usable,
}

impl fmt::Debug for Shipper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shipper").field("endpoints", &self.endpoints().len()).finish_non_exhaustive()
    }
}

impl Shipper {
    /// A shipper without endpoints, whose clients live in this `system`. Queues are kept below `folder`, or in memory only. Tasks end with those of the stopper;
    /// [`shutdown`](Self::shutdown) comes before that, or what is in memory is lost.
    pub fn new(folder: Option<PathBuf>, metrics: Metrics, system: &System, stopper: &Stopper) -> Self {
        let (degraded, trying) = (Arc::new(Notify::new()), stopper.child());
        let shipper = Self(Arc::new(Shared {
            folder,
            metrics,
            system: system.clone(),
            proofs: Arc::default(),
            stopper: stopper.child(),
            endpoints: RwLock::new(Arc::from([])),
            source: Arc::default(),
            leaving: Mutex::default(),
            changing: tokio::sync::Mutex::new(()),
            degraded: Arc::clone(&degraded),
            trying,
        }));
        let (shared, stop) = (Arc::downgrade(&shipper.0), shipper.0.trying.token().clone());
        let again = move || try_again(Weak::clone(&shared), Arc::clone(&degraded), stop.clone());
        shipper.0.trying.spawn_restarting("remote write queues", again);
        shipper
    }

    /// Makes the endpoints those of the list. Equal ones go on; others are stopped after they have handed what they hold to
    /// their queue on disk, and what that does not take to the endpoint that goes on with the queue. Which one that is, the
    /// receiver and the tenant say. What is pushed meanwhile reaches the new ones.
    ///
    /// With an error about settings nothing was changed. With one about a queue on disk all endpoints run, that one with a
    /// queue in memory until the disk can be used: it is tried again, with growing pauses, and by configuring again.
    pub async fn configure(&self, endpoints: Vec<EndpointConfig>) -> Result<(), ShipError> {
        let _changing = self.0.changing.lock().await;
        self.change(endpoints).await
    }

    /// The same for who has the turn to change.
    async fn change(&self, endpoints: Vec<EndpointConfig>) -> Result<(), ShipError> {
        let mut names = BTreeSet::new();
        if let Some(twice) = endpoints.iter().find(|config| !names.insert(&*config.name)) {
            return Err(ShipError::DuplicateName { name: twice.name.clone() });
        }
        let before = self.endpoints();
        let same: Vec<_> = endpoints
            .iter()
            .map(|config| before.iter().find(|endpoint| endpoint.is(config)).cloned()) //
            .collect();
        let places = self.places(&endpoints, &same).await;
        let (mut after, mut started) = (Vec::new(), Vec::new());
        for ((config, same), place) in endpoints.into_iter().zip(same).zip(places) {
            if let Some(same) = same {
                after.push(same);
                continue;
            }
            let (metrics, system, stopper) = (self.0.metrics.clone(), self.0.system.clone(), self.0.stopper.child());
            let (proofs, lost) = (Arc::clone(&self.0.proofs), Arc::clone(&self.0.degraded));
            // Certificates are read.
            let make = move || Endpoint::new(config, place, &metrics, &system, &proofs, stopper, lost);
            let endpoint = Arc::new(blocking(make).await?);
            started.push(Arc::clone(&endpoint));
            after.push(endpoint);
        }
        let kept = |endpoint: &Arc<Endpoint>| after.iter().any(|other| Arc::ptr_eq(endpoint, other));
        let stopped: Vec<_> = before.iter().filter(|endpoint| !kept(endpoint)).cloned().collect();
        self.leaving().extend(stopped.iter().cloned());
        *self.0.endpoints.write().unwrap_or_else(PoisonError::into_inner) = after.iter().cloned().collect();
        // Their folders must be free before others use them.
        let deadline = Instant::now() + PATIENCE;
        let rests = join_all(stopped.iter().map(|endpoint| endpoint.stop(deadline))).await;
        self.start(&after, &started, stopped, rests).await
    }

    /// Where the queues of these endpoints are, of which some run.
    async fn places(&self, endpoints: &[EndpointConfig], same: &[Option<Arc<Endpoint>>]) -> Vec<Option<PathBuf>> {
        let Some(folder) = &self.0.folder else { return vec![None; endpoints.len()] };
        let running = same.iter().map(|same| same.as_ref()?.folder().map(Path::to_owned)).collect();
        folder::choose(folder, endpoints.to_vec(), running).await.into_iter().map(Some).collect()
    }

    async fn start(
        &self,
        after: &[Arc<Endpoint>],
        started: &[Arc<Endpoint>],
        stopped: Vec<Arc<Endpoint>>,
        mut rests: Vec<Vec<Record>>,
    ) -> Result<(), ShipError> {
        if let Some(folder) = &self.0.folder {
            let own = |endpoint: &Arc<Endpoint>| Some((endpoint.folder()?.to_owned(), endpoint.config.clone()));
            folder::tidy(folder, after.iter().filter_map(own).collect()).await;
        }
        let before = successions(&stopped, started);
        let starting = started.iter().zip(before).map(|(endpoint, before)| {
            let rest = before.map(|index| std::mem::take(&mut rests[index])).unwrap_or_default();
            let source = Arc::clone(&self.0.source);
            let source = move || source.read().unwrap_or_else(PoisonError::into_inner).clone();
            info!(endpoint = endpoint.config.name, url = shown(&endpoint.config.url), "remote write starts");
            endpoint.start(rest, before.is_none(), source)
        });
        let results = join_all(starting.collect::<Vec<_>>()).await;
        self.leaving().clear();
        for (endpoint, rest) in stopped.iter().zip(&rests) {
            endpoint.give_up(rest);
            if !rest.is_empty() {
                let (endpoint, batches, samples) = (&endpoint.config.name, rest.len(), samples(rest));
                warn!(endpoint, batches, samples, "endpoint is gone with what it had in memory");
            }
            if !after.iter().any(|other| other.config.name == endpoint.config.name) {
                endpoint.forget();
            }
        }
        let failed = results.into_iter().find(Result::is_err);
        if failed.is_some() {
            self.0.degraded.notify_one();
        }
        failed.unwrap_or(Ok(()))
    }

    /// Whether there are endpoints whose queues are not where they are to be, and whether one of those could be opened now.
    async fn degraded(&self) -> Degraded {
        let endpoints = self.endpoints();
        let configs: Vec<_> = endpoints.iter().map(|endpoint| endpoint.config.clone()).collect();
        let same: Vec<_> = endpoints.iter().map(|one| one.is(&one.config).then(|| Arc::clone(one))).collect();
        if same.iter().all(Option::is_some) {
            return Degraded::None;
        }
        let places = self.places(&configs, &same).await;
        let waits = |(place, same): (Option<PathBuf>, Option<_>)| place.filter(|_| same.is_none());
        let folders: Vec<_> = places.into_iter().zip(same).filter_map(waits).collect();
        if blocking(move || folders.iter().any(|folder| log::is_usable(folder))).await {
            return Degraded::Usable;
        }
        endpoints.iter().filter(|one| !one.is(&one.config)).for_each(|one| one.still_degraded());
        Degraded::Hopeless
    }

    /// Begins those endpoints anew whose queues are not where they are to be.
    async fn reopen(&self) -> Result<(), ShipError> {
        let _changing = self.0.changing.lock().await;
        let configs: Vec<_> = self.endpoints().iter().map(|endpoint| endpoint.config.clone()).collect();
        self.change(configs).await
    }

    /// What any endpoint can make use of.
    pub fn wants(&self) -> Wants {
        self.endpoints().iter().map(|endpoint| endpoint.wants()).fold(Wants::default(), |all, one| Wants {
            samples: all.samples | one.samples,
            exemplars: all.exemplars | one.exemplars,
            native_histograms: all.native_histograms | one.native_histograms,
            extras: all.extras | one.extras,
        })
    }

    /// Hands the series of a block to all endpoints. Series of one key stay in order. Copies them and returns; when a batch
    /// is full it is compressed here. Never waits for the disk or the network: when an endpoint has no room, its oldest
    /// samples go, and are counted.
    pub fn push(&self, key: u64, block: &Block) {
        self.0.metrics.received(block.counts);
        for endpoint in self.endpoints().iter() {
            endpoint.push(key, block);
        }
    }

    /// Where metadata come from: all families that are known at the moment. They are asked for at each interval of an
    /// endpoint that sends them.
    pub fn set_metadata_source(&self, source: Arc<dyn Fn() -> Vec<Metadata> + Send + Sync>) {
        *self.0.source.write().unwrap_or_else(PoisonError::into_inner) = Some(source);
    }

    /// How the endpoints are, in the order of the configuration.
    pub fn status(&self) -> Vec<EndpointStatus> {
        self.endpoints().iter().map(|endpoint| endpoint.status()).collect()
    }

    /// Sends what it can within the deadline; the rest stays in the queues on disk. Endpoints that are down are not waited
    /// for if they have one. Afterwards there are no endpoints.
    pub async fn shutdown(&self, deadline: Instant) {
        self.0.trying.stop_by(portion(deadline, SENDING)).await;
        let _changing = self.0.changing.lock().await;
        let endpoints = self.endpoints();
        // What sending leaves is to stop the tasks, and to write to disk what was not sent.
        let sending = portion(deadline, SENDING);
        join_all(endpoints.iter().map(|endpoint| endpoint.drain(sending))).await;
        *self.0.endpoints.write().unwrap_or_else(PoisonError::into_inner) = Arc::from([]);
        let leaving = std::mem::take(&mut *self.leaving());
        let endpoints: Vec<_> = endpoints.iter().cloned().chain(leaving).collect();
        let rests = join_all(endpoints.iter().map(|endpoint| endpoint.stop(deadline))).await;
        for (endpoint, rest) in endpoints.iter().zip(&rests) {
            endpoint.give_up(rest);
            if !rest.is_empty() {
                let (endpoint, batches, samples) = (&endpoint.config.name, rest.len(), samples(rest));
                warn!(endpoint, batches, samples, "samples in memory could not be sent in time");
            }
        }
        self.0.stopper.stop(Duration::ZERO).await;
    }

    fn leaving(&self) -> MutexGuard<'_, Vec<Arc<Endpoint>>> {
        self.0.leaving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn endpoints(&self) -> Arc<[Arc<Endpoint>]> {
        Arc::clone(&self.0.endpoints.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Tries queues again that could not be opened, after pauses that grow. What runs with a queue in memory is left in peace until
/// a queue looks as if it could be opened. It looks when it begins, too: whoever did this before may have ended by a panic.
async fn try_again(shared: Weak<Shared>, degraded: Arc<Notify>, stop: CancellationToken) {
    loop {
        let mut pauses = Schedule::new(LONGEST_PAUSE, "remote write queues");
        loop {
            let pause = tokio::time::sleep(pauses.failed(Retry::Backoff));
            let Some(()) = stop.run_until_cancelled(pause).await else { return };
            let Some(shipper) = shared.upgrade().map(Shipper) else { return };
            let Some(waiting) = stop.run_until_cancelled(shipper.degraded()).await else { return };
            match waiting {
                Degraded::None => break,
                Degraded::Hopeless => {}
                Degraded::Usable => match shipper.reopen().await {
                    Ok(()) => break,
                    Err(error) => debug!(error = %Report::of(&error), "queues on disk cannot be opened yet"),
                },
            }
        }
        let Some(()) = stop.run_until_cancelled(degraded.notified()).await else { return };
    }
}

/// How many samples these come to.
fn samples(records: &[Record]) -> u64 {
    records.iter().map(|record| record.head.counts.all_samples()).sum()
}

/// For each endpoint that starts, which of those that were stopped it takes the place of: the one with its folder, or without
/// folders the one whose queue it would go on with.
fn successions(stopped: &[Arc<Endpoint>], started: &[Arc<Endpoint>]) -> Vec<Option<usize>> {
    let owner = |endpoint: &Arc<Endpoint>| Owner::of(&endpoint.config);
    let left: Vec<_> = stopped.iter().map(|endpoint| Left { owner: owner(endpoint), just_now: true }).collect();
    let in_memory = owner::choose(&left, &started.iter().map(owner).collect::<Vec<_>>());
    let by_folder = |(endpoint, in_memory): (&Arc<Endpoint>, Option<usize>)| match endpoint.folder() {
        Some(folder) => stopped.iter().position(|before| before.folder() == Some(folder)),
        None => in_memory,
    };
    started.iter().zip(in_memory).map(by_folder).collect()
}
