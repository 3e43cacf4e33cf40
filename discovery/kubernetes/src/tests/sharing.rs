//! What several discoverers of one agent share, and what each of them is told.

use rosterd_discovery::Word;
use rosterd_testkit::{FakeApiServer, addresses, eventually, leak_checked_live, patience};
use serde_json::json;

use super::{Agent, asked, config, objects, pod};

#[test]
fn what_several_need_is_watched_once() {
    leak_checked_live(async || {
        let server = FakeApiServer::start().await;
        server.put(pod("a", "x", "10.0.0.1"));
        let agent = Agent::new();
        let mut running = Vec::new();
        for more in [
            "role: pod",
            "role: pod, attach_metadata: {job: true}",
            "role: pod, namespaces: {names: [a]}",
            "role: endpointslice",
            "role: endpoints, namespaces: {names: [a, b]}",
            "role: pod, selectors: [{role: pod, label: app=x}]",
        ] {
            running.push(agent.run(&config(&server, more)));
        }
        for running in &mut running {
            assert!(matches!(running.next().await, Word::EverythingBut(_, unread) if unread.is_empty()));
        }
        assert_eq!(
            asked(&server),
            [
                "watch endpoints a",
                "watch endpoints b",
                "watch endpointslices ",
                "watch pods ",
                "watch pods ",
                "watch services ",
            ]
        );
        assert_eq!(agent.metric("rosterd_discovery_kubernetes_watches"), 6.0);
        agent.end(running).await;
        server.finish().await;
    });
}

#[test]
fn a_change_is_said_with_all_that_depends_on_it_and_nothing_else() {
    leak_checked_live(async || {
        let server = FakeApiServer::start().await;
        let node = |zone: &str| json!({"kind": "Node", "metadata": {"name": "n", "labels": {"zone": zone}}});
        server.put(node("1"));
        for name in ["x", "y", "z"] {
            server.put(pod("a", name, "10.0.0.1"));
        }
        let agent = Agent::new();
        let mut plain = agent.run(&config(&server, "role: pod"));
        let mut with_nodes = agent.run(&config(&server, "role: pod, attach_metadata: {node: true}"));
        assert_eq!((objects(&plain.next().await).len(), objects(&with_nodes.next().await).len()), (3, 3));
        server.put(node("2"));
        let changed = with_nodes.next().await;
        let zones = changed.groups().iter().map(|group| group.labels.get("__meta_kubernetes_node_label_zone"));
        assert_eq!(zones.collect::<Vec<_>>(), [Some("2"); 3]);
        server.put(pod("a", "y", "10.0.0.2"));
        for running in [&mut plain, &mut with_nodes] {
            let word = running.next().await;
            assert!(
                matches!(&word, Word::Changed(groups) if groups.len() == 1 && &*groups[0].source == "pod/a/y"),
                "{word:?}"
            );
            assert_eq!(addresses(word.groups()).into_iter().collect::<Vec<_>>(), ["10.0.0.2:9100"]);
        }
        server.delete("pods", "a", "y");
        for running in [&mut plain, &mut with_nodes] {
            let word = running.next().await;
            assert!(matches!(&word, Word::Changed(groups) if groups[0].targets.is_empty()), "{word:?}");
        }
        agent.end(vec![plain, with_nodes]).await;
        server.finish().await;
    });
}

/// An object that another one made.
fn made(kind: &str, name: &str, by: (&str, &str)) -> serde_json::Value {
    let owner = json!({"kind": by.0, "name": by.1, "controller": true});
    json!({"kind": kind, "metadata": {"namespace": "a", "name": name, "ownerReferences": [owner]}})
}

