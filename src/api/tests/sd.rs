//! The lists that are served to others, asked over a real socket.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use http::StatusCode;
use rosterd_discovery::{Presence, ProviderKey, ProviderStatus, Status, Unread, Update};
use rosterd_model::TargetGroup;
use rosterd_testkit::{eventually_ok, everything, leak_checked_live, patience};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::super::Providers;
use super::super::publications::tests::publication;
use super::roster::{DROP_B, failing, two_jobs};
use super::{Face, group, job, json_of, unpacked};
use crate::publish::Publications;
use crate::web::tests::client::Answer;

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
        for (path, told) in [
            ("/sd/%ff", "the parameter job cannot be \"%ff\": a name in UTF-8"),
            ("/assets/%ff", "the parameter file cannot be \"%ff\": a name in UTF-8"),
            ("/relabel?at=zzz", "the parameter at cannot be \"zzz\": what a link"),
        ] {
            let refused = face.get(path).await;
            assert_eq!(refused.status(), StatusCode::BAD_REQUEST, "{path}");
            let detail = json_of(refused).await["detail"].as_str().unwrap_or_default().to_owned();
            assert!(detail.starts_with(told), "{path}: {detail}");
        }
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
fn large_answers_leave_room_for_others_until_they_are_taken() {
    leak_checked_live(async || {
        let face = Face::start(|state| state.heavy = Arc::new(Semaphore::new(1))).await;
        face.handle.set_jobs(vec![job("one", "static/1", "[]")], Duration::from_secs(300)).await;
        // More than sockets hold for a client that does not read.
        let addresses: Vec<_> = (0..20_000).map(|number| format!("{}{number}:1", "h".repeat(1000))).collect();
        face.report("static/1", vec![group("s", &addresses.iter().map(String::as_str).collect::<Vec<_>>())]).await;
        let untaken = face.get("/sd/one").await;
        assert_eq!(untaken.status(), StatusCode::OK);
        for path in ["/metrics", "/", "/api/v1/targets", "/sd"] {
            let refused = face.get(path).await;
            assert_eq!(
                (refused.status(), &refused.headers()["retry-after"]),
                (StatusCode::SERVICE_UNAVAILABLE, &"1".parse().unwrap()),
                "{path}"
            );
            assert_eq!(json_of(refused).await["code"], "web_too_many_large");
        }
        for path in ["/-/healthy", "/-/ready", "/api/v1/status/buildinfo"] {
            assert_eq!(face.get(path).await.status(), StatusCode::OK, "{path}");
        }
        drop(untaken);
        until(&face, "/metrics", StatusCode::OK).await;
        face.stop().await;
    });
}

#[test]
fn only_so_many_wait_for_news() {
    leak_checked_live(async || {
        let face = Face::start(|state| state.waiting = std::sync::Arc::new(Semaphore::new(0))).await;
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

/// Waits until a path answers with this status.
pub(super) async fn until(face: &Face, path: &str, status: StatusCode) -> Answer {
    let look = async || {
        let response = face.get(path).await;
        let seen = response.status();
        if seen == status { Ok(response) } else { Err(seen.to_string()) }
    };
    eventually_ok(patience(), &format!("{path} answers {status}"), look).await
}

/// An update of `dns/2`, of which the name `b, c` could not be read.
fn without_b(groups: Vec<TargetGroup>) -> Update {
    let report = failing().status.last_error.unwrap().report;
    let unread = Unread { since: SystemTime::UNIX_EPOCH, known: false, hides: false, beneath: None, report };
    let unread = Arc::new(BTreeMap::from([(Arc::from("b, c"), unread)]));
    Update { unread, ..everything(ProviderKey::new("dns/2"), groups) }
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
        assert!(
            page.contains(
                ">stale</span> dns <span class=\"sub\">incomplete: b, c of dns/2 could not be read: cannot reach"
            ),
            "{page}"
        );
        face.stop().await;
    });
}

#[test]
fn a_list_says_which_providers_are_not_synced() {
    leak_checked_live(async || {
        let presence = Arc::new(Mutex::new(Presence::Stale));
        let seen = Arc::clone(&presence);
        let told = move || {
            let presence = *seen.lock().unwrap();
            vec![ProviderStatus { status: Status { presence, ..Status::default() }, ..failing() }]
        };
        let face = Face::start(|state| state.providers = Providers::new(told)).await;
        face.handle
            .set_jobs(vec![job("one", "static/1", "[]"), job("two", "dns/2", "[]")], Duration::from_secs(300))
            .await;
        face.report("static/1", vec![group("s", &["a:1"])]).await;
        face.report("dns/2", vec![group("s", &["b:1"])]).await;
        for path in ["/sd/two", "/sd"] {
            let list = until(&face, path, StatusCode::OK).await;
            assert_eq!(list.headers()["x-rosterd-presence"], "dns/2=stale");
            let tag = list.headers()["etag"].clone();
            let again = face.request("GET", path).header("if-none-match", tag).send().await.unwrap();
            assert_eq!(
                (again.status(), &again.headers()["x-rosterd-presence"]),
                (StatusCode::NOT_MODIFIED, &"dns/2=stale".parse().unwrap())
            );
        }
        assert!(!face.get("/sd/one").await.headers().contains_key("x-rosterd-presence"));
        *presence.lock().unwrap() = Presence::Synced;
        assert!(!face.get("/sd/two").await.headers().contains_key("x-rosterd-presence"));
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
