//! What is told of scrapes and of remote write, asked over a real socket.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::StatusCode;
use rosterd_exposition::{Metadata, MetricKind};
use rosterd_model::{Labels, Priority, Report, Retry};
use rosterd_scrape::{Health, Statuses, TargetStatus};
use rosterd_ship::DiskFailure;
use rosterd_testkit::leak_checked_live;
use serde_json::{Value, json};

use super::{Face, group, job, json_of};
use crate::scrape::{RemoteWriteStatus, RemoteWrites};

fn report(code: &str, priority: Priority) -> Report {
    Report {
        code: code.to_owned(),
        message: "cannot scrape <a>".to_owned(),
        priority,
        retry: Retry::Backoff,
        causes: vec!["connection refused".to_owned()],
    }
}

fn after_epoch(millis: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(millis)
}

fn up() -> TargetStatus {
    let last_scrape = Some(after_epoch(1_700_000_000_250));
    TargetStatus {
        health: Health::Up,
        last_scrape,
        duration: Duration::from_micros(12_500),
        bytes: 1536,
        outcomes: [false, true].into_iter().collect(),
        ..Default::default()
    }
}

fn down(priority: Priority) -> TargetStatus {
    let error = Some(Arc::new(report("scrape_unreachable", priority)));
    TargetStatus { health: Health::Down, error, ..up() }
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

/// A face of one job with these targets.
async fn face(targets: &[(&str, TargetStatus)]) -> Face {
    let told = targets.iter().map(|(address, status)| (Arc::from("one"), target("one", address), status.clone()));
    let scrapes: Statuses = told.collect();
    let face = Face::start(|state| state.scrapes = scrapes).await;
    face.handle
        .set_jobs(
            vec![job("one", "static/1", "[{source_labels: [__address__], regex: z, action: drop}]")],
            Duration::from_secs(300),
        )
        .await;
    let addresses: Vec<_> = targets.iter().map(|(address, _)| *address).chain(["new", "z"]).collect();
    face.report("static/1", vec![group("s", &addresses)]).await;
    face
}

fn instances(answer: &Value) -> Vec<&str> {
    let targets = answer["data"]["activeTargets"].as_array().unwrap();
    targets.iter().map(|target| target["labels"]["instance"].as_str().unwrap()).collect()
}

#[test]
fn health_error_time_and_duration_of_a_scrape_are_told_as_by_prometheus() {
    leak_checked_live(async || {
        let snoozed = SystemTime::now() + Duration::from_secs(3600);
        let asleep = TargetStatus { snoozed_until: Some(snoozed), ..down(Priority::Retry) };
        let awake = TargetStatus { snoozed_until: Some(after_epoch(0)), ..down(Priority::Operator) };
        let face = face(&[("a", up()), ("b", asleep), ("c", awake)]).await;
        let answer = face.json("/api/v1/targets").await;
        let [a, b, c, new] = &answer["data"]["activeTargets"].as_array().unwrap()[..] else { panic!("{answer}") };
        let told = |target: &Value| {
            ["health", "lastError", "lastScrape", "lastScrapeDuration"].map(|member| target[member].clone())
        };
        let error = "cannot scrape <a>: connection refused";
        assert_eq!(told(a), [json!("up"), json!(""), json!("2023-11-14T22:13:20.25Z"), json!(0.0125)]);
        assert_eq!(told(b), [json!("down"), json!(error), json!("2023-11-14T22:13:20.25Z"), json!(0.0125)]);
        assert_eq!(told(new), [json!("unknown"), json!(""), json!("0001-01-01T00:00:00Z"), json!(0)]);
        let own = |target: &Value| ["lastErrorCode", "lastErrorKind"].map(|member| target[member].clone());
        assert_eq!(own(b), ["scrape_unreachable", "down"]);
        assert_eq!(own(c), ["scrape_unreachable", "misconfigured"]);
        assert!(b["snoozedUntil"].as_str().unwrap().ends_with('Z'), "{b}");
        for (target, member) in [(a, "lastErrorCode"), (new, "lastErrorCode"), (c, "snoozedUntil")] {
            assert_eq!(target.get(member), None, "{target}");
        }
        face.stop().await;
    });
}

#[test]
fn an_error_in_advance_gives_way_to_what_a_scrape_came_to() {
    leak_checked_live(async || {
        let scrapes: Statuses = [
            (Arc::from("one"), target("one", "a"), up()),
            (Arc::from("one"), target("one", "b"), down(Priority::Remote)),
        ]
        .into_iter()
        .collect();
        let face = Face::start(|state| state.scrapes = scrapes).await;
        let mut limited = job("one", "static/1", "[]");
        limited.limits.targets = 1;
        face.handle.set_jobs(vec![limited], Duration::from_secs(300)).await;
        face.report("static/1", vec![group("s", &["a", "b", "c"])]).await;
        let answer = face.json("/api/v1/targets").await;
        let errors: Vec<_> = (0..3).map(|n| answer["data"]["activeTargets"][n]["lastError"].clone()).collect();
        let exceeded =
            "target_limit exceeded (number of targets: 3, limit: 1): raise it, or drop some by relabel_configs";
        assert_eq!(errors, ["", "cannot scrape <a>: connection refused", exceeded]);
        face.stop().await;
    });
}

#[test]
fn targets_are_filtered_by_health_page_by_page() {
    leak_checked_live(async || {
        let names: Vec<_> = (0..40).map(|n| format!("h{n}")).collect();
        let status = |n: usize| if n.is_multiple_of(4) { down(Priority::Remote) } else { up() };
        let targets: Vec<_> = names.iter().enumerate().map(|(n, name)| (name.as_str(), status(n))).collect();
        let face = face(&targets).await;
        let expected: Vec<_> = names.iter().step_by(4).map(String::as_str).collect();
        let whole = face.json("/api/v1/targets?health=down&scrapePool=one&state=any").await;
        assert_eq!(instances(&whole), expected);
        // What was dropped has no health.
        assert_eq!(
            (&whole["data"]["droppedTargets"], &whole["data"]["droppedTargetCounts"]),
            (&json!([]), &Value::Null)
        );
        assert_eq!(instances(&face.json("/api/v1/targets?health=unknown").await), ["new"]);
        assert_eq!(instances(&face.json("/api/v1/targets?health=up&state=dropped").await).len(), 0);
        let (mut paged, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = face.json(&format!("/api/v1/targets?health=down&limit=3{cursor}")).await;
            paged.extend(instances(&page).into_iter().map(str::to_owned));
            match page["data"].get("nextCursor") {
                Some(next) => cursor = format!("&cursor={}", next.as_str().unwrap()),
                None => break,
            }
        }
        assert_eq!(paged, expected);
        let refused = face.get("/api/v1/targets?health=sick").await;
        assert_eq!(
            (refused.status(), json_of(refused).await["errorType"].clone()),
            (StatusCode::BAD_REQUEST, json!("bad_data"))
        );
        face.stop().await;
    });
}

#[test]
fn a_filter_that_few_targets_pass_looks_at_all_of_a_large_block() {
    leak_checked_live(async || {
        let names: Vec<_> = (0..20_000).map(|n| format!("host-{n}")).collect();
        let mut targets: Vec<_> = names.iter().map(|name| (name.as_str(), up())).collect();
        for n in [7, 511, 512, 19_999] {
            targets[n].1 = down(Priority::Remote);
        }
        let face = face(&targets).await;
        let found = face.json("/api/v1/targets?health=down").await;
        assert_eq!(instances(&found), ["host-7", "host-511", "host-512", "host-19999"]);
        assert_eq!(found["data"]["activeTargets"][3]["discoveredLabels"]["__address__"], "host-19999");
        face.stop().await;
    });
}

fn families(list: &[(&str, MetricKind, &str)]) -> Option<Arc<[Metadata]>> {
    let family = |(family, kind, help): &(&str, _, &str)| Metadata {
        family: (*family).into(),
        kind: *kind,
        help: (*help).into(),
        unit: "".into(),
    };
    Some(list.iter().map(family).collect())
}

async fn told() -> Face {
    let metadata = families(&[("h", MetricKind::Histogram, "\"h\""), ("u", MetricKind::Unknown, "u")]);
    let other = families(&[("u", MetricKind::Gauge, "u")]);
    let status = |metadata: &Option<Arc<[Metadata]>>| TargetStatus { metadata: metadata.clone(), ..up() };
    face(&[("a", status(&metadata)), ("b", status(&metadata)), ("c", status(&other)), ("d", up())]).await
}

#[test]
fn metadata_of_targets_is_that_of_prometheus() {
    leak_checked_live(async || {
        let face = told().await;
        let ask = async |query: &str| face.json(&format!("/api/v1/targets/metadata?{query}")).await;
        let labels = |address: &str| json!({"instance": address, "job": "one"});
        let all = ask("").await;
        assert_eq!((&all["status"], all["data"].as_array().unwrap().len()), (&json!("success"), 5));
        let one = ask("match_target=%7Binstance%3D%22a%22%7D").await;
        let expected = json!([
            {"target": labels("a"), "metric": "h", "type": "histogram", "help": "\"h\"", "unit": ""},
            {"target": labels("a"), "metric": "u", "type": "unknown", "help": "u", "unit": ""},
        ]);
        assert_eq!(one["data"], expected);
        let family = ask("match_target=%7Binstance=~'[ac]'%7D&metric=u").await;
        let kinds: Vec<_> = family["data"].as_array().unwrap().iter().map(|line| line["type"].clone()).collect();
        assert_eq!((kinds.contains(&json!("gauge")), kinds.contains(&json!("unknown")), kinds.len()), (true, true, 2));
        assert_eq!(family["data"][0].get("metric"), None);
        // The series of a histogram are not its family, the hidden labels no labels of the target, and no target is a series.
        for query in ["metric=h_bucket", "match_target=%7B__address__=%22a%22%7D", "match_target=up", "limit=0"] {
            assert_eq!(ask(query).await, json!({"status": "success", "data": []}), "{query}");
        }
        // As in Prometheus: once that many lines are there, no more targets are looked at.
        assert_eq!(ask("limit=1&match_target=%7Binstance=%22a%22%7D").await["data"].as_array().unwrap().len(), 2);
        assert_eq!(ask("limit=-1").await["data"].as_array().unwrap().len(), 5);
        face.stop().await;
    });
}

#[test]
fn metadata_of_families_is_that_of_prometheus() {
    leak_checked_live(async || {
        let face = told().await;
        let ask = async |query: &str| face.json(&format!("/api/v1/metadata?{query}")).await["data"].clone();
        let h = json!([{"type": "histogram", "unit": "", "help": "\"h\""}]);
        let u = json!([{"type": "gauge", "unit": "", "help": "u"}, {"type": "unknown", "unit": "", "help": "u"}]);
        assert_eq!(ask("").await, json!({"h": h, "u": u}));
        assert_eq!(ask("metric=u").await, json!({"u": u}));
        for (query, expected) in [
            ("metric=h_bucket", json!({})),
            ("limit=0", json!({})),
            ("limit=1", json!({"h": h})),
            ("limit=-1&metric=h", json!({"h": h})),
            ("limit_per_metric=0&metric=u", json!({"u": u})),
        ] {
            assert_eq!(ask(query).await, expected, "{query}");
        }
        assert_eq!(ask("limit_per_metric=1").await["u"].as_array().unwrap().len(), 1);
        face.stop().await;
    });
}

#[test]
fn bad_parameters_of_metadata_are_refused_in_the_words_of_prometheus() {
    leak_checked_live(async || {
        let face = told().await;
        for (path, error) in [
            ("targets/metadata?limit=x", "limit must be a number"),
            ("metadata?limit=1.5", "limit must be a number"),
            ("metadata?limit_per_metric=x", "limit_per_metric must be a number"),
            (
                "targets/metadata?match_target=%7Ba",
                "invalid parameter \"match_target\": expected `=`, `!=`, `=~` or `!~` at byte 2 of the selector",
            ),
        ] {
            let refused = face.get(&format!("/api/v1/{path}")).await;
            assert_eq!(refused.status(), StatusCode::BAD_REQUEST, "{path}");
            let body = json_of(refused).await;
            assert_eq!((&body["errorType"], &body["error"]), (&json!("bad_data"), &json!(error)));
        }
        face.stop().await;
    });
}

#[test]
fn nothing_scraped_is_empty_metadata() {
    leak_checked_live(async || {
        let face = Face::start(|_| {}).await;
        assert_eq!(face.json("/api/v1/targets/metadata").await, json!({"status": "success", "data": []}));
        assert_eq!(face.json("/api/v1/metadata").await, json!({"status": "success", "data": {}}));
        face.stop().await;
    });
}

fn endpoint(name: &str) -> RemoteWriteStatus {
    RemoteWriteStatus {
        name: name.to_owned(),
        url: "http://r/<api>".to_owned(),
        protocol: "2.0",
        compression: "snappy",
        lanes: 4,
        pending_samples: 70,
        bytes_on_disk: 1536,
        disk_failure: None,
        oldest_pending: None,
        last_success: Some(after_epoch(1000)),
        last_error: None,
        rejecting: false,
        samples_sent: 9001,
        samples_failed: 8002,
        samples_dropped: 7003,
    }
}

#[test]
fn an_endpoint_is_sending_behind_rejecting_or_down() {
    let (now, well) = (after_epoch(200_000), endpoint("a"));
    let late = RemoteWriteStatus { oldest_pending: Some(after_epoch(100_000)), ..well.clone() };
    let recent = RemoteWriteStatus { oldest_pending: Some(after_epoch(190_000)), ..well.clone() };
    let failing = RemoteWriteStatus { last_error: Some(report("ship_refused", Priority::Remote)), ..late.clone() };
    let refusing = RemoteWriteStatus { rejecting: true, ..failing.clone() };
    assert_eq!(
        [well, recent, late, refusing, failing].map(|endpoint| endpoint.state(now).as_str()),
        ["sending", "sending", "behind", "rejecting", "down"]
    );
}

#[test]
fn endpoints_of_remote_write_are_told_and_shown() {
    leak_checked_live(async || {
        let failing = RemoteWriteStatus { last_error: Some(report("ship_refused", Priority::Remote)), ..endpoint("b") };
        let late = RemoteWriteStatus { oldest_pending: Some(after_epoch(0)), ..endpoint("c") };
        let refusing = RemoteWriteStatus { rejecting: true, name: "d".to_owned(), ..failing.clone() };
        let disk_failure =
            Some(DiskFailure { report: report("ship_queue_io", Priority::Operator), since: after_epoch(0) });
        let late = RemoteWriteStatus { disk_failure, ..late };
        let list = vec![endpoint("a"), failing, late, refusing];
        let face = Face::start(|state| state.remote_writes = RemoteWrites::new(move || list.clone())).await;
        let told = face.json("/api/v1/remote_write").await["data"]["remoteWrites"].clone();
        let expected = json!({
            "state": "sending", "name": "a", "url": "http://r/<api>", "protocol": "2.0", "compression": "snappy",
            "lanes": 4, "pendingSamples": 70, "bytesOnDisk": 1536, "diskFailure": null, "oldestPending": null,
            "lastSuccess": "1970-01-01T00:00:01Z", "lastError": null,
            "samplesSent": 9001, "samplesFailed": 8002, "samplesDropped": 7003,
        });
        assert_eq!(told[0], expected);
        assert_eq!((&told[1]["state"], &told[1]["lastError"]["code"]), (&json!("down"), &json!("ship_refused")));
        assert_eq!(told[3]["state"], json!("rejecting"));
        let failure = ["since", "code"].map(|member| told[2]["diskFailure"][member].clone());
        assert_eq!(failure, ["1970-01-01T00:00:00Z", "ship_queue_io"]);
        let page = face.get("/").await.text().await.unwrap();
        let states = [
            ">down</span>",
            ">rejecting</span>",
            ">behind</span>",
            ">sending</span>",
            "<b>Remote write “b” does not work. 70 samples wait, 1.5 KiB of that on disk.</b>\n<div>cannot scrape ",
            "<b>Remote write “d” refuses what it is sent: 8\u{202f}002 samples are lost.</b>",
            "<b>Remote write “c” is behind by ",
            "<b>The queue of “c” cannot be kept on disk: it is in memory.</b>",
        ];
        let numbers = ["1.5 KiB", ">9\u{202f}001<", ">8\u{202f}002<", ">7\u{202f}003<"];
        for text in states.into_iter().chain(numbers) {
            assert!(page.contains(text), "{text} is missing in {page}");
        }
        assert!(!page.contains("<api>"), "{page}");
        face.stop().await;
    });
}

#[test]
fn the_overview_counts_targets_by_health() {
    leak_checked_live(async || {
        let face = face(&[("a", up()), ("b", up()), ("c", down(Priority::Remote))]).await;
        let page = face.get("/").await.text().await.unwrap();
        let numbers: Vec<_> = page.split("health=").skip(1).filter_map(|link| link.split('<').next()).collect();
        assert!(
            numbers.contains(&"up\">2") && numbers.contains(&"down\">1") && numbers.contains(&"unknown\">1"),
            "{numbers:?}"
        );
        assert!(page.contains("aria-label=\"50 % up, 25 % down\""), "{page}");
        assert!(page.contains("href=\"/targets?job=one&#38;health=down\">1</a>"), "{page}");
        face.stop().await;
    });
}

#[test]
fn the_targets_page_shows_health_in_words_and_escapes_what_it_is_told() {
    leak_checked_live(async || {
        let misconfigured = down(Priority::Operator);
        let asleep =
            TargetStatus { snoozed_until: Some(SystemTime::now() + Duration::from_secs(90)), ..down(Priority::Retry) };
        let face = face(&[("<b>", up()), ("c", misconfigured), ("d", asleep)]).await;
        let page = face.get("/targets").await;
        assert!(page.headers()["content-type"].to_str().unwrap().starts_with("text/html"));
        let page = page.text().await.unwrap();
        for text in [
            ">up</span>",
            ">down: misconfigured</span>",
            "next try <time",
            ">unknown</span>",
            "took 12.5ms, every 1m; 1 of 2 failed",
            "<span>0 <span class=\"small sub\">1.5 KiB</span></span>",
            "datetime=\"2023-11-14T22:13:20.25Z\"",
            "cannot scrape &#60;a&#62;: connection refused",
            "#scrape_unreachable",
            "never <span class=\"small sub\">every 1m</span>",
            ">1 up</a>",
            "health=down&#38;error=scrape_unreachable\">2 down</a> by <a href=",
            "\"sub\">2 × connection refused</span>",
            "4 targets on this page.",
        ] {
            assert!(page.contains(text), "{text} is missing in {page}");
        }
        assert!(!page.contains("<b>") && !page.contains("<a>"), "{page}");
        face.stop().await;
    });
}

#[test]
fn what_targets_are_down_by_is_counted_in_the_whole_job_and_told_where_all_are() {
    leak_checked_live(async || {
        let names = ["a", "b", "c"];
        let told = names.map(|name| (Arc::from("one"), target("one", name), down(Priority::Retry)));
        let face = Face::start(|state| state.scrapes = Statuses::from_iter(told)).await;
        face.handle.set_jobs(vec![job("one", "static/1", "[]")], Duration::from_secs(300)).await;
        face.report("static/1", vec![group("s", &names)]).await;
        let page = face.get("/targets?limit=1").await.text().await.unwrap();
        for text in [">3 down</a> by <a href=", ", on this page <span class=\"sub\">1 × connection refused</span>"] {
            assert!(page.contains(text), "{text} is missing in {page}");
        }
        let overview = face.get("/").await.text().await.unwrap();
        for text in ["<b>All 3 targets of “one” are down.</b>\n<div>connection refused</div>", "#scrape_unreachable\">"]
        {
            assert!(overview.contains(text), "{text} is missing in {overview}");
        }
        face.stop().await;
    });
}

#[test]
fn only_urls_that_a_browser_fetches_are_links() {
    leak_checked_live(async || {
        let face = Face::start(|_| {}).await;
        let rules = "[{target_label: __scheme__, replacement: javascript}]";
        face.handle.set_jobs(vec![job("one", "static/1", rules)], Duration::from_secs(300)).await;
        face.report("static/1", vec![group("s", &["a"])]).await;
        let page = face.get("/targets").await.text().await.unwrap();
        assert!(page.contains("javascript://a/metrics") && !page.contains("href=\"javascript"), "{page}");
        face.stop().await;
    });
}

#[test]
fn the_targets_page_filters_and_leads_through_all_targets() {
    leak_checked_live(async || {
        let names: Vec<_> = (0..9).map(|n| format!("host-{n}")).collect();
        let status = |n: usize| if n.is_multiple_of(2) { down(Priority::Remote) } else { up() };
        let targets: Vec<_> = names.iter().enumerate().map(|(n, name)| (name.as_str(), status(n))).collect();
        let face = face(&targets).await;
        let shown = |page: &str| -> Vec<String> {
            let page = page.replace("&#34;", "\"");
            let rows = page.split("<li>instance=\"").skip(1);
            rows.filter_map(|rest| rest.split('"').next()).map(str::to_owned).collect()
        };
        for (query, expected) in [
            ("health=down", &["host-0", "host-2", "host-4", "host-6", "host-8"][..]),
            ("search=HOST-3", &["host-3"]),
            ("search=job%3Done+host-4&health=down", &["host-4"]),
            ("search=host-4&health=up", &[]),
            ("search=%7Binstance%3D~%22host-%5B12%5D%22%7D", &["host-1", "host-2"]),
            ("job=&health=unknown&search=", &["new"]),
            ("error=scrape_unreachable&search=host-0", &["host-0"]),
            ("error=scrape_timeout", &[]),
            ("health=held", &[]),
        ] {
            let page = face.get(&format!("/targets?{query}")).await.text().await.unwrap();
            assert_eq!(shown(&page), expected, "{query}");
            assert_eq!(
                page.matches("of all</span>").count(),
                usize::from(!expected.is_empty()),
                "what is counted: {page}"
            );
        }
        let (mut seen, mut link) = (Vec::new(), Some("/targets?job=one&health=down&limit=2".to_owned()));
        while let Some(path) = link {
            let page = face.get(&path).await.text().await.unwrap();
            seen.extend(shown(&page));
            let next = page.split("<a href=\"").find(|rest| rest.contains("rel=\"next\""));
            link = next.and_then(|rest| rest.split('"').next()).map(|href| href.replace("&#38;", "&"));
        }
        assert_eq!(seen, ["host-0", "host-2", "host-4", "host-6", "host-8"]);
        for (query, words) in [("job=on", "there is no job"), ("search=%7Ba", "at byte 2 of the selector")] {
            let page = face.get(&format!("/targets?{query}")).await.text().await.unwrap();
            assert!(page.contains("role=\"alert\"") && page.contains(words), "{page}");
        }
        assert_eq!(face.get("/targets?health=x").await.status(), StatusCode::BAD_REQUEST);
        face.stop().await;
    });
}
