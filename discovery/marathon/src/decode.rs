//! Applications of every version of Marathon, and what becomes of their tasks. Pure.

use std::collections::BTreeMap;

use rosterd_discovery::Sheet;
use rosterd_model::{Labels, Names, TargetGroup};
use rosterd_rest::{Fault, json, present};

/// What is read in one piece, from whichever server.
const SOURCE: &str = "apps";
const OF_MAPPING: &str = "__meta_marathon_port_mapping_label_";
const OF_DEFINITION: &str = "__meta_marathon_port_definition_label_";

type Map = BTreeMap<String, String>;

rosterd_rest::reply! {
    struct Apps {
        apps: Option<Vec<App>> = "apps",
    }

    struct App {
        id: String = "id",
        tasks: Vec<Task> = "tasks",
        labels: Map = "labels",
        container: Container = "container",
        definitions: Vec<Definition> = "portDefinitions",
        networks: Vec<Network> = "networks",
        require_ports: bool = "requirePorts",
    }

    struct Task {
        id: String = "id",
        host: String = "host",
        ports: Vec<u32> = "ports",
        addresses: Vec<Address> = "ipAddresses",
    }

    struct Address {
        address: String = "ipAddress",
    }

    struct Container {
        docker: Docker = "docker",
        mappings: Vec<Mapping> = "portMappings",
    }

    struct Docker {
        image: String = "image",
        mappings: Vec<Mapping> = "portMappings",
    }

    struct Mapping {
        labels: Map = "labels",
        container_port: u32 = "containerPort",
        host_port: u32 = "hostPort",
    }

    struct Definition {
        labels: Map = "labels",
        port: u32 = "port",
    }

    struct Network {
        mode: String = "mode",
    }
}

/// A group for each application.
pub(super) fn groups(body: &[u8]) -> Result<Vec<TargetGroup>, Fault> {
    let Apps { apps } = json(body)?;
    let apps = present(apps, "apps")?;
    let (mut sheet, mut names) = (Sheet::default(), Names::new());
    // Of two with one id the later one counts.
    let groups: BTreeMap<_, _> = apps.iter().map(|app| (&app.id, app.group(&mut sheet, &mut names))).collect();
    Ok(groups.into_values().collect())
}

/// The ports that an application says to have; 0 stands for one that each task has for itself.
struct Ports<'a> {
    numbers: Vec<u32>,
    labels: Vec<&'a Map>,
    prefix: &'static str,
}

impl App {
    fn group(&self, sheet: &mut Sheet, names: &mut Names) -> TargetGroup {
        let targets = self.targets(sheet, names);
        sheet.set("__meta_marathon_app", &self.id);
        sheet.set("__meta_marathon_image", &self.container.docker.image);
        sheet.map("__meta_marathon_app_label_", &self.labels);
        TargetGroup { source: SOURCE.into(), key: self.id.as_str().into(), labels: sheet.build(names), targets }
    }

    fn targets(&self, sheet: &mut Sheet, names: &mut Names) -> Vec<Labels> {
        let mut ports = self.ports();
        let mut targets = Vec::new();
        for task in &self.tasks {
            // Nothing but the tasks knows of ports: those of one are those of all.
            if ports.numbers.is_empty() {
                ports.numbers.clone_from(&task.ports);
            }
            for (index, port) in ports.numbers.iter().enumerate() {
                let own = task.ports.get(index).filter(|_| *port == 0 && task.ports.len() == ports.numbers.len());
                sheet.endpoint(self.host(task), own.unwrap_or(port));
                sheet.set("__meta_marathon_task", &task.id);
                sheet.number("__meta_marathon_port_index", index);
                if let Some(labels) = ports.labels.get(index) {
                    sheet.map(ports.prefix, *labels);
                }
                targets.push(sheet.build(names));
            }
        }
        targets
    }

    /// Since 1.5 mappings are those of the container, before they were those of Docker.
    fn ports(&self) -> Ports<'_> {
        let mappings = match &self.container {
            Container { mappings, docker } if mappings.is_empty() => &docker.mappings,
            Container { mappings, .. } => mappings,
        };
        if mappings.is_empty() {
            let port = |definition: &Definition| if self.require_ports { definition.port } else { 0 };
            return Ports {
                numbers: self.definitions.iter().map(port).collect(),
                labels: self.definitions.iter().map(|definition| &definition.labels).collect(),
                prefix: OF_DEFINITION,
            };
        }
        let is_direct = self.is_in_container_network();
        let port = |mapping: &Mapping| if is_direct { mapping.container_port } else { mapping.host_port };
        Ports {
            numbers: mappings.iter().map(port).collect(),
            labels: mappings.iter().map(|mapping| &mapping.labels).collect(),
            prefix: OF_MAPPING,
        }
    }

    fn host<'a>(&self, task: &'a Task) -> &'a str {
        let address = task.addresses.first().filter(|_| self.is_in_container_network());
        address.map_or(&task.host, |first| &first.address)
    }

    fn is_in_container_network(&self) -> bool {
        self.networks.first().is_some_and(|network| network.mode == "container")
    }
}
