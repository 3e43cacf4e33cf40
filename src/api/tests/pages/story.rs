//! Why a target is there, and what happened to it.

use std::time::Duration;

use rosterd_testkit::{eventually_ok, leak_checked_live, patience};

use super::super::roster::DROP_B;
use super::super::{Face, group, job};

#[test]
fn a_page_explains_why_a_target_is_there_or_not() {
    leak_checked_live(async || {
        let face = Face::start(|_| {}).await;
        face.handle.set_jobs(vec![job("one", "static/1", DROP_B)], Duration::from_secs(300)).await;
        face.report("static/1", vec![group("<s>", &["a:1", "b:1", "c/d"])]).await;
        let told = async |query: &str| face.get(&format!("/explain?{query}&timeout=60s")).await.text().await.unwrap();
        for (query, texts) in [
            (
                "q=a:1",
                &[
                    "http://a:1/metrics",
                    ">a target</span>",
                    "Discovered in <code>&#60;s&#62;</code>",
                    "http_sd at /sd/one, not served yet",
                ][..],
            ),
            ("q=b:1&job=one", &[">dropped by relabelling</span>", "&#34;b:1&#34; matches: dropped"]),
            ("q=c/d", &[">cannot be a target</span>", "is not a host and port"]),
            ("q=a:2", &["Nothing is known of a:2", "<a href=\"/explain?q=a%3A1\">a:1</a>"]),
            ("q=%7Bx", &["role=\"alert\"", "invalid parameter"]),
            ("q=x&job=on", &["role=\"alert\"", "there is no job"]),
        ] {
            let page = told(query).await;
            for text in texts {
                assert!(page.contains(text), "{query}: {text} is not in {page}");
            }
            assert!(!page.contains("<s>"), "{page}");
        }
        let targets = face.get("/targets").await.text().await.unwrap();
        assert!(targets.contains("href=\"/explain?q=a%3A1&#38;job=one\""), "{targets}");
        face.stop().await;
    });
}

#[test]
fn the_journal_is_a_timeline_of_the_newest_first() {
    leak_checked_live(async || {
        let face = Face::start(|_| {}).await;
        face.handle.set_jobs(vec![job("one", "static/1", "[]")], Duration::from_secs(300)).await;
        face.report("static/1", vec![group("<s>", &["a:1", "b:1"])]).await;
        face.report("static/1", vec![group("<s>", &["b:1"])]).await;
        let shown = async |query: &str, words: &str| {
            let path = format!("/journal?{query}");
            eventually_ok(patience(), words, async || {
                let page = face.get(&path).await.text().await.unwrap();
                if page.contains(words) { Ok(page) } else { Err(page) }
            })
            .await
        };
        let page =
            shown("job=one&kind=removed", ">removed</span> <a href=\"/explain?q=a%3A1&#38;job=one\">a:1</a>").await;
        assert!(
            page.contains("&#60;s&#62; of static/1") && !page.contains("<s>") && !page.contains(">added</span>"),
            "{page}"
        );
        assert!(page.contains("<option selected>removed</option>") && page.contains("\" data-at>"), "{page}");
        let newest = shown("job=one&limit=1", "rel=\"next\"").await;
        let next = newest
            .split("<a href=\"")
            .find(|rest| rest.contains("rel=\"next\""))
            .and_then(|rest| rest.split('"').next());
        let older = face.get(&next.unwrap().replace("&#38;", "&")).await.text().await.unwrap();
        assert!(
            older.contains(">added</span>") && !older.contains(">removed</span>") && older.contains(">Newest</a>"),
            "{older}"
        );
        let wrong = face.get("/journal?kind=gone").await.text().await.unwrap();
        assert!(wrong.contains("role=\"alert\"") && wrong.contains("the parameter kind cannot be"), "{wrong}");
        let explained = face.get("/explain?q=b:1&timeout=60s").await.text().await.unwrap();
        assert!(explained.contains("href=\"/journal?selector=b%3A1&#38;job=one\""), "{explained}");
        // Of what is there, and of what is gone; there is more of both in the journal.
        for (query, told, journal) in [
            (
                "q=b:1",
                ">added</span>",
                "/journal?selector=%7B__address__%3D%22b%3A1%22%2C__metrics_path__%3D%22%2Fmetrics%22%2C__scheme__%3D%22http%22%7D&#38;job=one",
            ),
            ("q=%7Binstance%3D%22a:1%22%7D", ">removed</span>", "/journal?selector=%7Binstance%3D%22a%3A1%22%7D"),
        ] {
            let explained = face.get(&format!("/explain?{query}&timeout=60s")).await.text().await.unwrap();
            let past = explained.split("<h2>What happened").nth(1).unwrap_or_default();
            assert!(past.contains(told) && past.contains(&format!("href=\"{journal}\"")), "{query}: {explained}");
            assert!(past.contains("href=\"/journal?from=") && past.contains("\" data-at>"), "{query}: {past}");
        }
        face.stop().await;
    });
}
