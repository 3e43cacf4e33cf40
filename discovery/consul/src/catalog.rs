//! The questions to Consul.

use std::collections::BTreeSet;

use async_trait::async_trait;
use prometheus::Histogram;
use rosterd_discovery::Error;
use rosterd_model::TargetGroup;
use rosterd_rest::{Answer, Catalog, Fault, Known, Question};
use tokio::sync::OnceCell;
use tokio::time::Instant;

use super::access::Consul;
use super::config::ConsulConfig;
use super::decode;
use super::metrics::ConsulMetrics;

const INDEX: &str = "x-consul-index";

/// What has another index when any instance or any check has changed, each with a filter that leaves nothing of it.
const HINTS: [(&[&str], &str); 2] =
    [(&["v1", "catalog", "services"], "ServiceName == \"\""), (&["v1", "health", "state", "any"], "Node == \"\"")];

/// The services of a catalog.
pub(super) struct Services {
    consul: Consul,
    config: ConsulConfig,
    /// That of the server, unless the configuration names one.
    datacenter: OnceCell<String>,
    metrics: ConsulMetrics,
}

impl Services {
    pub(super) fn new(config: &ConsulConfig, consul: Consul, metrics: ConsulMetrics) -> Self {
        let datacenter = Some(config.datacenter.clone()).filter(|name| !name.is_empty());
        Self { consul, config: config.clone(), datacenter: OnceCell::new_with(datacenter), metrics }
    }

    fn question(&self, path: &[&str]) -> Question {
        let question = self.consul.get(path).parameter_if_set("dc", &self.config.datacenter);
        let question = question.parameter_if_set("ns", &self.config.namespace);
        question.parameter_if_set("partition", &self.config.partition)
    }

    async fn ask<T: Send + 'static>(
        &self,
        mut question: Question,
        filter: &str,
        known: Known,
        duration: &Histogram,
        decode: impl FnOnce(&[u8]) -> Result<T, Fault> + Send + 'static,
    ) -> Result<Answer<T>, Error> {
        if self.config.allow_stale {
            question = question.parameter("stale", "");
        }
        for (key, value) in &self.config.node_meta {
            question = question.parameter("node-meta", &format!("{key}:{value}"));
        }
        let asked = Instant::now();
        let answer = question.parameter_if_set("filter", filter).news(known, INDEX, decode).await;
        duration.observe(asked.elapsed().as_secs_f64());
        answer.inspect_err(|_| self.metrics.failures.inc())
    }
}

#[async_trait]
impl Catalog for Services {
    type Name = String;

    async fn prepare(&self) -> Result<(), Error> {
        let ask = async || self.question(&["v1", "agent", "self"]).read(decode::datacenter).await;
        let asked = self.datacenter.get_or_try_init(ask).await;
        asked.map(drop).inspect_err(|_| self.metrics.failures.inc())
    }

    fn fixed(&self) -> Option<BTreeSet<String>> {
        let ConsulConfig { services, tags, filter, .. } = &self.config;
        let are_fixed = !services.is_empty() && tags.is_empty() && filter.is_empty();
        are_fixed.then(|| services.iter().cloned().collect())
    }

    async fn names(&self, known: Known) -> Result<Answer<BTreeSet<String>>, Error> {
        let (services, tags) = (self.config.services.clone(), self.config.tags.clone());
        let decode = move |body: &[u8]| decode::services(body, &services, &tags);
        let question = self.question(&["v1", "catalog", "services"]);
        self.ask(question, &self.config.filter, known, &self.metrics.services, decode).await
    }

    fn hints(&self) -> Vec<String> {
        // Who may see what does not count: an index is that of all.
        let ConsulConfig { datacenter, namespace, partition, .. } = &self.config;
        HINTS.map(|(path, _)| format!("{path:?} {datacenter:?} {namespace:?} {partition:?}")).into()
    }

    async fn hint(&self, number: usize, known: Known) -> Result<Answer<()>, Error> {
        let Some((path, nothing)) = HINTS.get(number) else { return Ok(Answer { index: known.index, news: None }) };
        let question = self.question(path).parameter_if_set("filter", nothing);
        let question = if self.config.allow_stale { question.parameter("stale", "") } else { question };
        question.news(known, INDEX, |_| Ok(())).await
    }

    async fn group(&self, service: &String, known: Known) -> Result<Answer<TargetGroup>, Error> {
        let datacenter = self.datacenter.get().cloned().unwrap_or_default();
        let (name, separator) = (service.clone(), self.config.tag_separator.clone());
        let decode = move |body: &[u8]| decode::group(body, &name, &datacenter, &separator);
        let mut question = self.question(&["v1", "health", "service", service]);
        for tag in &self.config.tags {
            question = question.parameter("tag", tag);
        }
        self.ask(question, &self.config.health_filter, known, &self.metrics.service, decode).await
    }
}
