//! Of what nobody looks at again, names are enough, until somebody comes who needs more.

use std::time::Duration;

use rosterd_discovery::Word;
use rosterd_testkit::{FakeApiServer, Fault, On, eventually, leak_checked_live, patience};
use serde_json::json;

use super::history::Told;
use super::{Agent, Running, asked, config, goes_by, objects, pod};
use crate::view::REST;

/// Lets the time go by after which nothing more is kept than is needed.
async fn rest() {
    goes_by(REST + Duration::from_secs(1)).await;
}

fn bytes(agent: &Agent) -> f64 {
    agent.metric("rosterd_discovery_kubernetes_object_bytes")
}

/// A pod that is the same one whenever it is put.
fn pod_of(name: &str, ip: &str) -> serde_json::Value {
    let mut pod = pod("a", name, ip);
    pod["metadata"]["uid"] = json!(name);
    pod
}

/// An agent in which a job has two pods, of which no more is kept than their names.
async fn thinned(server: &FakeApiServer, more: &str) -> (Agent, Running, Told) {
    server.put(pod_of("x", "10.0.0.1"));
    server.put(pod_of("y", "10.0.0.2"));
    let agent = Agent::new();
    let mut running = agent.run(&config(server, more));
    let mut told = Told::default();
    told.hear(&running.next().await);
    assert_eq!(told.len(), 2);
    let before = bytes(&agent);
    rest().await;
    eventually(patience(), "names are left", || bytes(&agent) < before / 2.0).await;
    (agent, running, told)
}

/// Why lists were taken by the first watch of a discoverer.
fn lists(running: &Running) -> Vec<(&'static str, u64)> {
    running.cx.watched().remove(0).lists.into_iter().collect()
}

#[test]
fn who_needs_names_alone_is_told_of_every_change() {
    leak_checked_live(async || {
        let server = FakeApiServer::start().await;
        let (agent, mut running, _) = thinned(&server, "role: pod").await;
        let sources =
            |word: &Word| objects(word).iter().map(|it| (it.source.to_string(), it.targets.len())).collect::<Vec<_>>();
        server.put(pod("a", "x", "10.0.0.3"));
        let word = running.next().await;
        assert_eq!(sources(&word), [("pod/a/x".to_owned(), 1)]);
        assert_eq!(word.groups()[0].targets[0].get("__address__"), Some("10.0.0.3:9100"));
        // Nothing that targets are made of.
        let mut later = pod_of("y", "10.0.0.2");
        later["status"]["startTime"] = json!("later");
        server.put(later);
        server.delete("pods", "a", "x");
        assert_eq!(sources(&running.next().await), [("pod/a/x".to_owned(), 0)]);
        // What goes while nobody watches, and history is forgotten.
        server.wait_watches(1).await;
        server.fail(On::all(), Fault::Status(500));
        server.cut_watches();
        server.wait_watches(0).await;
        server.delete("pods", "a", "y");
        server.put(pod("a", "z", "10.0.0.4"));
        server.compact();
        server.heal();
        let mut told = Vec::new();
        while told.len() < 2 {
            told.extend(sources(&running.next().await));
        }
        told.sort();
        assert_eq!(told, [("pod/a/y".to_owned(), 0), ("pod/a/z".to_owned(), 1)]);
        agent.end(vec![running]).await;
        server.finish().await;
    });
}

/// More than are let go of at once.
#[test]
fn what_many_objects_are_made_of_is_let_go_of_in_steps() {
    leak_checked_live(async || {
        let server = FakeApiServer::start().await;
        (0..2300).for_each(|number| server.put(pod_of(&format!("p{number}"), "10.0.0.1")));
        let agent = Agent::new();
        let mut running = agent.run(&config(&server, "role: pod"));
        while !matches!(running.next().await, Word::Pieced { .. }) {}
        // One that changes at that time is told at once, and does not hold the others up for another round.
        server.put(pod_of("p1", "10.0.0.2"));
        rest().await;
        eventually(patience(), "names are left", || bytes(&agent) < 2300.0 * 60.0).await;
        let word = running.next().await;
        assert_eq!(objects(&word).iter().map(|it| &*it.source).collect::<Vec<_>>(), ["pod/a/p1"]);
        agent.end(vec![running]).await;
        server.finish().await;
    });
}

