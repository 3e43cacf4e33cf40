//! Rules that are tried on labels and on expositions.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use rosterd_exposition::Protocol;
use rosterd_model::relabel::Rules;
use rosterd_testkit::{ScriptedServer, Step, leak_checked_live};

use super::super::roster::DROP_B;
use super::super::{Face, group, job};
use crate::scrape::{ScrapedJobs, ToScrape};

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
        let scraped = Arc::new(ToScrape { jobs: [("one".into(), one)].into(), ..ToScrape::default() });
        let face = Face::start(|state| {
            state.scraped = ScrapedJobs::new(move || Arc::clone(&scraped));
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
