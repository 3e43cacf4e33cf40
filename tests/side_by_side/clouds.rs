//! Made-up clouds: rosterd finds the servers that Debian's Prometheus and vmagent find, through changes, failures and recovery. Most have
//! no key for where they are: both programs are led to the fake by a proxy, with a certificate for the names of the clouds.

use rosterd_testkit::{FakeCloud, Folder, Paging, Step, eventually_ok, leak_checked_live, patience};
use serde_json::{Value, json};

use super::programs::{Wrapper, rosterd, vmagent};
use super::registries::{FAILURES, Pair};
use super::targets::labels_of;

const NAMES: [&str; 5] =
    ["api.digitalocean.com", "api.hetzner.cloud", "robot-ws.your-server.de", "api.ionos.com", "api.vultr.com"];
const DROPLETS: &str = "/v2/droplets";
const SERVERS: &str = "/v1/servers";
const NETWORKS: &str = "/v1/networks";
const DEDICATED: &str = "/server";
const IONOS: &str = "/cloudapi/v6/datacenters/d/servers";
const VULTR: &str = "/v2/instances";
const INSTANCES: &str = "/instance/v1/zones/fr-par-1/servers";
const METAL: &str = "/baremetal/v1/zones/fr-par-1/servers";
const VPS: &str = "/1.0/vps";
const OVH_DEDICATED: &str = "/1.0/dedicated/server";

/// All of them, without servers.
async fn clouds() -> FakeCloud {
    let cloud = FakeCloud::start(&NAMES).await;
    cloud.list(DROPLETS, Paging::Number, 2, |page| {
        let next = page.next.as_ref().map(|next| format!("https://api.digitalocean.com/v2/droplets?page={next}"));
        let last = format!("https://api.digitalocean.com/v2/droplets?page={}", page.number.saturating_sub(1));
        let prev = (page.number > 1).then_some(last);
        json!({"droplets": page.items, "links": {"pages": {"next": next, "prev": prev}}})
    });
    for (path, key) in [(SERVERS, "servers"), (NETWORKS, "networks")] {
        cloud.list(path, Paging::Number, 2, move |page| {
            let next = page.next.as_ref().map(|_| page.number + 1);
            json!({key: page.items, "meta": {"pagination": {"page": page.number, "next_page": next}}})
        });
    }
    cloud.list(DEDICATED, Paging::Whole, 1, |page| json!(page.items));
    // Prometheus reads one page.
    cloud.list(IONOS, Paging::Whole, 1, |page| json!({"id": "d/servers", "items": page.items}));
    cloud.list(VULTR, Paging::Cursor("cursor"), 2, |page| {
        let next = page.next.as_deref().unwrap_or_default();
        json!({"instances": page.items, "meta": {"total": page.total, "links": {"next": next, "prev": ""}}})
    });
    for path in [INSTANCES, METAL] {
        cloud.list(path, Paging::Number, 2, |page| json!({"servers": page.items, "total_count": page.total}));
    }
    for (list, key) in [("offers", "offers"), ("os", "os")] {
        let path = format!("/baremetal/v1/zones/fr-par-1/{list}");
        cloud.list(&path, Paging::Number, 2, move |page| json!({key: page.items, "total_count": page.total}));
        cloud.set(&path, [json!({"id": format!("{list}-1"), "name": "one", "version": "v", "zone": "fr-par-1"})]);
    }
    cloud.list("/1.0/auth/time", Paging::Whole, 1, |_| json!(1_700_000_000));
    for path in [VPS, OVH_DEDICATED] {
        cloud.list(path, Paging::Whole, 1, |page| json!(page.items));
    }
    for name in ["v1", "v2"] {
        let (vps, dedicated) = (format!("{VPS}/{name}"), format!("{OVH_DEDICATED}/{name}"));
        let ips = json!(["2001:DB8:0::1", format!("127.0.20.{}", &name[1..]), "127.0.20.0/24"]);
        for path in [&vps, &dedicated] {
            let ips = ips.clone();
            cloud.list(&format!("{path}/ips"), Paging::Whole, 1, move |_| ips.clone());
        }
        let model =
            json!({"name": "m", "offer": "o", "datacenter": ["gra", "sbg"], "vcore": 2, "disk": 40, "memory": 2048});
        let details = json!({"name": name, "displayName": "d", "state": "running", "vcore": 2, "model": model});
        cloud.list(&vps, Paging::Whole, 1, move |_| details.clone());
        // Another instance than the one of the same address.
        let details = json!({"name": format!("dedicated-{name}"), "state": "ok", "linkSpeed": 100, "noIntervention": true, "serverId": 7});
        cloud.list(&dedicated, Paging::Whole, 1, move |_| details.clone());
    }
    cloud
}

