//! How large pages are, whatever there is to show.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::StatusCode;
use rosterd_discovery::{
    Failure, Identity, Presence, ProviderKey, ProviderStatus, ProviderWatch, Status, Unread, UnreadSources, WatchState,
    WatchStatus,
};
use rosterd_model::Report;
use rosterd_testkit::leak_checked_live;

use super::super::Providers;
use super::super::publications::tests::publication;
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

#[test]
fn pages_stay_small_however_much_there_is_to_show() {
    leak_checked_live(async || {
        let face = crowded().await;
        let events = "/api/v1/journal?kind=added&limit=10000";
        super::journal::told(&face, events, JOBS + 200).await;
        let discovered = face.get("/service-discovery?job=wide").await.text().await.unwrap();
        let place = discovered.split("href=\"").find(|link| link.starts_with("/relabel?at="));
        let place = place.and_then(|link| link.split('"').next()).expect("entries can be tried").to_owned();
        let rules = "rules=".to_owned() + &"-+%7Bregex:+__meta_(.*),+action:+labelmap%7D%0A".repeat(20);
        let exposition = "a%7Bid%3D%22x%22%7D+1%0A".repeat(300);
        for path in [
            "/",
            "/?page=16",
            "/targets",
            "/targets?job=wide",
            "/targets?limit=100000",
            "/targets?job=wide&limit=1000",
            "/service-discovery",
            "/service-discovery?job=wide",
            "/explain",
            "/explain?q=a:1&timeout=60s",
            "/explain?q=h1&timeout=60s",
            "/explain?q=nowhere:1&timeout=60s",
            "/journal",
            "/journal?job=wide&limit=300",
            "/relabel",
            &place,
            &format!("{place}&{rules}"),
            &format!("/relabel/metrics?{rules}&exposition={exposition}"),
            "/remote-write",
            "/publications",
            "/operations",
            "/status",
            "/config",
            "/flags",
        ] {
            let answer = face.get(path).await;
            let shown = &path[..path.len().min(60)];
            assert_eq!(answer.status(), StatusCode::OK, "{shown}");
            let page = answer.text().await.unwrap();
            assert!(page.len() < MOST, "{shown} has {} bytes", page.len());
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
