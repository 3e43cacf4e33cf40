//! The pages, as a browser asks for them.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use rosterd_testkit::{eventually_ok, leak_checked_live, patience};

use super::roster::DROP_B;
use super::{Face, group, job, problem, problem_report};
use crate::api::Refused;

/// All pages.
const PAGES: [&str; 12] = [
    "/",
    "/targets",
    "/service-discovery",
    "/explain",
    "/journal",
    "/relabel",
    "/relabel/metrics",
    "/remote-write",
    "/publications",
    "/status",
    "/config",
    "/flags",
];

#[test]
fn pages_may_use_what_is_their_own_and_other_answers_nothing() {
    leak_checked_live(async || {
        let face = Face::start(|_| {}).await;
        for path in PAGES {
            let response = face.get(path).await;
            let policy = response.headers()["content-security-policy"].to_str().unwrap().to_owned();
            for part in ["default-src 'none'", "style-src 'self'", "script-src 'self'", "frame-ancestors 'none'"] {
                assert!(policy.contains(part) && !policy.contains("unsafe"), "{policy}");
            }
            let page = response.text().await.unwrap();
            // Nothing that the policy forbids.
            for forbidden in [" style=", "<style", "<script>", " onclick="] {
                assert!(!page.contains(forbidden), "{forbidden} on {path}");
            }
        }
        for path in ["/sd", "/metrics", "/nowhere", "/api/v1/status/flags"] {
            let headers = face.get(path).await.headers().clone();
            let strict = "default-src 'none'; frame-ancestors 'none'";
            assert_eq!(headers["content-security-policy"], strict, "{path}");
            assert_eq!(headers["x-content-type-options"], "nosniff", "{path}");
        }
        face.stop().await;
    });
}

#[test]
fn what_pages_use_is_there_and_may_be_kept() {
    leak_checked_live(async || {
        let face = Face::start(|_| {}).await;
        let page = face.get("/").await.text().await.unwrap();
        for (file, kind) in [("style.css", "text/css"), ("script.js", "text/javascript"), ("icon.svg", "image/svg+xml")]
        {
            let links =
                page.split('"').filter(|part| part.starts_with(&format!("/assets/{file}?v="))).collect::<Vec<_>>();
            let answer = face.get(links.first().unwrap_or_else(|| panic!("no {file} in {page}"))).await;
            assert_eq!(answer.status(), StatusCode::OK, "{file}");
            assert!(answer.headers()["content-type"].to_str().unwrap().starts_with(kind), "{file}");
            assert!(answer.headers()["cache-control"].to_str().unwrap().contains("immutable"), "{file}");
        }
        assert_eq!(face.get("/assets/other.css").await.status(), StatusCode::NOT_FOUND);
        face.stop().await;
    });
}

#[test]
fn status_configuration_and_flags_have_pages() {
    leak_checked_live(async || {
        let face = Face::start(|state| {
            state.flags.insert("web.external-url".to_owned(), "http://<x>".to_owned());
        })
        .await;
        let refused = Refused { report: problem_report(), problems: vec![problem()] };
        face.config.send_modify(|view| {
            let view = Arc::make_mut(view);
            view.yaml = format!("# <b>\n{}", "0123456789\n".repeat(10_000));
            view.refused = Some(refused);
        });
        let told = async |path: &str| face.get(path).await.text().await.unwrap();
        let (status, flags) = (told("/status").await, told("/flags").await);
        assert!(status.contains("<dd>/var/lib/rosterd</dd>") && status.contains("the last reload failed"), "{status}");
        assert!(
            flags.contains("<code>--web.external-url</code>") && flags.contains("<code>http://&#60;x&#62;<"),
            "{flags}"
        );
        let (first, last) = (told("/config").await, told("/config?page=2").await);
        assert!(first.contains("<li>a.yml:3:7: unknown key `x&#60;y` (cfg_unknown_key)</li>"), "{first}");
        assert!(first.contains("# &#60;b&#62;") && first.contains("part 1 of 2") && first.contains("/config?page=2"));
        assert!(last.contains("part 2 of 2") && !last.contains("# &#60;b"), "{last}");
        face.stop().await;
    });
}

