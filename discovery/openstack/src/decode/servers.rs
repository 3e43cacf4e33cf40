//! Servers, as Nova tells of them: a target for each address that is not a floating one.

use std::collections::BTreeMap;

use rosterd_discovery::Sheet;
use rosterd_model::{Labels, Names, TargetGroup};
use rosterd_rest::{Fault, Page, json, present};
use serde_json::Value;
use tracing::debug;

use super::{FloatingIps, Link, page};

rosterd_rest::reply! {
    struct Servers {
        servers: Option<Vec<Server>> = "servers",
        links: Vec<Link> = "servers_links",
    }

    struct Server {
        id: String = "id",
        name: String = "name",
        status: String = "status",
        project: String = "tenant_id",
        user: String = "user_id",
        flavor: Value = "flavor",
        // Empty text, for a server that boots from a volume.
        image: Value = "image",
        metadata: BTreeMap<String, String> = "metadata",
        networks: BTreeMap<String, Value> = "addresses",
    }
}

pub(crate) fn servers(body: &[u8], floating: &FloatingIps, port: u16) -> Result<Page<TargetGroup>, Fault> {
    let Servers { servers, links } = json(body)?;
    let servers = present(servers, "servers")?;
    let (mut sheet, mut names) = (Sheet::default(), Names::new());
    let groups = servers.iter().filter_map(|server| server.group(floating, port, &mut sheet, &mut names)).collect();
    Ok(page(groups, servers.len(), links))
}

impl Server {
    /// None of a server without addresses, nor of one without a flavor.
    fn group(&self, floating: &FloatingIps, port: u16, sheet: &mut Sheet, names: &mut Names) -> Option<TargetGroup> {
        let text = |of: &Value, key: &str| of.get(key).and_then(Value::as_str).map(str::to_owned);
        let Some(flavor) = text(&self.flavor, "original_name").or_else(|| text(&self.flavor, "id")) else {
            debug!(server = self.id, "a server has no flavor that can be told");
            return None;
        };
        let targets = self.targets(floating, port, sheet, names);
        if targets.is_empty() {
            debug!(server = self.id, "a server has no address");
            return None;
        }
        sheet.set("__meta_openstack_instance_id", &self.id);
        sheet.set("__meta_openstack_instance_name", &self.name);
        sheet.set("__meta_openstack_instance_status", &self.status);
        sheet.set("__meta_openstack_instance_flavor", &flavor);
        sheet.set("__meta_openstack_instance_image", &text(&self.image, "id").unwrap_or_default());
        sheet.set("__meta_openstack_project_id", &self.project);
        sheet.set("__meta_openstack_user_id", &self.user);
        sheet.map("__meta_openstack_tag_", &self.metadata);
        Some(TargetGroup { source: self.id.as_str().into(), key: "".into(), labels: sheet.build(names), targets })
    }

    fn targets(&self, floating: &FloatingIps, port: u16, sheet: &mut Sheet, names: &mut Names) -> Vec<Labels> {
        let mut targets = Vec::new();
        for (network, addresses) in &self.networks {
            let addresses = addresses.as_array().into_iter().flatten();
            let addresses = addresses.filter_map(|address| address.get("addr")?.as_str());
            for address in addresses.filter(|address| !floating.has(address)) {
                sheet.endpoint(address, port);
                sheet.set("__meta_openstack_address_pool", network);
                sheet.set("__meta_openstack_private_ip", address);
                sheet.set("__meta_openstack_public_ip", floating.leading_to(&self.id, address).unwrap_or_default());
                targets.push(sheet.build(names));
            }
        }
        targets
    }
}
