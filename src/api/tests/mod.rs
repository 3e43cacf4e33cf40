//! The routes, asked over a real socket.

mod brake; // removals that are held
mod explain;
mod journal;
mod pages;
mod roster;
mod scrapes;
mod sd;
mod sizes;
mod warnings;

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::{Method, StatusCode};
use rosterd_discovery::{ProviderKey, Update};
use rosterd_model::relabel::{RuleConfig, Rules};
use rosterd_model::{Priority, Report, Retry, TargetGroup};
use rosterd_tasks::stopper::Stopper;
use rosterd_testkit::{everything, leak_checked_live, patience};
use serde_json::{Value, json};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    Build, ConfigView, ExternalUrl, HttpMetrics, Lifecycle, PrometheusNames, Providers, Refused, ReloadRequest, State,
    Storage, StorageFailure, router, routes,
};
use crate::journal::Journal;
use crate::roster::{Clock, JobSpec, Limits, Roster, RosterHandle};
use crate::store::MemoryBlocks;
use crate::web::tests::client::{Answer, Ask, Client};
use crate::web::{Server, Settings};

/// A served agent's face, and what stands behind it.
pub(super) struct Face {
    server: Server,
    roster: Stopper,
    pub(super) handle: RosterHandle,
    pub(super) updates: mpsc::Sender<Update>,
    client: Client,
    base: String,
    pub(super) reloads: mpsc::Receiver<ReloadRequest>,
    pub(super) config: watch::Sender<Arc<ConfigView>>,
    pub(super) quit: CancellationToken,
}

impl Face {
    pub(super) async fn start(change: impl FnOnce(&mut State)) -> Self {
        let registry = prometheus::Registry::new();
        let (reload, reloads) = mpsc::channel(1);
        let view = ConfigView {
            yaml: "global: {}\n".to_owned(),
            loaded: SystemTime::UNIX_EPOCH,
            prometheus_names: false,
            idle: None,
            refused: None,
        };
        let (config, config_seen) = watch::channel(Arc::new(view));
        let quit = CancellationToken::new();
        let (updates, reported) = mpsc::channel(1);
        let roster = Stopper::new();
        let metrics = crate::roster::metrics::Metrics::register(&registry).unwrap();
        let handle = Roster::start(&roster, Arc::new(MemoryBlocks::new()), metrics, Clock::system(), reported);
        let metrics = crate::journal::metrics::Metrics::register(&registry).unwrap();
        let settings = crate::journal::Settings { retention: Duration::from_secs(3600), max_size: 1 << 24 };
        let journal = Journal::start(&roster, &handle, None, Some(settings), Arc::new(Vec::new), None, metrics);
        let mut state = State {
            journal,
            roster: handle.clone(),
            providers: Providers::new(Vec::new),
            scrapes: Default::default(),
            scraped: crate::scrape::ScrapedJobs::new(Default::default),
            trends: Default::default(),
            publications: crate::publish::Publications::new(Vec::new),
            served: Default::default(),
            remote_writes: crate::scrape::RemoteWrites::new(Vec::new),
            storage: Storage::new(Vec::new),
            waiting: Arc::new(Semaphore::new(2)),
            heavy: Arc::new(Semaphore::new(8)),
            trying: Arc::new(Semaphore::new(1)),
            compressing: Arc::new(Semaphore::new(4)),
            listen_port: 9090,
            ready_at: Instant::now() + Duration::from_secs(3600),
            build: Build::of(["0123456", "main", "rustc 1.95.0"]),
            flags: BTreeMap::from([("web.enable-lifecycle".to_owned(), "true".to_owned())]),
            external_url: ExternalUrl::parse(None, "localhost", 9090).unwrap(),
            route_prefix: String::new(),
            metrics: HttpMetrics::register(&registry).unwrap(),
            registry,
            prometheus_names: PrometheusNames::new(|_| Vec::new()),
            started: SystemTime::UNIX_EPOCH,
            directory: "/var/lib/rosterd".into(),
            config: config_seen,
            lifecycle: Lifecycle { enabled: true, reload, quit: quit.clone(), stopping: CancellationToken::new() },
        };
        change(&mut state);
        let settings = Settings { listen_addresses: vec!["127.0.0.1:0".to_owned()], ..Settings::default() };
        let mut server = Server::bind(settings, None, roster.supervision()).await.unwrap();
        let base = format!("http://{}", server.addresses()[0]);
        server.serve(router(Arc::new(state)));
        Self { server, roster, handle, updates, client: Client::new("{}"), base, reloads, config, quit }
    }

