//! What Eureka is asked, and what becomes of its answers.

use rosterd_testkit::contract::Run;
use rosterd_testkit::{ScriptedServer, Step, addresses, assert_golden, fixture, leak_checked_live};

use super::{EurekaConfig, decode};

const ONE: &str = "<applications><application><name>A</name><instance><hostName>a</hostName><port>1</port></instance></application></applications>";

fn refused(text: &str) -> String {
    decode::groups(text.as_bytes()).expect_err(text).to_string()
}

#[test]
fn instances_become_labels() {
    let groups = decode::groups(fixture("discovery/eureka/apps.xml").as_bytes()).expect("groups");
    assert_golden("discovery/eureka/apps.golden.yml", &serde_yaml::to_string(&groups).expect("writes"));
}

#[test]
fn applications_of_one_name_are_one_group() {
    let app = |host: &str| {
        format!("<application><name>A</name><instance><hostName>{host}</hostName></instance></application>")
    };
    let text = format!("<applications>{}{}</applications>", app("a"), app("b"));
    let groups = decode::groups(text.as_bytes()).expect("groups");
    assert_eq!((groups.len(), &*groups[0].key, groups[0].targets.len()), (1, "A", 2));
    assert!(decode::groups(b"<applications/>").expect("none").is_empty());
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let instance =
        |inner: &str| format!("<applications><application>\n<instance>{inner}</instance></application></applications>");
    for (text, want) in [
        (instance("<port>x</port>"), "line 2, column 11: \"x\" in <port> is not a number"),
        (instance("<port enabled='yes'>1</port>"), "line 2, column 11: \"yes\" in <port> is not true or false"),
        (instance("<countryId>1.5</countryId>"), "line 2, column 11: \"1.5\" in <countryId> is not a number"),
        (instance("<port>"), "line 2, column 17: this is not XML"),
        ("<html><body>busy</body></html>".to_owned(), "expected <applications>, found <html>"),
        (String::new(), "line 1, column 1: this is not XML"),
        ("{}".to_owned(), "line 1, column 1: this is not XML"),
        ("<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>".to_owned(), "line 1, column 1: this is not XML"),
    ] {
        let told = refused(&text);
        assert!(told.starts_with(want), "{text}: {told}");
    }
}

#[test]
fn one_question_asks_for_all_and_refusals_are_told() {
    leak_checked_live(async || {
        let asked = || Step::get("/eureka/apps").any_times().with_header("authorization", "Basic dTpw");
        for (step, code) in [
            (asked().body(ONE).in_parts(9), None),
            (asked().status(401), Some("http_unauthorized")),
            (asked().status(403), Some("http_unauthorized")),
            (asked().status(404), Some("http_status")),
            (asked().status(429).reply_header("retry-after", "17"), Some("http_throttled")),
            (asked().body(ONE).truncate(20), Some("http_broken")),
            (asked().json("{}"), Some("sd_rest_malformed")),
        ] {
            let server = ScriptedServer::start([step]).await;
            let text = format!(
                "{{server: '{}', refresh_interval: 1h, basic_auth: {{username: u, password: p}}}}",
                server.url("/eureka/")
            );
            let config: EurekaConfig = serde_yaml::from_str(&text).expect("a configuration");
            let mut run = Run::start(&config).await.expect("it can be built");
            match code {
                None => assert_eq!(
                    addresses(run.next().await.expect("a word").groups()).first().map(String::as_str),
                    Some("a:1")
                ),
                Some(code) => {
                    let failed = || run.status().last_error.is_some();
                    rosterd_testkit::eventually(rosterd_testkit::patience(), "the failure is told", failed).await;
                    assert_eq!(run.status().last_error.map(|error| error.report.code).as_deref(), Some(code));
                }
            }
            run.stop().await.expect("it ends").expect("in order");
            server.finish().await;
        }
    });
}
