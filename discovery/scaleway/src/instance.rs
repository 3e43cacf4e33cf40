//! Instances, as the API tells of them: a target for each that has an address. Pure.

use std::collections::HashMap;
use std::net::IpAddr;

use http::HeaderMap;
use rosterd_discovery::{Sheet, host_port};
use rosterd_model::TargetGroup;
use rosterd_rest::{Before, Fault, Page, each_a_target, json, present};

use super::check;

/// What Prometheus tells in place of an address that there is none of.
const NONE: &str = "<nil>";

rosterd_rest::reply! {
    struct Servers {
        servers: Option<Vec<Server>> = "servers",
    }

    pub(super) struct Server {
        id: String = "id",
        name: String = "name",
        hostname: String = "hostname",
        organization: String = "organization",
        project: String = "project",
        tags: Vec<String> = "tags",
        kind: String = "commercial_type",
        image: Option<Image> = "image",
        private: Option<String> = "private_ip",
        public: Option<Address> = "public_ip",
        all_public: Vec<Address> = "public_ips",
        ipv6: Option<Address> = "ipv6",
        state: Option<String> = "state",
        location: Location = "location",
        boot: Option<String> = "boot_type",
        security: Security = "security_group",
        zone: String = "zone",
        cards: Vec<Card> = "private_nics",
    }

    struct Image {
        id: String = "id",
        name: String = "name",
        arch: Option<String> = "arch",
    }

    struct Address {
        address: String = "address",
        family: Option<String> = "family",
    }

    struct Location {
        cluster: String = "cluster_id",
        hypervisor: String = "hypervisor_id",
        node: String = "node_id",
    }

    struct Security {
        id: String = "id",
        name: String = "name",
    }

    struct Card {
        id: String = "id",
    }

    struct Addresses {
        addresses: Option<Vec<PrivateAddress>> = "ips",
        total: usize = "total_count",
    }

    pub(super) struct PrivateAddress {
        id: String = "id",
        address: String = "address",
        is_ipv6: bool = "is_ipv6",
        resource: Resource = "resource",
    }

    struct Resource {
        id: String = "id",
    }
}

/// A page of servers. How many there are on all pages stands in a header.
pub(super) fn page(headers: &HeaderMap, body: &[u8], before: Before) -> Result<Page<Server>, Fault> {
    let answer: Servers = json(body)?;
    let total = headers.get("x-total-count").and_then(|total| total.to_str().ok()?.parse().ok());
    Ok(super::page(present(answer.servers, "servers")?, before, total.unwrap_or_default(), |server| &server.id))
}

/// A page of addresses in private networks.
pub(super) fn addresses(_: &HeaderMap, body: &[u8], before: Before) -> Result<Page<PrivateAddress>, Fault> {
    let Addresses { addresses, total } = json(body)?;
    Ok(super::page(present(addresses, "ips")?, before, total, |address| &address.id))
}

/// An address for each network card that has one.
#[derive(Debug, Default)]
pub(super) struct PrivateAddresses(HashMap<String, String>);

impl Extend<PrivateAddress> for PrivateAddresses {
    /// Of several, the last one counts.
    fn extend<I: IntoIterator<Item = PrivateAddress>>(&mut self, addresses: I) {
        for PrivateAddress { address, is_ipv6, resource, .. } in addresses {
            // It comes with the size of its network.
            let address = address.split('/').next().unwrap_or_default();
            if !is_ipv6 && !address.is_empty() {
                self.0.insert(resource.id, normalised(address));
            }
        }
    }
}

pub(super) fn groups(servers: Vec<Server>, private: &PrivateAddresses, port: u16) -> Vec<TargetGroup> {
    each_a_target(servers, |server, sheet| server.label(private, port, sheet))
}

/// As Go prints it.
fn normalised(address: &str) -> String {
    match address.parse::<IpAddr>() {
        Ok(address) => address.to_string(),
        Err(_) if address.is_empty() => NONE.to_owned(),
        Err(_) => address.to_owned(),
    }
}

