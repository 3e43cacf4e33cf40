//! The API server, in a process of its own on the second core, with a face over which the benchmark asks and steers.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::Query;
use axum::routing::get;
use axum::{Json, Router};
use rosterd_testkit::{Asked, FakeApiServer, Process, free_loopback_listener, need};
use rustix::process::{Signal, set_parent_process_death_signal};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::time::sleep;

use super::cluster::{self, Size};
use super::events::{Progress, happen};
use super::shared::http;

/// The argument with which this program becomes the API server.
pub(super) const ARGUMENT: &str = "--server=";
/// Nobody waits longer for the server to be filled.
const PATIENCE: Duration = Duration::from_secs(300);

/// What was asked of the API server.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Figures {
    pub(super) connections: usize,
    pub(super) bytes: u64,
    /// Lists, streamed ones included, by resource; of one that was taken in pages only the first counts.
    pub(super) lists: BTreeMap<String, usize>,
    pub(super) open_watches: usize,
}

#[derive(Debug, Deserialize)]
struct Rate {
    rate: usize,
    seconds: u64,
}

/// Serves until the process is killed, or the one that has started it ends. Prints its ports: that of the API, and that of the face.
pub(super) async fn serve(size: Size) {
    set_parent_process_death_signal(Some(Signal::KILL)).expect("the signal exists");
    let server = Arc::new(FakeApiServer::start().await);
    cluster::fill(&server, size);
    let progress: Arc<Mutex<Progress>> = Arc::default();
    let face = free_loopback_listener();
    face.set_nonblocking(true).expect("a socket can be told not to block");
    let face = TcpListener::from_std(face).expect("a bound listener can be watched");
    println!(
        "ports {} {} .",
        server.address().port(),
        face.local_addr().expect("a bound listener has an address").port()
    );
    let (asked, told) = (Arc::clone(&server), Arc::clone(&progress));
    let begin = move |Query(Rate { rate, seconds }): Query<Rate>| {
        told.lock().unwrap_or_else(PoisonError::into_inner).goes_on = true;
        let happening = happen(Arc::clone(&server), size, rate, Duration::from_secs(seconds), Arc::clone(&told));
        // It ends with the process, or before.
        #[expect(clippy::disallowed_methods, reason = "nothing is left to stop when this process is killed")]
        drop(tokio::spawn(happening));
        async {}
    };
    let router = Router::new()
        .route("/figures", get(async move || Json(figures(&asked))))
        .route("/begin", get(begin))
        .route("/progress", get(async move || Json(progress.lock().unwrap_or_else(PoisonError::into_inner).clone())));
    axum::serve(face, router).await.expect("the face serves until the process is killed");
}

fn figures(server: &FakeApiServer) -> Figures {
    let mut lists = BTreeMap::new();
    let begins_list = |asked: &&Asked| match asked.verb {
        "list" => !asked.query.contains("continue="),
        "watch" => asked.query.contains("sendInitialEvents=true"),
        _ => false,
    };
    for asked in server.asked().iter().filter(begins_list) {
        *lists.entry(asked.resource.clone()).or_default() += 1;
    }
    Figures {
        connections: server.connections(),
        bytes: server.bytes_sent(),
        lists,
        open_watches: server.open_watches(),
    }
}

/// A running API server.
pub(super) struct Server {
    process: Process,
    pub(super) port: u16,
    face: u16,
}

impl Server {
    /// Starts one with a cluster of this size.
    pub(super) async fn start(size: Size) -> Self {
        let this = std::env::current_exe().expect("a running program has a path");
        let mut command = Command::new(need("taskset", "util-linux"));
        command.args(["-c", "1"]).arg(this).arg(format!("{ARGUMENT}{}", size.written()));
        let mut process = Process::start("the API server", &mut command);
        let filled = async {
            while !process.log().contains(" .") {
                assert!(process.exited().is_none(), "the API server ended:\n{}", process.log());
                sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(PATIENCE, filled).await.expect("the API server is filled in time");
        let log = process.log();
        let ports: Vec<u16> = log.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        let [port, face] = ports[..] else { panic!("the API server printed {log}") };
        Self { process, port, face }
    }

    /// What was asked of it.
    pub(super) async fn figures(&self) -> Figures {
        self.ask("/figures").await
    }

    /// What it has used so far, in CPU seconds.
    pub(super) fn cpu(&self) -> f64 {
        super::shared::usage::cpu(self.process.id()).total()
    }

    /// Lets so many events a second happen for a time.
    pub(super) async fn begin(&self, rate: usize, time: Duration) {
        let path = format!("/begin?rate={rate}&seconds={}", time.as_secs());
        http::get(self.face, &path, "identity").await.expect("the API server runs");
    }

    /// How far that has come.
    pub(super) async fn progress(&self) -> Progress {
        self.ask("/progress").await
    }

    /// The URL of something to ask or to tell.
    pub(super) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.face)
    }

    async fn ask<T: DeserializeOwned>(&self, path: &str) -> T {
        let answer = http::get(self.face, path, "identity").await.expect("the API server runs");
        serde_json::from_slice(&answer.body).expect("the API server writes what this program reads")
    }
}
