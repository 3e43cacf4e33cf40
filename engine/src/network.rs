//! Networks, and what they tell the targets that are reached by them. Pure.

use std::collections::{BTreeMap, HashMap};

use rosterd_discovery::Sheet;

rosterd_rest::reply! {
    /// A network.
    pub struct Network {
        id: String = "Id",
        name: String = "Name",
        scope: String = "Scope",
        internal: bool = "Internal",
        ingress: bool = "Ingress",
        labels: BTreeMap<String, String> = "Labels",
    }
}

/// What the labels of a network are called. The last name is followed by that of a label.
#[derive(Debug)]
pub struct NetworkLabels {
    /// The identifier.
    pub id: &'static str,
    /// The name.
    pub name: &'static str,
    /// `local` or `swarm`.
    pub scope: &'static str,
    /// Whether nothing outside can be reached.
    pub internal: &'static str,
    /// Whether it is the routing mesh.
    pub ingress: &'static str,
    /// A label.
    pub label: &'static str,
}

/// Networks by identifier.
#[derive(Debug)]
pub struct Networks {
    by_id: HashMap<String, Network>,
    names: &'static NetworkLabels,
}

impl Networks {
    /// The networks that are known, whose labels have these names.
    pub fn new(networks: Vec<Network>, names: &'static NetworkLabels) -> Self {
        Self { by_id: networks.into_iter().map(|network| (network.id.clone(), network)).collect(), names }
    }

    /// Adds the labels of a network, if it is known.
    pub fn label(&self, id: &str, sheet: &mut Sheet) {
        let Some(network) = self.by_id.get(id) else { return };
        sheet.set(self.names.id, &network.id);
        sheet.set(self.names.name, &network.name);
        sheet.set(self.names.scope, &network.scope);
        sheet.flag(self.names.internal, network.internal);
        sheet.flag(self.names.ingress, network.ingress);
        sheet.map(self.names.label, &network.labels);
    }
}
