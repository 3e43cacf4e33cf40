//! `rosterd brake`, asked of a server that answers as rosterd does, and of rosterd whose source answers with nothing.

use rosterd_testkit::{Folder, Process, ScriptedServer, Step, leak_checked_live};

use super::sources::Agent;
use super::{rosterd, run};

pub(super) fn asked(arguments: &[&str], answers: Vec<Step>, status: i32, printed: &[&str]) {
    leak_checked_live(async || {
        let server = ScriptedServer::start(answers.clone()).await;
        let url = server.url("");
        let mut process = Process::start("rosterd brake", rosterd(arguments).args(["--url", &url]));
        let ended = process.wait().await;
        assert_eq!(ended.code(), Some(status), "{}", process.log());
        for printed in printed {
            assert!(process.log().contains(printed), "{printed} in {}", process.log());
        }
        server.finish().await;
    });
}

const BRAKED: &str = r#"{"status":"success","data":{"brakes":[
    {"job":"web","held":60,"targets":100,"since":"2026-01-02T03:04:05Z","confirm":"reading",
     "expected":"2026-01-02T03:04:35.123456789Z","release":"rosterd brake release web","keep":"rosterd: {jobs: {web: {brake: {confirm: never}}}}",
     "providers":[{"provider":"dns/1","held":60}]},
    {"job":"db","held":6,"targets":10,"since":"2026-01-02T03:04:05Z","confirm":"5m",
     "expected":null,"graceUntil":"2026-01-02T03:14:05.25Z","release":"rosterd brake release db","keep":"rosterd: {jobs: {db: {brake: {confirm: never}}}}","providers":[{"provider":"dns/2","held":2},{"provider":"http/3","held":4}]},
    {"job":"n","held":6,"targets":10,"since":"2026-01-02T03:04:05Z","confirm":"reading","watched":true,
     "expected":"2026-01-02T03:05:05Z","release":"","keep":"","providers":[{"provider":"file/4","held":6}]}
]}}"#;

#[test]
fn what_is_held_is_listed() {
    let answer = Step::get("/api/v1/brake").body(BRAKED);
    let lines = [
        "web: 60 of 100 targets held since 2026-01-02T03:04:05Z, until another reading confirms it, expected at 2026-01-02T03:04:35Z: 60 of dns/1\n\
         \x20 to let them go:  rosterd brake release web\n\
         \x20 to keep them:    rosterd: {jobs: {web: {brake: {confirm: never}}}} in the configuration, and reload\n",
        "db: 6 of 10 targets held since 2026-01-02T03:04:05Z, for 5m, and then in the time of grace, over at 2026-01-02T03:14:05Z: 2 of \
         dns/2, 4 of http/3",
        "n: 6 of 10 targets held since 2026-01-02T03:04:05Z, until its source has not taken it back for a minute, expected at \
         2026-01-02T03:05:05Z: 6 of file/4\n",
    ];
    asked(&["brake", "list"], vec![answer.clone()], 0, &lines);
    asked(&["brake", "list", "-o", "json"], vec![answer], 0, &[r#"{"job":"web","held":60,"#]);
    let none = Step::get("/api/v1/brake").body(r#"{"status":"success","data":{"brakes":[]}}"#);
    asked(&["brake", "list"], vec![none], 0, &["nothing is braked"]);
}

#[test]
fn jobs_are_released_and_what_stays_is_told() {
    // Of a rosterd that looks at the first alone.
    let lines = ["web: 60 targets released", "db: nothing is braked"];
    let of_first = |query: &str, released: usize| {
        let body = format!(r#"{{"status":"success","data":{{"job":"x","released":{released}}}}}"#);
        Step::post(&format!("/api/v1/brake/release?{query}")).body(body)
    };
    asked(&["brake", "release", "web", "db"], vec![of_first("job=web&job=db", 60), of_first("job=db", 0)], 0, &lines);
    let body = r#"{"status":"success","data":{"job":"web","released":1,"jobs":[{"job":"web","released":1,"grace":null},
        {"job":"db","released":0,"grace":{"targets":3,"until":"2026-01-02T03:04:35.123456789Z","end":"rosterd: {x}"}}]}}"#;
    let answer = Step::post("/api/v1/brake/release?job=web&job=db").body(body);
    let lines = [
        "web: 1 target released\n",
        "db: nothing is braked\n  3 targets are in their time of grace until 2026-01-02T03:04:35Z\n  to let go sooner: rosterd: {x} in the \
         configuration, and reload\n",
    ];
    asked(&["brake", "release", "web", "db"], vec![answer], 0, &lines);
}

#[test]
fn a_job_that_does_not_exist_is_named() {
    let body = r#"{"type":"about:blank","title":"there is no job \"wbe\"; did you mean \"web\"?","status":404,"code":"roster_unknown_job","message":"there is no job \"wbe\"; did you mean \"web\"?","priority":"remote","retry":"never","causes":[]}"#;
    let answer = Step::post("/api/v1/brake/release?job=wbe").status(404).body(body);
    asked(&["brake", "release", "wbe"], vec![answer], 1, &["roster_unknown_job"]);
}

#[test]
fn an_empty_answer_takes_nothing_away_also_over_a_restart_until_it_is_released() {
    leak_checked_live(async || {
        let (folder, server) = (Folder::new(), ScriptedServer::start([]).await);
        let all: Vec<_> = (10..22).map(|number| format!("h:{number}")).collect();
        let all: Vec<_> = all.iter().map(String::as_str).collect();
        server.then(Step::get("/list").json(format!(r#"[{{"targets": ["{}"]}}]"#, all.join(r#"", ""#))));
        server.then(Step::get("/list").any_times().json("[]"));
        let http = format!("[{{url: '{}', refresh_interval: 1s}}]", server.url("/list"));
        let rosterd = "rosterd: {brake: {confirm: never}, jobs: {b: {brake: false}}}";
        let jobs = format!("[{{job_name: a, http_sd_configs: {http}}}, {{job_name: b, http_sd_configs: {http}}}]");
        folder.write("prometheus.yml", format!("scrape_configs: {jobs}\n{rosterd}\n"));
        let mut agent = Agent::start(&folder).await;
        agent.process.wait_log("removal is held").await;
        agent.serves_of("b", &[]).await;
        agent.serves_of("a", &all).await;
        agent.stop().await;

        let mut agent = Agent::start(&folder).await;
        agent.serves_of("b", &[]).await;
        agent.serves_of("a", &all).await;
        let ask = |arguments: &[&str]| {
            let url = format!("http://{}", agent.address);
            run(&[&["brake"], arguments, &["--url", &url]].concat())
        };
        let listed = ask(&["list"]);
        assert!(listed.output.starts_with("a: 12 of 12 targets held since "), "{listed:?}");
        assert!(listed.output.contains(", until it is released: 12 of http/"), "{listed:?}");
        let released = ask(&["release", "a"]);
        assert_eq!((released.status, released.output.as_str()), (Some(0), "a: 12 targets released\n"), "{released:?}");
        assert_eq!(ask(&["list"]).output, "");
        agent.serves_of("a", &[]).await;
        agent.stop().await;
    });
}
