//! `rosterd journal` and `rosterd roster`, asked of an agent that is killed meanwhile.

use rosterd_testkit::{
    Folder, Process, ScriptedServer, Step, eventually_ok, free_address, leak_checked_live, patience,
};
use rustix::process::Signal;
use serde_json::{Value, json};

use super::sources::Agent;
use super::{Ended, rosterd, run};

const CONFIGURATION: &str = "scrape_configs: [{job_name: a, file_sd_configs: [{files: [targets.json]}]}]\n";

fn list(addresses: &[&str]) -> String {
    serde_json::json!([{"targets": addresses}]).to_string()
}

fn url(agent: &Agent) -> String {
    format!("http://{}", agent.address)
}

/// What a subcommand prints, once it fits.
async fn told(agent: &Agent, arguments: &[&str], fits: impl Fn(&str) -> bool) -> String {
    eventually_ok(patience(), &format!("{arguments:?} is told"), async || {
        let (url, mut all) = (url(agent), arguments.to_vec());
        all.extend(["--url", &url]);
        match run(&all) {
            Ended { status: Some(0), output, .. } if fits(&output) => Ok(output),
            other => Err(format!("{other:?}")),
        }
    })
    .await
}

#[test]
fn the_story_of_a_target_and_the_roster_of_any_time_outlive_the_process() {
    leak_checked_live(async || {
        let folder = Folder::new();
        folder.write("targets.json", list(&["one:1", "two:1"]));
        folder.write("prometheus.yml", CONFIGURATION);
        let mut agent = Agent::start(&folder).await;
        agent.serves(&["one:1", "two:1"]).await;
        let added = told(&agent, &["journal", "--kind=added", "--output=json"], |out| out.lines().count() == 2).await;
        let event: Value = serde_json::from_str(added.lines().last().expect("there are two")).expect("it is JSON");
        assert!(event["source"].as_str().is_some_and(|source| source.ends_with("targets.json")), "{event}");
        agent.process.signal(Signal::KILL);
        agent.process.wait().await;

        let mut agent = Agent::start(&folder).await;
        agent.serves(&["one:1", "two:1"]).await;
        folder.replace("targets.json", list(&["two:1"]));
        agent.serves(&["two:1"]).await;
        let story = told(&agent, &["journal", "one:1"], |out| out.contains("removed")).await;
        let kinds: Vec<_> = story.lines().filter_map(|line| line.split_whitespace().nth(1)).collect();
        assert!(kinds.starts_with(&["added"]) && kinds.ends_with(&["removed"]), "{story}");
        assert!(!story.contains("two:1") && story.contains("reason=source"), "{story}");

        let then = event["time"].as_str().expect("it has a time");
        let before = told(&agent, &["roster", "--at", then], |_| true).await;
        assert_eq!(before.lines().count(), 2, "{before}");
        assert!(before.contains(r#"a  {instance="one:1", job="a"}"#), "{before}");
        let changed = told(&agent, &["roster", "--job=a", "--at", then, "--diff=now"], |_| true).await;
        assert_eq!(changed, "removed   a  {instance=\"one:1\", job=\"a\"}\n");
        agent.stop().await;
    });
}

#[test]
fn a_store_that_is_damaged_is_told_with_what_went_by_it() {
    leak_checked_live(async || {
        let folder = Folder::new();
        let addresses: Vec<_> = (0..20).map(|number| format!("host{number:02}:1")).collect();
        let addresses: Vec<_> = addresses.iter().map(String::as_str).collect();
        folder.write("targets.json", list(&addresses));
        folder.write("prometheus.yml", CONFIGURATION);
        let mut agent = Agent::start(&folder).await;
        agent.serves(&addresses).await;
        told(&agent, &["journal", "--kind=added"], |out| out.lines().count() == 20).await;
        agent.process.signal(Signal::KILL);
        agent.process.wait().await;
        std::fs::write(folder.path("data/roster.redb"), "no database").expect("it can be written");
        folder.replace("targets.json", list(&addresses[..4]));

        let mut agent = Agent::start(&folder).await;
        agent.serves(&addresses[..4]).await;
        let damaged = told(&agent, &["journal", "--kind=damaged"], |out| out.lines().count() == 2).await;
        assert!(damaged.contains("data/roster.redb.corrupt-"), "{damaged}");
        assert!(damaged.contains("job=a  20 targets before, and 4 now"), "{damaged}");
        let started = told(&agent, &["journal", "--kind=started"], |out| out.lines().count() == 2).await;
        assert!(started.lines().last().is_some_and(|line| line.contains("reason=killed")), "{started}");
        let story = told(&agent, &["journal", "host07:1"], |out| out.contains("removed")).await;
        assert!(story.contains("reason=damaged"), "{story}");
        let url = url(&agent);
        let explained = run(&["explain", "host07:1", "--url", &url]);
        assert!(explained.output.contains("what was stored of it was damaged"), "{explained:?}");
        agent.stop().await;
    });
}

#[test]
fn what_happens_is_followed_over_the_end_of_a_process() {
    leak_checked_live(async || {
        let (folder, address) = (Folder::new(), free_address());
        folder.write("targets.json", list(&["one:1"]));
        folder.write("prometheus.yml", CONFIGURATION);
        let start = || {
            let mut command = rosterd(&["run", &format!("--web.listen-address={address}")]);
            Process::start("rosterd run", command.current_dir(folder.root()))
        };
        let url = format!("http://{address}");
        let mut process = start();
        process.wait_http(&format!("{url}/-/ready")).await;
        let mut command = rosterd(&["journal", "--follow", "--kind=added,removed", "--url", &url]);
        let mut follower = Process::start("rosterd journal", &mut command);
        follower.wait_log("one:1").await;
        for (signal, warning, target) in
            [(Signal::KILL, "warning: ", "two:1"), (Signal::TERM, "rosterd has ended the stream: ", "three:1")]
        {
            process.signal(signal);
            process.wait().await;
            follower.wait_log(warning).await;
            // While nobody can be asked.
            folder.replace("targets.json", list(&[target]));
            process = start();
            follower.wait_log(target).await;
        }
        let added = follower.log().lines().filter(|line| line.contains("  added ")).count();
        assert_eq!(added, 3, "nothing is printed twice: {}", follower.log());
        follower.stop().await;
        process.stop().await;
    });
}

#[test]
fn who_follows_and_has_no_event_yet_misses_none_that_comes_before_the_stream() {
    leak_checked_live(async || {
        let page =
            |events: Value| json!({"data": {"events": events, "cursor": 40, "more": false, "gap": true}}).to_string();
        let newest = json!([{"number": 41, "time": "2026-11-30T03:12:00Z", "kind": "started"}]);
        let enough = json!({"code": "x", "message": "enough", "priority": "operator", "retry": "never", "causes": []});
        let steps = [
            Step::get("/api/v1/journal?limit=1").json(page(newest)),
            Step::get("/api/v1/journal?kind=added&limit=100").json(page(json!([]))),
            Step::get("/api/v1/watch?kind=added&cursor=41").status(400).json(enough.to_string()),
        ];
        let server = ScriptedServer::start(steps).await;
        let mut command = rosterd(&["journal", "--follow", "--kind=added", "--url", &server.url("")]);
        let mut follower = Process::start("rosterd journal", &mut command);
        follower.wait().await;
        assert!(follower.log().contains("error: enough (x)"), "{}", follower.log());
        assert!(follower.log().contains("warning: a part of the journal is damaged or missing"), "{}", follower.log());
        server.finish().await;
    });
}

#[test]
fn who_follows_is_told_at_once_that_nobody_answers() {
    let url = format!("http://{}", free_address());
    let ended = run(&["journal", "--follow", "--url", &url]);
    assert_eq!(ended.status, Some(1), "{}", ended.errors);
    assert!(ended.errors.contains("cannot connect"), "{}", ended.errors);
}

#[test]
fn a_time_that_is_none_is_a_mistake_on_the_command_line() {
    for arguments in [["journal", "--from=tomorrow"], ["roster", "--at=x"]] {
        let ended = run(&arguments);
        assert_eq!(ended.status, Some(2), "{}", ended.errors);
        assert!(ended.errors.contains("2026-11-30T03:12:00Z"), "{}", ended.errors);
    }
}
