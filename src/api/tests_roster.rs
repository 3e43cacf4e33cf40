//! What is told of the roster, asked over a real socket.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reqwest::StatusCode;
use rosterd_discovery::{Failure, Presence, ProviderKey, ProviderStatus, Status, Unread, Update};
use rosterd_model::{Priority, Report, Retry, TargetGroup};
use rosterd_testkit::{leak_checked_live, patience};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::publish::Publications;

use super::Providers;
use super::publications::tests::publication;
use super::tests::{Face, group, job, json_of, unpacked};

const DROP_B: &str = "[{source_labels: [__address__], regex: 'b.*', action: drop}]";

/// A face of two jobs: `one` with a target and a dropped one, `two` of which nothing is known.
async fn two_jobs() -> Face {
    let face = Face::start(|_| {}).await;
    face.handle
        .set_jobs(vec![job("one", "static/1", DROP_B), job("two", "dns/2", "[]")], Duration::from_secs(300))
        .await;
    face.report("static/1", vec![group("s", &["a:1", "b:1"])]).await;
    face
}

#[test]
fn targets_are_told_as_by_prometheus() {
    leak_checked_live(async || {
        let face = two_jobs().await;
        let response = face.get("/api/v1/targets").await;
        assert_eq!(response.headers()["content-type"], "application/json");
        let discovered = |address: &str| {
            json!({
                "__address__": address, "__meta_zone": "z", "__metrics_path__": "/metrics", "__scheme__": "http",
                "__scrape_interval__": "1m", "__scrape_timeout__": "10s", "job": "one",
            })
        };
        let active = json!([{
            "discoveredLabels": discovered("a:1"),
            "labels": {"instance": "a:1", "job": "one"},
            "scrapePool": "one",
            "scrapeUrl": "http://a:1/metrics",
            "globalUrl": "http://a:1/metrics",
            "lastError": "",
            "lastScrape": "0001-01-01T00:00:00Z",
            "lastScrapeDuration": 0,
            "health": "unknown",
            "scrapeInterval": "1m",
            "scrapeTimeout": "10s",
        }]);
        let dropped = json!([{"discoveredLabels": discovered("b:1"), "scrapePool": "one"}]);
        let counts = json!({"one": 1, "two": 0});
        let answer = |active: &Value, dropped: &Value, counts: &Value| {
            let data = json!({"activeTargets": active, "droppedTargets": dropped, "droppedTargetCounts": counts});
            json!({"status": "success", "data": data})
        };
        assert_eq!(json_of(response).await, answer(&active, &dropped, &counts));
        let none = json!([]);
        for (query, expected) in [
            ("state=any", answer(&active, &dropped, &counts)),
            ("state=Active", answer(&active, &none, &Value::Null)),
            ("state=dropped", answer(&none, &dropped, &counts)),
            ("state=other", answer(&none, &none, &Value::Null)),
            ("scrapePool=one", answer(&active, &dropped, &counts)),
            ("scrapePool=two", answer(&none, &none, &counts)),
            ("scrapePool=three", answer(&none, &none, &counts)),
        ] {
            assert_eq!(face.json(&format!("/api/v1/targets?{query}")).await, expected, "{query}");
        }
        face.stop().await;
    });
}

