//! The programs, pinned to the first core.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use rosterd_testkit::{Folder, Process, free_address, need};
use tokio::time::{Instant, sleep};

use super::http::{self, Answer};
use super::usage::{self, Cpu};

/// Nobody is given up before.
const PATIENCE: Duration = Duration::from_secs(600);

/// Which program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Rosterd,
    Prometheus,
    Vmagent,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Rosterd, Self::Prometheus, Self::Vmagent];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Rosterd => "rosterd",
            Self::Prometheus => "prometheus",
            Self::Vmagent => "vmagent",
        }
    }

    pub(crate) fn named(name: &str) -> Self {
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

    /// The whole command.
    pub(crate) fn command(self, place: &Place) -> Command {
        let mut command = Command::new(need("taskset", "util-linux"));
        command.args(["-c", "0"]);
        let (config, data, port) = (place.config.display(), place.data.display(), place.port);
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
                .args([format!("-httpListenAddr=127.0.0.1:{port}"), format!("-remoteWrite.url={}", place.receiver)])
                .arg("-promscrape.suppressScrapeErrors"),
        };
        command
    }
}

/// Where a program finds its configuration, keeps its store, listens, and sends samples to (which the others read in
/// the configuration).
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) config: PathBuf,
    pub(crate) data: PathBuf,
    pub(crate) port: u16,
    pub(crate) receiver: String,
}

impl Place {
    /// A place in a folder, with a port that is free now.
    pub(crate) fn in_folder(folder: &Folder, receiver: impl Into<String>) -> Self {
        let port = free_address().port();
        Self { config: folder.path("prometheus.yml"), data: folder.path("data"), port, receiver: receiver.into() }
    }
}

/// A running program.
pub(crate) struct Program {
    kind: Kind,
    pub(crate) process: Process,
    port: u16,
    started: Instant,
}

impl Program {
    /// Starts it on the configuration and the store at this place.
    pub(crate) fn start(kind: Kind, place: &Place) -> Self {
        let started = Instant::now();
        let process = Process::start(kind.name(), &mut kind.command(place));
        Self { kind, process, port: place.port, started }
    }

    /// When it was started.
    pub(crate) fn started(&self) -> Instant {
        self.started
    }

    /// What it has used so far.
    pub(crate) fn cpu(&self) -> Cpu {
        usage::cpu(self.process.id())
    }

    /// Resident bytes, now and at the peak.
    pub(crate) fn resident(&self) -> (u64, u64) {
        usage::resident(self.process.id())
    }

    /// Asks it for a page.
    pub(crate) async fn get(&self, path: &str, encoding: &str) -> std::io::Result<Answer> {
        http::get(self.port, path, encoding).await
    }

    /// Waits until it has so many targets, and returns the time since `since`.
    pub(crate) async fn wait_targets(&mut self, count: usize, since: Instant) -> Duration {
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
    pub(crate) async fn wait_started(&mut self) {
        while self.get("/metrics", "identity").await.is_err() {
            assert!(self.process.exited().is_none(), "{} ended:\n{}", self.kind.name(), self.process.log());
            sleep(Duration::from_millis(20)).await;
        }
    }

    async fn targets(&self) -> Option<usize> {
        let answer = self.get("/metrics", "identity").await.ok()?;
        let text = String::from_utf8_lossy(&answer.body);
        let series = text.lines().filter(|line| line.starts_with(self.kind.targets()));
        let values = series.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
        Some(values.sum::<f64>() as usize)
    }
}
