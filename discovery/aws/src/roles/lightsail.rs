//! Instances of Lightsail.

use rosterd_discovery::{Error, Reading, Sheet};
use rosterd_model::{Names, TargetGroup};
use rosterd_rest::{Fault, Page, json, present};
use serde_json::json as body;

use crate::service::{Call, Service};

const TARGET: &str = "Lightsail_20161128";

rosterd_rest::reply! {
    struct Answer {
        instances: Option<Vec<Instance>> = "instances",
        next: Option<String> = "nextPageToken",
    }

    struct Instance {
        name: String = "name",
        code: String = "supportCode",
        location: Location = "location",
        tags: Vec<Tag> = "tags",
        blueprint: String = "blueprintId",
        bundle: String = "bundleId",
        private_ip: String = "privateIpAddress",
        public_ip: String = "publicIpAddress",
        ipv6: Vec<String> = "ipv6Addresses",
        state: State = "state",
    }

    struct Location {
        zone: String = "availabilityZone",
    }

    struct State {
        name: String = "name",
    }

    struct Tag {
        key: String = "key",
        value: String = "value",
    }
}

pub(crate) struct Lightsail {
    pub(crate) service: Service,
    port: u16,
}

impl Lightsail {
    pub(crate) fn new(service: Service, port: u16) -> Self {
        Self { service, port }
    }

    pub(crate) async fn read(&self, region: &str) -> Result<Reading, Error> {
        let (port, of) = (self.port, region.to_owned());
        let decode = move |text: &str| groups(text, &of, port);
        let groups = self.service.list("GetInstances", Call::Json(TARGET, body!({})), "pageToken", decode).await?;
        Ok(Reading::Everything(super::of_region(region, groups)))
    }
}

fn groups(text: &str, region: &str, port: u16) -> Result<Page<TargetGroup>, Fault> {
    let Answer { instances, next } = json(text.as_bytes())?;
    let instances = present(instances, "instances")?;
    let (mut sheet, mut names) = (Sheet::default(), Names::new());
    let group = |instance: &Instance| {
        sheet.endpoint(&instance.private_ip, port);
        sheet.set("__meta_lightsail_private_ip", &instance.private_ip);
        sheet.set("__meta_lightsail_region", region);
        sheet.set("__meta_lightsail_availability_zone", &instance.location.zone);
        sheet.set("__meta_lightsail_blueprint_id", &instance.blueprint);
        sheet.set("__meta_lightsail_bundle_id", &instance.bundle);
        sheet.set("__meta_lightsail_instance_name", &instance.name);
        sheet.set("__meta_lightsail_instance_state", &instance.state.name);
        sheet.set("__meta_lightsail_instance_support_code", &instance.code);
        sheet.set("__meta_lightsail_public_ip", &instance.public_ip);
        if !instance.ipv6.is_empty() {
            sheet.list("__meta_lightsail_ipv6_addresses", &instance.ipv6, ",");
        }
        sheet.map("__meta_lightsail_tag_", instance.tags.iter().map(|Tag { key, value }| (key, value)));
        let (source, key) = (region.into(), super::first_of([&instance.name, &instance.private_ip]).into());
        TargetGroup { source, key, targets: vec![sheet.build(&mut names)], ..TargetGroup::default() }
    };
    let items = instances.iter().filter(|instance| !instance.private_ip.is_empty()).map(group).collect();
    Ok(Page::new(items, next))
}

#[cfg(test)]
mod tests {
    use rosterd_testkit::{assert_golden, fixture};

    use super::*;

    #[test]
    fn instances_become_labels() {
        let Page { items, next, .. } =
            groups(&fixture("discovery/aws/lightsail.json"), "eu-west-1", 9100).expect("a page");
        assert_eq!(next.as_deref(), Some("two"));
        let told: String = items.iter().map(|group| format!("{}: {}\n", group.key, group.targets[0])).collect();
        assert_golden("discovery/aws/lightsail.golden.txt", &told);
        assert!(groups("{\"instances\": [{\"tags\": 1}]}", "r", 80).is_err());
        let told = groups("{}", "r", 80).map(|page| page.items.len()).map_err(|fault| fault.to_string());
        assert_eq!(told, Err("instances is missing".to_owned()));
        assert!(groups(r#"{"instances": []}"#, "r", 80).is_ok_and(|page| page.items.is_empty()));
    }

    #[test]
    fn instances_without_a_name_are_told_apart() {
        let text = r#"{"instances": [{"privateIpAddress": "10.0.0.1"}, {"privateIpAddress": "10.0.0.2"}]}"#;
        let groups = groups(text, "r", 80).expect("a page").items;
        assert_eq!(groups.iter().map(|group| &*group.key).collect::<Vec<_>>(), ["10.0.0.1", "10.0.0.2"]);
    }
}