fn droplet(id: u32) -> Value {
    let v4 = json!([{"type": "private", "ip_address": "10.0.0.1"}, {"type": "public", "ip_address": format!("127.0.11.{id}")}]);
    json!({"id": id, "name": "web", "status": "active", "size_slug": "s", "vpc_uuid": "v", "features": ["a"], "tags": ["env:prod", "b"],
           "image": {"slug": "i", "name": "n"}, "region": {"slug": "r"}, "networks": {"v4": v4, "v6": []}})
}

/// What 2.42 reads of datacenters is empty, as is what 3.14 reads of locations.
fn server(id: u32, ipv4: Value) -> Value {
    json!({"id": id, "name": "web", "status": "running", "public_net": {"ipv4": ipv4, "ipv6": null}, "labels": {"a/b": "c"},
           "private_net": [{"network": 7, "ip": "10.0.0.9"}, {"network": 8, "ip": "10.0.0.8"}], "image": {"name": "i", "os_flavor": "debian"},
           "server_type": {"name": "t", "cores": 2, "cpu_type": "shared", "memory": 2.5, "disk": 40}, "location": null,
           "datacenter": {"name": "", "location": {"name": "", "network_zone": ""}}})
}

fn dedicated(number: u32) -> Value {
    json!({"server": {"server_ip": format!("127.0.13.{number}"), "server_number": number, "server_name": "s", "product": "p", "dc": "",
                      "status": "ready", "cancelled": false, "subnet": [{"ip": "127.0.13.0", "mask": "24"}, {"ip": "2001:db8::", "mask": "64"}]}})
}

/// All that Prometheus needs, or it ends.
fn of_ionos(id: u32) -> Value {
    let card = |name: &str, ips: Value| json!({"properties": {"name": name, "ips": ips}});
    let cards = json!({"items": [card("front", json!(["10.0.0.4"])), card("back net", json!([format!("127.0.14.{id}"), "10.0.0.5"]))]});
    let volumes = json!({"items": [{"properties": {"image": "image"}}]});
    json!({"id": format!("s{id}"), "metadata": {"state": "AVAILABLE"}, "entities": {"nics": cards, "volumes": volumes},
           "properties": {"name": "n", "availabilityZone": "z", "cpuFamily": "c", "vmState": "RUNNING", "type": "ENTERPRISE", "bootVolume": {"id": "b"}}})
}

fn of_vultr(id: u32) -> Value {
    json!({"id": format!("i{id}"), "main_ip": format!("127.0.15.{id}"), "v6_main_ip": "2001:db8::7", "os": "Debian", "os_id": 7, "region": "fra",
           "plan": "p", "label": "l", "hostname": "h", "server_status": "ok", "vcpu_count": 1, "ram": 1024, "disk": 25, "allowed_bandwidth": 1000,
           "features": ["ipv6"], "tags": ["a", "b"]})
}

fn of_scaleway(id: u32) -> Value {
    json!({"id": format!("i{id}"), "name": "n", "hostname": "h", "commercial_type": "DEV1-S", "boot_type": "", "state": "stopped in place",
           "organization": "o", "project": "p", "tags": ["a", "b"], "private_ip": format!("127.0.16.{id}"), "zone": "fr-par-1",
           "public_ip": {"id": "x", "address": "127.0.16.100", "family": "inet"}, "ipv6": {"address": "2001:DB8::9", "gateway": "fe80::1", "netmask": "64"},
           "image": {"id": "i", "name": "n", "arch": "x86_64"}, "security_group": {"id": "s", "name": "g"}})
}

fn metal(id: u32) -> Value {
    json!({"id": format!("m{id}"), "name": "n", "project_id": "p", "status": "ready", "offer_id": "offers-1", "tags": ["a"], "zone": "fr-par-1",
           "ips": [{"address": "2001:db8::5", "version": "IPv6"}, {"address": format!("127.0.17.{id}"), "version": "IPv4"}],
           "install": {"os_id": "os-1"}})
}

