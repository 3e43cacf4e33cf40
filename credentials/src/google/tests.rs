//! Whom Google is asked as, with what, and what becomes of its answers.

use std::time::Duration;

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rosterd_client::{Environment, Request, System, Url};
use rosterd_model::Error;
use rosterd_sign::Rsa;
use rosterd_testkit::{Folder, Received, ScriptedServer, Step, fixture, leak_checked_live};
use serde_json::{Value, json};
use url::form_urlencoded::parse;

use super::*;

const SCOPE: &str = "https://www.googleapis.com/auth/compute.readonly";

fn service(server: &ScriptedServer) -> Value {
    json!({
        "type": "service_account", "client_email": "me@acme.iam.gserviceaccount.com", "private_key_id": "k1",
        "private_key": fixture("sign/rfc7515.pkcs8.pem"), "token_uri": server.url("/token"), "quota_project_id": "payer",
    })
}

fn system(variables: &[(&str, &str)]) -> System {
    System::new("m", Environment::from_iter(variables.iter().copied()))
}

async fn asked(bearer: &GoogleBearer) -> Result<Request, Error> {
    use crate::Authorize;
    let mut request = Request::get(Url::parse("http://h/").expect("a URL"));
    bearer.authorize(&mut request).await.map(|()| request)
}

/// The headers of a request by whoever the environment names.
async fn headers(variables: &[(&str, &str)]) -> Result<[String; 2], Error> {
    let google = Google::by_default(SCOPE, "test", &system(variables)).expect("a client");
    let request = asked(&GoogleBearer::new(google).naming_project()).await?;
    let header = |name| request.headers.get(name).map_or("", |value| value.to_str().expect("text")).to_owned();
    Ok([header("authorization"), header("x-goog-user-project")])
}

async fn by_file(file: &Value) -> Result<[String; 2], Error> {
    let folder = Folder::new();
    let path = folder.write("credentials.json", file.to_string());
    headers(&[("GOOGLE_APPLICATION_CREDENTIALS", &path.display().to_string())]).await
}

fn form(received: &Received) -> Vec<(String, String)> {
    assert_eq!(received.header("content-type"), Some("application/x-www-form-urlencoded"));
    parse(&received.body).into_owned().collect()
}

fn value<'a>(form: &'a [(String, String)], name: &str) -> &'a str {
    form.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
}

fn token(value: &str) -> String {
    json!({"access_token": value, "expires_in": 3599, "token_type": "Bearer"}).to_string()
}

#[test]
fn a_service_account_signs_what_it_asserts() {
    leak_checked_live(async || {
        let server = ScriptedServer::start([Step::post("/token").json(token("t1"))]).await;
        let sent = by_file(&service(&server)).await.expect("a token");
        assert_eq!(sent, ["Bearer t1".to_owned(), "payer".to_owned()]);
        let form = form(&server.requests()[0]);
        assert_eq!(value(&form, "grant_type"), "urn:ietf:params:oauth:grant-type:jwt-bearer");
        let (message, signature) = value(&form, "assertion").rsplit_once('.').expect("three parts");
        let decoded = |text: &str| URL_SAFE_NO_PAD.decode(text).expect("base64");
        let parts: Vec<Value> =
            message.split('.').map(|part| serde_json::from_slice(&decoded(part)).expect("JSON")).collect();
        assert_eq!(parts[0], json!({"alg": "RS256", "kid": "k1", "typ": "JWT"}));
        let claims = &parts[1];
        let issued = claims["iat"].as_i64().expect("a number");
        let want = json!({
            "iss": "me@acme.iam.gserviceaccount.com", "scope": SCOPE, "aud": server.url("/token"),
            "iat": issued, "exp": issued + 3600,
        });
        assert_eq!(*claims, want);
        let age = jiff::Timestamp::now().as_second() - issued;
        assert!((10..300).contains(&age), "the clock may be ahead by some seconds: {age}");
        let key = Rsa::from_pem(fixture("sign/rfc7515.pkcs8.pem").as_bytes()).expect("a key");
        let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.public_key().expect("a key"));
        public.verify(message.as_bytes(), &decoded(signature)).expect("it is signed");
        server.finish().await;
    });
}

