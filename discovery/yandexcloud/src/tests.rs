//! What the API is asked, and what becomes of its answers.

use rosterd_client::{Environment, System};
use rosterd_discovery::{CheckContext, MechanismConfig as _};
use rosterd_testkit::contract::{Run, failures_in_turn, shared_by};
use rosterd_testkit::{
    ScriptedServer, Step, addresses, assert_golden, eventually, fixture, leak_checked_live, patience,
};
use serde_json::json;

use super::{YandexcloudConfig, decode};

fn config(text: &str) -> YandexcloudConfig {
    serde_yaml::from_str(text).expect(text)
}

#[test]
fn instances_become_labels() {
    let body = fixture("discovery/yandexcloud/instances.json");
    let instances = decode::instances(body.as_bytes()).expect("instances").items;
    let groups = decode::groups("o/c/f", &instances);
    assert_golden("discovery/yandexcloud/instances.golden.yml", &serde_yaml::to_string(&groups).expect("writes"));
}

/// A cloud that names its services and gives the token `t` for the passport `o`.
async fn cloud() -> ScriptedServer {
    let cloud = ScriptedServer::start([]).await;
    let address = cloud.address().to_string();
    let names = ["iam", "compute", "resource-manager", "organization-manager"];
    let services = names.map(|name| json!({"id": name, "address": address}));
    cloud.then(
        Step::get("/endpoints")
            .without_header("authorization")
            .any_times()
            .json(json!({"endpoints": services}).to_string()),
    );
    let passport = Step::post("/iam/v1/tokens").with_body(r#"{"yandexPassportOauthToken":"o"}"#);
    cloud.then(passport.any_times().json(r#"{"iamToken": "t", "expiresAt": "2100-01-01T00:00:00.5Z"}"#));
    cloud
}

fn of(cloud: &ScriptedServer, more: &str) -> YandexcloudConfig {
    config(&format!(
        "{{service: compute, api_endpoint: '{}', yandex_passport_oauth_token: o, refresh_interval: 1h{more}}}",
        cloud.url("")
    ))
}

fn asked(path: &str) -> Step {
    Step::get(path).any_times().with_header("authorization", "Bearer t")
}

fn listed(what: &str, ids: &[&str], next: &str) -> String {
    let all: Vec<_> = ids.iter().map(|id| json!({"id": id, "fqdn": id})).collect();
    json!({what: all, "nextPageToken": next}).to_string()
}

const ORGANIZATIONS: &str = "/organization-manager/v1/organizations?pageSize=1000";
const CLOUDS: &str = "/resource-manager/v1/clouds?pageSize=1000";
const FOLDERS: &str = "/resource-manager/v1/folders?pageSize=1000";
const INSTANCES: &str = "/compute/v1/instances?pageSize=1000";

#[test]
fn all_that_can_be_seen_is_found_page_by_page() {
    leak_checked_live(async || {
        let cloud = cloud().await;
        for (path, body) in [
            (ORGANIZATIONS.to_owned(), listed("organizations", &["o1"], "n")),
            (format!("{ORGANIZATIONS}&pageToken=n"), listed("organizations", &["o2"], "")),
            (format!("{CLOUDS}&organizationId=o1"), listed("clouds", &["c1"], "")),
            (format!("{CLOUDS}&organizationId=o2"), listed("clouds", &[], "")),
            (format!("{FOLDERS}&cloudId=c1"), listed("folders", &["f1"], "a b")),
            (format!("{FOLDERS}&cloudId=c1&pageToken=a+b"), listed("folders", &["f2"], "")),
            (format!("{INSTANCES}&folderId=f1"), listed("instances", &["i1"], "")),
            (format!("{INSTANCES}&folderId=f2"), listed("instances", &["i2", "i3"], "p")),
            // One that stood on the page before.
            (format!("{INSTANCES}&folderId=f2&pageToken=p"), listed("instances", &["i3", "i4"], "")),
        ] {
            cloud.then(asked(&path).json(body));
        }
        let mut run = Run::start(&of(&cloud, "")).await.expect("it can be built");
        let word = run.next().await.expect("a word");
        let found: Vec<_> = word.groups().iter().map(|group| format!("{} {}", group.source, group.key)).collect();
        assert_eq!(found, ["o1/c1/f1 i1", "o1/c1/f2 i2", "o1/c1/f2 i3", "o1/c1/f2 i4"]);
        run.stop().await.expect("it ends").expect("in order");
        let tokens = cloud.requests().iter().filter(|request| request.path == "/iam/v1/tokens").count();
        assert_eq!(tokens, 1);
        cloud.finish().await;
    });
}

#[test]
fn what_proves_to_the_api_who_asks_is_not_shown_to_the_services_that_it_names() {
    leak_checked_live(async || {
        let cloud = ScriptedServer::start([]).await;
        let services = ["iam", "compute"].map(|name| json!({"id": name, "address": cloud.address().to_string()}));
        let services = json!({"endpoints": services}).to_string();
        cloud.then(
            Step::get("/endpoints")
                .with_header("x-gate", "g")
                .with_header("authorization", "Basic dTpw")
                .json(services),
        );
        let token = Step::post("/iam/v1/tokens").without_header("authorization").without_header("x-gate");
        cloud.then(token.json(r#"{"iamToken": "t"}"#));
        let instances = Step::get(&format!("{INSTANCES}&folderId=f")).with_header("authorization", "Bearer t");
        cloud.then(instances.without_header("x-gate").json(listed("instances", &["i"], "")));
        let more = ", folder_ids: [f], basic_auth: {username: u, password: p}, http_headers: {x-gate: {values: [g]}}";
        let mut run = Run::start(&of(&cloud, more)).await.expect("it can be built");
        let word = run.next().await.expect("a word");
        assert_eq!(addresses(word.groups()).into_iter().collect::<Vec<_>>(), ["i"]);
        run.stop().await.expect("it ends").expect("in order");
        cloud.finish().await;
    });
}

#[test]
fn an_account_is_shared_by_those_who_ask_as_the_same_by_the_same_way_and_by_no_others() {
    let with = |more: &str| config(&format!("{{service: compute{more}}}"));
    let kept = |more: &[&str]| format!("{:?}", shared_by(more.iter().copied().map(with)).accounts);
    assert_eq!(kept(&["", "", ", refresh_interval: 7m", ", folder_ids: [f]"]), "1 kept");
    let others = [
        "",
        ", yandex_passport_oauth_token: one",
        ", yandex_passport_oauth_token: two",
        ", proxy_url: 'http://u:one@proxy'",
        ", proxy_url: 'http://u:two@proxy'",
        ", api_endpoint: 'http://other'",
    ];
    assert_eq!(kept(&others), "6 kept");
}

#[test]
fn what_cannot_be_listed_hides_nothing_else_and_keeps_what_it_had() {
    leak_checked_live(async || {
        let cloud = cloud().await;
        let denied = r#"{"code": 7, "message": "Permission denied"}"#;
        for (path, body) in [
            (ORGANIZATIONS.to_owned(), Ok(listed("organizations", &["o1", "o2"], ""))),
            (format!("{CLOUDS}&organizationId=o1"), Err(403)),
            (format!("{CLOUDS}&organizationId=o2"), Ok(listed("clouds", &["c1", "c2"], ""))),
            (format!("{FOLDERS}&cloudId=c1"), Err(500)),
            (format!("{FOLDERS}&cloudId=c2"), Ok(listed("folders", &["f1", "f2"], ""))),
            (format!("{INSTANCES}&folderId=f1"), Err(403)),
            (format!("{INSTANCES}&folderId=f2"), Ok(listed("instances", &["i2"], ""))),
        ] {
            let step = asked(&path);
            cloud.then(match body {
                Ok(body) => step.json(body),
                Err(status) => step.status(status).json(denied),
            });
        }
        let mut run = Run::start(&of(&cloud, "")).await.expect("it can be built");
        let word = run.next().await.expect("a word");
        assert_eq!(addresses(word.groups()).into_iter().collect::<Vec<_>>(), ["i2"]);
        assert_eq!(run.unread().collect::<Vec<_>>(), ["o1", "o2/c1", "o2/c2/f1"]);
        run.stop().await.expect("it ends").expect("in order");
        cloud.finish().await;
    });
}

#[test]
fn an_account_that_sees_no_folder_is_told_what_to_do() {
    leak_checked_live(async || {
        let cloud = cloud().await;
        cloud.then(asked(ORGANIZATIONS).json("{}"));
        cloud.then(asked(CLOUDS).json("{}"));
        let mut run = Run::start(&of(&cloud, "")).await.expect("it can be built");
        assert!(run.next().await.expect("a word").groups().is_empty());
        let status = run.status();
        assert_eq!(status.warning.expect("a warning").report.code, "sd_yandexcloud_no_folders");
        run.stop().await.expect("it ends").expect("in order");
        cloud.finish().await;
    });
}

#[test]
fn a_service_that_the_list_lacks_is_looked_for_again() {
    leak_checked_live(async || {
        let cloud = cloud().await;
        let some = json!({"endpoints": [{"id": "iam", "address": cloud.address().to_string()}]}).to_string();
        cloud.then(Step::get("/endpoints").any_times().json(some));
        for folder in ["f1", "f2", "f3"] {
            cloud.then(asked(&format!("{INSTANCES}&folderId={folder}")).json(listed("instances", &["i1"], "")));
        }
        let mut config = of(&cloud, ", folder_ids: [f1, f2, f3]");
        config.refresh_interval = "1s".parse().expect("a duration");
        let mut run = Run::start(&config).await.expect("it can be built");
        eventually(patience(), "there is no such service", || run.failures() > 0).await;
        let asked = |cloud: &ScriptedServer| cloud.requests().iter().filter(|it| it.path == "/endpoints").count();
        let (times, failures) = (asked(&cloud), run.failures());
        assert!(times as u64 <= failures + 1, "once in each reading: {times} times in {failures}");
        let code = run.status().last_error.expect("a failure").report.code;
        assert_eq!(code, "sd_yandexcloud_no_service");
        let all = json!({"endpoints": [{"id": "iam", "address": cloud.address().to_string()}, {"id": "compute", "address": cloud.address().to_string()}]});
        cloud.then(Step::get("/endpoints").any_times().json(all.to_string()));
        run.finds(&["i1"]).await;
        let (before, mut words) = (asked(&cloud), 0);
        eventually(patience(), "it reads on", || {
            while run.try_next().is_some() {
                words += 1;
            }
            words >= 3
        })
        .await;
        assert_eq!(asked(&cloud), before, "what is known is not asked for");
        run.stop().await.expect("it ends").expect("in order");
        cloud.finish().await;
    });
}

#[test]
fn a_machine_that_is_told_of_itself_in_the_old_way_alone_asks_as_its_account() {
    leak_checked_live(async || {
        let cloud = cloud().await;
        let address = cloud.address().to_string();
        let system = System::new("host", Environment::from_iter([("YC_METADATA_ADDR", &address)]));
        let config = config(&format!(
            "{{service: compute, api_endpoint: '{}', folder_ids: [f1], refresh_interval: 1h}}",
            cloud.url("")
        ));
        cloud.then(
            Step::get("/computeMetadata/v1/instance/service-accounts/default/token")
                .with_header("metadata-flavor", "Google")
                .any_times()
                .status(404),
        );
        let old = Step::get("/latest/meta-data/iam/security-credentials/default").any_times();
        cloud.then(old.json(r#"{"Code": "Success", "Expiration": "2100-01-01T00:00:00Z", "Token": "t"}"#));
        cloud.then(asked(&format!("{INSTANCES}&folderId=f1")).json(listed("instances", &["i1"], "")));
        let mut run = Run::start_on(&system, &config).await.expect("it can be built");
        assert_eq!(addresses(run.next().await.expect("a word").groups()).into_iter().collect::<Vec<_>>(), ["i1"]);
        run.stop().await.expect("it ends").expect("in order");
        cloud.finish().await;
    });
}

#[test]
fn folders_that_are_named_are_all_that_is_asked_about() {
    leak_checked_live(async || {
        let cloud = cloud().await;
        cloud.then(asked(&format!("{INSTANCES}&folderId=f1")).json(listed("instances", &["i1"], "")));
        let mut run = Run::start(&of(&cloud, ", folder_ids: [f1, f1]")).await.expect("it can be built");
        assert_eq!(addresses(run.next().await.expect("a word").groups()).into_iter().collect::<Vec<_>>(), ["i1"]);
        run.stop().await.expect("it ends").expect("in order");
        cloud.finish().await;
    });
}

#[test]
fn refusals_are_told() {
    leak_checked_live(async || {
        for (path, status, body, want) in [
            ("/iam/v1/tokens", 401, r#"{"code": 16, "message": "not o"}"#, "sd_rest_no_token"),
            ("/iam/v1/tokens", 200, "{}", "sd_rest_no_token"),
            ("/endpoints", 500, "{}", "http_status"),
            ("/endpoints", 200, r#"{"endpoints": []}"#, "sd_yandexcloud_no_service"),
            ("/endpoints", 200, r#"{"endpoints": {}}"#, "sd_rest_malformed"),
            ("/endpoints", 200, "{}", "sd_rest_malformed"),
            ("/compute/v1/instances", 401, "{}", "sd_rest_token_refused"),
            ("/compute/v1/instances", 403, "{}", "http_unauthorized"),
            ("/compute/v1/instances", 429, "{}", "http_throttled"),
            ("/compute/v1/instances", 200, r#"{"instances": {}}"#, "sd_rest_malformed"),
        ] {
            let cloud = cloud().await;
            let step = if path.starts_with("/iam") { Step::post(path) } else { Step::get(path) };
            cloud.then(step.any_times().status(status).json(body));
            let told = failures_in_turn(&System::default(), &[of(&cloud, ", folder_ids: [f]")]).await;
            assert_eq!(told, [want], "{path} {status} {body}");
            cloud.finish().await;
        }
    });
}

#[test]
fn a_cloud_that_is_asked_too_much_is_asked_less_by_all_who_ask_as_the_same() {
    leak_checked_live(async || {
        let cloud = cloud().await;
        let other = Step::post("/iam/v1/tokens").with_body(r#"{"yandexPassportOauthToken":"p"}"#);
        cloud.then(other.any_times().json(r#"{"iamToken": "u"}"#));
        cloud.then(Step::get("/compute/v1/instances").any_times().status(429).reply_header("retry-after", "300"));
        let of = |folder: &str| of(&cloud, &format!(", folder_ids: [{folder}]"));
        let configs = [of("f"), of("g"), YandexcloudConfig { yandex_passport_oauth_token: "p".into(), ..of("f") }];
        let told = failures_in_turn(&System::default(), &configs).await;
        assert_eq!(told, ["http_throttled", "sd_rest_slowed_down", "http_throttled"]);
        cloud.finish().await;
    });
}

#[test]
fn without_a_passport_the_machine_is_asked_for_a_token_and_shown_nothing() {
    leak_checked_live(async || {
        let cloud = cloud().await;
        let token = Step::get("/computeMetadata/v1/instance/service-accounts/default/token");
        let token = token.with_header("metadata-flavor", "Google").without_header("x-gate");
        cloud.then(token.json(r#"{"access_token": "t", "expires_in": 3600, "token_type": "Bearer"}"#));
        cloud.then(asked(&format!("{INSTANCES}&folderId=f")).json(listed("instances", &["i"], "")));
        let config = config(&format!(
            "{{service: compute, api_endpoint: '{}', folder_ids: [f], refresh_interval: 1h, http_headers: {{x-gate: {{values: [g]}}}}}}",
            cloud.url("")
        ));
        let variables = [("YC_METADATA_ADDR", cloud.address().to_string())];
        let machine = System::new("machine", variables.into_iter().collect());
        let mut run = Run::start_on(&machine, &config).await.expect("it can be built");
        assert_eq!(addresses(run.next().await.expect("a word").groups()).into_iter().collect::<Vec<_>>(), ["i"]);
        run.stop().await.expect("it ends").expect("in order");
        cloud.finish().await;
    });
}

#[test]
fn what_cannot_be_is_refused() {
    let problems = |text: &str| -> Vec<String> {
        let problems = config(text).check(&CheckContext::default());
        problems.iter().map(|problem| format!("{} {}", problem.code, problem.path)).collect()
    };
    for (text, want) in [
        ("{}", "cfg_missing_key service"),
        ("{service: storage}", "cfg_invalid_value service"),
        ("{service: compute, api_endpoint: 'api.cloud.yandex.net'}", "cfg_invalid_value api_endpoint"),
        ("{service: compute, api_endpoint: ''}", "cfg_missing_key api_endpoint"),
        ("{service: compute, folder_ids: [a, '']}", "cfg_empty_entry folder_ids[1]"),
    ] {
        assert_eq!(problems(text), [want], "{text}");
    }
    assert_eq!(problems("{service: compute}"), [""; 0]);
}

#[test]
fn the_defaults_are_those_of_vmagent() {
    let text = "{service: '', api_endpoint: 'https://api.cloud.yandex.net', refresh_interval: 30s}";
    assert_eq!(config(text), YandexcloudConfig::default());
}
