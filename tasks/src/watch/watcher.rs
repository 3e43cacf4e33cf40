//! The watcher: arms what the plan asks for, waits until writers are done, and says what changed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::{ErrorKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use rosterd_model::Coded;
use tokio::time::Instant;
use tracing::{info, warn};

use super::WatchError;
use super::inbox::{Inbox, Touch};
use super::plan::{Effect, Plan};

/// A change is told when nothing more happened to it for this long,
const QUIET: Duration = Duration::from_millis(5);
/// or after this long, even if it is changed again and again.
const LONGEST: Duration = Duration::from_millis(50);
/// A file that somebody has open for writing is told after this long, closed or not: until then it is half-written.
const OPEN: Duration = Duration::from_millis(500);
/// How often directories may change under our hands while they are being armed.
const MOST_ROUNDS: u32 = 4;

/// What changed, as far as can be told. It is a hint: the file may turn out to be as it was.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changes {
    /// These may have been written, made, replaced or removed; spelled as the watcher was told to watch them.
    pub paths: BTreeSet<PathBuf>,
    /// Anything may have changed: a directory was replaced, or events were lost.
    pub everything: bool,
}

/// Watches files, by path or by pattern, for changes of their content.
///
/// It watches the directories in which the files are, and those that hold symbolic links on the way to them. What does
/// not exist yet is awaited in the nearest directory that does. A directory that is moved away together with one
/// above it is not noticed: for that, and for file systems without events, whoever needs the files looks
/// at them at an interval too, and calls [`rearm`](Self::rearm) then.
///
/// Without inotify it never reports a change, says so once in the log, and tries again at each `rearm`.
#[derive(Debug)]
pub struct Watcher {
    patterns: Vec<PathBuf>,
    plan: Plan,
    backend: Option<RecommendedWatcher>,
    open: OpenBackend,
    /// Watched directories, and which ones they were.
    armed: BTreeMap<PathBuf, Identity>,
    inbox: Arc<Inbox>,
    pending: BTreeMap<PathBuf, Pending>,
    faults: u64,
    degraded: bool,
}

pub(super) type OpenBackend = fn(&Arc<Inbox>) -> notify::Result<RecommendedWatcher>;

/// Device and inode.
type Identity = (u64, u64);

#[derive(Debug)]
struct Pending {
    effect: Effect,
    first: Instant,
    due: Instant,
    open: bool,
}

impl Watcher {
    /// Watches these paths and patterns from now on. A change after the return is not missed.
    pub fn new(patterns: &[PathBuf]) -> Self {
        Self::with_backend(patterns, |inbox| notify::recommended_watcher(inbox.handler()))
    }

    pub(super) fn with_backend(patterns: &[PathBuf], open: OpenBackend) -> Self {
        let mut watcher = Self {
            patterns: patterns.to_vec(),
            plan: Plan::default(),
            backend: None,
            open,
            armed: BTreeMap::new(),
            inbox: Arc::default(),
            pending: BTreeMap::new(),
            faults: 0,
            degraded: false,
        };
        watcher.rearm();
        watcher
    }

    #[cfg(test)]
    pub(super) fn use_backend(&mut self, open: OpenBackend) {
        self.open = open;
    }

    /// Watches other paths and patterns. Changes of the old ones that were not told yet may still be told.
    pub fn set(&mut self, patterns: &[PathBuf]) {
        if self.patterns != patterns {
            self.patterns = patterns.to_vec();
            self.rearm();
        }
    }

    /// How often something could not be watched since the start, for a metric.
    pub fn faults(&self) -> u64 {
        self.faults
    }

    /// Whether something is not watched at the moment, so that only an interval notices its changes.
    pub fn is_degraded(&self) -> bool {
        self.degraded
    }

    /// Waits until something changed. Safe to drop at any time: nothing is lost.
    pub async fn changed(&mut self) -> Changes {
        loop {
            self.collect();
            if let Some(changes) = self.take_due(Instant::now()) {
                return changes;
            }
            let filled = self.inbox.filled();
            match self.pending.values().map(|pending| pending.due).min() {
                Some(due) => tokio::select! {
                    () = filled => {}
                    () = tokio::time::sleep_until(due) => {}
                },
                None => filled.await,
            }
        }
    }

    /// Watches again what has come, gone, or could not be watched before. Call it whenever the interval is over.
    pub fn rearm(&mut self) {
        self.arm(&BTreeSet::new());
    }

