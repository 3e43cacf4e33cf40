//! Azure and Google Compute Engine as Debian's Prometheus finds them, through changes, failures and recovery. It has no key for where their APIs
//! are: both are led to a made-up cloud by the proxy and the certificates of the environment.

use rosterd_testkit::{CloudPage, FakeCloud, Paging, Step, fixture, leak_checked_live};
use serde_json::{Value, json};

use super::programs::Wrapper;
use super::registries::{FAILURES, Pair};

/// With the environment that leads to the cloud, and these variables.
fn led_to(cloud: &FakeCloud, more: &[(&str, &str)]) -> Wrapper {
    let environment = cloud.environment();
    let variables = environment.iter().map(|(name, value)| (*name, value.as_str()));
    Wrapper::with_environment(&variables.chain(more.iter().copied()).collect::<Vec<_>>())
}

/// A token that whoever asks is given.
fn token(cloud: &FakeCloud, path: &str) {
    // Of Azure's first version, which Prometheus 2.42 asks for, numbers are texts.
    let token = json!({"access_token": "t", "token_type": "Bearer", "expires_in": "3599", "expires_on": "4102444800",
        "not_before": "0", "resource": "r"});
    let of_google = json!({"access_token": "t", "token_type": "Bearer", "expires_in": 3599});
    let token = if path.starts_with("/computeMetadata") { of_google } else { token };
    cloud.list(path, Paging::Whole, 1, move |_| token.clone());
}

fn instance(name: &str, address: &str) -> Value {
    json!({"id": "7", "name": name, "status": "RUNNING", "zone": "z", "machineType": "t",
        "networkInterfaces": [{"name": "nic0", "network": "n", "subnetwork": "s", "networkIP": address}]})
}

