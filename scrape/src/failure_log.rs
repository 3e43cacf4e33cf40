//! `scrape_failure_log_file`: a line of JSON for each scrape that failed.

use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use prometheus::IntCounter;
use rosterd_discovery::stopper::Stopper;
use rosterd_model::Report;
use serde::Serialize;
use tokio::fs::OpenOptions;
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;
use tracing::warn;

use crate::metrics::Metrics;

/// How many lines may wait for the disk. Those after them are dropped, and counted: scrapes do not wait.
const WAITING: usize = 1024;

/// A file that failed scrapes are written to. Cloning shares it; it is closed when the last clone is dropped.
#[derive(Debug, Clone)]
pub struct FailureLog {
    lines: mpsc::Sender<Vec<u8>>,
    dropped: IntCounter,
}

/// A line, with the members that Prometheus writes, and the code.
#[derive(Serialize)]
struct Line<'a> {
    time: String,
    level: &'static str,
    msg: String,
    job_name: &'a str,
    target: &'a str,
    code: &'a str,
}

impl FailureLog {
    /// Opens the file, which is made if it is not there and appended to if it is. Fails when the system refuses.
    pub async fn open(path: &Path, metrics: &Metrics, stopper: &Stopper) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path).await?;
        let (lines, received) = mpsc::channel(WAITING);
        stopper.spawn("scrape failure log", write(file, path.to_owned(), received, stopper.clone()));
        Ok(Self { lines, dropped: metrics.log_dropped.clone() })
    }

    /// Writes a failure down.
    pub(crate) fn note(&self, at: SystemTime, job: &str, url: &str, error: &Report) {
        let time = humantime(at);
        let line = Line { time, level: "ERROR", msg: error.to_string(), job_name: job, target: url, code: &error.code };
        let mut text = serde_json::to_vec(&line).expect("strings are JSON");
        text.push(b'\n');
        if self.lines.try_send(text).is_err() {
            self.dropped.inc();
        }
    }
}

fn humantime(at: SystemTime) -> String {
    jiff::Timestamp::try_from(at).map_or_else(|_| String::new(), |at| format!("{at:.3}"))
}

async fn write(mut file: tokio::fs::File, path: PathBuf, mut lines: mpsc::Receiver<Vec<u8>>, stopper: Stopper) {
    let stop = stopper.token().clone();
    let mut broken = false;
    loop {
        let mut batch = Vec::new();
        tokio::select! {
            biased;
            count = lines.recv_many(&mut batch, WAITING) => if count == 0 { return },
            () = stop.cancelled() => return,
        }
        let mut written = file.write_all(&batch.concat()).await;
        if written.is_ok() {
            written = file.flush().await;
        }
        if let Err(error) = &written
            && !broken
        {
            warn!(%error, file = %path.display(), "cannot write failed scrapes down");
        }
        broken = written.is_err();
    }
}