/// A text of a few, of which the empty one means this one.
fn one_of<'a>(text: &'a Option<String>, usual: &'a str) -> &'a str {
    match text.as_deref() {
        None => "",
        Some("") => usual,
        Some(text) => text,
    }
}

impl Server {
    /// The network cards of a server that has no other addresses.
    pub(super) fn cards_alone(&self) -> impl Iterator<Item = &str> {
        let has_others = self.private.is_some() || self.public.is_some() || self.ipv6.is_some();
        let cards = if has_others { &[][..] } else { &self.cards[..] };
        cards.iter().map(|card| &*card.id).filter(|id| !id.is_empty())
    }

    fn label(&self, private: &PrivateAddresses, port: u16, sheet: &mut Sheet) -> Option<String> {
        let mut address = self.addresses(sheet);
        if address.is_empty() {
            address = self.cards.iter().find_map(|card| private.0.get(&card.id))?.clone();
            sheet.set("__meta_scaleway_instance_private_ipv4", &address);
        }
        sheet.address(&host_port(&address, port));
        sheet.set("__meta_scaleway_instance_boot_type", one_of(&self.boot, "local"));
        sheet.set("__meta_scaleway_instance_hostname", &self.hostname);
        sheet.set("__meta_scaleway_instance_id", &self.id);
        sheet.set("__meta_scaleway_instance_name", &self.name);
        sheet.set("__meta_scaleway_instance_organization_id", &self.organization);
        sheet.set("__meta_scaleway_instance_project_id", &self.project);
        sheet.set("__meta_scaleway_instance_status", one_of(&self.state, "running"));
        sheet.set("__meta_scaleway_instance_type", &self.kind);
        let zone = check::renamed(&self.zone);
        sheet.set("__meta_scaleway_instance_zone", zone);
        sheet.set("__meta_scaleway_instance_region", check::region(zone).unwrap_or_default());
        if let Some(image) = &self.image {
            sheet.set("__meta_scaleway_instance_image_arch", one_of(&image.arch, "unknown_arch"));
            sheet.set("__meta_scaleway_instance_image_id", &image.id);
            sheet.set("__meta_scaleway_instance_image_name", &image.name);
        }
        sheet.set("__meta_scaleway_instance_location_cluster_id", &self.location.cluster);
        sheet.set("__meta_scaleway_instance_location_hypervisor_id", &self.location.hypervisor);
        sheet.set("__meta_scaleway_instance_location_node_id", &self.location.node);
        sheet.set("__meta_scaleway_instance_security_group_id", &self.security.id);
        sheet.set("__meta_scaleway_instance_security_group_name", &self.security.name);
        sheet.list_if_any("__meta_scaleway_instance_tags", &self.tags, ",");
        Some(self.id.clone())
    }

    /// Tells the addresses of the server itself. The one of the target is the last of these that it has; many public ones are told, and
    /// are none.
    fn addresses(&self, sheet: &mut Sheet) -> String {
        let of = |family: &str| {
            let all = self.all_public.iter().filter(|it| one_of(&it.family, "inet") == family);
            all.map(|it| normalised(&it.address)).collect::<Vec<_>>()
        };
        sheet.list_if_any("__meta_scaleway_instance_public_ipv4_addresses", &of("inet"), ",");
        sheet.list_if_any("__meta_scaleway_instance_public_ipv6_addresses", &of("inet6"), ",");
        let mut address = String::new();
        if let Some(ipv6) = &self.ipv6 {
            address = normalised(&ipv6.address);
            sheet.set("__meta_scaleway_instance_public_ipv6", &address);
        }
        if let Some(public) = &self.public {
            address = normalised(&public.address);
            if public.family.as_deref() != Some("inet6") {
                sheet.set("__meta_scaleway_instance_public_ipv4", &address);
            }
        }
        if let Some(private) = &self.private {
            address.clone_from(private);
            sheet.set("__meta_scaleway_instance_private_ipv4", &address);
        }
        address
    }
}
