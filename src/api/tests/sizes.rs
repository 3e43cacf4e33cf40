//! How large pages are, whatever there is to show.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::StatusCode;
use rosterd_discovery::{
    Failure, Identity, Presence, ProviderKey, ProviderStatus, ProviderWatch, Status, Unread, UnreadSources, WatchState,
    WatchStatus,
};
use rosterd_model::{Labels, Report, TargetGroup};
use rosterd_scrape::{Health, Statuses, TargetStatus};
use rosterd_testkit::leak_checked_live;

use super::super::publications::tests::publication;
use super::super::{Providers, routes};
use super::{Face, group, job, problem_report};
use crate::publish::Publications;
use crate::reconcile::{Action, EndedOperation, Means, OperationId, OperationState, OperationStatus};
use crate::scrape::{RemoteWriteStatus, RemoteWrites};

/// No page is larger, in bytes.
const MOST: usize = 200_000;
const JOBS: usize = 1500;
const MANY: usize = 300;

fn jobs() -> Vec<Arc<str>> {
    (0..JOBS).map(|number| format!("a-job-with-a-long-name-{number:04}").into()).collect()
}

fn report() -> Report {
    Report { causes: vec!["it is said at length ".repeat(10)], ..problem_report() }
}

/// Providers that all jobs share, that read much, and of which nothing works.
fn providers() -> Vec<ProviderStatus> {
    let failure = || Failure { report: report(), at: SystemTime::now(), since: SystemTime::UNIX_EPOCH };
    let unread = Unread { since: SystemTime::UNIX_EPOCH, known: true, hides: false, beneath: None, report: report() };
    let unread = (0..100).map(|source| (format!("source {source}").into(), unread.clone()));
    let unread: Arc<UnreadSources> = Arc::new(unread.collect());
    let watch = |number: usize| ProviderWatch {
        number,
        jobs: jobs(),
        status: WatchStatus {
            resource: "pods".into(),
            scope: Some(format!("namespace {number}").into()),
            selectors: vec!["label=value".repeat(20).into(); 20],
            state: WatchState::Silent,
            objects: 7,
            last_heard: None,
            lists: BTreeMap::new(),
            last_error: Some(failure()),
            next_try: None,
        },
    };
    let provider = |number: usize| {
        let mut identity = Identity::new();
        for name in 0..20 {
            identity.list(&format!("name{name}"), (0..100).map(|value| format!("/a/long/path/{value}")));
        }
        ProviderStatus {
            key: ProviderKey::new(format!("static/{number}")),
            jobs: jobs(),
            reads: Arc::new(identity.reads().clone()),
            status: Status {
                presence: Presence::Stale,
                last_error: Some(failure()),
                unread: Arc::clone(&unread),
                ..Status::default()
            },
            watches: vec![watch(number)],
        }
    };
    (0..MANY).map(provider).collect()
}

fn endpoint(number: usize) -> RemoteWriteStatus {
    RemoteWriteStatus {
        name: format!("endpoint {number}"),
        url: format!("http://receiver-{number}.example/api/v1/write"),
        protocol: "2.0",
        compression: "zstd",
        lanes: 8,
        pending_samples: 1_000_000,
        bytes_on_disk: 1 << 30,
        disk_failure: None,
        oldest_pending: Some(SystemTime::UNIX_EPOCH),
        last_success: None,
        last_error: Some(report()),
        rejecting: false,
        samples_sent: 1,
        samples_failed: 1,
        samples_dropped: 1,
    }
}

fn ended(number: usize) -> EndedOperation {
    let (action, state, step_name) = (Action::Update, OperationState::Failed, Some("check"));
    EndedOperation {
        worker: format!("template:/a/long/path/{number}").into(),
        kind: "template".to_owned(),
        status: OperationStatus { id: OperationId(1), action, state, step: 1, step_name, attempt: 2 },
        ended: SystemTime::UNIX_EPOCH,
        error: Some(report()),
        means: Means::default(),
    }
}

