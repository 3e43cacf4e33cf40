//! What the user writes under `dockerswarm_sd_configs`.

use std::path::Path;
use std::time::Duration as StdDuration;

use rosterd_discovery::{Build, CheckContext, Discoverer, Error, Finding, Identity, MechanismConfig, Polling};
use rosterd_engine::{Engine, Events, Filter, Filters, Host};
use rosterd_model::{Duration, Problem};

use super::discoverer::Swarm;
use super::role::Role;

rosterd_client::with_http_client! {
    /// One entry of `dockerswarm_sd_configs`.
    #[derive(Debug, Clone, PartialEq)]
    pub struct DockerSwarmConfig {
        /// Where a manager of the swarm is: `unix:///path`, `tcp://host:port`, `http://` or `https://`.
        pub host: Host = Host::default(),
        /// What becomes targets.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub role: Option<Role> = None,
        /// The port of what publishes none, and of nodes.
        pub port: u16 = 80,
        /// Which services, tasks or nodes are asked for.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        pub filters: Vec<Filter> = Vec::new(),
        /// How often all is listed when no event hints at a change. An answer that takes longer is given up.
        pub refresh_interval: Duration = Duration::from_secs(60),
    }
}

impl MechanismConfig for DockerSwarmConfig {
    const MECHANISM: &'static str = "dockerswarm";

    type Metrics = ();
    type Shared = ();

    fn identity(&self, id: &mut Identity) {
        self.host.identity(&self.client, id);
        id.text("role", self.role.map_or("", Role::name));
        id.value("port", &self.port, &80);
        id.text("filters", Filters::of(&self.filters).json());
    }

    fn check(&self, _: &CheckContext) -> Vec<Problem> {
        let no_role = || Problem::new("role", "cfg_missing_key", "role is missing: write services, tasks or nodes");
        let no_role = self.role.is_none().then(no_role);
        self.host.check().into_iter().chain(no_role).chain(self.client.check()).collect()
    }

    fn resolve_paths(&mut self, base: &Path) {
        self.client.resolve_paths(base);
    }

    fn examine(&self, _: &CheckContext) -> Vec<Finding> {
        let missing = self.client.examine().into_iter().map(Finding::Missing);
        self.host.examine(&self.client).into_iter().chain(missing).collect()
    }

    fn refresh_interval(&self) -> Option<StdDuration> {
        Some(self.refresh_interval.into())
    }

    fn build(&self, cx: Build<'_, Self>) -> Result<Box<dyn Discoverer>, Error> {
        let interval = self.refresh_interval.into();
        let engine = Engine::new(&self.host, &self.client, interval, &cx)?;
        // Checks refuse a configuration without one.
        let role = self.role.unwrap_or(Role::Tasks);
        let events = Events::of(&engine, role.wanted(), &cx);
        Ok(Polling::boxed(Swarm::new(engine, events, role, Filters::of(&self.filters), self.port), interval))
    }
}

rosterd_discovery::register!(DockerSwarmConfig);
