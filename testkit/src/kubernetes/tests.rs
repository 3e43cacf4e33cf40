//! The fake API server does what real ones do, as far as it goes.

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{FakeApiServer, Fault, On};
use crate::{Folder, Process, eventually, get, leak_checked_live, need, patience};

fn pod(namespace: &str, name: &str, app: &str) -> Value {
    json!({"kind": "Pod", "metadata": {"namespace": namespace, "name": name, "labels": {"app": app}}, "status": {"phase": "Running"}})
}

async fn list(server: &FakeApiServer, path: &str) -> Value {
    let (status, body) = get(&server.url(path)).await.expect("an answer");
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).expect("JSON")
}

fn names(list: &Value) -> Vec<&str> {
    let items = list["items"].as_array().expect("items").iter();
    items.map(|item| item["metadata"]["name"].as_str().expect("a name")).collect()
}

/// Reads a watch until it has told so many events: their types, and the names and versions of their objects.
async fn watch(server: &FakeApiServer, path: &str, events: usize, then: impl FnOnce()) -> Vec<String> {
    let mut stream = TcpStream::connect(server.address()).await.expect("it listens");
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("it reads");
    server.wait_watches(1).await;
    then();
    let (mut text, mut piece) = (String::new(), [0; 4096]);
    while text.matches("\"type\":").count() < events || !text.ends_with("\n\r\n") {
        let read = stream.read(&mut piece).await.expect("it writes");
        assert!(read > 0, "{text}");
        text.push_str(&String::from_utf8_lossy(&piece[..read]));
    }
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let events = lines.filter(|line| line.is_object()).map(|event| {
        let meta = &event["object"]["metadata"];
        let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
        format!("{} {} {}", text(&event["type"]), text(&meta["name"]), text(&meta["resourceVersion"]))
    });
    events.collect()
}

#[test]
fn lists_have_pages_and_selectors() {
    leak_checked_live(async || {
        let server = FakeApiServer::start().await;
        for (namespace, name, app) in [("a", "x", "web"), ("a", "y", "db"), ("b", "z", "web")] {
            server.put(pod(namespace, name, app));
        }
        assert_eq!(names(&list(&server, "/api/v1/pods").await), ["x", "y", "z"]);
        assert_eq!(names(&list(&server, "/api/v1/namespaces/a/pods").await), ["x", "y"]);
        for (selector, wanted) in [
            ("labelSelector=app%3Dweb", &["x", "z"][..]),
            ("labelSelector=app+in+(web,db)", &["x", "y", "z"]),
            ("labelSelector=app+notin+(web),app", &["y"]),
            ("labelSelector=!app", &[]),
            ("labelSelector=app!%3Dweb", &["y"]),
            ("fieldSelector=metadata.name%3Dy", &["y"]),
            ("fieldSelector=status.phase!%3DRunning", &[]),
        ] {
            assert_eq!(names(&list(&server, &format!("/api/v1/pods?{selector}")).await), wanted, "{selector}");
        }
        let first = list(&server, "/api/v1/pods?limit=2").await;
        server.delete("pods", "b", "z");
        let token = first["metadata"]["continue"].as_str().expect("there is more");
        let rest = list(&server, &format!("/api/v1/pods?limit=2&continue={token}")).await;
        assert_eq!((names(&first), names(&rest)), (vec!["x", "y"], vec!["z"]));
        assert_eq!(first["metadata"]["resourceVersion"], rest["metadata"]["resourceVersion"]);
        server.compact();
        let (status, _) = get(&server.url(&format!("/api/v1/pods?limit=2&continue={token}"))).await.expect("an answer");
        assert_eq!(status, 410);
        server.finish().await;
    });
}

#[test]
fn watches_tell_what_happened_since_a_version() {
    leak_checked_live(async || {
        let server = FakeApiServer::start().await;
        server.put(pod("a", "x", "web"));
        server.put(pod("a", "y", "web"));
        let told = watch(
            &server,
            "/api/v1/pods?watch=1&resourceVersion=1&allowWatchBookmarks=true&labelSelector=app%3Dweb",
            5,
            || {
                server.put(pod("a", "x", "web"));
                server.put(pod("a", "x", "db"));
                server.put(pod("a", "x", "db"));
                server.delete("pods", "a", "y");
                server.bookmark();
            },
        );
        assert_eq!(told.await, ["ADDED y 2", "MODIFIED x 3", "DELETED x 4", "DELETED y 6", "BOOKMARK - 6"]);
        server.compact();
        let (status, _) = get(&server.url("/api/v1/pods?watch=1&resourceVersion=6")).await.expect("an answer");
        assert_eq!(status, 410);
        server.finish().await;
    });
}

