//! The mechanism `kubelet` keeps the contract of a discoverer.

use async_trait::async_trait;
use rosterd_discovery::{AnyConfig, Mechanism, Registry};
use rosterd_discovery_kubelet::KubeletConfig;
use rosterd_testkit::contract::{self, Driver};
use rosterd_testkit::{FakeKubelet, leak_checked_live};
use serde_json::{Value, json};

/// A pod for each address of a group.
struct Source {
    kubelet: FakeKubelet,
    pods: Vec<Value>,
}

#[async_trait]
impl Driver for Source {
    fn config(&self) -> Box<dyn AnyConfig> {
        let text = self.kubelet.config("");
        Box::new(serde_yaml::from_str::<KubeletConfig>(&text).expect("a configuration"))
    }

    async fn set(&mut self, groups: &[(&str, &[&str])]) {
        let pod = |namespace: &str, address: &str| {
            let ip = address.strip_suffix(":9100").expect("all ports are this one");
            json!({"metadata": {"namespace": namespace, "name": ip}, "status": {"podIP": ip},
                   "spec": {"containers": [{"name": "c", "ports": [{"containerPort": 9100}]}]}})
        };
        let pods = groups.iter().flat_map(|(name, addresses)| addresses.iter().map(|address| pod(name, address)));
        self.pods = pods.collect();
        self.heal().await;
    }

    async fn break_source(&mut self) -> bool {
        self.kubelet.answer(500, "broken");
        true
    }

    async fn heal(&mut self) {
        self.kubelet.set(self.pods.clone());
    }
}

#[test]
fn the_contract_holds() {
    leak_checked_live(async || {
        let mut source = Source { kubelet: FakeKubelet::start().await, pods: Vec::new() };
        contract::check(&mut source).await;
        source.kubelet.finish().await;
    });
}

#[test]
fn the_mechanism_is_registered() {
    let registry = Registry::linked().expect("distinct names");
    assert_eq!(registry.by_key("kubelet_sd_configs").map(|Mechanism { name, .. }| *name), Some("kubelet"));
}
