//! What a restart or a reload leaves to consumers while a source is away: what was known, and never what is another job's.

use rosterd_testkit::{
    FakeApiServer, Fault, Folder, On, ScriptedServer, Step, eventually, eventually_ok, leak_checked_live, patience,
};
use rustix::process::Signal;
use serde_json::json;

use super::sources::{Agent, configuration};

/// A list for each password, as long as the server is up.
async fn server() -> ScriptedServer {
    let server = ScriptedServer::start([]).await;
    for (secret, address) in [("Basic dTpvbmU=", "one:1"), ("Basic dTp0d28=", "two:1")] {
        let list = format!(r#"[{{"targets": ["{address}"]}}]"#);
        server.then(Step::get("/list").with_header("authorization", secret).any_times().json(list));
    }
    server
}

fn goes_down(server: &ScriptedServer) {
    server.then(Step::get("/list").any_times().status(503));
}

/// A job that reads the list of the server with this password.
fn job(name: &str, server: &ScriptedServer, password: &str, interval: &str) -> String {
    let url = server.url("/list");
    format!(
        "- job_name: {name}\n  http_sd_configs: [{{url: '{url}', refresh_interval: {interval}, \
         basic_auth: {{username: u, password: {password}}}}}]\n"
    )
}

fn jobs(jobs: &[String]) -> String {
    format!("scrape_configs:\n{}rosterd: {{ready_grace_period: 1s}}\n", jobs.concat())
}

#[test]
fn a_job_never_has_the_targets_of_one_with_another_password() {
    leak_checked_live(async || {
        let (folder, server) = (Folder::new(), server().await);
        let (a, b) = (job("a", &server, "one", "1h"), job("b", &server, "two", "1h"));
        let file = "rosterd: {ready_grace_period: 1s, publish: {file_sd: [{path: 'out/{job}.json'}]}}\n";
        folder.write("prometheus.yml", format!("scrape_configs:\n{a}{b}{file}"));
        let mut agent = Agent::start(&folder).await;
        agent.serves_of("a", &["one:1"]).await;
        agent.serves_of("b", &["two:1"]).await;
        eventually(patience(), "it is published", || folder.path("out/b.json").exists()).await;
        agent.stop().await;

        goes_down(&server);
        folder.replace("prometheus.yml", format!("scrape_configs:\n{b}{file}"));
        let mut agent = Agent::start(&folder).await;
        agent.process.wait_log("refresh failed").await;
        agent.serves_of("b", &["two:1"]).await;
        let published = folder.read("out/b.json");
        assert!(published.contains("two:1") && !published.contains("one:1"), "{published}");
        agent.stop().await;
    });
}

#[test]
fn a_password_that_is_rotated_while_the_source_is_down_costs_nothing() {
    leak_checked_live(async || {
        let (folder, server) = (Folder::new(), server().await);
        folder.write("prometheus.yml", jobs(&[job("a", &server, "one", "1h")]));
        let mut agent = Agent::start(&folder).await;
        agent.serves(&["one:1"]).await;
        goes_down(&server);
        folder.replace("prometheus.yml", jobs(&[job("a", &server, "two", "1h")]));
        agent.process.signal(Signal::HUP);
        agent.process.wait_log("provider stopped").await;
        agent.serves(&["one:1"]).await;
        agent.stop().await;

        let mut agent = Agent::start(&folder).await;
        agent.process.wait_log("refresh failed").await;
        agent.serves(&["one:1"]).await;
        // It comes back with other targets for the new password, which take the place of those before.
        server.then(
            Step::get("/list")
                .with_header("authorization", "Basic dTp0d28=")
                .any_times()
                .json(r#"[{"targets": ["two:1"]}]"#),
        );
        agent.serves(&["two:1"]).await;
        agent.stop().await;
    });
}

#[test]
fn reloads_while_the_source_is_down_forget_nothing_also_when_they_are_taken_back() {
    leak_checked_live(async || {
        let (folder, server) = (Folder::new(), server().await);
        let configurations = [
            jobs(&[job("a", &server, "one", "1h")]),
            jobs(&[job("a", &server, "one", "2h")]),
            jobs(&[job("a", &server, "two", "2h")]),
            jobs(&[job("a", &server, "one", "1h")]),
        ];
        folder.write("prometheus.yml", &configurations[0]);
        let mut agent = Agent::start(&folder).await;
        agent.serves(&["one:1"]).await;
        goes_down(&server);
        for (number, configuration) in configurations.iter().enumerate().skip(1) {
            folder.replace("prometheus.yml", configuration);
            agent.process.signal(Signal::HUP);
            let done = || agent.process.log().matches("\"configuration in use\"").count() == number + 1;
            eventually(patience(), "it is in use", done).await;
            agent.serves(&["one:1"]).await;
        }
        agent.stop().await;
        let mut agent = Agent::start(&folder).await;
        agent.process.wait_log("refresh failed").await;
        agent.serves(&["one:1"]).await;
        agent.stop().await;
    });
}

#[test]
fn a_file_that_is_not_there_after_a_restart_keeps_its_targets_for_a_while() {
    leak_checked_live(async || {
        for (interval, comes) in [("1h", true), ("1s", false)] {
            let folder = Folder::new();
            let discovery = format!("file_sd_configs: [{{files: ['in/*.json', x.yml], refresh_interval: {interval}}}]");
            let publish = "rosterd: {publish: {file_sd: [{path: out.json}]}}\n";
            let text = format!("scrape_configs:\n- job_name: a\n  {discovery}\n{publish}");
            folder.write("prometheus.yml", text);
            folder.write("in/a.json", r#"[{"targets": ["a:1"]}]"#);
            folder.write("in/b.json", r#"[{"targets": ["b:1"]}]"#);
            folder.write("x.yml", "- targets: ['x:1']");
            let mut agent = Agent::start(&folder).await;
            agent.serves(&["a:1", "b:1", "x:1"]).await;
            eventually(patience(), "it is published", || {
                std::fs::read_to_string(folder.path("out.json")).is_ok_and(|text| text.contains("x:1"))
            })
            .await;
            agent.stop().await;

            // The folder is not mounted yet, and somebody is late.
            std::fs::rename(folder.path("in"), folder.path("away")).expect("it is there");
            folder.remove("x.yml");
            let mut agent = Agent::start(&folder).await;
            if comes {
                agent.process.wait_log("provider started").await;
                agent.serves(&["a:1", "b:1", "x:1"]).await;
                std::fs::rename(folder.path("away"), folder.path("in")).expect("it is there");
                folder.write("x.yml", "- targets: ['x:2']");
                agent.serves(&["a:1", "b:1", "x:2"]).await;
                // One that comes and has nothing has nothing.
                folder.write("in/b.json", "[]");
                agent.serves(&["a:1", "x:2"]).await;
            } else {
                agent.serves(&[]).await;
            }
            let emptied = agent.process.log().lines().filter(|line| line.contains("targets=0")).count();
            assert_eq!(emptied, usize::from(!comes), "{}", agent.process.log());
            agent.stop().await;
        }
    });
}

#[test]
fn a_storage_that_cannot_be_had_at_the_start_is_used_once_it_can() {
    leak_checked_live(async || {
        let (folder, server) = (Folder::new(), ScriptedServer::start([]).await);
        server.then(Step::get("/list").any_times().json(r#"[{"targets": ["a:1"]}]"#));
        let discovery = format!("http_sd_configs: [{{url: '{}'}}]", server.url("/list"));
        let publish = "  publish: {file_sd: [{path: out.json}]}\n";
        let text = configuration(&discovery, "1s").replace("rosterd: {ready_grace_period: 1s}", "rosterd:");
        folder.write("prometheus.yml", format!("{text}{publish}"));
        // A link to a disk that comes later. A file in the place of the folder would be a mistake, and is refused.
        std::os::unix::fs::symlink("disk", folder.path("data")).expect("a link");
        let mut agent = Agent::start(&folder).await;
        agent.process.wait_log("store_io").await;
        agent.serves(&["a:1"]).await;
        eventually(patience(), "it is published", || {
            std::fs::read_to_string(folder.path("out.json")).is_ok_and(|text| text.contains("a:1"))
        })
        .await;
        std::fs::create_dir(folder.path("disk")).expect("a folder");
        eventually(patience(), "it is stored", || folder.path("data/roster.redb").exists()).await;
        agent.stop().await;

        goes_down(&server);
        let mut agent = Agent::start(&folder).await;
        agent.process.wait_log("refresh failed").await;
        agent.serves(&["a:1"]).await;
        agent.stop().await;
    });
}

/// A metric of the provider of job `a`.
async fn metric(agent: &Agent, name: &str) -> Option<f64> {
    let (_, providers) = agent.answers("/api/v1/providers").await;
    let providers: serde_json::Value = serde_json::from_str(&providers).expect("it answers in JSON");
    let providers = providers["data"]["providers"].as_array()?;
    let of_a = providers.iter().find(|provider| provider["jobs"][0] == "a")?["provider"].as_str()?.to_owned();
    let (_, metrics) = agent.answers("/metrics").await;
    let line = metrics.lines().find(|line| line.starts_with(name) && line.contains(&format!("\"{of_a}\"")))?;
    line.rsplit(' ').next()?.parse().ok()
}

/// Somebody takes a job out, the source goes down, rosterd is started again, and the job is taken back.
#[test]
fn a_job_that_is_taken_back_has_its_targets_of_before_and_says_so() {
    leak_checked_live(async || {
        let (folder, server) = (Folder::new(), server().await);
        let (a, b) = (job("a", &server, "one", "1h"), job("b", &server, "two", "1h"));
        folder.write("prometheus.yml", jobs(&[a.clone(), b.clone()]));
        let mut agent = Agent::start(&folder).await;
        agent.serves_of("a", &["one:1"]).await;
        folder.replace("prometheus.yml", jobs(std::slice::from_ref(&b)));
        agent.process.signal(Signal::HUP);
        agent.answers_with("/sd/a", 404).await;
        goes_down(&server);
        agent.stop().await;

        let mut agent = Agent::start(&folder).await;
        agent.serves_of("b", &["two:1"]).await;
        folder.replace("prometheus.yml", jobs(&[a, b]));
        agent.process.signal(Signal::HUP);
        agent.serves_of("a", &["one:1"]).await;
        // The roster has them before the manager begins to ask.
        let shown = async || {
            let shown = ["rosterd_discovery_synced", "rosterd_discovery_targets"];
            let shown = [metric(&agent, shown[0]).await, metric(&agent, shown[1]).await];
            if shown == [Some(1.0), Some(1.0)] { Ok(()) } else { Err(format!("{shown:?}")) }
        };
        eventually_ok(patience(), "what is known of it is shown", shown).await;
        let (_, providers) = agent.answers("/api/v1/providers").await;
        assert!(providers.contains(r#""presence":"restored""#) && !providers.contains(r#""targets":0"#), "{providers}");

        // It is tried again and again, and told once for each of the two.
        let look = async || {
            let failures = metric(&agent, "rosterd_discovery_refresh_failures_total").await;
            if failures >= Some(3.0) { Ok(()) } else { Err(agent.process.log()) }
        };
        eventually_ok(patience(), "it fails three times", look).await;
        assert_eq!(agent.process.log().matches("refresh failed").count(), 2, "{}", agent.process.log());
        for (secret, address) in [("Basic dTpvbmU=", "one:2"), ("Basic dTp0d28=", "two:2")] {
            let list = format!(r#"[{{"targets": ["{address}"]}}]"#);
            server.then(Step::get("/list").with_header("authorization", secret).any_times().json(list));
        }
        agent.serves_of("a", &["one:2"]).await;
        agent.process.wait_log("reading works again").await;
        agent.stop().await;
    });
}

fn pod(namespace: &str, name: &str, ip: &str) -> serde_json::Value {
    json!({
        "kind": "Pod", "metadata": {"namespace": namespace, "name": name},
        "spec": {"containers": [{"name": "c", "image": "i", "ports": [{"containerPort": 1}]}]},
        "status": {"podIP": ip, "phase": "Running"},
    })
}

#[test]
fn what_went_of_one_namespace_is_gone_though_another_may_not_be_read_any_more() {
    leak_checked_live(async || {
        let (folder, server) = (Folder::new(), FakeApiServer::start().await);
        for (namespace, name, ip) in [("a", "x", "10.0.0.1"), ("a", "y", "10.0.0.2"), ("b", "x", "10.0.0.3")] {
            server.put(pod(namespace, name, ip));
        }
        let url = server.url("");
        let found = format!("[{{role: pod, api_server: '{url}', namespaces: {{names: [a, b]}}}}]");
        folder.write("prometheus.yml", configuration(&format!("kubernetes_sd_configs: {found}"), "1h"));
        let mut agent = Agent::start(&folder).await;
        agent.serves(&["10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1"]).await;
        // Of what it has read nothing is missing, though it cannot be read just now.
        server.fail(On::resource("pods"), Fault::Status(403));
        server.cut_watches();
        agent.process.wait_log("source cannot be read, keeping its stale targets").await;
        agent.misses(&[]).await;
        agent.stop().await;

        server.heal();
        server.fail(On::resource("pods").in_namespace("b"), Fault::Status(403));
        server.delete("pods", "a", "x");
        server.delete("pods", "b", "x");
        server.put(pod("b", "y", "10.0.0.4"));
        for _ in 0..2 {
            let mut agent = Agent::start(&folder).await;
            agent.serves(&["10.0.0.2:1", "10.0.0.3:1"]).await;
            agent.misses(&[]).await;
            agent.stop().await;
        }
        let mut agent = Agent::start(&folder).await;
        agent.process.wait_log("source cannot be read").await;
        server.heal();
        agent.serves(&["10.0.0.2:1", "10.0.0.4:1"]).await;
        agent.stop().await;
        server.finish().await;
    });
}

/// The pods in a page of a list.
const PAGE: usize = 500;

/// One of many pods: those beyond the first page are so large that a list can stop among them.
fn numbered(number: usize) -> serde_json::Value {
    let mut pod = pod("a", &format!("p{number:04}"), &format!("127.1.{}.{}", number / 256, number % 256));
    if number >= PAGE {
        pod["metadata"]["annotations"] = json!({"note": "x".repeat(4000)});
    }
    pod
}

fn addresses(numbers: impl Iterator<Item = usize>) -> Vec<String> {
    let mut addresses: Vec<_> = numbers.map(|number| format!("127.1.{}.{}:1", number / 256, number % 256)).collect();
    addresses.sort_unstable();
    addresses
}

/// Waits until more than a page of a list has come, of which the rest does not.
async fn is_listing(agent: &Agent) {
    let look = async || {
        let (_, metrics) = agent.answers("/metrics").await;
        let name = "rosterd_discovery_kubernetes_objects{resource=\"pods\"} ";
        let objects = metrics.lines().find_map(|line| line.strip_prefix(name)?.parse::<usize>().ok());
        if objects.is_some_and(|objects| objects > PAGE) { Ok(()) } else { Err(format!("{objects:?} pods")) }
    };
    eventually_ok(patience(), "a part of the list has come", look).await;
}

async fn is_killed(mut agent: Agent) {
    agent.process.signal(Signal::KILL);
    agent.process.wait().await;
}

#[test]
fn who_is_killed_in_the_middle_of_a_list_has_what_was_known_until_one_ends() {
    leak_checked_live(async || {
        for streams in [true, false] {
            let (folder, server) = (Folder::new(), FakeApiServer::start().await);
            server.streams_lists(streams);
            let stops = || server.fail(On::resource("pods"), Fault::Stall(300_000));
            (0..700).for_each(|number| server.put(numbered(number)));
            let found = format!("kubernetes_sd_configs: [{{role: pod, api_server: '{}'}}]", server.url(""));
            folder.write("prometheus.yml", configuration(&found, "1h"));

            // A part of the first list is no list, also for who comes after.
            stops();
            for _ in 0..2 {
                let mut agent = Agent::start(&folder).await;
                is_listing(&agent).await;
                agent.answers_with("/sd/a", 503).await;
                is_killed(agent).await;
            }
            server.heal();
            let all = addresses(0..700);
            let all: Vec<_> = all.iter().map(String::as_str).collect();
            let mut agent = Agent::start(&folder).await;
            agent.serves(&all).await;
            agent.stop().await;

            // One of those that come is gone, one of those that do not, and one is new.
            ["p0003", "p0650"].iter().for_each(|name| assert!(server.delete("pods", "a", name)));
            server.put(numbered(700));
            stops();
            for _ in 0..2 {
                let mut agent = Agent::start(&folder).await;
                is_listing(&agent).await;
                agent.serves(&all).await;
                is_killed(agent).await;
            }
            let mut agent = Agent::start(&folder).await;
            is_listing(&agent).await;
            // A reload then costs nothing either, and who comes with it has what the others have.
            let jobs = format!("- job_name: a\n  {found}\n- job_name: b\n  {found}\n");
            folder.replace("prometheus.yml", format!("scrape_configs:\n{jobs}rosterd: {{ready_grace_period: 1h}}\n"));
            agent.process.signal(Signal::HUP);
            agent.serves_of("b", &all).await;
            agent.serves(&all).await;
            agent.misses(&[]).await;
            server.heal();
            let now = addresses((0..701).filter(|number| ![3, 650].contains(number)));
            let now: Vec<_> = now.iter().map(String::as_str).collect();
            agent.serves(&now).await;
            agent.serves_of("b", &now).await;
            agent.stop().await;
            server.finish().await;
        }
    });
}
