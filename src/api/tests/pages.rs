//! The pages, as a browser asks for them.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use rosterd_exposition::Protocol;
use rosterd_model::relabel::Rules;
use rosterd_testkit::{ScriptedServer, Step, eventually_ok, leak_checked_live, patience};

use super::roster::DROP_B;
use super::{Face, group, job, problem, problem_report};
use crate::api::Refused;
use crate::scrape::ScrapedJobs;

/// All pages.
const PAGES: [&str; 13] = [
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
    let style = include_str!("../../../templates/style.css");
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
        assert!(wide.contains("x&#34;</li>") && wide.contains(more), "{wide}");
        face.stop().await;
    });
}

#[test]
fn pages_stay_small_whatever_labels_are_like() {
    leak_checked_live(async || {
        const MOST: usize = 200_000;
        let face = Face::start(|_| {}).await;
        let (long, many) = ("y".repeat(150_000), "n".repeat(200));
        let jobs = vec![
            job("long", "static/1", "[{regex: __meta_(.*), action: labelmap}]"),
            job("dropped", "static/1", DROP_B),
        ];
        face.handle.set_jobs(jobs, Duration::from_secs(300)).await;
        let labels = |address: &str, name: &str, value: &str, count: usize| {
            let own = (0..count).map(|number| (format!("__meta_{name}_{number}"), value.to_owned()));
            own.chain([("__address__".to_owned(), address.to_owned())]).collect()
        };
        let targets =
            vec![labels("a:1", "long", &long, 1), labels("b:1", "many", &many, 2000), labels(&long, "x", "", 1)];
        face.report("static/1", vec![rosterd_model::TargetGroup { targets, ..group("s", &[]) }]).await;
        for path in [
            "/",
            "/targets",
            "/targets?job=long",
            "/service-discovery?job=long",
            "/service-discovery?job=dropped",
            "/explain?q=a:1",
            "/explain?q=b:1",
            "/explain?q=job%3Dlong",
            "/relabel?job=long&at=YQoxCjAKc3RhdGljLzEKbG9uZw",
            "/journal",
            "/status",
        ] {
            let page = face.get(path).await.text().await.unwrap();
            assert!(page.len() < MOST, "{path} has {} bytes", page.len());
        }
        let explained = face.get("/explain?q=a:1").await.text().await.unwrap();
        assert!(explained.contains("long_0=&#34;yyy") && explained.contains("yyy… (and 149000 bytes)"), "{explained}");
        assert!(face.get("/targets?job=long").await.text().await.unwrap().contains(" more labels</li>"));
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
        let form = |text: &str| format!("exposition=a+1&rules={}", text.repeat(1000));
        let many = form("-+%7Baction:+keep,+source_labels:+[x],+regex:+y%7D%0A%23-----------------------------%0A");
        let sent = face.request("POST", "/relabel/metrics").body(many).send().await.unwrap();
        let page = sent.text().await.unwrap();
        assert!(page.contains("KiB of rules are too much to try at once") && page.len() < 20_000, "{page}");
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

/// A job of the engine, as the configuration makes it.
fn scraped(name: &str, rules: &str) -> rosterd_scrape::Job {
    let metrics = rosterd_scrape::Metrics::register(&prometheus::Registry::new()).unwrap();
    let config = serde_yaml::from_str("{basic_auth: {username: u, password: geheim}}").unwrap();
    rosterd_scrape::Job {
        name: name.into(),
        client: rosterd_client::Client::new(&config, rosterd_client::Options::default()).unwrap(),
        params: Default::default(),
        headers: rosterd_scrape::headers(
            &[Protocol::PrometheusText0_0_4],
            rosterd_exposition::Escaping::AllowUtf8,
            true,
        ),
        fallback: None,
        body_limit: 1000,
        budget: rosterd_client::Budget::new(1 << 20),
        honor_retry_after: Duration::ZERO,
        seed: Default::default(),
        rules: rosterd_scrape::ingest::Rules {
            relabel: Rules::compile(&serde_yaml::from_str::<Vec<_>>(rules).unwrap(), Default::default()).unwrap(),
            ..Default::default()
        },
        failure_log: None,
        metrics: metrics.job(name),
    }
}

#[test]
fn metric_rules_are_tried_on_what_a_target_of_the_roster_exposes_and_on_no_other() {
    leak_checked_live(async || {
        let body = "a{instance=\"own\",b=\"geheim\"} 1\nb 2\n";
        let answering = |path: &str, body: String| {
            Step::get(path).any_times().reply_header("content-type", "text/plain").body(body)
        };
        let exporter = ScriptedServer::start([
            answering("/metrics", body.to_owned()),
            answering("/large", format!("large{{x=\"{}\"}} 1\n", "y".repeat(2000))),
        ])
        .await;
        let address = exporter.url("").trim_start_matches("http://").to_owned();
        let one = Arc::new(scraped("one", "[{source_labels: [instance], target_label: from}]"));
        let face = Face::start(|state| {
            state.scraped = ScrapedJobs::new(move |name| (name == "one").then(|| Arc::clone(&one)));
        })
        .await;
        let jobs = vec![job("one", "static/1", "[]"), job("two", "static/1", "[]")];
        face.handle.set_jobs(jobs, Duration::from_secs(300)).await;
        // Another name of the same place: the words for the first mean that alone.
        let mut other = group("large", &[&address.replace("127.0.0.1", "localhost")]);
        other.labels = [("__metrics_path__", "/large"), ("instance", "large")].into_iter().collect();
        face.report("static/1", vec![group("s", &[&address]), other]).await;

        // The page alone asks nobody, and has the rules of the job.
        let query = format!("job=one&target={address}");
        let page = face.get(&format!("/relabel/metrics?{query}")).await.text().await.unwrap();
        assert!(page.contains("target_label: from") && page.contains(&format!("value=\"{address}\"")), "{page}");
        assert_eq!(exporter.requests().len(), 0);

        let rules = "rules=-+%7Bsource_labels:+[__name__,instance],+regex:+%27b;.*%27,+action:+drop%7D";
        let asked = async |fields: &str| {
            let form = format!("{rules}&on=target&{fields}");
            face.request("POST", "/relabel/metrics").body(form).send().await.unwrap().text().await.unwrap()
        };
        let page = asked(&query).await;
        for text in [
            format!("2 samples of http://{address}/metrics: 1 kept, 1 dropped"),
            format!(
                "a{{b=&#34;&#60;secret&#62;&#34;, exported_instance=&#34;own&#34;, instance=&#34;{address}&#34;, job=&#34;one&#34;}}"
            ),
            ">dropped by rule 1</span>".to_owned(),
        ] {
            assert!(page.contains(&text), "{text} is not in {page}");
        }
        assert!(!page.contains("geheim"), "{page}");
        assert_eq!(exporter.requests().len(), 1);
        for (fields, words) in [
            ("job=one&target=127.0.0.2:1", "no target of one is 127.0.0.2:1"),
            ("job=one&target=large", "cannot be scraped: body size limit exceeded"),
            ("job=one", "name a target of the job"),
            ("target=a", "choose a job"),
            ("job=tow&target=a", "there is no job"),
            ("job=two&target=a", "two is not scraped"),
            ("job=one&target=%7B", "the target cannot be"),
        ] {
            let page = asked(fields).await;
            assert!(page.contains(words) && page.contains("role=\"alert\""), "{fields}: {page}");
        }
        assert_eq!(exporter.requests().len(), 2, "the large one was asked, and nobody else");

        // A page of another site asks nobody.
        let foreign = face.request("POST", "/relabel/metrics").header("sec-fetch-site", "cross-site");
        let refused = foreign.body(format!("{rules}&on=target&{query}")).send().await.unwrap();
        assert_eq!((refused.status(), exporter.requests().len()), (StatusCode::FORBIDDEN, 2));
        face.stop().await;
    });
}

#[test]
fn a_large_exposition_is_tried_by_a_form_and_stays_off_the_page() {
    leak_checked_live(async || {
        let face = Face::start(|_| {}).await;
        let sent = async |form: String| {
            let request = face.request("POST", "/relabel/metrics").body(form);
            request.send().await.unwrap().text().await.unwrap()
        };
        let many = (0..20_000).map(|number| format!("a{{n=\"{number}\"}}+1%0A")).collect::<String>();
        let page = sent(format!("rules=-+%7Bregex:+n,+action:+labeldrop%7D&exposition={many}")).await;
        assert!(page.contains("20\u{202f}000 samples: 20000 kept, 0 dropped"), "{page}");
        assert!(page.contains("too long to stand here again") && page.len() < 100_000, "{}", page.len());
        let page = sent("exposition=a+1".to_owned()).await;
        assert!(page.contains(">a 1</textarea>") && page.contains("1 sample: 1 kept"), "{page}");
        let page = sent(format!("exposition={}", "a".repeat(17 << 20))).await;
        assert!(page.contains("larger than 16 MiB") && page.contains("role=\"alert\""), "{page}");
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
        // Of what is there, and of what is gone; there is more of both in the journal.
        for (query, told, journal) in [
            ("q=b:1", ">added</span>", "/journal?selector=%7B__address__%3D%22b%3A1%22%7D&#38;job=one"),
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
        face.report("static/1", many(5000)).await;
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
