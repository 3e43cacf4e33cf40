//! What STACKIT is asked, with what, and what becomes of its answers.

use std::collections::BTreeMap;

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA512, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rosterd_client::Environment;
use rosterd_credentials::sign::Rsa;
use rosterd_discovery::{CheckContext, Finding, MechanismConfig as _, System};
use rosterd_model::Coded as _;
use rosterd_testkit::contract::{Run, failures_in_turn, shared_by};
use rosterd_testkit::{
    Folder, ScriptedServer, Step, addresses, assert_golden, eventually, fixture, leak_checked_live, patience,
};
use serde_json::{Value, json};

use super::key::Key;
use super::{StackitConfig, decode};

const SERVERS: &str = "/v1/projects/p/servers?details=true";
const ONE: &str = r#"{"items": [{"id": "a", "nics": [{"ipv4": "10.0.0.1"}]}]}"#;

fn config(text: &str) -> StackitConfig {
    serde_yaml::from_str(text).expect(text)
}

/// The key of RFC 7515, A.2.
fn pem() -> String {
    fixture("sign/rfc7515.pkcs8.pem")
}

/// The key of a service account that gets its tokens there.
fn account_key(endpoint: &str, private: &str) -> String {
    json!({"id": "5f", "credentials": {
        "kid": "k", "iss": "me@sa.stackit.cloud", "sub": "ab", "aud": "https://stackit", "privateKey": private,
        "tokenEndpoint": endpoint,
    }})
    .to_string()
}

#[test]
fn servers_become_labels() {
    let body = fixture("discovery/stackit/servers.json");
    let groups = decode::groups(body.as_bytes(), &config("{project: p, port: 9100}")).expect("groups");
    assert_golden("discovery/stackit/servers.golden.yml", &serde_yaml::to_string(&groups).expect("writes"));
    for text in [r#"{"items": []}"#, r#"{"items": null}"#] {
        assert!(decode::groups(text.as_bytes(), &config("{}")).expect("none").is_empty());
    }
    for text in ["{}", r#"{"message": "busy"}"#] {
        let fault = decode::groups(text.as_bytes(), &config("{}")).expect_err("no list").to_string();
        assert!(fault.contains("items") && fault.contains("missing"), "{fault}");
    }
    let fault = decode::groups(br#"{"items": {}}"#, &config("{}")).expect_err("no list").to_string();
    assert_eq!(fault, "line 1, column 10: expected a list, found a map");
}

/// What an assertion says, if the key signed it.
fn verified(form: &[u8]) -> (Value, Value) {
    let pairs: BTreeMap<_, _> = url::form_urlencoded::parse(form).into_owned().collect();
    assert_eq!(pairs["grant_type"], "urn:ietf:params:oauth:grant-type:jwt-bearer");
    let (signed, signature) = pairs["assertion"].rsplit_once('.').expect("three parts");
    let key = Rsa::from_pem(pem().as_bytes()).and_then(|key| key.public_key()).expect("a key");
    let signature = URL_SAFE_NO_PAD.decode(signature).expect("base64");
    let verifier = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA512, key);
    verifier.verify(signed.as_bytes(), &signature).expect("it is signed with the key");
    let (header, claims) = signed.split_once('.').expect("three parts");
    let read = |part: &str| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("base64")).expect("JSON");
    (read(header), read(claims))
}

async fn told(run: &mut Run) -> Vec<String> {
    addresses(run.next().await.expect("a word").groups()).into_iter().collect()
}

async fn failure(config: &StackitConfig) -> (String, String) {
    let run = Run::start(config).await.expect("it can be built");
    eventually(patience(), "the failure is told", || run.status().last_error.is_some()).await;
    let report = run.status().last_error.expect("there is one").report;
    run.stop().await.expect("it ends").expect("in order");
    (report.code.clone(), report.to_string())
}

