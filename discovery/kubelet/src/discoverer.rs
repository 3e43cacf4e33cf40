//! Asks a kubelet for its pods, again and again. A list that is the same as the last one costs a hash.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use rosterd_discovery::{Error, Reading, Refresh};
use rosterd_discovery_kubernetes::groups_of_pods;
use rosterd_model::TargetGroup;
use rosterd_rest::{Api, Fault, Last};

pub(super) struct Kubelet {
    api: Api,
    namespaces: Arc<BTreeSet<String>>,
    last: Last,
}

impl Kubelet {
    pub(super) fn new(api: Api, namespaces: &[String]) -> Self {
        Self { api, namespaces: Arc::new(namespaces.iter().cloned().collect()), last: Last::default() }
    }
}

#[async_trait]
impl Refresh for Kubelet {
    async fn refresh(&mut self) -> Result<Reading, Error> {
        let namespaces = Arc::clone(&self.namespaces);
        let decode = move |body: &[u8]| decode(body, &namespaces);
        let groups = self.api.get(["pods"]).read_changed(&mut self.last, decode).await?;
        Ok(groups.map_or(Reading::Unchanged, Reading::Everything))
    }
}

fn decode(body: &[u8], namespaces: &BTreeSet<String>) -> Result<Vec<TargetGroup>, Fault> {
    let is_wanted = |namespace: &str| namespaces.is_empty() || namespaces.contains(namespace);
    groups_of_pods(body, is_wanted).map_err(|error| Fault::new(error.to_string()))
}
