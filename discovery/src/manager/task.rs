//! The task of a provider: builds its discoverer, runs it, builds it again when it ends, and tells the roster its news.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rosterd_tasks::{Machine, Panicked, Stopper, blocking};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tracing::{info, warn};

use super::attention::Attention;
use super::equipment::Tools;
use super::memory::{Heard, Memory};
use super::pending::Pending;
use super::provider::ProviderKey;
use super::restarts::Restarts;
use super::update::{Unread, UnreadSources, Update};
use crate::contract::Word;
use crate::error::RunError;
use crate::metrics::ProviderMetrics;
use crate::status::StatusHandle;
use crate::{AnyConfig, Context, Discoverer, Error, Presence, Updates};

/// What looks at this many targets, groups or sources is done aside, so that the runtime stays responsive.
const LARGE: usize = 10_000;
/// How many sources that failed or recovered by one word are told one by one in the log.
const TOLD: usize = 5;

/// A provider at work.
#[derive(Clone)]
pub(super) struct Provider {
    pub(super) key: ProviderKey,
    pub(super) config: Arc<dyn AnyConfig>,
    pub(super) tools: Tools,
    pub(super) machine: Machine,
    pub(super) metrics: ProviderMetrics,
    pub(super) status: StatusHandle,
    pub(super) stopper: Stopper,
    pub(super) sink: mpsc::Sender<Update>,
    pub(super) memory: Memory,
    pub(super) attention: Attention,
}

/// How a run ended.
struct Ended {
    error: Error,
    /// How long it ran after its first word.
    went_well: Duration,
}

impl Provider {
    /// Builds and runs the discoverer until it is stopped, again and again.
    pub(super) async fn run(mut self) {
        self.attend_all().await;
        let memory = std::mem::take(&mut self.memory);
        by_work(memory.groups(), move || drop(memory)).await;
    }

