//! What the user writes under `kuma_sd_configs`.

use std::path::Path;
use std::time::Duration as StdDuration;

use rosterd_client::SafeUrl;
use rosterd_discovery::{Build, CheckContext, Discoverer, Error, Finding, Identity, MechanismConfig};
use rosterd_model::{Duration, Problem};
use rosterd_rest::Api;

use super::discoverer::Kuma;
use super::metrics::KumaMetrics;

/// How much longer than it may be held back an answer may take.
const SLACK: StdDuration = StdDuration::from_secs(15);
/// Who asks, where nothing is known of that.
const NOBODY: &str = "rosterd";

rosterd_client::with_http_client! {
    /// One entry of `kuma_sd_configs`.
    #[derive(Debug, Clone, PartialEq)]
    pub struct KumaConfig {
        /// Where the control plane is. A query does not count.
        pub server: SafeUrl = SafeUrl::default(),
        /// Who asks. If it is empty, the name of the machine.
        #[serde(skip_serializing_if = "String::is_empty")]
        pub client_id: String = String::new(),
        /// The least time between the beginnings of two questions.
        pub refresh_interval: Duration = Duration::from_secs(15),
        /// How long the server may hold an answer back.
        pub fetch_timeout: Duration = Duration::from_secs(120),
    }
}

impl KumaConfig {
    /// The server without a query.
    fn place(&self) -> SafeUrl {
        match self.server.parse() {
            Some(Ok(mut url)) if url.query().is_some() => {
                url.set_query(None);
                SafeUrl::new(url)
            }
            _ => self.server.clone(),
        }
    }
}

impl MechanismConfig for KumaConfig {
    const MECHANISM: &'static str = "kuma";

    type Metrics = KumaMetrics;
    type Shared = ();

    fn identity(&self, id: &mut Identity) {
        id.url("server", &self.place());
        id.quietly(|id| id.text("client_id", &self.client_id));
        self.client.identity(id);
    }

    fn check(&self, _: &CheckContext) -> Vec<Problem> {
        self.server.check("server").into_iter().chain(self.client.check()).collect()
    }

    fn resolve_paths(&mut self, base: &Path) {
        self.client.resolve_paths(base);
    }

    fn examine(&self, _: &CheckContext) -> Vec<Finding> {
        self.client.examine().into_iter().map(Finding::Missing).collect()
    }

    fn refresh_interval(&self) -> Option<StdDuration> {
        Some(self.refresh_interval.into())
    }

    fn build(&self, cx: Build<'_, Self>) -> Result<Box<dyn Discoverer>, Error> {
        let hold: StdDuration = self.fetch_timeout.into();
        let api = Api::new(&self.place(), &self.client, hold.saturating_add(SLACK), &cx)?;
        let named = [self.client_id.as_str(), cx.system.name(), NOBODY].into_iter().find(|name| !name.is_empty());
        let client = named.unwrap_or(NOBODY).to_owned();
        Ok(Box::new(Kuma::new(api, client, hold, self.refresh_interval.into(), cx.metrics.clone())))
    }
}

rosterd_discovery::register!(KumaConfig);
