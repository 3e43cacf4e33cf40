//! What the API is asked, as whom, and what becomes of its answers.

use std::time::Duration as StdDuration;

use rosterd_discovery::{CheckContext, Environment, MechanismConfig as _, System};
use rosterd_testkit::contract::{Run, failures_in_turn};
use rosterd_testkit::{
    Folder, ScriptedServer, Step, addresses, assert_golden, eventually, fixture, leak_checked_live, patience,
};
use serde_json::{Value, json};

use super::{GceConfig, decode};

const LIST: &str = "/compute/v1/projects/acme%20prod/zones/europe-west1-b/instances";
const TOKEN: &str = "/computeMetadata/v1/instance/service-accounts/default/token";

fn config(text: &str) -> GceConfig {
    serde_yaml::from_str(text).expect(text)
}

fn of(server: &ScriptedServer, more: &str) -> GceConfig {
    let endpoint = server.url("");
    config(&format!(
        "{{project: acme prod, zone: europe-west1-b, endpoint: '{endpoint}', port: 9, refresh_interval: 1h{more}}}"
    ))
}

/// A machine of Google, whose metadata server this is.
fn machine(server: &ScriptedServer) -> System {
    System::new("m", Environment::from_iter([("GCE_METADATA_HOST", server.address().to_string())]))
}

fn token(value: &str) -> String {
    json!({"access_token": value, "expires_in": 3599, "token_type": "Bearer"}).to_string()
}

fn page(addresses: &[&str], next: &str) -> String {
    let instance =
        |(id, address): (usize, &&str)| json!({"id": id.to_string(), "networkInterfaces": [{"networkIP": address}]});
    let items: Vec<_> = addresses.iter().enumerate().map(instance).collect();
    json!({"items": items, "nextPageToken": next}).to_string()
}

#[test]
fn instances_become_labels() {
    let body = fixture("discovery/gce/instances.json");
    for (file, more) in [("instances", ""), ("separator", ", port: 9100, tag_separator: ''")] {
        let config = config(&format!("{{project: acme-prod, zone: europe-west1-b{more}}}"));
        let page = decode::instances(body.as_bytes(), &config).expect("instances");
        assert_eq!(page.next, None);
        let golden = format!("discovery/gce/{file}.golden.yml");
        assert_golden(&golden, &serde_yaml::to_string(&page.items).expect("writes"));
    }
}

