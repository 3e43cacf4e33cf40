//! Instances, as the API tells of them: a target each. Pure.

use rosterd_discovery::Sheet;
use rosterd_model::TargetGroup;
use rosterd_rest::{Fault, Page, each_a_target, json, present};

rosterd_rest::reply! {
    struct Answer {
        instances: Option<Vec<Instance>> = "instances",
        meta: Meta = "meta",
    }

    struct Meta {
        links: Links = "links",
    }

    struct Links {
        // No link, but a token.
        next: Option<String> = "next",
    }

    pub(super) struct Instance {
        id: String = "id",
        label: String = "label",
        os: String = "os",
        os_id: i64 = "os_id",
        region: String = "region",
        plan: String = "plan",
        main_ip: String = "main_ip",
        main_ipv6: String = "v6_main_ip",
        internal_ip: String = "internal_ip",
        features: Vec<String> = "features",
        tags: Vec<String> = "tags",
        hostname: String = "hostname",
        status: String = "server_status",
        vcpus: i64 = "vcpu_count",
        ram: i64 = "ram",
        bandwidth: i64 = "allowed_bandwidth",
        disk: i64 = "disk",
    }
}

pub(super) fn page(body: &[u8]) -> Result<Page<Instance>, Fault> {
    let answer: Answer = json(body)?;
    Ok(Page::new(present(answer.instances, "instances")?, answer.meta.links.next))
}

pub(super) fn groups(instances: Vec<Instance>, port: u16) -> Vec<TargetGroup> {
    each_a_target(instances, |instance, sheet| Some(instance.label(port, sheet)))
}

impl Instance {
    fn label(&self, port: u16, sheet: &mut Sheet) -> String {
        sheet.endpoint(&self.main_ip, port);
        sheet.set("__meta_vultr_instance_id", &self.id);
        sheet.set("__meta_vultr_instance_label", &self.label);
        sheet.set("__meta_vultr_instance_os", &self.os);
        sheet.number("__meta_vultr_instance_os_id", self.os_id);
        sheet.set("__meta_vultr_instance_region", &self.region);
        sheet.set("__meta_vultr_instance_plan", &self.plan);
        sheet.set("__meta_vultr_instance_main_ip", &self.main_ip);
        sheet.set("__meta_vultr_instance_main_ipv6", &self.main_ipv6);
        sheet.set("__meta_vultr_instance_internal_ip", &self.internal_ip);
        sheet.set("__meta_vultr_instance_hostname", &self.hostname);
        sheet.set("__meta_vultr_instance_server_status", &self.status);
        sheet.number("__meta_vultr_instance_vcpu_count", self.vcpus);
        sheet.number("__meta_vultr_instance_ram_mb", self.ram);
        sheet.number("__meta_vultr_instance_allowed_bandwidth_gb", self.bandwidth);
        sheet.number("__meta_vultr_instance_disk_gb", self.disk);
        sheet.list_if_any("__meta_vultr_instance_features", &self.features, ",");
        sheet.list_if_any("__meta_vultr_instance_tags", &self.tags, ",");
        self.id.clone()
    }
}
