//! What works and is still not as it should be, wherever a person looks.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rosterd_discovery::{Presence, ProviderKey, ProviderStatus, Status, Warning};
use rosterd_model::Report;
use rosterd_testkit::leak_checked_live;
use serde_json::json;

use super::super::Providers;
use super::{Face, group, job, problem_report};

#[test]
fn a_provider_that_works_and_may_not_say_what_it_should_is_yellow_wherever_it_is_told() {
    leak_checked_live(async || {
        let message = "no file is there for /nofile.json".to_owned();
        let report = Report { code: "sd_file_absent".to_owned(), message, causes: Vec::new(), ..problem_report() };
        let warning = Some(Warning { report, since: SystemTime::UNIX_EPOCH });
        let provider = |key: &str, jobs: &[&str], warning| ProviderStatus {
            key: ProviderKey::new(key),
            jobs: jobs.iter().map(|job| Arc::from(*job)).collect(),
            reads: Arc::default(),
            status: Status { presence: Presence::Synced, warning, ..Status::default() },
            watches: Vec::new(),
        };
        let list = vec![provider("file/1", &["lists"], warning), provider("static/1", &["web"], None)];
        let face = Face::start(|state| state.providers = Providers::new(move || list.clone())).await;
        let jobs = vec![job("lists", "file/1", "[]"), job("web", "static/1", "[]")];
        face.handle.set_jobs(jobs, Duration::from_secs(300)).await;
        face.report("file/1", vec![group("s", &["f:1"])]).await;
        face.report("static/1", vec![group("s", &["a:1"])]).await;

        let page = face.get("/").await.text().await.unwrap();
        for text in
            ["<b>file/1 of “lists” may not say what it should.</b>", "<span class=\"badge warn\">warning</span>"]
        {
            assert!(page.contains(text), "{text} is not on {page}");
        }
        assert!(page.contains("<span class=\"badge up\">synced</span> static"), "{page}");
        let page = face.get("/service-discovery").await.text().await.unwrap();
        let yellow = "<span class=\"badge up\">synced</span> <span class=\"badge warn\">warning</span>";
        assert_eq!(page.matches(yellow).count(), 1, "{page}");
        for (query, told) in
            [("f:1", "a warning since"), ("f:2", "file/1 of lists may not say what it should: a warning since")]
        {
            let page = face.get(&format!("/explain?q={query}")).await.text().await.unwrap();
            assert!(page.contains(told) && page.contains("no file is there for /nofile.json"), "{query}: {page}");
            assert!(page.contains("#sd_file_absent\">sd_file_absent</a>"), "{query}: {page}");
        }
        assert!(!face.get("/explain?q=a:1").await.text().await.unwrap().contains("a warning"));
        let told = face.json("/api/v1/explain?q=f:1").await["data"]["found"][0]["origin"]["warning"].clone();
        assert_eq!((&told["code"], &told["since"]), (&json!("sd_file_absent"), &json!("1970-01-01T00:00:00Z")));
        face.stop().await;
    });
}
