//! Instances, addresses and ranges, as the API tells of them, and the targets that they make together: one for each instance that has an
//! IPv4 address. Pure.

use std::collections::HashMap;
use std::net::IpAddr;

use rosterd_discovery::Sheet;
use rosterd_model::TargetGroup;
use rosterd_rest::{Fault, Page, each_a_target, json, present};

use super::LinodeConfig;

rosterd_rest::reply! {
    struct Instances {
        items: Option<Vec<Instance>> = "data",
        page: u64 = "page",
        pages: u64 = "pages",
    }

    struct Addresses {
        items: Option<Vec<Address>> = "data",
        page: u64 = "page",
        pages: u64 = "pages",
    }

    struct Ranges {
        items: Option<Vec<Range>> = "data",
        page: u64 = "page",
        pages: u64 = "pages",
    }

    pub(super) struct Instance {
        id: i64 = "id",
        label: String = "label",
        image: String = "image",
        region: String = "region",
        kind: String = "type",
        status: String = "status",
        group: String = "group",
        hypervisor: String = "hypervisor",
        tags: Vec<String> = "tags",
        ipv4: Vec<String> = "ipv4",
        ipv6: String = "ipv6",
        backups: Backups = "backups",
        specs: Specs = "specs",
    }

    struct Backups {
        enabled: bool = "enabled",
    }

    struct Specs {
        disk: i64 = "disk",
        memory: i64 = "memory",
        vcpus: i64 = "vcpus",
        transfer: i64 = "transfer",
        gpus: i64 = "gpus",
    }

    pub(super) struct Address {
        address: String = "address",
        public: bool = "public",
        name: String = "rdns",
    }

    pub(super) struct Range {
        range: String = "range",
        prefix: u8 = "prefix",
        target: String = "route_target",
    }
}

/// The states that an instance has on its way to another one.
const PASSING: [&str; 10] = [
    "booting",
    "rebooting",
    "shutting_down",
    "provisioning",
    "deleting",
    "migrating",
    "rebuilding",
    "cloning",
    "restoring",
    "resizing",
];

pub(super) fn instances(body: &[u8]) -> Result<Page<Instance>, Fault> {
    let Instances { items, page, pages } = json(body)?;
    self::page(items, page, pages)
}

pub(super) fn addresses(body: &[u8]) -> Result<Page<Address>, Fault> {
    let Addresses { items, page, pages } = json(body)?;
    self::page(items, page, pages)
}

pub(super) fn ranges(body: &[u8]) -> Result<Page<Range>, Fault> {
    let Ranges { items, page, pages } = json(body)?;
    self::page(items, page, pages)
}

fn page<T>(items: Option<Vec<T>>, page: u64, pages: u64) -> Result<Page<T>, Fault> {
    Ok(Page::new(present(items, "data")?, (page < pages).then(|| (page + 1).to_string())))
}

pub(super) fn groups(
    instances: Vec<Instance>,
    addresses: Vec<Address>,
    ranges: Vec<Range>,
    config: &LinodeConfig,
) -> Vec<TargetGroup> {
    let mut network = Network::default();
    for address in &addresses {
        network.addresses.entry(&address.address).or_default().push(address);
    }
    for range in &ranges {
        network.ranges.entry(&range.target).or_default().push(format!("{}/{}", range.range, range.prefix));
    }
    each_a_target(instances, |instance, sheet| instance.label(&network, config, sheet))
}

/// Addresses by their text, in the order of the list, and ranges by the address that they lead to.
#[derive(Default)]
struct Network<'a> {
    addresses: HashMap<&'a str, Vec<&'a Address>>,
    ranges: HashMap<&'a str, Vec<String>>,
}

/// The addresses of an instance: a public and a private one, with their names, and those beyond.
#[derive(Default)]
struct InstanceAddresses<'a> {
    public: Option<&'a Address>,
    private: Option<&'a Address>,
    extra: Vec<&'a str>,
    public_ipv6: Option<&'a Address>,
    ranges: &'a [String],
}

impl Network<'_> {
    fn of(&self, instance: &Instance) -> InstanceAddresses<'_> {
        let mut found = InstanceAddresses::default();
        let known = |address: &str| self.addresses.get(address).map_or(&[][..], Vec::as_slice);
        for address in instance.ipv4.iter().flat_map(|address| known(&normalised(address))).copied() {
            let place = if address.public { &mut found.public } else { &mut found.private };
            match place {
                Some(_) => found.extra.push(&address.address),
                None => *place = Some(address),
            }
        }
        if let Some(ipv6) = instance.ipv6.split('/').next().filter(|ipv6| !ipv6.is_empty()) {
            found.public_ipv6 = known(ipv6).last().copied();
            found.ranges = self.ranges.get(ipv6).map_or(&[], Vec::as_slice);
        }
        found
    }
}

fn normalised(address: &str) -> String {
    address.parse::<IpAddr>().map_or_else(|_| address.to_owned(), |address| address.to_string())
}

impl Address {
    /// The name that leads from the address. That there is none is told as a text sometimes.
    fn name(&self) -> &str {
        if self.name == "null" { "" } else { &self.name }
    }
}

impl Instance {
    /// Whether it is on its way to another state, of which nothing will be told.
    pub(super) fn is_passing(&self) -> bool {
        PASSING.contains(&&*self.status)
    }

    fn label(&self, network: &Network<'_>, config: &LinodeConfig, sheet: &mut Sheet) -> Option<String> {
        if self.ipv4.is_empty() {
            return None;
        }
        let InstanceAddresses { public, private, extra, public_ipv6, ranges } = network.of(self);
        let address = |of: Option<&Address>| of.map_or("", |of| &of.address).to_owned();
        sheet.endpoint(&address(public), config.port);
        for (name, reverse, found) in [
            ("__meta_linode_private_ipv4", "__meta_linode_private_ipv4_rdns", private),
            ("__meta_linode_public_ipv4", "__meta_linode_public_ipv4_rdns", public),
            ("__meta_linode_public_ipv6", "__meta_linode_public_ipv6_rdns", public_ipv6),
        ] {
            sheet.set(name, &address(found));
            sheet.set(reverse, found.map_or("", Address::name));
        }
        sheet.number("__meta_linode_instance_id", self.id);
        sheet.set("__meta_linode_instance_label", &self.label);
        sheet.set("__meta_linode_image", &self.image);
        sheet.set("__meta_linode_region", &self.region);
        sheet.set("__meta_linode_type", &self.kind);
        sheet.set("__meta_linode_status", &self.status);
        sheet.set("__meta_linode_group", &self.group);
        sheet.number("__meta_linode_gpus", self.specs.gpus);
        sheet.set("__meta_linode_hypervisor", &self.hypervisor);
        sheet.set("__meta_linode_backups", if self.backups.enabled { "enabled" } else { "disabled" });
        // The transfer comes in gigabytes, and is told too small by Prometheus, too.
        for (name, mebibytes) in [
            ("__meta_linode_specs_disk_bytes", self.specs.disk),
            ("__meta_linode_specs_memory_bytes", self.specs.memory),
            ("__meta_linode_specs_transfer_bytes", self.specs.transfer),
        ] {
            sheet.number(name, i128::from(mebibytes) << 20);
        }
        sheet.number("__meta_linode_specs_vcpus", self.specs.vcpus);
        let separator = &*config.tag_separator;
        sheet.list_if_any("__meta_linode_tags", &self.tags, separator);
        sheet.list_if_any("__meta_linode_extra_ips", &extra, separator);
        sheet.list_if_any("__meta_linode_ipv6_ranges", ranges, separator);
        Some(self.id.to_string())
    }
}
