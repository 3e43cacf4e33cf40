//! The list of resources in JSON, and what becomes of it. Pure.

use std::collections::BTreeMap;

use rosterd_discovery::Sheet;
use rosterd_model::{Labels, Names, TargetGroup};
use rosterd_rest::{Fault, json};
use serde_json::{Map, Value};

use super::parameters::describe;

/// What is read of a reply, and how labels look.
pub(super) struct Settings {
    pub(super) query: String,
    pub(super) include_parameters: bool,
    pub(super) port: u16,
}

rosterd_rest::reply! {
    struct Resource {
        certname: String = "certname",
        resource: String = "resource",
        kind: String = "type",
        title: String = "title",
        exported: bool = "exported",
        tags: Vec<String> = "tags",
        file: String = "file",
        environment: String = "environment",
        parameters: Map<String, Value> = "parameters",
    }
}

/// A group for each node, of which it is the source: its catalog changes as a whole.
pub(super) fn groups(body: &[u8], settings: &Settings) -> Result<Vec<TargetGroup>, Fault> {
    let (mut sheet, mut names) = (Sheet::default(), Names::new());
    let mut nodes = BTreeMap::<String, Vec<Resource>>::new();
    for resource in json::<Vec<Resource>>(body)? {
        nodes.entry(resource.certname.clone()).or_default().push(resource);
    }
    let group = |(node, mut resources): (String, Vec<Resource>)| {
        // A database tells them in any order, which is no change.
        resources.sort_by(|one, other| one.resource.cmp(&other.resource));
        sheet.endpoint(&node, settings.port);
        sheet.set("__meta_puppetdb_query", &settings.query);
        sheet.set("__meta_puppetdb_certname", &node);
        let labels = sheet.build(&mut names);
        let targets = resources.iter().map(|resource| target(resource, settings, &mut sheet, &mut names)).collect();
        TargetGroup { source: node.into(), labels, targets, ..TargetGroup::default() }
    };
    Ok(nodes.into_iter().map(group).collect())
}

fn target(resource: &Resource, settings: &Settings, sheet: &mut Sheet, names: &mut Names) -> Labels {
    sheet.set("__meta_puppetdb_resource", &resource.resource);
    sheet.set("__meta_puppetdb_type", &resource.kind);
    sheet.set("__meta_puppetdb_title", &resource.title);
    sheet.flag("__meta_puppetdb_exported", resource.exported);
    sheet.set("__meta_puppetdb_file", &resource.file);
    sheet.set("__meta_puppetdb_environment", &resource.environment);
    sheet.list_if_any("__meta_puppetdb_tags", &resource.tags, ",");
    if settings.include_parameters {
        describe(&resource.parameters, sheet);
    }
    sheet.build(names)
}
