//! The real agent, and what consumers of its lists see.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use rosterd_testkit::{Folder, Server, eventually_ok, patience};
use rustix::process::Signal;
use serde_json::Value;

use super::entries::{MECHANISMS, found_by};
use super::world::Configuration;

/// More than all mechanisms take in a build for tests, by far; each of them has some connections, and what watches has tasks.
const MEMORY_MIB: f64 = 120.0;
const TASKS_EACH: f64 = 10.0;
const DESCRIPTORS_EACH: f64 = 5.0;
/// Threads for what blocks come and go.
const THREADS: f64 = 128.0;
/// What is kept for the next reload, clients with what looks after their connections, and what may be under way at any time: less than a
/// half for each mechanism.
const LEFT: f64 = 20.0;

/// What is written in the file itself needs nobody, and a machine cannot go while somebody looks at it: of each of its processes that would
/// be an end.
const NEVER_AWAY: [&str; 2] = ["process", "static"];

/// A running rosterd, which is led to the metadata of a machine by its environment.
pub(super) struct Agent {
    server: Server,
    config: PathBuf,
    /// How many configurations it has taken since it began.
    taken: usize,
}

/// What it takes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Costs {
    memory_mib: f64,
    tasks: f64,
    threads: f64,
    descriptors: f64,
}

impl Costs {
    /// Whether it is in proportion.
    pub(super) fn are_bounded(&self, alone: &Self) {
        let each = MECHANISMS.len() as f64;
        assert!(self.memory_mib < alone.memory_mib + MEMORY_MIB, "{self:?} after {alone:?}");
        assert!(self.tasks < alone.tasks + TASKS_EACH * each, "{self:?} after {alone:?}");
        assert!(self.descriptors < alone.descriptors + DESCRIPTORS_EACH * each, "{self:?} after {alone:?}");
        assert!(self.threads < alone.threads + THREADS, "{self:?} after {alone:?}");
    }
}