    pub(super) fn request(&self, method: &str, path: &str) -> Ask {
        self.client.request(method.parse::<Method>().unwrap(), &format!("{}{path}", self.base))
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.request("GET", path).send().await.unwrap()
    }

    pub(super) async fn json(&self, path: &str) -> Value {
        json_of(self.get(path).await).await
    }

    pub(super) async fn stop(self) {
        assert_eq!(self.server.shutdown(Instant::now() + patience()).await, Vec::<Arc<str>>::new());
        assert_eq!(self.roster.stop(patience()).await, Vec::<Arc<str>>::new());
    }

    /// Reports the whole picture of a provider and waits until readers see it.
    pub(super) async fn report(&self, provider: &str, groups: Vec<TargetGroup>) {
        let mut views = self.handle.watch();
        views.borrow_and_update();
        let update = everything(ProviderKey::new(provider), groups);
        self.updates.send(update).await.unwrap();
        tokio::time::timeout(patience(), views.changed()).await.unwrap().unwrap();
    }
}

/// A job with one provider.
pub(super) fn job(name: &str, provider: &str, rules: &str) -> JobSpec {
    let configs: Vec<RuleConfig> = serde_yaml::from_str(rules).unwrap();
    let defaults = [
        ("job", name),
        ("__scrape_interval__", "1m"),
        ("__scrape_timeout__", "10s"),
        ("__metrics_path__", "/metrics"),
        ("__scheme__", "http"),
    ];
    JobSpec {
        name: name.into(),
        rules: Rules::compile(&configs, Default::default()).unwrap(),
        defaults: defaults.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
        interval: "1m".to_owned(),
        timeout: "10s".to_owned(),
        params: BTreeMap::new(),
        limits: Limits::default(),
        keeping: Default::default(),
        providers: vec![ProviderKey::new(provider)],
    }
}

pub(super) fn group(source: &str, addresses: &[&str]) -> TargetGroup {
    let target = |address: &&str| [("__address__", *address)].into_iter().collect();
    TargetGroup {
        source: source.into(),
        key: "".into(),
        labels: [("__meta_zone", "z")].into_iter().collect(),
        targets: addresses.iter().map(target).collect(),
    }
}

pub(super) async fn json_of(response: Answer) -> Value {
    serde_json::from_str(&response.text().await.unwrap()).unwrap()
}

pub(super) fn unpacked(encoding: &str, bytes: &[u8]) -> String {
    let mut text = String::new();
    match encoding {
        "gzip" => flate2::read::GzDecoder::new(bytes).read_to_string(&mut text).unwrap(),
        _ => zstd::Decoder::new(bytes).unwrap().read_to_string(&mut text).unwrap(),
    };
    text
}

#[test]
fn the_documentation_lists_exactly_the_routes_that_exist() {
    let page = include_str!("../../../docs/http-api.md");
    let mut documented: Vec<_> = page
        .lines()
        .filter_map(|line| {
            let mut cells = line.strip_prefix("| ")?.split(" | ");
            let (methods, path) = (cells.next()?, cells.next()?.trim_matches('`'));
            path.starts_with('/').then(|| format!("{methods} {path}"))
        })
        .collect();
    // The star lets the name of a job hold slashes; readers of the page need not know.
    let shown = |path: &str| path.replace("{*", "{");
    let mut existing: Vec<_> =
        routes().iter().map(|route| format!("{} {}", route.methods.join(", "), shown(route.path))).collect();
    documented.sort();
    existing.sort();
    assert_eq!(documented, existing);
}

