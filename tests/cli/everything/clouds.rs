//! What is one server for many: lists in JSON, most of them in pages, behind the names that they have in the world where no key says where
//! they are.

use rosterd_testkit::{CloudPage, FakeCloud, Paging};
use serde_json::{Map, Value, json};

use super::entries::{addresses, hosts};

const NAMES: [&str; 7] = [
    "api.digitalocean.com",
    "api.eu-west-2.outscale.com",
    "api.hetzner.cloud",
    "api.ionos.com",
    "api.linode.com",
    "api.scaleway.com",
    "api.vultr.com",
];
/// How many there are on a page: less than there are to be found.
const PAGE: usize = 2;
/// The numbers that are ever shown.
const EVER: [u8; 5] = [1, 2, 3, 4, 5];

const DROPLETS: &str = "/v2/droplets";
const HETZNER: &str = "/v1/servers";
const IONOS: &str = "/cloudapi/v6/datacenters/d/servers";
const LINODES: &str = "/v4/linode/instances";
const ADDRESSES: &str = "/v4/networking/ips";
const RANGES: &str = "/v4/networking/ipv6/ranges";
const EVENTS: &str = "/v4/account/events";
const OUTSCALE: &str = "/api/v1/ReadVms";
const SCALEWAY: &str = "/instance/v1/zones/fr-par-1/servers";
const VULTR: &str = "/v2/instances";
const OVH: &str = "/1.0/vps";
const STACKIT: &str = "/iaas/v1/projects/p/servers";
const YANDEX: &str = "/compute/v1/instances";
const GCE: &str = "/compute/v1/projects/p/zones/z/instances";
const AZURE: &str = "/subscriptions/s/providers/Microsoft.Compute/virtualMachines";
const SETS: &str = "/subscriptions/s/providers/Microsoft.Compute/virtualMachineScaleSets";
const INTERFACES: &str = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/networkInterfaces";
const OCI: &str = "/20160918/instances";
const ATTACHMENTS: &str = "/20160918/vnicAttachments";
const HTTP: &str = "/targets";
const MARATHON: &str = "/v2/apps/";
const AGENT: &str = "/v1/agent/services";
const KUMA: &str = "/v3/discovery:monitoringassignments";
const KUMA_TYPE: &str = "type.googleapis.com/kuma.observability.v1.MonitoringAssignment";
const PUPPETDB: &str = "/pdb/query/v4";

pub(super) async fn start() -> FakeCloud {
    let cloud = FakeCloud::start(&NAMES).await;
    behind_names(&cloud);
    with_keys(&cloud);
    registries(&cloud);
    cloud
}

/// Something that never changes.
fn fixed(cloud: &FakeCloud, path: &str, value: Value) {
    cloud.list(path, Paging::Whole, 1, move |_| value.clone());
}

fn token() -> Value {
    json!({"access_token": "t", "expires_in": 3599, "token_type": "Bearer"})
}

fn behind_names(cloud: &FakeCloud) {
    cloud.list(DROPLETS, Paging::Number, PAGE, |page| {
        let next = page.next.as_ref().map(|next| format!("https://api.digitalocean.com{DROPLETS}?page={next}"));
        json!({"droplets": page.items, "links": {"pages": {"next": next}}})
    });
    cloud.list(HETZNER, Paging::Number, PAGE, |page| {
        let next = page.next.as_ref().map(|_| page.number + 1);
        json!({"servers": page.items, "meta": {"pagination": {"next_page": next}}})
    });
    cloud.list(IONOS, Paging::Offset, PAGE, |page| json!({"items": page.items, "limit": PAGE}));
    for path in [LINODES, ADDRESSES, RANGES, EVENTS] {
        cloud.list(
            path,
            Paging::Number,
            PAGE,
            |page| json!({"data": page.items, "page": page.number, "pages": page.pages, "results": page.total}),
        );
    }
    // Something happens all the time, so that its lists are read.
    cloud.set(EVENTS, [json!({"status": "finished"})]);
    let next = "NextPageToken";
    cloud.list(OUTSCALE, Paging::Token(next), PAGE, move |page| json!({"Vms": page.items, next: page.next}));
    cloud.list(SCALEWAY, Paging::Number, PAGE, |page| json!({"servers": page.items, "total_count": page.total}));
    cloud.list(VULTR, Paging::Cursor("cursor"), PAGE, |page| {
        let next = page.next.as_deref().unwrap_or_default();
        json!({"instances": page.items, "meta": {"links": {"next": next}}})
    });
}

