//! Programs that serve HTTP, each on a free port of the loopback interface.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use rustix::process::Signal;
use serde_json::Value;

use crate::{Folder, Process, eventually_ok, free_address, get, patience};

/// How often a program is started anew because somebody took its port in the meantime.
const ATTEMPTS: usize = 5;

/// A program that serves HTTP on a port it is given, and may be ended and started again there.
pub struct Server {
    name: String,
    process: Process,
    port: u16,
    ready: &'static str,
    command: Box<dyn Fn(u16) -> Command>,
    data: Folder,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("name", &self.name).field("port", &self.port).finish_non_exhaustive()
    }
}

impl Server {
    /// Where it stores, in its folder.
    pub const DATA: &str = "data";

    /// Starts a program by the command for a port, and waits until the page `ready` answers 200. What it stores is below
    /// [`DATA`](Self::DATA) in `data`.
    ///
    /// # Panics
    ///
    /// When it ends before, or does not answer in time.
    pub async fn start(
        name: impl Into<String>,
        ready: &'static str,
        data: Folder,
        command: impl Fn(u16) -> Command + 'static,
    ) -> Self {
        let (name, command) = (name.into(), Box::new(command));
        for attempt in 1.. {
            let port = free_address().port();
            let mut process = Process::start(&name, &mut command(port));
            if answers(&mut process, port, ready).await {
                return Self { name, process, port, ready, command, data };
            }
            let log = process.log();
            let taken = log.to_lowercase().contains("address already in use");
            assert!(taken && attempt < ATTEMPTS, "{name} does not start:\n{log}");
        }
        unreachable!("the last attempt returns or panics")
    }

    /// What it is called in messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Status and body of a page; `None` when nobody listens.
    ///
    /// # Panics
    ///
    /// When there is no answer in time.
    pub async fn page(&self, path: &str) -> Option<(u16, String)> {
        let answer = tokio::time::timeout(patience(), get(&self.url(path))).await;
        answer.unwrap_or_else(|_| panic!("{} does not answer {path}", self.name)).ok()
    }

    /// The `data` of a page of Prometheus' API.
    ///
    /// # Panics
    ///
    /// When the answer is another one, or there is none.
    pub async fn data(&self, path: &str) -> Value {
        let (status, body) = self.page(path).await.unwrap_or_else(|| panic!("{} is gone", self.name));
        assert_eq!(status, 200, "{} answers {path} with {body}", self.name);
        let mut answer: Value = serde_json::from_str(&body).expect("the API answers in JSON");
        answer["data"].take()
    }

    /// The sum of a metric over all its series whose text contains `labels`, by its page `/metrics`.
    ///
    /// # Panics
    ///
    /// When there is no answer.
    pub async fn metric(&self, name: &str, labels: &str) -> f64 {
        let series = self.series(name).await;
        series.iter().filter(|(text, _)| text.contains(labels)).map(|(_, value)| value).sum()
    }

    /// The series of a metric: the text of their labels, and their values.
    ///
    /// # Panics
    ///
    /// When there is no answer.
    pub async fn series(&self, name: &str) -> BTreeMap<String, f64> {
        let (_, text) = self.page("/metrics").await.unwrap_or_else(|| panic!("{} is gone", self.name));
        let series = text.lines().filter_map(|line| line.strip_prefix(name));
        let series = series.filter(|rest| rest.starts_with([' ', '{'])).filter_map(|rest| rest.rsplit_once(' '));
        series.filter_map(|(labels, value)| Some((labels.to_owned(), value.parse().ok()?))).collect()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// All it has printed.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Ends it by a signal and waits.
    ///
    /// # Panics
    ///
    /// When it does not end in time.
    pub async fn end(&mut self, signal: Signal) {
        self.process.signal(signal);
        self.process.wait().await;
    }

    /// Where something is that it has stored.
    pub fn stored(&self, path: &str) -> PathBuf {
        self.data.path(Self::DATA).join(path)
    }

    /// Removes all it has stored, while it does not run.
    ///
    /// # Panics
    ///
    /// When it has stored nothing.
    pub fn forget(&self) {
        let stored = self.data.path(Self::DATA);
        let removed = if stored.is_dir() { std::fs::remove_dir_all(&stored) } else { std::fs::remove_file(&stored) };
        removed.unwrap_or_else(|error| panic!("cannot remove {}: {error}", stored.display()));
    }

    /// Starts it again on the port it had, after [`end`](Self::end).
    ///
    /// # Panics
    ///
    /// When it does not answer in time.
    pub async fn again(&mut self) {
        self.process = Process::start(&self.name, &mut (self.command)(self.port));
        assert!(answers(&mut self.process, self.port, self.ready).await, "{} does not start again", self.name);
    }
}

/// Waits until a page answers 200; false when the program ends before.
async fn answers(process: &mut Process, port: u16, ready: &str) -> bool {
    let look = async || {
        if process.exited().is_some() {
            return Ok(false);
        }
        let answer = tokio::time::timeout(patience(), get(&format!("http://127.0.0.1:{port}{ready}"))).await;
        if matches!(answer, Ok(Ok((200, _)))) { Ok(process.exited().is_none()) } else { Err(process.log()) }
    };
    eventually_ok(patience(), &format!("{ready} answers 200"), look).await
}