fn addresses(answer: &Value, list: &str) -> Vec<String> {
    let targets = answer["data"][list].as_array().unwrap();
    targets.iter().map(|target| target["discoveredLabels"]["__address__"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn pages_of_any_size_make_the_whole_list() {
    leak_checked_live(async || {
        let face = Face::start(|_| {}).await;
        let rules = "[{source_labels: [__address__], regex: '(.*)-copy', target_label: __address__}, \
                     {source_labels: [__address__], regex: 'b.*', action: drop}]";
        face.handle
            .set_jobs(vec![job("one", "static/1", rules), job("two", "static/1", rules)], Duration::from_secs(300))
            .await;
        // The third entry of each group comes out like the first one.
        let groups = (0..7).map(|n| {
            let (a, b) = (format!("a{n}"), format!("b{n}"));
            group(&format!("s{n}"), &[&a, &b, &format!("{a}-copy")])
        });
        face.report("static/1", groups.collect()).await;
        let whole = face.json("/api/v1/targets").await;
        assert_eq!((addresses(&whole, "activeTargets").len(), addresses(&whole, "droppedTargets").len()), (14, 14));
        for limit in [1, 3, 14, 27, 28, 100] {
            let (mut active, mut dropped, mut cursor) = (Vec::new(), Vec::new(), String::new());
            loop {
                let page = face.json(&format!("/api/v1/targets?limit={limit}{cursor}")).await;
                active.extend(addresses(&page, "activeTargets"));
                dropped.extend(addresses(&page, "droppedTargets"));
                match page["data"].get("nextCursor") {
                    Some(next) => cursor = format!("&cursor={}", next.as_str().unwrap()),
                    None => break,
                }
            }
            assert_eq!(active, addresses(&whole, "activeTargets"), "limit {limit}");
            assert_eq!(dropped, addresses(&whole, "droppedTargets"), "limit {limit}");
        }
        for wrong in ["limit=0", "limit=x", "cursor=zzz"] {
            let refused = face.get(&format!("/api/v1/targets?{wrong}")).await;
            assert_eq!(refused.status(), StatusCode::BAD_REQUEST, "{wrong}");
            assert_eq!(json_of(refused).await["errorType"], "bad_data");
        }
        face.stop().await;
    });
}

#[test]
fn a_large_list_arrives_whole_in_pieces() {
    leak_checked_live(async || {
        let face = Face::start(|_| {}).await;
        face.handle.set_jobs(vec![job("one", "static/1", "[]")], Duration::from_secs(300)).await;
        let names: Vec<_> = (0..20_000).map(|n| format!("host-{n}:9100")).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        face.report("static/1", vec![group("s", &names)]).await;
        let mut response = face.get("/api/v1/targets").await;
        let (mut text, mut pieces) = (Vec::new(), 0);
        while let Some(piece) = response.chunk().await.unwrap() {
            text.extend_from_slice(&piece);
            pieces += 1;
        }
        assert!(pieces > 10, "{pieces} pieces");
        let answer: Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(addresses(&answer, "activeTargets"), names);
        face.stop().await;
    });
}

#[test]
fn pools_and_relabel_steps_are_those_of_prometheus() {
    leak_checked_live(async || {
        let face = two_jobs().await;
        assert_eq!(
            face.json("/api/v1/scrape_pools").await["data"],
            json!({
                "scrapePools": ["one", "two"],
                "missing": {"two": [{"provider": "dns/2", "overdue": false}]},
            })
        );
        let labels = "%7B%22__address__%22:%22b:1%22%7D";
        let steps = face.json(&format!("/api/v1/targets/relabel_steps?scrapePool=one&labels={labels}")).await;
        let step = &steps["data"]["steps"][0];
        assert_eq!(
            (&step["keep"], &step["output"], &step["rule"]["action"]),
            (&json!(false), &json!({}), &json!("drop"))
        );
        for (query, code) in [
            ("labels=%7B%7D", "web_missing_parameter"),
            ("scrapePool=one&labels=x", "web_bad_parameter"),
            ("scrapePool=on&labels=%7B%7D", "web_bad_parameter"),
        ] {
            let refused = face.get(&format!("/api/v1/targets/relabel_steps?{query}")).await;
            let (status, body) = (refused.status().as_u16(), json_of(refused).await);
            assert_eq!((status, &body["code"], &body["errorType"]), (400, &json!(code), &json!("bad_data")), "{query}");
            let names_the_nearest = body["error"].as_str().unwrap().ends_with("did you mean \"one\"?");
            assert_eq!(names_the_nearest, query.contains("on&"), "{body}");
        }
        face.stop().await;
    });
}

#[test]
fn a_list_is_served_in_each_encoding_and_not_twice() {
    leak_checked_live(async || {
        let face = two_jobs().await;
        let plain = face.get("/sd/one").await;
        assert_eq!(
            (plain.status(), plain.headers()["content-type"].as_bytes()),
            (StatusCode::OK, &b"application/json"[..])
        );
        let text = plain.text().await.unwrap();
        let list: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&list[0]["targets"], &list[0]["labels"]["instance"]), (&json!(["a:1"]), &json!("a:1")));
        assert_eq!(list.as_array().unwrap().len(), 1);
        for encoding in ["gzip", "zstd"] {
            let response = face.request("GET", "/sd/one").header("accept-encoding", encoding).send().await.unwrap();
            assert_eq!(response.headers()["content-encoding"], encoding);
            let tag = response.headers()["etag"].clone();
            assert_eq!(unpacked(encoding, &response.bytes().await.unwrap()), text);
            let again = face.request("GET", "/sd/one").header("if-none-match", tag.clone()).send().await.unwrap();
            assert_eq!((again.status(), again.headers()["etag"].is_empty()), (StatusCode::NOT_MODIFIED, false));
            assert_eq!(again.text().await.unwrap(), "");
        }
        face.stop().await;
    });
}

#[test]
fn what_is_not_known_is_not_served_as_empty() {
    leak_checked_live(async || {
        let face = two_jobs().await;
        for path in ["/sd/two", "/sd"] {
            let refused = face.get(path).await;
            assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
            assert_eq!(refused.headers()["retry-after"], "5");
            let body = json_of(refused).await;
            assert_eq!((&body["code"], &body["unsynced"]), (&json!("roster_unsynced"), &json!(["dns/2"])));
        }
        face.report("dns/2", Vec::new()).await;
        assert_eq!(face.json("/sd/two").await, json!([]));
        assert_eq!(face.json("/sd").await.as_array().unwrap().len(), 1);
        let unknown = face.get("/sd/ones").await;
        assert_eq!(unknown.status(), StatusCode::NOT_FOUND);
        let detail = json_of(unknown).await["detail"].as_str().unwrap().to_owned();
        assert_eq!(detail, "there is no job \"ones\"; did you mean \"one\"?");
        face.stop().await;
    });
}

#[test]
fn who_waits_is_answered_at_the_next_change() {
    leak_checked_live(async || {
        let face = two_jobs().await;
        let tag = face.get("/sd/one").await.headers()["etag"].clone();
        let waiting = |wait: &str| {
            face.request("GET", &format!("/sd/one?wait={wait}")).header("if-none-match", tag.clone()).send()
        };
        assert_eq!(waiting("10ms").await.unwrap().status(), StatusCode::NOT_MODIFIED);
        let (answer, ()) = tokio::join!(waiting("10m"), async {
            // News of another job are none for this one.
            face.report("dns/2", vec![group("s", &["c:1"])]).await;
            face.report("static/1", vec![group("s", &["a:1", "a:2"])]).await;
        });
        let answer = answer.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(json_of(answer).await.as_array().unwrap().len(), 2);
        assert_eq!(face.get("/sd/one?wait=soon").await.status(), StatusCode::BAD_REQUEST);
        face.stop().await;
    });
}

#[test]
fn only_so_many_wait_for_news() {
    leak_checked_live(async || {
        let face = Face::start(|state| state.waiting = Semaphore::new(0)).await;
        face.handle.set_jobs(vec![job("one", "static/1", "[]")], Duration::from_secs(300)).await;
        face.report("static/1", Vec::new()).await;
        let tag = face.get("/sd/one").await.headers()["etag"].clone();
        let asked =
            async |path: &str| face.request("GET", path).header("if-none-match", tag.clone()).send().await.unwrap();
        let refused = asked("/sd/one?wait=10m").await;
        assert_eq!(
            (refused.status(), &refused.headers()["retry-after"]),
            (StatusCode::SERVICE_UNAVAILABLE, &"10".parse().unwrap())
        );
        assert_eq!(json_of(refused).await["code"], "web_too_many_waiting");
        assert_eq!(asked("/sd/one").await.status(), StatusCode::NOT_MODIFIED);
        assert_eq!(face.get("/sd/one?wait=10m").await.status(), StatusCode::OK);
        face.stop().await;
    });
}

#[test]
fn who_waits_is_let_go_when_the_agent_stops() {
    leak_checked_live(async || {
        let stopping = CancellationToken::new();
        let token = stopping.clone();
        let face = Face::start(|state| state.lifecycle.stopping = token).await;
        face.handle.set_jobs(vec![job("one", "static/1", "[]")], Duration::from_secs(300)).await;
        face.report("static/1", Vec::new()).await;
        let tag = face.get("/sd/one").await.headers()["etag"].clone();
        let waiting = face.request("GET", "/sd/one?wait=10m").header("if-none-match", tag).send();
        let (answer, ()) = tokio::join!(waiting, async { stopping.cancel() });
        assert_eq!(answer.unwrap().status(), StatusCode::NOT_MODIFIED);
        let ready = face.get("/-/ready").await;
        assert_eq!(
            (ready.status(), &ready.headers()["x-prometheus-stopping"]),
            (StatusCode::SERVICE_UNAVAILABLE, &"true".parse().unwrap())
        );
        face.stop().await;
    });
}

#[test]
fn readiness_waits_for_every_provider() {
    leak_checked_live(async || {
        let face = two_jobs().await;
        let waiting = face.get("/-/ready").await;
        assert_eq!(waiting.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(waiting.text().await.unwrap().contains("dns/2 of two has not reported yet"));
        let json = face.request("GET", "/-/ready").header("accept", "application/json").send().await.unwrap();
        let expected = json!({"ready": false, "stopping": false, "waitingFor": [{"provider": "dns/2", "jobs": ["two"], "overdue": false}]});
        assert_eq!(json_of(json).await, expected);
        face.report("dns/2", Vec::new()).await;
        let ready = face.get("/-/ready").await;
        assert_eq!((ready.status(), ready.text().await.unwrap().as_str()), (StatusCode::OK, "rosterd is Ready.\n"));
        face.stop().await;
    });
}

#[test]
fn readiness_comes_with_the_end_of_grace() {
    leak_checked_live(async || {
        let face = Face::start(|state| state.ready_at = Instant::now()).await;
        face.handle.set_jobs(vec![job("one", "dns/1", "[]")], Duration::from_secs(300)).await;
        assert_eq!(face.get("/-/ready").await.status(), StatusCode::OK);
        face.stop().await;
    });
}

fn down() -> Report {
    Report {
        code: "sd_unreachable".to_owned(),
        message: "cannot reach <dns>".to_owned(),
        priority: Priority::Remote,
        retry: Retry::After(Duration::from_secs(3)),
        causes: Vec::new(),
    }
}

fn failing() -> ProviderStatus {
    let status = Status { last_error: Some(Failure { report: down(), at: UNIX_EPOCH }), ..Status::default() };
    ProviderStatus { key: ProviderKey::new("dns/2"), jobs: vec![Arc::from("two")], status }
}

#[test]
fn providers_are_told_with_the_sources_that_they_cannot_read() {
    leak_checked_live(async || {
        let unread = |known| Unread { since: UNIX_EPOCH, known, report: down() };
        let sources = [(Arc::from("a.test"), unread(true)), (Arc::from("b.test"), unread(false))];
        let status = Status { presence: Presence::Stale, unread: Arc::new(sources.into()), ..Status::default() };
        let list = vec![ProviderStatus { key: ProviderKey::new("dns/2"), jobs: Vec::new(), status }];
        let face = Face::start(|state| state.providers = Providers::new(move || list.clone())).await;
        let provider = face.json("/api/v1/providers").await["data"]["providers"][0].clone();
        assert_eq!(provider["presence"], "stale");
        assert_eq!(
            (&provider["lastError"]["code"], &provider["lastError"]["at"]),
            (&json!("sd_unreachable"), &json!("1970-01-01T00:00:00Z"))
        );
        let told: Vec<_> =
            (0..2).map(|at| ["source", "known", "code"].map(|it| provider["unread"][at][it].clone())).collect();
        assert_eq!(
            told,
            [
                [json!("a.test"), json!(true), json!("sd_unreachable")],
                [json!("b.test"), json!(false), json!("sd_unreachable")]
            ]
        );
        assert_eq!(provider["unread"][0]["since"], "1970-01-01T00:00:00Z");
        face.stop().await;
    });
}

#[test]
fn providers_are_told_with_their_last_error() {
    leak_checked_live(async || {
        let well = ProviderStatus { key: ProviderKey::new("static/1"), jobs: Vec::new(), status: Status::default() };
        let list = vec![failing(), well];
        let face = Face::start(|state| state.providers = Providers::new(move || list.clone())).await;
        let providers = face.json("/api/v1/providers").await["data"]["providers"].clone();
        let (two, one) = (&providers[0], &providers[1]);
        assert_eq!(
            (&two["provider"], &two["mechanism"], &two["jobs"]),
            (&json!("dns/2"), &json!("dns"), &json!(["two"]))
        );
        assert_eq!((&two["presence"], &two["lastError"]["code"]), (&json!("unsynced"), &json!("sd_unreachable")));
        assert!(two["lastError"]["at"].as_str().unwrap().ends_with('Z'));
        assert_eq!((&one["lastError"], &one["lastSuccess"], &one["groups"]), (&Value::Null, &Value::Null, &json!(0)));
        face.stop().await;
    });
}

#[test]
fn the_overview_shows_jobs_and_providers_and_escapes_them() {
    leak_checked_live(async || {
        let face = Face::start(|state| state.providers = Providers::new(|| vec![failing()])).await;
        face.handle.set_jobs(vec![job("a/b <i>", "static/1", "[]")], Duration::from_secs(300)).await;
        face.report("static/1", vec![group("s", &["a:1"])]).await;
        let page = face.get("/").await;
        assert!(page.headers()["content-type"].to_str().unwrap().starts_with("text/html"));
        let page = page.text().await.unwrap();
        assert!(page.contains("<html lang=\"en\">") && !page.contains("<i>") && !page.contains("<dns>"), "{page}");
        assert!(page.contains("href=\"/sd/a%2Fb%20%3Ci%3E\""), "{page}");
        assert!(page.contains("/api/v1/providers") && page.contains("cannot reach"), "{page}");
        for path in ["/sd/a%2Fb%20%3Ci%3E", "/sd/a/b%20%3Ci%3E"] {
            assert_eq!(face.get(path).await.status(), StatusCode::OK, "{path}");
        }
        tokio::time::timeout(patience(), face.stop()).await.unwrap();
    });
}

/// Waits until a path answers with this status.
async fn until(face: &Face, path: &str, status: StatusCode) -> reqwest::Response {
    let begun = Instant::now();
    loop {
        let response = face.get(path).await;
        if response.status() == status {
            return response;
        }
        assert!(begun.elapsed() < patience(), "{path} does not answer {status} in time");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// An update of `dns/2`, of which the name `b, c` could not be read.
fn without_b(groups: Vec<TargetGroup>) -> Update {
    let report = failing().status.last_error.unwrap().report;
    let unread = Unread { since: SystemTime::UNIX_EPOCH, known: false, report };
    let unread = Arc::new(BTreeMap::from([(Arc::from("b, c"), unread)]));
    Update { unread, ..Update::everything(ProviderKey::new("dns/2"), groups) }
}

#[test]
fn what_is_missing_for_long_is_named_beside_the_rest() {
    leak_checked_live(async || {
        let face = two_jobs().await;
        face.updates.send(without_b(vec![group("a", &["c:1"])])).await.unwrap();
        let mut views = face.handle.watch();
        views.wait_for(|view| view.job("two").is_some_and(|job| !job.pages().is_empty())).await.unwrap();
        let refused = face.get("/sd/two").await;
        assert_eq!(
            (refused.status(), refused.headers()["retry-after"].as_bytes()),
            (StatusCode::SERVICE_UNAVAILABLE, &b"5"[..])
        );
        let body = json_of(refused).await;
        let missing = &body["missing"][0];
        assert_eq!(
            (&missing["provider"], &missing["source"], &missing["overdue"], &missing["error"]["code"]),
            (&json!("dns/2"), &json!("b, c"), &json!(false), &json!("sd_unreachable"))
        );
        let told = "the targets of job \"two\" are not known yet: b, c of dns/2 could not be read: cannot reach <dns>";
        assert!(body["detail"].as_str().unwrap().starts_with(told), "{body}");
        // The end of grace is made by another one.
        let jobs = || vec![job("one", "static/1", DROP_B), job("two", "dns/2", "[]")];
        face.handle.set_jobs(jobs(), Duration::ZERO).await;
        for path in ["/sd/two", "/sd"] {
            let list = until(&face, path, StatusCode::OK).await;
            assert_eq!(list.headers()["x-rosterd-missing"], "dns/2 b%2C%20c");
            let tag = list.headers()["etag"].clone();
            let again = face.request("GET", path).header("if-none-match", tag).send().await.unwrap();
            assert_eq!(
                (again.status(), &again.headers()["x-rosterd-missing"]),
                (StatusCode::NOT_MODIFIED, &"dns/2 b%2C%20c".parse().unwrap())
            );
        }
        assert!(!face.get("/sd/one").await.headers().contains_key("x-rosterd-missing"));
        let pools = face.json("/api/v1/scrape_pools").await;
        assert_eq!(pools["data"]["missing"]["two"][0]["overdue"], json!(true));
        let ready = face.get("/-/ready").await.text().await.unwrap();
        assert!(ready.contains("dns/2 (b, c) of two has not reported yet: cannot reach <dns>"), "{ready}");
        let page = face.get("/").await.text().await.unwrap();
        assert!(page.contains("synced; incomplete: b, c of dns/2 could not be read: cannot reach"), "{page}");
        face.stop().await;
    });
}

#[test]
fn a_job_of_which_nothing_is_known_stays_away_and_the_cause_is_told() {
    leak_checked_live(async || {
        let face = Face::start(|state| state.providers = Providers::new(|| vec![failing()])).await;
        face.handle.set_jobs(vec![job("two", "dns/2", "[]")], Duration::ZERO).await;
        let mut views = face.handle.watch();
        views.wait_for(|view| view.jobs().any(|job| job.missing().iter().any(|it| it.overdue))).await.unwrap();
        let refused = face.get("/sd/two").await;
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
        let body = json_of(refused).await;
        assert_eq!(
            (&body["missing"][0]["overdue"], &body["missing"][0]["error"]["code"]),
            (&json!(true), &json!("sd_unreachable"))
        );
        let told = "the targets of job \"two\" are not known yet: dns/2 has not reported: cannot reach <dns>";
        assert!(body["detail"].as_str().unwrap().starts_with(told), "{body}");
        let ready = face.get("/-/ready").await.text().await.unwrap();
        assert!(ready.contains("dns/2 of two has not reported yet: cannot reach <dns>"), "{ready}");
        face.stop().await;
    });
}

#[test]
fn a_job_of_which_nothing_is_known_keeps_others_away_for_the_time_of_grace_alone() {
    leak_checked_live(async || {
        let output = |path: &str, jobs: &[&str]| publication(path, jobs);
        let list = vec![output("/both.json", &["one", "two"]), output("/two.json", &["two"])];
        let face = Face::start(|state| state.publications = Publications::new(move || list.clone())).await;
        let jobs = || vec![job("one", "static/1", DROP_B), job("two", "dns/2", "[]")];
        face.handle.set_jobs(jobs(), Duration::from_secs(300)).await;
        face.report("static/1", vec![group("s", &["a:1", "b:1"])]).await;
        assert_eq!(face.get("/sd").await.status(), StatusCode::SERVICE_UNAVAILABLE);
        let blocked = async || {
            let told = face.json("/api/v1/publications").await["data"]["publications"].clone();
            [0, 1].map(|at| told[at]["blocked"].as_array().map(Vec::len))
        };
        assert_eq!(blocked().await, [Some(1), Some(1)]);
        face.handle.set_jobs(jobs(), Duration::ZERO).await;
        let list = until(&face, "/sd", StatusCode::OK).await;
        assert_eq!(list.headers()["x-rosterd-missing"], "dns/2");
        let tag = list.headers()["etag"].clone();
        assert_eq!(json_of(list).await[0]["targets"], json!(["a:1"]));
        let again = face.request("GET", "/sd").header("if-none-match", tag).send().await.unwrap();
        assert_eq!(
            (again.status(), &again.headers()["x-rosterd-missing"]),
            (StatusCode::NOT_MODIFIED, &"dns/2".parse().unwrap())
        );
        assert_eq!(face.get("/sd/two").await.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(blocked().await, [Some(0), Some(1)]);
        let ready = face.get("/-/ready").await;
        assert_eq!(ready.status(), StatusCode::OK, "what is overdue is not waited for");
        let ready = ready.text().await.unwrap();
        assert!(ready.contains("dns/2 of two has not reported yet"), "{ready}");
        face.stop().await;
    });
}

#[test]
fn held_targets_are_marked_wherever_targets_are_shown() {
    leak_checked_live(async || {
        let face = two_jobs().await;
        face.report("dns/2", vec![group("s", &["c:1", "c:2"])]).await;
        let jobs = || vec![job("one", "static/1", DROP_B), job("two", "dns/3", "[]")];
        face.handle.set_jobs(jobs(), Duration::ZERO).await;
        let list = until(&face, "/sd/two", StatusCode::OK).await;
        assert_eq!(list.headers()["x-rosterd-missing"], "dns/3");
        assert_eq!(json_of(list).await.as_array().unwrap().len(), 2);
        let answer = face.json("/api/v1/targets").await;
        let targets = answer["data"]["activeTargets"].as_array().unwrap();
        let held: Vec<_> = targets.iter().map(|target| target["held"]["reason"].clone()).collect();
        assert_eq!(held, [Value::Null, json!("replaced"), json!("replaced")]);
        assert!(targets[1]["held"]["since"].as_str().unwrap().ends_with('Z'));
        // Pages go on where the one before ended, also among what is held.
        let mut cursor = String::new();
        let mut paged = Vec::new();
        while let Value::String(next) = {
            let page = face.json(&format!("/api/v1/targets?state=active&limit=1{cursor}")).await;
            paged.extend(addresses(&page, "activeTargets"));
            page["data"]["nextCursor"].clone()
        } {
            cursor = format!("&cursor={next}");
        }
        assert_eq!(paged, ["a:1", "c:1", "c:2"]);
        let page = face.get("/targets?job=two").await.text().await.unwrap();
        assert_eq!(page.matches("of the configuration before, the new one has not reported yet").count(), 2, "{page}");
        let page = face.get("/").await.text().await.unwrap();
        assert!(page.contains("; 2 targets are held"), "{page}");
        face.report("dns/3", vec![group("s", &["c:1"])]).await;
        let answer = face.json("/api/v1/targets?scrapePool=two").await;
        assert_eq!(
            (addresses(&answer, "activeTargets"), answer["data"]["activeTargets"][0].get("held")),
            (vec!["c:1".to_owned()], None)
        );
        face.stop().await;
    });
}

#[test]
fn a_provider_whose_groups_are_from_before_is_restored() {
    leak_checked_live(async || {
        let well = ProviderStatus { jobs: vec![Arc::from("one")], ..failing() };
        let well = ProviderStatus { key: ProviderKey::new("static/1"), ..well };
        let face = Face::start(|state| state.providers = Providers::new(move || vec![well.clone()])).await;
        let one = |provider: &str| vec![job("one", provider, "[]")];
        face.handle.set_jobs(one("static/1"), Duration::from_secs(300)).await;
        let presence = async || face.json("/api/v1/providers").await["data"]["providers"][0]["presence"].clone();
        assert_eq!(presence().await, "unsynced");
        face.report("static/1", vec![group("s", &["a:1"])]).await;
        // Away, held, and back before it could report anew.
        face.handle.set_jobs(one("static/2"), Duration::from_secs(300)).await;
        face.handle.set_jobs(one("static/1"), Duration::from_secs(300)).await;
        assert_eq!(presence().await, "restored");
        let page = face.get("/").await.text().await.unwrap();
        assert!(page.contains("restored, waiting for 1 of 1 providers; 1 target is held"), "{page}");
        assert!(page.contains("<td>restored</td>"), "{page}");
        face.stop().await;
    });
}
