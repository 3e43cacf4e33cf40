//! What is told of the roster, asked over a real socket.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::StatusCode;
use rosterd_discovery::{
    Failure, Identity, Presence, ProviderKey, ProviderStatus, ProviderWatch, Status, Unread, Warning, WatchState,
    WatchStatus,
};
use rosterd_model::{Priority, Report, Retry};
use rosterd_testkit::{leak_checked_live, patience};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::super::Providers;
use super::sd::until;
use super::{Face, group, job, json_of};

pub(super) const DROP_B: &str = "[{source_labels: [__address__], regex: 'b.*', action: drop}]";

/// A face of two jobs: `one` with a target and a dropped one, `two` of which nothing is known.
pub(super) async fn two_jobs() -> Face {
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
        // Of ours besides: what is missing of those that were asked for.
        let lacking = |mut answer: Value| {
            answer["data"]["missing"] = json!({"two": [{"provider": "dns/2", "overdue": false}]});
            answer
        };
        assert_eq!(json_of(response).await, lacking(answer(&active, &dropped, &counts)));
        let none = json!([]);
        for (query, expected) in [
            ("state=any", lacking(answer(&active, &dropped, &counts))),
            ("state=Active", lacking(answer(&active, &none, &Value::Null))),
            ("state=dropped", answer(&none, &dropped, &counts)),
            ("state=other", answer(&none, &none, &Value::Null)),
            ("scrapePool=one", answer(&active, &dropped, &counts)),
            ("scrapePool=two", lacking(answer(&none, &none, &counts))),
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
                "presence": {"one": "synced", "two": "unsynced"},
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

pub(super) fn failing() -> ProviderStatus {
    let status =
        Status { last_error: Some(Failure { report: down(), at: UNIX_EPOCH, since: UNIX_EPOCH }), ..Status::default() };
    let (key, jobs) = (ProviderKey::new("dns/2"), vec![Arc::from("two")]);
    ProviderStatus { key, jobs, reads: Arc::default(), status, watches: Vec::new() }
}

#[test]
fn providers_are_told_with_the_sources_that_they_cannot_read() {
    leak_checked_live(async || {
        let unread = |known| Unread { since: UNIX_EPOCH, known, hides: false, beneath: None, report: down() };
        let sources = [(Arc::from("a.test"), unread(true)), (Arc::from("b.test"), unread(false))];
        let tried = ["a.test", "b.test"].map(|source| (Arc::from(source), UNIX_EPOCH + Duration::from_secs(60)));
        let status = Status {
            presence: Presence::Stale,
            unread: Arc::new(sources.into()),
            tried: Arc::new(tried.into()),
            ..Status::default()
        };
        let list = vec![ProviderStatus { status, ..failing() }];
        let face = Face::start(|state| state.providers = Providers::new(move || list.clone())).await;
        let provider = face.json("/api/v1/providers").await["data"]["providers"][0].clone();
        assert_eq!(provider["presence"], "stale");
        assert_eq!(provider["lastError"]["code"], "sd_unreachable");
        let told: Vec<_> = (0..2)
            .map(|at| ["source", "presence", "known", "code"].map(|it| provider["unread"][at][it].clone()))
            .collect();
        assert_eq!(
            told,
            [
                [json!("a.test"), json!("stale"), json!(true), json!("sd_unreachable")],
                [json!("b.test"), json!("unsynced"), json!(false), json!("sd_unreachable")]
            ]
        );
        let times = ["since", "at"].map(|it| provider["unread"][0][it].clone());
        assert_eq!(times, [json!("1970-01-01T00:00:00Z"), json!("1970-01-01T00:01:00Z")]);
        let times = ["since", "at"].map(|it| provider["lastError"][it].clone());
        assert_eq!(times, [json!("1970-01-01T00:00:00Z"), json!("1970-01-01T00:01:00Z")]);
        face.stop().await;
    });
}

#[test]
fn a_job_is_no_better_than_its_providers() {
    leak_checked_live(async || {
        let failed = Failure { report: down(), at: UNIX_EPOCH, since: UNIX_EPOCH };
        let status = Status { presence: Presence::Stale, last_error: Some(failed), ..Status::default() };
        let well = Status { presence: Presence::Synced, ..Status::default() };
        let of = |key, status| ProviderStatus { key: ProviderKey::new(key), status, ..failing() };
        let list = vec![of("static/1", status), of("static/2", well)];
        let face = Face::start(|state| state.providers = Providers::new(move || list.clone())).await;
        let jobs = vec![job("one", "static/1", "[]"), job("two", "static/2", "[]")];
        face.handle.set_jobs(jobs, Duration::from_secs(300)).await;
        face.report("static/1", vec![group("s", &["a:1"])]).await;
        face.report("static/2", vec![group("s", &["a:1"])]).await;
        let page = face.get("/").await.text().await.unwrap();
        let stale =
            "<span class=\"badge warn\">stale</span> static <span class=\"sub\">1 of 1 provider cannot be read</span>";
        assert!(page.contains(stale), "{page}");
        assert!(
            page.contains("<span class=\"badge up\">synced</span> static</span></td>"),
            "the other one can: {page}"
        );
        let told = "<b>static/1 of “two” cannot be read: its targets stay as they were.</b>";
        assert!(page.contains(told) && page.contains(">1 problem</a>"), "{page}");
        let code = "<a href=\"https://";
        assert!(
            page.contains(code) && page.contains("#sd_unreachable\">sd_unreachable</a>"),
            "the code leads to its meaning: {page}"
        );
        let pools = face.json("/api/v1/scrape_pools").await;
        assert_eq!(pools["data"]["presence"], json!({"one": "stale", "two": "synced"}));
        face.stop().await;
    });
}

#[test]
fn providers_are_told_with_what_they_read_and_when() {
    leak_checked_live(async || {
        let mut identity = Identity::new();
        identity.text("url", "http://h/<x>");
        identity.list("files", ["a", "b", "c", "d"]);
        let (reads, hour) = (Arc::new(identity.reads().clone()), Duration::from_secs(3600));
        let status = Status {
            last_success: Some(SystemTime::now() - hour),
            next_try: Some(SystemTime::now() + hour),
            ..Status::default()
        };
        let list = vec![ProviderStatus { reads, status, ..failing() }];
        let face = Face::start(|state| state.providers = Providers::new(move || list.clone())).await;
        let provider = face.json("/api/v1/providers").await["data"]["providers"][0].clone();
        assert_eq!(provider["reads"], json!({"url": ["http://h/<x>"], "files": ["a", "b", "c", "d"]}));
        let page = face.get("/service-discovery").await.text().await.unwrap();
        assert!(page.contains("url http://h/&#60;x&#62;; files a, b, c and 1 more</span></td>"), "{page}");
        assert!(page.contains(">1h ago</time>") && page.contains(">in 59m"), "{page}");
        face.stop().await;
    });
}

#[test]
fn providers_are_told_with_their_last_error() {
    leak_checked_live(async || {
        let provider =
            |key, status| ProviderStatus { key: ProviderKey::new(key), jobs: Vec::new(), status, ..failing() };
        let report = Report { message: "somebody should know".to_owned(), ..down() };
        let warned = Status { warning: Some(Warning { report, since: UNIX_EPOCH }), ..Status::default() };
        let list = vec![failing(), provider("static/1", Status::default()), provider("static/2", warned)];
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
        assert_eq!((&one["warning"], &two["warning"]), (&Value::Null, &Value::Null));
        let warned = &providers[2];
        assert_eq!((&warned["lastError"], &warned["warning"]["code"]), (&Value::Null, &json!("sd_unreachable")));
        assert_eq!(warned["warning"]["since"], "1970-01-01T00:00:00Z");
        let page = face.get("/service-discovery").await.text().await.unwrap();
        assert!(page.contains("data-h=\"last error or warning\">somebody should know"), "{page}");
        let page = face.get("/").await.text().await.unwrap();
        assert!(page.contains("<li><b>static/2 may not say what it should.</b>"), "{page}");
        assert!(page.contains("<li class=\"grave\"><b>dns/2 of “two” could not be read yet"), "{page}");
        assert!(page.contains("<li><b>static/1 has not reported yet.</b>"), "{page}");
        face.stop().await;
    });
}

/// A watch that two providers share, and one of the second alone that cannot be read.
fn watching() -> Vec<ProviderStatus> {
    let jobs = |names: &[&str]| names.iter().map(|name| Arc::from(*name)).collect::<Vec<_>>();
    let well = WatchStatus {
        resource: "pods".into(),
        scope: None,
        selectors: vec!["app=x".into(), "spec.nodeName=n".into()],
        state: WatchState::Watching,
        objects: 5,
        last_heard: Some(UNIX_EPOCH + Duration::from_secs(60)),
        lists: [("expired", 2), ("start", 1)].into(),
        last_error: None,
        next_try: None,
    };
    let lost = WatchStatus {
        scope: Some("<a>".into()),
        selectors: Vec::new(),
        state: WatchState::Unread,
        objects: 0,
        last_heard: None,
        lists: [("start", 1)].into(),
        last_error: Some(Failure { report: down(), at: UNIX_EPOCH, since: UNIX_EPOCH }),
        next_try: Some(UNIX_EPOCH),
        ..well.clone()
    };
    let shared = ProviderWatch { number: 0, jobs: jobs(&["one", "two"]), status: well };
    let own = ProviderWatch { number: 1, jobs: jobs(&["two"]), status: lost };
    let provider = |key: &str, job: &str, watches: Vec<ProviderWatch>| ProviderStatus {
        key: ProviderKey::new(key),
        jobs: jobs(&[job]),
        reads: Arc::default(),
        status: Status::default(),
        watches,
    };
    vec![provider("k/1", "one", vec![shared.clone()]), provider("k/2", "two", vec![shared, own])]
}

#[test]
fn watches_are_told_with_who_shares_them_and_how_they_are() {
    leak_checked_live(async || {
        let face = Face::start(|state| state.providers = Providers::new(watching)).await;
        let providers = face.json("/api/v1/providers").await["data"]["providers"].clone();
        let shared = json!({
            "resource": "pods", "scope": null, "selectors": ["app=x", "spec.nodeName=n"], "jobs": ["one", "two"],
            "state": "watching", "objects": 5, "lastHeard": "1970-01-01T00:01:00Z", "lists": {"expired": 2, "start": 1},
            "lastError": null, "nextTry": null,
        });
        assert_eq!((&providers[0]["watches"], &providers[1]["watches"][0]), (&json!([shared]), &shared));
        let lost = &providers[1]["watches"][1];
        assert_eq!(["scope", "state"].map(|it| lost[it].clone()), ["<a>", "unread"]);
        assert_eq!(["at", "code"].map(|it| lost["lastError"][it].clone()), ["1970-01-01T00:00:00Z", "sd_unreachable"]);
        let page = face.get("/service-discovery").await.text().await.unwrap();
        let row = |words: &str| page.find(words).unwrap_or_else(|| panic!("no {words} in {page}"));
        let good = row(
            "pods where app=x and spec.nodeName=n</th><td role=\"cell\" class=\"words\" data-h=\"jobs\"><span>one, two</span></td>",
        );
        let bad =
            row("pods in &#60;a&#62;</th><td role=\"cell\" class=\"words\" data-h=\"jobs\"><span>two</span></td>");
        assert!(page.contains("<span class=\"badge down\">unread</span>"), "{page}");
        assert!(bad < good, "what does not go well comes first");
        assert_eq!(page.matches("pods where").count(), 1, "what is shared is shown once");
        assert!(page.contains("2 expired, 1 start") && page.contains("cannot reach &#60;dns&#62;"), "{page}");
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

#[test]
fn of_a_group_that_is_large_the_first_say_why_a_job_has_no_targets() {
    leak_checked_live(async || {
        let face = Face::start(|_| {}).await;
        face.handle.set_jobs(vec![job("one", "static/1", DROP_B)], Duration::from_secs(300)).await;
        let many: Vec<_> = (0..20_000).map(|number| format!("b{number}:1")).collect();
        face.report("static/1", vec![group("s", &many.iter().map(|it| &**it).collect::<Vec<_>>())]).await;
        let page = face.get("/targets?job=one").await.text().await.unwrap();
        assert!(
            page.contains("<li>8192 dropped, by rule 1: drop") && page.contains("<li>of the first 8192; "),
            "{page}"
        );
        face.stop().await;
    });
}

#[test]
fn a_job_without_targets_says_why() {
    leak_checked_live(async || {
        let face = Face::start(|state| state.providers = Providers::new(|| vec![failing()])).await;
        let jobs = vec![job("one", "static/1", DROP_B), job("two", "dns/2", "[]"), job("three", "static/3", "[]")];
        face.handle.set_jobs(jobs, Duration::from_secs(300)).await;
        face.report("static/1", vec![group("s", &["b:1", "b:2", "c/d"])]).await;
        face.report("static/3", vec![]).await;
        let told = async |query: &str| face.get(&format!("/targets?{query}")).await.text().await.unwrap();
        let dropped = told("job=one").await;
        assert!(
            dropped.contains("<li>2 dropped, by rule 1: drop source_labels: [__address__], regex: b.*; for"),
            "{dropped}"
        );
        assert!(dropped.contains("<li>1 impossible, &#34;c/d&#34; is not a host and port"), "{dropped}");
        let unknown = told("job=two").await;
        assert!(unknown.contains("<li>dns/2 has not reported: cannot reach &#60;dns&#62;"), "{unknown}");
        assert!(!unknown.contains("has reported, and found nothing"), "{unknown}");
        let empty = told("job=three").await;
        assert!(empty.contains("<li>What the job discovers by has reported, and found nothing.</li>"), "{empty}");
        for page in [&dropped, &empty] {
            assert!(page.contains("There are no targets.") && !page.contains("No target is like that."), "{page}");
        }
        assert!(unknown.contains("No targets are known yet.") && !unknown.contains("There are no"), "{unknown}");
        let all = told("").await;
        let line = "<li>Not all targets of “two” are known yet: dns/2 has not reported: cannot reach &#60;dns&#62;";
        assert!(all.contains(line) && all.contains("No targets are known yet."), "{all}");
        assert!(!all.contains("of “one” are not") && !all.contains("of “three” are not"), "{all}");
        let searched = told("search=x").await;
        assert!(searched.contains(line) && searched.contains("No target that is known is like that."), "{searched}");
        let data = face.json("/api/v1/targets?state=active").await["data"].clone();
        let missing = &data["missing"]["two"][0];
        assert_eq!((&missing["provider"], &missing["error"]["code"]), (&json!("dns/2"), &json!("sd_unreachable")));
        assert_eq!(data["missing"].as_object().unwrap().len(), 1);
        assert_eq!(face.json("/api/v1/targets?job=one").await["data"]["missing"], Value::Null);
        // Who looks for some of them is told that there are none of these, and what is missing.
        let searched = told("job=one&search=x").await;
        assert!(searched.contains("No target is like that.") && !searched.contains("dropped, by rule"), "{searched}");
        face.report("dns/2", vec![group("s", &["a:1"])]).await;
        let known = told("job=two").await;
        assert_eq!(face.json("/api/v1/targets").await["data"]["missing"], Value::Null);
        assert!(!known.contains("has not reported") && known.contains("1 target on this page."), "{known}");
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
        let told = ["of the configuration before, the new one has not reported yet", "held: replaced</span>"];
        let told = told.map(|words| page.matches(words).count());
        assert_eq!(told, [1, 3], "what it means is told once: {page}");
        let page = face.get("/").await.text().await.unwrap();
        assert!(page.contains("<a href=\"/targets?job=two&#38;health=held\">2</a>"), "{page}");
        let page = face.get("/targets?health=held").await.text().await.unwrap();
        assert!(page.contains("2 targets on this page.") && !page.contains("instance=\"a:1"), "{page}");
        let listed = face.json("/api/v1/targets?health=held").await;
        assert_eq!(addresses(&listed, "activeTargets"), ["c:1", "c:2"]);
        assert_eq!(listed["data"]["droppedTargets"], json!([]));
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
fn what_was_known_before_a_reload_is_told_as_what_it_is() {
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
        assert_eq!(presence().await, "stale", "nothing was restored");
        let provider = face.json("/api/v1/providers").await["data"]["providers"][0].clone();
        assert_eq!(
            (&provider["groups"], &provider["targets"]),
            (&json!(1), &json!(1)),
            "what is known of it is served"
        );
        let held = face.json("/api/v1/targets").await["data"]["activeTargets"][0]["held"]["reason"].clone();
        assert_eq!(held, "replaced");
        let page = face.get("/").await.text().await.unwrap();
        assert!(
            page.contains(">waiting</span> static <span class=\"sub\">waiting for 1 of 1 provider</span>"),
            "{page}"
        );
        let page = face.get("/service-discovery").await.text().await.unwrap();
        let counts = "stale</span></td><td role=\"cell\" class=\"n\" data-h=\"groups\">1</td><td role=\"cell\" class=\"n\" data-h=\"targets\">1</td>";
        assert!(page.contains(counts), "{page}");
        // All that it has is of a provider that was replaced, and the new one had its time.
        face.handle.set_jobs(one("static/2"), Duration::ZERO).await;
        let mut views = face.handle.watch();
        views.wait_for(|view| view.job("one").is_some_and(|job| job.servable().is_ok())).await.unwrap();
        let page = face.get("/").await.text().await.unwrap();
        assert!(page.contains(">waiting for 1 of 1 provider; incomplete: static/2 has not reported"), "{page}");
        face.stop().await;
    });
}