#[test]
fn an_answer_that_is_no_list_is_no_empty_list() {
    let read = |text: &str| match decode::instances(text.as_bytes(), &GceConfig::default()) {
        Ok(page) => format!("{} instances", page.items.len()),
        Err(fault) => fault.to_string(),
    };
    assert_eq!(read(r#"{"kind": "compute#instanceList", "id": "projects/p/zones/z/instances"}"#), "0 instances");
    assert_eq!(read(r#"{"items": []}"#), "0 instances");
    for text in ["{}", r#"{"kind": "compute#warning"}"#] {
        assert_eq!(read(text), "it has no items, and is not of the kind compute#instanceList", "{text}");
    }
    assert_eq!(read("[]"), "line 1, column 2: expected a map of keys and values, found a list");
}

#[test]
fn pages_are_read_with_one_filter_and_one_token() {
    leak_checked_live(async || {
        let google = ScriptedServer::start([
            Step::get(TOKEN).with_header("metadata-flavor", "Google").json(token("t1")),
            Step::get(&format!("{LIST}?alt=json&prettyPrint=false&filter=labels.a%3Db+c"))
                .with_header("authorization", "Bearer t1")
                .json(page(&["10.0.0.1", "10.0.0.2"], "x/y="))
                .in_parts(9),
            Step::get(&format!("{LIST}?alt=json&prettyPrint=false&filter=labels.a%3Db+c&pageToken=x%2Fy%3D"))
                .with_header("authorization", "Bearer t1")
                .json(page(&["10.0.0.3"], "")),
        ])
        .await;
        let config = of(&google, ", filter: labels.a=b c");
        let mut run = Run::start_on(&machine(&google), &config).await.expect("it can be built");
        let word = run.next().await.expect("a word");
        assert_eq!(&*word.groups()[0].source, "GCE_acme prod_europe-west1-b");
        let told: Vec<_> = addresses(word.groups()).into_iter().collect();
        assert_eq!(told, ["10.0.0.1:9", "10.0.0.2:9", "10.0.0.3:9"]);
        run.stop().await.expect("it ends").expect("in order");
        google.finish().await;
    });
}

#[test]
fn a_token_that_is_refused_is_replaced_at_once() {
    leak_checked_live(async || {
        let list = |token: &str| Step::get(LIST).with_header("authorization", &format!("Bearer {token}"));
        let google = ScriptedServer::start([
            Step::get(TOKEN).json(token("old")),
            list("old").status(401),
            Step::get(TOKEN).json(token("new")),
            list("new").json(page(&["10.0.0.1"], "")),
        ])
        .await;
        let mut run = Run::start_on(&machine(&google), &of(&google, "")).await.expect("it can be built");
        assert_eq!(addresses(run.next().await.expect("a word").groups()).len(), 1);
        let asked = ["get token ok 2", "list instances ok 1", "list instances unauthorized 1"];
        assert_eq!(run.requests_that_came(), asked);
        assert_eq!(run.requests().len(), 12, "and what never came is told as such");
        run.stop().await.expect("it ends").expect("in order");
        google.finish().await;
    });
}

#[test]
fn the_key_of_a_service_account_is_asked_with_through_the_proxy_of_the_environment() {
    leak_checked_live(async || {
        let google = ScriptedServer::start([
            Step::post("/token").with_header("host", "oauth.test").json(token("t1")),
            Step::get("/compute/v1/projects/p/zones/z/instances")
                .with_header("host", "compute.test")
                .with_header("authorization", "Bearer t1")
                .json(page(&["10.0.0.1"], "")),
        ])
        .await;
        let folder = Folder::new();
        let key = json!({"type": "service_account", "client_email": "me", "token_uri": "http://oauth.test/token",
            "private_key": fixture("sign/rfc7515.pkcs8.pem")});
        let key = folder.write("key.json", key.to_string()).display().to_string();
        let variables = [("GOOGLE_APPLICATION_CREDENTIALS", key), ("HTTP_PROXY", google.url(""))];
        let system = System::new("m", Environment::from_iter(variables));
        let config = config("{project: p, zone: z, endpoint: 'http://compute.test', refresh_interval: 1h}");
        let mut run = Run::start_on(&system, &config).await.expect("it can be built");
        assert_eq!(addresses(run.next().await.expect("a word").groups()).len(), 1);
        run.stop().await.expect("it ends").expect("in order");
        google.finish().await;
    });
}

/// The code of the failure, and all that is told of it.
async fn failure(system: &System, config: &GceConfig) -> (String, String) {
    let run = Run::start_on(system, config).await.expect("it can be built");
    eventually(patience(), "the failure is told", || run.status().last_error.is_some()).await;
    let report = run.status().last_error.expect("there is one").report;
    run.stop().await.expect("it ends").expect("in order");
    (report.code.clone(), report.to_string())
}

#[test]
fn refusals_and_broken_answers_are_told_and_take_nothing_away() {
    leak_checked_live(async || {
        let first = || Step::get(LIST).any_times();
        let second = || Step::get(&format!("{LIST}?alt=json&prettyPrint=false&pageToken=2")).any_times();
        let refused = json!({"error": {"code": 403, "message": "Rate Limit Exceeded", "status": "PERMISSION_DENIED",
            "errors": [{"domain": "usageLimits", "reason": "rateLimitExceeded"}]}});
        for (step, code, words) in [
            (first().status(403).json(refused.to_string()), "http_unauthorized", "Rate Limit Exceeded"),
            (first().status(401), "sd_rest_token_refused", "401"),
            (first().status(404).json("{}"), "http_status", "404"),
            (first().status(429).reply_header("retry-after", "300"), "http_throttled", "429"),
            (first().status(503), "http_throttled", "503"),
            (first().json(page(&["10.0.0.1"], "")).truncate(12), "http_broken", ""),
            (first().json(r#"{"items": {}}"#), "sd_rest_malformed", "expected a list, found a map"),
            (second().status(500), "http_status", "500"),
            (second().json(page(&[], "2")), "sd_rest_malformed", "leads back"),
        ] {
            let google = ScriptedServer::start([
                Step::get(TOKEN).any_times().json(token("hunter2")),
                first().json(page(&["10.0.0.1"], "2")),
                step,
            ])
            .await;
            let (told, message) = failure(&machine(&google), &of(&google, "")).await;
            assert_eq!(told, code, "{message}");
            assert!(message.contains(words) && !message.contains("hunter2"), "{message}");
            google.finish().await;
        }
    });
}

#[test]
fn who_asks_is_told_if_nobody_does() {
    leak_checked_live(async || {
        let google = ScriptedServer::start([Step::get(TOKEN).any_times().status(404)]).await;
        let (code, message) = failure(&machine(&google), &of(&google, "")).await;
        assert_eq!(code, "sd_rest_no_token");
        assert!(message.contains("404"), "{message}");
        let variables = [("GOOGLE_APPLICATION_CREDENTIALS", "/none/key.json")];
        let (code, message) = failure(&System::new("m", Environment::from_iter(variables)), &of(&google, "")).await;
        assert_eq!(code, "sd_rest_no_token");
        assert!(message.contains("cannot read /none/key.json"), "{message}");
        let nobody = rosterd_testkit::free_address().to_string();
        let variables = [("GCE_METADATA_HOST", nobody.as_str())];
        let (code, message) = failure(&System::new("m", Environment::from_iter(variables)), &of(&google, "")).await;
        assert_eq!(code, "sd_rest_no_token");
        let told = [
            "nobody is named to ask as: GOOGLE_APPLICATION_CREDENTIALS is not set",
            "no metadata server answers",
            nobody.as_str(),
        ];
        assert!(told.iter().all(|words| message.contains(words)), "{message}");
        google.finish().await;
    });
}

fn problems(text: &str) -> Vec<String> {
    let problems = config(text).check(&CheckContext::default());
    problems.iter().map(|problem| format!("{} {}", problem.code, problem.path)).collect()
}

#[test]
fn a_project_and_a_zone_are_needed_and_keys_of_the_client_are_none() {
    assert_eq!(problems("{}"), ["cfg_missing_key project", "cfg_missing_key zone"]);
    assert_eq!(problems("{project: p, zone: z}"), [""; 0]);
    assert_eq!(problems("{project: p, zone: z, endpoint: 'compute:1'}"), ["cfg_invalid_value endpoint"]);
    for text in ["{zone: [a, b]}", "{bearer_token: t}", "{proxy_url: 'http://p'}", "{tls_config: {}}"] {
        assert!(serde_yaml::from_str::<GceConfig>(text).is_err(), "{text}");
    }
}

#[test]
fn the_defaults_are_those_of_prometheus() {
    let text = "{project: '', zone: '', filter: '', refresh_interval: 60s, port: 80, tag_separator: ','}";
    assert_eq!(config(text), GceConfig::default());
    assert_eq!(GceConfig::default().refresh_interval(), Some(StdDuration::from_secs(60)));
    let shown: Value = serde_json::to_value(GceConfig::default()).expect("it can be shown");
    assert_eq!(shown["tag_separator"], ",");
}

#[test]
fn a_project_that_is_asked_too_much_is_asked_less_by_all() {
    leak_checked_live(async || {
        let google = ScriptedServer::start([Step::get(TOKEN).any_times().json(token("t"))]).await;
        for project in ["a", "b"] {
            let path = format!("/compute/v1/projects/{project}/zones/z/instances");
            google.then(Step::get(&path).any_times().status(429).reply_header("retry-after", "300"));
        }
        let of = |project: &str, more: &str| {
            config(&format!(
                "{{project: {project}, zone: z, endpoint: '{}', refresh_interval: 1h{more}}}",
                google.url("")
            ))
        };
        let configs = [of("a", ""), of("a", ", filter: f"), of("b", "")];
        let told = failures_in_turn(&machine(&google), &configs).await;
        assert_eq!(told, ["http_throttled", "sd_rest_slowed_down", "http_throttled"]);
        let asked = google.requests().iter().filter(|request| request.path.starts_with(TOKEN)).count();
        assert_eq!(asked, 1, "all ask as the same");
        google.finish().await;
    });
}
