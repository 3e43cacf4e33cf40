//! Lists what a role needs, again and again.

use async_trait::async_trait;
use rosterd_discovery::{Error, Reading, Refresh};
use rosterd_engine::{Engine, Events, Filters, Networks};
use rosterd_model::TargetGroup;
use rosterd_tasks::by_size;
use tokio::time::Instant;

use super::groups::Making;
use super::labels::NETWORK;
use super::objects::{Node, Service, Task};
use super::role::Role;

/// About what a service, a task or a node takes.
const OBJECT_BYTES: usize = 1024;

pub(super) struct Swarm {
    engine: Engine,
    events: Events,
    role: Role,
    filters: Filters,
    port: u16,
}

impl Swarm {
    pub(super) fn new(engine: Engine, events: Events, role: Role, filters: Filters, port: u16) -> Self {
        Self { engine, events, role, filters, port }
    }

    async fn list(&mut self) -> Result<Vec<TargetGroup>, Error> {
        let (all, port) = (Filters::default(), self.port);
        Ok(match self.role {
            Role::Services => {
                let services: Vec<Service> = self.engine.list("services", &self.filters).await?;
                let making = Making::new(port, self.networks().await?);
                by_size(OBJECT_BYTES * services.len(), move || making.services(&services)).await
            }
            Role::Tasks => {
                let tasks: Vec<Task> = self.engine.list("tasks", &self.filters).await?;
                let services: Vec<Service> = self.engine.list("services", &all).await?;
                let nodes: Vec<Node> = self.engine.list("nodes", &all).await?;
                let making = Making::new(port, self.networks().await?);
                by_size(OBJECT_BYTES * tasks.len(), move || making.tasks(&tasks, &services, &nodes)).await
            }
            Role::Nodes => {
                let nodes: Vec<Node> = self.engine.list("nodes", &self.filters).await?;
                let making = Making::new(port, Networks::new(Vec::new(), &NETWORK));
                by_size(OBJECT_BYTES * nodes.len(), move || making.nodes(&nodes)).await
            }
        })
    }

    async fn networks(&mut self) -> Result<Networks, Error> {
        Ok(Networks::new(self.engine.list("networks", &Filters::default()).await?, &NETWORK))
    }
}

#[async_trait]
impl Refresh for Swarm {
    async fn refresh(&mut self) -> Result<Reading, Error> {
        self.events.follow().await;
        let begun = Instant::now();
        let groups = self.list().await?;
        self.events.listed(begun.elapsed());
        Ok(Reading::Everything(groups))
    }

    async fn hint(&mut self) {
        self.events.next().await;
    }
}
