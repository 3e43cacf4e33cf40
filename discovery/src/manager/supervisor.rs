//! The manager itself: starts and stops the providers that a configuration needs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::join_all;
use rosterd_client::{Reads, System};
use rosterd_model::{Coded, Priority};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::{info, warn};

use super::attention::Attention;
use super::equipment::Equipment;
use super::memory::Memory;
use super::plan::{Plan, Providers};
use super::provider::{ProviderKey, ProviderStatus};
use super::task::Provider;
use super::update::Update;
use crate::metrics::Metrics;
use crate::status::StatusHandle;
use crate::{AnyConfig, Registry, watch};
use rosterd_tasks::{Stopper, Supervision, blocking, portion};

/// The share of the time for a shutdown that providers have; the rest is for what they share.
const PROVIDERS: f64 = 0.8;

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
    reads: Arc<Reads>,
    status: StatusHandle,
}

impl Directory {
    /// All providers with their state, by key.
    pub fn list(&self) -> Vec<ProviderStatus> {
        let listed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let used: Vec<_> = listed.iter().map(|one| (&*one.jobs, one.status.watched())).collect();
        let statuses = listed.iter().zip(watch::shared(&used)).map(|(Listed { key, jobs, reads, status }, watches)| {
            let (key, jobs, reads) = (key.clone(), jobs.clone(), Arc::clone(reads));
            ProviderStatus { key, jobs, reads, status: status.get(), watches }
        });
        statuses.collect()
    }
}

#[derive(Debug)]
struct Running {
    config: Arc<dyn AnyConfig>,
    reads: Arc<Reads>,
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

    /// What would be started and stopped for these jobs, and which providers each job has. Made aside: the keys of
    /// configurations with secrets are slow to make on purpose.
    pub async fn plan(&self, jobs: Jobs) -> Plan {
        let running: Providers = self.running.iter().map(|(key, run)| (key.clone(), Arc::clone(&run.config))).collect();
        let system = self.equipment.system().clone();
        blocking(move || Plan::new(&running, &jobs, &system)).await
    }

    /// Stops providers side by side, and starts others; those that the plan does not name run on undisturbed. What has not
    /// ended by the deadline is aborted. When it is dropped half-way, nothing more is started, and what was to be stopped is
    /// left to [`shutdown`](Self::shutdown).
    pub async fn apply(&mut self, plan: Plan, deadline: Instant) -> Applied {
        self.stopping.extend(plan.stop.iter().filter_map(|key| self.running.remove_entry(key)));
        let (started, stopped) = (plan.start.len(), self.stopping.len());
        let applied = Applied { started, stopped, stragglers: self.stopped(deadline).await };
        let users = users(&plan.jobs);
        for (key, config) in plan.start {
            let jobs = users.get(&key).map_or(&[][..], Vec::as_slice);
            let reads = plan.reads.get(&key).cloned().unwrap_or_default();
            self.start(key, config, reads, jobs);
        }
        self.list(&users);
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

    fn list(&self, users: &BTreeMap<ProviderKey, Vec<Arc<str>>>) {
        let listed = self.running.iter().map(|(key, running)| {
            let (jobs, status) = (users.get(key).cloned().unwrap_or_default(), running.status.clone());
            status.used_by(&jobs);
            Listed { key: key.clone(), jobs, reads: Arc::clone(&running.reads), status }
        });
        let listed: Vec<_> = listed.collect();
        let now = uses(&listed);
        let before = std::mem::replace(&mut *self.directory.0.lock().unwrap_or_else(PoisonError::into_inner), listed);
        for (key, job) in uses(&before).difference(&now) {
            self.metrics.unused(key.mechanism(), key.as_str(), job);
        }
        for (key, job) in &now {
            self.metrics.used(key.mechanism(), key.as_str(), job);
        }
    }

    fn start(&mut self, key: ProviderKey, config: Arc<dyn AnyConfig>, reads: Arc<Reads>, jobs: &[Arc<str>]) {
        let status = StatusHandle::default();
        status.used_by(jobs);
        let provider = Provider {
            key: key.clone(),
            config: Arc::clone(&config),
            tools: self.equipment.of(config.mechanism()),
            machine: self.equipment.system().machine(),
            metrics: self.metrics.provider(config.mechanism(), key.as_str()),
            attention: Attention::of(status.clone()),
            status,
            stopper: Stopper::under(&self.supervision),
            sink: self.sink.clone(),
            memory: Memory::default(),
        };
        info!(provider = key.as_str(), jobs = &*provider.status.jobs(), %reads, "provider started");
        let running = Running { config, reads, stopper: provider.stopper.clone(), status: provider.status.clone() };
        // One that begins again knows nothing, and tells the whole picture first.
        running.stopper.spawn_restarting(("provider", key.as_str()), move || provider.clone().run());
        self.running.insert(key, running);
    }

    /// Waits until those have ended that are to. Returns the names of tasks that had to be aborted.
    async fn stopped(&mut self, deadline: Instant) -> Vec<Arc<str>> {
        let late = join_all(self.stopping.iter().map(|(_, running)| running.stopper.stop_by(deadline))).await;
        for ((key, running), late) in self.stopping.drain(..).zip(&late) {
            for name in late {
                warn!(
                    provider = key.as_str(),
                    jobs = &*running.status.jobs(),
                    task = &**name,
                    "task did not end in time and was aborted"
                );
            }
            self.metrics.stragglers.inc_by(late.len() as u64);
            self.metrics.forget(running.config.mechanism(), key.as_str());
            info!(provider = key.as_str(), jobs = &*running.status.jobs(), "provider stopped");
        }
        late.concat()
    }
}

/// Each provider with each job that uses it.
fn uses(listed: &[Listed]) -> BTreeSet<(ProviderKey, Arc<str>)> {
    let uses = listed.iter().flat_map(|it| it.jobs.iter().map(|job| (it.key.clone(), Arc::clone(job))));
    uses.collect()
}

/// The jobs that use each provider.
fn users(jobs: &BTreeMap<Arc<str>, Vec<ProviderKey>>) -> BTreeMap<ProviderKey, Vec<Arc<str>>> {
    let mut users: BTreeMap<ProviderKey, Vec<Arc<str>>> = BTreeMap::new();
    for (job, keys) in jobs {
        keys.iter().for_each(|key| users.entry(key.clone()).or_default().push(Arc::clone(job)));
    }
    users
}
