//! Servers, as the API tells of them: a target each. Pure.

use rosterd_discovery::Sheet;
use rosterd_model::{Names, TargetGroup};
use rosterd_rest::{Fault, json, present};

use super::Service;
use super::addresses::Addresses;

rosterd_rest::reply! {
    pub(super) struct Vps {
        name: String = "name",
        display_name: String = "displayName",
        cluster: String = "cluster",
        zone: String = "zone",
        state: String = "state",
        netboot_mode: String = "netbootMode",
        memory_limit: i64 = "memoryLimit",
        offer_type: String = "offerType",
        vcore: i64 = "vcore",
        model: Model = "model",
    }

    pub(super) struct Model {
        offer: String = "offer",
        datacenter: Vec<String> = "datacenter",
        vcore: i64 = "vcore",
        // They write it so.
        additional_ips: i64 = "maximumAdditionnalIp",
        version: String = "version",
        name: String = "name",
        disk: i64 = "disk",
        memory: i64 = "memory",
    }

    pub(super) struct Dedicated {
        state: String = "state",
        commercial_range: String = "commercialRange",
        link_speed: i64 = "linkSpeed",
        rack: String = "rack",
        no_intervention: bool = "noIntervention",
        os: String = "os",
        support_level: String = "supportLevel",
        id: i64 = "serverId",
        reverse: String = "reverse",
        datacenter: String = "datacenter",
        name: String = "name",
    }
}

/// What is told of one server.
#[derive(Debug)]
pub(super) enum Details {
    Vps(Vps),
    Dedicated(Dedicated),
}

pub(super) fn details(body: &[u8], service: Service) -> Result<Details, Fault> {
    let (details, is_named) = match service {
        Service::Vps => {
            let server: Vps = json(body)?;
            let is_named = !server.name.is_empty();
            (Details::Vps(server), is_named)
        }
        Service::DedicatedServer => {
            let server: Dedicated = json(body)?;
            let is_named = !server.name.is_empty();
            (Details::Dedicated(server), is_named)
        }
    };
    present(is_named.then_some(details), "name")
}

/// The group of a server, of which its name is the source, if it has an address.
pub(super) fn group(name: &str, details: &Details, addresses: &Addresses) -> Option<TargetGroup> {
    let mut sheet = Sheet::default();
    // There is no port: rules have to add one.
    sheet.address(addresses.main()?);
    match details {
        Details::Vps(server) => server.label(addresses, &mut sheet),
        Details::Dedicated(server) => server.label(addresses, &mut sheet),
    }
    let target = sheet.build(&mut Names::new());
    Some(TargetGroup { source: name.into(), targets: vec![target], ..TargetGroup::default() })
}

impl Vps {
    fn label(&self, addresses: &Addresses, sheet: &mut Sheet) {
        let model = &self.model;
        sheet.instance(&self.name);
        sheet.set("__meta_ovhcloud_vps_offer", &model.offer);
        // As Go prints a list.
        sheet.set("__meta_ovhcloud_vps_datacenter", &format!("[{}]", model.datacenter.join(" ")));
        sheet.number("__meta_ovhcloud_vps_model_vcore", model.vcore);
        sheet.number("__meta_ovhcloud_vps_maximum_additional_ip", model.additional_ips);
        sheet.set("__meta_ovhcloud_vps_version", &model.version);
        sheet.set("__meta_ovhcloud_vps_model_name", &model.name);
        sheet.number("__meta_ovhcloud_vps_disk", model.disk);
        sheet.number("__meta_ovhcloud_vps_memory", model.memory);
        sheet.set("__meta_ovhcloud_vps_zone", &self.zone);
        sheet.set("__meta_ovhcloud_vps_display_name", &self.display_name);
        sheet.set("__meta_ovhcloud_vps_cluster", &self.cluster);
        sheet.set("__meta_ovhcloud_vps_state", &self.state);
        sheet.set("__meta_ovhcloud_vps_name", &self.name);
        sheet.set("__meta_ovhcloud_vps_netboot_mode", &self.netboot_mode);
        sheet.number("__meta_ovhcloud_vps_memory_limit", self.memory_limit);
        sheet.set("__meta_ovhcloud_vps_offer_type", &self.offer_type);
        sheet.number("__meta_ovhcloud_vps_vcore", self.vcore);
        sheet.set("__meta_ovhcloud_vps_ipv4", &addresses.ipv4);
        sheet.set("__meta_ovhcloud_vps_ipv6", &addresses.ipv6);
    }
}

impl Dedicated {
    fn label(&self, addresses: &Addresses, sheet: &mut Sheet) {
        sheet.instance(&self.name);
        sheet.set("__meta_ovhcloud_dedicated_server_state", &self.state);
        sheet.set("__meta_ovhcloud_dedicated_server_commercial_range", &self.commercial_range);
        sheet.number("__meta_ovhcloud_dedicated_server_link_speed", self.link_speed);
        sheet.set("__meta_ovhcloud_dedicated_server_rack", &self.rack);
        sheet.flag("__meta_ovhcloud_dedicated_server_no_intervention", self.no_intervention);
        sheet.set("__meta_ovhcloud_dedicated_server_os", &self.os);
        sheet.set("__meta_ovhcloud_dedicated_server_support_level", &self.support_level);
        sheet.number("__meta_ovhcloud_dedicated_server_server_id", self.id);
        sheet.set("__meta_ovhcloud_dedicated_server_reverse", &self.reverse);
        sheet.set("__meta_ovhcloud_dedicated_server_datacenter", &self.datacenter);
        sheet.set("__meta_ovhcloud_dedicated_server_name", &self.name);
        sheet.set("__meta_ovhcloud_dedicated_server_ipv4", &addresses.ipv4);
        sheet.set("__meta_ovhcloud_dedicated_server_ipv6", &addresses.ipv6);
    }
}
