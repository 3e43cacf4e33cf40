//! The program, and one who asks it.

use std::process::Command;
use std::time::Duration;

use rosterd_testkit::{Folder, Process, free_address};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use super::usage;

/// Nothing takes longer.
const PATIENCE: Duration = Duration::from_secs(600);

/// A running rosterd.
pub(super) struct Agent {
    process: Process,
    port: u16,
}

/// An answer, and when it came.
pub(super) struct Answer {
    pub(super) first: Duration,
    pub(super) whole: Duration,
    /// How long the body is.
    pub(super) length: usize,
    pub(super) text: String,
}

impl Agent {
    /// Starts it on a configuration in the folder, and waits for so many targets.
    pub(super) async fn start(folder: &Folder, config: &str, targets: usize) -> Self {
        let (port, name) = (free_address().port(), config.trim_end_matches(".yml"));
        let mut command = Command::new(env!("CARGO_BIN_EXE_rosterd"));
        command
            .args(["run".to_owned(), format!("--config.file={}", folder.path(config).display())])
            .arg(format!("--storage.path={}", folder.path(&format!("{name}-data")).display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"));
        let mut agent = Self { process: Process::start("rosterd", &mut command), port };
        agent.wait("its targets are there", async |agent| agent.targets().await == Some(targets)).await;
        // What is left to do of the start is no part of what is measured.
        sleep(Duration::from_secs(10)).await;
        agent
    }

    /// Waits, and tells how long that took.
    pub(super) async fn wait(&mut self, what: &str, is_so: impl AsyncFn(&Self) -> bool) -> Duration {
        let since = Instant::now();
        while !is_so(self).await {
            assert!(self.process.exited().is_none(), "rosterd ended:\n{}", self.process.log());
            assert!(since.elapsed() < PATIENCE, "it does not come to it that {what}");
            sleep(Duration::from_millis(50)).await;
        }
        since.elapsed()
    }

    /// How many targets it has.
    pub(super) async fn targets(&self) -> Option<usize> {
        Some(self.metric("rosterd_roster_targets{").await? as usize)
    }

    /// The sum of the series that begin so.
    pub(super) async fn metric(&self, beginning: &str) -> Option<f64> {
        let answer = self.ask("GET", "/metrics").await.ok()?;
        let series = answer.text.lines().filter(|line| line.starts_with(beginning));
        Some(series.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum())
    }

    /// Asks over a connection of its own.
    pub(super) async fn ask(&self, method: &str, path: &str) -> std::io::Result<Answer> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
        let since = Instant::now();
        let request = format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: close\r\n\r\n", self.port);
        stream.write_all(request.as_bytes()).await?;
        let mut answer = vec![stream.read_u8().await?];
        let first = since.elapsed();
        stream.read_to_end(&mut answer).await?;
        let whole = since.elapsed();
        let text = String::from_utf8_lossy(&answer).into_owned();
        let length = text.split_once("\r\n\r\n").map_or(0, |(_, body)| body.len());
        Ok(Answer { first, whole, length, text })
    }

    /// CPU seconds so far.
    pub(super) fn cpu(&self) -> f64 {
        usage::cpu(self.process.id()).total()
    }

    /// Resident mebibytes, now and at the peak since [`reset`](Self::reset).
    pub(super) fn memory(&self) -> (u64, u64) {
        let (now, peak) = usage::resident(self.process.id());
        (now >> 20, peak >> 20)
    }

    /// The peak begins anew, where the kernel lets us.
    pub(super) fn reset(&self) {
        // 5 stands for the peak.
        std::fs::write(format!("/proc/{}/clear_refs", self.process.id()), "5").ok();
    }
}
