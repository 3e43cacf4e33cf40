//! The tasks of the manager: one for each provider, which builds its discoverer, runs it, builds it again when it
//! ends, and forwards its news.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use futures_util::future::join_all;
use rosterd_client::System;
use rosterd_model::{Coded, Priority, TargetGroup};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::{info, warn};

use super::equipment::{Equipment, Tools};
use super::known::Known;
use super::pending::Pending;
use super::plan::{Plan, Providers};
use super::provider::{ProviderKey, ProviderStatus};
use super::update::Update;
use crate::error::RunError;
use crate::metrics::{Metrics, ProviderMetrics};
use crate::{AnyConfig, Context, Error, Presence, Registry, StatusHandle, Updates};
use rosterd_tasks::{Guard, Machine, Schedule, Stopper, Supervision, portion};

/// The share of the time for a shutdown that providers have; the rest is for what they share.
const PROVIDERS: f64 = 0.8;
/// A discoverer that keeps ending is built again at most once in this time.
const LONGEST_RESTART: Duration = Duration::from_secs(60);

/// The discovery configurations of each job.
pub type Jobs = BTreeMap<Arc<str>, Vec<Arc<dyn AnyConfig>>>;

/// The manager could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ManagerError {
    /// A metric of discovery is registered already.
    #[error("cannot register the metrics of {part}")]
    Metrics {
        /// The mechanism, or `discovery`.
        part: &'static str,
        /// Why.
        source: prometheus::Error,
    },
}

impl Coded for ManagerError {
    fn code(&self) -> &'static str {
        "sd_metrics"
    }

    fn priority(&self) -> Priority {
        Priority::Operator
    }
}

/// What [`Manager::apply`] did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied {
    /// How many providers were started.
    pub started: usize,
    /// How many were stopped, all of which have ended.
    pub stopped: usize,
    /// Tasks that did not end in time and were aborted.
    pub stragglers: Vec<Arc<str>>,
}

/// Runs the providers of one agent.
///
/// It owns their tasks: what it stopped has ended, or is named in [`Applied::stragglers`], before `apply` returns.
#[derive(Debug)]
pub struct Manager {
    equipment: Equipment,
    metrics: Metrics,
    sink: mpsc::Sender<Update>,
    supervision: Supervision,
    running: BTreeMap<ProviderKey, Running>,
    /// Those that were asked to end, until they have.
    stopping: Vec<(ProviderKey, Running)>,
    directory: Directory,
}

/// The providers that run, for readers beside the manager. Cloning shares it.
#[derive(Debug, Clone, Default)]
pub struct Directory(Arc<Mutex<Vec<Listed>>>);

#[derive(Debug)]
struct Listed {
    key: ProviderKey,
    jobs: Vec<Arc<str>>,
    status: StatusHandle,
}

impl Directory {
    /// All providers with their state, by key.
    pub fn list(&self) -> Vec<ProviderStatus> {
        let listed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let statuses = listed.iter().map(|Listed { key, jobs, status }| ProviderStatus {
            key: key.clone(),
            jobs: jobs.clone(),
            status: status.get(),
        });
        statuses.collect()
    }
}

#[derive(Debug)]
struct Running {
    config: Arc<dyn AnyConfig>,
    stopper: Stopper,
    status: StatusHandle,
}

impl Manager {
    /// A manager without providers, on this machine. News go to `sink`; when it is full, they are coalesced. Panics go to
    /// `supervision`.
    pub fn new(
        mechanisms: &Registry,
        registry: &prometheus::Registry,
        system: System,
        sink: mpsc::Sender<Update>,
        supervision: &Supervision,
    ) -> Result<Self, ManagerError> {
        let metrics =
            Metrics::register(registry).map_err(|source| ManagerError::Metrics { part: "discovery", source })?;
        let equipment = Equipment::new(mechanisms, registry, system, supervision)?;
        Ok(Self {
            equipment,
            metrics,
            sink,
            supervision: supervision.clone(),
            running: BTreeMap::new(),
            stopping: Vec::new(),
            directory: Directory::default(),
        })
    }

