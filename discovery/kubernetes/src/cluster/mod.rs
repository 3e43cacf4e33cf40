//! What all discoverers of an agent have in common: one watch for each thing that is watched, whoever needs it.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rosterd_client::System;
use rosterd_discovery::{Error, MechanismShared};
use rosterd_tasks::Stopper;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::warn;

use crate::metrics::KubernetesMetrics;
use crate::resource::WatchKey;
use crate::transport::{Access, Transport};
use crate::watch::{Inbox, Notices, Running, Subscription, Watched, Watches, run};

/// All API servers that are watched, and who they are asked as.
#[derive(Debug)]
pub struct Clusters {
    owner: Stopper,
    system: System,
    clusters: Mutex<Vec<Arc<Cluster>>>,
    /// Whole pictures are made one after the other: each is large, and none is needed twice.
    pictures: Arc<Semaphore>,
}

/// An API server, as one user sees it.
#[derive(Debug)]
pub(crate) struct Cluster {
    access: Access,
    transport: Arc<dyn Transport>,
    /// Whether it streams lists, until it was found not to.
    streams: Arc<AtomicBool>,
    notices: Arc<Notices>,
    watches: Watches,
}

impl MechanismShared for Clusters {
    fn start(owner: &Stopper, system: &System) -> Self {
        Self {
            owner: owner.clone(),
            system: system.clone(),
            clusters: Mutex::default(),
            pictures: Arc::new(Semaphore::new(1)),
        }
    }
}

impl Clusters {
    /// What is known of the machine.
    pub(crate) fn system(&self) -> &System {
        &self.system
    }

    fn clusters(&self) -> MutexGuard<'_, Vec<Arc<Cluster>>> {
        self.clusters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The cluster behind this access.
    pub(crate) fn cluster(&self, access: &Access) -> Result<Arc<Cluster>, Error> {
        let find = |clusters: &[Arc<Cluster>]| clusters.iter().find(|cluster| cluster.access == *access).cloned();
        // In a statement of its own, which gives the lock back: certificates may be on a disk that hangs.
        let known = find(&self.clusters());
        if let Some(known) = known {
            return Ok(known);
        }
        let cluster = Arc::new(Cluster {
            access: access.clone(),
            transport: access.transport(&self.system)?,
            streams: Arc::new(AtomicBool::new(true)),
            notices: Arc::default(),
            watches: Arc::default(),
        });
        let mut clusters = self.clusters();
        if let Some(known) = find(&clusters) {
            return Ok(known);
        }
        // Those that nobody uses any more go when another comes.
        clusters.retain(|cluster| Arc::strong_count(cluster) > 1 || !cluster.is_idle());
        if access.withholds {
            warn!(url = %access.url, "the credentials of a kubeconfig file are not sent, for its server is no https URL");
        }
        clusters.push(Arc::clone(&cluster));
        Ok(cluster)
    }

    /// Begins to use a watch, which is started if it does not run; or a wider one that runs, unless that one fails. `number`
    /// is what it is called in the inbox.
    pub(crate) fn subscribe(
        &self,
        cluster: &Cluster,
        key: &WatchKey,
        number: usize,
        inbox: &Arc<Inbox>,
        metrics: &KubernetesMetrics,
    ) -> Subscription {
        let mut watches = cluster.watches.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever may not read all namespaces may well read one.
        let serves = |watched: &&Arc<Watched>| !watched.health().is_lost();
        let wider = || watches.get(&key.everywhere()?).filter(serves);
        if let Some(watched) = watches.get(key).or_else(wider) {
            return watched.subscribe(number, inbox);
        }
        let watched = Arc::new(Watched::new(key.clone(), metrics));
        metrics.watches(&watched);
        watches.insert(key.clone(), Arc::clone(&watched));
        // Used before it runs, so that it does not end for want of users.
        let subscription = watched.subscribe(number, inbox);
        drop(watches);
        self.begin(cluster, watched, metrics);
        subscription
    }

    /// Begins to use a wider watch in place of this one, if one runs and goes well.
    pub(crate) fn wider(
        &self,
        cluster: &Cluster,
        key: &WatchKey,
        number: usize,
        inbox: &Arc<Inbox>,
    ) -> Option<Subscription> {
        let watches = cluster.watches.lock().unwrap_or_else(PoisonError::into_inner);
        let watched = watches.get(&key.everywhere()?).filter(|watched| watched.health().is_well())?;
        Some(watched.subscribe(number, inbox))
    }

    fn begin(&self, cluster: &Cluster, watched: Arc<Watched>, metrics: &KubernetesMetrics) {
        let (stop, name) = (self.owner.token().clone(), watched.key().to_string());
        let watches = Arc::clone(&cluster.watches);
        let running = Arc::new(Running {
            watched,
            beside: Arc::clone(&cluster.watches),
            transport: Arc::clone(&cluster.transport),
            streams: Arc::clone(&cluster.streams),
            notices: Arc::clone(&cluster.notices),
            metrics: metrics.clone(),
            on: self.system.machine(),
        });
        self.owner.spawn_restarting(("kubernetes watch", name), move || {
            let (running, stop, watches) = (Arc::clone(&running), stop.clone(), Arc::clone(&watches));
            async move {
                loop {
                    run(&running, &stop).await;
                    let mut watches = watches.lock().unwrap_or_else(PoisonError::into_inner);
                    // Under the lock nobody begins to use it.
                    if stop.is_cancelled() || running.watched.is_idle() {
                        watches.remove(running.watched.key());
                        return;
                    }
                }
            }
        });
    }

    /// Waits for the turn to make a whole picture.
    pub(crate) async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        // It is never closed.
        Arc::clone(&self.pictures).acquire_owned().await.ok()
    }
}

impl Cluster {
    fn is_idle(&self) -> bool {
        self.watches.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }
}
