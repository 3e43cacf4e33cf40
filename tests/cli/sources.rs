//! What consumers get while a source of a job cannot be read: the others, and what is missing by name.

use std::io::Write;
use std::net::Ipv4Addr;

use rosterd_testkit::{
    Folder, Nameserver, Process, ScriptedServer, Step, eventually_ok, free_address, get, leak_checked_live, patience,
};
use rustix::process::Signal;
use serde_json::Value;
use tokio::time::Duration;

use super::rosterd;

/// A running agent, with its store in the folder.
pub(super) struct Agent {
    pub(super) process: Process,
    pub(super) address: String,
}

impl Agent {
    pub(super) async fn start(folder: &Folder) -> Self {
        Self::start_with(folder, &[]).await
    }

    pub(super) async fn start_with(folder: &Folder, flags: &[&str]) -> Self {
        let mut command = rosterd(&["run", "--web.listen-address=127.0.0.1:0"]);
        let mut process = Process::start("rosterd run", command.args(flags).current_dir(folder.root()));
        process.wait_log("configuration in use").await;
        process.wait_log("listening").await;
        let log = process.log();
        let (_, rest) = log.split_once("msg=listening").expect("it was waited for");
        let address = rest.split(" address=").nth(1).and_then(|rest| rest.split_whitespace().next());
        let address = address.expect("the line tells the address").to_owned();
        Self { process, address }
    }

    /// Waits until the list of job `a` is served and holds these addresses.
    pub(super) async fn serves(&mut self, wanted: &[&str]) {
        self.serves_of("a", wanted).await;
    }

    /// The same of any job.
    pub(super) async fn serves_of(&mut self, job: &str, wanted: &[&str]) {
        let look = async || {
            let (status, body) = self.answers(&format!("/sd/{job}")).await;
            let list: Value = serde_json::from_str(&body).expect("it answers in JSON");
            let targets = list.as_array().into_iter().flatten().map(|group| group["targets"][0].as_str());
            let mut targets: Vec<_> = targets.flatten().collect();
            targets.sort_unstable();
            match status == 200 && targets == wanted {
                true => Ok(()),
                false => Err(format!("{status} {body}\n{}", self.process.log())),
            }
        };
        eventually_ok(patience(), &format!("the list of {job} is {wanted:?}"), look).await;
    }

    /// How a path is answered.
    pub(super) async fn answers(&self, path: &str) -> (u16, String) {
        get(&format!("http://{}{path}", self.address)).await.expect("it answers")
    }

    /// Waits until a path is answered with this status.
    pub(super) async fn answers_with(&mut self, path: &str, wanted: u16) {
        let look = async || match self.answers(path).await {
            (status, _) if status == wanted => Ok(()),
            (status, body) => Err(format!("{status} {body}\n{}", self.process.log())),
        };
        eventually_ok(patience(), &format!("{path} is answered with {wanted}"), look).await;
    }

    /// Waits until these are the sources that job `a` misses.
    pub(super) async fn misses(&mut self, wanted: &[&str]) {
        let look = async || {
            let (_, body) = self.answers("/api/v1/scrape_pools").await;
            let pools: Value = serde_json::from_str(&body).expect("it answers in JSON");
            let missing = pools["data"]["missing"]["a"].as_array().into_iter().flatten();
            let mut missing: Vec<_> = missing.filter_map(|missing| missing["source"].as_str()).collect();
            missing.sort_unstable();
            if missing == wanted { Ok(()) } else { Err(body) }
        };
        eventually_ok(patience(), &format!("{wanted:?} are missing"), look).await;
    }

    /// Waits until job `a` misses so many providers.
    async fn misses_providers(&mut self, wanted: usize) {
        let look = async || {
            let (_, body) = self.answers("/api/v1/scrape_pools").await;
            let pools: Value = serde_json::from_str(&body).expect("it answers in JSON");
            let missing = pools["data"]["missing"]["a"].as_array().map_or(0, Vec::len);
            if missing == wanted { Ok(()) } else { Err(body) }
        };
        eventually_ok(patience(), &format!("{wanted} providers are missing"), look).await;
    }

