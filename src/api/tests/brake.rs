//! Removals that are held: what is told of them, who lets go of them, and lists without them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use http::StatusCode;
use rosterd_discovery::{Attention, Presence, ProviderKey, ProviderStatus, Status, Update};
use rosterd_testkit::{eventually_ok, everything, leak_checked_live, patience};
use serde_json::{Value, json};

use super::{Face, group, job, journal, json_of};
use crate::api::Providers;
use crate::api::status::rfc3339;
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

/// A provider that is well and is read next at a time.
fn next(next: SystemTime) -> ProviderStatus {
    ProviderStatus {
        key: ProviderKey::new("static/1"),
        jobs: vec!["one".into()],
        reads: Arc::default(),
        status: Status { presence: Presence::Synced, next_try: Some(next), ..Status::default() },
        watches: Vec::new(),
    }
}

async fn read_next(time: SystemTime) -> Face {
    Face::start(|state| state.providers = Providers::new(move || vec![next(time)])).await
}

impl Face {
    /// Gives a job four targets, and holds the removal of three of them where another reading confirms it.
    async fn holds(&self, confirm: Confirm) {
        self.holds_of(confirm, &Attention::of_polling()).await;
    }

    /// The same, of a provider that reads in this way.
    async fn holds_of(&self, confirm: Confirm, attention: &Attention) {
        let brake = Brake { share: 0.5, min_targets: 4, window: Duration::from_secs(600), confirm };
        let keeping = Keeping { brake: Some(brake), grace: Duration::ZERO };
        self.holds_under(keeping, attention).await;
        journal::told(self, "/api/v1/journal?kind=added&job=one", 4).await;
        if confirm == Confirm::Reading {
            self.reads_as(&["a:1"], attention).await;
        }
    }

    /// Gives a job four targets, which are kept like this.
    async fn holds_under(&self, keeping: Keeping, attention: &Attention) {
        let jobs = vec![JobSpec { keeping, ..job("one", "static/1", "[]") }];
        self.handle.set_jobs(jobs, Duration::from_secs(300)).await;
        self.reads_as(&["a:1", "b:1", "c:1", "d:1"], attention).await;
    }

    /// A source is read as a whole, and has these.
    async fn reads(&self, addresses: &[&str]) {
        self.reads_as(addresses, &Attention::of_polling()).await;
    }

