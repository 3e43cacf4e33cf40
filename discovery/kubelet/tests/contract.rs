//! The mechanism `kubelet` keeps the contract of a discoverer.

use rosterd_discovery_kubelet::KubeletConfig;
use rosterd_testkit::contract::{self, ServedGroup};
use rosterd_testkit::{FakeKubelet, leak_checked_live};
use serde_json::{Value, json};

/// A pod for each address of a group.
fn pods(group: &ServedGroup) -> impl Iterator<Item = Value> {
    group.endpoints().map(|(ip, port)| {
        json!({"metadata": {"namespace": group.name, "name": ip}, "status": {"podIP": ip},
               "spec": {"containers": [{"name": "c", "ports": [{"containerPort": port}]}]}})
    })
}

#[test]
fn the_contract_holds() {
    leak_checked_live(async || {
        let kubelet = FakeKubelet::start().await;
        let config = || serde_yaml::from_str::<KubeletConfig>(&kubelet.config("")).expect("a configuration");
        contract::check_server(config, |served| match served.is_broken() {
            true => kubelet.answer(500, "broken"),
            false => kubelet.set(served.groups().flat_map(pods).collect()),
        })
        .await;
        kubelet.finish().await;
    });
}
