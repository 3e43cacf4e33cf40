//! What `DescribeInstances` tells, and the target of an instance.

use std::collections::BTreeMap;

use rosterd_discovery::Sheet;
use rosterd_model::{Labels, Names};
use rosterd_rest::{Fault, Page, xml};
use roxmltree::Node;

use crate::xml::Element;

/// A device index above this is a mistake. The largest machines have some fifteen interfaces.
const MOST_DEVICES: usize = 256;

/// An instance.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Instance {
    pub(crate) id: String,
    owner: String,
    image: String,
    state: String,
    pub(crate) kind: String,
    pub(crate) zone: String,
    platform: String,
    architecture: String,
    lifecycle: String,
    vpc: String,
    pub(crate) subnet: String,
    pub(crate) private_ip: String,
    private_dns: String,
    pub(crate) public_ip: String,
    public_dns: String,
    pub(crate) tags: BTreeMap<String, String>,
    interfaces: Vec<Interface>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Interface {
    subnet: String,
    device: usize,
    /// IPv6 addresses, and whether they are the primary one.
    addresses: Vec<(String, bool)>,
}

/// Reads a page.
pub(crate) fn instances(text: &str) -> Result<Page<Instance>, Fault> {
    let document = xml(text)?;
    let root = document.root_element();
    let of = |reservation: Node<'_, '_>| {
        let owner = reservation.text_of("ownerId").to_owned();
        let read = |instance| Instance::read(instance, &owner);
        reservation.list("instancesSet").map(read).collect::<Vec<_>>()
    };
    let next = root.text_of("nextToken").to_owned();
    Ok(Page::new(root.listed("reservationSet")?.flat_map(of).collect(), Some(next)))
}

/// Tags as EC2 lists them.
pub(crate) fn tags(of: Node<'_, '_>) -> BTreeMap<String, String> {
    of.list("tagSet").map(|tag| (tag.text_of("key").to_owned(), tag.text_of("value").to_owned())).collect()
}

impl Instance {
    fn read(instance: Node<'_, '_>, owner: &str) -> Self {
        let text = |name: &str| instance.text_of(name).to_owned();
        let in_child = |child: &str, name: &str| {
            instance.child(child).map(|node| node.text_of(name)).unwrap_or_default().to_owned()
        };
        Self {
            id: text("instanceId"),
            owner: owner.to_owned(),
            image: text("imageId"),
            state: in_child("instanceState", "name"),
            kind: text("instanceType"),
            zone: in_child("placement", "availabilityZone"),
            platform: text("platform"),
            architecture: text("architecture"),
            lifecycle: text("instanceLifecycle"),
            vpc: text("vpcId"),
            subnet: text("subnetId"),
            private_ip: text("privateIpAddress"),
            private_dns: text("privateDnsName"),
            public_ip: text("ipAddress"),
            public_dns: text("dnsName"),
            tags: tags(instance),
            interfaces: instance.list("networkInterfaceSet").map(Interface::read).collect(),
        }
    }

    /// The target; none without an address.
    pub(crate) fn target(
        &self,
        region: &str,
        zone_id: &str,
        port: u16,
        sheet: &mut Sheet,
        names: &mut Names,
    ) -> Option<Labels> {
        let in_vpc = !self.vpc.is_empty();
        let (all, primary) = if in_vpc { self.ipv6() } else { (Vec::new(), Vec::new()) };
        let default = primary.iter().copied().find(|address| !address.is_empty()).or(all.first().copied());
        let default = default.unwrap_or_default();
        let address = if self.private_ip.is_empty() { default } else { &self.private_ip };
        if address.is_empty() {
            return None;
        }
        sheet.endpoint(address, port);
        sheet.set("__meta_ec2_instance_id", &self.id);
        sheet.set("__meta_ec2_region", region);
        sheet.set("__meta_ec2_owner_id", &self.owner);
        sheet.set("__meta_ec2_default_ipv6_address", default);
        sheet.set("__meta_ec2_private_ip", &self.private_ip);
        sheet.set("__meta_ec2_private_dns_name", &self.private_dns);
        sheet.set("__meta_ec2_platform", &self.platform);
        if !self.public_ip.is_empty() {
            sheet.set("__meta_ec2_public_ip", &self.public_ip);
            sheet.set("__meta_ec2_public_dns_name", &self.public_dns);
        }
        if primary.iter().any(|address| !address.is_empty()) {
            sheet.list("__meta_ec2_primary_ipv6_addresses", &primary, ",");
        }
        if !all.is_empty() {
            sheet.list("__meta_ec2_ipv6_addresses", &all, ",");
        }
        sheet.set("__meta_ec2_ami", &self.image);
        sheet.set("__meta_ec2_availability_zone", &self.zone);
        sheet.set("__meta_ec2_availability_zone_id", zone_id);
        sheet.set("__meta_ec2_instance_state", &self.state);
        sheet.set("__meta_ec2_instance_type", &self.kind);
        sheet.set("__meta_ec2_instance_lifecycle", &self.lifecycle);
        sheet.set("__meta_ec2_architecture", &self.architecture);
        if in_vpc {
            sheet.set("__meta_ec2_vpc_id", &self.vpc);
            sheet.set("__meta_ec2_primary_subnet_id", &self.subnet);
            let mut subnets: Vec<&str> = Vec::new();
            for Interface { subnet, .. } in self.in_subnets() {
                if !subnets.contains(&subnet.as_str()) {
                    subnets.push(subnet);
                }
            }
            sheet.list("__meta_ec2_subnet_id", &subnets, ",");
        }
        sheet.map("__meta_ec2_tag_", &self.tags);
        Some(sheet.build(names))
    }

