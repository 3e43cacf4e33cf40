//! Tokens: fetched, kept, shared, dropped.

use rosterd_model::{Coded, Priority, Report};
use rosterd_testkit::{ScriptedServer, Step, leak_checked_live};

use super::*;

const FORM: &str = "grant_type=client_credentials&scope=a+b&audience=x";
/// `id:s%2Fecret`
const BASIC: &str = "Basic aWQ6cyUyRmVjcmV0";

fn settings(server: &ScriptedServer, secret: &str) -> String {
    let url = server.url("/token");
    format!("oauth2: {{client_id: id, {secret}, token_url: '{url}', scopes: [a, b], endpoint_params: {{audience: x}}}}")
}

fn token(body: &str) -> Step {
    Step::post("/token").with_header("authorization", BASIC).with_body(FORM).json(body.to_owned())
}

fn target(token: &str) -> Step {
    Step::get("/").with_header("authorization", &format!("Bearer {token}"))
}

#[test]
fn one_token_serves_until_it_is_refused() {
    leak_checked_live(async || {
        let server = ScriptedServer::start([
            token(r#"{"access_token": "one", "token_type": "bearer", "expires_in": 3600}"#),
            target("one"),
            target("one").status(401),
            token(r#"{"access_token": "two", "expires_in": "3600"}"#),
            target("two"),
        ])
        .await;
        let client = client(&settings(&server, "client_secret: s/ecret"));
        for status in [200, 401, 200] {
            assert_eq!(get(&client, &server.url("/")).await.expect("a reply").status(), status);
        }
        server.finish().await;
    });
}

#[test]
fn a_token_that_is_about_to_expire_is_not_used() {
    leak_checked_live(async || {
        let server = ScriptedServer::start([
            token(r#"{"access_token": "one", "expires_in": 10}"#),
            target("one"),
            token(r#"{"access_token": "two", "expires_in": 10}"#),
            target("two"),
        ])
        .await;
        let client = client(&settings(&server, "client_secret: s/ecret"));
        for _ in 0..2 {
            get(&client, &server.url("/")).await.expect("a reply");
        }
        server.finish().await;
    });
}

#[test]
fn requests_at_the_same_time_share_one_fetch() {
    leak_checked_live(async || {
        let server = ScriptedServer::start([token(r#"{"access_token": "one"}"#), target("one").any_times()]).await;
        let client = client(&settings(&server, "client_secret: s/ecret"));
        let url = server.url("/");
        let (first, second, third) = tokio::join!(get(&client, &url), get(&client, &url), get(&client, &url));
        for reply in [first, second, third] {
            assert_eq!(reply.expect("a reply").status(), 200);
        }
        assert_eq!(server.requests().len(), 4);
        server.finish().await;
    });
}

#[test]
fn a_changed_secret_gets_a_new_token() {
    leak_checked_live(async || {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("secret");
        let ask = |basic: &str, token: &str| {
            let body = format!(r#"{{"access_token": "{token}"}}"#);
            Step::post("/token").with_header("authorization", basic).json(body)
        };
        let server = ScriptedServer::start([
            ask("Basic aWQ6b25l", "one"),
            target("one"),
            ask("Basic aWQ6dHdv", "two"),
            target("two"),
        ])
        .await;
        let client = client(&settings(&server, &format!("client_secret_file: {}", file.display())));
        for secret in ["one", "two"] {
            std::fs::write(&file, secret).expect("written");
            get(&client, &server.url("/")).await.expect("a reply");
        }
        server.finish().await;
    });
}

#[test]
fn an_endpoint_that_wants_the_secret_in_the_form_gets_it_there() {
    leak_checked_live(async || {
        let in_form = format!("{FORM}&client_id=id&client_secret=s%2Fecret");
        let server = ScriptedServer::start([
            token(r#"{"error": "invalid_client"}"#).status(401),
            Step::post("/token")
                .without_header("authorization")
                .with_body(in_form)
                .reply_header("content-type", "application/x-www-form-urlencoded")
                .body("access_token=one&expires_in=3600"),
            target("one"),
        ])
        .await;
        get(&client(&settings(&server, "client_secret: s/ecret")), &server.url("/")).await.expect("a reply");
        server.finish().await;
    });
}

#[test]
fn a_refusal_is_told_without_the_secret() {
    leak_checked_live(async || {
        let refusal =
            r#"{"error": "invalid_scope", "error_description": "not with s/ecret,\r\n s%2Fecret or hunter2"}"#;
        let server = ScriptedServer::start([Step::post("/token").any_times().status(400).json(refusal)]).await;
        let settings = settings(&server, "client_secret: s/ecret").replace("audience: x", "password: hunter2");
        let error = get(&client(&settings), &server.url("/")).await.expect_err("no token");
        let text = Report::of(&error).to_string();
        assert_eq!((error.code(), error.priority()), ("http_oauth2", Priority::Remote));
        assert!(text.ends_with("400 Bad Request, invalid_scope: not with <secret>, <secret> or <secret>"), "{text}");
        server.finish().await;
    });
}

#[test]
fn wrong_credentials_are_for_the_operator() {
    leak_checked_live(async || {
        let server = ScriptedServer::start([Step::post("/token").any_times().status(401)]).await;
        let client = client(&settings(&server, "client_secret: s/ecret"));
        let error = get(&client, &server.url("/")).await.expect_err("no token");
        assert_eq!((error.code(), error.priority()), ("http_oauth2", Priority::Operator));
        server.finish().await;
    });
}

#[test]
fn a_reply_without_a_token_is_no_token() {
    leak_checked_live(async || {
        let server = ScriptedServer::start([Step::post("/token").any_times().json("{}")]).await;
        let client = client(&settings(&server, "client_secret: s/ecret"));
        let error = get(&client, &server.url("/")).await.expect_err("no token");
        assert!(Report::of(&error).to_string().ends_with("the reply has no access_token"), "{error:?}");
        server.finish().await;
    });
}

/// The key of RFC 7515, A.2.
const KEY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata/sign/rfc7515.pkcs8.pem");

/// The body of the request of this number.
fn text(server: &ScriptedServer, number: usize) -> String {
    String::from_utf8_lossy(&server.requests()[number].body).into_owned()
}

fn claims(form: &str) -> (serde_json::Value, serde_json::Value) {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let pairs: std::collections::BTreeMap<_, _> = url::form_urlencoded::parse(form.as_bytes()).into_owned().collect();
    let token = pairs["assertion"].as_str();
    let (signed, signature) = token.rsplit_once('.').expect("three parts");
    let pem = std::fs::read(KEY).expect("the key of the example");
    let key = rosterd_sign::Rsa::from_pem(&pem).expect("a key");
    let of_key = aws_lc_rs::signature::UnparsedPublicKey::new(
        &aws_lc_rs::signature::RSA_PKCS1_2048_8192_SHA512,
        key.public_key().expect("a public key"),
    );
    let signature = URL_SAFE_NO_PAD.decode(signature).expect("base64");
    of_key.verify(signed.as_bytes(), &signature).expect("signed with the key");
    let read = |part: &str| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("base64")).expect("JSON");
    let (header, claims) = signed.split_once('.').expect("three parts");
    (read(header), read(claims))
}

#[test]
fn an_assertion_that_is_signed_with_a_key_gets_a_token() {
    leak_checked_live(async || {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("key.pem");
        std::fs::copy(KEY, &file).expect("copied");
        let ask = || Step::post("/token").without_header("authorization");
        let server = ScriptedServer::start([
            ask().json(r#"{"access_token": "one", "expires_in": 3600}"#),
            target("one"),
            ask().json(r#"{"access_token": "two", "expires_in": 3600}"#),
            target("two"),
        ])
        .await;
        let settings = format!(
            "oauth2: {{client_id: me, token_url: '{}', grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', \
             client_certificate_key_file: '{}', client_certificate_key_id: k, signature_algorithm: RS512, \
             audience: them, scopes: [a, b], claims: {{sub: other, level: 3}}, endpoint_params: {{x: y}}}}",
            server.url("/token"),
            file.display()
        );
        let client = client(&settings);
        get(&client, &server.url("/")).await.expect("a reply");
        let sent = text(&server, 0);
        assert!(
            sent.starts_with("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion="),
            "{sent}"
        );
        assert!(sent.ends_with("&scope=a+b&x=y"), "{sent}");
        let (header, mut said) = claims(&sent);
        assert_eq!(header, serde_json::json!({"alg": "RS512", "kid": "k", "typ": "JWT"}));
        let (from, to) = (said["iat"].as_u64().expect("a time"), said["exp"].as_u64().expect("a time"));
        assert_eq!(to - from, 600);
        let id = said["jti"].as_str().expect("an id").to_owned();
        for key in ["iat", "exp", "jti"] {
            said.as_object_mut().expect("a map").remove(key);
        }
        let want = serde_json::json!({"iss": "me", "sub": "other", "aud": "them", "scope": "a b", "level": 3});
        assert_eq!(said, want);
        // The same key, spelt in another way, is another file's content.
        let other = std::fs::read_to_string(KEY).expect("the key of the example");
        std::fs::write(&file, format!("rotated\n{other}")).expect("written");
        get(&client, &server.url("/")).await.expect("a reply");
        let (_, again) = claims(&text(&server, 2));
        assert_ne!(again["jti"].as_str().expect("an id"), id);
        server.finish().await;
    });
}

#[test]
fn a_key_that_is_none_is_told_with_its_file_and_not_shown() {
    leak_checked_live(async || {
        let server = ScriptedServer::start([]).await;
        let settings = |key: &str| {
            format!(
                "oauth2: {{client_id: me, token_url: '{}', grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', {key}}}",
                server.url("/token")
            )
        };
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("key.pem");
        std::fs::write(&file, "hunter2").expect("written");
        let by_file = settings(&format!("client_certificate_key_file: '{}'", file.display()));
        for (settings, name) in [
            (settings("client_certificate_key: hunter2"), "oauth2.client_certificate_key".to_owned()),
            (by_file, format!("oauth2.client_certificate_key_file {}", file.display())),
        ] {
            let error = get(&client(&settings), &server.url("/")).await.expect_err("no token");
            let told = Report::of(&error).to_string();
            assert_eq!((error.code(), error.priority()), ("http_oauth2", Priority::Operator));
            assert!(told.contains(&format!("cannot use {name}: there is no private key")), "{told}");
            assert!(!told.contains("hunter2"), "{told}");
        }
        server.finish().await;
    });
}