    pub(super) async fn stop(mut self) {
        assert!(self.process.stop().await.success(), "{}", self.process.log());
    }
}

pub(super) fn configuration(discovery: &str, grace: &str) -> String {
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
        let nobody = free_address();
        let urls = |down: &[&str]| {
            let down: Vec<_> = down.iter().map(|path| format!(", {{url: 'http://{nobody}/{path}'}}")).collect();
            let urls = format!("http_sd_configs: [{{url: '{}'}}{}]", server.url("/targets"), down.concat());
            configuration(&urls, "1s")
        };
        folder.write("prometheus.yml", urls(&["one"]));
        let mut agent = Agent::start(&folder).await;
        agent.serves(&["a:1"]).await;
        agent.misses_providers(1).await;

        // And when a reload adds another one.
        folder.replace("prometheus.yml", urls(&["one", "other"]));
        agent.process.signal(Signal::HUP);
        agent.misses_providers(2).await;
        agent.serves(&["a:1"]).await;
        agent.stop().await;

        // And after a restart, when all are down.
        let text = urls(&["one", "other"]);
        server.finish().await;
        folder.replace("prometheus.yml", text);
        let mut agent = Agent::start(&folder).await;
        agent.serves(&["a:1"]).await;
        agent.misses_providers(2).await;
        agent.serves(&["a:1"]).await;
        agent.stop().await;
    });
}

/// The most memory that a process has had so far, in MiB.
fn peak(process: &Process) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux tells it");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("it is a number") / 1024
}

/// A list behind so many MiB of blanks, packed.
fn packed(blanks: u64, list: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    let some = vec![b' '; 1 << 20];
    for _ in 0..blanks {
        encoder.write_all(&some)?;
    }
    encoder.write_all(list)?;
    encoder.finish()
}

#[test]
fn a_list_that_packs_well_is_not_unpacked_into_memory() {
    leak_checked_live(async || {
        const BLANKS: u64 = 64;
        let (folder, server) = (Folder::new(), ScriptedServer::start([]).await);
        let list = packed(BLANKS, br#"[{"targets": ["a:1"]}]"#).expect("it goes to memory");
        let step = Step::get("/targets").any_times().json(list).reply_header("content-encoding", "gzip");
        server.then(step.delay(Duration::from_secs(1)));
        let url = format!("http_sd_configs: [{{url: '{}', refresh_interval: 10m}}]", server.url("/targets"));
        folder.write("prometheus.yml", configuration(&url, "1s"));
        let mut agent = Agent::start(&folder).await;
        let before = peak(&agent.process);
        agent.serves(&["a:1"]).await;
        let grown = peak(&agent.process) - before;
        assert!(grown < BLANKS * 3 / 4, "{grown} MiB for {BLANKS} MiB of blanks");
        agent.stop().await;
        server.finish().await;
    });
}

#[test]
fn whoever_waits_is_told_why_and_of_which_job() {
    leak_checked_live(async || {
        let (folder, nobody) = (Folder::new(), free_address());
        folder.write("prometheus.yml", configuration(&format!("http_sd_configs: [{{url: 'http://{nobody}/'}}]"), "1h"));
        let mut agent = Agent::start(&folder).await;
        agent.process.wait_log("refresh failed").await;
        let cause = format!("has not reported: cannot connect to http://{nobody}/");
        let (status, body) = agent.answers("/sd/a").await;
        assert!(status == 503 && body.contains(&cause) && body.contains("job \\\"a\\\""), "{status} {body}");
        let (status, body) = agent.answers("/-/ready").await;
        assert!(status == 503 && body.contains(" of a has not reported yet: "), "{status} {body}");
        let log = agent.process.log();
        let told: Vec<_> = log.lines().filter(|line| line.contains(" provider=http/")).collect();
        assert!(told.len() > 1 && told.iter().all(|line| line.contains(" jobs=a")), "{log}");
        assert!(!log.contains("stale"), "there is nothing to keep: {log}");
        agent.stop().await;
    });
}
