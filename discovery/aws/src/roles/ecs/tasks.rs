//! The targets of tasks: those with an interface of their own at its address, the others at that of their machine.

use std::collections::HashMap;

use rosterd_discovery::Sheet;
use rosterd_model::{Names, TargetGroup};

use super::network::Network;
use super::read::{Cluster, Service, Tag, Task};

/// A group for each task that has an address, in the order of their ARNs.
pub(super) fn groups(
    region: &str,
    source: &str,
    cluster: &Cluster,
    services: &[Service],
    tasks: &[Task],
    network: &Network,
    port: u16,
) -> Vec<TargetGroup> {
    let services: HashMap<_, _> = services.iter().map(|service| (&*service.name, service)).collect();
    let (mut sheet, mut names) = (Sheet::default(), Names::new());
    let mut group = |task: &Task| {
        let place = place(task, network)?;
        sheet.endpoint(place.address, port);
        sheet.set("__meta_ecs_region", region);
        sheet.set("__meta_ecs_cluster", &cluster.name);
        sheet.set("__meta_ecs_cluster_arn", &cluster.arn);
        set_tags(&mut sheet, "__meta_ecs_tag_cluster_", &cluster.tags);
        if let Some(service) = task.service().and_then(|name| services.get(name)) {
            sheet.set("__meta_ecs_service", &service.name);
            sheet.set("__meta_ecs_service_arn", &service.arn);
            sheet.set("__meta_ecs_service_status", &service.status);
            set_tags(&mut sheet, "__meta_ecs_tag_service_", &service.tags);
        }
        sheet.set("__meta_ecs_task_group", &task.group);
        sheet.set("__meta_ecs_task_arn", &task.arn);
        sheet.set("__meta_ecs_task_definition", &task.definition);
        sheet.set("__meta_ecs_availability_zone", &task.zone);
        sheet.set("__meta_ecs_launch_type", &task.launch);
        sheet.set("__meta_ecs_desired_status", &task.desired);
        sheet.set("__meta_ecs_last_status", &task.last);
        sheet.set("__meta_ecs_health_status", &task.health);
        sheet.set("__meta_ecs_platform_family", &task.family);
        sheet.set("__meta_ecs_platform_version", &task.version);
        set_tags(&mut sheet, "__meta_ecs_tag_task_", &task.tags);
        sheet.set("__meta_ecs_ip_address", place.address);
        sheet.set("__meta_ecs_subnet_id", place.subnet);
        sheet.set("__meta_ecs_public_ip", place.public_ip);
        sheet.set("__meta_ecs_network_mode", place.mode);
        sheet.set("__meta_ecs_container_instance_arn", &task.machine);
        sheet.set("__meta_ecs_ec2_instance_id", network.id(&task.machine));
        if let Some(instance) = network.instance(&task.machine) {
            sheet.set("__meta_ecs_ec2_instance_type", &instance.kind);
            sheet.set("__meta_ecs_ec2_instance_private_ip", &instance.private_ip);
            sheet.set("__meta_ecs_ec2_instance_public_ip", &instance.public_ip);
            sheet.map("__meta_ecs_tag_ec2_", &instance.tags);
        }
        let targets = vec![sheet.build(&mut names)];
        Some(TargetGroup {
            source: source.into(),
            key: crate::roles::first_of([&task.arn, place.address]).into(),
            targets,
            ..TargetGroup::default()
        })
    };
    let mut groups: Vec<_> = tasks.iter().filter_map(&mut group).collect();
    groups.sort_by(|one, other| one.key.cmp(&other.key));
    groups
}

struct TaskPlace<'a> {
    address: &'a str,
    subnet: &'a str,
    public_ip: &'a str,
    mode: &'static str,
}

fn place<'a>(task: &'a Task, network: &'a Network) -> Option<TaskPlace<'a>> {
    if task.has_interface() {
        let address = task.detail("privateIPv4Address").filter(|address| !address.is_empty())?;
        let subnet = task.detail("subnetId").unwrap_or_default();
        let public_ip = task.interface().map_or("", |interface| network.public_ip(interface));
        return Some(TaskPlace { address, subnet, public_ip, mode: "awsvpc" });
    }
    let instance = network.instance(&task.machine)?;
    let (address, subnet, public_ip) = (&*instance.private_ip, &*instance.subnet, &*instance.public_ip);
    Some(TaskPlace { address, subnet, public_ip, mode: "bridge" })
}

fn set_tags(sheet: &mut Sheet, name: &str, tags: &[Tag]) {
    sheet.map(name, tags.iter().map(|Tag { key, value }| (key, value)));
}

#[cfg(test)]
mod tests {
    use rosterd_testkit::{assert_golden, fixture};
    use serde_json::Value;

    use super::super::network::interfaces;
    use super::super::read;
    use super::*;
    use crate::roles::ec2::instances;

    #[test]
    fn tasks_become_labels() {
        let all: Value = serde_json::from_str(&fixture("discovery/aws/ecs.json")).expect("JSON");
        let text = |key: &str| all[key].to_string();
        let xml = |key: &str| all[key].as_str().expect(key).to_owned();
        let clusters = read::clusters(&text("clusters")).expect("clusters").found;
        let services = read::services(&text("services")).expect("services").found;
        let tasks = read::tasks(&text("tasks")).expect("tasks").found;
        let network = Network::new(
            read::machines(&text("machines")).expect("machines").found,
            instances(&xml("instances")).expect("instances").items,
            interfaces(&xml("interfaces")).expect("interfaces").items,
        );
        let cluster = &clusters[0];
        let groups = groups("eu-west-1", "eu-west-1/c", cluster, &services, &tasks, &network, 9100);
        let told: String = groups.iter().map(|group| format!("{}: {}\n", group.key, group.targets[0])).collect();
        assert_golden("discovery/aws/ecs.golden.txt", &told);
    }
}
