//! What may go wrong, and what is said of it.

use std::time::Duration;

use rosterd_discovery::{WatchState, Word};
use rosterd_testkit::{FakeApiServer, Fault, On, eventually, leak_checked_live, patience};
use serde_json::json;

use super::{Agent, asked, config, config_of, goes_by, objects, pod};

#[test]
fn what_may_not_be_read_is_named_and_hides_nothing() {
    leak_checked_live(async || {
        let server = FakeApiServer::start().await;
        server.put(pod("a", "x", "10.0.0.1"));
        server.fail(On::resource("pods").in_namespace("b"), Fault::Status(403));
        let agent = Agent::new();
        let mut running = agent.run(&config(&server, "role: pod, namespaces: {names: [a, b]}"));
        let word = running.next().await;
        let Word::EverythingBut(_, unread) = &word else { panic!("{word:?}") };
        assert_eq!((objects(&word).len(), unread.len(), &*unread[0].source), (1, 1, "pod/b/*"));
        assert_eq!(unread[0].beneath.as_deref(), Some("pod/b/"));
        let error = unread[0].error.to_string();
        for part in [
            "cannot watch pods in b: forbidden",
            "a Role in b with {apiGroups: [\"\"], resources: [pods], verbs: [list, watch]}",
        ] {
            assert!(error.contains(part), "{error}");
        }
        assert_eq!(unread[0].error.code(), "sd_kubernetes_forbidden");
        server.put(pod("b", "y", "10.0.0.2"));
        server.heal();
        let word = running.next().await;
        let sources = word.groups().iter().map(|group| &*group.source);
        assert!(matches!(&word, Word::Changed(_)), "{word:?}");
        assert_eq!(sources.collect::<Vec<_>>(), ["pod/b/y", "pod/b/*"], "the part last, when all of it is told");
        agent.end(vec![running]).await;
        server.finish().await;
    });
}

#[test]
fn each_refusal_tells_what_was_asked_where_and_is_asked_again_in_its_time() {
    leak_checked_live(async || {
        for (fault, code, told, wait) in [
            (
                Fault::Status(401),
                "unauthorized",
                "cannot watch pods in a: the API server does not know who asks",
                0..=60,
            ),
            (
                Fault::Status(404),
                "no_resource",
                "cannot watch pods in a: the API server has no pods of core/v1",
                29..=31,
            ),
            (Fault::RetryAfter(429, 17), "throttled", "cannot watch pods in a: the API server asks for time", 16..=20),
            (Fault::RetryAfter(503, 17), "throttled", "cannot watch pods in a: the API server asks for time", 16..=20),
            (Fault::Status(500), "refused", "cannot list pods in a: HTTP status 500", 0..=60),
        ] {
            let server = FakeApiServer::start().await;
            server.put(pod("a", "x", "10.0.0.1"));
            server.put(pod("b", "y", "10.0.0.2"));
            server.fail(On::resource("pods").in_namespace("a"), fault.clone());
            let agent = Agent::new();
            let mut running = agent.run(&config(&server, "role: pod, namespaces: {names: [a, b]}"));
            let word = running.next().await;
            let Word::EverythingBut(_, unread) = &word else { panic!("{fault:?}: {word:?}") };
            assert_eq!((objects(&word).len(), unread.len(), &*unread[0].source), (1, 1, "pod/a/*"), "{fault:?}");
            let error = &unread[0].error;
            assert_eq!(error.code(), format!("sd_kubernetes_{code}"));
            assert!(error.to_string().starts_with(told), "{error}");
            assert!(agent.metric("rosterd_discovery_kubernetes_failures_total") >= 1.0);
            let watched = running.cx.watched();
            let of_a = watched.iter().find(|it| it.scope.as_deref() == Some("a")).expect("it is watched");
            let (Some(failure), Some(next)) = (&of_a.last_error, of_a.next_try) else { panic!("{of_a:?}") };
            let pause = next.duration_since(failure.at).unwrap_or_default().as_secs();
            assert!(wait.contains(&pause), "{fault:?} is tried again after {pause} s");
            server.heal();
            goes_by(Duration::from_secs(40)).await;
            let mut found = Vec::new();
            while found.is_empty() {
                let word = running.next().await;
                found = objects(&word).iter().map(|group| group.source.to_string()).collect();
            }
            assert_eq!(found, ["pod/a/x"], "{fault:?}");
            agent.end(vec![running]).await;
            server.finish().await;
        }
    });
}

