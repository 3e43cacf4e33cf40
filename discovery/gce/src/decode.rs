//! What the API answers, and what becomes of it: a target for each instance. Pure.

use std::collections::BTreeMap;

use rosterd_discovery::Sheet;
use rosterd_model::{Labels, Names};
use rosterd_rest::{Fault, Page, json};
use serde_json::Value;

use super::GceConfig;

/// What says that it is a list, if there is nothing in it.
const LIST: &str = "compute#instanceList";
/// The access configuration of an address that the outside knows an interface by.
const ONE_TO_ONE_NAT: &str = "ONE_TO_ONE_NAT";

rosterd_rest::reply! {
    struct List {
        kind: String = "kind",
        // None are left out.
        instances: Option<Vec<Instance>> = "items",
        next: String = "nextPageToken",
    }

    struct Instance {
        // A number of 64 bits, as text, because the numbers of JSON have fewer.
        id: Value = "id",
        name: String = "name",
        status: String = "status",
        zone: String = "zone",
        machine_type: String = "machineType",
        interfaces: Vec<Interface> = "networkInterfaces",
        tags: Tags = "tags",
        metadata: Metadata = "metadata",
        labels: BTreeMap<String, String> = "labels",
    }

    struct Interface {
        name: String = "name",
        network: String = "network",
        subnetwork: String = "subnetwork",
        address: String = "networkIP",
        access: Vec<Access> = "accessConfigs",
    }

    struct Access {
        kind: String = "type",
        address: String = "natIP",
    }

    struct Tags {
        items: Vec<String> = "items",
    }

    struct Metadata {
        items: Vec<Item> = "items",
    }

    struct Item {
        key: String = "key",
        value: String = "value",
    }
}

/// The targets of a page, and the token of the next one, if there is one.
pub(super) fn instances(body: &[u8], config: &GceConfig) -> Result<Page<Labels>, Fault> {
    let List { kind, instances, next } = json(body)?;
    let instances = match instances {
        Some(instances) => instances,
        None if kind == LIST => Vec::new(),
        None => return Err(Fault::new(format!("it has no items, and is not of the kind {LIST}"))),
    };
    let (mut sheet, mut names) = (Sheet::default(), Names::new());
    let items = instances.iter().filter_map(|instance| instance.labels(config, &mut sheet, &mut names)).collect();
    Ok(Page::new(items, Some(next)))
}

impl Instance {
    /// None of an instance that is in no network.
    fn labels(&self, config: &GceConfig, sheet: &mut Sheet, names: &mut Names) -> Option<Labels> {
        let first = self.interfaces.first()?;
        sheet.endpoint(&first.address, config.port);
        sheet.set("__meta_gce_project", &config.project);
        sheet.set("__meta_gce_zone", &self.zone);
        sheet.set("__meta_gce_instance_id", &id(&self.id));
        sheet.set("__meta_gce_instance_name", &self.name);
        sheet.set("__meta_gce_instance_status", &self.status);
        sheet.set("__meta_gce_machine_type", &self.machine_type);
        sheet.set("__meta_gce_network", &first.network);
        sheet.set("__meta_gce_subnetwork", &first.subnetwork);
        sheet.set("__meta_gce_private_ip", &first.address);
        if let Some(access) = first.access.first().filter(|access| access.kind == ONE_TO_ONE_NAT) {
            sheet.set("__meta_gce_public_ip", &access.address);
        }
        let addresses = self.interfaces.iter().map(|interface| (&interface.name, &interface.address));
        sheet.map("__meta_gce_interface_ipv4_", addresses);
        if !self.tags.items.is_empty() {
            sheet.list("__meta_gce_tags", &self.tags.items, &config.tag_separator);
        }
        sheet.map("__meta_gce_metadata_", self.metadata.items.iter().map(|item| (&item.key, &item.value)));
        sheet.map("__meta_gce_label_", &self.labels);
        Some(sheet.build(names))
    }
}

fn id(id: &Value) -> String {
    match id {
        Value::String(id) => id.clone(),
        Value::Number(id) => id.to_string(),
        _ => String::new(),
    }
}
