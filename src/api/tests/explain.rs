//! `/api/v1/explain`, asked over a real socket.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::StatusCode;
use rosterd_discovery::{Failure, Presence, ProviderKey, ProviderStatus, Status, Unread};
use rosterd_model::{Labels, Priority, Report, Retry};
use rosterd_scrape::{Health, Statuses, TargetStatus};
use rosterd_testkit::{eventually_ok, leak_checked_live, patience};
use serde_json::Value;

use super::super::{Providers, publications::tests::publication};
use super::{Face, group, job, json_of};
use crate::explain::{Became, End, Explanation, Finder, Known, Search, Time, Top};
use crate::publish::{Publications, ServedLists};
use crate::roster::{JobSpec, Limits};

const GRACE: Duration = Duration::from_secs(300);

async fn explain(face: &Face, query: &str) -> Explanation {
    let answer = face.json(&format!("/api/v1/explain?{query}")).await;
    serde_json::from_value(answer["data"].clone()).unwrap_or_else(|error| panic!("{query}: {error}: {answer}"))
}

fn report(code: &str) -> Report {
    let message = format!("it is {code}");
    Report { code: code.to_owned(), message, priority: Priority::Retry, retry: Retry::Backoff, causes: Vec::new() }
}

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn provider(name: &str, jobs: &[&str], status: Status) -> ProviderStatus {
    ProviderStatus {
        key: ProviderKey::new(name),
        jobs: jobs.iter().map(|job| Arc::from(*job)).collect(),
        reads: Default::default(),
        status,
        watches: Vec::new(),
    }
}

/// Two jobs that have `a:1` in common; `two` drops what begins with `b`, and a rule of it takes the address of `c:1`.
async fn face(change: impl FnOnce(&mut super::super::State)) -> Face {
    let face = Face::start(change).await;
    let rules = "[{source_labels: [__address__], regex: 'b.*', action: drop}, \
                 {source_labels: [__address__], regex: 'c.*', target_label: __address__, replacement: ''}]";
    let two = JobSpec { limits: Limits { targets: 1, ..Limits::default() }, ..job("two", "static/2", rules) };
    face.handle.set_jobs(vec![job("one", "static/1", "[]"), two], GRACE).await;
    face.report("static/1", vec![group("s", &["a:1", "b:1"]), group("again", &["a:1"])]).await;
    face.report("static/2", vec![group("t", &["a:1", "b:1", "c:1", "d:1"])]).await;
    face
}

#[test]
fn a_target_is_told_with_all_that_is_known_of_it() {
    leak_checked_live(async || {
        let labels = target("one", "a:1");
        let status = TargetStatus {
            health: Health::Down,
            error: Some(Arc::new(report("scrape_refused"))),
            last_scrape: Some(at(7)),
            outcomes: [true, true, false].into_iter().collect(),
            last_failure: Some(Arc::new((at(7), Arc::new(report("scrape_refused"))))),
            ..TargetStatus::default()
        };
        let known = provider("static/1", &["one"], Status { presence: Presence::Synced, ..Status::default() });
        let face = face(|state| {
            state.scrapes = Statuses::from_iter([(Arc::from("one"), labels.clone(), status)]);
            state.providers = Providers::new(move || vec![known.clone()]);
            state.publications = Publications::new(|| vec![publication("/a.json", &["one"])]);
        })
        .await;
        let told = explain(&face, "q=a:1&job=one").await;
        let [found] = &told.found[..] else { panic!("{told:?}") };
        assert_eq!((&*found.job, found.became, &found.trace.end), ("one", Became::Target, &End::Kept { labels }));
        assert_eq!((&*found.origin.provider, &*found.origin.source), ("static/1", "s"));
        assert_eq!(found.origin.presence, Some(crate::roster::presence::Presence::Synced));
        let target = found.target.as_ref().unwrap();
        assert_eq!((&*target.url, target.origins, &*target.merged[0].source), ("http://a:1/metrics", 2, "again"));
        assert_eq!((&*target.same_url[0].job, target.same_url[0].collides), ("two", false));
        let scrape = target.scrape.as_ref().unwrap();
        assert_eq!((&*scrape.health, scrape.last_scrape), ("down", Some(Time(at(7)))));
        assert_eq!(scrape.error.as_ref().map(|error| &*error.code), Some("scrape_refused"));
        assert_eq!((scrape.failures, scrape.scrapes, &scrape.outcomes[..]), (1, 3, &[false, true, true][..]));
        assert_eq!(scrape.last_failure.as_ref().map(|it| it.at), Some(Time(at(7))));
        let places: Vec<_> = target.published.iter().map(|it| (&*it.kind, &*it.place, it.last)).collect();
        assert_eq!(places, [("http_sd", "/sd/one", None), ("file_sd", "/a.json", Some(Time(at(0))))]);
        assert_eq!((told.more, told.parts, told.looked, told.entries, told.unsure.len()), (0, 0, 3, 3, 0));
        face.get("/sd/one").await;
        let told = explain(&face, "q=a:1&job=one").await;
        assert!(told.found[0].target.as_ref().unwrap().published[0].last.is_some());
        face.stop().await;
    });
}