/// A face with much of everything.
async fn crowded() -> Face {
    let face = Face::start(|state| {
        let listed = providers();
        state.providers = Providers::new(move || listed.clone());
        let names = jobs();
        let names: Vec<_> = names.iter().map(|name| &**name).collect();
        let published: Vec<_> = (0..MANY).map(|number| publication(&format!("/{number}.yml"), &names)).collect();
        state.publications = Publications::with_ended(move || published.clone(), || (0..MANY).map(ended).collect());
        state.remote_writes = RemoteWrites::new(|| (0..MANY).map(endpoint).collect());
        state.flags = (0..200).map(|number| (format!("flag-{number}"), "value ".repeat(20))).collect();
    })
    .await;
    let many = jobs();
    let mut specs: Vec<_> = many.iter().map(|name| job(name, "static/1", "[]")).collect();
    specs.push(job("wide", "static/2", "[{regex: __meta_(.*), action: labelmap}]"));
    face.handle.set_jobs(specs, Duration::from_secs(300)).await;
    face.report("static/1", vec![group("s", &["a:1"])]).await;
    let mut wide = group("s", &[]);
    wide.labels = (0..60).map(|number| (format!("__meta_{number}"), "x".repeat(100))).collect();
    wide.targets = (0..200).map(|number| [("__address__", format!("h{number}:1"))].into_iter().collect()).collect();
    face.report("static/2", vec![wide]).await;
    face
}

/// The paths of all pages.
fn pages() -> Vec<&'static str> {
    let for_programs = |path: &str| {
        path.contains('{') || path == "/metrics" || ["/api/", "/sd", "/-/"].iter().any(|start| path.starts_with(start))
    };
    let found = routes().into_iter().filter(|route| route.methods.contains(&"GET") && !for_programs(route.path));
    let found: Vec<_> = found.map(|route| route.path).collect();
    assert!(found.len() > 10, "{found:?}");
    found
}

/// Asks for each page in all ways that any of them knows, and for these besides. `job` is one that has much.
async fn all_stay_small(face: &Face, job: &str, besides: &[String]) {
    let job: String = url::form_urlencoded::byte_serialize(job.as_bytes()).collect();
    let rules = "-+%7Bregex:+__meta_(.*),+action:+labelmap%7D%0A".repeat(20);
    let exposition = "a%7Bid%3D%22x%22%7D+1%0A".repeat(300);
    let ways = [
        String::new(),
        "page=2".to_owned(),
        "page=16".to_owned(),
        "limit=100000&timeout=60s".to_owned(),
        format!("job={job}&limit=1000&timeout=60s"),
        format!("job={job}&became=target&health=down&timeout=60s"),
        format!("job={job}&q=h1&timeout=60s"),
        "q=a:1&timeout=60s".to_owned(),
        "q=h1&timeout=60s".to_owned(),
        "q=nowhere:1&timeout=60s".to_owned(),
        format!("q=%7Bjob%3D~%22{}%22%7D", "%22%3C".repeat(300)),
        format!("job={}", "%22%3C".repeat(300)),
        format!("job={job}&rules={rules}&exposition={exposition}&labels={}", "a%3D%22%3C".repeat(300)),
    ];
    let asked = pages().into_iter().flat_map(|path| ways.iter().map(move |way| format!("{path}?{way}")));
    for path in asked.chain(besides.iter().cloned()) {
        let answer = face.get(&path).await;
        let shown = &path[..path.floor_char_boundary(100)];
        assert!(!answer.status().is_server_error(), "{shown}: {}", answer.status());
        assert!(!path.ends_with('?') || answer.status() == StatusCode::OK, "{shown}: {}", answer.status());
        let page = answer.text().await.unwrap();
        assert!(page.len() < MOST, "{shown} has {} bytes", page.len());
    }
}

/// Where rules are tried on the first entry of a job.
async fn tried(face: &Face, job: &str) -> String {
    let job: String = url::form_urlencoded::byte_serialize(job.as_bytes()).collect();
    let discovered = face.get(&format!("/service-discovery?job={job}")).await.text().await.unwrap();
    let place = discovered.split("href=\"").find(|link| link.starts_with("/relabel?at="));
    place.and_then(|link| link.split('"').next()).expect("entries can be tried").to_owned()
}

#[test]
fn pages_stay_small_however_much_there_is_to_show() {
    leak_checked_live(async || {
        let face = crowded().await;
        let events = "/api/v1/journal?kind=added&limit=10000";
        super::journal::told(&face, events, JOBS + 200).await;
        let place = tried(&face, "wide").await;
        let rules = "rules=".to_owned() + &"-+%7Bregex:+__meta_(.*),+action:+labelmap%7D%0A".repeat(20);
        all_stay_small(&face, "wide", &[place.clone(), format!("{place}&{rules}")]).await;
        face.stop().await;
    });
}

/// Targets with a label each of these texts.
fn labelled(count: usize, label: &str) -> TargetGroup {
    let mut wide = group("s", &[]);
    wide.labels = (0..6).map(|number| (format!("l{number}"), label.to_owned())).collect();
    wide.targets = (0..count).map(|number| [("__address__", format!("h{number}:1"))].into_iter().collect()).collect();
    wide
}