#[test]
fn a_server_that_cannot_be_reached_is_told_of() {
    leak_checked_live(async || {
        let server = FakeApiServer::start().await;
        let agent = Agent::new();
        // It does not speak TLS.
        let wanted = config_of(&format!("role: service, api_server: 'https://{}'", server.address()));
        let mut running = agent.run(&wanted);
        let word = running.next().await;
        let Word::EverythingBut(groups, unread) = &word else { panic!("{word:?}") };
        assert_eq!((groups.len(), unread.len(), unread[0].error.code()), (0, 1, "sd_kubernetes_unreachable"));
        let (error, server_is) = (unread[0].error.to_string(), format!("https://{}/api/v1/services", server.address()));
        assert!(error.starts_with("cannot watch services: ") && error.contains(&server_is), "{error}");
        agent.end(vec![running]).await;
        server.finish().await;
    });
}

#[test]
fn a_resource_that_an_old_cluster_lacks_leaves_its_role_unread_and_no_other() {
    leak_checked_live(async || {
        let server = FakeApiServer::start().await;
        server.lacks("endpointslices");
        server.put(endpoints("a", "x"));
        let agent = Agent::new();
        let mut slices = agent.run(&config(&server, "role: endpointslice"));
        let mut older = agent.run(&config(&server, "role: endpoints"));
        let word = slices.next().await;
        let Word::EverythingBut(groups, unread) = &word else { panic!("{word:?}") };
        let told: Vec<_> = unread.iter().map(|it| (&*it.source, it.error.to_string())).collect();
        let lacks = "cannot watch endpointslices: the API server has no endpointslices of discovery.k8s.io/v1";
        assert_eq!((groups.len(), told), (0, vec![("endpointslice/*/*", lacks.to_owned())]));
        assert_eq!(unread[0].error.code(), "sd_kubernetes_no_resource");
        assert_eq!(objects(&older.next().await).len(), 1);
        agent.end(vec![slices, older]).await;
        server.finish().await;
    });
}

#[test]
fn who_may_not_read_all_may_read_a_part() {
    leak_checked_live(async || {
        let server = FakeApiServer::start().await;
        server.put(pod("a", "x", "10.0.0.1"));
        server.fail(On::resource("pods").in_namespace(""), Fault::Status(403));
        let agent = Agent::new();
        let mut all = agent.run(&config(&server, "role: pod"));
        // It is served by the watch of all, as long as that one has not failed.
        let mut one = agent.run(&config(&server, "role: pod, namespaces: {names: [a]}"));
        let word = all.next().await;
        assert!(
            matches!(&word, Word::EverythingBut(groups, unread) if groups.is_empty() && unread.len() == 1),
            "{word:?}"
        );
        let word = one.next().await;
        assert!(matches!(&word, Word::EverythingBut(_, unread) if unread.is_empty()), "{word:?}");
        assert_eq!(objects(&word).len(), 1);
        let narrow = asked(&server).into_iter().filter(|asked| asked == "watch pods a").count();
        assert_eq!(narrow, 1);
        agent.end(vec![all, one]).await;
        server.finish().await;
    });
}