#[test]
fn who_looks_for_a_page_is_told_by_a_page_that_there_is_none() {
    leak_checked_live(async || {
        let face = Face::start(|_| {}).await;
        let browse = async |path: &str| {
            face.request("GET", path)
                .header("accept", "text/html,application/xml;q=0.9,*/*;q=0.8")
                .send()
                .await
                .unwrap()
        };
        for (path, status, words) in [
            ("/target", StatusCode::NOT_FOUND, "Did you mean <a href=\"/targets\">/targets</a>?"),
            ("/<b>", StatusCode::NOT_FOUND, "There is no page /"),
            (
                "/targets?health=%3Cb%3E",
                StatusCode::BAD_REQUEST,
                "the parameter health cannot be &#34;&#60;b&#62;&#34;",
            ),
            ("/?page=0", StatusCode::BAD_REQUEST, "web_bad_parameter"),
        ] {
            let answer = browse(&path.replace('<', "%3C").replace('>', "%3E")).await;
            assert_eq!(answer.status(), status, "{path}");
            assert!(answer.headers()["content-type"].to_str().unwrap().starts_with("text/html"), "{path}");
            assert!(
                answer.headers()["content-security-policy"].to_str().unwrap().contains("style-src 'self'"),
                "{path}"
            );
            let page = answer.text().await.unwrap();
            assert!(page.contains(words) && !page.contains("<b>&"), "{page}");
        }
        // What is for programs stays so, and programs get the problem.
        for path in ["/api/v1/target", "/sd/none", "/-/nothing"] {
            let kind = browse(path).await.headers()["content-type"].clone();
            assert_eq!(kind, "application/problem+json", "{path}");
        }
        assert_eq!(face.json("/target").await["code"], "web_not_found");
        face.stop().await;
    });
}

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
        assert_eq!((listed, pages), (111, vec![50, 50, 11]), "each entry is on one page");
        let overview = face.get("/").await.text().await.unwrap();
        assert!(overview.contains("<a href=\"/service-discovery?job=one&#38;became=dropped\">1</a>"), "{overview}");
        assert!(told("").await.contains(">1 impossible</a>"));
        let unknown = face.get("/service-discovery?job=on").await.text().await.unwrap();
        assert!(unknown.contains("role=\"alert\">there is no job"), "{unknown}");
        assert_eq!(face.get("/service-discovery?became=x").await.status(), StatusCode::BAD_REQUEST);
        face.stop().await;
    });
}

#[test]
fn pages_stay_small_however_many_jobs_and_labels_there_are() {
    leak_checked_live(async || {
        const MOST: usize = 200_000;
        let face = Face::start(|_| {}).await;
        let mut jobs: Vec<_> = (0..1500).map(|number| job(&format!("job-{number:04}"), "static/1", "[]")).collect();
        jobs.push(job("wide", "static/2", "[{regex: __meta_(.*), action: labelmap}]"));
        face.handle.set_jobs(jobs, Duration::from_secs(300)).await;
        face.report("static/1", vec![group("s", &["a:1"])]).await;
        let mut wide = group("s", &[]);
        wide.labels = (0..60).map(|number| (format!("__meta_{number}"), "x".repeat(100))).collect();
        wide.targets = (0..200).map(|number| [("__address__", format!("h{number}:1"))].into_iter().collect()).collect();
        face.report("static/2", vec![wide]).await;
        for path in [
            "/",
            "/?page=16",
            "/targets",
            "/targets?job=wide",
            "/service-discovery",
            "/service-discovery?job=wide",
            "/publications",
            "/status",
        ] {
            let page = face.get(path).await.text().await.unwrap();
            assert!(page.len() < MOST, "{path} has {} bytes", page.len());
        }
        let page = face.get("/").await.text().await.unwrap();
        assert!(
            page.contains("1 to 100 of 1\u{202f}501, those first that do not go well") && page.contains("/?page=2"),
            "{page}"
        );
        let (wide, more) = (face.get("/targets?job=wide").await.text().await.unwrap(), "rel=\"next\"");
        assert!(wide.contains("x\"</li>") && wide.contains(more), "{wide}");
        face.stop().await;
    });
}

