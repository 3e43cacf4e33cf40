//! Hypervisors, as Nova tells of them to operators.

use rosterd_discovery::Sheet;
use rosterd_model::{Names, TargetGroup};
use rosterd_rest::{Fault, Page, json, present};
use serde_json::Value;

use super::{Link, page};

rosterd_rest::reply! {
    struct Hypervisors {
        hypervisors: Option<Vec<Hypervisor>> = "hypervisors",
        links: Vec<Link> = "hypervisors_links",
    }

    struct Hypervisor {
        // A number before version 2.53.
        id: Value = "id",
        address: String = "host_ip",
        hostname: String = "hypervisor_hostname",
        status: String = "status",
        state: String = "state",
        kind: String = "hypervisor_type",
    }
}

pub(crate) fn hypervisors(body: &[u8], port: u16) -> Result<Page<TargetGroup>, Fault> {
    let Hypervisors { hypervisors, links } = json(body)?;
    let hypervisors = present(hypervisors, "hypervisors")?;
    let (mut sheet, mut names) = (Sheet::default(), Names::new());
    let mut group = |hypervisor: &Hypervisor| {
        let id = match &hypervisor.id {
            Value::String(id) => id.clone(),
            Value::Number(id) => id.to_string(),
            _ => String::new(),
        };
        sheet.endpoint(&hypervisor.address, port);
        sheet.set("__meta_openstack_hypervisor_id", &id);
        sheet.set("__meta_openstack_hypervisor_hostname", &hypervisor.hostname);
        sheet.set("__meta_openstack_hypervisor_host_ip", &hypervisor.address);
        sheet.set("__meta_openstack_hypervisor_status", &hypervisor.status);
        sheet.set("__meta_openstack_hypervisor_state", &hypervisor.state);
        sheet.set("__meta_openstack_hypervisor_type", &hypervisor.kind);
        // Cells have ids of their own.
        let (source, key) = (id.into(), hypervisor.hostname.as_str().into());
        TargetGroup { source, key, targets: vec![sheet.build(&mut names)], ..TargetGroup::default() }
    };
    let groups = hypervisors.iter().map(&mut group).collect();
    Ok(page(groups, hypervisors.len(), links))
}
