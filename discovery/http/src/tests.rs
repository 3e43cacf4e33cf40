//! The mechanism against a server on the loopback interface, one reading at a time.

use rosterd_model::{Retry, TargetGroup};
use rosterd_testkit::{ScriptedServer, Step, leak_checked_live};

use super::HttpConfig;
use super::discoverer::Http;
use rosterd_client::{Client, Options};
use rosterd_discovery::{Error, Reading, Refresh};

const ONE: &str = r#"[{"targets": ["10.0.0.1:9100"], "labels": {"env": "prod"}}]"#;

fn discoverer(server: &ScriptedServer, more: &str) -> Http {
    let text = format!("{{url: '{}'{more}}}", server.url("/targets"));
    let config: HttpConfig = serde_yaml::from_str(&text).expect(&text);
    let client = Client::new(&config.client, Options::default()).expect("a client");
    Http::new(&config, client).expect("a discoverer")
}

fn step() -> Step {
    Step::get("/targets")
}

/// Reads once, for every reply.
async fn read(replies: impl IntoIterator<Item = Step>, more: &str) -> Vec<Result<Reading, Error>> {
    let replies = Vec::from_iter(replies);
    let count = replies.len();
    let server = ScriptedServer::start(replies).await;
    let mut http = discoverer(&server, more);
    let mut results = Vec::new();
    for _ in 0..count {
        results.push(http.refresh().await);
    }
    server.finish().await;
    results
}

/// The groups of a list that was read.
fn groups(reading: Result<Reading, Error>) -> Vec<TargetGroup> {
    match reading {
        Ok(Reading::Everything(groups)) => groups,
        other => panic!("{other:?} is no list"),
    }
}

/// What was read, shortly: the addresses, `=` for unchanged, or the code of the error.
fn shortly(results: &[Result<Reading, Error>]) -> Vec<String> {
    let addresses = |groups: &Vec<TargetGroup>| {
        let targets = groups.iter().flat_map(|group| &group.targets);
        targets.filter_map(|target| target.get("__address__")).collect::<Vec<_>>().join(",")
    };
    let short = |result: &Result<Reading, Error>| match result {
        Ok(Reading::Everything(groups)) => addresses(groups),
        Ok(Reading::Unchanged) => "=".to_owned(),
        Ok(other) => panic!("a URL is one source: {other:?}"),
        Err(error) => error.code().to_owned(),
    };
    results.iter().map(short).collect()
}

