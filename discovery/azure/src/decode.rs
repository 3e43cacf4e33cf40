//! What the Resource Manager answers, and what becomes of it: a group for each machine, of which it is the source. Pure.

use std::collections::BTreeMap;

use rosterd_discovery::Sheet;
use rosterd_model::{Names, TargetGroup};
use rosterd_rest::{Fault, Page, json, present};

use super::AzureConfig;
use super::place::ResourcePlace;

/// Where the sources of machines are that stand alone, and of those of scale sets.
pub(super) const MACHINES: &str = "machines";
pub(super) const SETS: &str = "sets";
/// The machines of a scale set of this kind are found among those that stand alone.
const FLEXIBLE: &str = "Flexible";

rosterd_rest::reply! {
    struct List {
        machines: Option<Vec<MachineReply>> = "value",
        next: String = "nextLink",
    }

    struct MachineReply {
        id: String = "id",
        name: String = "name",
        location: String = "location",
        instance: String = "instanceId",
        tags: BTreeMap<String, Option<String>> = "tags",
        properties: Properties = "properties",
    }

    struct Properties {
        storage: Storage = "storageProfile",
        os: OsProfile = "osProfile",
        hardware: Hardware = "hardwareProfile",
        network: Network = "networkProfile",
        set: Reference = "virtualMachineScaleSet",
    }

    struct Storage {
        disk: Disk = "osDisk",
    }

    struct Disk {
        os: String = "osType",
    }

    struct OsProfile {
        computer: String = "computerName",
    }

    struct Hardware {
        size: String = "vmSize",
    }

    struct Network {
        interfaces: Vec<Reference> = "networkInterfaces",
    }

    struct Reference {
        id: String = "id",
    }

    struct SetList {
        sets: Option<Vec<SetReply>> = "value",
        next: String = "nextLink",
    }

    struct SetReply {
        id: String = "id",
        name: String = "name",
        properties: SetProperties = "properties",
    }

    struct SetProperties {
        mode: String = "orchestrationMode",
    }

    struct InterfaceReply {
        properties: Option<InterfaceProperties> = "properties",
    }

    struct InterfaceProperties {
        primary: Option<bool> = "primary",
        configurations: Vec<Configuration> = "ipConfigurations",
    }

    struct Configuration {
        properties: ConfigurationProperties = "properties",
    }

    struct ConfigurationProperties {
        private: String = "privateIPAddress",
        public: PublicAddress = "publicIPAddress",
    }

    struct PublicAddress {
        properties: PublicProperties = "properties",
    }

    struct PublicProperties {
        address: String = "ipAddress",
    }
}

/// A scale set whose machines have to be asked for.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Set {
    /// Its resource group and its name.
    pub(super) group: String,
    pub(super) name: String,
    /// Its source, beneath which those of its machines are.
    pub(super) source: String,
}

/// A machine.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Machine {
    pub(super) source: String,
    /// The ids of its network interfaces.
    pub(super) interfaces: Vec<String>,
    /// The number by which its scale set knows it, if that has to be asked about its interfaces.
    pub(super) instance: Option<String>,
    pub(super) group: String,
    pub(super) set: String,
    id: String,
    name: String,
    computer: String,
    os: String,
    location: String,
    size: String,
    tags: BTreeMap<String, Option<String>>,
}

/// What a network interface says of where its machine is reached.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) enum Interface {
    /// Nowhere, but another one may.
    #[default]
    Other,
    /// The machine is given back: it has no address.
    Deallocated,
    /// Here.
    Primary(Address),
}

/// Where a machine is reached.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Address {
    /// May be empty.
    pub(super) private: String,
    public: String,
}

/// The scale sets of a page.
pub(super) fn sets(body: &[u8]) -> Result<Page<Set>, Fault> {
    let SetList { sets, next } = json(body)?;
    let sets = present(sets, "value")?.into_iter();
    let listed = sets.filter(|set| !set.properties.mode.eq_ignore_ascii_case(FLEXIBLE));
    let items = listed.filter_map(|SetReply { id, name, .. }| {
        let group = ResourcePlace::of(&id)?.group.to_owned();
        Some(Set { group, name, source: format!("{SETS}{}", id.to_lowercase()) })
    });
    Ok(Page::new(items.collect(), Some(next)))
}

/// The machines of a page, of this scale set if there is one. One without an id of a resource is none.
pub(super) fn machines(body: &[u8], set: Option<&Set>) -> Result<Page<Machine>, Fault> {
    let List { machines, next } = json(body)?;
    let machines = present(machines, "value")?.into_iter().filter_map(|machine| machine.of(set));
    Ok(Page::new(machines.collect(), Some(next)))
}

impl MachineReply {
    fn of(self, set: Option<&Set>) -> Option<Machine> {
        let Properties { storage, os, hardware, network, set: reference } = self.properties;
        let group = ResourcePlace::of(&self.id)?.group.to_owned();
        let source = match set {
            Some(set) => format!("{}/{}", set.source, self.instance),
            None => format!("{MACHINES}{}", self.id.to_lowercase()),
        };
        let of_flexible = || ResourcePlace::of(&reference.id).map(|place| place.name.to_owned()).unwrap_or_default();
        Some(Machine {
            source,
            interfaces: network.interfaces.into_iter().map(|interface| interface.id).collect(),
            instance: set.map(|_| self.instance),
            group,
            set: set.map_or_else(of_flexible, |set| set.name.clone()),
            id: self.id,
            name: self.name,
            computer: os.computer,
            os: storage.disk.os,
            location: self.location,
            size: hardware.size,
            tags: self.tags,
        })
    }
}

/// What an interface says. Of several addresses the first counts.
pub(super) fn interface(body: &[u8]) -> Result<Interface, Fault> {
    let InterfaceReply { properties } = json(body)?;
    let InterfaceProperties { primary, configurations } = present(properties, "properties")?;
    Ok(match (primary, configurations.into_iter().next()) {
        (None, _) => Interface::Deallocated,
        (Some(true), Some(Configuration { properties })) => {
            Interface::Primary(Address { private: properties.private, public: properties.public.properties.address })
        }
        (Some(_), _) => Interface::Other,
    })
}

impl Machine {
    /// Its group with the one target that it is.
    pub(super) fn target(&self, address: &Address, config: &AzureConfig) -> TargetGroup {
        let (mut sheet, mut names) = (Sheet::default(), Names::new());
        sheet.endpoint(&address.private, config.port);
        sheet.set("__meta_azure_subscription_id", &config.subscription_id);
        sheet.set("__meta_azure_tenant_id", &config.tenant_id);
        sheet.set("__meta_azure_machine_id", &self.id);
        sheet.set("__meta_azure_machine_name", &self.name);
        sheet.set("__meta_azure_machine_computer_name", &self.computer);
        sheet.set("__meta_azure_machine_os_type", &self.os);
        sheet.set("__meta_azure_machine_location", &self.location);
        sheet.set("__meta_azure_machine_resource_group", &self.group);
        sheet.set("__meta_azure_machine_size", &self.size);
        sheet.set("__meta_azure_machine_scale_set", &self.set);
        sheet.set("__meta_azure_machine_private_ip", &address.private);
        sheet.set("__meta_azure_machine_public_ip", &address.public);
        let tags = self.tags.iter().filter_map(|(key, value)| Some((key, value.as_ref()?)));
        sheet.map("__meta_azure_machine_tag_", tags);
        let targets = vec![sheet.build(&mut names)];
        TargetGroup { source: self.source.as_str().into(), targets, ..TargetGroup::default() }
    }
}
