//! Lists containers and networks, again and again.

use std::sync::Arc;

use async_trait::async_trait;
use rosterd_discovery::{Error, Reading, Refresh};
use rosterd_engine::{Engine, Events, Filters, Wanted};
use rosterd_tasks::by_size;
use tokio::time::Instant;

use super::containers::{Container, Settings, groups};

/// About what a container takes.
const CONTAINER_BYTES: usize = 1024;

/// What happens to containers and networks that can change a target.
const ALWAYS: [&str; 9] = ["start", "die", "rename", "update", "create", "destroy", "connect", "disconnect", "remove"];
/// What happens to containers besides, and can change whether a filter fits.
const OF_STATUS: [&str; 4] = ["stop", "kill", "pause", "unpause"];
const OF_HEALTH: [&str; 1] = ["health_status"];

/// The events that can change what fits these filters.
pub(super) fn wanted(filters: &Filters) -> Wanted {
    let types = ["container", "network"].map(|kind| ("type", kind));
    let of_status = OF_STATUS.iter().filter(|_| filters.names("status"));
    let of_health = OF_HEALTH.iter().filter(|_| filters.names("health"));
    let events = ALWAYS.iter().chain(of_status).chain(of_health).map(|event| ("event", *event));
    Wanted { filters: types.into_iter().chain(events).collect(), echo: None }
}

pub(super) struct Docker {
    engine: Engine,
    events: Events,
    filters: Filters,
    settings: Arc<Settings>,
}

impl Docker {
    pub(super) fn new(engine: Engine, events: Events, filters: Filters, settings: Settings) -> Self {
        Self { engine, events, filters, settings: Arc::new(settings) }
    }
}

#[async_trait]
impl Refresh for Docker {
    async fn refresh(&mut self) -> Result<Reading, Error> {
        self.events.follow().await;
        let begun = Instant::now();
        let containers: Vec<Container> = self.engine.list("containers/json", &self.filters).await?;
        let networks = self.engine.list("networks", &Filters::default()).await?;
        self.events.listed(begun.elapsed());
        let settings = Arc::clone(&self.settings);
        let groups = by_size(CONTAINER_BYTES * containers.len(), move || groups(containers, networks, &settings)).await;
        Ok(Reading::Everything(groups))
    }

    async fn hint(&mut self) {
        self.events.next().await;
    }
}
