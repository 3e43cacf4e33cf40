//! Asks the control plane again as soon as it has answered, but not more often than the interval says.

use std::time::Duration;

use async_trait::async_trait;
use rosterd_discovery::{Context, Discoverer, Error, Updates};
use rosterd_model::TargetGroup;
use rosterd_rest::Api;
use serde::Serialize;
use tokio::time::Instant;

use super::assignments::{ASSIGNMENT, Known, read};
use super::metrics::KumaMetrics;

pub(super) struct Kuma {
    api: Api,
    client: String,
    hold: Duration,
    interval: Duration,
    known: Known,
    metrics: KumaMetrics,
}

/// A question, as the server reads it: it refuses what it does not know.
#[derive(Serialize)]
struct Question<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    version_info: &'a str,
    node: Node<'a>,
    type_url: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    response_nonce: &'a str,
}

#[derive(Serialize)]
struct Node<'a> {
    id: &'a str,
}

impl Kuma {
    pub(super) fn new(api: Api, client: String, hold: Duration, interval: Duration, metrics: KumaMetrics) -> Self {
        Self { api, client, hold, interval, known: Known::default(), metrics }
    }

    /// What is new, with what is known then; nothing if there is nothing new.
    async fn fetch(&self) -> Result<Option<(Known, Vec<TargetGroup>)>, Error> {
        let Known { version, nonce } = &self.known;
        let node = Node { id: &self.client };
        let question = Question { version_info: version, node, type_url: ASSIGNMENT, response_nonce: nonce };
        let body = serde_json::to_vec(&question).expect("a struct of texts can be written");
        let asked = self.api.post(["v3", "discovery:monitoringassignments"], body);
        // As Go reads it.
        let asked = asked.parameter("fetch-timeout", &format!("{}ms", self.hold.as_millis()));
        // Of who knows nothing, all is news.
        if version.is_empty() { asked.read(read).await.map(Some) } else { asked.read_modified(read).await }
    }
}

#[async_trait]
impl Discoverer for Kuma {
    async fn run(mut self: Box<Self>, cx: Context, up: Updates) -> Result<(), Error> {
        let mut schedule = cx.schedule(self.interval);
        loop {
            let begun = Instant::now();
            let fetched = tokio::select! {
                biased;
                () = cx.stop.cancelled() => return Ok(()),
                fetched = self.fetch() => fetched,
            };
            let took = begun.elapsed();
            cx.took(took);
            self.metrics.duration.observe(took.as_secs_f64());
            let wait = match fetched {
                Ok(Some((known, groups))) => {
                    up.everything(groups).await?;
                    // Only what was taken is known: the server answers 304 to who says that he knows.
                    self.known = known;
                    schedule.succeeded().saturating_sub(took)
                }
                Ok(None) => {
                    self.metrics.skipped.inc();
                    up.unchanged().await?;
                    schedule.succeeded().saturating_sub(took)
                }
                Err(error) => {
                    self.metrics.failures.inc();
                    let wait = schedule.failed(error.retry());
                    cx.failed(&error, Some(wait));
                    wait
                }
            };
            cx.next_try(wait);
            tokio::select! {
                biased;
                () = cx.stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(wait) => {}
            }
        }
    }
}
