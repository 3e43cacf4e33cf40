//! What is shown of each watch.

use rosterd_discovery::{WatchState, WatchStatus, Word};
use rosterd_testkit::{FakeApiServer, Fault, On, eventually, leak_checked_live, patience};

use super::{Agent, Running, config, pod};

fn of(running: &Running, scope: &str) -> WatchStatus {
    let watched = running.cx.watched();
    watched.into_iter().find(|it| it.scope.as_deref() == Some(scope)).expect("it is watched")
}

fn code(status: &WatchStatus) -> &str {
    status.last_error.as_ref().map_or("", |failure| &failure.report.code)
}

#[test]
fn each_watch_tells_how_it_is_and_what_failed_last() {
    leak_checked_live(async || {
        let server = FakeApiServer::start().await;
        server.put(pod("a", "x", "10.0.0.1"));
        let b = || On::resource("pods").in_namespace("b");
        server.fail(b(), Fault::Status(403));
        let agent = Agent::new();
        let selectors = "selectors: [{role: pod, label: 'app=x', field: 'spec.nodeName=n'}]";
        let more = format!("role: pod, namespaces: {{names: [a, b]}}, {selectors}");
        let mut running = agent.run(&config(&server, &more));
        assert!(matches!(running.next().await, Word::EverythingBut(..)));
        let (a, lost) = (of(&running, "a"), of(&running, "b"));
        assert_eq!((&*a.resource, a.state, a.objects, code(&a)), ("pods", WatchState::Watching, 1, ""));
        assert_eq!(a.selectors, ["app=x".into(), "spec.nodeName=n".into()]);
        assert_eq!(Vec::from_iter(a.lists), [("start", 1)]);
        assert!(a.last_heard.is_some() && a.next_try.is_none());
        assert_eq!((lost.state, lost.objects, code(&lost)), (WatchState::Unread, 0, "sd_kubernetes_forbidden"));
        assert!(lost.last_heard.is_none() && lost.next_try.is_some(), "a refusal is no sign of life");
        // It is not the first failure that is told for ever.
        server.heal();
        server.fail(b(), Fault::Status(401));
        let told = running.next().await;
        let codes: Vec<_> = told.unread().iter().map(|unread| unread.error.code()).collect();
        assert!(matches!(told, Word::Unread(_)), "{told:?}");
        assert_eq!(
            (codes, code(&of(&running, "b"))),
            (vec!["sd_kubernetes_unauthorized"], "sd_kubernetes_unauthorized")
        );
        server.heal();
        while !matches!(running.next().await, Word::Changed(..)) {}
        let found = of(&running, "b");
        assert_eq!((found.state, code(&found)), (WatchState::Watching, "sd_kubernetes_unauthorized"));
        assert!(found.next_try.is_none());
        server.fail(On::all(), Fault::Status(500));
        server.cut_watches();
        eventually(patience(), "the watches fail", || of(&running, "a").state == WatchState::Silent).await;
        assert_eq!((of(&running, "a").objects, code(&of(&running, "a"))), (1, "sd_kubernetes_refused"));
        let heard = agent.metric("rosterd_discovery_kubernetes_last_heard_timestamp_seconds");
        let oldest = ["a", "b"].iter().filter_map(|scope| of(&running, scope).last_heard).min().expect("a time");
        assert_eq!(heard, oldest.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64());
        server.heal();
        eventually(patience(), "the watches go on", || of(&running, "a").state == WatchState::Watching).await;
        assert!(agent.metric("rosterd_discovery_kubernetes_watch_restarts_total") >= 1.0);
        agent.end(vec![running]).await;
        server.finish().await;
    });
}