#[test]
fn an_assertion_can_be_for_somebody_else_than_the_token_url() {
    let mut file = json!({
        "type": "gdch_service_account", "client_email": "me", "private_key": fixture("sign/rfc7515.pkcs8.pem"),
        "token_uri": "https://here/token", "audience": "https://there/token",
    });
    let claims = |file: &Value| {
        let account::Account::Service(service) = account::read(&file.to_string()).expect("a file").account else {
            panic!("it is a service account");
        };
        let (request, assertion) = requests::of_service(&service, SCOPE, 1000).expect("a request");
        let part = URL_SAFE_NO_PAD.decode(assertion.expose().split('.').nth(1).expect("claims")).expect("base64");
        let claims: Value = serde_json::from_slice(&part).expect("JSON");
        (request.url.to_string(), claims["aud"].clone(), claims["iat"].clone(), claims["exp"].clone())
    };
    let want = ("https://here/token".to_owned(), json!("https://there/token"), json!(990), json!(4590));
    assert_eq!(claims(&file), want);
    file["token_uri"] = json!("");
    file["audience"] = json!("");
    let usual = "https://oauth2.googleapis.com/token";
    assert_eq!(claims(&file), (usual.to_owned(), json!(usual), json!(990), json!(4590)));
}

#[test]
fn who_has_logged_in_is_known_by_a_refresh_token() {
    leak_checked_live(async || {
        let server = ScriptedServer::start([
            Step::post("/token")
                .with_body("client_id=c&client_secret=s%2B&grant_type=refresh_token&refresh_token=r")
                .json(token("t1")),
            Step::post("/sts")
                .with_header("authorization", "Basic YzpzKw==")
                .with_body("grant_type=refresh_token&refresh_token=r")
                .json(token("t2")),
        ])
        .await;
        let user = json!({"client_id": "c", "client_secret": "s+", "refresh_token": "r",
            "token_uri": server.url("/token"), "token_url": server.url("/sts")});
        for (kind, want) in [("authorized_user", "Bearer t1"), ("external_account_authorized_user", "Bearer t2")] {
            let mut file = user.clone();
            file["type"] = json!(kind);
            assert_eq!(by_file(&file).await.expect("a token"), [want, ""], "{kind}");
        }
        server.finish().await;
    });
}

