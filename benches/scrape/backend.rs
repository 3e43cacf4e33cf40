//! The simulator, in a process of its own on the second core.

use std::process::Command;
use std::time::Duration;

use rosterd_testkit::{Process, need};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep};

use super::options::Shape;
use super::shared::http::get;
use super::shared::usage::{Cpu, cpu};
use super::simulator::Figures;

/// The argument with which this program becomes the simulator.
pub(super) const ARGUMENT: &str = "--simulator=";

/// A running simulator.
pub(super) struct Backend {
    process: Process,
    /// The port of all targets.
    pub(super) targets: u16,
    receiver: u16,
    face: u16,
}

impl Backend {
    /// Starts targets of this shape.
    pub(super) async fn start(shape: Shape) -> Self {
        let this = std::env::current_exe().expect("a running program has a path");
        let mut command = Command::new(need("taskset", "util-linux"));
        command.args(["-c", "1"]).arg(this).arg(format!("{ARGUMENT}{}x{}", shape.targets, shape.series));
        let mut process = Process::start("the simulator", &mut command);
        process.wait_log(" .").await;
        let log = process.log();
        let ports: Vec<u16> = log.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        let [targets, receiver, face] = ports[..] else { panic!("the simulator printed {log}") };
        Self { process, targets, receiver, face }
    }

    /// Where samples go to.
    pub(super) fn receiver(&self) -> String {
        format!("http://127.0.0.1:{}/api/v1/write", self.receiver)
    }

    /// The URL of something to ask or to tell.
    pub(super) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.face)
    }

    /// What it has used so far.
    pub(super) fn cpu(&self) -> Cpu {
        cpu(self.process.id())
    }

    /// What was served and what arrived.
    pub(super) async fn figures(&self) -> Figures {
        self.json("/figures").await
    }

    /// When each target was scraped first, in milliseconds since 1970.
    pub(super) async fn firsts(&self) -> Vec<f64> {
        self.json("/firsts").await
    }

    /// Tells it something.
    pub(super) async fn tell(&self, path: &str) {
        self.ask(path).await;
    }

    /// Waits until the condition holds, and returns the figures and how long it took; gives up in the end.
    pub(super) async fn wait(&self, patience: Duration, holds: impl Fn(&Figures) -> bool) -> (Figures, Duration) {
        let started = Instant::now();
        loop {
            let (figures, took) = (self.figures().await, started.elapsed());
            if holds(&figures) || took > patience {
                return (figures, took);
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    async fn json<T: DeserializeOwned>(&self, path: &str) -> T {
        serde_json::from_slice(&self.ask(path).await).expect("the simulator writes what this program reads")
    }

    async fn ask(&self, path: &str) -> Vec<u8> {
        let answer = get(self.face, path, "identity").await.expect("the simulator runs");
        assert_eq!(answer.status, 200, "the simulator knows {path}");
        answer.body
    }
}