#[test]
fn instances_of_google_compute_engine() {
    const LIST: &str = "/compute/v1/projects/acme-prod/zones/europe-west1-b/instances";
    leak_checked_live(|| async {
        let cloud = FakeCloud::start(&["compute.googleapis.com"]).await;
        token(&cloud, "/computeMetadata/v1/instance/service-accounts/default/token");
        cloud.list(
            LIST,
            Paging::Cursor("pageToken"),
            2,
            |page| json!({"items": page.items, "nextPageToken": page.next}),
        );
        let known: Value = serde_json::from_str(&fixture("discovery/gce/instances.json")).expect("JSON");
        let mut known = known["items"].as_array().expect("a list").clone();
        // Prometheus wants texts, and has an address without a host for who has none.
        known.retain(|instance| instance["id"].is_string() && instance["name"] != "ipv6 only");
        cloud.set(LIST, known.iter().cloned().chain([instance("d", "127.0.9.4")]));
        let host = cloud.url("").strip_prefix("http://").expect("a URL").to_owned();
        let mut pair = Pair::within(
            &led_to(&cloud, &[("GCE_METADATA_HOST", &host)]),
            "gce_sd_configs: [{project: acme-prod, zone: europe-west1-b, filter: name=a, port: 9, refresh_interval: 1s}]
  relabel_configs:
  - {regex: __meta_gce_(.*), replacement: gce_$1, action: labelmap}",
        )
        .await;
        pair.agree(3, &[]).await;
        cloud.set(
            LIST,
            [
                instance("e", "127.0.9.5"),
                instance("f", "127.0.9.6"),
                instance("g", "127.0.9.7"),
                instance("h", "127.0.9.8"),
            ],
        );
        pair.agree(4, &[]).await;
        for refused in [
            Step::get(LIST).status(403).json(r#"{"error": {"code": 403, "message": "no"}}"#),
            Step::get(LIST)
                .json(r#"{"items": [{"id": "1", "networkInterfaces": [{"networkIP": "127.0.9.9"}]}]}"#)
                .truncate(40),
            Step::get(LIST).json("{"),
        ] {
            cloud.instead(refused);
            pair.fail(FAILURES, 1).await;
            pair.agree(4, &[]).await;
        }
        cloud.heal();
        cloud.set(LIST, [instance("e", "127.0.9.5")]);
        pair.agree(1, &[]).await;
    });
}

/// Of Azure: a machine with its interface, alone or the only one of a scale set.
fn machine(cloud: &FakeCloud, id: &str, nic: &str, address: &str) -> Value {
    let configurations = json!([{"properties": {"privateIPAddress": address}}]);
    let body = json!({"id": nic, "name": "nic", "properties": {"primary": true, "ipConfigurations": configurations}});
    cloud.list(nic, Paging::Whole, 1, move |_| body.clone());
    json!({"id": id, "name": "name", "type": "type", "location": "westeurope", "instanceId": "0", "tags": {"cost center": "12"},
        "properties": {"hardwareProfile": {"vmSize": "s"}, "storageProfile": {"osDisk": {"osType": "Linux"}},
            "osProfile": {"computerName": "c"}, "networkProfile": {"networkInterfaces": [{"id": nic}]}}})
}

#[test]
fn machines_of_azure() {
    const MACHINES: &str = "/subscriptions/s/providers/Microsoft.Compute/virtualMachines";
    const SETS: &str = "/subscriptions/s/providers/Microsoft.Compute/virtualMachineScaleSets";
    const GROUP: &str = "/subscriptions/s/resourceGroups/g/providers";
    leak_checked_live(|| async {
        let cloud = FakeCloud::start(&["login.microsoftonline.com", "management.azure.com"]).await;
        token(&cloud, "/tenant/oauth2/token");
        token(&cloud, "/tenant/oauth2/v2.0/token");
        let link = |path: &'static str| {
            move |page: &CloudPage| {
                let next = page.next.as_ref().map(|next| {
                    let next = next.replace('+', "%2B").replace('=', "%3D");
                    format!("https://management.azure.com{path}?api-version=2018-10-01&skip={next}")
                });
                json!({"value": page.items, "nextLink": next})
            }
        };
        cloud.list(MACHINES, Paging::Cursor("skip"), 2, link(MACHINES));
        cloud.list(SETS, Paging::Cursor("skip"), 2, link(SETS));
        let set = format!("{GROUP}/Microsoft.Compute/virtualMachineScaleSets/workers");
        cloud.set(SETS, [json!({"id": set, "name": "workers", "type": "t", "location": "l"})]);
        let of_set = format!("{set}/virtualMachines");
        cloud.list(&of_set, Paging::Whole, 1, |page| json!({"value": page.items}));
        let nic_of_set = format!(
            "{GROUP}/microsoft.Compute/virtualMachineScaleSets/workers/virtualMachines/0/networkInterfaces/nic"
        );
        cloud.set(&of_set, [machine(&cloud, &format!("{of_set}/0"), &nic_of_set, "127.0.10.9")]);
        let alone = |number: u8| {
            let id = format!("{GROUP}/Microsoft.Compute/virtualMachines/m{number}");
            let nic = format!("{GROUP}/Microsoft.Network/networkInterfaces/n{number}");
            machine(&cloud, &id, &nic, &format!("127.0.10.{number}"))
        };
        cloud.set(MACHINES, [1, 2, 3].map(alone));
        let mut pair = Pair::within(
            &led_to(&cloud, &[]),
            &format!(
                "azure_sd_configs: [{{subscription_id: s, tenant_id: tenant, client_id: c, client_secret: x, port: 9, refresh_interval: 1s, {}}}]",
                cloud.keys()
            ),
        )
        .await;
        pair.agree(4, &[]).await;
        cloud.set(MACHINES, [1, 4, 5, 6, 7].map(alone));
        pair.agree(6, &[]).await;
        cloud.instead(
            Step::get(MACHINES).status(403).json(r#"{"error": {"code": "AuthorizationFailed", "message": "no"}}"#),
        );
        pair.fail(FAILURES, 1).await;
        pair.agree(6, &[]).await;
        cloud.heal();
        cloud.set(MACHINES, [alone(8)]);
        pair.agree(2, &[]).await;
    });
}
