//! What the user writes under `docker_sd_configs`.

use std::path::Path;
use std::time::Duration as StdDuration;

use rosterd_discovery::{Build, CheckContext, Discoverer, Error, Finding, Identity, MechanismConfig, Polling};
use rosterd_engine::{Engine, Events, Filter, Filters, Host};
use rosterd_model::{Duration, Problem};

use super::containers::Settings;
use super::discoverer::{Docker, wanted};

rosterd_client::with_http_client! {
    /// One entry of `docker_sd_configs`.
    #[derive(Debug, Clone, PartialEq)]
    pub struct DockerConfig {
        /// Where the engine is: `unix:///path`, `tcp://host:port`, `http://` or `https://`.
        pub host: Host = Host::default(),
        /// The port of containers that expose none.
        pub port: u16 = 80,
        /// Which containers are asked for. Without any, those that run.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        pub filters: Vec<Filter> = Vec::new(),
        /// The address of containers on the network of their host.
        pub host_networking_host: String = "localhost".to_owned(),
        /// Whether of several networks only the first by name counts.
        pub match_first_network: bool = true,
        /// How often containers are listed when no event hints at a change. An answer that takes longer is given up.
        pub refresh_interval: Duration = Duration::from_secs(60),
    }
}

impl MechanismConfig for DockerConfig {
    const MECHANISM: &'static str = "docker";

    type Metrics = ();
    type Shared = ();

    fn identity(&self, id: &mut Identity) {
        self.host.identity(&self.client, id);
        id.value("port", &self.port, &80);
        id.text("filters", Filters::of(&self.filters).json());
        id.value("host_networking_host", &&*self.host_networking_host, &"localhost");
        id.value("match_first_network", &self.match_first_network, &true);
    }

    fn check(&self, _: &CheckContext) -> Vec<Problem> {
        self.host.check().into_iter().chain(self.client.check()).collect()
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
        let filters = Filters::of(&self.filters);
        let events = Events::of(&engine, wanted(&filters), &cx);
        let settings = Settings {
            port: self.port,
            host_networking_host: self.host_networking_host.clone(),
            match_first_network: self.match_first_network,
        };
        Ok(Polling::boxed(Docker::new(engine, events, filters, settings), interval))
    }
}

rosterd_discovery::register!(DockerConfig);