    /// What would be started and stopped for these jobs, and which providers each job has.
    pub fn plan(&self, jobs: &Jobs) -> Plan {
        let running: Providers = self.running.iter().map(|(key, run)| (key.clone(), Arc::clone(&run.config))).collect();
        Plan::new(&running, jobs)
    }

    /// Stops providers side by side, and starts others; those that the plan does not name run on undisturbed. What has not
    /// ended by the deadline is aborted. When it is dropped half-way, nothing more is started, and what was to be stopped is
    /// left to [`shutdown`](Self::shutdown).
    pub async fn apply(&mut self, plan: Plan, deadline: Instant) -> Applied {
        self.stopping.extend(plan.stop.iter().filter_map(|key| self.running.remove_entry(key)));
        let (started, stopped) = (plan.start.len(), self.stopping.len());
        let applied = Applied { started, stopped, stragglers: self.stopped(deadline).await };
        for (key, config) in plan.start {
            self.start(key, config);
        }
        self.list(&plan.jobs);
        self.metrics.providers.set(i64::try_from(self.running.len()).unwrap_or(i64::MAX));
        applied
    }

    /// Stops all providers side by side, and then what those of a mechanism share, within the deadline. Returns the names of
    /// tasks that had to be aborted.
    pub async fn shutdown(mut self, deadline: Instant) -> Vec<Arc<str>> {
        self.stopping.extend(std::mem::take(&mut self.running));
        let mut stragglers = self.stopped(portion(deadline, PROVIDERS)).await;
        stragglers.extend(self.equipment.end(deadline).await);
        stragglers
    }

    /// Where others see the providers.
    pub fn directory(&self) -> Directory {
        self.directory.clone()
    }

    fn list(&self, jobs: &BTreeMap<Arc<str>, Vec<ProviderKey>>) {
        let jobs_of = |key: &ProviderKey| {
            let users = jobs.iter().filter(|(_, keys)| keys.contains(key));
            users.map(|(job, _)| Arc::clone(job)).collect()
        };
        let listed = self.running.iter().map(|(key, running)| Listed {
            key: key.clone(),
            jobs: jobs_of(key),
            status: running.status.clone(),
        });
        *self.directory.0.lock().unwrap_or_else(PoisonError::into_inner) = listed.collect();
    }

    fn start(&mut self, key: ProviderKey, config: Arc<dyn AnyConfig>) {
        let provider = Provider {
            key: key.clone(),
            config: Arc::clone(&config),
            tools: self.equipment.of(config.mechanism()),
            machine: self.equipment.system().machine(),
            metrics: self.metrics.provider(config.mechanism(), key.as_str()),
            status: StatusHandle::default(),
            stopper: Stopper::under(&self.supervision),
            sink: self.sink.clone(),
            build: self.supervision.guard("build"),
            known: Known::default(),
            synced: false,
        };
        let running = Running { config, stopper: provider.stopper.clone(), status: provider.status.clone() };
        info!(provider = key.as_str(), "provider started");
        // One that begins again knows nothing, and tells the whole picture first.
        running.stopper.spawn_restarting(("provider", key.as_str()), move || provider.clone().run());
        self.running.insert(key, running);
    }

    /// Waits until those have ended that are to. Returns the names of tasks that had to be aborted.
    async fn stopped(&mut self, deadline: Instant) -> Vec<Arc<str>> {
        let late = join_all(self.stopping.iter().map(|(_, running)| running.stopper.stop_by(deadline))).await;
        for ((key, running), late) in self.stopping.drain(..).zip(&late) {
            for name in late {
                warn!(provider = key.as_str(), task = &**name, "task did not end in time and was aborted");
            }
            self.metrics.stragglers.inc_by(late.len() as u64);
            self.metrics.forget(running.config.mechanism(), key.as_str());
            info!(provider = key.as_str(), "provider stopped");
        }
        late.concat()
    }
}

/// A provider at work.
#[derive(Clone)]
struct Provider {
    key: ProviderKey,
    config: Arc<dyn AnyConfig>,
    tools: Tools,
    machine: Machine,
    metrics: ProviderMetrics,
    status: StatusHandle,
    stopper: Stopper,
    sink: mpsc::Sender<Update>,
    build: Guard,
    known: Known,
    synced: bool,
}

