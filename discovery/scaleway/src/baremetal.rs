//! Elastic Metal servers, as the API tells of them: a target each. Pure.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use http::HeaderMap;
use rosterd_discovery::Sheet;
use rosterd_model::TargetGroup;
use rosterd_rest::{Before, Fault, Page, each_a_target, json, present};

use super::check;

rosterd_rest::reply! {
    struct Servers {
        servers: Option<Vec<Server>> = "servers",
        total: usize = "total_count",
    }

    pub(super) struct Server {
        id: String = "id",
        name: String = "name",
        project: String = "project_id",
        status: Option<String> = "status",
        offer: String = "offer_id",
        tags: Vec<String> = "tags",
        addresses: Vec<Address> = "ips",
        zone: String = "zone",
        install: Install = "install",
    }

    struct Address {
        address: String = "address",
        version: Option<String> = "version",
    }

    struct Install {
        system: String = "os_id",
    }

    struct Offers {
        offers: Option<Vec<Offer>> = "offers",
        total: usize = "total_count",
    }

    pub(super) struct Offer {
        id: String = "id",
        name: String = "name",
    }

    struct Systems {
        systems: Option<Vec<System>> = "os",
        total: usize = "total_count",
    }

    pub(super) struct System {
        id: String = "id",
        name: String = "name",
        version: String = "version",
    }
}

pub(super) fn page(_: &HeaderMap, body: &[u8], before: Before) -> Result<Page<Server>, Fault> {
    let Servers { servers, total } = json(body)?;
    Ok(super::page(present(servers, "servers")?, before, total, |server| &server.id))
}

pub(super) fn offers(_: &HeaderMap, body: &[u8], before: Before) -> Result<Page<Offer>, Fault> {
    let Offers { offers, total } = json(body)?;
    Ok(super::page(present(offers, "offers")?, before, total, |offer| &offer.id))
}

pub(super) fn systems(_: &HeaderMap, body: &[u8], before: Before) -> Result<Page<System>, Fault> {
    let Systems { systems, total } = json(body)?;
    Ok(super::page(present(systems, "os")?, before, total, |system| &system.id))
}

/// What servers name by an id.
#[derive(Debug, Default)]
pub(super) struct Catalog {
    offers: HashMap<String, String>,
    systems: HashMap<String, System>,
}

impl Catalog {
    pub(super) fn of(offers: Vec<Offer>, systems: Vec<System>) -> Self {
        Self {
            offers: offers.into_iter().map(|offer| (offer.id, offer.name)).collect(),
            systems: systems.into_iter().map(|system| (system.id.clone(), system)).collect(),
        }
    }

    /// The ids of servers that are not in it.
    pub(super) fn unknown(&self, servers: &[Server]) -> HashSet<String> {
        let offers = servers.iter().map(|server| &server.offer).filter(|id| !self.offers.contains_key(*id));
        let systems = servers.iter().map(|server| &server.install.system);
        let systems = systems.filter(|id| !self.systems.contains_key(*id));
        offers.chain(systems).filter(|id| !id.is_empty()).cloned().collect()
    }
}

pub(super) fn groups(servers: Vec<Server>, catalog: &Catalog, port: u16) -> Vec<TargetGroup> {
    each_a_target(servers, |server, sheet| Some(server.label(catalog, port, sheet)))
}

impl Server {
    /// The first address of a version. One whose version nobody knows is none.
    fn address(&self, version: &str) -> Option<String> {
        let is_it = |address: &&Address| match address.version.as_deref() {
            Some("") => version == "IPv4",
            told => told == Some(version),
        };
        let address = &self.addresses.iter().find(is_it)?.address;
        Some(address.parse::<IpAddr>().map_or_else(|_| address.clone(), |address| address.to_string()))
    }

    /// One without addresses has none; rules may give it one.
    fn label(&self, catalog: &Catalog, port: u16, sheet: &mut Sheet) -> String {
        let (ipv4, ipv6) = (self.address("IPv4"), self.address("IPv6"));
        if let Some(address) = ipv4.as_ref().or(ipv6.as_ref()) {
            sheet.endpoint(address, port);
        }
        sheet.set("__meta_scaleway_baremetal_public_ipv4", ipv4.as_deref().unwrap_or_default());
        sheet.set("__meta_scaleway_baremetal_public_ipv6", ipv6.as_deref().unwrap_or_default());
        sheet.set("__meta_scaleway_baremetal_id", &self.id);
        sheet.set("__meta_scaleway_baremetal_name", &self.name);
        sheet.set("__meta_scaleway_baremetal_zone", check::renamed(&self.zone));
        sheet.set(
            "__meta_scaleway_baremetal_status",
            match self.status.as_deref() {
                Some("") => "unknown",
                status => status.unwrap_or_default(),
            },
        );
        sheet.set("__meta_scaleway_baremetal_project_id", &self.project);
        sheet.set("__meta_scaleway_baremetal_type", catalog.offers.get(&self.offer).map_or("", String::as_str));
        if let Some(system) = catalog.systems.get(&self.install.system) {
            sheet.set("__meta_scaleway_baremetal_os_name", &system.name);
            sheet.set("__meta_scaleway_baremetal_os_version", &system.version);
        }
        sheet.list_if_any("__meta_scaleway_baremetal_tags", &self.tags, ",");
        self.id.clone()
    }
}
