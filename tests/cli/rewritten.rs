//! Files that are being written: what they say half-way takes nothing away and lets nobody in.

use rosterd_testkit::{Folder, eventually, leak_checked_live, patience};
use rustix::process::Signal;
use tokio::time::{Duration, sleep};

use super::sources::{Agent, configuration};

const JOBS: &str = "scrape_configs: [{job_name: a, static_configs: [{targets: ['a:1']}]}]";

#[test]
fn a_file_that_is_removed_and_written_again_never_shows_as_an_empty_list() {
    leak_checked_live(async || {
        let folder = Folder::new();
        let publish = "rosterd: {publish: {file_sd: [{path: out.json}]}}\n";
        let text = configuration("file_sd_configs: [{files: ['*.list.yml', b.json]}]", "1s");
        let text = text.replace("rosterd: {ready_grace_period: 1s}\n", publish);
        folder.write("prometheus.yml", text);
        folder.write("a.list.yml", "- targets: ['a:1']");
        folder.write("b.json", r#"[{"targets": ["b:1"]}]"#);
        let mut agent = Agent::start(&folder).await;
        agent.serves(&["a:1", "b:1"]).await;
        for round in 2..5 {
            // Truncated and written, and removed and written, as scripts do.
            folder.write("a.list.yml", "");
            folder.remove("b.json");
            sleep(Duration::from_millis(20)).await;
            let (a, b) = (format!("a:{round}"), format!("b:{round}"));
            folder.write("a.list.yml", format!("- targets: ['{a}']"));
            folder.write("b.json", format!(r#"[{{"targets": ["{b}"]}}]"#));
            agent.serves(&[&a, &b]).await;
        }
        let log = agent.process.log();
        let is_lost = |line: &&str| line.contains("targets changed") && line.contains("added=0");
        let lost: Vec<_> = log.lines().filter(is_lost).collect();
        assert!(lost.is_empty(), "{lost:?}");
        // A file that stays away is gone in the end.
        folder.remove("b.json");
        agent.serves(&["a:4"]).await;
        agent.stop().await;
    });
}

/// Waits until so many reloads were refused because all jobs would go.
async fn refused(agent: &mut Agent, count: usize) {
    let refused = || agent.process.log().matches("agent_no_jobs").count() >= count;
    eventually(patience(), "it is refused", refused).await;
}

#[test]
fn a_reload_that_would_remove_every_job_has_to_be_asked_for_twice() {
    leak_checked_live(async || {
        let folder = Folder::new();
        folder.write("prometheus.yml", JOBS);
        let mut agent = Agent::start(&folder).await;
        for (round, blank) in ["", "global: {scrape_interval: 5s}"].iter().enumerate() {
            folder.write("prometheus.yml", blank);
            agent.process.signal(Signal::HUP);
            refused(&mut agent, round + 1).await;
            agent.serves(&["a:1"]).await;
            folder.write("prometheus.yml", JOBS.replace("a:1", "a:2"));
            agent.process.signal(Signal::HUP);
            agent.serves(&["a:2"]).await;
            folder.write("prometheus.yml", JOBS);
            agent.process.signal(Signal::HUP);
            agent.serves(&["a:1"]).await;
        }
        folder.write("prometheus.yml", "");
        agent.process.signal(Signal::HUP);
        refused(&mut agent, 3).await;
        agent.serves(&["a:1"]).await;
        agent.process.signal(Signal::HUP);
        agent.answers_with("/sd/a", 404).await;
        agent.stop().await;

        // Unless that is what the user wants.
        folder.write("prometheus.yml", JOBS);
        let mut agent = Agent::start_with(&folder, &["--config.allow-empty"]).await;
        agent.serves(&["a:1"]).await;
        folder.write("prometheus.yml", "");
        agent.process.signal(Signal::HUP);
        agent.answers_with("/sd/a", 404).await;
        agent.stop().await;
    });
}

#[test]
fn an_editor_that_writes_in_place_with_pauses_does_not_remove_every_job() {
    leak_checked_live(async || {
        let folder = Folder::new();
        folder.write("prometheus.yml", JOBS);
        let flags = ["--config.auto-reload", "--config.auto-reload-interval=1h"];
        let mut agent = Agent::start_with(&folder, &flags).await;
        agent.serves(&["a:1"]).await;
        for round in 2..4 {
            folder.write("prometheus.yml", "");
            refused(&mut agent, round - 1).await;
            folder.write("prometheus.yml", "# my jobs\n");
            sleep(Duration::from_millis(400)).await;
            agent.serves(&[&format!("a:{}", round - 1)]).await;
            folder.write("prometheus.yml", JOBS.replace("a:1", &format!("a:{round}")));
            agent.serves(&[&format!("a:{round}")]).await;
        }
        agent.stop().await;

        // What rests is meant.
        let flags = ["--config.auto-reload", "--config.auto-reload-interval=2s"];
        let mut agent = Agent::start_with(&folder, &flags).await;
        agent.serves(&["a:3"]).await;
        folder.write("prometheus.yml", "");
        agent.process.wait_log("agent_no_jobs").await;
        agent.answers_with("/sd/a", 404).await;
        agent.stop().await;
    });
}

#[test]
fn a_web_configuration_that_is_half_written_lets_nobody_in() {
    leak_checked_live(async || {
        let folder = Folder::new();
        folder.write("prometheus.yml", JOBS);
        let users = format!("basic_auth_users: {{alice: '{}'}}\n", bcrypt::hash("s3cret", 4).expect("a hash"));
        folder.write("web.yml", &users);
        let mut agent = Agent::start_with(&folder, &["--web.config.file=web.yml"]).await;
        assert_eq!(agent.answers("/sd/a").await.0, 401);
        for half in ["", "# users follow\n", "http_server_config: {http2: false}\nbasic_auth_users:\n"] {
            folder.write("web.yml", half);
            assert_eq!(agent.answers("/sd/a").await.0, 401, "{half:?}");
        }
        agent.process.wait_log("web_config_opens").await;
        folder.write("web.yml", &users);
        assert_eq!(agent.answers("/sd/a").await.0, 401);
        folder.write("web.yml", "basic_auth_users: {}\n");
        agent.answers_with("/sd/a", 200).await;
        agent.stop().await;
    });
}
