//! Load balancers, as Octavia tells of them: those that show Prometheus how they are, at the port of the listener for it.

use std::collections::HashMap;

use rosterd_discovery::Sheet;
use rosterd_model::{Names, TargetGroup};
use rosterd_rest::{Fault, Page, json, present};

use super::floating::FloatingIp;
use super::{Link, page};

/// The protocol of a listener that has nothing behind it but metrics.
const PROMETHEUS: &str = "PROMETHEUS";

rosterd_rest::reply! {
    struct Balancers {
        balancers: Option<Vec<Balancer>> = "loadbalancers",
        links: Vec<Link> = "loadbalancers_links",
    }

    pub(crate) struct Balancer {
        id: String = "id",
        name: String = "name",
        project: String = "project_id",
        operating: String = "operating_status",
        provisioning: String = "provisioning_status",
        zone: String = "availability_zone",
        address: String = "vip_address",
        port: String = "vip_port_id",
        provider: String = "provider",
        tags: Vec<String> = "tags",
    }

    struct Listeners {
        listeners: Option<Vec<Listener>> = "listeners",
        links: Vec<Link> = "listeners_links",
    }

    pub(crate) struct Listener {
        protocol: String = "protocol",
        port: u16 = "protocol_port",
        balancers: Vec<Of> = "loadbalancers",
    }

    struct Of {
        id: String = "id",
    }
}

pub(crate) fn load_balancers(body: &[u8]) -> Result<Page<Balancer>, Fault> {
    let Balancers { balancers, links } = json(body)?;
    let balancers = present(balancers, "loadbalancers")?;
    let things = balancers.len();
    Ok(page(balancers, things, links))
}

/// Those for Prometheus.
pub(crate) fn listeners(body: &[u8]) -> Result<Page<Listener>, Fault> {
    let Listeners { listeners, links } = json(body)?;
    let mut listeners = present(listeners, "listeners")?;
    let things = listeners.len();
    listeners.retain(|listener| listener.protocol == PROMETHEUS);
    Ok(page(listeners, things, links))
}

pub(crate) fn groups(balancers: &[Balancer], listeners: &[Listener], floating: &[FloatingIp]) -> Vec<TargetGroup> {
    let mut ports = HashMap::new();
    for listener in listeners {
        // The first one counts.
        listener.balancers.iter().for_each(|it| _ = ports.entry(&*it.id).or_insert(listener.port));
    }
    let floating: HashMap<_, _> =
        floating.iter().map(|it| (&*it.port, &*it.address)).filter(|(port, _)| !port.is_empty()).collect();
    let (mut sheet, mut names) = (Sheet::default(), Names::new());
    let mut group = |balancer: &Balancer, port: u16| {
        sheet.endpoint(&balancer.address, port);
        sheet.set("__meta_openstack_loadbalancer_id", &balancer.id);
        sheet.set("__meta_openstack_loadbalancer_name", &balancer.name);
        sheet.set("__meta_openstack_loadbalancer_operating_status", &balancer.operating);
        sheet.set("__meta_openstack_loadbalancer_provisioning_status", &balancer.provisioning);
        sheet.set("__meta_openstack_loadbalancer_availability_zone", &balancer.zone);
        sheet.set("__meta_openstack_loadbalancer_vip", &balancer.address);
        sheet.set("__meta_openstack_loadbalancer_provider", &balancer.provider);
        sheet.set("__meta_openstack_loadbalancer_tags", &balancer.tags.join(","));
        sheet.set(
            "__meta_openstack_loadbalancer_floating_ip",
            floating.get(&*balancer.port).copied().unwrap_or_default(),
        );
        sheet.set("__meta_openstack_project_id", &balancer.project);
        let source = balancer.id.as_str().into();
        TargetGroup { source, targets: vec![sheet.build(&mut names)], ..TargetGroup::default() }
    };
    balancers.iter().filter_map(|balancer| Some(group(balancer, *ports.get(&*balancer.id)?))).collect()
}
