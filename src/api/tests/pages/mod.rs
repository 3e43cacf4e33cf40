//! The pages, as a browser asks for them: here what stands around all of them.

mod discovery; // what was discovered, and how large that is
mod rules; // rules that are tried
mod searches; // what is not there, and what takes too long
mod story; // why a target is there, and what happened

use std::sync::Arc;

use http::StatusCode;
use rosterd_testkit::leak_checked_live;

use super::{Face, problem, problem_report};
use crate::api::Refused;

/// All pages.
const PAGES: [&str; 14] = [
    "/",
    "/targets",
    "/service-discovery",
    "/explain",
    "/journal",
    "/relabel",
    "/relabel/metrics",
    "/remote-write",
    "/publications",
    "/operations",
    "/cluster",
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
fn rules_for_a_phone_and_for_paper_stand_at_the_end_and_what_nobody_can_use_is_not_printed() {
    let style = include_str!("../../../../templates/style.css");
    let (_, printed) = style.split_once("@media print {").unwrap();
    let rules: Vec<_> = printed.lines().map(str::trim).filter(|rule| rule.contains("{ display: none; }")).collect();
    assert_eq!(rules, [".top nav, .top button, form, form.card, .skip, .pager { display: none; }"]);
    assert!(style.lines().all(|line| style.matches(line).count() == 1 || line.len() < 30), "no rule stands twice");
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