fn with_keys(cloud: &FakeCloud) {
    fixed(cloud, "/1.0/auth/time", json!(1_700_000_000));
    cloud.list(OVH, Paging::Whole, 1, |page| json!(page.items));
    for host in hosts("ovhcloud", &EVER) {
        fixed(cloud, &format!("{OVH}/{host}"), json!({"name": host}));
        fixed(cloud, &format!("{OVH}/{host}/ips"), json!([host]));
    }
    cloud.list(STACKIT, Paging::Whole, 1, |page| json!({"items": page.items}));
    let address = cloud.url("").replace("http://", "");
    let services = ["iam", "compute"].map(|name| json!({"id": name, "address": address}));
    fixed(cloud, "/endpoints", json!({"endpoints": services}));
    fixed(cloud, "/iam/v1/tokens", json!({"iamToken": "t"}));
    cloud.list(
        YANDEX,
        Paging::Cursor("pageToken"),
        PAGE,
        |page| json!({"instances": page.items, "nextPageToken": page.next.clone().unwrap_or_default()}),
    );
    fixed(cloud, "/computeMetadata/v1/instance/service-accounts/default/token", token());
    let items = |page: &CloudPage| json!({"items": page.items, "nextPageToken": page.next});
    cloud.list(GCE, Paging::Cursor("pageToken"), PAGE, items);
    fixed(cloud, "/tenant/oauth2/v2.0/token", token());
    fixed(cloud, SETS, json!({"value": []}));
    let machines = cloud.url(AZURE);
    cloud.list(AZURE, Paging::Cursor("skip"), PAGE, move |page| {
        let encoded = |next: &String| next.replace('+', "%2B").replace('=', "%3D");
        let next = page.next.as_ref().map(|next| format!("{machines}?api-version=1&skip={}", encoded(next)));
        json!({"value": page.items, "nextLink": next})
    });
    for host in hosts("azure", &EVER) {
        let configurations = json!([{"properties": {"privateIPAddress": host}}]);
        let properties = json!({"primary": true, "ipConfigurations": configurations});
        fixed(cloud, &format!("{INTERFACES}/{host}"), json!({"properties": properties}));
    }
    for list in [OCI, ATTACHMENTS] {
        cloud.list(list, Paging::Whole, 1, |page| json!(page.items));
    }
    for host in hosts("oci", &EVER) {
        fixed(cloud, &format!("/20160918/vnics/{host}"), json!({"id": host, "isPrimary": true, "privateIp": host}));
    }
}

fn registries(cloud: &FakeCloud) {
    cloud.list(HTTP, Paging::Whole, 1, |page| json!(page.items));
    cloud.list(MARATHON, Paging::Whole, 1, |page| json!({"apps": [{"id": "/a", "tasks": page.items}]}));
    fixed(cloud, "/v1/agent/self", json!({"Config": {"Datacenter": "d"}}));
    fixed(cloud, "/v1/agent/checks", json!({}));
    cloud.list(AGENT, Paging::Whole, 1, |page| {
        let by_id = |service: &Value| (service["ID"].as_str().expect("an id").to_owned(), service.clone());
        page.items.iter().map(by_id).collect::<Map<_, _>>().into()
    });
    cloud.list(KUMA, Paging::Whole, 1, |page| {
        let assignment = json!({"@type": KUMA_TYPE, "mesh": "m", "service": "s", "targets": page.items});
        json!({"version_info": "v", "nonce": "n", "type_url": KUMA_TYPE, "resources": [assignment]})
    });
    cloud.list(PUPPETDB, Paging::Whole, 1, |page| json!(page.items));
}

/// Each list has its hosts of these numbers.
pub(super) fn show(cloud: &FakeCloud, numbers: &[u8]) {
    let set = |path: &str, mechanism: &str, item: fn(usize, &str) -> Value| {
        let hosts = hosts(mechanism, numbers);
        cloud.set(path, hosts.iter().enumerate().map(|(at, host)| item(at, host)).collect::<Vec<_>>());
    };
    set(
        DROPLETS,
        "digitalocean",
        |at, host| json!({"id": at, "networks": {"v4": [{"type": "public", "ip_address": host}]}}),
    );
    set(HETZNER, "hetzner", |at, host| json!({"id": at, "public_net": {"ipv4": {"ip": host}}}));
    set(
        IONOS,
        "ionos",
        |_, host| json!({"id": host, "entities": {"nics": {"items": [{"properties": {"ips": [host]}}]}}}),
    );
    set(ADDRESSES, "linode", |_, host| json!({"address": host, "public": true}));
    set(LINODES, "linode", |at, host| json!({"id": at, "ipv4": [host]}));
    set(OUTSCALE, "outscale", |_, host| json!({"VmId": host, "PrivateIp": host}));
    set(SCALEWAY, "scaleway", |_, host| json!({"id": host, "private_ip": host}));
    set(VULTR, "vultr", |_, host| json!({"id": host, "main_ip": host}));
    set(OVH, "ovhcloud", |_, host| json!(host));
    set(STACKIT, "stackit", |_, host| json!({"id": host, "nics": [{"ipv4": host}]}));
    set(YANDEX, "yandexcloud", |_, host| json!({"id": host, "fqdn": host}));
    set(GCE, "gce", |at, host| json!({"id": at.to_string(), "networkInterfaces": [{"networkIP": host}]}));
    set(AZURE, "azure", |_, host| {
        let interface = json!({"id": format!("{INTERFACES}/{host}")});
        let id = format!("/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/{host}");
        json!({"id": id, "properties": {"networkProfile": {"networkInterfaces": [interface]}}})
    });
    set(ATTACHMENTS, "oci", |_, host| json!({"instanceId": host, "vnicId": host, "lifecycleState": "ATTACHED"}));
    set(OCI, "oci", |_, host| json!({"id": host}));
    set(MARATHON, "marathon", |_, host| json!({"id": host, "host": host, "ports": [super::entries::PORT]}));
    set(
        AGENT,
        "consulagent",
        |_, host| json!({"ID": host, "Service": "s", "Address": host, "Port": super::entries::PORT, "Datacenter": "d"}),
    );
    set(PUPPETDB, "puppetdb", |_, host| json!({"certname": host, "resource": "1"}));
    cloud.set(HTTP, [json!({"targets": addresses("http", numbers)})]);
    cloud.set(KUMA, addresses("kuma", numbers).into_iter().map(|address| json!({"address": address})));
}