#[test]
fn what_is_no_target_is_found_by_its_discovered_labels_and_says_why() {
    leak_checked_live(async || {
        let face = face(|_| {}).await;
        let told = explain(&face, "q=b:1").await;
        let ends: Vec<_> =
            told.found.iter().map(|found| (&*found.job, found.became, found.trace.dropped_by())).collect();
        assert_eq!(ends, [("one", Became::Target, None), ("two", Became::Dropped, Some(1))]);
        assert!(told.found[1].target.is_none());
        let told = explain(&face, "q=%7B__meta_zone%3D%22z%22%2Cjob%3D%22two%22%7D").await;
        let became: Vec<_> = told.found.iter().map(|found| found.became).collect();
        assert_eq!(became, [Became::Target, Became::Target, Became::Impossible, Became::Dropped]);
        assert_eq!(told.found[2].trace.end, End::Impossible { reason: "no address".to_owned() });
        let target = told.found[0].target.as_ref().unwrap();
        assert!(target.limits[0].contains("target_limit exceeded"), "{target:?}");
        assert_eq!(target.published[0].withheld.as_ref().map(|it| &*it.code), Some("roster_target_limit"));
        let told = explain(&face, "q=%7B__meta_zone%21%3D%22z%22%7D").await;
        assert_eq!((told.found.len(), told.more), (0, 0), "no entry is without the label");
        let told = explain(&face, "q=%7Bjob%3D%22twoo%22%7D").await;
        assert_eq!(
            (told.found.len(), &told.hints[..]),
            (0, &["no label job is \"twoo\"; did you mean `two`?".to_owned()][..])
        );
        let told = explain(&face, "q=%7B__meta_zone%3D%22z%22%7D&limit=2").await;
        assert_eq!((told.found.len(), told.more), (2, 4));
        face.stop().await;
    });
}

#[test]
fn of_what_is_nowhere_similar_addresses_are_told_and_what_is_not_known() {
    leak_checked_live(async || {
        let unread = Unread { since: at(3), known: true, hides: false, beneath: None, report: report("sd_dns_failed") };
        let unread = [(Arc::from("x.example"), unread)].into();
        let stale = Status { presence: Presence::Stale, unread: Arc::new(unread), ..Status::default() };
        let failure = Failure { report: report("sd_unreachable"), at: at(9), since: at(5) };
        let failing = Status { last_error: Some(failure), ..Status::default() };
        let known = vec![
            provider("dns/1", &["one"], stale),
            provider("http/2", &["two"], failing),
            provider("static/1", &["one"], Status { presence: Presence::Synced, ..Status::default() }),
        ];
        let face = face(|state| state.providers = Providers::new(move || known.clone())).await;
        let told = explain(&face, "q=a:2").await;
        assert_eq!((told.found.len(), &*told.similar[0].address, told.similar[0].became), (0, "a:1", Became::Target));
        let unsure: Vec<_> = told
            .unsure
            .iter()
            .map(|it| (&*it.provider, it.source.as_deref(), it.failing.as_ref().map(|it| (it.since, &*it.report.code))))
            .collect();
        let wanted = [
            ("dns/1", Some("x.example"), Some((Time(at(3)), "sd_dns_failed"))),
            ("http/2", None, Some((Time(at(5)), "sd_unreachable"))),
        ];
        assert_eq!(unsure, wanted);
        assert_eq!(explain(&face, "q=a:2&job=two").await.unsure.len(), 1);
        assert!(explain(&face, "q=a:1").await.similar.is_empty(), "it is there itself");
        face.stop().await;
    });
}