impl Provider {
    /// Builds and runs the discoverer until it is stopped, again and again.
    async fn run(mut self) {
        let stop = self.stopper.token().clone();
        let mut restarts = Schedule::new(LONGEST_RESTART, self.key.as_str()).on(self.machine);
        loop {
            let built = self.build.call(&self.key.as_str(), || self.tools.build(&*self.config, self.key.as_str()));
            let error = match built {
                Ok(Ok(discoverer)) => match self.attend(discoverer).await {
                    None => return,
                    Some((error, sent)) => {
                        if sent {
                            restarts.succeeded();
                        }
                        error
                    }
                },
                Ok(Err(error)) => error,
                Err(panicked) => RunError::Panicked { message: panicked.0 }.into(),
            };
            self.metrics.restarts.inc();
            let wait = restarts.failed(error.retry());
            let provider = self.key.as_str();
            warn!(%error, code = error.code(), provider, retry_in = ?wait, "discoverer ended, keeping its targets");
            self.status.failed(error.report(), SystemTime::now().checked_add(wait));
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Runs one discoverer and forwards what it sends. `None` when it was stopped, otherwise why it ended and whether
    /// it had sent anything.
    async fn attend(&mut self, discoverer: Box<dyn crate::Discoverer>) -> Option<(Error, bool)> {
        let stop = self.stopper.token().child_token();
        // Should this end by a panic, the discoverer is not left behind.
        let _end = stop.clone().drop_guard();
        let sink = self.sink.clone();
        let (up, mut updates) = Updates::channel(stop.clone());
        let cx = Context {
            stop: stop.clone(),
            provider: self.key.shared(),
            machine: self.machine,
            metrics: self.metrics.clone(),
            status: self.status.clone(),
        };
        let task = self.stopper.spawn(("discoverer", &self.key), discoverer.run(cx, up));
        let mut first = true;
        while let Some(groups) = updates.recv().await {
            let mut pending = self.take(groups, std::mem::take(&mut first)).map(Pending::new);
            // While the roster is busy, later news are merged into what waits.
            while let Some(mut waiting) = pending.take() {
                tokio::select! {
                    biased;
                    () = stop.cancelled() => break,
                    permit = sink.reserve() => match permit {
                        Ok(permit) => permit.send(waiting.into_update()),
                        Err(_) => break,
                    },
                    Some(groups) = updates.recv() => {
                        if let Some(later) = self.take(groups, false) {
                            waiting.merge(later);
                        }
                        pending = Some(waiting);
                    }
                }
            }
        }
        let ended = task.await;
        if stop.is_cancelled() {
            return None;
        }
        let error = match ended {
            Some(Ok(Err(error))) => error,
            Some(Ok(Ok(()))) | None => RunError::EndedUnasked.into(),
            Some(Err(panicked)) => RunError::Panicked { message: panicked.0 }.into(),
        };
        Some((error, !first))
    }

    /// The news in what a discoverer sent, `None` if there are none.
    fn take(&mut self, groups: Vec<TargetGroup>, whole: bool) -> Option<Update> {
        self.metrics.updates_received.inc();
        let news = if whole { self.known.picture(groups, |_| false) } else { self.known.changed(groups) };
        // The first update of a provider is the whole picture, the first word of a discoverer built again a difference.
        let first = whole && !self.synced;
        self.synced |= whole;
        self.metrics.groups_changed.inc_by(news.len() as u64);
        self.metrics.targets.set(i64::try_from(self.known.targets()).unwrap_or(i64::MAX));
        self.metrics.synced.set(i64::from(self.synced));
        let (known_groups, targets) = (self.known.groups(), self.known.targets());
        self.status.update(|status| {
            status.presence = Presence::Synced;
            status.groups = known_groups;
            status.targets = targets;
            if whole {
                status.last_error = None;
            }
            status.last_success = Some(SystemTime::now());
        });
        (first || !news.is_empty()).then(|| Update {
            provider: self.key.clone(),
            whole: first,
            groups: news.groups,
            gone: news.gone,
            unread: Arc::default(),
        })
    }
}
