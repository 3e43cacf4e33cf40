//! What Nomad is asked, and what becomes of its answers.

use rosterd_testkit::contract::Run;
use rosterd_testkit::{ScriptedServer, Step, addresses, assert_golden, fixture, leak_checked_live};

use super::{NomadConfig, decode};

const LIST: &str = r#"[{"Namespace": "ops", "Services": [{"ServiceName": "a/b"}]}]"#;
const ONE: &str = r#"[{"ServiceName": "a/b", "Address": "10.0.0.1", "Port": 1}]"#;

fn config(server: &ScriptedServer, more: &str) -> NomadConfig {
    let text = format!("{{server: '{}'{more}}}", server.url("/a/path/that/does/not/count"));
    serde_yaml::from_str(&text).expect(&text)
}

#[test]
fn services_become_labels() {
    let group = decode::group(fixture("discovery/nomad/service.json").as_bytes(), ",").expect("a group");
    assert_golden("discovery/nomad/service.golden.yml", &serde_yaml::to_string(&group.targets).expect("writes"));
}

#[test]
fn services_are_told_apart_by_namespace_and_name() {
    let services = decode::services(fixture("discovery/nomad/services.json").as_bytes()).expect("services");
    let names: Vec<_> = services.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["default/api/v1", "default/web", "team-b/web"]);
    assert!(decode::services(b"null").expect("none").is_empty());
}

#[test]
fn questions_name_region_and_namespace_and_wait_for_news() {
    leak_checked_live(async || {
        let json = |step: Step, body: &'static str| step.with_header("x-nomad-token", "t").json(body);
        let server = ScriptedServer::start([
            json(Step::get("/v1/services?region=eu&namespace=*&stale="), LIST).index("x-nomad-index", 7),
            json(Step::get("/v1/service/a%2Fb?region=eu&namespace=ops&stale="), ONE).index("x-nomad-index", 8),
            json(Step::get("/v1/services?region=eu&namespace=*&stale=&index=7&wait=50000ms"), LIST)
                .index("x-nomad-index", 7),
            json(Step::get("/v1/service/a%2Fb?region=eu&namespace=ops&stale=&index=8&wait=50000ms"), ONE)
                .index("x-nomad-index", 8),
        ])
        .await;
        let more = ", region: eu, namespace: '*', refresh_interval: 90s, http_headers: {X-Nomad-Token: {secrets: [t]}}";
        let mut run = Run::start(&config(&server, more)).await.expect("it can be built");
        assert_eq!(addresses(run.next().await.expect("a word").groups()).len(), 1);
        assert_eq!(run.picture().next().map(|group| &*group.source), Some("ops/a/b"));
        server.wait_requests(4).await;
        let waiting = server.requests().iter().filter(|request| request.parameter("index").is_some()).count();
        assert_eq!(waiting, 2, "{:?}", server.requests());
        run.stop().await.expect("it ends").expect("in order");
        server.finish().await;
    });
}

#[test]
fn what_is_not_set_is_not_asked_for() {
    leak_checked_live(async || {
        let server = ScriptedServer::start([Step::get("/v1/services").json("[]")]).await;
        let config = config(&server, ", region: '', namespace: '', allow_stale: false");
        let mut run = Run::start(&config).await.expect("it can be built");
        assert!(run.next().await.expect("a word").groups().is_empty());
        assert_eq!(server.requests()[0].path, "/v1/services");
        run.stop().await.expect("it ends").expect("in order");
        server.finish().await;
    });
}

#[test]
fn refusals_malformed_lists_and_waits_are_told() {
    leak_checked_live(async || {
        let route = || Step::get("/v1/service/one").any_times();
        for (one, code, retry) in [
            (route().status(401), "http_unauthorized", "Interval"),
            (route().status(403), "http_unauthorized", "Interval"),
            (route().status(429).reply_header("retry-after", "17"), "http_throttled", "After(17s)"),
            (route().status(500), "http_status", "Backoff"),
            (route().json("{}"), "sd_rest_malformed", "Interval"),
            (route().json(ONE).truncate(9), "http_broken", "Backoff"),
        ] {
            let list = r#"[{"Namespace": "default", "Services": [{"ServiceName": "one"}, {"ServiceName": "two"}]}]"#;
            let server = ScriptedServer::start([
                Step::get("/v1/services").json(list).index("x-nomad-index", 1),
                Step::get("/v1/service/two").json(ONE).in_parts(7).index("x-nomad-index", 1),
                one,
            ])
            .await;
            let mut run = Run::start(&config(&server, "")).await.expect("it can be built");
            let first = run.next().await.expect("a word");
            assert_eq!(addresses(first.groups()).len(), 1, "the other one is not hidden");
            let unread = &first.unread()[0];
            let told = (&*unread.source, unread.error.code(), format!("{:?}", unread.error.retry()));
            assert_eq!(told, ("default/one", code, retry.to_owned()));
            run.stop().await.expect("it ends").expect("in order");
            server.finish().await;
        }
    });
}