#[test]
fn whatever_is_attached_is_told_anew_when_it_changes() {
    leak_checked_live(async || {
        let server = FakeApiServer::start().await;
        let labelled = |kind: &str, name: &str, value: &str| json!({"kind": kind, "metadata": {"namespace": "a", "name": name, "labels": {"l": value}}});
        let namespace = |value: &str| json!({"kind": "Namespace", "metadata": {"name": "a", "labels": {"l": value}}});
        server.put(namespace("1"));
        server.put(labelled("Service", "s", "1"));
        server.put(made("ReplicaSet", "r", ("Deployment", "d1")));
        server.put(made("Job", "j", ("CronJob", "c1")));
        for (name, by) in [("x", ("ReplicaSet", "r")), ("y", ("Job", "j")), ("z", ("Node", "n"))] {
            let mut pod = pod("a", name, "10.0.0.1");
            pod["metadata"]["ownerReferences"] = made("Pod", name, by)["metadata"]["ownerReferences"].clone();
            server.put(pod);
        }
        let endpoint = |name: &str| json!({"addresses": ["10.0.0.1"], "targetRef": {"kind": "Pod", "namespace": "a", "name": name}});
        server.put(json!({
            "kind": "EndpointSlice", "addressType": "IPv4", "ports": [{"port": 9100}],
            "metadata": {"namespace": "a", "name": "e", "labels": {"kubernetes.io/service-name": "s"}},
            "endpoints": [endpoint("x"), endpoint("y")],
        }));
        let agent = Agent::new();
        let attach = "attach_metadata: {namespace: true, deployment: true, cronjob: true}";
        let mut pods = agent.run(&config(&server, &format!("role: pod, {attach}")));
        let mut slices = agent.run(&config(&server, &format!("role: endpointslice, {attach}")));
        assert_eq!((objects(&pods.next().await).len(), objects(&slices.next().await).len()), (3, 1));
        // The groups that are told, each with the values of a label in it or its targets.
        let told = |word: &Word, label: &str| {
            let values = |group: &rosterd_model::TargetGroup| {
                let all = std::iter::once(&group.labels).chain(&group.targets);
                all.filter_map(|labels| labels.get(label).map(str::to_owned)).collect::<Vec<_>>().join(" ")
            };
            let mut told: Vec<_> =
                objects(word).into_iter().map(|it| format!("{} {}", it.source, values(it))).collect();
            told.sort();
            told.join(", ")
        };
        for (change, label, of_pods, of_slices) in [
            (namespace("2"), "namespace_label_l", "pod/a/x 2, pod/a/y 2, pod/a/z 2", "endpointslice/a/e 2"),
            (
                made("ReplicaSet", "r", ("Deployment", "d2")),
                "pod_deployment_name",
                "pod/a/x d2",
                "endpointslice/a/e d2",
            ),
            (made("Job", "j", ("CronJob", "c2")), "pod_cronjob_name", "pod/a/y c2", "endpointslice/a/e c2"),
            (labelled("Service", "s", "2"), "service_label_l", "", "endpointslice/a/e 2"),
        ] {
            server.put(change);
            let label = format!("__meta_kubernetes_{label}");
            if !of_pods.is_empty() {
                assert_eq!(told(&pods.next().await, &label), of_pods);
            }
            assert_eq!(told(&slices.next().await, &label), of_slices);
        }
        agent.end(vec![pods, slices]).await;
        server.finish().await;
    });
}

#[test]
fn a_watch_goes_on_for_the_next_who_needs_it() {
    leak_checked_live(async || {
        let server = FakeApiServer::start().await;
        server.put(pod("a", "x", "10.0.0.1"));
        let agent = Agent::new();
        let mut first = agent.run(&config(&server, "role: pod"));
        assert_eq!(objects(&first.next().await).len(), 1);
        first.cx.stop.cancel();
        eventually(patience(), "the first has ended", || agent.stopper.running().is_empty()).await;
        let mut second = agent.run(&config(&server, "role: pod, attach_metadata: {job: true}"));
        assert_eq!(objects(&second.next().await).len(), 1);
        assert_eq!(asked(&server), ["watch pods "]);
        agent.end(vec![first, second]).await;
        server.finish().await;
    });
}

#[test]
fn a_wider_watch_that_comes_later_takes_the_narrow_ones_over() {
    leak_checked_live(async || {
        let server = FakeApiServer::start().await;
        server.put(pod("a", "x", "10.0.0.1"));
        server.put(pod("b", "y", "10.0.0.2"));
        let agent = Agent::new();
        let mut narrow = agent.run(&config(&server, "role: pod, namespaces: {names: [a]}"));
        let mut selected =
            agent.run(&config(&server, "role: pod, namespaces: {names: [a]}, selectors: [{role: pod, label: app}]"));
        assert_eq!((objects(&narrow.next().await).len(), objects(&selected.next().await).len()), (1, 1));
        let mut wide = agent.run(&config(&server, "role: pod"));
        assert_eq!(objects(&wide.next().await).len(), 2);
        // All is said again, since each knows what it knows as of another moment.
        let word = narrow.next().await;
        assert!(matches!(&word, Word::EverythingBut(groups, _) if addresses(groups).len() == 1), "{word:?}");
        let scope = |running: &super::Running| running.cx.watched()[0].scope.clone();
        assert_eq!((scope(&narrow), scope(&selected)), (None, Some("a".into())), "who asks for less has its own");
        server.put(pod("a", "x", "10.0.0.3"));
        for running in [&mut narrow, &mut wide, &mut selected] {
            let word = running.next().await;
            assert!(matches!(&word, Word::Changed(groups) if &*groups[0].source == "pod/a/x"), "{word:?}");
        }
        // In other namespaces nothing concerns it.
        server.put(pod("b", "y", "10.0.0.4"));
        assert!(matches!(wide.next().await, Word::Changed(_)));
        server.delete("pods", "a", "x");
        let word = narrow.next().await;
        assert!(matches!(&word, Word::Changed(groups) if &*groups[0].source == "pod/a/x"), "{word:?}");
        agent.end(vec![narrow, selected, wide]).await;
        server.finish().await;
    });
}
