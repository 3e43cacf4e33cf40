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
        let refusal = r#"{"error": "invalid_scope", "error_description": "not with s/ecret, s%2Fecret or hunter2"}"#;
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
