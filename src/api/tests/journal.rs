//! What happened, what was and what happens, asked over a real socket.

use std::time::Duration;

use futures_util::FutureExt;
use http::StatusCode;
use rosterd_testkit::{eventually_ok, leak_checked_live, patience};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Face, group, job, json_of};

async fn one_job() -> Face {
    let face = Face::start(|_| {}).await;
    face.handle.set_jobs(vec![job("one", "static/1", "[]")], Duration::from_secs(300)).await;
    face.report("static/1", vec![group("s", &["a:1", "b:1"])]).await;
    face
}

/// An answer of the journal, once it has so many events.
pub(super) async fn told(face: &Face, path: &str, events: usize) -> Value {
    eventually_ok(patience(), "the events are written", async || {
        let answer = face.json(path).await;
        match answer["data"]["events"].as_array() {
            Some(found) if found.len() == events => Ok(answer["data"].clone()),
            _ => Err(answer.to_string()),
        }
    })
    .await
}

fn shown(page: &Value) -> Vec<String> {
    let event = |event: &Value| {
        let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
        [&event["kind"], &event["labels"]["instance"], &event["source"], &event["reason"]].map(text).join(" ")
    };
    page["events"].as_array().unwrap().iter().map(event).collect()
}

#[test]
fn a_job_that_neither_the_roster_nor_the_journal_knows_is_refused() {
    leak_checked_live(async || {
        let face = one_job().await;
        told(&face, "/api/v1/journal?kind=added", 2).await;
        face.handle.set_jobs(vec![job("two", "static/1", "[]")], Duration::from_secs(300)).await;
        told(&face, "/api/v1/journal?job=one&kind=removed", 2).await;
        for path in ["/api/v1/journal?", "/api/v1/roster?", "/api/v1/targets?", "/api/v1/explain?q=a:1&"] {
            let answer = face.get(&format!("{path}job=twoo")).await;
            assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
            let error = json_of(answer).await;
            assert_eq!(error["code"], "roster_unknown_job", "{path}");
            assert_eq!(error["message"], "there is no job \"twoo\"; did you mean \"two\"?", "{path}");
            assert_eq!(face.get(&format!("{path}job=two")).await.status(), StatusCode::OK, "{path}");
            // It is gone, and the journal tells of it.
            let gone = face.get(&format!("{path}job=one")).await.status();
            assert_eq!(gone == StatusCode::OK, path != "/api/v1/targets?", "{path}");
        }
        let explained = face.get("/explain?q=a:1&job=one").await;
        assert_eq!(explained.status(), StatusCode::OK);
        assert!(explained.text().await.unwrap().contains("a:1 of job one is gone"));
        let lately = face.json("/api/v1/journal?job=one&kind=removed&from=2h").await["data"]["events"].clone();
        assert_eq!(lately.as_array().map(Vec::len), Some(2), "{lately}");
        let later = face.get("/journal?job=one&kind=removed&from=2h").await;
        assert!(later.text().await.unwrap().contains(">removed</span>"));
        let nothing = face.json("/api/v1/journal?job=one&kind=up").await["data"]["events"].clone();
        assert_eq!(nothing, json!([]), "it is known, and had none of these");
        let both = face.get("/api/v1/journal?job=two&job=nope").await.status();
        assert_eq!(both, StatusCode::NOT_FOUND);
        assert_eq!(face.get("/api/v1/targets?scrapePool=nope").await.status(), StatusCode::OK, "as in Prometheus");
        face.stop().await;
    });
}

#[test]
fn events_are_told_in_pages_with_source_and_reason() {
    leak_checked_live(async || {
        let face = one_job().await;
        let page = told(&face, "/api/v1/journal?kind=added,removed&order=oldest", 2).await;
        let mut added = shown(&page);
        added.sort();
        assert_eq!(added, ["added a:1 s source", "added b:1 s source"]);
        face.report("static/1", vec![group("s", &["b:1"])]).await;
        told(&face, "/api/v1/journal?kind=removed", 1).await;
        let newest = face.json("/api/v1/journal?job=one&limit=1").await["data"].clone();
        assert_eq!((shown(&newest), &newest["more"]), (vec!["removed a:1 s source".to_owned()], &json!(true)));
        let next = face.json(&format!("/api/v1/journal?job=one&cursor={}", newest["cursor"])).await;
        assert_eq!(next["data"]["events"].as_array().unwrap().len(), 2);
        let of_a = face.json("/api/v1/journal?selector=a:1&order=oldest").await["data"].clone();
        assert_eq!(shown(&of_a), ["added a:1 s source", "removed a:1 s source"]);
        face.stop().await;
    });
}