#[test]
fn routes_answer_to_their_methods_and_name_them_otherwise() {
    leak_checked_live(async || {
        let face = Face::start(|_| {}).await;
        for route in routes() {
            let path = route.path.replace("{job}", "none").replace("{file}", "none");
            let refused = face.request("DELETE", &path).send().await.unwrap();
            assert_eq!(refused.status(), StatusCode::METHOD_NOT_ALLOWED, "{path}");
            let allowed = refused.headers()["allow"].to_str().unwrap().to_owned();
            let expected = match route.methods {
                ["GET"] => "GET,HEAD",
                ["GET", "POST"] => "GET,HEAD,POST",
                _ => "POST,PUT",
            };
            assert_eq!(allowed, expected, "{path}");
            assert_eq!(json_of(refused).await["code"], "web_method_not_allowed");
        }
        face.stop().await;
    });
}

#[test]
fn an_unknown_path_is_answered_with_the_nearest_one() {
    leak_checked_live(async || {
        let face = Face::start(|_| {}).await;
        let response = face.get("/api/v1/status/flag").await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND);
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        let body = json_of(response).await;
        assert_eq!((&body["status"], &body["errorType"]), (&json!("error"), &json!("not_found")));
        assert!(body["error"].as_str().unwrap().ends_with("did you mean /api/v1/status/flags?"), "{body}");
        let body = face.json("/xyz").await;
        assert_eq!((&body["status"], &body["detail"]), (&json!(404), &json!("there is nothing at /xyz")));
        face.stop().await;
    });
}

#[test]
fn health_is_told_to_get_and_head() {
    leak_checked_live(async || {
        let face = Face::start(|_| {}).await;
        assert_eq!(face.get("/-/healthy").await.text().await.unwrap(), "rosterd is Healthy.\n");
        let head = face.request("HEAD", "/-/healthy").send().await.unwrap();
        assert_eq!((head.status(), head.text().await.unwrap().as_str()), (StatusCode::OK, ""));
        face.stop().await;
    });
}

fn problem_report() -> Report {
    Report {
        code: "cfg_unknown_key".to_owned(),
        message: "cannot load <it>".to_owned(),
        priority: Priority::Operator,
        retry: Retry::Never,
        causes: Vec::new(),
    }
}

fn problem() -> rosterd_config::Problem {
    rosterd_config::Problem {
        code: rosterd_config::code::UNKNOWN_KEY,
        file: "a.yml".into(),
        line: 3,
        column: 7,
        key: "x<y".to_owned(),
        message: "unknown key `x<y`".to_owned(),
    }
}

fn told_problems() -> Value {
    let message = "unknown key `x<y`";
    json!([{"file": "a.yml", "line": 3, "column": 7, "key": "x<y", "code": "cfg_unknown_key", "message": message}])
}

