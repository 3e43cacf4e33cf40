//! What Kuma answers, and what becomes of it. Pure.

use std::collections::BTreeMap;

use rosterd_discovery::Sheet;
use rosterd_model::{Labels, Names, TargetGroup};
use rosterd_rest::{Fault, json, or_default};
use serde::Deserialize;

/// What is asked for.
pub(super) const ASSIGNMENT: &str = "type.googleapis.com/kuma.observability.v1.MonitoringAssignment";

const SCHEME: &str = "__scheme__";
const METRICS_PATH: &str = "__metrics_path__";
const DATAPLANE: &str = "__meta_kuma_dataplane";
const LABEL: &str = "__meta_kuma_label_";
const MESH: &str = "__meta_kuma_mesh";
const SERVICE: &str = "__meta_kuma_service";

/// What is known, by the words of the server.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Known {
    pub(super) version: String,
    pub(super) nonce: String,
}

/// Names are written in either way, and unknown ones are for later versions.
#[derive(Debug, Default, Deserialize)]
#[serde(default, expecting = "a map of keys and values")]
struct Reply {
    #[serde(alias = "versionInfo", deserialize_with = "or_default")]
    version_info: String,
    #[serde(deserialize_with = "or_default")]
    nonce: String,
    #[serde(alias = "typeUrl", deserialize_with = "or_default")]
    type_url: String,
    #[serde(deserialize_with = "or_default")]
    resources: Vec<Assignment>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, expecting = "a map of keys and values")]
struct Assignment {
    #[serde(rename = "@type", deserialize_with = "or_default")]
    kind: String,
    #[serde(deserialize_with = "or_default")]
    mesh: String,
    #[serde(deserialize_with = "or_default")]
    service: String,
    #[serde(deserialize_with = "or_default")]
    labels: BTreeMap<String, String>,
    #[serde(deserialize_with = "or_default")]
    targets: Vec<Target>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, expecting = "a map of keys and values")]
struct Target {
    #[serde(deserialize_with = "or_default")]
    name: String,
    #[serde(deserialize_with = "or_default")]
    scheme: String,
    #[serde(deserialize_with = "or_default")]
    address: String,
    #[serde(alias = "metricsPath", deserialize_with = "or_default")]
    metrics_path: String,
    #[serde(deserialize_with = "or_default")]
    labels: BTreeMap<String, String>,
}

/// What a reply says that is known from now on, and the groups: one for each service of a mesh, of which it is the source.
pub(super) fn read(body: &[u8]) -> Result<(Known, Vec<TargetGroup>), Fault> {
    let reply: Reply = json(body)?;
    let foreign =
        |kind: &str| Fault::new(format!("there is something of the type {kind:?}, and no monitoring assignment"));
    if reply.type_url != ASSIGNMENT {
        return Err(foreign(&reply.type_url));
    }
    let (mut sheet, mut names) = (Sheet::default(), Names::new());
    let mut groups = BTreeMap::<(String, String), Vec<Labels>>::new();
    for assignment in reply.resources {
        if assignment.kind != ASSIGNMENT {
            return Err(foreign(&assignment.kind));
        }
        let Assignment { mesh, service, labels, targets, .. } = assignment;
        let group = groups.entry((mesh, service)).or_default();
        group.extend(targets.iter().map(|target| {
            sheet.address(&target.address);
            sheet.instance(&target.name);
            sheet.set(SCHEME, &target.scheme);
            sheet.set(METRICS_PATH, &target.metrics_path);
            sheet.set(DATAPLANE, &target.name);
            sheet.map(LABEL, &target.labels);
            // Those of the assignment count, if both have one.
            sheet.map(LABEL, &labels);
            sheet.build(&mut names)
        }));
    }
    let group = |((mesh, service), targets): ((String, String), Vec<Labels>)| {
        sheet.set(MESH, &mesh);
        sheet.set(SERVICE, &service);
        let labels = sheet.build(&mut names);
        let source = format!("{mesh}/{service}");
        match targets.is_empty() {
            true => TargetGroup::gone(source),
            false => TargetGroup { source: source.into(), labels, targets, ..TargetGroup::default() },
        }
    };
    let groups = groups.into_iter().map(group).collect();
    Ok((Known { version: reply.version_info, nonce: reply.nonce }, groups))
}
