//! Servers of the cloud, as its API tells of them: a target each. Pure.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;

use rosterd_discovery::Sheet;
use rosterd_model::TargetGroup;
use rosterd_rest::{Fault, Page, each_a_target, json, present};

/// What Prometheus tells in place of an address that there is none of.
const NONE: &str = "<nil>";

rosterd_rest::reply! {
    struct Servers {
        servers: Option<Vec<Server>> = "servers",
        meta: Meta = "meta",
    }

    struct Networks {
        networks: Option<Vec<Network>> = "networks",
        meta: Meta = "meta",
    }

    struct Meta {
        pagination: Pagination = "pagination",
    }

    struct Pagination {
        next: u64 = "next_page",
    }

    pub(super) struct Network {
        id: i64 = "id",
        name: String = "name",
    }

    pub(super) struct Server {
        id: i64 = "id",
        name: String = "name",
        status: String = "status",
        public: Public = "public_net",
        private: Vec<Private> = "private_net",
        kind: Kind = "server_type",
        location: Location = "location",
        image: Option<Image> = "image",
        labels: BTreeMap<String, String> = "labels",
    }

    struct Public {
        ipv4: Address = "ipv4",
        ipv6: Address = "ipv6",
    }

    struct Address {
        ip: String = "ip",
    }

    struct Private {
        network: i64 = "network",
        ip: String = "ip",
    }

    struct Kind {
        name: String = "name",
        cores: i64 = "cores",
        cpu: String = "cpu_type",
        memory: f64 = "memory",
        disk: i64 = "disk",
    }

    struct Location {
        name: String = "name",
        zone: String = "network_zone",
    }

    struct Image {
        name: String = "name",
        description: String = "description",
        version: String = "os_version",
        flavor: String = "os_flavor",
    }
}

pub(super) fn servers(body: &[u8]) -> Result<Page<Server>, Fault> {
    let answer: Servers = json(body)?;
    Ok(Page::new(present(answer.servers, "servers")?, answer.meta.next()))
}

pub(super) fn networks(body: &[u8]) -> Result<Page<Network>, Fault> {
    let answer: Networks = json(body)?;
    Ok(Page::new(present(answer.networks, "networks")?, answer.meta.next()))
}

pub(super) fn groups(servers: Vec<Server>, networks: Vec<Network>, port: u16) -> Vec<TargetGroup> {
    let networks: BTreeMap<_, _> = networks.into_iter().map(|network| (network.id, network.name)).collect();
    each_a_target(servers, |server, sheet| Some(server.label(&networks, port, sheet)))
}

impl Meta {
    fn next(&self) -> Option<String> {
        Some(self.pagination.next).filter(|page| *page > 0).map(|page| page.to_string())
    }
}

impl Server {
    /// Whether it has addresses in networks, which have names.
    pub(super) fn has_networks(&self) -> bool {
        !self.private.is_empty()
    }

    fn label(&self, networks: &BTreeMap<i64, String>, port: u16, sheet: &mut Sheet) -> String {
        let ipv4 = or_none(&self.public.ipv4.ip);
        sheet.endpoint(&ipv4, port);
        sheet.set("__meta_hetzner_role", "hcloud");
        sheet.number("__meta_hetzner_server_id", self.id);
        sheet.set("__meta_hetzner_server_name", &self.name);
        sheet.set("__meta_hetzner_server_status", &self.status);
        sheet.set("__meta_hetzner_public_ipv4", &ipv4);
        sheet.set("__meta_hetzner_public_ipv6_network", &or_none(&network(&self.public.ipv6.ip)));
        for (place, zone) in [
            ("__meta_hetzner_hcloud_location", "__meta_hetzner_hcloud_location_network_zone"),
            ("__meta_hetzner_hcloud_datacenter_location", "__meta_hetzner_hcloud_datacenter_location_network_zone"),
        ] {
            sheet.set(place, &self.location.name);
            sheet.set(zone, &self.location.zone);
        }
        sheet.set("__meta_hetzner_hcloud_server_type", &self.kind.name);
        sheet.number("__meta_hetzner_hcloud_cpu_cores", self.kind.cores);
        sheet.set("__meta_hetzner_hcloud_cpu_type", &self.kind.cpu);
        // Whole ones, as in Prometheus.
        sheet.number("__meta_hetzner_hcloud_memory_size_gb", self.kind.memory.trunc());
        sheet.number("__meta_hetzner_hcloud_disk_size_gb", self.kind.disk);
        if let Some(image) = &self.image {
            sheet.set("__meta_hetzner_hcloud_image_name", &image.name);
            sheet.set("__meta_hetzner_hcloud_image_description", &image.description);
            sheet.set("__meta_hetzner_hcloud_image_os_version", &image.version);
            sheet.set("__meta_hetzner_hcloud_image_os_flavor", &image.flavor);
        }
        for private in &self.private {
            if let Some(name) = networks.get(&private.network) {
                sheet.set_sanitised("__meta_hetzner_hcloud_private_ipv4_", name, &private.ip);
            }
        }
        for key in self.labels.keys() {
            sheet.set_sanitised("__meta_hetzner_hcloud_labelpresent_", key, "true");
        }
        sheet.map("__meta_hetzner_hcloud_label_", &self.labels);
        self.id.to_string()
    }
}

fn or_none(address: &str) -> String {
    if address.is_empty() { NONE.to_owned() } else { address.to_owned() }
}

/// A network by its first address, as Go prints it: the API gives any address of it.
fn network(text: &str) -> String {
    let parsed = text.split_once('/').and_then(|(address, bits)| Some((address.parse().ok()?, bits.parse().ok()?)));
    match parsed {
        Some((address, bits @ 0..=128)) => {
            let mask = u128::MAX.checked_shl(128 - bits).unwrap_or_default();
            format!("{}/{bits}", Ipv6Addr::from_bits(Ipv6Addr::to_bits(address) & mask))
        }
        _ => text.to_owned(),
    }
}
