//! Asks a kubelet for its pods, again and again. A list that is the same as the last one costs a hash.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use rosterd_discovery::{Error, Reading, Refresh};
use rosterd_discovery_kubernetes::groups_of_pods;
use rosterd_model::TargetGroup;
use rosterd_rest::{Api, Fault};
use xxhash_rust::xxh3::xxh3_128;

pub(super) struct Kubelet {
    api: Api,
    namespaces: Arc<BTreeSet<String>>,
    /// The hash of the last list.
    last: Option<u128>,
}

impl Kubelet {
    pub(super) fn new(api: Api, namespaces: &[String]) -> Self {
        Self { api, namespaces: Arc::new(namespaces.iter().cloned().collect()), last: None }
    }
}

#[async_trait]
impl Refresh for Kubelet {
    async fn refresh(&mut self) -> Result<Reading, Error> {
        let (last, namespaces) = (self.last, Arc::clone(&self.namespaces));
        let (hash, groups) = self.api.get(["pods"]).read(move |body| decode(body, last, &namespaces)).await?;
        self.last = Some(hash);
        Ok(groups.map_or(Reading::Unchanged, Reading::Everything))
    }
}

/// The hash of a list, and its groups if it is not the last one.
fn decode(
    body: &[u8],
    last: Option<u128>,
    namespaces: &BTreeSet<String>,
) -> Result<(u128, Option<Vec<TargetGroup>>), Fault> {
    let hash = xxh3_128(body);
    if last == Some(hash) {
        return Ok((hash, None));
    }
    let is_wanted = |namespace: &str| namespaces.is_empty() || namespaces.contains(namespace);
    let groups = groups_of_pods(body, is_wanted).map_err(|error| Fault::new(error.to_string()))?;
    Ok((hash, Some(groups)))
}
