//! Whatever happened, what is told in the end is what there is.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use rosterd_discovery::Word;
use rosterd_model::TargetGroup;
use rosterd_testkit::{FakeApiServer, leak_checked_live, patience};
use serde_json::json;
use tokio::time::Instant;

use super::{Agent, config, pod};

/// What happens to a cluster.
#[derive(Debug, Clone)]
enum Happens {
    Pod(u8, u8),
    NoPod(u8),
    Service(u8, u8),
    NoService(u8),
    Slice(u8, Vec<u8>),
    NoSlice(u8),
    Node(u8),
    NoNode,
    Cut,
    Compact,
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        6 => (0u8..4, 0u8..3).prop_map(|(name, label)| Happens::Pod(name, label)),
        2 => (0u8..4).prop_map(Happens::NoPod),
        2 => (0u8..2, 0u8..3).prop_map(|(name, label)| Happens::Service(name, label)),
        1 => (0u8..2).prop_map(Happens::NoService),
        3 => (0u8..2, proptest::collection::vec(0u8..4, 0..4)).prop_map(|(name, pods)| Happens::Slice(name, pods)),
        1 => (0u8..2).prop_map(Happens::NoSlice),
        1 => (0u8..3).prop_map(Happens::Node),
        1 => Just(Happens::NoNode),
        1 => Just(Happens::Cut),
        1 => Just(Happens::Compact),
    ]
}

impl Happens {
    fn to(&self, server: &FakeApiServer) {
        match self {
            Self::Pod(name, label) => {
                let mut pod = pod("a", &format!("p{name}"), &format!("10.0.0.{name}"));
                pod["metadata"]["labels"]["l"] = json!(label.to_string());
                server.put(pod);
            }
            Self::NoPod(name) => drop_object(server, "pods", "a", &format!("p{name}")),
            Self::Service(name, label) => server.put(json!({
                "kind": "Service",
                "metadata": {"namespace": "a", "name": format!("s{name}"), "labels": {"l": label.to_string()}},
            })),
            Self::NoService(name) => drop_object(server, "services", "a", &format!("s{name}")),
            Self::Slice(name, pods) => {
                let endpoint = |pod: &u8| {
                    let target = json!({"kind": "Pod", "namespace": "a", "name": format!("p{pod}")});
                    json!({"addresses": [format!("10.0.0.{pod}")], "nodeName": "n", "targetRef": target})
                };
                server.put(json!({
                    "kind": "EndpointSlice", "addressType": "IPv4",
                    "metadata": {"namespace": "a", "name": format!("e{name}"), "labels": {"kubernetes.io/service-name": format!("s{name}")}},
                    "endpoints": pods.iter().map(endpoint).collect::<Vec<_>>(), "ports": [{"port": 9100}],
                }));
            }
            Self::NoSlice(name) => drop_object(server, "endpointslices", "a", &format!("e{name}")),
            Self::Node(zone) => server.put(json!({
                "kind": "Node", "metadata": {"name": "n", "labels": {"zone": zone.to_string()}},
            })),
            Self::NoNode => drop_object(server, "nodes", "", "n"),
            Self::Cut => server.cut_watches(),
            Self::Compact => server.compact(),
        }
    }
}

fn drop_object(server: &FakeApiServer, resource: &str, namespace: &str, name: &str) {
    server.delete(resource, namespace, name);
}

/// The groups that have targets, after all words so far.
#[derive(Debug, Default, PartialEq, Eq, Clone)]
pub(super) struct Told(BTreeMap<String, TargetGroup>);

impl Told {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn hear(&mut self, word: &Word) {
        if matches!(word, Word::Everything(_) | Word::EverythingBut(..)) {
            self.0.clear();
        }
        for group in word.groups() {
            self.0.remove(&*group.source);
            if !group.targets.is_empty() {
                self.0.insert(group.source.to_string(), group.clone());
            }
        }
    }
}

/// What happened to a cluster while it was watched makes the same groups as a list of what is there at the end.
#[test]
fn any_history_ends_in_the_groups_of_a_fresh_list() {
    leak_checked_live(async || {
        let mut runner = proptest::test_runner::TestRunner::deterministic();
        for round in 0..12 {
            let history =
                proptest::collection::vec(happens(), 1..40).new_tree(&mut runner).expect("a history").current();
            let server = FakeApiServer::start().await;
            server.streams_lists(round % 2 == 0);
            let agent = Agent::new();
            let role = ["pod", "endpointslice"][round / 2 % 2];
            let wanted = config(&server, &format!("role: {role}, attach_metadata: {{node: true}}"));
            let mut running = agent.run(&wanted);
            let mut told = Told::default();
            told.hear(&running.next().await);
            history.iter().for_each(|happens| happens.to(&server));
            // In an agent of its own, so that nothing is shared.
            let other = Agent::new();
            let mut fresh = other.run(&wanted);
            let mut wanted = Told::default();
            wanted.hear(&fresh.next().await);
            let ends = Instant::now() + patience();
            while told != wanted {
                match tokio::time::timeout_at(ends, running.words.recv()).await {
                    Ok(Some(word)) => told.hear(&word),
                    _ => panic!("{role} after {history:?}:\n{told:#?}\nis not\n{wanted:#?}"),
                }
            }
            agent.end(vec![running]).await;
            other.end(vec![fresh]).await;
            server.finish().await;
        }
    });
}