#[test]
fn a_reload_is_answered_when_it_is_done() {
    leak_checked_live(async || {
        let mut face = Face::start(|_| {}).await;
        let report = Report {
            code: "cfg_unknown_key".to_owned(),
            message: "prometheus.yml: no such key".to_owned(),
            priority: Priority::Operator,
            retry: Retry::Never,
            causes: vec!["line 7".to_owned()],
        };
        let refused = Refused { report, problems: vec![problem()] };
        for (method, outcome) in [("POST", Ok(())), ("PUT", Err(refused.clone()))] {
            let request = face.request(method, "/-/reload").send();
            let (response, ()) = tokio::join!(request, async {
                face.reloads.recv().await.unwrap().send(outcome.clone()).unwrap();
            });
            let response = response.unwrap();
            match outcome {
                Ok(()) => assert_eq!(response.status(), StatusCode::OK),
                Err(Refused { report, .. }) => {
                    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
                    let body = json_of(response).await;
                    assert_eq!(body["problems"], told_problems());
                    assert_eq!(body["detail"], "prometheus.yml: no such key: line 7");
                    assert_eq!(serde_json::from_value::<Report>(body).unwrap(), report);
                }
            }
        }
        face.reloads.close();
        assert_eq!(face.request("POST", "/-/reload").send().await.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
        face.stop().await;
    });
}

#[test]
fn quitting_fires_once() {
    leak_checked_live(async || {
        let face = Face::start(|_| {}).await;
        let text = async || face.request("POST", "/-/quit").send().await.unwrap().text().await.unwrap();
        assert_eq!(text().await, "Requesting termination... Goodbye!");
        assert!(face.quit.is_cancelled());
        assert_eq!(text().await, "Termination already in progress.");
        face.stop().await;
    });
}

#[test]
fn a_page_of_another_site_reloads_and_stops_nothing() {
    leak_checked_live(async || {
        let face = Face::start(|_| {}).await;
        for path in ["/-/reload", "/-/quit"] {
            for (header, value) in [("origin", "http://evil.example"), ("sec-fetch-site", "cross-site")] {
                let refused = face.request("POST", path).header(header, value).send().await.unwrap();
                assert_eq!(refused.status(), StatusCode::FORBIDDEN);
                assert_eq!(json_of(refused).await["code"], "web_cross_site");
            }
        }
        assert!(!face.quit.is_cancelled());
        let own = face.request("POST", "/-/quit").header("origin", &face.base).header("sec-fetch-site", "same-origin");
        assert_eq!(own.send().await.unwrap().status(), StatusCode::OK);
        assert!(face.quit.is_cancelled());
        face.stop().await;
    });
}

#[test]
fn reload_and_quit_are_off_by_default() {
    leak_checked_live(async || {
        let face = Face::start(|state| state.lifecycle.enabled = false).await;
        for path in ["/-/reload", "/-/quit"] {
            let refused = face.request("POST", path).send().await.unwrap();
            assert_eq!(refused.status(), StatusCode::FORBIDDEN);
            let detail = json_of(refused).await["detail"].as_str().unwrap().to_owned();
            assert!(detail.starts_with("Lifecycle API is not enabled"), "{detail}");
        }
        assert!(!face.quit.is_cancelled());
        face.stop().await;
    });
}

#[test]
fn metrics_are_those_of_the_registry_and_count_requests_by_route() {
    leak_checked_live(async || {
        let face = Face::start(|state| state.route_prefix = "/under".to_owned()).await;
        face.get("/under/-/healthy").await;
        face.get("/nowhere/17").await;
        let response = face.get("/under/metrics").await;
        assert!(response.headers()["content-type"].to_str().unwrap().starts_with("text/plain; version=0.0.4"));
        let text = response.text().await.unwrap();
        for line in [
            r#"rosterd_http_requests_total{code="200",handler="/-/healthy"} 1"#,
            r#"rosterd_http_requests_total{code="404",handler="none"} 1"#,
            "rosterd_http_requests_running 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is missing in\n{text}");
        }
        face.stop().await;
    });
}

#[test]
fn answers_are_compressed_for_who_accepts_that() {
    leak_checked_live(async || {
        let face = Face::start(|_| {}).await;
        face.get("/-/healthy").await;
        for encoding in ["gzip", "zstd"] {
            let request = face.request("GET", "/metrics").header("accept-encoding", encoding);
            let response = request.send().await.unwrap();
            assert_eq!(response.headers()["content-encoding"], encoding);
            let text = unpacked(encoding, &response.bytes().await.unwrap());
            assert!(text.contains("rosterd_http_requests_total"));
            // This one is written while it is sent.
            let list = face.request("GET", "/api/v1/targets").header("accept-encoding", encoding);
            let text = unpacked(encoding, &list.send().await.unwrap().bytes().await.unwrap());
            assert!(text.ends_with("\"droppedTargetCounts\":{}}}"), "{text}");
        }
        face.stop().await;
    });
}

