//! Without TLS: headers, redirects, proxies, time and size.

use std::io::Write;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use rosterd_model::{Coded, Retry};
use rosterd_testkit::{ScriptedServer, Step, free_address, leak_checked_live};

use super::*;

#[test]
fn headers_of_the_configuration_are_added() {
    leak_checked_live(async || {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("h"), "from file\n").expect("written");
        let step = Step::get("/").with_header("x-a", "v").with_header("x-b", "s").with_header("x-c", "from file");
        let user_agent = concat!("rosterd/", env!("CARGO_PKG_VERSION"));
        let server = ScriptedServer::start([step.with_header("user-agent", user_agent)]).await;
        let file = folder.path().join("h");
        let headers = format!("{{X-A: {{values: [v]}}, X-B: {{secrets: [s]}}, X-C: {{files: [{}]}}}}", file.display());
        get(&client(&format!("http_headers: {headers}")), &server.url("/")).await.expect("a reply");
        server.finish().await;
    });
}

#[test]
fn an_unreadable_header_file_is_named_and_comes_back() {
    leak_checked_live(async || {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("h");
        let server = ScriptedServer::start([Step::get("/").with_header("x-a", "now")]).await;
        let client = client(&format!("http_headers: {{X-A: {{files: [{}]}}}}", file.display()));
        let error = get(&client, &server.url("/")).await.expect_err("no file");
        assert_eq!(error.to_string(), format!("cannot read {}", file.display()));
        std::fs::write(&file, "now").expect("written");
        get(&client, &server.url("/")).await.expect("a reply");
        server.finish().await;
    });
}

#[test]
fn credentials_do_not_follow_to_another_host() {
    leak_checked_live(async || {
        let there = ScriptedServer::start([Step::get("/there")
            .without_header("authorization")
            .without_header("x-key")
            .with_header("x-open", "o")])
        .await;
        // The same machine by another name.
        let other = format!("http://localhost:{}/there", there.address().port());
        let here = ScriptedServer::start([
            Step::get("/").with_header("authorization", "Basic dTpw").status(302).reply_header("location", "/next"),
            Step::get("/next")
                .with_header("authorization", "Basic dTpw")
                .with_header("x-key", "k")
                .status(307)
                .reply_header("location", &other),
        ])
        .await;
        let settings = "{basic_auth: {username: u, password: p}, \
                        http_headers: {X-Key: {secrets: [k]}, X-Open: {values: [o]}}}";
        let reply = get(&client(settings), &here.url("/")).await.expect("a reply");
        assert_eq!(reply.url().to_string(), other);
        here.finish().await;
        there.finish().await;
    });
}

#[test]
fn credentials_stay_away_once_the_host_was_left() {
    leak_checked_live(async || {
        let server = ScriptedServer::start([]).await;
        let elsewhere = format!("http://localhost:{}/b", server.address().port());
        server.then(
            Step::get("/a").with_header("authorization", "Bearer t").status(302).reply_header("location", &elsewhere),
        );
        server.then(
            Step::get("/b").without_header("authorization").status(302).reply_header("location", &server.url("/c")),
        );
        server.then(Step::get("/c").without_header("authorization"));
        get(&client("bearer_token: t"), &server.url("/a")).await.expect("a reply");
        server.finish().await;
    });
}

#[test]
fn redirects_end_somewhere_or_are_not_followed() {
    leak_checked_live(async || {
        let round = Step::get("/").any_times().status(302).reply_header("location", "/");
        let server = ScriptedServer::start([round]).await;
        let error = get(&client("{}"), &server.url("/")).await.expect_err("a circle");
        assert_eq!((error.code(), server.requests().len()), ("http_redirect", 11));
        let reply = get(&client("follow_redirects: false"), &server.url("/")).await.expect("a reply");
        assert_eq!(reply.status(), 302);
        server.finish().await;
    });
}

#[test]
fn secrets_in_a_body_go_to_no_other_host() {
    leak_checked_live(async || {
        let server = ScriptedServer::start([]).await;
        let elsewhere = format!("http://localhost:{}/b", server.address().port());
        let post = |has_secrets| Request {
            has_secrets,
            ..Request::post(server.url("/a").parse().expect("a URL"), "password")
        };
        let ask = |has_secrets| async move { client("{}").send(post(has_secrets)).await };
        server.then(Step::post("/a").status(307).reply_header("location", &elsewhere));
        let error = ask(true).await.expect_err("it is sent there");
        assert_eq!((error.code(), server.requests().len()), ("http_redirect", 1));
        // To the same host, and what is no secret to any.
        server.then(Step::post("/a").status(307).reply_header("location", &server.url("/b")));
        server.then(Step::post("/b").with_body("password"));
        assert_eq!(ask(true).await.expect("a reply").status(), 200);
        server.then(Step::post("/a").status(308).reply_header("location", &elsewhere));
        server.then(Step::post("/b").with_body("password"));
        assert_eq!(ask(false).await.expect("a reply").status(), 200);
        server.finish().await;
    });
}

