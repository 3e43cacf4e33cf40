//! `scaleway` keeps the contract of discoverers.

use rosterd_discovery_scaleway::ScalewayConfig;
use rosterd_testkit::{FakeCloud, Paging, contract, leak_checked_live};
use serde_json::json;

#[test]
fn instances_and_elastic_metal_servers_keep_the_contract() {
    leak_checked_live(async || {
        for (role, product) in [("instance", "instance"), ("baremetal", "baremetal")] {
            let cloud = FakeCloud::start(&["api.scaleway.com"]).await;
            let servers = format!("/{product}/v1/zones/fr-par-1/servers");
            cloud.list(&servers, Paging::Number, 1, |page| json!({"servers": page.items, "total_count": page.total}));
            for (list, key) in [("offers", "offers"), ("os", "os")] {
                let path = format!("/{product}/v1/zones/fr-par-1/{list}");
                cloud.list(&path, Paging::Number, 1, move |page| json!({key: page.items}));
            }
            let text = format!(
                "{{role: {role}, project_id: 11111111-1111-1111-1111-111111111111, access_key: SCWXXXXXXXXXXXXXXXXX, \
                 secret_key: 11111111-1111-1111-1111-111111111111, port: 9100, refresh_interval: 1s, {}}}",
                cloud.keys()
            );
            let config = || serde_yaml::from_str::<ScalewayConfig>(&text).expect("a configuration");
            contract::check_server(config, |served| {
                let hosts = served.groups().flat_map(|group| group.hosts());
                let server = |host| {
                    let addresses = json!([{"address": host, "version": "IPv4"}]);
                    json!({"id": host, "private_ip": host, "ips": addresses})
                };
                cloud.set(&servers, hosts.map(server));
                cloud.serves(&servers, !served.is_broken());
            })
            .await;
            cloud.finish().await;
        }
    });
}
