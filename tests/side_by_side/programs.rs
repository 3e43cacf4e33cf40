//! The programs that run side by side, each on a free port of the loopback interface.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rosterd_testkit::{Folder, Process, free_loopback_listener, get, need, patience};
use rustix::process::Signal;
use serde_json::Value;
use tokio::time::{Instant, sleep};

/// How often a program is started anew because somebody took its port in the meantime.
const ATTEMPTS: usize = 5;

/// Where programs store, in their folder.
const DATA: &str = "data";

/// A program that serves HTTP.
pub(crate) struct Server {
    name: String,
    process: Process,
    port: u16,
    ready: &'static str,
    command: Box<dyn Fn(u16) -> Command>,
    data: Folder,
}

impl Server {
    async fn start(
        name: impl Into<String>,
        ready: &'static str,
        data: Folder,
        command: impl Fn(u16) -> Command + 'static,
    ) -> Self {
        let (name, command) = (name.into(), Box::new(command));
        for attempt in 1.. {
            let port = free_loopback_listener().local_addr().expect("a bound listener has an address").port();
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
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The URL of a path.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Status and body of a page; `None` when nobody answers.
    pub(crate) async fn page(&self, path: &str) -> Option<(u16, String)> {
        let answer = tokio::time::timeout(patience(), get(&self.url(path))).await;
        answer.unwrap_or_else(|_| panic!("{} does not answer {path}", self.name)).ok()
    }

    /// The `data` of a page of Prometheus' API.
    pub(crate) async fn data(&self, path: &str) -> Value {
        let (status, body) = self.page(path).await.unwrap_or_else(|| panic!("{} is gone", self.name));
        assert_eq!(status, 200, "{} answers {path} with {body}", self.name);
        let mut answer: Value = serde_json::from_str(&body).expect("the API answers in JSON");
        answer["data"].take()
    }

    /// The sum of a metric over all its series whose text contains `labels`.
    pub(crate) async fn metric(&self, name: &str, labels: &str) -> f64 {
        let (_, text) = self.page("/metrics").await.unwrap_or_else(|| panic!("{} is gone", self.name));
        let series = text.lines().filter_map(|line| line.strip_prefix(name));
        let series = series.filter(|rest| rest.starts_with([' ', '{']) && rest.contains(labels));
        series.filter_map(|rest| rest.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// All it has printed.
    pub(crate) fn log(&self) -> String {
        self.process.log()
    }

    /// Ends it by a signal and waits.
    pub(crate) async fn end(&mut self, signal: Signal) {
        self.process.signal(signal);
        self.process.wait().await;
    }

    /// Removes all it has stored, while it does not run.
    pub(crate) fn forget(&self) {
        let stored = self.data.path(DATA);
        let removed = if stored.is_dir() { std::fs::remove_dir_all(&stored) } else { std::fs::remove_file(&stored) };
        removed.unwrap_or_else(|error| panic!("cannot remove {}: {error}", stored.display()));
    }

    /// Starts it again on the port it had, after [`end`](Self::end).
    pub(crate) async fn again(&mut self) {
        self.process = Process::start(&self.name, &mut (self.command)(self.port));
        assert!(answers(&mut self.process, self.port, self.ready).await, "{} does not start again", self.name);
    }
}

/// Waits until a page answers 200; false when the program ends before.
async fn answers(process: &mut Process, port: u16, ready: &str) -> bool {
    let end = Instant::now() + patience();
    loop {
        if process.exited().is_some() {
            return false;
        }
        let answer = tokio::time::timeout(patience(), get(&format!("http://127.0.0.1:{port}{ready}"))).await;
        if matches!(answer, Ok(Ok((200, _)))) {
            return process.exited().is_none();
        }
        assert!(Instant::now() < end, "{ready} does not answer 200:\n{}", process.log());
        sleep(Duration::from_millis(20)).await;
    }
}

/// What goes before a program, such as another view of the file system; by default nothing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wrapper(Vec<String>);

impl Wrapper {
    /// Gives the program another `/etc/resolv.conf`, in a mount namespace of its own.
    pub(crate) fn resolv_conf(path: &Path) -> Self {
        assert!(
            rustix::process::geteuid().is_root(),
            "the tests of DNS mount a resolv.conf and bind port 53: run as root"
        );
        let unshare = need("unshare", "util-linux").display().to_string();
        let script = r#"mount --bind "$0" /etc/resolv.conf && exec "$@""#;
        Self(vec![unshare, "--mount".into(), "sh".into(), "-c".into(), script.into(), path.display().to_string()])
    }

    fn command(&self, program: impl AsRef<Path>) -> Command {
        match self.0.split_first() {
            None => Command::new(program.as_ref()),
            Some((first, rest)) => {
                let mut command = Command::new(first);
                command.args(rest).arg(program.as_ref());
                command
            }
        }
    }
}

/// Debian's Prometheus 2.42, switched to what is the default in Prometheus 3 where it can be.
pub(crate) async fn prometheus(name: &str, config: &Path, wrapper: Wrapper) -> Server {
    let (program, config, data) = (need("prometheus", "prometheus"), config.to_owned(), Folder::new());
    let storage = data.path(DATA);
    Server::start(name, "/-/ready", data, move |port| {
        let mut command = wrapper.command(&program);
        command
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", storage.display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--enable-feature=no-default-scrape-port,new-service-discovery-manager");
        command
    })
    .await
}

/// Debian's vmagent, which writes to nobody.
pub(crate) async fn vmagent(name: &str, config: &Path) -> Server {
    let (program, config, data) = (need("vmagent", "victoria-metrics"), config.to_owned(), Folder::new());
    let queue = data.path(DATA);
    Server::start(name, "/health", data, move |port| {
        let mut command = Command::new(&program);
        command
            .arg(format!("-promscrape.config={}", config.display()))
            .arg(format!("-remoteWrite.tmpDataPath={}", queue.display()))
            .arg(format!("-httpListenAddr=127.0.0.1:{port}"))
            .args(["-remoteWrite.url=http://127.0.0.1:9/", "-promscrape.httpSDCheckInterval=1s"])
            // It knows intervals only as flags, and refuses those of Prometheus.
            .args(["-promscrape.fileSDCheckInterval=1s", "-promscrape.config.strictParse=false"]);
        command
    })
    .await
}

/// A running rosterd, with a store that outlives [`Server::again`].
pub(crate) async fn rosterd(config: &Path, wrapper: Wrapper, more: &[&str]) -> Server {
    let (config, data) = (config.to_owned(), Folder::new());
    let storage = data.path(DATA);
    let more: Vec<String> = more.iter().map(|&argument| argument.to_owned()).collect();
    Server::start("rosterd", "/-/healthy", data, move |port| {
        let mut command = wrapper.command(env!("CARGO_BIN_EXE_rosterd"));
        command
            .arg("run")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.path={}", storage.display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .args(&more);
        command
    })
    .await
}