#[test]
fn whole_values_hide_those_that_only_begin_like_them_and_names_are_no_values() {
    leak_checked_live(async || {
        let face = Face::start(|_| {}).await;
        face.handle.set_jobs(vec![job("one", "static/1", "[]")], GRACE).await;
        face.report("static/1", vec![group("s", &["h1:9100", "h1:91001", "h11:9100"])]).await;
        let told = explain(&face, "q=h1:9100").await;
        assert_eq!((told.found.len(), told.parts), (1, 1));
        let told = explain(&face, "q=http://h11:9100/metrics").await;
        assert_eq!((told.found.len(), told.parts), (1, 0));
        let told = explain(&face, "q=9100").await;
        assert_eq!((told.found.len(), told.parts), (3, 0));
        for (query, found) in [
            ("zone", 0),
            ("__meta_zone=z", 3),
            ("meta_zone=z", 0),
            ("metrics", 0),
            ("__metrics_path__=/metrics", 3),
            ("address", 0),
            ("1m", 0),
        ] {
            assert_eq!(
                explain(&face, &format!("q={query}")).await.found.len(),
                found,
                "{query}: only values are looked at"
            );
        }
        face.stop().await;
    });
}

#[test]
fn when_the_time_is_over_it_is_said_how_much_was_looked_at() {
    leak_checked_live(async || {
        let face = Face::start(|_| {}).await;
        let rules = "[{source_labels: [__address__], regex: 'x', action: drop}]";
        face.handle.set_jobs(vec![job("one", "static/1", rules)], GRACE).await;
        let names: Vec<_> = (0..20_000).map(|number| format!("h{number}:1")).chain(["x".to_owned()]).collect();
        face.report("static/1", vec![group("s", &names.iter().map(String::as_str).collect::<Vec<_>>())]).await;
        let told = explain(&face, "q=h7:1&timeout=0").await;
        assert_eq!((told.found.len(), told.looked, told.entries), (1, 0, 20_001));
        assert_eq!(explain(&face, "q=x&timeout=0").await.found.len(), 0);
        let told = explain(&face, "q=h&timeout=0").await;
        assert_eq!((told.found.len(), told.looked, told.entries), (10, 0, 20_001));
        let told = explain(&face, "q=x").await;
        assert_eq!((told.found.len(), told.looked, told.entries), (1, 20_001, 20_001));
        face.stop().await;
    });
}

#[test]
fn the_time_is_over_within_a_group_however_large_it_is() {
    leak_checked_live(async || {
        let face = Face::start(|_| {}).await;
        face.handle.set_jobs(vec![job("one", "static/1", "[]")], GRACE).await;
        let names: Vec<_> = (0..40_000).map(|number| format!("h{number}:1")).collect();
        face.report("static/1", vec![group("s", &names.iter().map(String::as_str).collect::<Vec<_>>())]).await;
        let view = face.handle.view();
        assert!(view.job("one").unwrap().block(1).is_none(), "it is one block");
        // How much is looked at when it is over after being asked so often, or before so much is unpacked.
        for (asked, unpacked, looked) in [
            (0, usize::MAX, 0),
            (10, usize::MAX, 0),
            (13, usize::MAX, 2048 * 3),
            (usize::MAX, 1, 0),
            (usize::MAX, usize::MAX, 40_000),
        ] {
            let search = Search::parse("h1:1").unwrap();
            let mut finder = Finder::new(view.jobs().cloned().collect(), None, search, 10);
            let left = std::cell::Cell::new(asked);
            while finder.step(&|bytes| left.replace(left.get().saturating_sub(1)) == 0 || bytes >= unpacked) {}
            let known = Known {
                view: Arc::clone(&view),
                providers: Vec::new(),
                scrapes: Statuses::default(),
                publications: Vec::new(),
                served: ServedLists::default(),
                idle: None,
                scraped: Default::default(),
                now: SystemTime::UNIX_EPOCH,
            };
            let told = known.explain(finder);
            assert_eq!((told.found.len(), told.looked, told.entries), (1, looked, 40_000), "{asked} {unpacked}");
        }
        face.stop().await;
    });
}

/// The final labels of a target that discovery tells nothing about but its address.
fn target(job: &str, address: &str) -> Labels {
    let labels = [
        ("__address__", address),
        ("__metrics_path__", "/metrics"),
        ("__scheme__", "http"),
        ("__scrape_interval__", "1m"),
        ("__scrape_timeout__", "10s"),
        ("instance", address),
        ("job", job),
    ];
    labels.into_iter().collect()
}

