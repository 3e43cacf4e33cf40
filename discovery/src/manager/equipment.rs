//! What mechanisms have in one agent besides the configurations: their metrics, the state that their discoverers share, and the
//! machine.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;

use rosterd_client::System;
use rosterd_tasks::{Stopper, Supervision};
use tokio::time::Instant;

use super::supervisor::ManagerError;
use crate::{AnyBuild, AnyConfig, Discoverer, Error, Mechanism, Registry};

/// The equipment of all mechanisms. [`end`](Self::end) it after the discoverers that were built with it.
#[derive(Debug)]
pub struct Equipment {
    system: System,
    supervision: Supervision,
    mechanisms: BTreeMap<&'static str, Equipped>,
}

#[derive(Debug)]
struct Equipped {
    mechanism: Mechanism,
    metrics: Arc<dyn Any + Send + Sync>,
    shared: Option<Owned>,
}

/// Shared state, and the owner of what it has spawned.
#[derive(Debug)]
struct Owned {
    state: Arc<dyn Any + Send + Sync>,
    owner: Stopper,
}

/// What one mechanism has. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Tools {
    metrics: Arc<dyn Any + Send + Sync>,
    shared: Arc<dyn Any + Send + Sync>,
    system: System,
}

impl Tools {
    /// Builds a discoverer of the mechanism.
    pub fn build(&self, config: &dyn AnyConfig, provider: &str) -> Result<Box<dyn Discoverer>, Error> {
        config.build(AnyBuild { metrics: &*self.metrics, shared: &self.shared, provider, system: &self.system })
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
        let equip = |mechanism: &Mechanism| {
            let metrics = (mechanism.register_metrics)(registry)
                .map_err(|source| ManagerError::Metrics { part: mechanism.name, source })?;
            Ok((mechanism.name, Equipped { mechanism: *mechanism, metrics: Arc::from(metrics), shared: None }))
        };
        let mechanisms = mechanisms.iter().map(equip).collect::<Result<_, _>>()?;
        Ok(Self { system, supervision: supervision.clone(), mechanisms })
    }

    /// The machine.
    pub fn system(&self) -> &System {
        &self.system
    }

    /// What a mechanism has; its shared state is made when somebody asks for the first time. One that is not registered
    /// has neither metrics nor shared state.
    pub fn of(&mut self, mechanism: &str) -> Tools {
        let system = self.system.clone();
        let Some(equipped) = self.mechanisms.get_mut(mechanism) else {
            return Tools { metrics: Arc::new(()), shared: Arc::new(()), system };
        };
        let share = equipped.mechanism.share;
        let shared = equipped.shared.get_or_insert_with(|| {
            let owner = Stopper::under(&self.supervision);
            Owned { state: share(&owner, &system), owner }
        });
        Tools { metrics: Arc::clone(&equipped.metrics), shared: Arc::clone(&shared.state), system }
    }

    /// Ends what is shared, all side by side. Returns the names of tasks that had to be aborted.
    pub async fn end(self, deadline: Instant) -> Vec<Arc<str>> {
        let shared = self.mechanisms.into_values().filter_map(|equipped| equipped.shared);
        let ends = shared.map(|Owned { state, owner }| async move {
            let stragglers = owner.stop_by(deadline).await;
            drop(state);
            stragglers
        });
        futures_util::future::join_all(ends).await.concat()
    }
}