#[test]
fn what_cannot_be_meant_is_refused_with_what_can() {
    leak_checked_live(async || {
        let face = one_job().await;
        told(&face, "/api/v1/journal?kind=added", 2).await;
        let one = "%7Ba=%22b%22%7D";
        let long = format!("/api/v1/journal?selector={one}{}", format!("+or+{one}").repeat(300));
        for path in [
            long.as_str(),
            "/api/v1/journal?kind=gone",
            "/api/v1/journal?from=yesterday",
            "/api/v1/journal?order=up",
            "/api/v1/journal?cursor=x",
            "/api/v1/journal?selector={a",
            "/api/v1/roster?at=x",
            "/api/v1/watch?cursor=x",
        ] {
            let answer = face.get(path).await;
            assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{path}");
            assert_eq!(json_of(answer).await["code"], "web_bad_parameter", "{path}");
        }
        for (path, meant) in [
            ("/api/v1/journal?kind=added,reload", "it is one of added, changed, "),
            ("/api/v1/journal?kind=added,reload", ", damaged; did you mean `reloaded`?"),
            ("/api/v1/targets?health=don", "it is one of up, down, unknown, held; did you mean `down`?"),
            ("/api/v1/operations?state=fail", "it is one of enqueued, in_flight, failed, done; did you mean `failed`?"),
            ("/api/v1/top?by=sample", "it is one of samples, bytes, duration, failures; did you mean `samples`?"),
        ] {
            let said = json_of(face.get(path).await).await;
            assert_eq!(said["code"], "web_bad_parameter", "{path}");
            assert!(said["message"].as_str().is_some_and(|message| message.contains(meant)), "{path}: {said}");
        }
        let early = face.get("/api/v1/roster?at=1").await;
        assert_eq!(early.status(), StatusCode::NOT_FOUND);
        assert_eq!(json_of(early).await["code"], "journal_too_early");
        face.stop().await;
    });
}

#[test]
fn the_roster_of_a_time_and_what_changed_since_are_told() {
    leak_checked_live(async || {
        let face = one_job().await;
        let added = told(&face, "/api/v1/journal?kind=added", 2).await;
        let then = added["events"][0]["time"].as_str().unwrap().to_owned();
        // Times are in milliseconds: what follows has to be later.
        eventually_ok(patience(), "the clock goes on", async || {
            let now = jiff::Timestamp::now().as_millisecond();
            let then = then.parse::<jiff::Timestamp>().unwrap().as_millisecond();
            if now > then { Ok(()) } else { Err(then.to_string()) }
        })
        .await;
        face.report("static/1", vec![group("s", &["b:1", "c:1"])]).await;
        told(&face, "/api/v1/journal?kind=removed", 1).await;
        let names = |rows: &Value| -> Vec<String> {
            let name = |row: &Value| row["labels"]["instance"].as_str().unwrap().to_owned();
            rows.as_array().unwrap().iter().map(name).collect()
        };
        let before = face.json(&format!("/api/v1/roster?at={then}&job=one")).await["data"].clone();
        assert_eq!((names(&before["targets"]), &before["complete"]), (vec!["a:1".into(), "b:1".into()], &json!(true)));
        let now = face.json("/api/v1/roster?limit=1").await["data"].clone();
        assert_eq!((names(&now["targets"]), &now["targetCount"]), (vec!["b:1".into()], &json!(2)));
        let changes = face.json(&format!("/api/v1/roster?at={then}&diff=4000000000")).await["data"].clone();
        assert_eq!((names(&changes["added"]), names(&changes["removed"])), (vec!["c:1".into()], vec!["a:1".into()]));
        assert_eq!(changes["counts"], json!({"added": 1, "removed": 1, "held": 0, "released": 0}));
        let none = face.json("/api/v1/roster?selector={instance=\"x\"}").await;
        assert_eq!(none["data"]["targetCount"], 0);
        face.stop().await;
    });
}

/// What a client reads of a stream until a text is in it.
async fn watched(face: &Face, path: &str, header: &str, until: &str) -> String {
    let address = face.base.strip_prefix("http://").unwrap();
    let mut socket = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n{header}\r\n");
    socket.write_all(request.as_bytes()).await.unwrap();
    let (mut read, mut buffer) = (String::new(), [0; 4096]);
    let reading = async {
        while !read.contains(until) {
            let length = socket.read(&mut buffer).await.unwrap();
            assert!(length > 0, "the stream ended without {until}: {read}");
            read.push_str(&String::from_utf8_lossy(&buffer[..length]));
        }
    };
    assert!(tokio::time::timeout(patience(), reading).await.is_ok(), "no {until}");
    read
}

