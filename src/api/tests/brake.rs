//! Removals that are held: what is told of them, who lets go of them, and lists without them.

use std::time::Duration;

use http::StatusCode;
use rosterd_testkit::leak_checked_live;
use serde_json::{Value, json};

use super::{Face, group, job, journal, json_of};
use crate::roster::brake::{Brake, Confirm};
use crate::roster::{JobSpec, Keeping};

/// A face of a roster in which the removal of three targets of four is held.
async fn braked() -> Face {
    let face = Face::start(|_| {}).await;
    let brake = Brake { share: 0.5, min_targets: 4, window: Duration::from_secs(600), confirm: Confirm::Never };
    let keeping = Keeping { brake: Some(brake), grace: Duration::ZERO };
    let jobs = vec![JobSpec { keeping, ..job("one", "static/1", "[]") }, job("two", "static/1", "[]")];
    face.handle.set_jobs(jobs, Duration::from_secs(300)).await;
    face.report("static/1", vec![group("s", &["a:1", "b:1", "c:1", "d:1"])]).await;
    journal::told(&face, "/api/v1/journal?kind=added&job=one", 4).await;
    face.report("static/1", vec![group("s", &["a:1"])]).await;
    face
}

async fn listed(face: &Face, path: &str) -> Vec<String> {
    let list = face.json(path).await;
    let of = |group: &Value| group["targets"][0].as_str().unwrap().to_owned();
    let mut targets: Vec<_> = list.as_array().unwrap().iter().map(of).collect();
    targets.sort();
    targets
}

#[test]
fn a_removal_that_is_held_is_told_and_let_go_of() {
    leak_checked_live(async || {
        let face = braked().await;
        let told = &face.json("/api/v1/brake").await["data"]["brakes"];
        let mut first = told[0].clone();
        assert!(first["since"].take().is_string());
        assert_eq!(
            (told.as_array().unwrap().len(), first),
            (
                1,
                json!({"job": "one", "held": 3, "targets": 4, "since": null, "confirm": "never",
                       "providers": [{"provider": "static/1", "held": 3}]})
            )
        );
        let asked = |path: &str| face.request("POST", path).send();
        let unknown = asked("/api/v1/brake/release?job=onne").await.unwrap();
        assert_eq!(
            (unknown.status(), json_of(unknown).await["code"].clone()),
            (StatusCode::NOT_FOUND, json!("roster_unknown_job"))
        );
        assert_eq!(asked("/api/v1/brake/release").await.unwrap().status(), StatusCode::BAD_REQUEST);
        let foreign = face.request("POST", "/api/v1/brake/release?job=one").header("sec-fetch-site", "cross-site");
        assert_eq!(foreign.send().await.unwrap().status(), StatusCode::FORBIDDEN);
        assert_eq!(listed(&face, "/sd/one").await.len(), 4);
        let events = &journal::told(&face, "/api/v1/journal?kind=brake&job=one", 1).await["events"];
        assert_eq!(
            (&events[0]["reason"], &events[0]["provider"], &events[0]["detail"]),
            (&json!("braked"), &json!("static/1"), &json!("3 of 4 targets are gone at once, and held"))
        );
        for released in [3, 0] {
            let answer = json_of(asked("/api/v1/brake/release?job=one").await.unwrap()).await;
            assert_eq!(answer["data"], json!({"job": "one", "released": released}));
        }
        let events = &journal::told(&face, "/api/v1/journal?kind=brake&job=one", 2).await["events"];
        assert_eq!(
            (&events[0]["reason"], &events[0]["detail"]),
            (&json!("released"), &json!("somebody let go of 3 targets"))
        );
        assert_eq!(listed(&face, "/sd/one").await, ["a:1"]);
        assert_eq!(face.json("/api/v1/brake").await["data"]["brakes"], json!([]));
        face.stop().await;
    });
}