    /// Sorts new events into what is pending.
    fn collect(&mut self) {
        let mail = self.inbox.take();
        let now = Instant::now();
        if let Some(source) = mail.error {
            self.fault(&WatchError::Lost { source });
        }
        if mail.rescan {
            let anything = Effect { everything: true, replan: true, ..Effect::default() };
            self.remember(Path::new(""), anything, false, now);
        }
        for (real, touch) in mail.touched {
            let open = match touch {
                Touch::Settled => false,
                Touch::Written => true,
                // Symbolic and further hard links come into being complete.
                Touch::Created => fs::symlink_metadata(&real).is_ok_and(|found| found.is_file() && found.nlink() == 1),
            };
            self.pend(&real, open, now);
        }
    }

    /// Notes a change of a real path, if anybody wants to know. `open` says that somebody may still be writing.
    pub(super) fn pend(&mut self, real: &Path, open: bool, now: Instant) {
        let mut effect = self.plan.effect(real);
        if !effect.is_none() {
            effect.replan |= real.is_symlink();
            self.remember(real, effect, open, now);
        }
    }

    fn remember(&mut self, real: &Path, effect: Effect, open: bool, now: Instant) {
        let new = || Pending { effect: Effect::default(), first: now, due: now, open };
        let pending = self.pending.entry(real.to_owned()).or_insert_with(new);
        pending.effect.merge(effect);
        pending.open = open;
        pending.due = match open {
            true => pending.first + OPEN,
            false => (now + QUIET).min(pending.first + LONGEST).max(now),
        };
    }

    /// Everything that is not being written, once something is due.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<Changes> {
        if !self.pending.values().any(|pending| pending.due <= now) {
            return None;
        }
        let mut effect = Effect::default();
        let mut disturbed = BTreeSet::new();
        for (real, pending) in self.pending.extract_if(.., |_, pending| !pending.open || pending.due <= now) {
            if pending.effect.replan {
                disturbed.insert(real);
            }
            effect.merge(pending.effect);
        }
        if effect.replan {
            self.arm(&disturbed);
        }
        Some(Changes { paths: effect.paths, everything: effect.everything })
    }

    /// Makes the watched directories those that the paths ask for. Directories at or below disturbed paths are watched
    /// anew, because they may be others now, or not be watched any more.
    fn arm(&mut self, disturbed: &BTreeSet<PathBuf>) {
        let faults = self.faults;
        let is_disturbed = |armed: &&PathBuf| disturbed.iter().any(|path| armed.starts_with(path));
        let stale: Vec<_> = self.armed.keys().filter(is_disturbed).cloned().collect();
        stale.iter().for_each(|directory| self.disarm(directory));
        if self.backend.is_none() {
            match (self.open)(&self.inbox) {
                Ok(backend) => self.backend = Some(backend),
                Err(source) => self.fault(&WatchError::Unavailable { source }),
            }
        }
        for _ in 0..MOST_ROUNDS {
            self.plan = Plan::make(&self.patterns);
            if self.follow_plan() == 0 {
                break;
            }
        }
        if self.degraded && self.faults == faults {
            info!("files are watched again");
            self.degraded = false;
        }
    }

    /// Watches what the plan asks for and nothing else. Returns how many directories are watched that were not before:
    /// something may have changed in them after the plan was made.
    fn follow_plan(&mut self) -> usize {
        let gone: Vec<_> = self.armed.keys().filter(|armed| !self.plan.directories.contains(*armed)).cloned().collect();
        gone.iter().for_each(|directory| self.disarm(directory));
        let wanted: Vec<_> = self.plan.directories.iter().cloned().collect();
        wanted.into_iter().filter(|directory| self.arm_one(directory)).count()
    }

    /// Watches one directory. False if it was watched already, or cannot be.
    fn arm_one(&mut self, directory: &Path) -> bool {
        let Ok(identity) = fs::metadata(directory).map(|found| (found.dev(), found.ino())) else { return false };
        match self.armed.get(directory) {
            Some(armed) if *armed == identity => return false,
            Some(_) => self.disarm(directory),
            None => {}
        }
        let Some(backend) = &mut self.backend else { return false };
        match backend.watch(directory, RecursiveMode::NonRecursive) {
            Ok(()) => self.armed.insert(directory.to_owned(), identity).is_none(),
            // It went away in this moment: the next round finds out.
            Err(error) if matches!(error.kind, ErrorKind::PathNotFound) => true,
            Err(source) => {
                self.fault(&WatchError::Refused { directory: directory.to_owned(), source });
                false
            }
        }
    }

    fn disarm(&mut self, directory: &Path) {
        if self.armed.remove(directory).is_some()
            && let Some(backend) = &mut self.backend
        {
            // A directory that is gone is not watched any more.
            backend.unwatch(directory).ok();
        }
    }

    /// Counts, and logs the first of a row.
    fn fault(&mut self, error: &WatchError) {
        self.faults += 1;
        if !self.degraded {
            self.degraded = true;
            let report = rosterd_model::Report::of(error);
            warn!(error = %report, code = error.code(), "cannot watch all files, their changes wait for the interval");
        }
    }
}