    async fn attend_all(&mut self) {
        let stop = self.stopper.token().clone();
        let mut restarts = Restarts::new(self.key.as_str(), self.machine);
        loop {
            let Some(Some(built)) = stop.run_until_cancelled(self.build()).await else { return };
            let ended = match built {
                Ok(discoverer) => self.attend(discoverer).await,
                Err(error) => Some(Ended { error, went_well: Duration::ZERO }),
            };
            let Some(Ended { error, went_well }) = ended.filter(|_| !stop.is_cancelled()) else { return };
            self.metrics.restarts.inc();
            let wait = restarts.pause(went_well, error.retry());
            self.show_ended(&error, wait);
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Makes it visible that the discoverer ended, and when it is built again.
    fn show_ended(&self, error: &Error, wait: Duration) {
        let (code, provider, jobs) = (error.code(), self.key.as_str(), &*self.status.jobs());
        let Some(failures) = self.status.failed(error, SystemTime::now().checked_add(wait)) else { return };
        if self.memory.targets() > 0 {
            warn!(%error, code, provider, jobs, failures, retry_in = ?wait, "discoverer ended, keeping its stale targets");
        } else {
            warn!(%error, code, provider, jobs, failures, retry_in = ?wait, "discoverer ended");
        }
    }

    /// Builds the discoverer, aside: it may read files, or be a long list. A panic costs this attempt and nothing else. `None` when
    /// the provider was stopped before it began; a build that has begun is waited for, as whatever the provider does, and named
    /// when it hangs.
    async fn build(&self) -> Option<Result<Box<dyn Discoverer>, Error>> {
        let (key, config, tools) = (self.key.clone(), Arc::clone(&self.config), self.tools.clone());
        let (stop, builders, (begins, mut begun)) =
            (self.stopper.token().clone(), self.tools.builders().clone(), oneshot::channel());
        let stopped = stop.clone();
        let build = move || {
            // First it is told, then it is looked: whoever stops either sees that it has begun, or is seen.
            begins.send(()).ok();
            (!stopped.is_cancelled()).then(|| tools.build(&*config, key.as_str()))
        };
        let building = async move {
            let mut built = pin!(builders.run(build));
            tokio::select! {
                biased;
                built = &mut built => built,
                () = stop.cancelled() => match begun.try_recv() {
                    Ok(()) => built.await,
                    Err(_) => None,
                }
            }
        };
        let task = self.stopper.spawn(("build", &self.key), building);
        match task.await {
            Some(Ok(built)) => built,
            Some(Err(Panicked(message))) => Some(Err(RunError::BuildPanicked { message }.into())),
            None => None,
        }
    }

    /// Runs one discoverer and forwards what it says. `None` when it was stopped, otherwise why it ended.
    async fn attend(&mut self, discoverer: Box<dyn Discoverer>) -> Option<Ended> {
        let stop = self.stopper.token().child_token();
        // Should this end by a panic, the discoverer is not left behind.
        let _end = stop.clone().drop_guard();
        let sink = self.sink.clone();
        let cx = Context::new(stop.clone(), self.key.shared(), self.machine, self.metrics.clone(), self.status.clone());
        let (up, mut words) = Updates::channel(&cx);
        let task = self.stopper.spawn(("discoverer", &self.key), discoverer.run(cx, up));
        let mut first_word = None;
        self.memory.begin_run();
        while let Some(word) = words.recv().await {
            first_word.get_or_insert_with(Instant::now);
            let Some(update) = self.take(word).await else { continue };
            let mut pending = Pending::new(update);
            // While the roster is busy, later news are merged into what waits.
            let mut slot = pin!(sink.reserve());
            loop {
                tokio::select! {
                    biased;
                    () = stop.cancelled() => {
                        by_work(pending.weight(), move || drop(pending)).await;
                        break;
                    }
                    permit = &mut slot => {
                        // Without a roster, the agent is ending.
                        if let Ok(permit) = permit {
                            permit.send(by_work(pending.size(), || pending.into_update()).await);
                        }
                        break;
                    }
                    Some(word) = words.recv(), if pending.takes_more() => {
                        if let Some(later) = self.take(word).await {
                            let work = pending.work(&later);
                            let merge = move || {
                                pending.merge(later);
                                pending
                            };
                            pending = by_work(work, merge).await;
                        }
                    }
                }
            }
        }
        let ended = task.await;
        self.status.watches(Vec::new());
        if stop.is_cancelled() {
            return None;
        }
        let error = match ended {
            Some(Ok(Err(error))) => error,
            Some(Ok(Ok(()))) | None => RunError::EndedUnasked.into(),
            Some(Err(Panicked(message))) => RunError::Panicked { message }.into(),
        };
        Some(Ended { error, went_well: first_word.map_or(Duration::ZERO, |first| first.elapsed()) })
    }

    /// Takes a word in. Returns what the roster has to know of it.
    async fn take(&mut self, word: Word) -> Option<Update> {
        let now = SystemTime::now();
        let reads = !matches!(word, Word::Unread(_) | Word::Piece { .. });
        let read = word.reads_all();
        let mut memory = std::mem::take(&mut self.memory);
        let heard;
        (self.memory, heard) = by_work(memory.work(&word), move || {
            let heard = memory.hear(word, now);
            (memory, heard)
        })
        .await;
        let reads_all = reads && heard.unread.is_empty() && !self.status.keeps_failing();
        self.show(&heard, reads_all.then_some(now));
        let again = read && !heard.early && self.attention.is_wanted();
        (heard.is_news() || again).then(|| Update {
            provider: self.key.clone(),
            whole: heard.whole,
            piece: heard.piece,
            told: heard.told,
            groups: heard.news.groups,
            gone: heard.news.gone,
            unread: heard.unread,
            seen: heard.seen,
            read,
            attention: self.attention.clone(),
        })
    }

    /// Makes a word visible in log, metrics and status; `read` is when it says that all was read.
    fn show(&self, heard: &Heard, read: Option<SystemTime>) {
        let (groups, targets, reported) = (self.memory.groups(), self.memory.targets(), self.memory.has_reported());
        self.metrics.updates_received.inc();
        self.metrics.groups_changed.inc_by(heard.news.len() as u64);
        self.metrics.unread_sources.set(i64::try_from(heard.unread.len()).unwrap_or(i64::MAX));
        self.status.update(|status| {
            if reported && status.presence == Presence::Unsynced {
                status.presence = Presence::Synced;
            }
            status.groups = groups;
            status.targets = targets;
            status.unread = Arc::clone(&heard.unread);
            status.tried = Arc::clone(self.memory.tried());
            status.last_success = read.or(status.last_success);
        });
        if let Some(since_epoch) = read.and_then(|read| read.duration_since(SystemTime::UNIX_EPOCH).ok()) {
            self.metrics.last_success.set(since_epoch.as_secs_f64());
        }
        if heard.unread != heard.unread_before {
            self.log_failed(&heard.unread_before, &heard.unread);
            self.log_recovered(&heard.unread_before, &heard.unread);
        }
    }

    /// Logs sources that fail now and did not, or not this way.
    fn log_failed(&self, before: &UnreadSources, now: &UnreadSources) {
        let (provider, jobs) = (self.key.as_str(), &*self.status.jobs());
        let is_new =
            |name: &Arc<str>, unread: &Unread| before.get(name).is_none_or(|it| it.report.code != unread.report.code);
        let mut failed = now.iter().filter(|(name, unread)| is_new(name, unread));
        for (source, Unread { report, beneath, .. }) in failed.by_ref().take(TOLD) {
            let (error, code, source) = (report, &*report.code, &**source);
            if self.memory.has_targets_of(source, beneath.as_deref()) {
                warn!(%error, code, provider, jobs, source, "source cannot be read, keeping its stale targets");
            } else {
                warn!(%error, code, provider, jobs, source, "source cannot be read");
            }
        }
        let untold = failed.count();
        if untold > 0 {
            warn!(provider, jobs, count = untold, "more sources cannot be read, see /api/v1/providers");
        }
    }

    /// Logs sources that failed and do not any more.
    fn log_recovered(&self, before: &UnreadSources, now: &UnreadSources) {
        let (provider, jobs) = (self.key.as_str(), &*self.status.jobs());
        // What is beneath a scope that fails now is as unreadable as it was.
        let scopes: BTreeSet<&str> = now.values().filter_map(|it| it.beneath.as_deref()).collect();
        let fails_with = |name: &str| name.match_indices('/').any(|(slash, _)| scopes.contains(&name[..=slash]));
        let mut recovered = before.keys().filter(|name| !now.contains_key(*name) && !fails_with(name));
        for source in recovered.by_ref().take(TOLD) {
            info!(provider, jobs, source = &**source, "source can be read again");
        }
        let untold = recovered.count();
        if untold > 0 {
            info!(provider, jobs, count = untold, "more sources can be read again");
        }
    }
}

/// Runs what looks at so many things: in place, or aside if they are many.
async fn by_work<T: Send + 'static>(work: usize, call: impl FnOnce() -> T + Send + 'static) -> T {
    if work < LARGE { call() } else { blocking(call).await }
}