#[test]
fn a_token_is_asked_for_with_an_assertion_and_again_when_it_is_refused() {
    leak_checked_live(async || {
        let server = ScriptedServer::start([
            Step::post("/token").without_header("authorization").json(r#"{"access_token": "one", "expires_in": 3600}"#),
            Step::get(SERVERS)
                .with_header("authorization", "Bearer one")
                .with_header("accept", "application/json")
                .json(ONE),
            Step::get(SERVERS).with_header("authorization", "Bearer one").status(401),
            Step::post("/token").json(r#"{"access_token": "two", "expires_in": 3600}"#),
            Step::get(SERVERS).with_header("authorization", "Bearer two").json(ONE.replace("10.0.0.1", "10.0.0.2")),
        ])
        .await;
        let key = account_key(&server.url("/token"), &pem());
        let mut config = config(&format!("{{project: p, endpoint: '{}', refresh_interval: 3s}}", server.url("")));
        config.service_account_key = key.into();
        let mut run = Run::start(&config).await.expect("it can be built");
        assert_eq!(told(&mut run).await, ["10.0.0.1:80"]);
        assert_eq!(told(&mut run).await, ["10.0.0.2:80"]);
        assert_eq!(run.requests_that_came(), ["servers ok 2", "servers unauthorized 1", "token ok 2"]);
        run.stop().await.expect("it ends").expect("in order");
        let requests = server.requests();
        let (header, claims) = verified(&requests[0].body);
        assert_eq!(header, json!({"alg": "RS512", "typ": "JWT", "kid": "k"}));
        let number = |key: &str| claims[key].as_u64().expect("a time");
        assert_eq!(number("exp") - number("iat"), 3600);
        assert_eq!((&claims["iss"], &claims["sub"]), (&json!("me@sa.stackit.cloud"), &json!("ab")));
        assert_eq!(claims["aud"], json!("https://stackit"));
        let (_, again) = verified(&requests[3].body);
        assert_ne!(claims["jti"], again["jti"]);
        server.finish().await;
    });
}

#[test]
fn whoever_makes_tokens_is_not_shown_what_proves_to_the_api_who_asks() {
    leak_checked_live(async || {
        let server = ScriptedServer::start([
            Step::post("/token")
                .without_header("authorization")
                .without_header("x-gate")
                .json(r#"{"access_token": "one", "expires_in": 3600}"#),
            Step::get(SERVERS).with_header("authorization", "Bearer one").with_header("x-gate", "g").json(ONE),
        ])
        .await;
        let mut config = config(&format!(
            "{{project: p, endpoint: '{}', refresh_interval: 1h, basic_auth: {{username: u, password: p}},
               http_headers: {{x-gate: {{values: [g]}}}}}}",
            server.url("")
        ));
        config.service_account_key = account_key(&server.url("/token"), &pem()).into();
        let mut run = Run::start(&config).await.expect("it can be built");
        assert_eq!(told(&mut run).await, ["10.0.0.1:80"]);
        run.stop().await.expect("it ends").expect("in order");
        server.finish().await;
    });
}

#[test]
fn tokens_are_shared_by_those_who_ask_for_them_by_the_same_key_and_way_and_by_no_others() {
    let with = |more: &str| config(&format!("{{project: p, private_key_path: /key{more}}}"));
    let kept = |more: &[&str]| format!("{:?}", shared_by(more.iter().copied().map(with)).tokens);
    let key = ", service_account_key: one";
    let same = ["", ", region: eu02", ", refresh_interval: 7m", ", port: 9", ", authorization: {credentials: c}"];
    assert_eq!(kept(&same.map(|more| format!("{key}{more}")).each_ref().map(String::as_str)), "1 kept");
    let others = [
        key,
        ", service_account_key: two",
        ", service_account_key_path: /one",
        ", service_account_key: one, private_key: k",
        ", service_account_key: one, proxy_url: 'http://u:one@proxy'",
        ", service_account_key: one, proxy_url: 'http://u:two@proxy'",
    ];
    assert_eq!(kept(&others), "6 kept");
}

#[test]
fn without_a_key_the_settings_of_the_client_say_who_asks() {
    leak_checked_live(async || {
        let server = ScriptedServer::start([]).await;
        server.then(
            Step::get("/prefix/v1/projects/p/servers").any_times().with_header("authorization", "Bearer t").json(ONE),
        );
        let text = format!(
            "{{project: p, endpoint: '{}', refresh_interval: 1h, authorization: {{credentials: t}}}}",
            server.url("/prefix/")
        );
        let mut run = Run::start(&config(&text)).await.expect("it can be built");
        assert_eq!(told(&mut run).await, ["10.0.0.1:80"]);
        run.stop().await.expect("it ends").expect("in order");
        server.finish().await;
    });
}

#[test]
fn refusals_are_told_without_secrets() {
    leak_checked_live(async || {
        let list = || Step::get(SERVERS).any_times();
        let token = |body: &str| Step::post("/token").any_times().json(body.to_owned());
        let given = || token(r#"{"access_token": "hunter2-token", "expires_in": 3600}"#);
        let refused = r#"{"error": "invalid_grant", "error_description": "not this key"}"#;
        for (steps, code, words) in [
            (vec![given(), list().status(401)], "sd_rest_token_refused", "HTTP status 401"),
            (
                vec![given(), list().status(403).json(r#"{"message": "not for hunter2-token"}"#)],
                "http_unauthorized",
                "not for <secret>",
            ),
            (vec![given(), list().status(500)], "http_status", "HTTP status 500"),
            (vec![given(), list().status(429).reply_header("retry-after", "17")], "http_throttled", "HTTP status 429"),
            (vec![given(), list().json("{}x")], "sd_rest_malformed", "is not what its API promises"),
            (vec![given(), list().json(ONE).truncate(9)], "http_broken", "no complete reply"),
            (vec![token(refused).status(400)], "sd_rest_no_token", "invalid_grant: not this key"),
            (vec![token("{}")], "sd_rest_no_token", "the reply has no access_token"),
        ] {
            let server = ScriptedServer::start(steps).await;
            let mut config = config(&format!("{{project: p, endpoint: '{}', refresh_interval: 1h}}", server.url("")));
            config.service_account_key = account_key(&server.url("/token"), &pem()).into();
            let (found, told) = failure(&config).await;
            assert_eq!(found, code, "{told}");
            assert!(told.contains(words) && !told.contains("hunter2") && !told.contains("assertion"), "{told}");
            server.finish().await;
        }
    });
}

#[test]
fn an_api_that_is_asked_too_much_is_asked_less_by_all_who_ask_as_the_same() {
    leak_checked_live(async || {
        let server = ScriptedServer::start([Step::post("/token").any_times().json(r#"{"access_token": "t"}"#)]).await;
        for project in ["p", "q"] {
            let list = Step::get(&format!("/v1/projects/{project}/servers")).any_times().status(429);
            server.then(list.reply_header("retry-after", "300"));
        }
        let of = |project: &str, key: &str| {
            let text = format!("{{project: {project}, endpoint: '{}', refresh_interval: 1h}}", server.url(""));
            let key = account_key(&server.url("/token"), &pem()).replace("\"k\"", &format!("\"{key}\""));
            StackitConfig { service_account_key: key.into(), ..config(&text) }
        };
        let configs = [of("p", "one"), of("q", "one"), of("p", "two")];
        let told = failures_in_turn(&System::default(), &configs).await;
        assert_eq!(told, ["http_throttled", "sd_rest_slowed_down", "http_throttled"]);
        server.finish().await;
    });
}

fn environment(pairs: &[(&str, &str)]) -> Environment {
    pairs.iter().copied().collect()
}

#[test]
fn a_private_key_is_found_where_programs_of_stackit_find_it() {
    let folder = Folder::new();
    let file = folder.write("key.pem", pem()).display().to_string();
    let stored =
        folder.write("stored.json", json!({"STACKIT_PRIVATE_KEY_PATH": file}).to_string()).display().to_string();
    let other = folder.write("other.json", json!({"STACKIT_PRIVATE_KEY": pem()}).to_string()).display().to_string();
    let home = Folder::new();
    std::fs::create_dir(home.root().join(".stackit")).expect("made");
    std::fs::copy(&other, home.root().join(".stackit/credentials.json")).expect("copied");
    let with = |inner: &str, change: &dyn Fn(&mut StackitConfig), variables: &[(&str, &str)]| {
        let mut config = config("{}");
        config.service_account_key = account_key("http://t/", inner).into();
        change(&mut config);
        Key::read(&config, &environment(variables)).map(drop).map_err(|error| error.code())
    };
    let none: &dyn Fn(&mut StackitConfig) = &|_| ();
    assert_eq!(with(&pem(), none, &[]), Ok(()));
    assert_eq!(with("", none, &[]), Err("sd_stackit_private_key"));
    assert_eq!(with("", &|it| it.private_key = pem().into(), &[]), Ok(()));
    assert_eq!(
        with(&pem(), &|it| it.private_key = "none".into(), &[]),
        Err("sd_stackit_private_key"),
        "it counts first"
    );
    assert_eq!(with("", &|it| it.private_key_path = file.clone().into(), &[]), Ok(()));
    assert_eq!(with("", none, &[("STACKIT_PRIVATE_KEY_PATH", &file)]), Ok(()));
    assert_eq!(with("", none, &[("STACKIT_PRIVATE_KEY", &pem())]), Ok(()));
    assert_eq!(with("", &|it| it.credentials_file_path = stored.clone().into(), &[]), Ok(()));
    assert_eq!(with("", none, &[("STACKIT_CREDENTIALS_PATH", &other)]), Ok(()));
    assert_eq!(with("", none, &[("HOME", &home.root().display().to_string())]), Ok(()));
    assert_eq!(
        with(&pem(), &|it| it.private_key_path = "/none".into(), &[]),
        Ok(()),
        "a place that is not there is passed over"
    );
}

#[test]
fn where_tokens_come_from_is_said_by_the_environment_or_the_key() {
    let read = |endpoint: &str, variables: &[(&str, &str)]| {
        let mut config = config("{}");
        config.service_account_key = account_key(endpoint, &pem()).into();
        Key::read(&config, &environment(variables)).expect("a key").endpoint.to_string()
    };
    assert_eq!(read("", &[]), "https://service-account.api.stackit.cloud/token");
    assert_eq!(read("http://t/token", &[]), "http://t/token");
    assert_eq!(read("http://t/token", &[("STACKIT_TOKEN_BASEURL", "http://u/token")]), "http://u/token");
}

#[test]
fn what_is_no_key_is_told_without_its_words() {
    let told = |key: &str| {
        let mut config = config("{}");
        config.service_account_key = key.into();
        let error = Key::read(&config, &Environment::default()).expect_err("no key");
        (error.code(), rosterd_model::Report::of(&error).to_string())
    };
    for (key, code, words) in [
        ("hunter2", "sd_stackit_key_malformed", "line 1, column 1"),
        (r#"{"credentials": {"kid": "hunter2"}}"#, "sd_stackit_key_malformed", "is missing"),
        ("-----BEGIN PRIVATE KEY-----\nhunter2", "sd_stackit_key_malformed", "it is a private key"),
        (&account_key("", "hunter2"), "sd_stackit_private_key", "there is no private key"),
    ] {
        let (found, told) = told(key);
        assert_eq!(found, code, "{told}");
        assert!(told.contains(words) && told.contains("service_account_key") && !told.contains("hunter2"), "{told}");
    }
    let mut config = config("{}");
    config.service_account_key_path = "/none/key.json".into();
    let error = Key::read(&config, &Environment::default()).expect_err("no file");
    assert_eq!(error.code(), "sd_stackit_key_unreadable");
}

#[test]
fn what_cannot_be_is_refused_and_what_has_no_effect_is_told() {
    let problems = |text: &str| -> Vec<String> {
        let problems = config(text).check(&CheckContext::default());
        problems.iter().map(|problem| format!("{} {}", problem.code, problem.path)).collect()
    };
    for (text, want) in [
        ("{endpoint: '://invalid'}", "cfg_invalid_value endpoint"),
        ("{endpoint: 'ftp://x'}", "cfg_invalid_value endpoint"),
        ("{region: ''}", "cfg_missing_key region"),
        ("{region: 'eu01.evil.com/'}", "cfg_invalid_value region"),
        ("{bearer_token: t, bearer_token_file: f}", "cfg_conflicting_keys bearer_token_file"),
    ] {
        assert_eq!(problems(text), [want], "{text}");
    }
    for text in [
        "{}",
        "{region: '', endpoint: 'http://x'}",
        "{service_account_key: k, private_key: x, authorization: {credentials: c}}",
    ] {
        assert_eq!(problems(text), [""; 0], "{text}");
    }
    let idle = |text: &str| -> Vec<String> {
        let findings = config(text).examine(&CheckContext::default());
        let idle = findings.into_iter().filter_map(|finding| match finding {
            Finding::Idle(problem) | Finding::Missing(problem) => Some(problem.path),
            _ => None,
        });
        idle.collect()
    };
    assert_eq!(idle("{}"), ["project"]);
    assert_eq!(idle("{project: p, private_key: k}"), ["service_account_key"]);
    assert_eq!(idle("{project: p, service_account_key_path: /none}"), ["service_account_key_path"]);
    assert_eq!(idle("{project: p, service_account_key: k, private_key: k}"), [""; 0]);
}

#[test]
fn the_defaults_are_those_of_prometheus() {
    let text = "{project: '', region: eu01, port: 80, refresh_interval: 60s}";
    assert_eq!(config(text), StackitConfig::default());
}
