//! What EC2 knows of the machines and the interfaces of tasks.

use std::collections::HashMap;

use rosterd_rest::{Fault, Page, xml};

use super::read::Machine;
use crate::roles::ec2::Instance;
use crate::xml::Element;

/// Machines by the ARN that ECS knows them by, and public addresses by interface.
pub(super) struct Network {
    machines: HashMap<String, String>,
    instances: HashMap<String, Instance>,
    addresses: HashMap<String, String>,
}

impl Network {
    pub(super) fn new(machines: Vec<Machine>, instances: Vec<Instance>, addresses: Vec<(String, String)>) -> Self {
        Self {
            machines: machines.into_iter().map(|machine| (machine.arn, machine.instance)).collect(),
            instances: instances.into_iter().map(|instance| (instance.id.clone(), instance)).collect(),
            addresses: addresses.into_iter().collect(),
        }
    }

    /// The id that ECS knows of a machine: also of one that is not of EC2.
    pub(super) fn id(&self, machine: &str) -> &str {
        self.machines.get(machine).map_or("", String::as_str)
    }

    /// The instance of a machine; none without a private address.
    pub(super) fn instance(&self, machine: &str) -> Option<&Instance> {
        self.instances.get(self.id(machine)).filter(|instance| !instance.private_ip.is_empty())
    }

    /// The public address of an interface.
    pub(super) fn public_ip(&self, interface: &str) -> &str {
        self.addresses.get(interface).map_or("", String::as_str)
    }
}

/// The public addresses of interfaces.
pub(super) fn interfaces(text: &str) -> Result<Page<(String, String)>, Fault> {
    let document = xml(text)?;
    let root = document.root_element();
    let address = |interface: roxmltree::Node<'_, '_>| {
        let address = interface.child("association")?.text_of("publicIp");
        (!address.is_empty()).then(|| (interface.text_of("networkInterfaceId").to_owned(), address.to_owned()))
    };
    let next = root.text_of("nextToken").to_owned();
    Ok(Page::new(root.listed("networkInterfaceSet")?.filter_map(address).collect(), Some(next)))
}