#[test]
fn who_comes_later_and_needs_more_is_told_all() {
    leak_checked_live(async || {
        for more in ["role: pod, attach_metadata: {node: true}", "role: pod, namespaces: {names: [a]}"] {
            let server = FakeApiServer::start().await;
            server.put(json!({"kind": "Node", "metadata": {"name": "n"}}));
            let (agent, mut first, told) = thinned(&server, "role: pod").await;
            let mut second = agent.run(&config(&server, more));
            let word = second.next().await;
            assert!(matches!(&word, Word::EverythingBut(_, unread) if unread.is_empty()), "{word:?}");
            assert_eq!(objects(&word).len(), 2, "{more}: {word:?}");
            assert_eq!(lists(&first), [("joined", 1), ("start", 1)]);
            assert_eq!(asked(&server).iter().filter(|it| *it == "watch pods ").count(), 2, "no other watch");
            // From now on all is kept: nobody else has to wait.
            rest().await;
            let mut third = agent.run(&config(&server, "role: pod, attach_metadata: {job: true}"));
            assert_eq!(objects(&third.next().await).len(), 2);
            assert_eq!(lists(&first), [("joined", 1), ("start", 1)]);
            server.put(pod("a", "z", "10.0.0.3"));
            let mut now = told;
            while now.len() < 3 {
                let word = first.next().await;
                assert!(objects(&word).iter().all(|group| !group.targets.is_empty()), "{word:?}");
                now.hear(&word);
            }
            agent.end(vec![first, second, third]).await;
            server.finish().await;
        }
    });
}

#[test]
fn what_goes_while_all_is_listed_anew_is_told() {
    leak_checked_live(async || {
        let server = FakeApiServer::start().await;
        let (agent, mut first, mut told) = thinned(&server, "role: pod, namespaces: {names: [a, b]}").await;
        server.fail(On::resource("pods").in_namespace("a"), Fault::Status(500));
        let more = "role: pod, namespaces: {names: [a]}, attach_metadata: {job: true}";
        let second = agent.run(&config(&server, more));
        let mut unread = false;
        while !unread {
            let word = first.next().await;
            told.hear(&word);
            unread = matches!(word, Word::Unread(_));
        }
        assert_eq!(told.len(), 2, "nothing is gone because it is not known");
        server.delete("pods", "a", "y");
        server.heal();
        // The other namespace is known all the time, so that there is no picture that leaves it out.
        while told.len() > 1 {
            let word = first.next().await;
            assert!(!matches!(word, Word::EverythingBut(..)), "{word:?}");
            told.hear(&word);
        }
        agent.end(vec![first, second]).await;
        server.finish().await;
    });
}

#[test]
fn who_looks_at_objects_again_keeps_them() {
    leak_checked_live(async || {
        let server = FakeApiServer::start().await;
        let node = |zone: &str| json!({"kind": "Node", "metadata": {"name": "n", "labels": {"zone": zone}}});
        server.put(node("1"));
        server.put(pod("a", "x", "10.0.0.1"));
        server.put(pod("a", "y", "10.0.0.2"));
        let agent = Agent::new();
        let mut running = agent.run(&config(&server, "role: pod, attach_metadata: {node: true}"));
        assert_eq!(objects(&running.next().await).len(), 2);
        rest().await;
        // Of the pod that changed, its node is looked at; of the node that changed, its pods.
        server.put(pod("a", "x", "10.0.0.3"));
        let word = running.next().await;
        let zone = word.groups()[0].labels.get("__meta_kubernetes_node_label_zone");
        assert_eq!((objects(&word).len(), zone), (1, Some("1")));
        server.put(node("2"));
        let word = running.next().await;
        let found =
            objects(&word).into_iter().map(|it| (it.targets.len(), it.labels.get("__meta_kubernetes_node_label_zone")));
        assert_eq!(found.collect::<Vec<_>>(), [(1, Some("2")); 2]);
        agent.end(vec![running]).await;
        server.finish().await;
    });
}

#[test]
fn what_was_told_stays_while_what_is_needed_more_cannot_be_read() {
    leak_checked_live(async || {
        let server = FakeApiServer::start().await;
        let (agent, mut first, mut told) = thinned(&server, "role: pod").await;
        server.fail(On::resource("pods"), Fault::Status(500));
        let mut second = agent.run(&config(&server, "role: pod, attach_metadata: {job: true}"));
        let mut word = second.next().await;
        assert!(matches!(&word, Word::EverythingBut(_, unread) if unread.len() == 1), "{word:?}");
        assert_eq!(objects(&word).len(), 0);
        // Of the first nothing is gone, it is as it was.
        while !matches!(word, Word::Unread(_)) {
            word = first.next().await;
            told.hear(&word);
        }
        assert_eq!(told.len(), 2);
        server.delete("pods", "a", "y");
        server.heal();
        while told.len() > 1 {
            told.hear(&first.next().await);
        }
        let mut now = Told::default();
        while now.len() < 1 {
            now.hear(&second.next().await);
        }
        agent.end(vec![first, second]).await;
        server.finish().await;
    });
}
