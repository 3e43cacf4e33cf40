//! `rosterd run`: start, signals, and what keeps it from starting.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Command;

use rosterd_testkit::{Folder, Process, eventually, free_loopback_listener, get, leak_checked_live, patience};
use rustix::fs::{Mode, OFlags, open};
use rustix::process::Signal;

use super::{ended, rosterd};

const CONFIG: &str = "scrape_configs: [{job_name: a, static_configs: [{targets: ['a:1']}]}]";

/// An agent with its configuration and its store in a folder of its own.
struct Agent {
    folder: Folder,
    process: Process,
}

fn command(folder: &Folder, arguments: &[&str]) -> Command {
    let mut command = rosterd(&["run", "--web.listen-address=127.0.0.1:0"]);
    command.args(arguments).current_dir(folder.root());
    command
}

impl Agent {
    async fn start(arguments: &[&str]) -> Self {
        Self::start_in(Folder::new(), CONFIG, arguments).await
    }

    /// With a client that asked for a list that no buffers hold, and does not read it.
    async fn with_slow_reader(arguments: &[&str]) -> (Self, TcpStream) {
        let folder = Folder::new();
        let groups: Vec<_> = (0..40)
            .map(|index| format!(r#"{{"targets": ["a:{index}"], "labels": {{"long": "{}"}}}}"#, "x".repeat(500_000)))
            .collect();
        folder.write("targets.json", format!("[{}]", groups.join(",")));
        let config = "scrape_configs: [{job_name: a, file_sd_configs: [{files: [targets.json]}]}]";
        let mut agent = Self::start_in(folder, config, arguments).await;
        agent.process.wait_http(&format!("http://{}/-/ready", agent.address())).await;
        let mut stream = TcpStream::connect(agent.address()).expect("it listens");
        stream.write_all(b"GET /sd/a HTTP/1.1\r\nhost: x\r\n\r\n").expect("it reads");
        let mut begun = [0; 12];
        stream.read_exact(&mut begun).expect("it answers");
        assert_eq!(&begun, b"HTTP/1.1 200");
        (agent, stream)
    }

    async fn start_in(folder: Folder, config: &str, arguments: &[&str]) -> Self {
        folder.write("prometheus.yml", config);
        let mut process = Process::start("rosterd run", &mut command(&folder, arguments));
        process.wait_log("configuration in use").await;
        process.wait_log("listening").await;
        Self { folder, process }
    }

    fn address(&self) -> String {
        let log = self.process.log();
        let line = log.lines().find(|line| line.contains("msg=listening")).expect("it was waited for");
        let address = line.split_once(" address=").expect("the line tells the address").1;
        address.split(' ').next().unwrap_or(address).to_owned()
    }
}

#[test]
fn sigterm_ends_it_in_order() {
    leak_checked_live(async || {
        for signal in [Signal::TERM, Signal::INT] {
            let mut agent = Agent::start(&[]).await;
            agent.process.wait_http(&format!("http://{}/-/ready", agent.address())).await;
            agent.process.signal(signal);
            assert_eq!(agent.process.wait().await.code(), Some(0), "{}", agent.process.log());
        }
    });
}

#[test]
fn the_log_begins_with_what_runs_and_ends_with_its_end() {
    leak_checked_live(async || {
        let mut agent = Agent::start(&[]).await;
        assert!(agent.process.stop().await.success());
        let log = agent.process.log();
        let (first, last) = (log.lines().next().unwrap_or_default(), log.lines().next_back().unwrap_or_default());
        let version = format!(" version={} ", env!("CARGO_PKG_VERSION"));
        for part in
            [" msg=\"rosterd starts\" ", &version, " revision=", " file=prometheus.yml ", " addresses=127.0.0.1:0"]
        {
            assert!(first.contains(part), "{part} is not in {first}");
        }
        assert!(last.contains("msg=\"rosterd has ended\""), "{last}");
    });
}

/// The memory of a process, at this moment and at most so far, in KiB.
#[cfg(target_os = "linux")]
fn memory(process: &Process) -> [u64; 2] {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).expect("it runs");
    ["VmRSS:", "VmHWM:"].map(|field| {
        let value = status.lines().find_map(|line| line.strip_prefix(field)).expect("Linux tells it");
        value.trim().trim_end_matches(" kB").parse().expect("it is a number")
    })
}

#[test]
#[cfg(target_os = "linux")]
fn what_of_the_program_was_needed_to_start_alone_is_given_back() {
    leak_checked_live(async || {
        let mut agent = Agent::start(&["--log.level=debug"]).await;
        agent.process.wait_log("pages of the program were given back after its start").await;
        let [now, most] = memory(&agent.process);
        assert!(now < most / 4 * 3, "{now} of {most} KiB are left");
        assert!(agent.process.stop().await.success(), "{}", agent.process.log());
    });
}

#[test]
fn the_quickstart_runs_without_a_warning() {
    leak_checked_live(async || {
        let (folder, shipped) = (Folder::new(), Path::new(env!("CARGO_MANIFEST_DIR")).join("quickstart"));
        for file in ["prometheus.yml", "targets.yml"] {
            folder.write(file, std::fs::read_to_string(shipped.join(file)).expect("it is shipped"));
        }
        let mut process = Process::start("rosterd run", &mut command(&folder, &[]));
        process.wait_log("configuration in use").await;
        // Of both jobs: their sources were read.
        for job in ["rosterd", "nodes"] {
            process.wait_log(&format!("msg=\"targets changed\" job={job} ")).await;
        }
        assert!(process.stop().await.success());
        let log = process.log();
        assert!(!log.contains("level=WARN") && !log.contains("level=ERROR"), "{log}");
    });
}

#[test]
fn the_second_signal_does_not_wait() {
    leak_checked_live(async || {
        // The orderly end waits until this list is read.
        let (mut agent, _stream) = Agent::with_slow_reader(&["--shutdown.timeout=1h"]).await;
        agent.process.wait_http(&format!("http://{}/-/healthy", agent.address())).await;
        agent.process.signal(Signal::TERM);
        agent.process.wait_log("ending in order").await;
        agent.process.signal(Signal::TERM);
        assert_eq!(agent.process.wait().await.code(), Some(143), "{}", agent.process.log());
    });
}

#[test]
fn sighup_reads_the_configuration_again() {
    leak_checked_live(async || {
        let mut agent = Agent::start(&[]).await;
        agent.folder.replace("prometheus.yml", CONFIG.replace("job_name: a", "job_name: b"));
        agent.process.signal(Signal::HUP);
        agent.process.wait_http(&format!("http://{}/sd/b", agent.address())).await;
        agent.folder.replace("prometheus.yml", "scrape_config: []");
        agent.process.signal(Signal::HUP);
        // A line for each problem, with all that programs want of it, and a list in the API.
        let line = "line=1 column=1 key=scrape_config code=cfg_unknown_key error=\"unknown key `scrape_config`";
        agent.process.wait_log(line).await;
        agent.process.wait_log("configuration refused").await;
        let (_, body) =
            get(&format!("http://{}/api/v1/status/runtimeinfo", agent.address())).await.expect("it answers");
        let answer: serde_json::Value = serde_json::from_str(&body).expect("it answers in JSON");
        let problem = &answer["data"]["reloadConfigProblems"][0];
        assert_eq!((&problem["line"], &problem["key"]), (&1.into(), &"scrape_config".into()), "{body}");
        agent.process.wait_http(&format!("http://{}/sd/b", agent.address())).await;
        assert!(agent.process.stop().await.success());
    });
}

#[test]
fn a_new_file_of_jobs_is_noticed_by_its_event() {
    leak_checked_live(async || {
        let folder = Folder::new();
        folder.write("prometheus.yml", "scrape_config_files: ['jobs/*.yml']");
        std::fs::create_dir(folder.path("jobs")).expect("it is new");
        let arguments = ["--config.auto-reload", "--config.auto-reload-interval=1h"];
        let mut process = Process::start("rosterd run", &mut command(&folder, &arguments));
        process.wait_log("configuration in use").await;
        process.wait_log("listening").await;
        folder.write("jobs/new.yml", CONFIG.replace("job_name: a", "job_name: new"));
        process.wait_log("jobs=1").await;
        assert!(process.stop().await.success());
    });
}

#[test]
fn sigterm_does_not_wait_for_a_reload_that_hangs() {
    leak_checked_live(async || {
        let mut agent = Agent::start(&["--shutdown.timeout=1h"]).await;
        // Whoever reads a pipe waits until somebody writes.
        std::fs::remove_file(agent.folder.path("prometheus.yml")).expect("it is there");
        let pipe = agent.folder.named_pipe("prometheus.yml");
        agent.process.signal(Signal::HUP);
        let writer = until_read(&pipe).await;
        agent.process.wait_http(&format!("http://{}/-/healthy", agent.address())).await;
        agent.process.signal(Signal::TERM);
        assert_eq!(agent.process.wait().await.code(), Some(0), "{}", agent.process.log());
        drop(writer);
    });
}

/// Waits until somebody reads the pipe, and returns its other end.
async fn until_read(pipe: &Path) -> OwnedFd {
    let mut writer = None;
    eventually(patience(), "the configuration is read", || {
        writer = open(pipe, OFlags::WRONLY | OFlags::NONBLOCK, Mode::empty()).ok();
        writer.is_some()
    })
    .await;
    writer.expect("it was waited for")
}

#[test]
fn who_waits_for_a_reload_is_told_when_the_agent_ends_before_it() {
    leak_checked_live(async || {
        for quit in [false, true] {
            let mut agent = Agent::start(&["--shutdown.timeout=1h", "--web.enable-lifecycle"]).await;
            std::fs::remove_file(agent.folder.path("prometheus.yml")).expect("it is there");
            let pipe = agent.folder.named_pipe("prometheus.yml");
            agent.process.signal(Signal::HUP);
            let writer = until_read(&pipe).await;
            let address = agent.address();
            let post = |path: &str| {
                let mut stream = TcpStream::connect(&address).expect("it listens");
                write!(stream, "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").expect("it reads");
                stream
            };
            let mut waiting = [post("/-/reload"), post("/-/reload")];
            agent.process.wait_http(&format!("http://{}/-/healthy", agent.address())).await;
            if quit {
                post("/-/quit").read_to_end(&mut Vec::new()).expect("it answers");
            } else {
                agent.process.signal(Signal::TERM);
            }
            for stream in &mut waiting {
                let mut answer = String::new();
                stream.read_to_string(&mut answer).expect("it answers");
                assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("web_stopping"), "{answer}");
            }
            assert_eq!(agent.process.wait().await.code(), Some(0), "{}", agent.process.log());
            drop(writer);
        }
    });
}

