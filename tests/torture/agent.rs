//! The real rosterd, and what it answers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use rosterd_testkit::{Folder, Server, eventually_ok, get, patience, post};
use rustix::process::Signal;
use serde_json::Value;

use crate::belief::Targets;
use crate::cached::Cached;
use crate::calendar::Calendar;

/// A running rosterd.
pub(crate) struct Agent {
    server: Server,
    pub(crate) is_up: bool,
    config: PathBuf,
    /// What a consumer remembers of each list.
    cached: Mutex<BTreeMap<String, Cached>>,
}

/// What it takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Costs {
    pub(crate) memory_mib: f64,
    pub(crate) tasks: f64,
    pub(crate) descriptors: f64,
}

/// Targets with the version of the rules that gave it.
pub(crate) type Shown = BTreeMap<String, String>;

/// How long after its time a target may still be shown that only time keeps, on a slow machine.
const OVERDUE: SignedDuration = SignedDuration::from_secs(30);

/// How a list is answered.
#[derive(Debug)]
pub(crate) enum List {
    Shown(Shown),
    Unknown,
    NoJob,
    Other(String),
}

impl Agent {
    pub(crate) async fn start(folder: &Path, storage: PathBuf, calendar: &Calendar) -> Self {
        let config = folder.join("prometheus.yml");
        let (flag, calendar, folder) =
            (format!("--config.file={}", config.display()), calendar.environment(), folder.to_owned());
        let server = Server::start("rosterd", "/-/healthy", Folder::new(), move |port| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_rosterd"));
            command
                .args(["run", "--web.enable-lifecycle", &flag])
                .arg(format!("--storage.path={}", storage.display()))
                .arg(format!("--web.listen-address=127.0.0.1:{port}"))
                .current_dir(&folder)
                .envs(calendar.iter().map(|(name, value)| (name, value)));
            command
        })
        .await;
        let agent = Self { server, is_up: true, config, cached: Mutex::default() };
        agent.is_in_use().await;
        agent
    }

    /// Waits until the configuration is in use that was there at the start.
    async fn is_in_use(&self) {
        let look = async || match self.server.metric("rosterd_config_last_reload_successful", "").await > 0.0 {
            true => Ok(()),
            false => Err(self.server.log()),
        };
        eventually_ok(patience(), "the configuration is in use", look).await;
    }

    pub(crate) async fn kill(&mut self) {
        self.is_up = false;
        self.server.end(Signal::KILL).await;
    }

    pub(crate) async fn stop(&mut self) {
        self.is_up = false;
        self.server.end(Signal::TERM).await;
    }

    pub(crate) async fn again(&mut self) {
        self.server.again().await;
        self.is_in_use().await;
        self.is_up = true;
    }

    pub(crate) fn signal(&self, signal: Signal) {
        self.server.signal(signal);
    }

    pub(crate) fn log(&self) -> String {
        self.server.log()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        self.server.url(path)
    }

    /// Writes a configuration where it is read.
    pub(crate) fn write(&self, text: &str) {
        write(&self.config, text);
    }

    /// A list.
    pub(crate) async fn list(&self, job: &str) -> List {
        let mut cached = self.cached().remove(job).unwrap_or_default();
        let Some((status, body)) = cached.ask(&self.url(&format!("/sd/{job}"))).await else {
            return List::Other("nobody listens".to_owned());
        };
        self.cached().insert(job.to_owned(), cached);
        match status {
            200 => entries(&body).map_or_else(List::Other, List::Shown),
            404 if body.contains("roster_unknown_job") => List::NoJob,
            503 if body.contains("roster_unsynced") => List::Unknown,
            _ => List::Other(format!("{status} {body}")),
        }
    }

    fn cached(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Cached>> {
        self.cached.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The active targets of all jobs. None of them may be there because of a time that was over at this one.
    pub(crate) async fn targets_at(&self, now: Option<Timestamp>) -> Result<BTreeMap<String, Shown>, String> {
        let data = self.data("/api/v1/targets?state=active").await?;
        let mut shown = BTreeMap::<String, Shown>::new();
        for target in data["activeTargets"].as_array().ok_or("there is no list of targets")? {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let (job, labels) = (text(&target["scrapePool"]), &target["labels"]);
            let (instance, version) = (text(&labels["instance"]), text(&labels["version"]));
            if let Some(now) = now.filter(|_| target["held"]["reason"] == "grace") {
                let until = target["held"]["until"].as_str().and_then(|until| until.parse::<Timestamp>().ok());
                if until.is_none_or(|until| until + OVERDUE < now) {
                    return Err(format!("it is {now}, and {instance} of {job} is there, {}", target["held"]));
                }
            }
            if let Some(before) = shown.entry(job).or_default().insert(instance.clone(), version) {
                return Err(format!("{instance} is there twice, once with version {before}"));
            }
        }
        Ok(shown)
    }

    /// The active targets of all jobs.
    pub(crate) async fn targets(&self) -> Result<BTreeMap<String, Shown>, String> {
        self.targets_at(None).await
    }

    /// Whether it is shown as one that its source says.
    pub(crate) async fn is_said(&self, address: &str) -> Result<bool, String> {
        let data = self.data("/api/v1/targets?state=active").await?;
        let targets = data["activeTargets"].as_array().ok_or("there is no list of targets")?;
        Ok(targets.iter().any(|target| target["labels"]["instance"] == address && target["held"].is_null()))
    }

    /// How many targets of a job are scraped.
    pub(crate) async fn scraped(&self, job: &str) -> f64 {
        self.metric("rosterd_scrape_targets", &format!("job=\"{job}\"")).await
    }

    /// The `data` of an answer.
    pub(crate) async fn data(&self, path: &str) -> Result<Value, String> {
        let (status, body) = self.server.page(path).await.ok_or("nobody listens")?;
        let mut answer: Value = serde_json::from_str(&body).map_err(|error| format!("{path}: {error}: {body}"))?;
        if status == 200 { Ok(answer["data"].take()) } else { Err(format!("{path}: {status} {body}")) }
    }

    /// The roster of a time as the journal tells it: for each job the addresses, and whether all of it is told.
    pub(crate) async fn roster(&self, at: Option<&str>) -> Result<(BTreeMap<String, Targets>, bool), String> {
        let at = at.map(|at| format!("&at={at}")).unwrap_or_default();
        let data = self.data(&format!("/api/v1/roster?limit=1000000{at}")).await?;
        let mut told = BTreeMap::<String, Targets>::new();
        for target in data["targets"].as_array().ok_or("there is no list of targets")? {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            told.entry(text(&target["job"])).or_default().insert(text(&target["labels"]["instance"]));
        }
        Ok((told, data["complete"] == true))
    }

    pub(crate) async fn metric(&self, name: &str, labels: &str) -> f64 {
        self.server.metric(name, labels).await
    }

    pub(crate) async fn costs(&self) -> Result<Costs, String> {
        let runtime = self.data("/api/v1/status/runtimeinfo").await?;
        Ok(Costs {
            memory_mib: (self.metric("process_resident_memory_bytes", "").await / f64::from(1 << 20)).round(),
            tasks: runtime["goroutineCount"].as_f64().ok_or("tasks are not counted")?,
            descriptors: self.metric("process_open_fds", "").await,
        })
    }
}

/// Replaces a file.
pub(crate) fn write(path: &Path, text: &str) {
    let beside = path.with_extension("new");
    std::fs::write(&beside, text).expect("the folder takes files");
    std::fs::rename(&beside, path).expect("the folder takes files");
}

/// Asks a running one to read its configuration, and waits until that is in use. Nobody has to hold it for that.
pub(crate) async fn reload(url: &str) -> Result<(), String> {
    match tokio::time::timeout(patience(), post(&format!("{url}/-/reload"), "")).await {
        Ok(Ok((200, _))) => Ok(()),
        other => Err(format!("{other:?}")),
    }
}

/// Lets go of what is braked of a job.
pub(crate) async fn release(url: &str, job: &str) -> Result<(), String> {
    match post(&format!("{url}/api/v1/brake/release?job={job}"), "").await {
        Ok((200, _)) => Ok(()),
        other => Err(format!("{other:?}")),
    }
}

/// The jobs of which something is braked.
pub(crate) async fn braked(url: &str) -> Result<Vec<String>, String> {
    let (_, body) = get(&format!("{url}/api/v1/brake")).await.map_err(|error| error.to_string())?;
    let answer: Value = serde_json::from_str(&body).map_err(|error| error.to_string())?;
    let brakes = answer["data"]["brakes"].as_array().ok_or("there is no list of brakes")?;
    Ok(brakes.iter().filter_map(|brake| brake["job"].as_str()).map(str::to_owned).collect())
}

/// What a list has, which is in one piece.
pub(crate) fn entries(text: &str) -> Result<Shown, String> {
    let list: Vec<Value> = serde_json::from_str(text).map_err(|error| format!("{error}: {text:?}"))?;
    let mut shown = Shown::new();
    for group in list {
        let version = group["labels"]["version"].as_str().unwrap_or_default();
        for address in group["targets"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if shown.insert(address.to_owned(), version.to_owned()).is_some() {
                return Err(format!("{address} is there twice"));
            }
        }
    }
    Ok(shown)
}
