//! `hetzner` keeps the contract of discoverers.

use rosterd_discovery_hetzner::HetznerConfig;
use rosterd_testkit::{FakeCloud, Paging, contract, leak_checked_live};
use serde_json::json;

#[test]
fn servers_of_the_cloud_keep_the_contract() {
    leak_checked_live(async || {
        let cloud = FakeCloud::start(&["api.hetzner.cloud"]).await;
        cloud.list("/v1/servers", Paging::Number, 1, |page| {
            let next = page.next.as_ref().map(|_| page.number + 1);
            json!({"servers": page.items, "meta": {"pagination": {"next_page": next}}})
        });
        let text = format!("{{role: hcloud, port: 9100, refresh_interval: 1s, {}}}", cloud.keys());
        let config = || serde_yaml::from_str::<HetznerConfig>(&text).expect("a configuration");
        contract::check_server(config, |served| {
            let hosts = served.groups().flat_map(|group| group.hosts()).enumerate();
            let servers = hosts.map(|(id, host)| json!({"id": id, "public_net": {"ipv4": {"ip": host}}}));
            cloud.set("/v1/servers", servers);
            cloud.serves("/v1/servers", !served.is_broken());
        })
        .await;
        cloud.finish().await;
    });
}

#[test]
fn dedicated_servers_keep_the_contract() {
    leak_checked_live(async || {
        let cloud = FakeCloud::start(&["robot-ws.your-server.de"]).await;
        cloud.list("/server", Paging::Whole, 1, |page| json!(page.items));
        let text = format!("{{role: robot, port: 9100, refresh_interval: 1s, {}}}", cloud.keys());
        let config = || serde_yaml::from_str::<HetznerConfig>(&text).expect("a configuration");
        contract::check_server(config, |served| {
            let hosts = served.groups().flat_map(|group| group.hosts()).enumerate();
            let servers = hosts.map(|(id, host)| json!({"server": {"server_number": id, "server_ip": host}}));
            cloud.set("/server", servers);
            cloud.serves("/server", !served.is_broken());
        })
        .await;
        cloud.finish().await;
    });
}
