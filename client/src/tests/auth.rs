//! Ways to authenticate that need no token endpoint.

use rosterd_testkit::{ScriptedServer, Step, leak_checked_live};

use super::*;

#[test]
fn each_way_makes_its_header() {
    leak_checked_live(async || {
        for (settings, header) in [
            ("basic_auth: {username: Aladdin, password: 'open sesame'}", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
            ("basic_auth: {username: u}", "Basic dTo="),
            ("authorization: {credentials: c}", "Bearer c"),
            ("authorization: {type: ' Token ', credentials: c}", "Token c"),
            ("bearer_token: b", "Bearer b"),
        ] {
            let server = ScriptedServer::start([Step::get("/").with_header("authorization", header)]).await;
            get(&client(settings), &server.url("/")).await.expect(settings);
            server.finish().await;
        }
    });
}

#[test]
fn a_header_of_the_request_wins() {
    leak_checked_live(async || {
        let server = ScriptedServer::start([Step::get("/").with_header("authorization", "mine")]).await;
        let mut request = Request::get(server.url("/").parse().expect("a URL"));
        request.headers.insert("authorization", "mine".parse().expect("a value"));
        client("bearer_token: b").send(request).await.expect("a reply");
        server.finish().await;
    });
}

#[test]
fn files_are_read_again_when_they_change() {
    leak_checked_live(async || {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("token");
        let step = |token: &str| Step::get("/").with_header("authorization", &format!("Bearer {token}"));
        let server = ScriptedServer::start([step("one"), step("two")]).await;
        let client = client(&format!("authorization: {{credentials_file: {}}}", file.display()));
        for token in ["one", "two"] {
            std::fs::write(&file, format!("{token}\n")).expect("written");
            get(&client, &server.url("/")).await.expect("a reply");
        }
        std::fs::remove_file(&file).expect("removed");
        let error = get(&client, &server.url("/")).await.expect_err("no file");
        assert_eq!(error.to_string(), format!("cannot read {}", file.display()));
        server.finish().await;
    });
}

#[test]
fn user_and_password_may_be_in_files() {
    leak_checked_live(async || {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name).display().to_string();
        std::fs::write(path("u"), "u\n").expect("written");
        std::fs::write(path("p"), "p\n").expect("written");
        let server = ScriptedServer::start([Step::get("/").with_header("authorization", "Basic dTpw")]).await;
        let settings = format!("basic_auth: {{username_file: {}, password_file: {}}}", path("u"), path("p"));
        get(&client(&settings), &server.url("/")).await.expect("a reply");
        server.finish().await;
    });
}

#[test]
fn no_credentials_are_shown() {
    let config: HttpClientConfig = serde_yaml::from_str(
        "{oauth2: {client_id: i, client_secret: hunter2, token_url: 'http://u:hunter2@t?key=hunter2', \
            endpoint_params: {client_assertion: hunter2, audience: a}}, \
          http_headers: {X-A: {secrets: [hunter2]}}, tls_config: {key: hunter2}, bearer_token: hunter2}",
    )
    .expect("parses");
    let text = format!("{config:?} {}", serde_json::to_string(&config).expect("serialises"));
    assert!(!text.contains("hunter2"), "{text}");
    assert!(text.contains(r#""endpoint_params":{"audience":"a","client_assertion":"<secret>"}"#), "{text}");
}