    async fn reads_as(&self, addresses: &[&str], attention: &Attention) {
        let mut views = self.handle.watch();
        views.borrow_and_update();
        let groups = if addresses.is_empty() { Vec::new() } else { vec![group("s", addresses)] };
        let update = everything(ProviderKey::new("static/1"), groups);
        let update = Update { read: true, attention: attention.clone(), ..update };
        self.updates.send(update).await.unwrap();
        tokio::time::timeout(patience(), views.changed()).await.unwrap().unwrap();
    }
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
                json!({"job": "one", "held": 3, "targets": 4, "since": null, "confirm": "never", "watched": false,
                       "expected": null, "graceUntil": null,
                       "release": "rosterd brake release one",
                       "keep": "rosterd: {jobs: {one: {brake: {confirm: never}}}}",
                       "providers": [{"provider": "static/1", "held": 3}]})
            )
        );
        let asked = |path: &str| face.request("POST", path).send();
        let unknown = asked("/api/v1/brake/release?job=onne").await.unwrap();
        assert_eq!(
            (unknown.status(), json_of(unknown).await["code"].clone()),
            (StatusCode::NOT_FOUND, json!("roster_unknown_job"))
        );
        let partly = asked("/api/v1/brake/release?job=one&job=onne").await.unwrap();
        assert_eq!(partly.status(), StatusCode::NOT_FOUND, "nothing goes of the first, either");
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
            let of_job = json!({"job": "one", "released": released, "grace": null});
            assert_eq!(answer["data"], json!({"job": "one", "released": released, "jobs": [of_job]}));
        }
        let events = &journal::told(&face, "/api/v1/journal?kind=brake&job=one", 2).await["events"];
        assert_eq!(
            (&events[0]["reason"], &events[0]["detail"]),
            (&json!("released"), &json!("somebody let go of 3 targets"))
        );
        let removed = &journal::told(&face, "/api/v1/journal?kind=removed&job=one", 3).await["events"];
        assert!(removed.as_array().unwrap().iter().all(|event| event["reason"] == "released"), "{removed}");
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
            "Held until it is released.",
            "<form method=\"post\" action=\"/brake/release?job=one\">",
        ] {
            assert!(page.contains(text), "{text} is not in {page}");
        }
        let targets = face.get("/targets?job=one&health=held").await.text().await.unwrap();
        let once = "so many others that nobody has confirmed it yet; held until it is released</p>";
        assert_eq!(
            (targets.matches(once).count(), targets.matches("held: braked</span>").count()),
            (1, 4),
            "{targets}"
        );
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
fn what_ends_it_and_what_keeps_it_is_told_while_there_is_time() {
    leak_checked_live(async || {
        let next = SystemTime::now() + Duration::from_secs(95);
        let face = read_next(next).await;
        face.holds(Confirm::Reading).await;
        let told = &face.json("/api/v1/brake").await["data"]["brakes"][0];
        assert_eq!((&told["confirm"], &told["expected"]), (&json!("reading"), &json!(rfc3339(next))));
        let page = face.get("/").await.text().await.unwrap();
        for text in [
            "Held until another reading confirms it, expected in 1m",
            "write <code>rosterd: {jobs: {one: {brake: {confirm: never}}}}</code> into the configuration",
            "<span class=\"badge warn\">braked</span>",
        ] {
            assert!(page.contains(text), "{text} is not in {page}");
        }
        assert!(!page.contains("stale"), "everything could be read: {page}");
        let targets = face.get("/targets?job=one").await.text().await.unwrap();
        assert!(targets.contains("held until another reading confirms it, expected in 1m"), "{targets}");
        let explained = face.json("/api/v1/explain?q=b:1").await["data"]["found"][0].clone();
        assert_eq!((&explained["held"]["confirm"], &explained["origin"]["group"]), (&json!("reading"), &json!("")));
        assert_eq!(
            explained["held"]["expected"].as_str().map(|it| it[..16].to_owned()),
            Some(rfc3339(next)[..16].to_owned())
        );
        face.stop().await;
    });
}

#[test]
fn a_source_that_is_watched_is_expected_to_confirm_within_a_minute_whenever_it_is_read_next() {
    leak_checked_live(async || {
        let face = read_next(SystemTime::now() + Duration::from_secs(300)).await;
        face.holds_of(Confirm::Reading, &Attention::default()).await;
        let told = &face.json("/api/v1/brake").await["data"]["brakes"][0];
        let time = |name: &str| told[name].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
        assert_eq!(time("expected").duration_since(time("since")).as_secs(), 60);
        assert_eq!((&told["watched"], &told["graceUntil"]), (&json!(true), &Value::Null));
        let ends = "until its source has not taken it back for a minute, expected in";
        for path in ["/", "/targets?job=one", "/explain?q=b:1"] {
            let page = face.get(path).await.text().await.unwrap();
            assert!(page.contains(ends), "{path}: {page}");
        }
        face.stop().await;
    });
}

#[test]
fn what_is_confirmed_is_told_to_stay_in_its_time_of_grace() {
    leak_checked_live(async || {
        let face = read_next(SystemTime::now() + Duration::from_secs(30)).await;
        let brake = Brake { share: 0.5, min_targets: 4, window: Duration::from_secs(600), confirm: Confirm::Reading };
        let keeping = Keeping { brake: Some(brake), grace: Duration::from_secs(90) };
        face.holds_under(keeping, &Attention::of_polling()).await;
        face.reads(&["a:1"]).await;
        let told = &face.json("/api/v1/brake").await["data"]["brakes"][0];
        let time = |name: &str| told[name].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
        assert_eq!(time("graceUntil").duration_since(time("since")).as_secs(), 90);
        let explained = face.json("/api/v1/explain?q=b:1").await["data"]["found"][0]["held"].clone();
        assert!(explained["graceUntil"].is_string() && explained.get("watched").is_none(), "{explained}");
        for path in ["/", "/targets?job=one", "/explain?q=b:1"] {
            let page = face.get(path).await.text().await.unwrap();
            assert!(page.contains(", and then in the time of grace, over in 1m"), "{path}: {page}");
        }
        face.stop().await;
    });
}

