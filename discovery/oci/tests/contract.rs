//! `oci` keeps the contract of discoverers.

use rosterd_discovery_oci::OciConfig;
use rosterd_testkit::contract;
use rosterd_testkit::{Folder, ScriptedServer, Step, fixture, leak_checked_live};
use serde_json::json;

#[test]
fn oci_keeps_the_contract() {
    leak_checked_live(async || {
        let (folder, cloud) = (Folder::new(), ScriptedServer::start([]).await);
        let key = folder.write("key.pem", fixture("sign/rfc7515.pkcs8.pem"));
        let text = format!(
            "{{region: r, tenancy: t, user: u, fingerprint: f, key_file: '{}', compartments: [c], port: 9100, \
             endpoint: '{}', refresh_interval: 1s}}",
            key.display(),
            cloud.url("")
        );
        let config = || serde_yaml::from_str::<OciConfig>(&text).expect("a configuration");
        contract::check_server(config, |served| {
            let hosts: Vec<_> = served.groups().flat_map(|group| group.hosts()).collect();
            let attachments: Vec<_> = hosts
                .iter()
                .map(|host| json!({"instanceId": host, "vnicId": host, "lifecycleState": "ATTACHED"}))
                .collect();
            for host in &hosts {
                let vnic = json!({"id": host, "isPrimary": true, "privateIp": host});
                cloud.then(Step::get(&format!("/20160918/vnics/{host}")).any_times().json(vnic.to_string()));
            }
            let instances: Vec<_> = hosts.iter().map(|host| json!({"id": host})).collect();
            cloud.then(Step::get("/20160918/vnicAttachments").any_times().json(json!(attachments).to_string()));
            cloud.then(served.answer(Step::get("/20160918/instances").json(json!(instances).to_string())));
        })
        .await;
        cloud.finish().await;
    });
}