/// Endpoints of one address.
fn endpoints(namespace: &str, name: &str) -> serde_json::Value {
    json!({
        "kind": "Endpoints", "metadata": {"namespace": namespace, "name": name},
        "subsets": [{"addresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 80}]}],
    })
}

#[test]
fn what_goes_while_another_part_may_not_be_read_is_told_by_who_takes_its_watch_over() {
    leak_checked_live(async || {
        let server = FakeApiServer::start().await;
        server.put(endpoints("a", "x"));
        server.put(endpoints("a", "y"));
        for namespace in ["", "b"] {
            server.fail(On::resource("services").in_namespace(namespace), Fault::Status(403));
        }
        let agent = Agent::new();
        let mut narrow = agent.run(&config(&server, "role: endpoints, namespaces: {names: [a, b]}"));
        let word = narrow.next().await;
        assert!(matches!(&word, Word::EverythingBut(_, unread) if unread.len() == 1), "{word:?}");
        assert_eq!(objects(&word).len(), 2);
        // One goes while its watch fails, and another watch finds the rest.
        server.fail(On::resource("endpoints").in_namespace("a"), Fault::Status(500));
        server.cut_watches();
        while !matches!(narrow.next().await, Word::Unread(unread) if unread.iter().any(|it| &*it.source == "endpoints/a/*"))
        {
        }
        server.delete("endpoints", "a", "x");
        let wide = agent.run(&config(&server, "role: endpoints"));
        let mut told = Vec::new();
        while !told.contains(&("endpoints/a/x".to_owned(), 0)) {
            let word = narrow.next().await;
            // A picture says by itself what is gone. There is one for each watch that is taken over.
            if matches!(word, Word::EverythingBut(..)) {
                let has = |name: &str| objects(&word).iter().any(|group| &*group.source == name);
                assert!(has("endpoints/a/y"), "{word:?}");
                match has("endpoints/a/x") {
                    true => continue,
                    false => break,
                }
            }
            told.extend(word.groups().iter().map(|group| (group.source.to_string(), group.targets.len())));
        }
        assert!(!told.contains(&("endpoints/a/y".to_owned(), 0)), "{told:?}");
        agent.end(vec![narrow, wide]).await;
        server.finish().await;
    });
}

#[test]
fn history_that_was_forgotten_costs_a_list_and_loses_nothing() {
    leak_checked_live(async || {
        for streams in [true, false] {
            let server = FakeApiServer::start().await;
            server.streams_lists(streams);
            server.put(pod("a", "x", "10.0.0.1"));
            server.put(pod("a", "y", "10.0.0.2"));
            let agent = Agent::new();
            let mut running = agent.run(&config(&server, "role: pod"));
            assert_eq!(objects(&running.next().await).len(), 2);
            server.wait_watches(1).await;
            let before = agent.metric("rosterd_discovery_kubernetes_lists_total");
            // While nobody watches, one goes, one comes, and all is forgotten.
            server.fail(On::all(), Fault::Status(500));
            server.cut_watches();
            server.wait_watches(0).await;
            server.delete("pods", "a", "x");
            server.put(pod("a", "z", "10.0.0.3"));
            server.compact();
            server.heal();
            let mut sources = Vec::new();
            while sources.len() < 2 {
                if let Word::Changed(groups) = running.next().await {
                    let told = groups.iter().filter(|group| !group.source.ends_with('*'));
                    sources.extend(told.map(|group| (group.source.to_string(), group.targets.len())));
                }
            }
            sources.sort();
            assert_eq!(sources, [("pod/a/x".to_owned(), 0), ("pod/a/z".to_owned(), 1)]);
            let lists = agent.metric("rosterd_discovery_kubernetes_lists_total");
            assert_eq!(lists, before + 1.0, "{:#?}", server.asked());
            assert_eq!(agent.metric("rosterd_discovery_kubernetes_objects"), 2.0);
            agent.end(vec![running]).await;
            server.finish().await;
        }
    });
}

#[test]
fn an_answer_that_is_cut_or_slow_loses_nothing() {
    leak_checked_live(async || {
        for (streams, fault) in [
            (true, Fault::Cut(900)),
            (false, Fault::Cut(900)),
            // Nobody says that it is cut, as a proxy may not.
            (true, Fault::Short(900)),
            (false, Fault::Short(900)),
            (true, Fault::Slow(11, Duration::from_millis(1))),
            (false, Fault::Slow(11, Duration::from_millis(1))),
            (true, Fault::ErrorEvent(410)),
            (true, Fault::ErrorEvent(500)),
        ] {
            let server = FakeApiServer::start().await;
            server.streams_lists(streams);
            for index in 0..5 {
                server.put(pod("a", &format!("x{index}"), &format!("10.0.0.{index}")));
            }
            // A server that fails at a streamed list is asked for pages.
            let gets_on = matches!(fault, Fault::Slow(..) | Fault::ErrorEvent(500));
            server.fail(On::resource("pods"), fault.clone());
            let agent = Agent::new();
            let mut running = agent.run(&config(&server, "role: pod"));
            let mut word = running.next().await;
            if !gets_on {
                assert!(
                    matches!(&word, Word::EverythingBut(groups, unread) if groups.is_empty() && unread.len() == 1),
                    "{fault:?}: {word:?}"
                );
                let watch = running.cx.watched().remove(0);
                let shown = (watch.state, watch.objects);
                assert!(matches!(shown, (WatchState::Unread, 0) | (WatchState::Watching, 5)), "{shown:?}");
                if let (Some(failure), Some(next)) = (&watch.last_error, watch.next_try) {
                    let pause = next.duration_since(failure.at).unwrap_or_default();
                    assert!(pause > Duration::from_millis(300), "{pause:?}: it is not asked again at once");
                }
                server.heal();
                word = running.next().await;
            }
            assert!(matches!(&word, Word::EverythingBut(..)) && objects(&word).len() == 5, "{fault:?}: {word:?}");
            agent.end(vec![running]).await;
            server.finish().await;
        }
    });
}

#[test]
fn an_object_that_cannot_be_read_costs_no_other() {
    leak_checked_live(async || {
        for streams in [true, false] {
            let server = FakeApiServer::start().await;
            server.streams_lists(streams);
            let bad = |name: &str| {
                let mut pod = pod("a", name, "");
                pod["status"]["podIP"] = json!(5);
                pod
            };
            for object in [pod("a", "w", "10.0.0.1"), bad("x"), pod("a", "y", "10.0.0.2")] {
                server.put(object);
            }
            let agent = Agent::new();
            let mut running = agent.run(&config(&server, "role: pod"));
            let word = running.next().await;
            let sources: Vec<_> = objects(&word).iter().map(|group| &*group.source).collect();
            assert!(matches!(&word, Word::EverythingBut(_, unread) if unread.is_empty()), "{word:?}");
            assert_eq!(sources, ["pod/a/w", "pod/a/y"]);
            server.put(bad("z"));
            server.put(pod("a", "w", "10.0.0.3"));
            let word = running.next().await;
            assert!(matches!(&word, Word::Changed(groups) if &*groups[0].source == "pod/a/w"), "{word:?}");
            agent.end(vec![running]).await;
            server.finish().await;
        }
    });
}

#[test]
fn an_object_of_which_nothing_can_be_made_costs_no_other() {
    leak_checked_live(async || {
        let server = FakeApiServer::start().await;
        server.put(pod("a", "x", "10.0.0.1"));
        let agent = Agent::new();
        let mut running = agent.run(&config(&server, "role: pod"));
        assert_eq!(objects(&running.next().await).len(), 1);
        server.put(pod("a", "x", "10.0.0.2"));
        agent.supervision.provoke("source").await;
        let word = running.next().await;
        let told: Vec<_> = word.unread().iter().map(|unread| (&*unread.source, unread.error.code())).collect();
        assert!(matches!(&word, Word::Unread(_)) && told == [("pod/a/x", "sd_kubernetes_panicked")], "{word:?}");
        for (name, ip) in [("y", "10.0.0.3"), ("x", "10.0.0.4")] {
            server.put(pod("a", name, ip));
            let word = running.next().await;
            let found: Vec<_> = objects(&word).iter().map(|it| (it.source.to_string(), it.targets.len())).collect();
            assert!(matches!(&word, Word::Changed(_)) && found == [(format!("pod/a/{name}"), 1)], "{word:?}");
        }
        agent.end(vec![running]).await;
        server.finish().await;
    });
}

#[test]
fn an_answer_that_goes_silent_is_given_up_and_asked_for_again() {
    leak_checked_live(async || {
        for streams in [true, false] {
            let server = FakeApiServer::start().await;
            server.streams_lists(streams);
            server.put(pod("a", "x", "10.0.0.1"));
            server.fail(On::resource("pods"), Fault::Silence);
            let agent = Agent::new();
            let mut running = agent.run(&config(&server, "role: pod"));
            let begun = || running.cx.watched().first().is_some_and(|watch| watch.last_heard.is_some());
            eventually(patience(), "the answer has begun", begun).await;
            server.heal();
            goes_by(Duration::from_secs(31)).await;
            let word = running.next().await;
            let codes: Vec<_> = word.unread().iter().map(|unread| unread.error.code()).collect();
            assert!(matches!(&word, Word::EverythingBut(..)) && codes == ["sd_kubernetes_silent"], "{word:?}");
            let word = running.next().await;
            assert!(matches!(&word, Word::EverythingBut(_, unread) if unread.is_empty()), "{word:?}");
            assert_eq!(objects(&word).len(), 1);
            agent.end(vec![running]).await;
            server.finish().await;
        }
    });
}

#[test]
fn a_watch_that_goes_silent_is_resumed_from_where_it_was() {
    leak_checked_live(async || {
        let server = FakeApiServer::start().await;
        server.put(pod("a", "x", "10.0.0.1"));
        let agent = Agent::new();
        let mut running = agent.run(&config(&server, "role: pod"));
        assert_eq!(objects(&running.next().await).len(), 1);
        server.wait_watches(1).await;
        // The next one begins, and nothing comes by it.
        server.fail(On::resource("pods"), Fault::Silence);
        let heard = running.cx.watched()[0].last_heard;
        let restarts = || agent.metric("rosterd_discovery_kubernetes_watch_restarts_total");
        let before = restarts();
        server.cut_watches();
        eventually(patience(), "the next watch has begun", || restarts() > before).await;
        assert!(running.cx.watched()[0].last_heard >= heard);
        server.put(pod("a", "y", "10.0.0.2"));
        server.heal();
        // Bookmarks come each minute, and it was told of one at the end of the list.
        goes_by(Duration::from_secs(151)).await;
        let mut told = Vec::new();
        while told.is_empty() {
            let word = running.next().await;
            told.extend(objects(&word).iter().map(|group| group.source.to_string()));
        }
        assert_eq!(told, ["pod/a/y"]);
        assert_eq!(Vec::from_iter(running.cx.watched().remove(0).lists), [("start", 1)]);
        agent.end(vec![running]).await;
        server.finish().await;
    });
}

#[test]
fn who_comes_in_the_middle_of_a_list_waits_for_its_end() {
    leak_checked_live(async || {
        for streams in [true, false] {
            let server = FakeApiServer::start().await;
            server.streams_lists(streams);
            (0..5).for_each(|index| server.put(pod("a", &format!("x{index}"), &format!("10.0.0.{index}"))));
            server.fail(On::resource("pods"), Fault::Slow(100, Duration::from_millis(20)));
            let agent = Agent::new();
            let first = agent.run(&config(&server, "role: pod"));
            let some = || agent.metric("rosterd_discovery_kubernetes_objects") >= 1.0;
            eventually(patience(), "a part of the list is there", some).await;
            // A reload that changes what is attached.
            first.cx.stop.cancel();
            let mut second = agent.run(&config(&server, "role: pod, attach_metadata: {job: true}"));
            let word = second.next().await;
            assert!(matches!(&word, Word::EverythingBut(_, unread) if unread.is_empty()), "{word:?}");
            assert_eq!(objects(&word).len(), 5);
            assert_eq!(second.cx.watched().remove(0).lists.values().sum::<u64>(), 1);
            agent.end(vec![first, second]).await;
            server.finish().await;
        }
    });
}

#[test]
fn without_an_api_server_there_has_to_be_a_cluster_around() {
    leak_checked_live(async || {
        let agent = Agent::new();
        let error = agent.equipment.of("kubernetes").build(&config_of("role: pod"), "p").err().expect("refused");
        assert_eq!(error.code(), "sd_kubernetes_not_in_cluster");
        agent.end(Vec::new()).await;
    });
}