#[test]
fn lists_are_streamed_to_who_asks_for_that() {
    leak_checked_live(async || {
        let server = FakeApiServer::start().await;
        server.put(pod("a", "x", "web"));
        let path =
            "/api/v1/pods?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
        let told = watch(&server, path, 3, || server.put(pod("a", "y", "web"))).await;
        assert_eq!(told, ["ADDED x 1", "BOOKMARK - 1", "ADDED y 2"]);
        server.streams_lists(false);
        assert_eq!(get(&server.url(path)).await.expect("an answer").0, 422);
        server.finish().await;
    });
}

#[test]
fn requests_fail_as_they_are_told_to() {
    leak_checked_live(async || {
        let server = FakeApiServer::start().await;
        server.put(pod("a", "x", "web"));
        server.fail(On::resource("pods").in_namespace("a"), Fault::Status(403));
        let (status, body) = get(&server.url("/api/v1/namespaces/a/pods")).await.expect("an answer");
        assert_eq!(status, 403);
        assert!(body.contains("cannot list resource"), "{body}");
        assert_eq!(names(&list(&server, "/api/v1/pods").await), ["x"]);
        server.heal();
        server.fail(On::all().by("list"), Fault::Cut(40));
        assert!(get(&server.url("/api/v1/pods")).await.is_err());
        server.heal();
        server.fail(On::all(), Fault::Slow(7, Duration::from_millis(1)));
        assert_eq!(names(&list(&server, "/api/v1/pods").await), ["x"]);
        server.heal();
        server.fail(On::all(), Fault::Stall(40));
        let mut stream = TcpStream::connect(server.address()).await.expect("it listens");
        let before = server.bytes_sent();
        stream.write_all(b"GET /api/v1/pods HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.expect("it reads");
        eventually(patience(), "the answer stops", || server.bytes_sent() == before + 40).await;
        server.heal();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.expect("it writes");
        assert!(text.contains("\"x\"") && server.bytes_sent() > before + 40, "{text}");
        server.lacks("ingresses");
        assert_eq!(get(&server.url("/apis/networking.k8s.io/v1/ingresses")).await.expect("an answer").0, 404);
        server.wants_token("t");
        assert_eq!(get(&server.url("/api/v1/pods")).await.expect("an answer").0, 401);
        server.finish().await;
    });
}

#[test]
fn kubectl_reads_and_watches_it() {
    leak_checked_live(async || {
        let (server, folder) = (FakeApiServer::start().await, Folder::new());
        server.put(pod("a", "x", "web"));
        server
            .put(json!({"kind": "EndpointSlice", "metadata": {"namespace": "a", "name": "e"}, "addressType": "IPv4"}));
        let kubectl = |arguments: &[&str]| {
            let mut command = Command::new(need("kubectl", "kubernetes-client"));
            let fixed = ["--kubeconfig=/dev/null".to_owned(), format!("--server={}", server.url(""))];
            let cache = format!("--cache-dir={}", folder.path("cache").display());
            Process::start("kubectl", command.args(fixed).arg(cache).args(arguments))
        };
        for (arguments, told) in [
            (&["get", "pods", "--all-namespaces", "-o", "name"][..], "pod/x\n"),
            (&["get", "endpointslices", "-n", "a", "-o", "name"], "endpointslice.discovery.k8s.io/e\n"),
        ] {
            let mut process = kubectl(arguments);
            assert!(process.wait().await.success(), "{}", process.log());
            assert!(process.log().contains(told), "{}", process.log());
        }
        let mut watching = kubectl(&["get", "pods", "-n", "a", "-o", "name", "--watch"]);
        watching.wait_log("pod/x").await;
        server.put(pod("a", "y", "web"));
        watching.wait_log("pod/y").await;
        drop(watching);
        server.finish().await;
    });
}
