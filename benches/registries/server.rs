//! The registry, in a process of its own on the second core, with a face over which the benchmark asks and steers.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use axum::routing::get;
use axum::{Json, Router};
use rosterd_testkit::{Process, free_loopback_listener, need};
use rustix::process::{Signal, set_parent_process_death_signal};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::time::sleep;

use super::registry::{Kind, Registry};
use super::shared::{http, usage};

/// The argument with which this program becomes the registry.
pub(super) const ARGUMENT: &str = "--server=";
/// Nobody waits longer for it to be filled.
const PATIENCE: Duration = Duration::from_secs(300);

/// What was asked of the registry so far.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Figures {
    pub(super) requests: usize,
    pub(super) connections: usize,
}

/// Serves until the process is killed, or the one that has started it ends. Prints where the registry is, and the port of the face.
pub(super) async fn serve(what: &str) {
    set_parent_process_death_signal(Some(Signal::KILL)).expect("the signal exists");
    let registry = Arc::new(Registry::start(what).await);
    let face = free_loopback_listener();
    face.set_nonblocking(true).expect("a socket can be told not to block");
    let face = TcpListener::from_std(face).expect("a bound listener can be watched");
    println!("{} {} .", registry.place(), face.local_addr().expect("a bound listener has an address").port());
    let asked = Arc::clone(&registry);
    let figures = async move || Json(Figures { requests: asked.requests(), connections: asked.connections() });
    let router = Router::new().route("/figures", get(figures)).route("/add", get(async move || registry.add().await));
    axum::serve(face, router).await.expect("the face serves until the process is killed");
}

/// A running registry.
pub(super) struct Server {
    process: Process,
    /// Where it is, as a configuration says it.
    pub(super) place: String,
    face: u16,
}

impl Server {
    pub(super) async fn start(kind: Kind, size: usize) -> Self {
        let this = std::env::current_exe().expect("a running program has a path");
        let mut command = Command::new(need("taskset", "util-linux"));
        command.args(["-c", "1"]).arg(this).arg(format!("{ARGUMENT}{}:{size}", kind.name()));
        let mut process = Process::start(kind.name(), &mut command);
        let filled = async {
            while !process.log().contains(" .") {
                assert!(process.exited().is_none(), "the registry ended:\n{}", process.log());
                sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(PATIENCE, filled).await.expect("the registry is filled in time");
        let log = process.log();
        let words: Vec<_> = log.split_whitespace().collect();
        let [place, face, _] = words[..] else { panic!("the registry printed {log}") };
        let (place, face) = (place.to_owned(), face.parse().expect("a port is a number"));
        Self { process, place, face }
    }

    /// What was asked of it.
    pub(super) async fn figures(&self) -> Figures {
        let answer = http::get(self.face, "/figures", "identity").await.expect("the registry runs");
        serde_json::from_slice(&answer.body).expect("the registry writes what this program reads")
    }

    /// Lets one thing more be there.
    pub(super) async fn add(&self) {
        let answer = http::get(self.face, "/add", "identity").await.expect("the registry runs");
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    }

    /// What it has used so far, in CPU seconds.
    pub(super) fn cpu(&self) -> f64 {
        usage::cpu(self.process.id()).total()
    }
}