#[test]
fn sigterm_does_not_wait_for_the_start() {
    leak_checked_live(async || {
        let folder = Folder::new();
        let pipe = folder.named_pipe("prometheus.yml");
        let mut process = Process::start("rosterd run", &mut command(&folder, &["--shutdown.timeout=1h"]));
        let writer = until_read(&pipe).await;
        process.signal(Signal::TERM);
        assert_eq!(process.wait().await.code(), Some(0), "{}", process.log());
        drop(writer);
    });
}

#[test]
fn clients_that_do_not_read_are_cut_and_the_end_is_in_order_all_the_same() {
    leak_checked_live(async || {
        let (mut agent, _stream) = Agent::with_slow_reader(&["--shutdown.timeout=2s"]).await;
        agent.process.signal(Signal::TERM);
        assert_eq!(agent.process.wait().await.code(), Some(0), "{}", agent.process.log());
        let told = agent.process.log().lines().filter(|line| line.contains("did not take their answers")).count();
        assert_eq!(told, 1, "{}", agent.process.log());
    });
}

#[test]
fn the_api_shows_all_flags() {
    leak_checked_live(async || {
        let mut agent = Agent::start(&["--web.listen-address", "127.0.0.1:0", "--web.enable-lifecycle"]).await;
        let (_, body) = get(&format!("http://{}/api/v1/status/flags", agent.address())).await.expect("it answers");
        let answer: serde_json::Value = serde_json::from_str(&body).expect("it answers in JSON");
        for (flag, value) in [
            ("config.file", "prometheus.yml"),
            ("web.listen-address", "127.0.0.1:0,127.0.0.1:0"),
            ("web.enable-lifecycle", "true"),
            ("config.auto-reload", "false"),
            ("storage.path", "data/"),
            ("web.external-url", ""),
            ("log.level", "info"),
        ] {
            assert_eq!(answer["data"][flag], value, "{flag} in {body}");
        }
        assert!(agent.process.stop().await.success());
    });
}

