//! What is not there, and what takes longer than there is time.

use std::time::Duration;

use http::StatusCode;
use rosterd_testkit::{eventually_ok, leak_checked_live, patience};

use super::super::{Face, group, job};

#[test]
fn a_page_of_a_job_that_there_is_not_says_so_and_is_not_found() {
    leak_checked_live(async || {
        let face = Face::start(|_| {}).await;
        face.handle.set_jobs(vec![job("two", "static/1", "[]")], Duration::from_secs(300)).await;
        let words = "role=\"alert\">there is no job &#34;tow&#34;; did you mean &#34;two&#34;?";
        for path in [
            "/targets?",
            "/service-discovery?",
            "/explain?q=a:1&",
            "/explain?",
            "/journal?",
            "/journal?kind=added&",
            "/relabel?",
            "/relabel/metrics?exposition=a+1&",
        ] {
            let unknown = face.get(&format!("{path}job=tow")).await;
            assert_eq!(unknown.status(), StatusCode::NOT_FOUND, "{path}");
            let page = unknown
                .text()
                .await
                .unwrap()
                .replace("<ul class=\"wrong plainlist\" role=\"alert\"><li>", "role=\"alert\">");
            assert!(page.contains(words) && page.contains("name=\"job\""), "{path}: {page}");
            assert_eq!(face.get(&format!("{path}job=two")).await.status(), StatusCode::OK, "{path}");
        }
        for path in
            ["/targets?search=%7Ba", "/service-discovery?job=two&search=%7Ba", "/journal?kind=gone", "/explain?q=%7Ba"]
        {
            let page = face.get(path).await;
            assert_eq!(page.status(), StatusCode::BAD_REQUEST, "{path}");
            assert!(page.text().await.unwrap().contains("role=\"alert\""), "{path}");
        }
        face.stop().await;
    });
}

/// What many targets are called who tell nothing else.
fn many(count: usize) -> Vec<rosterd_model::TargetGroup> {
    let name = |number: usize| format!("host-{number}.example.com:9100");
    (0..count).map(|number| group(&format!("source of {number}"), &[&name(number)])).collect()
}

#[test]
fn a_search_that_takes_too_long_is_cut_and_goes_on_from_there() {
    leak_checked_live(async || {
        let face = Face::start(|_| {}).await;
        let jobs = [("one", "[]"), ("two", "[{source_labels: [__address__], regex: '.*-7[.].*', action: drop}]")];
        let jobs = jobs.map(|(name, rules)| job(name, "static/1", rules));
        face.handle.set_jobs(jobs.into(), Duration::from_secs(300)).await;
        face.report("static/1", many(3000)).await;
        for (path, nothing) in [
            ("/targets?job=one", "No target that was looked at is like that."),
            ("/service-discovery?job=one", "None so far."),
            ("/service-discovery?job=two&became=target", "None so far."),
        ] {
            let (mut pages, mut next) = (Vec::new(), Some(format!("{path}&search=host-2999&timeout=0")));
            while let Some(path) = next {
                let page = face.get(&path).await.text().await.unwrap();
                let link = page.split("<a href=\"").find(|rest| rest.contains("rel=\"next\""));
                next = link.and_then(|rest| rest.split('"').next()).map(|link| link.replace("&#38;", "&"));
                pages.push(page);
            }
            let (last, others) = pages.split_last().unwrap();
            assert!(!others.is_empty() && others.len() < 4, "{}", others.len());
            for page in others {
                assert!(page.contains(nothing) && page.contains(">Look on</a>"), "{page}");
                assert!(page.contains("&#38;timeout=10s\">Look for longer</a>"), "{page}");
            }
            assert!(last.contains("host-2999.example.com") && !last.contains(">Look on</a>"), "{last}");
            let whole = face.get(&format!("{path}&search=host-2999&timeout=60s")).await.text().await.unwrap();
            assert!(whole.contains("host-2999.example.com") && !whole.contains("Look for longer"), "{whole}");
        }
        face.stop().await;
    });
}

#[test]
fn the_journal_says_how_far_it_was_looked_at_in_the_time() {
    leak_checked_live(async || {
        let face = Face::start(|_| {}).await;
        face.handle.set_jobs(vec![job("one", "static/1", "[]")], Duration::from_secs(300)).await;
        face.report("static/1", many(10_000)).await;
        let read = async |path: &str| face.get(path).await.text().await.unwrap();
        let path = "/journal?selector=nowhere:1&job=one";
        let page = eventually_ok(patience(), "the events are written", async || {
            let page = read(&format!("{path}&timeout=0")).await;
            if page.contains("Nothing like that happened since <time") { Ok(page) } else { Err(page) }
        })
        .await;
        assert!(
            page.contains(&format!(
                "{}&#38;timeout=10s\">Look for longer</a>",
                path.replace('&', "&#38;").replace(":", "%3A")
            )),
            "{page}"
        );
        let whole = read(&format!("{path}&timeout=60s")).await;
        assert!(whole.contains("Nothing like that happened, as far as the journal goes back."), "{whole}");
        let explained = read("/explain?q=host-1.example.com:9100&timeout=0").await;
        assert!(
            explained.contains("What was before <time") && explained.contains("host-1.example.com:9100/metrics"),
            "{explained}"
        );
        face.stop().await;
    });
}
