//! What the user writes under `kubelet_sd_configs`.

use std::path::Path;
use std::time::Duration as StdDuration;

use rosterd_client::SafeUrl;
use rosterd_discovery::{
    Build, CheckContext, Discoverer, Error, Finding, Identity, MechanismConfig, Permission, Polling,
};
use rosterd_model::{Duration, Problem};
use rosterd_rest::Api;

use super::discoverer::Kubelet;

/// How long an answer may take.
const TIMEOUT: StdDuration = StdDuration::from_secs(30);

rosterd_client::with_http_client! {
    /// One entry of `kubelet_sd_configs`.
    #[derive(Debug, Clone, PartialEq)]
    pub struct KubeletConfig {
        /// Where the kubelet is.
        pub url: SafeUrl = SafeUrl::new("https://localhost:10250"),
        /// The namespaces of the pods that become targets; all if there are none.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        pub namespaces: Vec<String> = Vec::new(),
        /// How often it is asked.
        pub refresh_interval: Duration = Duration::from_secs(5),
    }
}

impl MechanismConfig for KubeletConfig {
    const MECHANISM: &'static str = "kubelet";

    type Metrics = ();
    type Shared = ();

    fn identity(&self, id: &mut Identity) {
        id.url("url", &self.url);
        id.set("namespaces", &self.namespaces);
        self.client.identity(id);
    }

    fn check(&self, _: &CheckContext) -> Vec<Problem> {
        self.url.check("url").into_iter().chain(self.client.check()).collect()
    }

    fn resolve_paths(&mut self, base: &Path) {
        self.client.resolve_paths(base);
    }

    fn examine(&self, _: &CheckContext) -> Vec<Finding> {
        self.client.examine().into_iter().map(Finding::Missing).collect()
    }

    /// A kubelet asks the API server whether a token is good for it; what needs no TLS needs no token.
    fn permissions(&self, _: &str) -> Vec<Permission> {
        let needed = Permission { cluster: None, namespace: None, group: "", resource: "nodes/pods", verbs: &["get"] };
        let is_secure = matches!(self.url.parse(), Some(Ok(url)) if url.scheme() == "https");
        is_secure.then_some(needed).into_iter().collect()
    }

    fn refresh_interval(&self) -> Option<StdDuration> {
        Some(self.refresh_interval.into())
    }

    fn build(&self, cx: Build<'_, Self>) -> Result<Box<dyn Discoverer>, Error> {
        let api = Api::new(&self.url, &self.client, TIMEOUT, &cx)?;
        Ok(Polling::boxed(Kubelet::new(api, &self.namespaces), self.refresh_interval.into()))
    }
}

rosterd_discovery::register!(KubeletConfig);