#[test]
fn prometheus_finds_the_same_servers() {
    leak_checked_live(|| async {
        let cloud = clouds().await;
        cloud.set(DROPLETS, (1..=3).map(droplet));
        cloud.set(NETWORKS, (7..=9).map(|id| json!({"id": id, "name": format!("net-{id}")})));
        cloud.set(
            SERVERS,
            [server(1, json!({"ip": "127.0.12.1"})), server(2, Value::Null), server(3, json!({"ip": "127.0.12.3"}))],
        );
        cloud.set(DEDICATED, (1..=2).map(dedicated));
        cloud.set(IONOS, (1..=2).map(of_ionos));
        cloud.set(VULTR, (1..=3).map(of_vultr));
        cloud.set(INSTANCES, (1..=3).map(of_scaleway));
        cloud.set(METAL, (1..=3).map(metal));
        cloud.set(VPS, ["v1", "v2"].map(Value::from));
        cloud.set(OVH_DEDICATED, ["v1"].map(Value::from));
        let keys = format!("refresh_interval: 2s, port: 9100, authorization: {{credentials: t}}, {}", cloud.keys());
        let scaleway = format!(
            "refresh_interval: 2s, port: 9100, api_url: '{}', project_id: 11111111-1111-1111-1111-111111111111, \
             access_key: SCWXXXXXXXXXXXXXXXXX, secret_key: 11111111-1111-1111-1111-111111111111, tags_filter: [a, b c]",
            cloud.url("")
        );
        let ovh = format!(
            "refresh_interval: 2s, endpoint: '{}', application_key: ak, application_secret: as, consumer_key: ck",
            cloud.url("/1.0")
        );
        let discovery = [
            format!("digitalocean_sd_configs: [{{{keys}}}]"),
            format!("hetzner_sd_configs: [{{role: hcloud, {keys}}}, {{role: robot, {keys}}}]"),
            format!("ionos_sd_configs: [{{datacenter_id: d, {keys}}}]"),
            format!("vultr_sd_configs: [{{{keys}}}]"),
            format!("scaleway_sd_configs: [{{role: instance, {scaleway}}}, {{role: baremetal, {scaleway}}}]"),
            format!("ovhcloud_sd_configs: [{{service: vps, {ovh}}}, {{service: dedicated_server, {ovh}}}]"),
        ];
        let mut pair = Pair::start(&discovery.join("\n  ")).await;
        pair.agree(22, &[]).await;
        cloud.set(DROPLETS, [2, 4, 5, 6].map(droplet));
        cloud.set(SERVERS, [server(4, json!({"ip": "127.0.12.4"}))]);
        cloud.set(DEDICATED, []);
        cloud.set(VULTR, [7, 8, 9, 10].map(of_vultr));
        cloud.set(METAL, [metal(4)]);
        cloud.set(VPS, ["v2"].map(Value::from));
        pair.agree(17, &[]).await;
        for path in [DROPLETS, NETWORKS, DEDICATED, IONOS, VULTR, INSTANCES, METAL, VPS] {
            cloud.instead(Step::get(path).status(500).json("{}"));
        }
        pair.fail(FAILURES, 8).await;
        pair.agree(17, &[]).await;
        cloud.heal();
        cloud.set(IONOS, [of_ionos(3)]);
        pair.agree(16, &[]).await;
    });
}

#[test]
fn vmagent_finds_the_same_droplets() {
    leak_checked_live(|| async {
        let (cloud, folder) = (clouds().await, Folder::new());
        cloud.set(DROPLETS, (1..=3).map(droplet));
        let config = |name: &str, keys: String| {
            let keys = format!("port: 9100, authorization: {{credentials: t}}, {keys}");
            folder.write(name, format!("scrape_configs: [{{job_name: a, digitalocean_sd_configs: [{{{keys}}}]}}]\n"))
        };
        let ours = config("rosterd.yml", format!("refresh_interval: 1s, {}", cloud.keys()));
        let theirs = config("vmagent.yml", format!("server: '{}'", cloud.url("")));
        let (ours, theirs) = (rosterd(&ours, Wrapper::default(), &[]).await, vmagent("vmagent", &theirs).await);
        let agree = async |count: usize| {
            let look = async || {
                let meta = "__meta_digitalocean_";
                let (ours, theirs) = (labels_of(&ours, meta).await, labels_of(&theirs, meta).await);
                match ours == theirs && ours.len() == count {
                    true => Ok(()),
                    false => Err(format!("{count} are wanted, rosterd has\n{ours:#?}\nand vmagent\n{theirs:#?}")),
                }
            };
            eventually_ok(patience(), "rosterd and vmagent agree", look).await;
        };
        agree(3).await;
        cloud.set(DROPLETS, [2, 4, 5, 6, 7].map(droplet));
        agree(5).await;
    });
}