#[test]
fn a_client_that_comes_back_with_the_last_id_loses_nothing() {
    leak_checked_live(async || {
        let face = one_job().await;
        let added = told(&face, "/api/v1/journal?kind=added&order=oldest", 2).await;
        let first = added["events"][0]["number"].to_string();
        let read = watched(&face, &format!("/api/v1/watch?cursor={first}"), "", "event: added").await;
        assert!(read.contains("content-type: text/event-stream"), "{read}");
        assert!(read.contains(&format!("id: {first}\n\n")), "it begins with where it goes on: {read}");
        let second = added["events"][1]["number"].to_string();
        assert!(read.contains(&format!("id: {second}\nevent: added\ndata: {{\"number\":{second},")), "{read}");
        // While nobody listens.
        face.report("static/1", vec![group("s", &["b:1"])]).await;
        let back = format!("Last-Event-ID: {second}\r\n");
        let read = watched(&face, "/api/v1/watch?kind=added,removed", &back, "event: removed").await;
        assert!(!read.contains("event: added") && !read.contains("event: gap"), "{read}");
        let lost = watched(&face, "/api/v1/watch?cursor=7&kind=removed", "", "event: removed").await;
        assert!(lost.find("event: gap") < lost.find("event: removed"), "{lost}");
        face.stop().await;
    });
}

#[test]
fn the_roster_of_a_time_to_come_is_that_of_now() {
    leak_checked_live(async || {
        let face = one_job().await;
        told(&face, "/api/v1/journal?kind=added", 2).await;
        let (now, later) = (face.json("/api/v1/roster").await, face.json("/api/v1/roster?at=2099-01-01").await);
        assert_eq!(
            (&now["data"]["targets"], now["data"]["targetCount"].as_u64()),
            (&later["data"]["targets"], Some(2))
        );
        face.stop().await;
    });
}

#[test]
fn no_more_clients_follow_than_may_wait() {
    leak_checked_live(async || {
        let face = Face::start(|state| state.waiting = std::sync::Arc::new(tokio::sync::Semaphore::new(0))).await;
        let refused = face.get("/api/v1/watch").await;
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(json_of(refused).await["code"], "web_too_many_waiting");
        face.stop().await;
    });
}

#[test]
fn a_client_that_is_slow_to_take_a_large_roster_keeps_others_from_as_large_ones_alone() {
    leak_checked_live(async || {
        let mut journal = None;
        let face = Face::start(|state| journal = Some(state.journal.clone())).await;
        let journal = journal.unwrap();
        face.handle.set_jobs(vec![job("one", "static/1", "[]")], Duration::from_secs(300)).await;
        // More than sockets hold for a client that does not read.
        let addresses: Vec<_> = (0..20_000).map(|number| format!("{}{number}:1", "h".repeat(1000))).collect();
        face.report("static/1", vec![group("s", &addresses.iter().map(String::as_str).collect::<Vec<_>>())]).await;
        let written = async || {
            let count = face.json("/api/v1/roster?limit=1").await["data"]["targetCount"].clone();
            if count == 20_000 { Ok(()) } else { Err(format!("{count} targets")) }
        };
        eventually_ok(patience(), "all of it is written", written).await;
        let mut untaken = Vec::new();
        for _ in 0..crate::journal::TAKEN {
            let answer = face.get("/api/v1/roster?limit=20000").await;
            assert_eq!(answer.status(), StatusCode::OK);
            untaken.push(answer);
        }
        let refused = face.get("/api/v1/roster?limit=20000").await;
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(json_of(refused).await["code"], "web_too_many_large");
        // Before it is found out what there is to answer.
        let early = async |limit: usize| {
            let refused = face.get(&format!("/api/v1/roster?limit={limit}&at=1970-01-01T00:00:00Z")).await;
            json_of(refused).await["code"].clone()
        };
        assert_eq!((early(20_000).await, early(1).await), ("web_too_many_large".into(), "journal_too_early".into()));
        assert_eq!(face.get("/api/v1/roster?limit=1").await.status(), StatusCode::OK);
        let turns = [journal.rebuild().now_or_never(), journal.rebuild().now_or_never()];
        assert!(turns.iter().all(Option::is_some), "no turn is held by who does not read");
        drop((untaken, turns));
        let again = async || match face.get("/api/v1/roster?limit=20000").await.status() {
            StatusCode::OK => Ok(()),
            other => Err(other.to_string()),
        };
        eventually_ok(patience(), "there is a place again", again).await;
        face.stop().await;
    });
}