#[test]
fn the_log_can_be_json() {
    leak_checked_live(async || {
        let folder = Folder::new();
        folder.write("prometheus.yml", CONFIG);
        let mut process = Process::start("rosterd run", &mut command(&folder, &["--log.format=json"]));
        process.wait_log("configuration in use").await;
        assert!(process.stop().await.success());
        for line in process.log().lines() {
            let line: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
            assert!(line["level"].is_string() && line["msg"].is_string(), "{line}");
        }
    });
}

#[test]
fn nothing_needs_to_outlive_the_process() {
    leak_checked_live(async || {
        let mut agent = Agent::start(&["--storage.path="]).await;
        assert!(agent.process.stop().await.success());
        let files: Vec<_> = std::fs::read_dir(agent.folder.root()).expect("the folder is there").collect();
        assert_eq!(files.len(), 1, "{files:?}");
    });
}

#[test]
fn an_address_in_use_is_told_in_one_line() {
    let folder = Folder::new();
    folder.write("prometheus.yml", CONFIG);
    let listener = free_loopback_listener();
    let address = listener.local_addr().expect("it is bound").to_string();
    let ended = ended(rosterd(&["run", "--web.listen-address", &address]).current_dir(folder.root()));
    assert_eq!((ended.status, ended.output.as_str()), (Some(1), ""), "{}", ended.errors);
    let told: Vec<_> = ended.errors.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!(told.len(), 1, "{}", ended.errors);
    assert!(told[0].contains(&address) && told[0].ends_with("(web_address_taken)"), "{}", told[0]);
}

