//! Instances of Lightsail.

use rosterd_discovery::{Error, Reading, Sheet};
use rosterd_model::{Names, TargetGroup};
use rosterd_rest::{Fault, json};
use serde_json::json as body;

use crate::service::{Call, Part, Service};

const TARGET: &str = "Lightsail_20161128";

rosterd_rest::reply! {
    struct Page {
        instances: Vec<Instance> = "instances",
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

fn groups(text: &str, region: &str, port: u16) -> Result<Part<TargetGroup>, Fault> {
    let Page { instances, next } = json(text.as_bytes())?;
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
        let (source, key) = (region.into(), instance.name.as_str().into());
        TargetGroup { source, key, targets: vec![sheet.build(&mut names)], ..TargetGroup::default() }
    };
    let items = instances.iter().filter(|instance| !instance.private_ip.is_empty()).map(group).collect();
    Ok(Part { items, next })
}

#[cfg(test)]
mod tests {
    use rosterd_testkit::{assert_golden, fixture};

    use super::*;

    #[test]
    fn instances_become_labels() {
        let Part { items, next } = groups(&fixture("discovery/aws/lightsail.json"), "eu-west-1", 9100).expect("a page");
        assert_eq!(next.as_deref(), Some("two"));
        let told: String = items.iter().map(|group| format!("{}: {}\n", group.key, group.targets[0])).collect();
        assert_golden("discovery/aws/lightsail.golden.txt", &told);
        assert!(groups("{\"instances\": [{\"tags\": 1}]}", "r", 80).is_err());
    }
}
