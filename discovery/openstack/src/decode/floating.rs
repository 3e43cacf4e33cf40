//! Floating addresses, and the ports that they lead to, as Neutron tells of them.

use std::collections::{HashMap, HashSet};

use rosterd_rest::{Fault, Page, json, present};
use tracing::debug;

use super::{Link, page};

rosterd_rest::reply! {
    struct Ports {
        ports: Option<Vec<Port>> = "ports",
        links: Vec<Link> = "ports_links",
    }

    pub(crate) struct Port {
        id: String = "id",
        device: String = "device_id",
    }

    struct Floating {
        ips: Option<Vec<FloatingIp>> = "floatingips",
        links: Vec<Link> = "floatingips_links",
    }

    pub(crate) struct FloatingIp {
        pub(super) address: String = "floating_ip_address",
        fixed: String = "fixed_ip_address",
        pub(super) port: String = "port_id",
    }
}

pub(crate) fn ports(body: &[u8]) -> Result<Page<Port>, Fault> {
    let Ports { ports, links } = json(body)?;
    let ports = present(ports, "ports")?;
    let things = ports.len();
    Ok(page(ports, things, links))
}

pub(crate) fn floating_ips(body: &[u8]) -> Result<Page<FloatingIp>, Fault> {
    let Floating { ips, links } = json(body)?;
    let ips = present(ips, "floatingips")?;
    let things = ips.len();
    Ok(page(ips, things, links))
}

/// Which address of which server a floating one leads to.
#[derive(Debug, Default)]
pub(crate) struct FloatingIps {
    /// By server and fixed address.
    of: HashMap<(String, String), String>,
    all: HashSet<String>,
}

impl FloatingIps {
    pub(crate) fn of(ports: &[Port], floating: Vec<FloatingIp>) -> Self {
        let devices: HashMap<_, _> = ports.iter().map(|port| (&*port.id, &*port.device)).collect();
        let mut made = Self::default();
        for FloatingIp { address, fixed, port } in floating {
            if port.is_empty() || fixed.is_empty() {
                continue;
            }
            match devices.get(&*port) {
                Some(device) => {
                    made.all.insert(address.clone());
                    made.of.insert(((*device).to_owned(), fixed), address);
                }
                None => debug!(address, port, "no such port for a floating address"),
            }
        }
        made
    }

    /// Whether this is a floating address.
    pub(super) fn has(&self, address: &str) -> bool {
        self.all.contains(address)
    }

    /// The floating address that leads to this one of a server.
    pub(super) fn leading_to(&self, server: &str, fixed: &str) -> Option<&str> {
        self.of.get(&(server.to_owned(), fixed.to_owned())).map(String::as_str)
    }
}
