//! What Consul is asked, and what becomes of its answers.

use rosterd_testkit::contract::Run;
use rosterd_testkit::{
    Folder, ScriptedServer, Step, addresses, assert_golden, eventually, fixture, leak_checked_live, patience,
};

use super::{ConsulConfig, decode};

const INDEX: &str = "x-consul-index";
const ENTRY: &str = r#"[{"Node": {"Address": "10.0.0.1"}, "Service": {"Port": 1}}]"#;

fn config(server: &ScriptedServer, more: &str) -> ConsulConfig {
    let text = format!("{{server: '{}'{more}}}", server.address());
    serde_yaml::from_str(&text).expect(&text)
}

/// The paths of all requests, sorted, without those that are waited for.
fn asked(server: &ScriptedServer) -> Vec<String> {
    let mut paths: Vec<_> = server.requests().into_iter().map(|request| request.path).collect();
    paths.retain(|path| !path.contains("index="));
    paths.sort();
    paths
}

#[test]
fn instances_become_labels() {
    let body = fixture("discovery/consul/service.json");
    let group = decode::group(body.as_bytes(), "web", "dc1", ",").expect("a group");
    assert_golden("discovery/consul/service.golden.yml", &serde_yaml::to_string(&group).expect("writes"));
}

#[test]
fn the_catalog_and_each_wanted_service_are_asked_with_all_that_is_configured() {
    leak_checked_live(async || {
        let step =
            |path: &str| Step::get(path).with_header("x-consul-token", "t").with_header("authorization", "Basic dTpw");
        let server = ScriptedServer::start([
            step("/prefix/v1/agent/self?ns=n&partition=p").json(r#"{"Config": {"Datacenter": "dc9"}}"#),
            // Those that wait.
            step("/prefix/v1/catalog/services").index(INDEX, 5),
            step("/prefix/v1/health/service/web").index(INDEX, 6),
            step("/prefix/v1/catalog/services?ns=n&partition=p&stale=&node-meta=a%3A1&node-meta=b%3A2&filter=x+%3D%3D+%22y%22")
                .json(r#"{"web": ["v1", "v2"], "old": ["v1"]}"#)
                .index(INDEX, 5),
            step("/prefix/v1/health/service/web?ns=n&partition=p&tag=v1&tag=v2&stale=&node-meta=a%3A1&node-meta=b%3A2&filter=Service.Port+%3E+1")
                .json(ENTRY)
                .index(INDEX, 6),
        ])
        .await;
        let more = r#", path_prefix: /prefix, token: t, username: u, password: p, namespace: n, partition: p, tags: [v1, v2], node_meta: {b: '2', a: '1'}, filter: 'x == "y"', health_filter: Service.Port > 1"#;
        let mut run = Run::start(&config(&server, more)).await.expect("it can be built");
        assert_eq!(addresses(run.next().await.expect("a word").groups()).len(), 1);
        let group = run.picture().next().expect("a group").clone();
        assert_eq!((&*group.source, group.labels.get("__meta_consul_dc")), ("web", Some("dc9")));
        run.stop().await.expect("it ends").expect("in order");
        server.finish().await;
    });
}

#[test]
fn the_next_questions_wait_for_news() {
    leak_checked_live(async || {
        let server = ScriptedServer::start([
            Step::get("/v1/catalog/services?dc=d").json(r#"{"web": []}"#).index(INDEX, 5),
            Step::get("/v1/health/service/web?dc=d").json(ENTRY).index(INDEX, 6),
            Step::get("/v1/catalog/services?dc=d&index=5&wait=120000ms").index(INDEX, 5),
            Step::get("/v1/health/service/web?dc=d&index=6&wait=120000ms").index(INDEX, 6),
        ])
        .await;
        let more = ", datacenter: d, allow_stale: false, refresh_interval: 10ms";
        let mut run = Run::start(&config(&server, more)).await.expect("it can be built");
        run.next().await.expect("a word");
        server.wait_requests(4).await;
        let waiting = server.requests().iter().filter(|request| request.parameter("index").is_some()).count();
        assert_eq!(waiting, 2, "{:?}", server.requests());
        run.stop().await.expect("it ends").expect("in order");
        server.finish().await;
    });
}

#[test]
fn services_that_are_named_are_asked_about_without_the_catalog() {
    leak_checked_live(async || {
        let server = ScriptedServer::start([
            Step::get("/v1/health/service/web").json(ENTRY).index(INDEX, 6),
            Step::get("/v1/health/service/none").json("[]").index(INDEX, 6),
        ])
        .await;
        let more = ", datacenter: d, allow_stale: false, services: [web, none]";
        let mut run = Run::start(&config(&server, more)).await.expect("it can be built");
        assert_eq!(addresses(run.next().await.expect("a word").groups()).len(), 1);
        assert_eq!(asked(&server), ["/v1/health/service/none?dc=d", "/v1/health/service/web?dc=d"]);
        run.stop().await.expect("it ends").expect("in order");
        server.finish().await;
    });
}

#[test]
fn services_that_are_named_are_looked_up_where_more_is_wanted_of_them() {
    for wanted in ["tags: [x]", "filter: 'ServiceName != none'"] {
        leak_checked_live(async || {
            let server = ScriptedServer::start([
                Step::get("/v1/catalog/services").json(r#"{"web": ["x"], "other": ["x"]}"#).index(INDEX, 5),
                Step::get("/v1/health/service/web").json(ENTRY).index(INDEX, 6),
            ])
            .await;
            let more = format!(", datacenter: d, allow_stale: false, services: [web, none], {wanted}");
            let mut run = Run::start(&config(&server, &more)).await.expect("it can be built");
            let first = run.next().await.expect("a word");
            assert_eq!((addresses(first.groups()).len(), first.unread().len()), (1, 0), "{wanted}");
            run.stop().await.expect("it ends").expect("in order");
            server.finish().await;
        });
    }
}

#[test]
fn an_agent_that_names_no_datacenter_is_not_believed() {
    assert_eq!(decode::datacenter(br#"{"Config": {"Datacenter": "d"}}"#).as_deref(), Ok("d"));
    assert!(decode::datacenter(br#"{"Config": {}}"#).is_err());
}

#[test]
fn nothing_is_said_before_the_datacenter_is_known() {
    leak_checked_live(async || {
        let server = ScriptedServer::start([
            Step::get("/v1/agent/self").any_times().status(403),
            Step::get("/v1/catalog/services").json("{}").index(INDEX, 1),
        ])
        .await;
        let mut run = Run::start(&config(&server, ", refresh_interval: 20ms")).await.expect("it can be built");
        eventually(patience(), "the failure is told", || run.status().last_error.is_some()).await;
        assert!(run.try_next().is_none());
        server.then(Step::get("/v1/agent/self").any_times().json(r#"{"Config": {"Datacenter": "d"}}"#));
        assert!(run.next().await.expect("a word").groups().is_empty());
        assert_eq!(run.status().last_error.map(|error| error.report.code), None);
        run.stop().await.expect("it ends").expect("in order");
        server.finish().await;
    });
}

#[test]
fn refusals_and_malformed_answers_cost_their_service() {
    leak_checked_live(async || {
        let route = || Step::get("/v1/health/service/one").any_times();
        for (one, code, retry) in [
            (route().status(403), "http_unauthorized", "Interval"),
            (route().status(429).reply_header("retry-after", "17"), "http_throttled", "After(17s)"),
            (route().status(500), "http_status", "Backoff"),
            (route().json(r#"[{"Node": 1}]"#), "sd_rest_malformed", "Interval"),
            (route().close(), "http_broken", "Backoff"),
        ] {
            let server = ScriptedServer::start([
                Step::get("/v1/catalog/services").json(r#"{"one": [], "two": []}"#).index(INDEX, 1),
                Step::get("/v1/health/service/two").json(ENTRY).in_parts(7).index(INDEX, 1),
                one,
            ])
            .await;
            let mut run = Run::start(&config(&server, ", datacenter: d")).await.expect("it can be built");
            let first = run.next().await.expect("a word");
            assert_eq!(addresses(first.groups()).len(), 1, "the other one is not hidden");
            let unread = &first.unread()[0];
            let told = (&*unread.source, unread.error.code(), format!("{:?}", unread.error.retry()));
            assert_eq!(told, ("one", code, retry.to_owned()));
            run.stop().await.expect("it ends").expect("in order");
            server.finish().await;
        }
    });
}

#[test]
fn a_server_may_be_behind_a_socket() {
    leak_checked_live(async || {
        let folder = Folder::new();
        let socket = folder.path("consul.sock");
        let step = |path: &str| Step::get(path).with_header("host", "localhost").with_header("x-consul-token", "t");
        let steps = [
            step("/prefix/v1/catalog/services").json(r#"{"web": []}"#).index(INDEX, 5),
            step("/prefix/v1/health/service/web").json(ENTRY).index(INDEX, 6),
        ];
        let server = ScriptedServer::start_behind(&socket, steps).await;
        let text = format!("{{server: 'unix://{}', path_prefix: prefix, datacenter: d, token: t}}", socket.display());
        let config: ConsulConfig = serde_yaml::from_str(&text).expect(&text);
        let mut run = Run::start(&config).await.expect("it can be built");
        assert_eq!(addresses(run.next().await.expect("a word").groups()).len(), 1);
        run.stop().await.expect("it ends").expect("in order");
        server.finish().await;
    });
}
