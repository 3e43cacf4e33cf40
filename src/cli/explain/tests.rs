//! An explanation in words.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::*;

fn told(data: Value) -> String {
    let explanation: Explanation = serde_json::from_value(plain_value(data)).expect("it is an explanation");
    story::text(&explanation, SystemTime::UNIX_EPOCH + Duration::from_secs(100), Colour::default())
}

fn explanation(found: Value) -> Value {
    json!({
        "query": "a:1", "found": found, "more": 0, "parts": 0, "entries": 9, "looked": 9, "similar": [], "hints": [], "unsure": [],
        "moreUnsure": 0,
    })
}

fn error(code: &str) -> Value {
    json!({"since": "1970-01-01T00:00:40Z", "code": code, "message": "it failed", "priority": "retry", "retry": "backoff"})
}

fn step(rule: &str, kept: bool) -> Value {
    let action = rule.split(' ').next();
    json!({"action": action, "rule": rule, "saw": "\"b\" matches", "reached": true, "kept": kept, "changes": []})
}

fn dropped() -> Value {
    let step = step("drop source_labels: [a], regex: b", false);
    json!({
        "job": "two", "became": "dropped",
        "origin": {
            "provider": "dns/1", "source": "x.example", "group": "g", "presence": "stale", "lastSuccess": null,
            "failing": error("sd_dns_failed"),
        },
        "trace": {"discovered": {"a": "b"}, "fromJob": [], "steps": [step], "atLast": [], "end": {"outcome": "dropped"}},
    })
}

fn target() -> Value {
    let change = json!([{"name": "job", "to": "one"}]);
    json!({
        "job": "one", "became": "target",
        "origin": {
            "provider": "file/1", "source": "/a.json", "group": "", "presence": "synced",
            "lastSuccess": "1970-01-01T00:01:30Z", "failing": null,
        },
        "trace": {
            "discovered": {"__address__": "a:1"}, "fromJob": change, "steps": [step("keep source_labels: [a]", true)],
            "atLast": [], "end": {"outcome": "kept", "labels": {"__address__": "a:1", "job": "one"}},
        },
        "url": "http://a:1/metrics", "origins": 2, "merged": [{"provider": "dns/1", "source": "x"}],
        "sameUrl": [{"job": "two", "labels": {"job": "one"}, "collides": true}], "limits": ["label_limit exceeded"],
        "held": {"reason": "grace", "since": "1970-01-01T00:00:40Z", "until": "1970-01-01T00:02:00Z"},
        "scrape": {
            "health": "down", "interval": "1m", "timeout": "10s", "lastScrape": "1970-01-01T00:01:35Z", "duration": 0.0123,
            "samples": 1234, "bytes": 7, "scrapes": 1000, "failures": 2, "outcomes": [false, true, false], "lastFailure": null,
            "error": error("scrape_refused"), "snoozedUntil": "1970-01-01T00:02:00Z",
        },
        "published": [
            {"kind": "http_sd", "place": "/sd/one", "state": null, "last": null, "withheld": error("roster_unsynced")},
            {"kind": "file_sd", "place": "/b.json", "state": "done", "last": "1970-01-01T00:01:39Z", "withheld": null},
        ],
    })
}

#[test]
fn a_target_is_told_from_its_source_to_its_publications() {
    let wanted = r#"target of job one http://a:1/metrics
  found by   file/1, source /a.json
             synced, read as a whole 10s ago
  merged     of 2 entries, with x of dns/1
  same URL   in job two: {job="one"}: same labels, so their samples collide
  limit      label_limit exceeded
  held       grace, since 1m ago, and goes in 20s
  scraped    down, last 5s ago in 12.3ms, 1 234 samples, every 1m within 10s
             it failed (scrape_refused)
             2 of 1 000 failed, the last ones -+-
             scraped again in 20s, as it asks for
  published  http_sd /sd/one, not served yet, withheld: it failed (roster_unsynced)
             file_sd /b.json, done, last written 1s ago
  rules      {__address__="a:1"}
             from the job
                + job="one"
             1. keep source_labels: [a]
                "b" matches: kept
             = {__address__="a:1", job="one"}

dropped of job two
  found by   dns/1, source x.example, group g
             stale
             fails since 1m ago: it failed (sd_dns_failed)
  rules      dropped by rule 1, drop source_labels: [a], regex: b: "b" matches

"#;
    assert_eq!(told(explanation(json!([target(), dropped()]))).replace('\u{202f}', " "), wanted);
}

