//! One run of a discoverer, in the place of the manager.

use std::collections::BTreeMap;
use std::time::Duration;

use rosterd_discovery::metrics::ProviderMetrics;
use rosterd_discovery::{
    AnyConfig, Context, Discoverer, Equipment, Error, Registry, Status, StatusHandle, System, Updates,
};
use rosterd_model::TargetGroup;
use rosterd_tasks::{Machine, Stopper, Supervision, Task};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::patience;

/// How long "soon after `stop` fires" is.
pub(super) const SOON: Duration = Duration::from_secs(10);
const PROVIDER: &str = "test/1";

/// A running discoverer and what it has reported. It has to be [stopped](Self::stop).
#[derive(Debug)]
pub struct Run {
    stopper: Stopper,
    task: Task<Result<(), Error>>,
    updates: mpsc::Receiver<Vec<TargetGroup>>,
    picture: BTreeMap<Box<str>, TargetGroup>,
    context: Context,
    equipment: Option<Equipment>,
}

impl Run {
    /// Builds a discoverer and runs it.
    pub async fn start(config: &dyn AnyConfig) -> Result<Self, Error> {
        Self::with_equipment(config, |_| ()).await
    }

    /// Runs a discoverer.
    pub fn of(discoverer: Box<dyn Discoverer>) -> Self {
        Self::begin(discoverer, |_| ())
    }

    /// Runs a discoverer whose channel is full from the start, so that its first send waits for ever.
    pub(super) async fn blocked(config: &dyn AnyConfig) -> Result<Self, Error> {
        Self::with_equipment(config, |up| {
            let filled = std::pin::pin!(up.send(Vec::new()));
            let mut nobody = std::task::Context::from_waker(std::task::Waker::noop());
            assert!(filled.poll(&mut nobody).is_ready(), "a new channel takes one update");
        })
        .await
    }

    /// Builds the discoverer with what its mechanism has in an agent of its own.
    async fn with_equipment(config: &dyn AnyConfig, prepare: impl FnOnce(&Updates)) -> Result<Self, Error> {
        let mechanisms = Registry::new([config.registration()], []).expect("one mechanism has one name");
        let metrics = prometheus::Registry::new();
        let mut equipment = Equipment::new(&mechanisms, &metrics, System::default(), &Supervision::default())
            .expect("an empty registry takes all names");
        match equipment.of(config.mechanism()).build(config, PROVIDER) {
            Ok(discoverer) => Ok(Self { equipment: Some(equipment), ..Self::begin(discoverer, prepare) }),
            Err(error) => {
                equipment.end(Instant::now() + SOON).await;
                Err(error)
            }
        }
    }

    fn begin(discoverer: Box<dyn Discoverer>, prepare: impl FnOnce(&Updates)) -> Self {
        let stopper = Stopper::new();
        let context = Context {
            stop: stopper.token().clone(),
            provider: PROVIDER.into(),
            machine: Machine::default(),
            metrics: ProviderMetrics::detached(),
            status: StatusHandle::default(),
        };
        let (up, updates) = Updates::channel(context.stop.clone());
        prepare(&up);
        let task = stopper.spawn("discoverer under test", discoverer.run(context.clone(), up));
        Self { stopper, task, updates, picture: BTreeMap::new(), context, equipment: None }
    }

    /// The next update; `None` when the run has ended, or none came within [`patience`].
    pub async fn next(&mut self) -> Option<Vec<TargetGroup>> {
        let update = tokio::time::timeout(patience(), self.updates.recv()).await.ok()??;
        Some(self.apply(update))
    }

    /// An update that has arrived already.
    pub fn try_next(&mut self) -> Option<Vec<TargetGroup>> {
        let update = self.updates.try_recv().ok()?;
        Some(self.apply(update))
    }

    fn apply(&mut self, update: Vec<TargetGroup>) -> Vec<TargetGroup> {
        for group in &update {
            if group.targets.is_empty() {
                self.picture.remove(&group.source);
            } else {
                self.picture.insert(group.source.clone(), group.clone());
            }
        }
        update
    }

    /// All groups that have targets, after all updates so far.
    pub fn picture(&self) -> impl Iterator<Item = &TargetGroup> {
        self.picture.values()
    }

    /// What the discoverer says about itself.
    pub fn status(&self) -> Status {
        self.context.status.get()
    }

    /// Whether the run has ended by itself.
    pub fn has_ended(&self) -> bool {
        self.stopper.running().is_empty()
    }

    /// Whether the discoverer has counted or reported a failed read, or has ended.
    pub fn has_failed(&self) -> bool {
        self.context.metrics.refresh_failures.get() > 0 || self.status().last_error.is_some() || self.has_ended()
    }

    /// Asks the discoverer to end. Fails, with the reason, when it does not end soon, or has panicked.
    pub async fn stop(self) -> Result<Result<(), Error>, String> {
        let mut stragglers = self.stopper.stop(SOON).await;
        if let Some(equipment) = self.equipment {
            stragglers.extend(equipment.end(Instant::now() + SOON).await);
        }
        if !stragglers.is_empty() {
            return Err(format!("the run did not end within {SOON:?} after it was stopped"));
        }
        match self.task.await {
            Some(Ok(result)) => Ok(result),
            Some(Err(panicked)) => Err(format!("the run panicked: {panicked}")),
            None => Err("the run was aborted".to_owned()),
        }
    }
}
