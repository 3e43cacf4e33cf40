//! Debian's vmagent beside rosterd in a cluster: the same targets with the same labels, but for what this vmagent does not know of
//! or does in another way than Prometheus 3.

use std::collections::{BTreeMap, BTreeSet};

use rosterd_testkit::{Folder, Server, eventually_ok, fixture, leak_checked_live, patience};

use super::cluster::{ADMIN, Cluster};
use super::jobs::configured;
use super::story::story;
use crate::built::Built;
use crate::programs::{Wrapper, rosterd, vmagent};
use crate::targets::Labels;

const META: &str = "__meta_kubernetes_";

/// Labels that are not compared: the beginning of the role, that of the label, and why.
const LABELS: [(&str, &str, &str); 17] = [
    ("", "namespace_annotation", "it attaches no namespaces"),
    ("", "namespace_label", "it attaches no namespaces"),
    ("", "pod_deployment_name", "it attaches no deployments"),
    ("", "pod_job_name", "it attaches no jobs"),
    ("", "pod_cronjob_name", "it attaches no cron jobs"),
    ("", "pod_container_image", "it does not know images"),
    ("pod", "pod_container_id", "it does not know the ids of containers"),
    ("node", "node_condition_", "it does not know conditions of nodes"),
    ("service", "service_port_number", "it does not know the numbers of ports of services"),
    ("endpoint", "pod_container_init", "it does not look at init containers behind endpoints"),
    ("endpoint", "service_type", "it tells the type of the service, which Prometheus does not"),
    ("endpoint", "service_cluster_ip", "it tells the address of the service, which Prometheus does not"),
    ("endpoint", "node_", "it attaches the node of the pod and not that of the endpoint"),
    ("endpointslice", "endpointslice_endpoint_conditions_", "a condition that is not set is false for it"),
    ("endpointslice", "endpointslice_endpoint_zone", "it does not know zones"),
    ("endpointslice", "endpointslice_endpoint_node_name", "it does not know the node of an endpoint"),
    ("endpointslice", "endpointslice_endpoint_topology", "it reads topology where it was before version 1"),
];

/// Slices that are not compared, and why.
const SLICES: [(&str, &str); 2] = [
    ("all-ports", "a port without a number is port 0 for it"),
    ("both-4", "it takes the slices of both families of a service"),
];

/// Whether the targets of a job are compared: it does not narrow pods by nodes, and not endpoints by services and pods.
fn is_compared(job: &str) -> bool {
    const BY_SELECTOR: [&str; 4] = ["pod by label", "pod of a node", "node by name", "service by name"];
    !job.contains(' ') || job.ends_with(" attached") || job.contains("namespaces") || BY_SELECTOR.contains(&job)
}

/// The labels of each target, by job and address, as far as they are compared.
async fn targets(program: &Server) -> BTreeMap<(String, String), Vec<Labels>> {
    let answer = program.data("/api/v1/targets").await;
    let mut found = BTreeMap::<_, Vec<Labels>>::new();
    for target in answer["activeTargets"].as_array().into_iter().flatten() {
        let all: Labels = serde_json::from_value(target["discoveredLabels"].clone()).expect("labels");
        let (job, address) = (all["job"].clone(), all["__address__"].clone());
        let role = job.split(' ').next().unwrap_or_default().to_owned();
        let told = |name: &str| all.get(&format!("{META}{name}"));
        // Of the other ports of a pod behind endpoints it tells neither endpoints nor all that is known of the container.
        let is_endpoint = match &*role {
            "endpoints" => told("endpoint_ready").is_some(),
            "endpointslice" => told("endpointslice_port").is_some(),
            _ => true,
        };
        let is_left_out = SLICES.iter().any(|(name, _)| told("endpointslice_name").is_some_and(|it| it == name));
        if !is_compared(&job) || !is_endpoint || is_left_out {
            continue;
        }
        let is_known = |name: &str| {
            let name = name.strip_prefix(META)?;
            let unknown = |(of, label, _): &(&str, &str, &str)| role.starts_with(of) && name.starts_with(label);
            (!LABELS.iter().any(unknown)).then_some(())
        };
        // It writes labels without a value, which are none.
        let compared = all.iter().filter(|(name, value)| is_known(name).is_some() && !value.is_empty());
        let compared = compared.map(|(name, value)| (name.clone(), value.clone())).collect();
        found.entry((job, address)).or_default().push(compared);
    }
    found.values_mut().for_each(|targets| targets.sort());
    found
}

#[test]
fn vmagent_finds_the_same_targets_but_for_known_differences() {
    let Some(built) = Built::find() else { return };
    leak_checked_live(|| async {
        let cluster = Cluster::start(built).await;
        story()[0].happens(&cluster).await;
        let folder = Folder::new();
        let config = configured(&folder, &cluster, ADMIN, &fixture("side_by_side/kubernetes/jobs.yml"));
        let ours = rosterd(&config, Wrapper::default(), &[]).await;
        let theirs = vmagent("vmagent", &config).await;
        let look = async || {
            let (ours, theirs) = (targets(&ours).await, targets(&theirs).await);
            let roles: BTreeSet<_> = ours.keys().map(|(job, _)| job.split(' ').next().unwrap_or_default()).collect();
            if roles.len() < 6 {
                return Err(format!("not all roles have targets yet: {roles:?}"));
            }
            let all: BTreeSet<_> = ours.keys().chain(theirs.keys()).collect();
            let differ = all.into_iter().filter(|key| ours.get(*key) != theirs.get(*key));
            let differ: Vec<_> = differ.map(|key| (key, ours.get(key), theirs.get(key))).collect();
            if differ.is_empty() { Ok(()) } else { Err(format!("{differ:#?}")) }
        };
        eventually_ok(patience(), "rosterd and vmagent agree", look).await;
    });
}
