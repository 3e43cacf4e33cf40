//! What consumers get while a source of a job cannot be read: the others, and what is missing by name.

use std::net::Ipv4Addr;

use rosterd_testkit::{
    Folder, Nameserver, Process, ScriptedServer, Step, free_loopback_listener, get, leak_checked_live, patience,
};
use rustix::process::Signal;
use serde_json::Value;
use tokio::time::{Duration, Instant, sleep};

use super::rosterd;

/// A running agent, with its store in the folder.
struct Agent {
    process: Process,
    address: String,
}

impl Agent {
    async fn start(folder: &Folder) -> Self {
        let mut command = rosterd(&["run", "--web.listen-address=127.0.0.1:0"]);
        let mut process = Process::start("rosterd run", command.current_dir(folder.root()));
        process.wait_log("configuration in use").await;
        process.wait_log("listening").await;
        let log = process.log();
        let (_, rest) = log.split_once("msg=listening").expect("it was waited for");
        let address = rest.split(" address=").nth(1).and_then(|rest| rest.split_whitespace().next());
        let address = address.expect("the line tells the address").to_owned();
        Self { process, address }
    }

    /// The addresses in the list of job `a`, once it is served and holds these.
    async fn serves(&mut self, wanted: &[&str]) {
        let end = Instant::now() + patience();
        loop {
            let (status, body) = get(&format!("http://{}/sd/a", self.address)).await.expect("it answers");
            let list: Value = serde_json::from_str(&body).expect("it answers in JSON");
            let targets = list.as_array().into_iter().flatten().map(|group| group["targets"][0].as_str());
            let mut targets: Vec<_> = targets.flatten().collect();
            targets.sort_unstable();
            if status == 200 && targets == wanted {
                return;
            }
            assert!(Instant::now() < end, "{status} {body}\n{}", self.process.log());
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until these are the sources that job `a` misses.
    async fn misses(&mut self, wanted: &[&str]) {
        let end = Instant::now() + patience();
        loop {
            let (_, body) = get(&format!("http://{}/api/v1/scrape_pools", self.address)).await.expect("it answers");
            let pools: Value = serde_json::from_str(&body).expect("it answers in JSON");
            let missing = pools["data"]["missing"]["a"].as_array().into_iter().flatten();
            let mut missing: Vec<_> = missing.filter_map(|missing| missing["source"].as_str()).collect();
            missing.sort_unstable();
            if missing == wanted {
                return;
            }
            assert!(Instant::now() < end, "{body}");
            sleep(Duration::from_millis(20)).await;
        }
    }

    async fn stop(mut self) {
        assert!(self.process.stop().await.success(), "{}", self.process.log());
    }
}

fn configuration(discovery: &str, grace: &str) -> String {
    format!("scrape_configs:\n- job_name: a\n  {discovery}\nrosterd: {{ready_grace_period: {grace}}}\n")
}

const ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

/// A nameserver that knows `good.test` and fails for `bad.test`.
async fn nameserver() -> Nameserver {
    let nameserver = Nameserver::start().await;
    nameserver.knows("good.test", &[ADDRESS]);
    nameserver.fails("bad.test");
    nameserver
}

fn names(nameserver: &Nameserver, names: &str) -> String {
    let address = nameserver.address();
    let config = format!("names: [{names}], type: A, port: 9100, nameservers: ['{address}'], refresh_interval: 1s");
    configuration(&format!("dns_sd_configs: [{{{config}}}]"), "1s")
}

#[test]
fn names_that_are_never_answered_leave_the_others() {
    leak_checked_live(async || {
        let (folder, nameserver) = (Folder::new(), nameserver().await);
        folder.write("prometheus.yml", names(&nameserver, "good.test, bad.test, a..x"));
        let mut agent = Agent::start(&folder).await;
        agent.serves(&["192.0.2.1:9100"]).await;
        agent.misses(&["a..x", "bad.test"]).await;
        agent.stop().await;

        // Also after a restart, when none is answered.
        nameserver.fails("good.test");
        let mut agent = Agent::start(&folder).await;
        agent.serves(&["192.0.2.1:9100"]).await;
        agent.process.wait_log("source cannot be read").await;
        agent.serves(&["192.0.2.1:9100"]).await;
        agent.stop().await;
        nameserver.stop().await;
    });
}

#[test]
fn a_reload_that_adds_a_name_which_is_never_answered_leaves_the_others() {
    leak_checked_live(async || {
        let (folder, nameserver) = (Folder::new(), nameserver().await);
        folder.write("prometheus.yml", names(&nameserver, "good.test"));
        let mut agent = Agent::start(&folder).await;
        agent.serves(&["192.0.2.1:9100"]).await;
        folder.replace("prometheus.yml", names(&nameserver, "good.test, bad.test"));
        agent.process.signal(Signal::HUP);
        agent.misses(&["bad.test"]).await;
        agent.serves(&["192.0.2.1:9100"]).await;
        agent.stop().await;
        nameserver.stop().await;
    });
}

#[test]
fn a_file_that_cannot_be_read_after_a_restart_keeps_its_targets() {
    leak_checked_live(async || {
        let folder = Folder::new();
        folder.write("prometheus.yml", configuration("file_sd_configs: [{files: ['*.json']}]", "1h"));
        folder.write("a.json", r#"[{"targets": ["a:1"]}]"#);
        folder.write("b.json", r#"[{"targets": ["b:1"]}]"#);
        let mut agent = Agent::start(&folder).await;
        agent.serves(&["a:1", "b:1"]).await;
        agent.stop().await;

        folder.replace("b.json", "[");
        folder.replace("a.json", r#"[{"targets": ["a:2"]}]"#);
        let mut agent = Agent::start(&folder).await;
        agent.serves(&["a:2", "b:1"]).await;
        folder.replace("b.json", r#"[{"targets": ["b:2"]}]"#);
        agent.serves(&["a:2", "b:2"]).await;
        agent.stop().await;
    });
}

#[test]
fn a_file_that_was_never_read_leaves_the_others_to_be_served() {
    leak_checked_live(async || {
        let folder = Folder::new();
        folder.write("prometheus.yml", configuration("file_sd_configs: [{files: ['*.json']}]", "1s"));
        folder.write("a.json", r#"[{"targets": ["a:1"]}]"#);
        let bad = folder.write("b.json", "[").display().to_string();
        let mut agent = Agent::start(&folder).await;
        agent.serves(&["a:1"]).await;
        agent.misses(&[&bad]).await;
        agent.stop().await;
    });
}

#[test]
fn of_two_urls_one_that_is_always_down_leaves_the_other_to_be_served() {
    leak_checked_live(async || {
        let (folder, server) = (Folder::new(), ScriptedServer::start([]).await);
        server.then(Step::get("/targets").any_times().json(r#"[{"targets": ["a:1"]}]"#));
        let nobody = free_loopback_listener().local_addr().expect("it is bound");
        let (up, down) = (server.url("/targets"), format!("http://{nobody}/"));
        let urls = format!("http_sd_configs: [{{url: '{up}'}}, {{url: '{down}'}}]");
        folder.write("prometheus.yml", configuration(&urls, "1s"));
        let mut agent = Agent::start(&folder).await;
        agent.serves(&["a:1"]).await;
        agent.stop().await;
        server.finish().await;
    });
}