#[test]
fn a_store_in_use_is_told() {
    leak_checked_live(async || {
        let mut agent = Agent::start(&[]).await;
        let second = ended(&mut command(&agent.folder, &[]));
        assert_eq!(second.status, Some(1), "{}", second.errors);
        assert!(second.errors.ends_with("(store_in_use)\n"), "{}", second.errors);
        assert!(agent.process.stop().await.success());
    });
}

#[test]
fn a_storage_path_that_is_a_file_keeps_it_from_starting() {
    let folder = Folder::new();
    folder.write("prometheus.yml", CONFIG);
    for path in ["prometheus.yml", "prometheus.yml/x"] {
        let ended = ended(&mut command(&folder, &["--storage.path", path]));
        assert_eq!(ended.status, Some(1));
        let told = "error: cannot open the store: nothing can be kept below prometheus.yml, which is not a folder: name another one by \
                    --storage.path (store_not_a_folder)\n";
        assert!(ended.errors.ends_with(told), "{}", ended.errors);
    }
}

#[test]
fn all_problems_of_the_configuration_are_told() {
    let folder = Folder::new();
    folder.write("prometheus.yml", "global: {scrape_intervall: 1s}\nscrape_configs: [{job_nam: a}]\n");
    let ended = ended(&mut command(&folder, &[]));
    assert_eq!(ended.status, Some(1));
    let places = ["prometheus.yml:1:10: ", "prometheus.yml:2:19: "];
    assert!(places.iter().all(|place| ended.errors.lines().any(|line| line.starts_with(place))), "{}", ended.errors);
}

#[test]
fn values_that_flags_do_not_take_are_mistakes_on_the_command_line() {
    let folder = Folder::new();
    folder.write("prometheus.yml", CONFIG);
    for flag in [
        "--web.listen-address=x",
        "--web.external-url=x",
        "--log.level=loud",
        "--web.read-timeout=5",
        "--web.max-connections=0",
    ] {
        let ended = ended(rosterd(&["run", "--web.listen-address=127.0.0.1:0", flag]).current_dir(folder.root()));
        assert_eq!(ended.status, Some(2), "{flag}: {}", ended.errors);
    }
}