#[test]
fn status_has_the_shapes_of_prometheus() {
    leak_checked_live(async || {
        let face = Face::start(|_| {}).await;
        let config = face.json("/api/v1/status/config").await;
        assert_eq!(config, json!({"status": "success", "data": {"yaml": "global: {}\n"}}));
        let flags = face.json("/api/v1/status/flags").await;
        assert_eq!(flags["data"], json!({"web.enable-lifecycle": "true"}));
        let build = face.json("/api/v1/status/buildinfo").await;
        assert_eq!(build["data"]["version"], env!("CARGO_PKG_VERSION"));
        assert_eq!((&build["data"]["revision"], &build["data"]["branch"]), (&json!("0123456"), &json!("main")));
        assert_eq!(build["data"]["goVersion"], "rustc 1.95.0");
        let keys: Vec<_> = build["data"].as_object().unwrap().keys().cloned().collect();
        assert_eq!(keys, ["branch", "buildDate", "buildUser", "goVersion", "revision", "version"]);

        let runtime = face.json("/api/v1/status/runtimeinfo").await["data"].clone();
        assert_eq!(
            (&runtime["startTime"], &runtime["CWD"], &runtime["reloadConfigSuccess"]),
            (&json!("1970-01-01T00:00:00Z"), &json!("/var/lib/rosterd"), &json!(true))
        );
        assert_eq!((&runtime["reloadConfigProblems"], &runtime["storageFailures"]), (&Value::Null, &Value::Null));
        let refused = Refused { report: problem_report(), problems: vec![problem()] };
        face.config.send_modify(|view| Arc::make_mut(view).refused = Some(refused));
        let runtime = face.json("/api/v1/status/runtimeinfo").await["data"].clone();
        assert_eq!(runtime["reloadConfigSuccess"], false);
        assert_eq!(runtime["reloadConfigProblems"], told_problems());
        let config = face.json("/api/v1/status/config").await;
        assert_eq!(config["data"], json!({"yaml": "global: {}\n", "reloadConfigProblems": told_problems()}));
        let page = face.get("/").await.text().await.unwrap();
        let told = "<li>a.yml:3:7: unknown key `x&#60;y` (cfg_unknown_key)</li>";
        assert!(page.contains(told), "{told} is not in {page}");
        face.stop().await;
    });
}

#[test]
fn a_store_that_fails_is_told_and_shown() {
    leak_checked_live(async || {
        let report = Report {
            code: "store_disk_full".to_owned(),
            message: "no space left for <it>".to_owned(),
            priority: Priority::Operator,
            retry: Retry::Backoff,
            causes: Vec::new(),
        };
        let failure = StorageFailure { file: "roster.redb", report, since: SystemTime::UNIX_EPOCH };
        let face = Face::start(|state| state.storage = Storage::new(move || vec![failure.clone()])).await;
        let told = face.json("/api/v1/status/runtimeinfo").await["data"]["storageFailures"].clone();
        let members = ["file", "since", "code", "message"].map(|name| told[0][name].clone());
        assert_eq!(members, ["roster.redb", "1970-01-01T00:00:00Z", "store_disk_full", "no space left for <it>"]);
        let page = face.get("/").await.text().await.unwrap();
        assert!(page.contains("<li class=\"grave\"><b>roster.redb cannot be used: "), "{page}");
        assert!(page.contains("no space left for &#60;it&#62;") && page.contains(">1 problem</a>"), "{page}");
        face.stop().await;
        let face = Face::start(|_| {}).await;
        let page = face.get("/").await.text().await.unwrap();
        assert!(page.contains("All well") && page.contains(">all well</a>"), "{page}");
        face.stop().await;
    });
}

#[test]
fn nothing_scraped_is_said_with_the_reason_wherever_targets_are_shown() {
    leak_checked_live(async || {
        let face = Face::start(|_| {}).await;
        let escaped = "Nothing is scraped: there is no &#60;remote_write&#62;.";
        for (idle, words) in [(Some("there is no <remote_write>"), escaped), (None, "Nothing is scraped")] {
            face.config.send_modify(|view| Arc::make_mut(view).idle = idle);
            let answer = face.json("/api/v1/targets").await;
            let infos = idle.map(|_| json!(["nothing is scraped: there is no <remote_write>"]));
            assert_eq!((answer.get("infos"), &answer["status"]), (infos.as_ref(), &json!("success")));
            for path in ["/", "/targets"] {
                let page = face.get(path).await.text().await.unwrap();
                assert_eq!(page.contains(words), idle.is_some(), "{path}: {page}");
            }
        }
        face.stop().await;
    });
}

#[test]
fn everything_stands_below_the_prefix() {
    leak_checked_live(async || {
        let face = Face::start(|state| state.route_prefix = "/a/b".to_owned()).await;
        assert_eq!(face.get("/a/b/-/healthy").await.status(), StatusCode::OK);
        assert_eq!(face.get("/-/healthy").await.status(), StatusCode::NOT_FOUND);
        let home = face.get("/").await;
        assert_eq!(
            (home.status(), home.headers()["location"].to_str().unwrap()),
            (StatusCode::TEMPORARY_REDIRECT, "/a/b/")
        );
        let body = face.json("/a/b/api/v1/status/flgs").await;
        assert_eq!(body["status"], "error");
        face.stop().await;
    });
}
