//! `rosterd targets`, asked of a server that answers as rosterd does where not all is known.

use rosterd_testkit::Step;

use super::brake::asked;

/// What is missing of `db` and of `web`.
const UNKNOWN: &str = r#"{"status":"success","data":{"activeTargets":[TARGET],"droppedTargets":[],"droppedTargetCounts":null,"missing":{
    "db":[{"provider":"http/1","overdue":true,"error":{"code":"http_connect","message":"cannot reach it","priority":"retry",
           "retry":"backoff","causes":["refused"]}}],
    "web":[{"provider":"dns/1","source":"x.example","overdue":false}]}}}"#;

const TARGET: &str = r#"{"discoveredLabels":{},"labels":{"job":"web"},"scrapePool":"web","scrapeUrl":"http://a:1/metrics",
    "lastError":"","health":"up"}"#;

#[test]
fn it_is_said_of_which_jobs_targets_are_not_known_and_not_that_there_are_none() {
    let notes = "note: not all targets of db are known yet: http/1 has not reported: cannot reach it: refused (http_connect)\n\
                 note: not all targets of web are known yet: x.example of dns/1 could not be read\n";
    for (target, arguments, query, told) in [
        ("", &["targets"][..], "limit=5000", "no targets are known yet\n"),
        ("", &["targets", "x"], "search=x&limit=5000", "no target that is known is like that\n"),
        (TARGET, &["targets"], "limit=5000", "web  up      http://a:1/metrics  {job=\"web\"}\n"),
    ] {
        let body = UNKNOWN.replace("TARGET", target);
        let answer = Step::get(&format!("/api/v1/targets?state=active&{query}")).body(body);
        asked(arguments, vec![answer], 0, &[notes, told]);
    }
}