#[test]
fn plain_requests_go_through_the_proxy_whole() {
    leak_checked_live(async || {
        let proxy = ScriptedServer::start([Step::get("/x")
            .with_header("host", "target.invalid")
            .with_header("proxy-authorization", "Basic dTpw")
            .without_header("x-connect")
            .body("by proxy")])
        .await;
        let settings =
            format!("{{proxy_url: 'http://u:p@{}', proxy_connect_header: {{X-Connect: [c]}}}}", proxy.address());
        assert_eq!(body(&client(&settings), "http://target.invalid/x").await.expect("a reply"), "by proxy");
        proxy.finish().await;
    });
}

#[test]
fn exceptions_are_reached_without_the_proxy() {
    leak_checked_live(async || {
        let server = ScriptedServer::start([Step::get("/").body("direct")]).await;
        let settings = "{proxy_url: 'http://127.0.0.1:1', no_proxy: 'example.com'}";
        assert_eq!(body(&client(settings), &server.url("/")).await.expect("a reply"), "direct");
        server.finish().await;
    });
}

#[test]
fn a_body_counts_as_large_as_it_is_unpacked() {
    leak_checked_live(async || {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
        gzip.write_all(&vec![b'x'; 10 << 20]).expect("packed");
        let bomb = gzip.finish().expect("packed");
        assert!(bomb.len() < 20_000);
        let packed =
            Step::get("/").with_header("accept-encoding", "gzip").reply_header("content-encoding", "gzip").body(bomb);
        let server = ScriptedServer::start([packed.clone(), packed, Step::get("/").body("12345")]).await;
        let client = client("{}");
        let mut reply = get(&client, &server.url("/")).await.expect("a reply");
        let mut buffer = Vec::new();
        let error = reply.read_into(&mut buffer, Some(100_000)).await.expect_err("too large");
        assert_eq!((error.code(), error.retry()), ("http_too_large", Retry::Interval));
        assert!(buffer.capacity() < 400_000, "{}", buffer.capacity());
        drop(reply);
        let reply = get(&client, &server.url("/")).await.expect("a reply");
        assert_eq!(reply.body(Some(10 << 20)).await.expect("exactly the limit").len(), 10 << 20);
        let reply = get(&client, &server.url("/")).await.expect("a reply");
        assert_eq!(reply.body(Some(4)).await.expect_err("too large").code(), "http_too_large");
        server.finish().await;
    });
}

#[test]
fn a_packed_body_may_have_several_members() {
    leak_checked_live(async || {
        let member = |text: &str| {
            let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
            gzip.write_all(text.as_bytes()).expect("packed");
            gzip.finish().expect("packed")
        };
        let packed = |body: Vec<u8>| Step::get("/").reply_header("content-encoding", "GZip").body(body);
        let whole = [member("one, "), member(""), member("two")].concat();
        let torn = whole[..whole.len() - 1].to_vec();
        let server = ScriptedServer::start([packed(whole), packed(torn), packed(Vec::new())]).await;
        let client = client("{}");
        assert_eq!(body(&client, &server.url("/")).await.expect("a reply"), "one, two");
        assert_eq!(body(&client, &server.url("/")).await.expect_err("it is torn").code(), "http_broken");
        assert_eq!(body(&client, &server.url("/")).await.expect("a reply"), "");
        server.finish().await;
    });
}

#[test]
fn the_time_covers_the_head_and_the_body() {
    leak_checked_live(async || {
        let server = ScriptedServer::start([Step::get("/user").stall()]).await;
        let mut request = Request::get(format!("http://u:hunter2@{}/user", server.address()).parse().expect("a URL"));
        request.timeout = Some(Duration::from_millis(50));
        let error = client("{}").send(request).await.expect_err("too slow");
        assert_eq!(error.to_string(), format!("no complete reply of {} within 50ms", server.url("/user")));
        assert_eq!(error.code(), "http_timeout");
        server.finish().await;
    });
}

#[test]
fn nobody_there_is_told_without_the_password() {
    leak_checked_live(async || {
        let port = free_address().port();
        let error = get(&client("{}"), &format!("http://u:hunter2@127.0.0.1:{port}/")).await.expect_err("nobody");
        let report = rosterd_model::Report::of(&error);
        assert_eq!((error.code(), error.retry()), ("http_connect", Retry::Backoff));
        let text = format!("{report} {error:?}");
        assert!(text.contains("refused") && !text.contains("hunter2"), "{text}");
    });
}
