//! What mechanisms have in one agent besides the configurations: their metrics, the state that their discoverers share, and the
//! machine.

use std::any::{Any, TypeId};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use rosterd_client::System;
use rosterd_tasks::{Guard, Stopper, Supervision, Threads};
use tokio::time::Instant;

use super::supervisor::ManagerError;
use crate::{AnyBuild, AnyConfig, Discoverer, Error, Mechanism, Registry};

/// How many discoverers of a mechanism are built at the same time.
const BUILDERS: usize = 16;
/// A build that takes longer hangs, as the disk with its certificates does. It holds up others of the mechanism no more, as long as not
/// too many hang; those of another mechanism never.
const HANGS: Duration = Duration::from_secs(10);
/// How many builds may hang besides, in all mechanisms together: each holds a thread.
const HUNG: usize = 128;

/// The equipment of all mechanisms. [`end`](Self::end) it after the discoverers that were built with it.
#[derive(Debug)]
pub struct Equipment {
    system: System,
    /// Catches panics in the reading of sources.
    guard: Guard,
    mechanisms: BTreeMap<&'static str, Equipped>,
    /// Where builds are that hang.
    hung: Threads,
}

#[derive(Debug)]
struct Equipped {
    metrics: Arc<dyn Any + Send + Sync>,
    shared: Shared,
    builders: Threads,
}

/// What the discoverers of a mechanism share, and of others that name the same type, once the first of them was built. Cloning shares
/// it.
#[derive(Debug, Clone)]
struct Shared {
    mechanism: Mechanism,
    supervision: Supervision,
    made: Arc<Mutex<Made>>,
}

#[derive(Debug, Default)]
struct Made {
    state: Option<Arc<dyn Any + Send + Sync>>,
    /// The owner of what it has spawned, behind those of attempts to make it that panicked.
    owners: Vec<Stopper>,
}

impl Shared {
    /// The state; the first who asks makes it. Should that panic, the next one tries again.
    fn get(&self, system: &System) -> Arc<dyn Any + Send + Sync> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(state) = &made.state {
            return Arc::clone(state);
        }
        made.owners.retain(|failed| {
            failed.token().cancel();
            !failed.running().is_empty()
        });
        let owner = Stopper::under(&self.supervision);
        made.owners.push(owner.clone());
        let state = (self.mechanism.share)(&owner, system);
        Arc::clone(made.state.insert(state))
    }

    /// Ends it. Returns the names of tasks that had to be aborted.
    async fn end(self, deadline: Instant) -> Vec<Arc<str>> {
        let Made { state, owners } = std::mem::take(&mut *self.made.lock().unwrap_or_else(PoisonError::into_inner));
        let stragglers = join_all(owners.iter().map(|owner| owner.stop_by(deadline))).await.concat();
        drop(state);
        stragglers
    }
}

/// What one mechanism has. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Tools {
    metrics: Arc<dyn Any + Send + Sync>,
    /// None of a mechanism that is not registered.
    shared: Option<Shared>,
    builders: Threads,
    system: System,
    guard: Guard,
}

impl Tools {
    /// Where discoverers of the mechanism are built.
    pub(super) fn builders(&self) -> &Threads {
        &self.builders
    }

    /// Builds a discoverer of the mechanism, and before the first one what they share.
    pub fn build(&self, config: &dyn AnyConfig, provider: &str) -> Result<Box<dyn Discoverer>, Error> {
        let shared = self.shared.as_ref().map_or_else(|| Arc::new(()) as _, |shared| shared.get(&self.system));
        let Self { metrics, system, guard, .. } = self;
        config.build(AnyBuild { metrics: &**metrics, shared: &shared, provider, system, guard })
    }
}

impl Equipment {
    /// Registers the metrics of all mechanisms. What they spawn is under the supervision. Fails when one is registered
    /// already.
    pub fn new(
        mechanisms: &Registry,
        registry: &prometheus::Registry,
        system: System,
        supervision: &Supervision,
    ) -> Result<Self, ManagerError> {
        let hung = Threads::new(HUNG);
        let mut made: BTreeMap<TypeId, Arc<Mutex<Made>>> = BTreeMap::new();
        let equip = |mechanism: &Mechanism| {
            let metrics = (mechanism.register_metrics)(registry)
                .map_err(|source| ManagerError::Metrics { part: mechanism.name, source })?;
            let made = Arc::clone(made.entry((mechanism.shared)()).or_default());
            let shared = Shared { mechanism: *mechanism, supervision: supervision.clone(), made };
            let builders = builders(&hung);
            Ok((mechanism.name, Equipped { metrics: Arc::from(metrics), shared, builders }))
        };
        let mechanisms = mechanisms.iter().map(equip).collect::<Result<_, _>>()?;
        Ok(Self { system, guard: supervision.guard("source"), mechanisms, hung })
    }

    /// The machine.
    pub fn system(&self) -> &System {
        &self.system
    }

    /// What a mechanism has. One that is not registered has neither metrics nor shared state.
    pub fn of(&self, mechanism: &str) -> Tools {
        let (system, guard) = (self.system.clone(), self.guard.clone());
        match self.mechanisms.get(mechanism) {
            Some(Equipped { metrics, shared, builders }) => {
                let (metrics, shared, builders) = (Arc::clone(metrics), Some(shared.clone()), builders.clone());
                Tools { metrics, shared, builders, system, guard }
            }
            None => Tools { metrics: Arc::new(()), shared: None, builders: builders(&self.hung), system, guard },
        }
    }

    /// Ends what is shared, all side by side. Returns the names of tasks that had to be aborted.
    pub async fn end(self, deadline: Instant) -> Vec<Arc<str>> {
        let ends = self.mechanisms.into_values().map(|equipped| equipped.shared.end(deadline));
        join_all(ends).await.concat()
    }
}

/// Where the discoverers of a mechanism are built.
fn builders(hung: &Threads) -> Threads {
    Threads::new(BUILDERS).giving_way(HANGS, hung)
}
