//! Objects of every kind are created, changed and deleted in a cluster: after each step rosterd has the targets of the golden,
//! and those of a Prometheus 3 beside it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use rosterd_testkit::{Folder, Server, assert_golden, eventually_ok, fixture, leak_checked_live, patience};
use serde_json::{Value, json};

use super::cluster::{ADMIN, Cluster};
use super::jobs::{agrees, configured};
use crate::built::Built;
use crate::programs::{Wrapper, rosterd};
use crate::targets::{Labels, Target, Targets, only_one};

/// A step of `story.yml`.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Step {
    step: String,
    #[serde(default)]
    create: Vec<Value>,
    #[serde(default)]
    change: Vec<Value>,
    #[serde(default)]
    delete: Vec<Value>,
}

impl Step {
    pub(super) async fn happens(&self, cluster: &Cluster) {
        for object in &self.create {
            cluster.create(object).await;
        }
        for object in &self.change {
            cluster.change(object).await;
        }
        for object in &self.delete {
            cluster.delete(object).await;
        }
    }
}

/// All of them.
pub(super) fn story() -> Vec<Step> {
    serde_yaml::from_str(&fixture("side_by_side/kubernetes/story.yml")).expect("a story")
}

/// The objects of `barrier.yml` for a step.
fn barrier(step: usize) -> Vec<Value> {
    let text = fixture("side_by_side/kubernetes/barrier.yml").replace("STEP", &step.to_string());
    serde_yaml::from_str(&text).expect("a list of objects")
}

/// Whether a target is made of the barrier.
fn is_barrier(labels: &Labels) -> bool {
    let is = |name: &str| labels.get(name).is_some_and(|value| value == "barrier");
    // Nodes have none.
    is("__meta_kubernetes_namespace") || is("instance")
}

/// The targets without those of the barrier.
fn without_barrier(targets: Targets) -> Targets {
    let active = targets.active.into_iter().filter(|target| !is_barrier(&target.discovered)).collect();
    Targets { active, ..targets }
}

/// Waits until a program has seen the barrier of this step in each job, by these labels: in all watches, or at least in that of the
/// job's own role.
async fn passes(program: &Server, step: usize, all: bool) -> Targets {
    let step = step.to_string();
    let seen = |role: &str, labels: &Labels| {
        let own = labels.get(&format!("__meta_kubernetes_{role}_annotation_step")) == Some(&step);
        let other = labels.iter().all(|(name, value)| {
            let told = value.strip_prefix("step-").unwrap_or(value);
            let tells = name.ends_with("_annotation_step") || name.ends_with("_label_step");
            !(tells || told != value) || told == step
        });
        own && (other || !all)
    };
    let look = async || {
        let targets = Targets::of(program).await;
        for job in &targets.pools {
            let role = job.split(' ').next().unwrap_or_default();
            let mine = targets.active.iter().filter(|target| target.pool == *job && is_barrier(&target.discovered));
            let mine: Vec<_> = mine.map(|target| &target.discovered).collect();
            if mine.is_empty() || !mine.iter().all(|labels| seen(role, labels)) {
                return Err(format!("{job}: {mine:#?}\n{}", program.log()));
            }
        }
        Ok(targets)
    };
    eventually_ok(patience(), &format!("{} has seen step {step}", program.name()), look).await
}

/// Touches what others than rosterd make anew only when it changes itself.
async fn touch(cluster: &Cluster, step: usize) {
    for (version, kind, path) in [
        ("v1", "Endpoints", "/api/v1/endpoints"),
        ("discovery.k8s.io/v1", "EndpointSlice", "/apis/discovery.k8s.io/v1/endpointslices"),
    ] {
        let (_, list) = cluster.ask(http::Method::GET, path, None).await;
        for item in list["items"].as_array().expect("a list") {
            let (name, namespace) = (&item["metadata"]["name"], &item["metadata"]["namespace"]);
            let metadata = json!({"name": name, "namespace": namespace, "annotations": {"touched": step.to_string()}});
            cluster.change(&json!({"apiVersion": version, "kind": kind, "metadata": metadata})).await;
        }
    }
}