#[test]
fn rules_are_tried_on_labels_of_a_real_target() {
    leak_checked_live(async || {
        let face = Face::start(|_| {}).await;
        face.handle.set_jobs(vec![job("one", "static/1", DROP_B)], Duration::from_secs(300)).await;
        face.report("static/1", vec![group("s", &["a:1", "b:1"])]).await;
        let told = async |path: &str| face.get(path).await.text().await.unwrap();
        let empty = told("/relabel").await;
        assert!(empty.contains("Give it labels") && !empty.contains("class=\"story\""), "{empty}");
        let listed = told("/service-discovery?job=one&became=dropped").await;
        let link = listed
            .split("href=\"")
            .find(|link| link.starts_with("/relabel?at="))
            .and_then(|link| link.split('"').next());
        let dropped = told(link.unwrap_or_else(|| panic!("no link in {listed}"))).await;
        for text in [
            "__address__=b:1\n__meta_zone=z\n</textarea>",
            "- source_labels:\n  - __address__\n  regex: b.*\n  action: drop\n</textarea>",
            "<option selected>one</option>",
            "The job gives it labels",
            "&#34;b:1&#34; matches: dropped",
            ">dropped by rule 1</span>",
        ] {
            assert!(dropped.contains(text), "{text} is not in {dropped}");
        }
        assert_eq!(dropped.matches("class=\"story\"").count(), 1, "the rules are those of the job");
        // Other rules, beside those of the job.
        let other =
            told("/relabel?job=one&labels=__address__%3Db:1&rules=-+%7Btarget_label:+x,+replacement:+%3Cy%3E%7D").await;
        for text in [
            "+ x=&#34;&#60;y&#62;&#34;".replace("&#34;", "\"").as_str(),
            ">kept</span>",
            "With the rules of one",
            ">dropped by rule 1</span>",
        ] {
            assert!(other.contains(text), "{text} is not in {other}");
        }
        let alone = told("/relabel?labels=a%3D1&rules=-+%7Btarget_label:+x,+replacement:+y%7D").await;
        assert!(alone.contains("+ x=\"y\"") && !alone.contains("The job gives"), "{alone}");
        let wrong = told("/relabel?job=on&labels=a&rules=-+%7Baction:+kep%7D").await;
        for text in ["there is no job", "line 1 of the labels has no =", "rules:1:"] {
            assert!(wrong.contains(text) && wrong.contains("role=\"alert\""), "{text} is not in {wrong}");
        }
        face.stop().await;
    });
}

#[test]
fn rules_that_would_fill_all_memory_are_refused() {
    leak_checked_live(async || {
        let face = Face::start(|_| {}).await;
        let doubles = "-+%7Bsource_labels:+[x],+target_label:+x,+replacement:+%27$1$1%27%7D%0A";
        let rules = doubles.repeat(60);
        for path in ["/relabel?labels=x%3Daaaaaaaa", "/relabel/metrics?exposition=a%7Bx%3D%22aaaaaaaa%22%7D+1"] {
            let page = face.get(&format!("{path}&rules={rules}")).await.text().await.unwrap();
            assert!(
                page.contains("may make more than 64 KiB of the labels") && page.contains("role=\"alert\""),
                "{page}"
            );
        }
        face.stop().await;
    });
}

#[test]
fn metric_rules_are_tried_on_an_exposition() {
    leak_checked_live(async || {
        let face = Face::start(|_| {}).await;
        let query = "rules=-+%7Bregex:+id,+action:+labeldrop%7D&exposition=a%7Bid%3D%22%3Cb%3E%22%7D+1%0Ab+2";
        let page = face.get(&format!("/relabel/metrics?{query}")).await.text().await.unwrap();
        for text in [
            "2 samples: 2 kept, 0 dropped",
            "<code>a{id=&#34;&#60;b&#62;&#34;}</code>",
            ">changed</span>",
            "<ins><code>a</code></ins>",
        ] {
            assert!(page.contains(text) && !page.contains("<b>"), "{text} is not in {page}");
        }
        let wrong = face.get("/relabel/metrics?rules=x&exposition=a%7B").await.text().await.unwrap();
        assert!(wrong.contains("rules:1:1: ") && wrong.contains("role=\"alert\""), "{wrong}");
        face.stop().await;
    });
}

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
        face.stop().await;
    });
}
