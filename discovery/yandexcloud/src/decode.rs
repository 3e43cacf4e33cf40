//! What the API answers, and what becomes of it. Pure.

use std::collections::BTreeMap;

use rosterd_discovery::Sheet;
use rosterd_model::{Names, TargetGroup};
use rosterd_rest::{Fault, Page, json, present};
use serde_json::Value;

/// Addresses of services by their names.
pub(super) type Services = BTreeMap<String, String>;

rosterd_rest::reply! {
    struct Endpoints {
        endpoints: Option<Vec<Endpoint>> = "endpoints",
    }

    struct Endpoint {
        id: String = "id",
        address: String = "address",
    }

    /// A page of one kind of things or another.
    struct Listed {
        organizations: Vec<Named> = "organizations",
        clouds: Vec<Named> = "clouds",
        folders: Vec<Named> = "folders",
        next: String = "nextPageToken",
    }

    struct Named {
        id: String = "id",
    }

    struct Instances {
        instances: Vec<Instance> = "instances",
        next: String = "nextPageToken",
    }

    pub(super) struct Instance {
        id: String = "id",
        name: String = "name",
        fqdn: String = "fqdn",
        status: String = "status",
        folder: String = "folderId",
        platform: String = "platformId",
        resources: Resources = "resources",
        labels: BTreeMap<String, String> = "labels",
        interfaces: Vec<Interface> = "networkInterfaces",
    }

    struct Resources {
        cores: Value = "cores",
        fraction: Value = "coreFraction",
        memory: Value = "memory",
    }

    struct Interface {
        index: Value = "index",
        primary: Address = "primaryV4Address",
    }

    struct Address {
        address: String = "address",
        nat: Nat = "oneToOneNat",
        records: Vec<Record> = "dnsRecords",
    }

    struct Nat {
        address: String = "address",
        records: Vec<Record> = "dnsRecords",
    }

    struct Record {
        fqdn: String = "fqdn",
    }
}

/// Which service is where.
pub(super) fn services(body: &[u8]) -> Result<Services, Fault> {
    let Endpoints { endpoints } = json(body)?;
    Ok(present(endpoints, "endpoints")?.into_iter().map(|endpoint| (endpoint.id, endpoint.address)).collect())
}

/// The ids of organisations, clouds or folders.
pub(super) fn ids(body: &[u8]) -> Result<Page<String>, Fault> {
    let Listed { organizations, clouds, folders, next } = json(body)?;
    let all = organizations.into_iter().chain(clouds).chain(folders);
    Ok(Page::new(all.map(|named| named.id).collect(), Some(next)))
}

/// Instances.
pub(super) fn instances(body: &[u8]) -> Result<Page<Instance>, Fault> {
    let Instances { instances, next } = json(body)?;
    Ok(Page::new(instances, Some(next)))
}

/// A group for each instance of a source. What comes or goes while pages are read may stand on two of them.
pub(super) fn groups(source: &str, instances: &[Instance]) -> Vec<TargetGroup> {
    let (mut sheet, mut names) = (Sheet::default(), Names::new());
    let instances: BTreeMap<_, _> = instances.iter().map(|instance| (instance.id.as_str(), instance)).collect();
    instances.values().map(|instance| instance.group(source, &mut sheet, &mut names)).collect()
}

impl Instance {
    fn group(&self, source: &str, sheet: &mut Sheet, names: &mut Names) -> TargetGroup {
        sheet.address(&self.fqdn);
        sheet.set("__meta_yandexcloud_instance_name", &self.name);
        sheet.set("__meta_yandexcloud_instance_fqdn", &self.fqdn);
        sheet.set("__meta_yandexcloud_instance_id", &self.id);
        sheet.set("__meta_yandexcloud_instance_status", &self.status);
        sheet.set("__meta_yandexcloud_instance_platform_id", &self.platform);
        let Resources { cores, fraction, memory } = &self.resources;
        sheet.set("__meta_yandexcloud_instance_resources_cores", &text(cores));
        sheet.set("__meta_yandexcloud_instance_resources_core_fraction", &text(fraction));
        sheet.set("__meta_yandexcloud_instance_resources_memory", &text(memory));
        sheet.set("__meta_yandexcloud_folder_id", &self.folder);
        sheet.map("__meta_yandexcloud_instance_label_", &self.labels);
        for Interface { index, primary } in &self.interfaces {
            let index = text(index);
            sheet.set_sanitised("__meta_yandexcloud_instance_private_ip_", &index, &primary.address);
            sheet.set_sanitised("__meta_yandexcloud_instance_public_ip_", &index, &primary.nat.address);
            // They are numbered anew for each interface, as in vmagent: those of the last one win.
            for (name, records) in [
                ("__meta_yandexcloud_instance_private_dns_", &primary.records),
                ("__meta_yandexcloud_instance_public_dns_", &primary.nat.records),
            ] {
                for (number, record) in records.iter().enumerate() {
                    sheet.set_sanitised(name, &number.to_string(), &record.fqdn);
                }
            }
        }
        TargetGroup {
            source: source.into(),
            key: self.id.as_str().into(),
            targets: vec![sheet.build(names)],
            ..TargetGroup::default()
        }
    }
}

/// Numbers of 64 bits are texts in this JSON, or numbers.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    }
}
