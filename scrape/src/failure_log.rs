//! `scrape_failure_log_file`: a line of JSON for each scrape that failed.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use prometheus::IntCounter;
use rosterd_model::Report;
use rosterd_tasks::stopper::Stopper;
use rustix::fs::OFlags;
use serde::Serialize;
use tokio::fs::{File, OpenOptions};
use tokio::io::AsyncWriteExt;
use tokio::sync::{Mutex, mpsc};
use tokio_util::sync::CancellationToken;
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
    /// A log in this file, which is made if it is not there, appended to if it is, and made anew when it was moved away. A
    /// file that cannot be written is told in rosterd's own log, once.
    pub fn new(path: &Path, metrics: &Metrics, stopper: &Stopper) -> Self {
        let (lines, received) = mpsc::channel(WAITING);
        let (path, received, stop) = (path.to_owned(), Arc::new(Mutex::new(received)), stopper.token().clone());
        stopper
            .spawn_restarting("scrape failure log", move || write(path.clone(), Arc::clone(&received), stop.clone()));
        Self { lines, dropped: metrics.log_dropped.clone() }
    }

    /// Writes a failure down.
    pub(crate) fn note(&self, at: SystemTime, job: &str, url: &str, error: &Report) {
        let time = jiff::Timestamp::try_from(at).map_or_else(|_| String::new(), |at| format!("{at:.3}"));
        let line = Line { time, level: "ERROR", msg: error.to_string(), job_name: job, target: url, code: &error.code };
        let mut text = serde_json::to_vec(&line).expect("strings are JSON");
        text.push(b'\n');
        if self.lines.try_send(text).is_err() {
            self.dropped.inc();
        }
    }
}

async fn write(path: PathBuf, lines: Arc<Mutex<mpsc::Receiver<Vec<u8>>>>, stop: CancellationToken) {
    let mut lines = lines.lock().await;
    let mut file = None;
    let mut broken = false;
    loop {
        let mut batch = Vec::new();
        tokio::select! {
            biased;
            count = lines.recv_many(&mut batch, WAITING) => if count == 0 { return },
            () = stop.cancelled() => return,
        }
        let written = append(&path, &mut file, &batch.concat()).await;
        if let Err(error) = &written
            && !broken
        {
            warn!(%error, file = %path.display(), "cannot write failed scrapes down");
        }
        broken = written.is_err();
    }
}

async fn append(path: &Path, file: &mut Option<File>, text: &[u8]) -> io::Result<()> {
    if let Some(open) = file.as_ref() {
        let (open, there) = (open.metadata().await?, tokio::fs::metadata(path).await);
        if !there.is_ok_and(|there| (there.dev(), there.ino()) == (open.dev(), open.ino())) {
            *file = None;
        }
    }
    let file = match file {
        Some(file) => file,
        None => {
            // A pipe that nobody reads is an error, not something to wait for.
            let flags = OFlags::NONBLOCK.bits().cast_signed();
            file.insert(OpenOptions::new().create(true).append(true).custom_flags(flags).open(path).await?)
        }
    };
    file.write_all(text).await?;
    file.flush().await
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rosterd_model::{Priority, Retry};
    use rosterd_testkit::{Folder, eventually, leak_checked_live, patience};

    use super::*;

    #[test]
    fn failures_are_written_down_also_after_the_file_was_moved_away() {
        leak_checked_live(|| async {
            let (folder, stopper) = (Folder::new(), Stopper::new());
            let metrics = Metrics::register(&prometheus::Registry::new()).unwrap();
            let path = folder.path("failures.log");
            let log = FailureLog::new(&path, &metrics, &stopper);
            let error = Report {
                code: "http_timeout".to_owned(),
                message: "no reply".to_owned(),
                priority: Priority::Retry,
                retry: Retry::Interval,
                causes: Vec::new(),
            };
            let read = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
            log.note(SystemTime::UNIX_EPOCH, "j", "http://h/metrics", &error);
            eventually(patience(), "the failure is in the file", || read(&path).ends_with('\n')).await;
            let line: serde_json::Value = serde_json::from_str(&read(&path)).unwrap();
            assert_eq!(
                line,
                serde_json::json!({
                    "time": "1970-01-01T00:00:00.000Z", "level": "ERROR", "msg": "no reply", "job_name": "j",
                    "target": "http://h/metrics", "code": "http_timeout",
                })
            );
            std::fs::rename(&path, folder.path("failures.old")).unwrap();
            log.note(SystemTime::UNIX_EPOCH, "j", "http://h/other", &error);
            eventually(patience(), "the new file has it", || read(&path).contains("/other")).await;
            drop(log);
            assert!(stopper.stop(Duration::from_secs(5)).await.is_empty());
        });
    }
}