/// What a step did to the targets of the jobs with all that can be attached, and of those that are narrowed: the whole labels of what
/// came, and of what changed those that did.
fn told(before: &BTreeSet<Target>, after: &BTreeSet<Target>) -> String {
    let part = |one: &BTreeSet<Target>, other: &BTreeSet<Target>| {
        let mut found = BTreeMap::<(String, String), Vec<Labels>>::new();
        for target in one.difference(other).filter(|target| target.pool.contains(' ')) {
            let mut labels = target.discovered.clone();
            // The server makes it.
            if let Some(uid) = labels.get_mut("__meta_kubernetes_pod_uid") {
                "UID".clone_into(uid);
            }
            // What says no more than that something is there is left to the comparison.
            labels.retain(|name, _| name.starts_with("__meta_") && !name.contains("present_") || name == "instance");
            let address = target.discovered["__address__"].clone();
            found.entry((target.pool.clone(), address)).or_default().push(labels);
        }
        found
    };
    let (mut gone, came) = (part(before, after), part(after, before));
    let mut text = String::new();
    for ((job, address), labels) in came {
        let old = gone.remove(&(job.clone(), address.clone())).unwrap_or_default();
        if let ([old], [new]) = (&old[..], &labels[..]) {
            writeln!(text, "~ {job}: {address}").expect("a string takes any text");
            let names: BTreeSet<_> = old.keys().chain(new.keys()).collect();
            for name in names.into_iter().filter(|name| old.get(*name) != new.get(*name)) {
                let value = |labels: &Labels| labels.get(name).map_or("-".to_owned(), |value| format!("{value:?}"));
                writeln!(text, "    {name}: {} -> {}", value(old), value(new)).expect("a string takes any text");
            }
            continue;
        }
        for _ in old {
            writeln!(text, "- {job}: {address}").expect("a string takes any text");
        }
        for labels in labels {
            writeln!(text, "+ {job}: {address}").expect("a string takes any text");
            // Narrowed jobs have nothing that the others do not have.
            if job.ends_with(" attached") {
                for (name, value) in labels {
                    writeln!(text, "    {name}: {value:?}").expect("a string takes any text");
                }
            }
        }
    }
    for ((job, address), labels) in gone {
        for _ in labels {
            writeln!(text, "- {job}: {address}").expect("a string takes any text");
        }
    }
    text
}

/// Runs the story in a cluster.
async fn run(built: Built, cluster: Cluster) {
    let steps = story();
    let folder = Folder::new();
    let config = configured(&folder, &cluster, ADMIN, &fixture("side_by_side/kubernetes/jobs.yml"));
    // The others hold nothing when more than half goes at once.
    let text = std::fs::read_to_string(&config).expect("it was just written");
    let own = folder.write("rosterd.yml", format!("rosterd: {{brake: false}}\n{text}"));
    let ours = rosterd(&own, Wrapper::default(), &[]).await;
    let prometheus = built.prometheus(&config, Wrapper::default()).await;

    let (mut golden, mut before) = (String::new(), BTreeSet::new());
    for (number, step) in steps.iter().enumerate() {
        step.happens(&cluster).await;
        for object in barrier(2 * number) {
            if number == 0 { cluster.create(&object).await } else { cluster.change(&object).await }
        }
        let after = without_barrier(passes(&ours, 2 * number, true).await);
        writeln!(golden, "# {}\n{}", step.step, told(&before, &after.active)).expect("a string takes any text");

        touch(&cluster, number).await;
        for object in barrier(2 * number + 1) {
            cluster.change(&object).await;
        }
        before = without_barrier(passes(&ours, 2 * number + 1, true).await).active;
        passes(&prometheus, 2 * number + 1, false).await;
        agrees(&ours, &prometheus, without_barrier).await;
    }
    assert_golden("side_by_side/kubernetes/story.golden", &golden);
    // Who lists all of it now finds what rosterd has followed.
    let fresh = rosterd(&own, Wrapper::default(), &[]).await;
    let last = 2 * steps.len() - 1;
    let (followed, listed) = (passes(&ours, last, true).await.active, passes(&fresh, last, true).await.active);
    assert_eq!(only_one(&followed, &listed, ["who followed", "who listed"]), "");
}

#[test]
fn a_cluster_that_streams_its_lists_is_followed() {
    let Some(built) = Built::find() else { return };
    leak_checked_live(|| async { run(built.clone(), Cluster::start(built).await).await });
}

#[test]
fn a_cluster_that_gives_lists_in_pages_is_followed() {
    let Some(built) = Built::find() else { return };
    leak_checked_live(|| async { run(built.clone(), Cluster::start_on_old_etcd(built).await).await });
}