#[test]
fn pages_stay_small_whatever_stands_in_labels() {
    for label in ["\"".repeat(900), "<>&'\"".repeat(20), format!("é{}", "<".repeat(20_000))] {
        leak_checked_live(async || {
            let face = Face::start(|state| {
                let labels: Labels = [("__address__", "h1:1"), ("job", "wide")].into_iter().collect();
                let down = TargetStatus {
                    health: Health::Down,
                    error: Some(Arc::new(Report { message: label.clone(), ..problem_report() })),
                    ..TargetStatus::default()
                };
                state.scrapes = Statuses::from_iter([(Arc::from("wide"), labels, down)]);
            })
            .await;
            let many = (0..20).map(|number| format!("{{target_label: added{number}, replacement: '${{1}}<'}}"));
            let rules = format!("[{}]", many.collect::<Vec<_>>().join(", "));
            face.handle.set_jobs(vec![job("wide", "static/1", &rules)], Duration::from_secs(300)).await;
            face.report("static/1", vec![labelled(250, &label)]).await;
            super::journal::told(&face, "/api/v1/journal?kind=added&limit=10000", 250).await;
            let place = tried(&face, "wide").await;
            all_stay_small(&face, "wide", &[place]).await;
            face.stop().await;
        });
    }
}

#[test]
fn pages_stay_small_whatever_jobs_and_providers_are_called() {
    leak_checked_live(async || {
        let name = |number: usize| format!("{}{number:03}", "<\"long & name\"> ".repeat(9));
        let names: Vec<_> = (0..600).map(name).collect();
        let texts = names.clone();
        let face = Face::start(move |state| {
            let failure = || Failure { report: report(), at: SystemTime::now(), since: SystemTime::UNIX_EPOCH };
            let unread =
                Unread { since: SystemTime::UNIX_EPOCH, known: true, hides: false, beneath: None, report: report() };
            let provider = |number: usize| ProviderStatus {
                key: ProviderKey::new(format!("static/{number}")),
                jobs: vec![texts[number].as_str().into()],
                reads: Arc::default(),
                status: Status {
                    presence: Presence::Stale,
                    last_error: Some(failure()),
                    unread: Arc::new([(Arc::from(texts[number].as_str()), unread.clone())].into()),
                    ..Status::default()
                },
                watches: Vec::new(),
            };
            let all: Vec<_> = (0..texts.len()).map(provider).collect();
            state.providers = Providers::new(move || all.clone());
            let files: Vec<_> =
                (0..MANY).map(|number| publication(&format!("/{}", texts[number]), &[&texts[number]])).collect();
            state.publications = Publications::with_ended(move || files.clone(), || (0..MANY).map(ended).collect());
            let ends: Vec<_> = texts.clone();
            let named = move |number: usize| RemoteWriteStatus { name: ends[number].clone(), ..endpoint(number) };
            state.remote_writes = RemoteWrites::new(move || (0..MANY).map(&named).collect());
        })
        .await;
        let specs = names.iter().enumerate().map(|(number, name)| job(name, &format!("static/{}", number % 2), "[]"));
        face.handle.set_jobs(specs.collect(), Duration::from_secs(300)).await;
        face.report("static/0", vec![group("s", &["a:1", "h1:1"])]).await;
        super::journal::told(&face, "/api/v1/journal?kind=added&limit=10000", 600).await;
        all_stay_small(&face, &names[0], &[]).await;
        let page = face.get("/").await.text().await.unwrap();
        for words in [" of 600, those first that do not go well", " more that are no graver: see ", " rel=\"next\""] {
            assert!(page.contains(words), "{words} is not on {page}");
        }
        face.stop().await;
    });
}

#[test]
fn names_of_jobs_and_what_is_read_are_named_as_far_as_people_read_them() {
    leak_checked_live(async || {
        let face = crowded().await;
        for (path, words) in [
            ("/publications", "a-job-with-a-long-name-0009 and 1\u{202f}490 more"),
            ("/service-discovery", "a-job-with-a-long-name-0009 and 1\u{202f}490 more"),
            ("/service-discovery", "/a/long/path/1, /a/long/path/2 and 97 more"),
            ("/remote-write", "And 250 more that go no worse"),
        ] {
            let page = face.get(path).await.text().await.unwrap();
            assert!(page.contains(words), "{words} is not on {path}: {page}");
        }
        face.stop().await;
    });
}