#[test]
fn whom_others_vouch_for_trades_their_proof_for_a_token() {
    leak_checked_live(async || {
        let folder = Folder::new();
        let text = folder.write("proof", "proof-1\n").display().to_string();
        let json_file = folder.write("proof.json", r#"{"id_token": "proof-2"}"#).display().to_string();
        let server = ScriptedServer::start([
            Step::post("/sts").without_header("authorization").json(token("t1")),
            Step::post("/sts").json(token("t2")),
            Step::get("/proof").with_header("x-secret", "hunter2").json(r#"{"id_token": "proof-3"}"#),
            Step::post("/sts").with_header("authorization", "Basic YzpzZWNyZXQ=").json(token("t3")),
            Step::post("/as:whom")
                .with_header("authorization", "Bearer t3")
                .json(json!({"accessToken": "t4", "expireTime": "2999-01-01T00:00:00.5Z"}).to_string()),
        ])
        .await;
        let external = |source: Value| {
            json!({"type": "external_account", "audience": "//iam/aud", "subject_token_type": "jwt",
                "token_url": server.url("/sts"), "credential_source": source, "workforce_pool_user_project": "p"})
        };
        let format = json!({"type": "json", "subject_token_field_name": "id_token"});
        let sent = by_file(&external(json!({"file": text}))).await.expect("a token");
        assert_eq!(sent, ["Bearer t1", ""]);
        let sent = by_file(&external(json!({"file": json_file, "format": format}))).await.expect("a token");
        assert_eq!(sent, ["Bearer t2", ""]);
        let url = json!({"url": server.url("/proof"), "headers": {"X-Secret": "hunter2"}, "format": format});
        let mut file = external(url);
        file["client_id"] = json!("c");
        file["client_secret"] = json!("secret");
        file["service_account_impersonation_url"] = json!(server.url("/as:whom"));
        file["service_account_impersonation"] = json!({"token_lifetime_seconds": 600});
        assert_eq!(by_file(&file).await.expect("a token"), ["Bearer t4", ""]);
        let requests = server.requests();
        let (first, third) = (form(&requests[0]), form(&requests[3]));
        let want = [
            ("audience", "//iam/aud"),
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("requested_token_type", "urn:ietf:params:oauth:token-type:access_token"),
            ("scope", SCOPE),
            ("subject_token", "proof-1"),
            ("subject_token_type", "jwt"),
            ("options", r#"{"userProject":"p"}"#),
        ];
        assert_eq!(first, want.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(value(&form(&requests[1]), "subject_token"), "proof-2");
        assert_eq!(value(&third, "subject_token"), "proof-3");
        assert_eq!((value(&third, "scope"), value(&third, "options")), (requests::CLOUD_PLATFORM, ""));
        let body: Value = serde_json::from_slice(&requests[4].body).expect("JSON");
        assert_eq!(body, json!({"delegates": [], "lifetime": "600s", "scope": [SCOPE]}));
        server.finish().await;
    });
}

#[test]
fn who_may_act_as_another_asks_for_that_ones_token() {
    leak_checked_live(async || {
        let server = ScriptedServer::start([
            Step::post("/token").json(token("own")),
            Step::post("/as:whom")
                .with_header("authorization", "Bearer own")
                .json(json!({"accessToken": "theirs", "expireTime": "2999-01-01T00:00:00Z"}).to_string()),
        ])
        .await;
        let file = json!({"type": "impersonated_service_account", "delegates": ["d"], "source_credentials": service(&server),
            "service_account_impersonation_url": server.url("/as:whom")});
        assert_eq!(by_file(&file).await.expect("a token"), ["Bearer theirs", ""]);
        let requests = server.requests();
        let body: Value = serde_json::from_slice(&requests[1].body).expect("JSON");
        assert_eq!(body, json!({"delegates": ["d"], "lifetime": "3600s", "scope": [SCOPE]}));
        let form = form(&requests[0]);
        let claims = value(&form, "assertion").split('.').nth(1).expect("three parts");
        let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).expect("base64")).expect("JSON");
        assert_eq!(claims["scope"], requests::CLOUD_PLATFORM, "of its own it needs another one");
        server.finish().await;
    });
}

#[test]
fn whoever_gives_no_proof_is_told_with_what_it_says() {
    leak_checked_live(async || {
        let server = ScriptedServer::start([]).await;
        let source = json!({"url": server.url("/proof"), "headers": {"X-Secret": "hunter2"}});
        let file = json!({"type": "external_account", "audience": "a", "subject_token_type": "jwt",
            "token_url": server.url("/sts"), "credential_source": source});
        let refusal = json!({"error": {"status": "DENIED", "message": "not hunter2"}}).to_string();
        for (status, want) in [
            (400, "HTTP status 400 Bad Request, DENIED: not <secret>"),
            (429, "server returned HTTP status 429 Too Many Requests"),
            (500, "server returned HTTP status 500"),
        ] {
            server.then(Step::get("/proof").status(status).json(refusal.clone()));
            let told = by_file(&file).await.expect_err("no proof").to_string();
            assert!(told.contains(want) && !told.contains("hunter2"), "{want}: {told}");
        }
        server.finish().await;
    });
}

#[test]
fn tokens_are_made_where_google_makes_them_unless_a_file_says_so() {
    let url = |file: Value| match account::read(&file.to_string()).expect("a file").account {
        account::Account::Service(service) => service.token_url,
        account::Account::User(user) => user.token_url,
        account::Account::External(external) => external.token_url,
        account::Account::Impersonated { .. } => panic!("it asks as another"),
    };
    let user = |kind: &str| json!({"type": kind, "client_id": "c", "refresh_token": "r"});
    let service = json!({"type": "service_account", "client_email": "e", "private_key": "k"});
    let external = json!({"type": "external_account", "audience": "a", "subject_token_type": "t", "credential_source": {"file": "f"}});
    for (mut file, usual) in [
        (service, "https://oauth2.googleapis.com/token"),
        (user("authorized_user"), "https://oauth2.googleapis.com/token"),
        (user("external_account_authorized_user"), "https://sts.googleapis.com/v1/oauthtoken"),
        (external, "https://sts.googleapis.com/v1/token"),
    ] {
        assert_eq!(url(file.clone()), usual);
        (file["token_uri"], file["token_url"]) = ("https://own".into(), "https://own".into());
        assert_eq!(url(file), "https://own");
    }
}

#[test]
fn a_token_of_another_lasts_until_the_time_it_says() {
    let now: jiff::Timestamp = "2026-11-29T10:00:00Z".parse().expect("a time");
    let read =
        |end: &str| requests::impersonated(json!({"accessToken": "t", "expireTime": end}).to_string().as_bytes(), now);
    assert_eq!(read("2026-11-29T11:00:00Z").expect("a token").lasts, Some(Duration::from_secs(3600)));
    assert_eq!(read("2026-11-29T09:00:00Z").expect("a token").lasts, Some(Duration::ZERO));
    assert_eq!(read("soon").map(drop), Err("its expireTime is no time".to_owned()));
}

#[test]
fn without_a_file_the_machine_is_asked_which_account_it_has() {
    leak_checked_live(async || {
        let path = "/computeMetadata/v1/instance/service-accounts/default/token?scopes=https%3A%2F%2Fwww.googleapis.com%2Fauth%2Fcompute.readonly";
        let asked = || Step::get(path).with_header("metadata-flavor", "Google");
        let server = ScriptedServer::start([asked().json(token("t1")), asked().status(404), asked().json("{}")]).await;
        let host = server.address().to_string();
        let home = Folder::new();
        let home = home.path("").display().to_string();
        // What leads to other servers does not count for this one.
        let variables = [
            ("GCE_METADATA_HOST", &*host),
            ("HOME", &home),
            ("GOOGLE_APPLICATION_CREDENTIALS", ""),
            ("HTTP_PROXY", "http://127.0.0.1:1"),
            ("GOOGLE_CLOUD_QUOTA_PROJECT", "other"),
        ];
        assert_eq!(headers(&variables).await.expect("a token"), ["Bearer t1", "other"]);
        let none = headers(&variables).await.expect_err("no account").to_string();
        assert!(none.contains("404"), "{none}");
        let empty = headers(&variables).await.expect_err("no token").to_string();
        assert!(empty.ends_with("gave no token: the reply has no access_token"), "{empty}");
        server.finish().await;
    });
}

#[test]
fn a_file_that_is_named_counts_more_than_one_that_was_left_and_that_more_than_the_machine() {
    leak_checked_live(async || {
        let server = ScriptedServer::start([Step::post("/token").json(token("t1"))]).await;
        let home = Folder::new();
        std::fs::create_dir_all(home.path(".config/gcloud")).expect("a folder");
        let left = home.write(".config/gcloud/application_default_credentials.json", service(&server).to_string());
        let home = home.path("").display().to_string();
        assert_eq!(headers(&[("HOME", &home)]).await.expect("a token"), ["Bearer t1", "payer"]);
        let code = async |variables: &[(&str, &str)]| {
            let report = headers(variables).await.expect_err("nobody").report();
            (report.code, report.causes)
        };
        let missing = code(&[("HOME", &home), ("GOOGLE_APPLICATION_CREDENTIALS", "/none/key.json")]).await;
        assert!(missing.1.concat().contains("cannot read /none/key.json"), "{missing:?}");
        std::fs::write(left, r#"{"type": "service_account", "private_key": 5}"#).expect("written");
        let malformed = code(&[("HOME", &home)]).await;
        assert!(
            malformed.1.concat().contains("it is not the JSON of credentials (line 1, column 44)"),
            "{malformed:?}"
        );
        server.finish().await;
    });
}

#[test]
fn the_key_of_a_service_account_is_nothing_else() {
    leak_checked_live(async || {
        let folder = Folder::new();
        let server = ScriptedServer::start([Step::post("/token").json(token("t1"))]).await;
        let path = folder.write("key.json", service(&server).to_string());
        let by_key = async || {
            let google = Google::by_key(&path, SCOPE, "test", &system(&[])).expect("a client");
            asked(&GoogleBearer::new(google)).await.map(|request| request.headers.len())
        };
        assert_eq!(by_key().await.expect("a token"), 1, "the project is not named unless it is asked for");
        std::fs::write(&path, r#"{"type": "authorized_user", "client_id": "c", "refresh_token": "hunter2"}"#)
            .expect("written");
        let told = by_key().await.expect_err("another kind").to_string();
        assert!(told.contains("it is not the key of a service account") && !told.contains("hunter2"), "{told}");
        server.finish().await;
    });
}

#[test]
fn why_there_is_no_token_is_told_without_what_proves_who_asks() {
    leak_checked_live(async || {
        let server = ScriptedServer::start([]).await;
        let file = json!({"type": "authorized_user", "client_id": "c", "client_secret": "hunter2", "refresh_token": "rrrrr",
            "token_uri": server.url("/token")});
        for (step, want) in [
            (
                Step::post("/token")
                    .status(400)
                    .json(r#"{"error": "invalid_grant", "error_description": "rrrrr of hunter2"}"#),
                "HTTP status 400 Bad Request, invalid_grant: <secret> of <secret>",
            ),
            (Step::post("/token").status(429).reply_header("retry-after", "7"), "429"),
            (Step::post("/token").status(503), "503"),
            (Step::post("/token").json("5"), "is not the JSON of a token (line 1"),
            (Step::post("/token").json(token("t")).truncate(9), "no complete reply"),
        ] {
            server.then(step);
            let told = by_file(&file).await.expect_err("no token").to_string();
            assert!(told.contains(want) && !told.contains("hunter2"), "{want}: {told}");
        }
        server.finish().await;
    });
}

#[test]
fn files_that_name_nobody_are_told_why() {
    let source = |source: Value| json!({"type": "external_account", "audience": "a", "subject_token_type": "t", "credential_source": source});
    for (file, want) in [
        (json!({}), "it has no type"),
        (json!({"installed": {"redirect_uris": []}}), "an OAuth client"),
        (json!({"type": "key"}), "credentials of the type \"key\" are not known"),
        (json!({"type": "service_account", "private_key": "k"}), "client_email is missing"),
        (json!({"type": "service_account", "client_email": "e"}), "private_key is missing"),
        (json!({"type": "authorized_user", "client_id": "c"}), "refresh_token is missing"),
        (json!({"type": "external_account", "audience": "a"}), "subject_token_type is missing"),
        (source(json!({})), "neither a file nor a url"),
        (source(json!({"environment_id": "aws1"})), "credentials of AWS as proof"),
        (source(json!({"executable": {"command": "c"}})), "programs that print the proof"),
        (source(json!({"certificate": {}})), "certificates as proof"),
        (source(json!({"file": "f", "format": {"type": "json"}})), "no subject_token_field_name"),
        (source(json!({"file": "f", "format": {"type": "xml"}})), "neither text nor json"),
        (json!({"type": "impersonated_service_account"}), "service_account_impersonation_url is missing"),
        (
            json!({"type": "impersonated_service_account", "service_account_impersonation_url": "u", "source_credentials": {}}),
            "its source_credentials are of no use: it has no type",
        ),
    ] {
        let told = account::read(&file.to_string()).expect_err("it names nobody");
        assert!(told.contains(want), "{file}: {told}");
    }
}