impl Agent {
    pub(super) async fn start(configuration: &Configuration) -> Self {
        let (data, config) = (Folder::new(), configuration.write());
        let (storage, flag, metadata) =
            (data.path(Server::DATA), format!("--config.file={}", config.display()), configuration.metadata.clone());
        let server = Server::start("rosterd", "/-/healthy", data, move |port| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_rosterd"));
            command
                .args(["run", "--enable-exec-sd", &flag])
                .arg(format!("--storage.path={}", storage.display()))
                .arg(format!("--web.listen-address=127.0.0.1:{port}"))
                .env("GCE_METADATA_HOST", &metadata);
            command
        })
        .await;
        Self { server, config, taken: 1 }
    }

    /// Reloads, and waits until the configuration is in use.
    pub(super) async fn takes(&mut self, configuration: &Configuration) {
        configuration.write();
        self.server.signal(Signal::HUP);
        self.taken += 1;
        self.is_in_use().await;
    }

    async fn is_in_use(&self) {
        let look = async || {
            let log = self.server.log();
            let taken = log.lines().filter(|line| line.contains("configuration in use")).count();
            if taken >= self.taken { Ok(()) } else { Err(log) }
        };
        eventually_ok(patience(), &format!("{} is in use", self.config.display()), look).await;
    }

    pub(super) async fn end(&mut self, signal: Signal) {
        self.server.end(signal).await;
    }

    /// Begins again, on what it has stored.
    pub(super) async fn again(&mut self) {
        self.server.again().await;
        self.taken = 1;
        self.is_in_use().await;
    }

    /// Waits until the list of all jobs is this.
    pub(super) async fn finds(&self, wanted: &BTreeSet<String>) {
        let look = async || self.differs(wanted).await.map_or(Ok(()), Err);
        eventually_ok(patience(), "all that there is is found", look).await;
    }

    /// The list of all jobs is this now.
    pub(super) async fn keeps(&self, wanted: &BTreeSet<String>) {
        if let Some(difference) = self.differs(wanted).await {
            panic!("{difference}\n{}", self.server.log());
        }
    }

    /// Of each mechanism the list has some targets of these numbers, and no others, as soon as there is a list: where what is written in
    /// the configuration is other than what was stored, it is refused until that has been read.
    pub(super) async fn has_some_of(&self, numbers: &[u8]) {
        let mut listed = eventually_ok(patience(), "there is a list", async || self.listed().await).await;
        for mechanism in MECHANISMS {
            let known = found_by(mechanism, numbers);
            assert!(!known.is_disjoint(&listed), "nothing is left of {mechanism}: {}", self.server.log());
            listed.retain(|address| !known.contains(address));
        }
        assert_eq!(listed, BTreeSet::new(), "they were never there");
    }

    /// In what the list is another one than it should be.
    async fn differs(&self, wanted: &BTreeSet<String>) -> Option<String> {
        let listed = match self.listed().await {
            Ok(listed) if listed == *wanted => return None,
            Ok(listed) => listed,
            Err(error) => return Some(error),
        };
        let mut difference = String::new();
        for (what, one, other) in [("without", wanted, &listed), ("and with", &listed, wanted)] {
            write!(difference, "{what} {:?} ", one.difference(other).collect::<Vec<_>>()).expect("it is text");
        }
        Some(difference)
    }

    /// The addresses in the list of all jobs, or how it is refused.
    async fn listed(&self) -> Result<BTreeSet<String>, String> {
        let (status, body) = self.server.page("/sd").await.expect("rosterd answers");
        let list: Value = serde_json::from_str(&body).expect("it answers in JSON");
        let groups = list.as_array().filter(|_| status == 200).ok_or(format!("status {status}: {body}"))?;
        Ok(groups.iter().filter_map(|group| group["targets"][0].as_str()).map(str::to_owned).collect())
    }

    /// Waits until each provider was read, whole.
    pub(super) async fn is_well(&self) {
        self.are("synced", MECHANISMS.len(), None, |provider| provider["presence"] == "synced" && !fails(provider))
            .await;
    }

    /// Waits until each provider that asks somebody fails. The list stays as it is all the time.
    pub(super) async fn fails(&self, kept: &BTreeSet<String>) {
        let asks = |provider: &Value| !NEVER_AWAY.iter().any(|mechanism| provider["mechanism"] == *mechanism);
        let count = MECHANISMS.len() - NEVER_AWAY.len();
        self.are("failing", count, Some(kept), |provider| asks(provider) && fails(provider)).await;
    }

    async fn are(&self, what: &str, count: usize, kept: Option<&BTreeSet<String>>, is: impl Fn(&Value) -> bool) {
        let look = async || {
            if let Some(kept) = kept {
                self.keeps(kept).await;
            }
            let data = self.server.data("/api/v1/providers").await;
            let providers = data["providers"].as_array().cloned().unwrap_or_default();
            let others: Vec<_> = providers.iter().filter(|provider| !is(provider)).collect();
            match providers.len() == MECHANISMS.len() && providers.len() - others.len() == count {
                true => Ok(()),
                false => Err(format!("{} providers, and these are not: {others:#?}", providers.len())),
            }
        };
        eventually_ok(patience(), &format!("{count} providers are {what}"), look).await;
    }

    /// What it takes now.
    pub(super) async fn costs(&self) -> Costs {
        let runtime = self.server.data("/api/v1/status/runtimeinfo").await;
        Costs {
            memory_mib: (self.server.metric("process_resident_memory_bytes", "").await / f64::from(1 << 20)).round(),
            tasks: runtime["goroutineCount"].as_f64().expect("tasks are counted"),
            threads: self.server.metric("process_threads", "").await,
            descriptors: self.server.metric("process_open_fds", "").await,
        }
    }

    /// Waits until it takes what it took before there were mechanisms, but for memory, which is kept for later.
    pub(super) async fn comes_down_to(&self, before: &Costs) {
        let look = async || {
            let now = self.costs().await;
            match now.tasks <= before.tasks + LEFT && now.descriptors <= before.descriptors + LEFT {
                true => Ok(()),
                false => Err(format!("{now:?} after {before:?}")),
            }
        };
        eventually_ok(patience(), "nothing is left of mechanisms", look).await;
    }
}

/// Whether a provider, or anything of it, cannot be read.
fn fails(provider: &Value) -> bool {
    let some = |list: &Value, is: fn(&Value) -> bool| list.as_array().is_some_and(|list| list.iter().any(is));
    !provider["lastError"].is_null()
        || some(&provider["unread"], |_| true)
        // It goes on telling how it failed last.
        || some(&provider["watches"], |watch| watch["state"] != "watching")
}

impl Configuration {
    /// Writes it, and says where.
    fn write(&self) -> PathBuf {
        let place: &Path = &self.place;
        let beside = place.with_extension("new");
        std::fs::write(&beside, &self.text).expect("the folder takes files");
        std::fs::rename(&beside, place).expect("the folder takes files");
        place.to_owned()
    }
}
