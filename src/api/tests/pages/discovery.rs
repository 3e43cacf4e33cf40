//! What was discovered.

use std::time::Duration;

use http::StatusCode;
use rosterd_testkit::leak_checked_live;

use super::super::roster::DROP_B;
use super::super::{Face, group, job};

#[test]
fn what_was_discovered_stands_beside_what_became_of_it() {
    leak_checked_live(async || {
        let face = Face::start(|_| {}).await;
        face.handle.set_jobs(vec![job("one", "static/1", DROP_B)], Duration::from_secs(300)).await;
        let many: Vec<_> = (0..110).map(|number| format!("a{number:03}:1")).collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        face.report("static/1", vec![group("<s>", &["b:1", "c/d", "a000:1"]), group("t", &many)]).await;
        let told =
            async |query: &str| face.get(&format!("/service-discovery?job=one{query}")).await.text().await.unwrap();
        let rows = |page: &str| {
            page.matches("<code>").count() - page.split("id=\"entries\"").next().unwrap().matches("<code>").count()
        };
        for (query, count, words) in [
            ("&became=dropped", 1, "by rule 1: drop source_labels: [__address__], regex: b.*"),
            ("&became=impossible", 1, "&#34;c/d&#34; is not a host and port"),
            ("&became=duplicate", 2, "1 other entry of the job comes to the same target"),
            ("&became=held", 0, "Nothing is like that."),
            ("&search=__address__=a00", 11, "<code>&#60;s&#62;</code> of static/1"),
            ("&search=%7B__meta_zone%3D%22z%22%2C__address__%3D%22b:1%22%7D", 1, ">dropped</span>"),
        ] {
            let page = told(query).await;
            assert!(page.contains(words), "{query}: {words} is not in {page}");
            assert_eq!(rows(&page), count, "{query}: {page}");
            assert!(!page.contains("<s>"), "{page}");
        }
        let (mut listed, mut link) = (0, Some("/service-discovery?job=one&became=target".to_owned()));
        let mut pages = Vec::new();
        while let Some(path) = link {
            let page = face.get(&path).await.text().await.unwrap();
            pages.push(rows(&page));
            listed += rows(&page);
            let next = page.split("<a href=\"").find(|rest| rest.contains("rel=\"next\""));
            link = next.and_then(|rest| rest.split('"').next()).map(|href| href.replace("&#38;", "&"));
        }
        assert!(
            listed == 111 && pages.iter().all(|rows| (1..=50).contains(rows)),
            "each entry is on one page: {pages:?}"
        );
        let overview = face.get("/").await.text().await.unwrap();
        assert!(overview.contains("<a href=\"/service-discovery?job=one&#38;became=dropped\">1</a>"), "{overview}");
        assert!(told("").await.contains(">1 impossible</a>"));
        let unknown = face.get("/service-discovery?job=on").await.text().await.unwrap();
        assert!(unknown.contains("role=\"alert\">there is no job"), "{unknown}");
        assert_eq!(face.get("/service-discovery?became=x").await.status(), StatusCode::BAD_REQUEST);
        face.stop().await;
    });
}
