//! The programs, pinned to the first core.

use std::process::Command;
use std::time::Duration;

use rosterd_testkit::{Folder, Process, free_loopback_listener, need};
use tokio::time::{Instant, sleep};

use super::http;
use super::usage;

/// Nobody is given up before.
const PATIENCE: Duration = Duration::from_secs(600);

/// Which program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Rosterd,
    Prometheus,
    Vmagent,
}

impl Kind {
    pub(super) const ALL: [Self; 3] = [Self::Rosterd, Self::Prometheus, Self::Vmagent];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Rosterd => "rosterd",
            Self::Prometheus => "prometheus",
            Self::Vmagent => "vmagent",
        }
    }

    pub(super) fn named(name: &str) -> Self {
        let found = Self::ALL.into_iter().find(|kind| kind.name() == name);
        found.unwrap_or_else(|| panic!("{name} is none of rosterd, prometheus, vmagent"))
    }

    /// The metric that counts targets.
    fn targets(self) -> &'static str {
        match self {
            Self::Rosterd => "rosterd_roster_targets{",
            Self::Prometheus => "prometheus_target_scrape_pool_targets{",
            Self::Vmagent => "vm_promscrape_targets{",
        }
    }

    /// How often it is asked for that metric: often enough to be a small part of what is measured, seldom enough to cost
    /// nothing. The peers take seconds for everything.
    fn pause(self, since: Duration) -> Duration {
        let shortest = Duration::from_millis(if self == Self::Rosterd { 2 } else { 100 });
        shortest.max(since / 50)
    }

    fn command(self, folder: &Folder, port: u16) -> Command {
        let mut command = Command::new(need("taskset", "util-linux"));
        command.args(["-c", "0"]);
        let (config, data) = (folder.path("prometheus.yml"), folder.path("data"));
        let (config, data) = (config.display(), data.display());
        match self {
            Self::Rosterd => command
                .args([env!("CARGO_BIN_EXE_rosterd"), "run"])
                .args([format!("--config.file={config}"), format!("--storage.path={data}")])
                .arg(format!("--web.listen-address=127.0.0.1:{port}")),
            Self::Prometheus => command
                .arg(need("prometheus", "prometheus"))
                .args(["--enable-feature=agent".to_owned(), format!("--config.file={config}")])
                .args([format!("--storage.agent.path={data}"), format!("--web.listen-address=127.0.0.1:{port}")]),
            Self::Vmagent => command
                .arg(need("vmagent", "victoria-metrics"))
                .args([format!("-promscrape.config={config}"), format!("-remoteWrite.tmpDataPath={data}")])
                .args([format!("-httpListenAddr=127.0.0.1:{port}"), "-remoteWrite.url=http://127.0.0.1:9/".to_owned()])
                .arg("-promscrape.suppressScrapeErrors"),
        };
        command
    }
}

/// A running program.
pub(super) struct Program {
    kind: Kind,
    process: Process,
    port: u16,
    started: Instant,
}

impl Program {
    /// Starts it on the configuration in the folder, with an empty store.
    pub(super) fn start(kind: Kind, folder: &Folder) -> Self {
        let data = folder.path("data");
        if data.exists() {
            let removed = if data.is_dir() { std::fs::remove_dir_all(&data) } else { std::fs::remove_file(&data) };
            removed.expect("the store of the program before can be removed");
        }
        let port = free_loopback_listener().local_addr().expect("a bound listener has an address").port();
        let started = Instant::now();
        let process = Process::start(kind.name(), &mut kind.command(folder, port));
        Self { kind, process, port, started }
    }

    /// When it was started.
    pub(super) fn started(&self) -> Instant {
        self.started
    }

    /// CPU seconds so far.
    pub(super) fn cpu(&self) -> f64 {
        usage::cpu_seconds(self.process.id())
    }

    /// Resident bytes, now and at the peak.
    pub(super) fn resident(&self) -> (u64, u64) {
        usage::resident(self.process.id())
    }

    /// Asks it for a page.
    pub(super) async fn get(&self, path: &str, encoding: &str) -> http::Answer {
        let answer = http::get(self.port, path, encoding).await;
        let answer = answer.unwrap_or_else(|error| panic!("{} does not answer {path}: {error}", self.kind.name()));
        assert_eq!(answer.status, 200, "{}{path}: {}", self.kind.name(), String::from_utf8_lossy(&answer.body));
        answer
    }

    /// Waits until it has so many targets, and returns the time since `since`.
    pub(super) async fn wait_targets(&mut self, count: usize, since: Instant) -> Duration {
        loop {
            if self.targets().await == Some(count) {
                return since.elapsed();
            }
            assert!(self.process.exited().is_none(), "{} ended:\n{}", self.kind.name(), self.process.log());
            assert!(since.elapsed() < PATIENCE, "{} does not get to {count} targets", self.kind.name());
            sleep(self.kind.pause(since.elapsed())).await;
        }
    }

    /// Waits until it serves metrics.
    pub(super) async fn wait_started(&mut self) {
        while http::get(self.port, "/metrics", "identity").await.is_err() {
            assert!(self.process.exited().is_none(), "{} ended:\n{}", self.kind.name(), self.process.log());
            sleep(Duration::from_millis(20)).await;
        }
    }

    async fn targets(&self) -> Option<usize> {
        let answer = http::get(self.port, "/metrics", "identity").await.ok()?;
        let text = String::from_utf8_lossy(&answer.body);
        let series = text.lines().filter(|line| line.starts_with(self.kind.targets()));
        let values = series.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
        Some(values.sum::<f64>() as usize)
    }
}