    fn in_subnets(&self) -> impl Iterator<Item = &Interface> {
        self.interfaces.iter().filter(|interface| !interface.subnet.is_empty())
    }

    /// All IPv6 addresses, and the primary ones at the places of their devices.
    fn ipv6(&self) -> (Vec<&str>, Vec<&str>) {
        let (mut all, mut primary) = (Vec::new(), Vec::new());
        for Interface { device, addresses, .. } in self.in_subnets() {
            for (address, is_primary) in addresses {
                all.push(address.as_str());
                if *is_primary && *device < MOST_DEVICES {
                    primary.resize(primary.len().max(device + 1), "");
                    primary[*device] = address;
                }
            }
        }
        (all, primary)
    }
}

impl Interface {
    fn read(interface: Node<'_, '_>) -> Self {
        let device = interface.child("attachment").map(|attachment| attachment.text_of("deviceIndex"));
        let addresses = interface.list("ipv6AddressesSet").filter_map(|item| {
            let address = item.text_of("ipv6Address");
            (!address.is_empty()).then(|| (address.to_owned(), item.text_of("isPrimaryIpv6") == "true"))
        });
        Self {
            subnet: interface.text_of("subnetId").to_owned(),
            device: device.and_then(|device| device.parse().ok()).unwrap_or_default(),
            addresses: addresses.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use rosterd_testkit::{assert_golden, fixture};

    use super::*;

    fn targets(text: &str) -> Vec<Option<String>> {
        let (mut sheet, mut names) = (Sheet::default(), Names::new());
        let page = instances(text).expect("a page");
        let target = |instance: &Instance| {
            let target = instance.target("eu-west-1", "euw1-az1", 9100, &mut sheet, &mut names);
            target.map(|target| target.to_string())
        };
        page.items.iter().map(target).collect()
    }

    fn page(instance: &str) -> String {
        format!(
            "<DescribeInstancesResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><reservationSet><item>
             <ownerId>1</ownerId><instancesSet><item><instanceId>i</instanceId>{instance}</item></instancesSet>
             </item></reservationSet></DescribeInstancesResponse>"
        )
    }

    #[test]
    fn instances_become_labels() {
        let text = fixture("discovery/aws/ec2.xml");
        let page = instances(&text).expect("a page");
        assert_eq!(page.next.as_deref(), Some("page two"));
        let told: Vec<_> =
            targets(&text).into_iter().map(|target| target.unwrap_or_else(|| "none".to_owned())).collect();
        assert_golden("discovery/aws/ec2.golden.txt", &(told.join("\n") + "\n"));
    }

    #[test]
    fn what_is_missing_costs_no_more_than_itself() {
        let bare =
            page("<privateIpAddress>10.0.0.1</privateIpAddress><ipAddress>1.2.3.4</ipAddress><odd><item/></odd>");
        let want = r#"{__address__="10.0.0.1:9100", __meta_ec2_availability_zone_id="euw1-az1", __meta_ec2_instance_id="i", __meta_ec2_owner_id="1", __meta_ec2_private_ip="10.0.0.1", __meta_ec2_public_ip="1.2.3.4", __meta_ec2_region="eu-west-1"}"#;
        assert_eq!(targets(&bare), [Some(want.to_owned())]);
        assert_eq!(targets(&page("<vpcId>v</vpcId>")), [None]);
        let huge = page(
            "<vpcId>v</vpcId><networkInterfaceSet><item/><item><subnetId>s</subnetId><attachment><deviceIndex>4000000000</deviceIndex></attachment>
             <ipv6AddressesSet><item/><item><ipv6Address>fd00::1</ipv6Address><isPrimaryIpv6>true</isPrimaryIpv6></item></ipv6AddressesSet></item></networkInterfaceSet>",
        );
        let told = targets(&huge).remove(0).expect("a target");
        assert!(told.contains("__address__=\"[fd00::1]:9100\"") && !told.contains("primary_ipv6"), "{told}");
        assert!(told.contains("subnet_id=\",s,\""), "{told}");
    }

    #[test]
    fn what_is_no_page_is_a_fault() {
        for text in ["", "<a/>", "<DescribeInstancesResponse><reservationSet><item>", "{}"] {
            assert!(instances(text).is_err(), "{text}");
        }
    }
}