#[test]
fn what_sources_say_forges_no_line() {
    let mut forged = target();
    let evil = "x\n= kept\x1b[2J";
    for place in ["job", "url"] {
        forged[place] = json!(evil);
    }
    forged["origin"]["source"] = json!(evil);
    forged["trace"]["discovered"] = json!({"a\nb": evil});
    forged["sameUrl"][0]["job"] = json!(evil);
    forged["scrape"]["error"]["message"] = json!(evil);
    let mut whole = explanation(json!([forged]));
    whole["hints"] = json!([evil]);
    whole["past"] = json!([{"number": 7, "time": "1970-01-01T00:00:10Z", "kind": "removed", "job": evil, "labels": {"instance": evil}}]);
    let text = told(whole);
    assert!(!text.contains('\x1b') && !text.contains("\n= kept"), "{text}");
    assert!(text.contains(r#"{a\nb="x\n= kept\u{1b}[2J"}"#), "{text}");
}

#[test]
fn a_failure_that_is_over_is_told_with_its_time() {
    let mut over = target();
    over["scrape"]["error"] = Value::Null;
    over["scrape"]["lastFailure"] = error("scrape_timeout");
    over["scrape"]["lastFailure"]["at"] = json!("1970-01-01T00:01:00Z");
    assert!(told(explanation(json!([over]))).contains("             failed 40s ago: it failed (scrape_timeout)\n"));
}

#[test]
fn what_was_dropped_is_told_at_length_where_there_is_no_target() {
    let text = told(explanation(json!([dropped()])));
    assert!(text.ends_with("  rules      {a=\"b\"}\n             1. drop source_labels: [a], regex: b\n                \"b\" matches: dropped\n             = dropped by rule 1\n\n"), "{text}");
}

#[test]
fn what_is_nowhere_is_told_with_what_may_be_meant_and_what_is_not_known() {
    let mut nowhere = explanation(json!([]));
    nowhere["similar"] = json!([{"address": "a:2", "job": "one", "became": "target"}]);
    nowhere["unsure"] = json!([
        {"provider": "dns/1", "source": "x", "jobs": ["one", "two"], "presence": "stale", "failing": error("sd_dns_failed")},
        {"provider": "http/1", "source": null, "jobs": ["two"], "presence": "unsynced", "failing": null},
        {"provider": "file/1", "source": null, "jobs": ["two"], "presence": "synced", "failing": null, "warning": error("sd_file_absent")},
    ]);
    nowhere["hints"] = json!(["there is no label envv"]);
    nowhere["moreUnsure"] = json!(2);
    nowhere["looked"] = json!(3);
    nowhere["pastReached"] = json!("1970-01-01T00:00:05Z");
    nowhere["past"] = json!([{"number": 7, "time": "1970-01-01T00:00:10Z", "kind": "removed", "job": "one"}]);
    let wanted = "nothing is a:1 now
similar: a:2, target of job one
there is no label envv
may be there: source x of dns/1 of one, two is stale, fails since 1m ago: it failed (sd_dns_failed)
may be there: http/1 of two is unsynced
may be there: file/1 of two may not say what it should, a warning since 1m ago: it failed (sd_file_absent)
and 2 more that are not known as of now
  past       1970-01-01T00:00:10Z      removed    job=one
the time was over before the journal was looked at from before 1970-01-01T00:00:05Z: see rosterd journal
the time was over after 3 of 9 entries: name a job by --job
";
    assert_eq!(told(nowhere), wanted);
}

#[test]
fn what_was_not_looked_at_is_no_matter_where_the_address_was_found() {
    let mut found = explanation(json!([target()]));
    found["looked"] = json!(0);
    assert!(!told(found.clone()).contains("the time was over"));
    found["query"] = json!("a");
    assert!(told(found).contains("the time was over after 0 of 9 entries"));
}

#[test]
fn what_is_not_told_is_counted() {
    let mut many = explanation(json!([dropped()]));
    (many["more"], many["parts"], many["idle"]) = (json!(3), json!(4), json!("there is no remote_write"));
    let text = told(many);
    let wanted =
        "and 3 more: name them more closely, or raise --limit\nand 4 that hold it as part of something longer\n";
    assert!(text.ends_with(wanted), "{text}");
    let mut idle = target();
    idle["scrape"] = Value::Null;
    let mut nobody = explanation(json!([idle]));
    nobody["idle"] = json!("there is no remote_write");
    assert!(told(nobody).contains("  scraped    by nobody: there is no remote_write\n"));
}