#[test]
fn groups_carry_their_url_and_requests_their_interval() {
    leak_checked_live(async || {
        let expected =
            step().with_header("accept", "application/json").with_header("x-prometheus-refresh-interval-seconds", "90");
        let server = ScriptedServer::start([expected.json(ONE)]).await;
        let url = server.url("/targets");
        let groups = groups(discoverer(&server, ", refresh_interval: 1m30s").refresh().await);
        assert_eq!(&*groups[0].source, url);
        assert_eq!(groups[0].labels.to_string(), format!(r#"{{__meta_url="{url}", env="prod"}}"#));
        assert_eq!(groups[0].targets[0].to_string(), r#"{__address__="10.0.0.1:9100"}"#);
        server.finish().await;
    });
}

#[test]
fn a_token_that_a_server_repeats_is_not_shown() {
    leak_checked_live(async || {
        let asked = || step().with_header("authorization", "Bearer hunter2");
        let replies =
            [asked().json(r#"[{"hunter2": 1}]"#), asked().reply_header("content-type", "no/hunter2").body("")];
        for result in read(replies, ", authorization: {credentials: hunter2}").await {
            let error = result.expect_err("no list").to_string();
            assert!(error.contains("<secret>") && !error.contains("hunter2"), "{error}");
        }
    });
}

#[test]
fn user_and_password_of_the_url_do_not_become_labels() {
    leak_checked_live(async || {
        let server = ScriptedServer::start([step().with_header("authorization", "Basic dTpw").json(ONE)]).await;
        let text = format!("url: http://u:p@{}/targets", server.address());
        let config: HttpConfig = serde_yaml::from_str(&text).expect("a configuration");
        let client = Client::new(&config.client, Options::default()).expect("a client");
        let mut http = Http::new(&config, client).expect("a discoverer");
        let groups = groups(http.refresh().await);
        assert_eq!(groups[0].labels.get("__meta_url"), Some(&*server.url("/targets")));
        assert_eq!(&*groups[0].source, server.url("/targets"));
        server.finish().await;
    });
}

#[test]
fn a_list_that_did_not_change_is_not_reported_again() {
    leak_checked_live(async || {
        let first = step().without_header("if-none-match");
        let again = step().with_header("if-none-match", "\"1\"");
        let replies = [
            first.clone().json(ONE).reply_header("etag", "\"1\""),
            again.clone().status(304),
            // From a server that does not care about conditions, or has forgotten them.
            again.json(ONE),
            first.json("[]"),
        ];
        assert_eq!(shortly(&read(replies, "").await), ["10.0.0.1:9100", "=", "=", ""]);
    });
}

#[test]
fn the_age_of_a_list_is_not_asked_about() {
    leak_checked_live(async || {
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        let asked = step().without_header("if-none-match").without_header("if-modified-since");
        let tagged = step().with_header("if-none-match", "\"1\"").without_header("if-modified-since");
        let replies = [
            asked.clone().json(ONE).reply_header("last-modified", date),
            // An older file took its place.
            asked
                .json("[]")
                .reply_header("last-modified", "Sat, 05 Nov 1994 08:49:37 GMT")
                .reply_header("etag", "\"1\""),
            tagged.json(ONE).reply_header("last-modified", date),
        ];
        assert_eq!(shortly(&read(replies, "").await), ["10.0.0.1:9100", "", "10.0.0.1:9100"]);
    });
}

#[test]
fn now_and_then_a_list_is_read_in_full_whatever_its_tag_says() {
    leak_checked_live(async || {
        // Replaced within a second by another of its size, as nginx sees it.
        let tagged = |step: Step| step.reply_header("etag", "\"2e7f1a61-3e\"");
        let unmodified = || step().with_header("if-none-match", "\"2e7f1a61-3e\"").status(304);
        let other = ONE.replace("10.0.0.1", "10.0.0.2");
        let mut replies = vec![tagged(step().without_header("if-none-match").json(ONE))];
        replies.extend((0..9).map(|_| unmodified()));
        replies.push(tagged(step().without_header("if-none-match").json(other)));
        replies.push(unmodified());
        let mut wanted = vec!["10.0.0.1:9100"];
        wanted.extend(["="; 9]);
        wanted.extend(["10.0.0.2:9100", "="]);
        assert_eq!(shortly(&read(replies, "").await), wanted);
    });
}

#[test]
fn a_reply_that_could_not_be_used_is_not_asked_about() {
    leak_checked_live(async || {
        let first = step().without_header("if-none-match");
        let replies = [
            first.clone().json("{}").reply_header("etag", "\"1\""),
            first.clone().json(ONE).reply_header("etag", "\"2\""),
            step().with_header("if-none-match", "\"2\"").json("[").reply_header("etag", "\"3\""),
            step().with_header("if-none-match", "\"2\"").status(304),
        ];
        assert_eq!(shortly(&read(replies, "").await), ["sd_malformed", "10.0.0.1:9100", "sd_malformed", "="]);
    });
}

#[test]
fn an_unasked_304_is_an_error() {
    leak_checked_live(async || assert_eq!(shortly(&read([step().status(304)], "").await), ["http_status"]));
}

#[test]
fn other_statuses_and_content_types_are_refused_with_their_reason() {
    leak_checked_live(async || {
        let replies = [
            step().status(204),
            step().status(500),
            step().status(429).reply_header("retry-after", "17"),
            step().status(401),
            step().body(ONE).reply_header("content-type", "text/html"),
            step().body(ONE),
        ];
        let results = read(replies, "").await;
        let codes =
            ["http_status", "http_status", "http_throttled", "http_unauthorized", "sd_content_type", "sd_content_type"];
        assert_eq!(shortly(&results), codes);
        let errors: Vec<_> = results.into_iter().map(|result| result.expect_err("refused")).collect();
        assert!(
            errors[1].to_string().contains("HTTP status 500 Internal Server Error for http://127."),
            "{}",
            errors[1]
        );
        assert_eq!(errors[2].retry(), Retry::After(std::time::Duration::from_secs(17)));
        assert!(errors[4].to_string().contains("text/html"), "{}", errors[4]);
    });
}

#[test]
fn what_is_wrong_in_a_list_is_told_with_url_and_place() {
    leak_checked_live(async || {
        let results = read([step().json("[{},\n{\"target\": []}]")], "").await;
        let error = results.into_iter().next().expect("one").expect_err("malformed").to_string();
        assert!(error.starts_with("reply of http://127.0.0.1:"), "{error}");
        assert!(error.contains("cannot read target group 1: ") && error.contains("unknown key `target`"), "{error}");
        assert!(error.contains("line 2, column"), "{error}");
    });
}

#[test]
fn a_list_beyond_the_limit_is_refused() {
    leak_checked_live(async || {
        let replies = [step().json(ONE), step().json(format!("{ONE}{}", " ".repeat(100)))];
        let results = read(replies, ", body_size_limit: 100B").await;
        assert_eq!(shortly(&results), ["10.0.0.1:9100", "http_too_large"]);
    });
}

#[test]
fn half_a_reply_is_an_error() {
    leak_checked_live(async || {
        assert_eq!(shortly(&read([step().json(ONE).truncate(20)], "").await), ["http_broken"]);
    });
}
