//! What the API answers, and what becomes of it: a group for each server, of which it is the source. Pure.

use std::collections::BTreeMap;

use rosterd_discovery::Sheet;
use rosterd_model::{Names, TargetGroup};
use rosterd_rest::{Fault, json, or_default};
use serde::Deserialize;
use serde_json::Value;

use super::StackitConfig;

/// What has no list says nothing of what is in it; `null` is an empty one, as for STACKIT's own programs.
#[derive(Debug, Deserialize)]
#[serde(expecting = "a map of keys and values")]
struct Answer {
    #[serde(deserialize_with = "or_default")]
    items: Vec<Server>,
}

rosterd_rest::reply! {
    struct Server {
        id: String = "id",
        name: String = "name",
        zone: String = "availabilityZone",
        kind: String = "machineType",
        status: String = "status",
        power: String = "powerStatus",
        labels: BTreeMap<String, Value> = "labels",
        interfaces: Vec<Interface> = "nics",
    }

    struct Interface {
        network: String = "networkName",
        private: String = "ipv4",
        public: String = "publicIp",
    }
}

/// A server without an address is no target.
pub(super) fn groups(body: &[u8], config: &StackitConfig) -> Result<Vec<TargetGroup>, Fault> {
    let Answer { items } = json(body)?;
    let (mut sheet, mut names) = (Sheet::default(), Names::new());
    let servers: BTreeMap<_, _> = items.iter().map(|server| (server.id.as_str(), server)).collect();
    Ok(servers.values().filter_map(|server| server.group(config, &mut sheet, &mut names)).collect())
}

impl Server {
    fn group(&self, config: &StackitConfig, sheet: &mut Sheet, names: &mut Names) -> Option<TargetGroup> {
        let first = |of: fn(&Interface) -> &str| self.interfaces.iter().map(of).find(|address| !address.is_empty());
        let (public, private) = (first(|it| &it.public), first(|it| &it.private));
        sheet.endpoint(public.or(private)?, config.port);
        sheet.set("__meta_stackit_project", &config.project);
        sheet.set("__meta_stackit_id", &self.id);
        sheet.set("__meta_stackit_name", &self.name);
        sheet.set("__meta_stackit_availability_zone", &self.zone);
        sheet.set("__meta_stackit_status", &self.status);
        sheet.set("__meta_stackit_power_status", &self.power);
        sheet.set("__meta_stackit_type", &self.kind);
        sheet.set("__meta_stackit_public_ipv4", public.unwrap_or_default());
        let private = self.interfaces.iter().filter(|it| !it.private.is_empty());
        sheet.map("__meta_stackit_private_ipv4_", private.map(|it| (&it.network, &it.private)));
        for (key, value) in &self.labels {
            if let Some(value) = value.as_str() {
                sheet.set_sanitised("__meta_stackit_label_", key, value);
                sheet.set_sanitised("__meta_stackit_labelpresent_", key, "true");
            }
        }
        let targets = vec![sheet.build(names)];
        Some(TargetGroup { source: self.id.as_str().into(), targets, ..TargetGroup::default() })
    }
}