#[test]
fn lists_are_without_what_is_held_for_who_asks_for_that() {
    leak_checked_live(async || {
        let face = braked().await;
        assert_eq!(listed(&face, "/sd/one").await.len(), 4);
        assert_eq!(listed(&face, "/sd/one?held=false").await, ["a:1"]);
        let (with, without) = (face.get("/sd/one").await, face.get("/sd/one?held=false").await);
        assert_eq!(with.headers()["x-rosterd-held"], "braked=3");
        assert!(!without.headers().contains_key("x-rosterd-held"));
        assert_ne!(with.headers()["etag"], without.headers()["etag"]);
        assert_eq!(without.headers()["etag"].len(), with.headers()["etag"].len());
        drop((with.bytes().await, without.bytes().await));
        assert_eq!(listed(&face, "/sd?held=false").await, ["a:1", "a:1"]);
        assert_eq!(face.get("/sd/one?held=no").await.status(), StatusCode::BAD_REQUEST);
        let targets = face.json("/api/v1/targets?state=active&scrapePool=one").await;
        let active = targets["data"]["activeTargets"].as_array().unwrap();
        let held: Vec<_> = active.iter().filter(|target| target["held"]["reason"] == "braked").collect();
        assert_eq!((active.len(), held.len()), (4, 3));
        face.stop().await;
    });
}

#[test]
fn the_overview_has_a_button_that_lets_go_of_what_is_braked() {
    leak_checked_live(async || {
        let face = braked().await;
        let page = face.get("/").await.text().await.unwrap();
        for text in [
            "<b>3 of 4 targets of “one” are braked: their sources say that they are gone.</b>",
            "They go when you let them go.",
            "<form method=\"post\" action=\"/brake/release?job=one\">",
        ] {
            assert!(page.contains(text), "{text} is not in {page}");
        }
        let targets = face.get("/targets?job=one&health=held").await.text().await.unwrap();
        assert_eq!(targets.matches("nobody has confirmed it yet").count(), 3, "{targets}");
        let foreign = face.request("POST", "/brake/release?job=one").header("sec-fetch-site", "cross-site");
        assert_eq!(foreign.send().await.unwrap().status(), StatusCode::FORBIDDEN);
        let pressed = face.request("POST", "/brake/release?job=one").send().await.unwrap();
        assert_eq!((pressed.status(), &pressed.headers()["location"]), (StatusCode::SEE_OTHER, &"/".parse().unwrap()));
        assert!(!face.get("/").await.text().await.unwrap().contains("are braked"));
        assert_eq!(listed(&face, "/sd/one").await, ["a:1"]);
        let unknown = face.request("POST", "/brake/release?job=x").header("accept", "text/html").send().await.unwrap();
        assert_eq!(unknown.status(), StatusCode::NOT_FOUND);
        assert!(unknown.text().await.unwrap().contains("there is no job &#34;x&#34;"));
        face.stop().await;
    });
}

#[test]
fn targets_are_counted_and_not_the_entries_that_come_to_them() {
    leak_checked_live(async || {
        let face = Face::start(|_| {}).await;
        let brake = Brake { share: 0.5, min_targets: 4, window: Duration::from_secs(600), confirm: Confirm::Never };
        let keeping = Keeping { brake: Some(brake), grace: Duration::from_secs(3600) };
        face.handle.set_jobs(vec![JobSpec { keeping, ..job("one", "static/1", "[]") }], Duration::from_secs(300)).await;
        let twice = |addresses: &[&str]| vec![group("s", addresses), group("t", addresses)];
        face.report("static/1", twice(&["a:1", "b:1", "c:1", "d:1"])).await;
        let told = async || face.get("/sd/one").await.headers()["x-rosterd-held"].to_str().unwrap().to_owned();
        face.report("static/1", twice(&["a:1", "b:1", "c:1"])).await;
        assert_eq!(told().await, "grace=1", "all are held for one reason");
        face.report("static/1", twice(&["a:1"])).await;
        assert_eq!(told().await, "braked=2, grace=1");
        let brakes = &face.json("/api/v1/brake").await["data"]["brakes"];
        assert_eq!((&brakes[0]["held"], &brakes[0]["targets"]), (&json!(2), &json!(4)));
        face.stop().await;
    });
}
