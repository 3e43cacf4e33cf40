//! The questions to Nomad.

use std::collections::BTreeSet;
use std::fmt;

use async_trait::async_trait;
use rosterd_discovery::Error;
use rosterd_model::TargetGroup;
use rosterd_rest::{Answer, Api, Catalog, Fault, Known};

use super::config::NomadConfig;
use super::decode;
use super::metrics::NomadMetrics;

const INDEX: &str = "x-nomad-index";

/// A service in its namespace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Service {
    pub(super) namespace: String,
    pub(super) name: String,
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

pub(super) struct Nomad {
    api: Api,
    region: String,
    namespace: String,
    allow_stale: bool,
    tag_separator: String,
    metrics: NomadMetrics,
}

impl Nomad {
    pub(super) fn new(config: &NomadConfig, api: Api, metrics: NomadMetrics) -> Self {
        Self {
            api,
            region: config.region.clone(),
            namespace: config.namespace.clone(),
            allow_stale: config.allow_stale,
            tag_separator: config.tag_separator.clone(),
            metrics,
        }
    }

    async fn ask<T: Send + 'static>(
        &self,
        path: &[&str],
        namespace: &str,
        known: Known,
        decode: impl FnOnce(&[u8]) -> Result<T, Fault> + Send + 'static,
    ) -> Result<Answer<T>, Error> {
        let question = self.api.get(path.iter().copied()).parameter_if_set("region", &self.region);
        let question = question.parameter_if_set("namespace", namespace);
        let question = if self.allow_stale { question.parameter("stale", "") } else { question };
        question.news(known, INDEX, decode).await.inspect_err(|_| self.metrics.failures.inc())
    }
}

#[async_trait]
impl Catalog for Nomad {
    type Name = Service;

    async fn names(&self, known: Known) -> Result<Answer<BTreeSet<Service>>, Error> {
        self.ask(&["v1", "services"], &self.namespace, known, decode::services).await
    }

    fn hints(&self) -> Vec<String> {
        vec![format!("{:?} {:?}", self.region, self.namespace)]
    }

    /// The list has another index when any instance has changed.
    async fn hint(&self, _: usize, known: Known) -> Result<Answer<()>, Error> {
        self.ask(&["v1", "services"], &self.namespace, known, |_| Ok(())).await
    }

    async fn group(&self, service: &Service, known: Known) -> Result<Answer<TargetGroup>, Error> {
        let separator = self.tag_separator.clone();
        let decode = move |body: &[u8]| decode::group(body, &separator);
        self.ask(&["v1", "service", &service.name], &service.namespace, known, decode).await
    }
}
