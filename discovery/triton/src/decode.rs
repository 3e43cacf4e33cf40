//! What CMON answers, and what becomes of it. Pure.

use std::collections::BTreeMap;

use rosterd_discovery::Sheet;
use rosterd_model::{Labels, Names, TargetGroup};
use rosterd_rest::{Fault, json, present};

use super::{Role, TritonConfig};

rosterd_rest::reply! {
    /// What the one role or the other tells.
    struct Answer {
        containers: Option<Vec<Container>> = "containers",
        nodes: Option<Vec<Node>> = "cns",
    }

    struct Container {
        groups: Vec<String> = "groups",
        server: String = "server_uuid",
        alias: String = "vm_alias",
        brand: String = "vm_brand",
        image: String = "vm_image_uuid",
        id: String = "vm_uuid",
    }

    struct Node {
        id: String = "server_uuid",
        hostname: String = "server_hostname",
    }
}

/// A group for each container or compute node, of which it is the source.
pub(super) fn groups(body: &[u8], config: &TritonConfig) -> Result<Vec<TargetGroup>, Fault> {
    let answer: Answer = json(body)?;
    let (mut sheet, mut names) = (Sheet::default(), Names::new());
    let targets: BTreeMap<_, _> = match config.role {
        Role::Container => {
            let all = present(answer.containers, "containers")?;
            all.iter().map(|it| (it.id.clone(), it.labels(config, &mut sheet, &mut names))).collect()
        }
        Role::Cn => {
            let all = present(answer.nodes, "cns")?;
            all.iter().map(|it| (it.id.clone(), it.labels(config, &mut sheet, &mut names))).collect()
        }
    };
    let group = |(id, target): (String, Labels)| TargetGroup {
        source: id.into(),
        targets: vec![target],
        ..TargetGroup::default()
    };
    Ok(targets.into_iter().map(group).collect())
}

impl Container {
    fn labels(&self, config: &TritonConfig, sheet: &mut Sheet, names: &mut Names) -> Labels {
        sheet.address(&address(&self.id, config));
        sheet.set("__meta_triton_machine_id", &self.id);
        sheet.set("__meta_triton_machine_alias", &self.alias);
        sheet.set("__meta_triton_machine_brand", &self.brand);
        sheet.set("__meta_triton_machine_image", &self.image);
        sheet.set("__meta_triton_server_id", &self.server);
        sheet.list_if_any("__meta_triton_groups", &self.groups, ",");
        sheet.build(names)
    }
}

impl Node {
    fn labels(&self, config: &TritonConfig, sheet: &mut Sheet, names: &mut Names) -> Labels {
        sheet.address(&address(&self.id, config));
        sheet.set("__meta_triton_machine_id", &self.id);
        sheet.set("__meta_triton_machine_alias", &self.hostname);
        sheet.build(names)
    }
}

/// CMON answers for each of them at a name of its own.
fn address(id: &str, config: &TritonConfig) -> String {
    format!("{id}.{}:{}", config.dns_suffix, config.port)
}
