//! What Nomad answers, and what becomes of it. Pure.

use std::collections::BTreeSet;

use rosterd_discovery::Sheet;
use rosterd_model::{Names, TargetGroup};
use rosterd_rest::{Fault, json};

use super::catalog::Service;

rosterd_rest::reply! {
    struct Namespace {
        name: String = "Namespace",
        services: Vec<Stub> = "Services",
    }

    struct Stub {
        name: String = "ServiceName",
    }

    struct Instance {
        id: String = "ID",
        service: String = "ServiceName",
        namespace: String = "Namespace",
        node_id: String = "NodeID",
        datacenter: String = "Datacenter",
        tags: Vec<String> = "Tags",
        address: String = "Address",
        port: i64 = "Port",
    }
}

/// The services of all namespaces that were asked about.
pub(super) fn services(body: &[u8]) -> Result<BTreeSet<Service>, Fault> {
    // Without any, it may be null.
    let namespaces = json::<Option<Vec<Namespace>>>(body)?.unwrap_or_default();
    let named = |namespace: Namespace| {
        let name = namespace.name;
        namespace.services.into_iter().map(move |stub| Service { namespace: name.clone(), name: stub.name })
    };
    Ok(namespaces.into_iter().flat_map(named).collect())
}

/// The instances of a service.
pub(super) fn group(body: &[u8], tag_separator: &str) -> Result<TargetGroup, Fault> {
    let instances = json::<Option<Vec<Instance>>>(body)?.unwrap_or_default();
    let (mut sheet, mut names) = (Sheet::default(), Names::new());
    let target = |instance: Instance| {
        sheet.endpoint(&instance.address, instance.port);
        sheet.set("__meta_nomad_address", &instance.address);
        sheet.set("__meta_nomad_dc", &instance.datacenter);
        sheet.set("__meta_nomad_namespace", &instance.namespace);
        sheet.set("__meta_nomad_node_id", &instance.node_id);
        sheet.set("__meta_nomad_service", &instance.service);
        sheet.set("__meta_nomad_service_address", &instance.address);
        sheet.set("__meta_nomad_service_id", &instance.id);
        sheet.number("__meta_nomad_service_port", instance.port);
        sheet.list_if_any("__meta_nomad_tags", &instance.tags, tag_separator);
        sheet.build(&mut names)
    };
    Ok(TargetGroup { targets: instances.into_iter().map(target).collect(), ..TargetGroup::default() })
}