#[test]
fn what_costs_most_comes_first_by_target_and_by_job() {
    leak_checked_live(async || {
        let cost = |samples: usize, millis: u64, outcomes: &[bool]| TargetStatus {
            samples,
            duration: Duration::from_millis(millis),
            outcomes: outcomes.iter().copied().collect(),
            ..TargetStatus::default()
        };
        let scrapes = [
            ("one", "a:1", cost(10, 5, &[true])),
            ("one", "b:1", cost(0, 7, &[false, false])),
            ("two", "a:1", cost(15, 1, &[true, false])),
        ];
        let scrapes = scrapes.map(|(job, address, status)| (Arc::from(job), target(job, address), status));
        let face = face(|state| state.scrapes = scrapes.into_iter().collect()).await;
        let top = async |query: &str| {
            let answer = face.json(&format!("/api/v1/top?{query}")).await;
            let top: Top = serde_json::from_value(answer["data"].clone()).unwrap();
            let targets: Vec<_> = top.targets.into_iter().map(|it| format!("{} {}", it.job, it.url)).collect();
            (top.jobs.into_iter().map(|it| (it.job, it.targets, it.cost)).collect::<Vec<_>>(), targets)
        };
        let (jobs, targets) = top("").await;
        assert_eq!(targets, ["two http://a:1/metrics", "one http://a:1/metrics"]);
        let [two, one] = &jobs[..] else { panic!("{jobs:?}") };
        assert_eq!((&*two.0, two.1, &*one.0, one.1), ("two", 1, "one", 2));
        assert_eq!((one.2.samples, one.2.failures, one.2.scrapes), (10, 2, 3));
        let (jobs, targets) = top("by=duration&limit=1").await;
        assert_eq!((jobs.len(), &*jobs[0].0, &targets[..]), (1, "one", &["one http://b:1/metrics".to_owned()][..]));
        assert_eq!(top("by=failures&search=a:1").await.1, ["two http://a:1/metrics"]);
        assert_eq!(top("by=bytes&job=one").await.1, [""; 0]);
        for query in ["by=x", "search=%7B", "job=none"] {
            let refused = face.get(&format!("/api/v1/top?{query}")).await;
            assert_eq!(refused.status(), StatusCode::BAD_REQUEST, "{query}");
        }
        face.stop().await;
    });
}

#[test]
fn targets_are_searched_by_the_labels_of_their_series() {
    leak_checked_live(async || {
        let face = face(|_| {}).await;
        for (search, found) in [("a:1", 2), ("instance=a:1%20one", 1), ("%7Bjob%3D%22two%22%7D", 2), ("__meta_zone", 0)]
        {
            let data = face.json(&format!("/api/v1/targets?search={search}")).await["data"].clone();
            assert_eq!(data["activeTargets"].as_array().unwrap().len(), found, "{search}");
            assert_eq!(data["droppedTargets"].as_array().unwrap().len(), 0);
        }
        assert_eq!(face.get("/api/v1/targets?search=%7B").await.status(), StatusCode::BAD_REQUEST);
        face.stop().await;
    });
}

#[test]
fn the_past_is_told_of_what_is_there_and_of_what_is_gone() {
    leak_checked_live(async || {
        let face = Face::start(|_| {}).await;
        face.handle.set_jobs(vec![job("one", "static/1", "[]")], GRACE).await;
        face.report("static/1", vec![group("s", &["web-a:1", "web-b:1"])]).await;
        face.report("static/1", vec![group("s", &["web-b:1"])]).await;
        let past = async |query: &'static str, events: &[&str]| {
            eventually_ok(patience(), "the events are written", async || {
                let told = explain(&face, query).await.past.unwrap_or_default();
                let told: Vec<_> = told.iter().map(|event| event.note.kind.as_str()).collect();
                if told == events { Ok(()) } else { Err(format!("{query}: {told:?}")) }
            })
            .await;
        };
        past("q=web-a", &["removed", "added"]).await;
        past("q=web-b:1&job=one", &["added"]).await;
        past("q=%7Binstance%3D%22web-a:1%22%7D", &["removed", "added"]).await;
        past("q=web-c:1", &[]).await;
        face.stop().await;
    });
}

#[test]
fn what_cannot_be_asked_is_refused() {
    leak_checked_live(async || {
        let face = face(|_| {}).await;
        for (query, code) in [
            ("", "web_missing_parameter"),
            ("q=%7Bx", "web_bad_parameter"),
            ("q=a&limit=0", "web_bad_parameter"),
            ("q=a&timeout=x", "web_bad_parameter"),
        ] {
            let refused = face.get(&format!("/api/v1/explain?{query}")).await;
            assert_eq!(refused.status(), StatusCode::BAD_REQUEST, "{query}");
            assert_eq!(json_of(refused).await["code"], Value::from(code), "{query}");
        }
        let unknown = face.get("/api/v1/explain?q=a&job=tow").await;
        assert_eq!(unknown.status(), StatusCode::NOT_FOUND);
        assert_eq!(json_of(unknown).await["code"], "roster_unknown_job");
        face.stop().await;
    });
}