#[test]
fn the_page_that_explains_a_braked_target_has_the_ways_out() {
    leak_checked_live(async || {
        let face = Face::start(|_| {}).await;
        face.holds(Confirm::Reading).await;
        let page = async |q: &str| face.get(&format!("/explain?q={q}")).await.text().await.unwrap();
        let [held, said] = [page("b:1").await, page("a:1").await];
        for text in [
            "<form method=\"post\" action=\"/brake/release?job=one\"><button type=\"submit\">Let all of it go</button>",
            "write <code>rosterd: {jobs: {one: {brake: {confirm: never}}}}</code> into the configuration",
        ] {
            assert!(held.contains(text) && !said.contains(text), "{text}: {held} {said}");
        }
        face.stop().await;
    });
}

#[test]
fn a_job_of_which_nothing_is_left_after_its_brake_is_told_until_it_has_targets() {
    leak_checked_live(async || {
        let face = Face::start(|_| {}).await;
        face.holds(Confirm::After(Duration::from_millis(1))).await;
        let has = async |text: &str, wanted: bool| {
            eventually_ok(patience(), "the overview", async || {
                let page = face.get("/").await.text().await.unwrap();
                if page.contains(text) == wanted { Ok(()) } else { Err(format!("{text}, {wanted}: {page}")) }
            })
            .await;
        };
        has("are gone:", false).await;
        face.reads(&[]).await;
        let told =
            "<li class=\"grave\"><b>All 4 targets of “one” are gone: their sources did not take them back in time.</b>";
        has(told, true).await;
        let past = &journal::told(&face, "/api/v1/journal?kind=removed&job=one", 4).await["events"];
        assert!(past.as_array().unwrap().iter().all(|event| event["reason"] == "over"), "{past}");
        let page = face.get("/explain?q=b:1&job=one").await.text().await.unwrap();
        assert!(page.contains("<h2>b:1 of job one is gone <span"), "{page}");
        assert!(page.contains(": the time for which it was held is over</span></h2>"), "{page}");
        assert!(!page.contains("Similar addresses") && !page.contains("looked at in full"), "{page}");
        face.reads(&["e:1"]).await;
        has(told, false).await;
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
        let released = face.request("POST", "/api/v1/brake/release?job=one").send().await.unwrap();
        let grace = json_of(released).await["data"]["jobs"][0]["grace"].clone();
        assert_eq!(grace["targets"], 1, "those that were not braked");
        assert_eq!(grace["end"], "rosterd: {jobs: {one: {target_removal_grace: 0s}}}");
        assert!(grace["until"].as_str().unwrap().ends_with('Z'), "{grace}");
        face.stop().await;
    });
}

#[test]
fn of_many_braked_jobs_providers_are_looked_at_as_seldom_as_of_one() {
    leak_checked_live(async || {
        let asked = Arc::new(AtomicUsize::new(0));
        let (counted, time) = (Arc::clone(&asked), SystemTime::now() + Duration::from_secs(3600));
        let providers = Providers::new(move || {
            counted.fetch_add(1, Ordering::Relaxed);
            vec![next(time)]
        });
        let face = Face::start(|state| state.providers = providers).await;
        let (window, confirm) = (Duration::from_secs(600), Confirm::Reading);
        let brake = Some(Brake { share: 0.5, min_targets: 4, window, confirm });
        let keeping = Keeping { brake, grace: Duration::ZERO };
        let jobs = (0..40).map(|number| JobSpec { keeping, ..job(&format!("job-{number:02}"), "static/1", "[]") });
        face.handle.set_jobs(jobs.collect(), Duration::from_secs(300)).await;
        face.reads(&["a:1", "b:1", "c:1", "d:1"]).await;
        face.reads(&["a:1"]).await;
        let brakes = face.json("/api/v1/brake").await["data"]["brakes"].clone();
        let brakes = brakes.as_array().unwrap();
        assert!(brakes.len() == 40 && brakes.iter().all(|brake| brake["held"] == 3 && brake["expected"].is_string()));
        for path in ["/api/v1/brake", "/", "/targets"] {
            asked.store(0, Ordering::Relaxed);
            assert_eq!(face.get(path).await.status(), StatusCode::OK, "{path}");
            let times = asked.load(Ordering::Relaxed);
            assert!(times <= 3, "{path} asked {times} times");
        }
        face.stop().await;
    });
}
