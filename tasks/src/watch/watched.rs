//! The state of a watcher: arms what the plan asks for, and sorts out what changed. Blocking, without a task.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::ErrorKind;
use rosterd_model::Coded;
use tokio::time::Instant;
use tracing::{info, warn};

use super::WatchError;
use super::inbox::{Inbox, Touch};
use super::inotify::{Identity, Inotify};
use super::plan::{Effect, Plan, has_other_names};

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

/// All that one watcher knows.
#[derive(Debug)]
pub(super) struct Watched {
    patterns: Vec<PathBuf>,
    plan: Plan,
    inotify: Inotify,
    /// Watched directories, and files with other names, and which ones they were.
    armed: BTreeMap<PathBuf, Identity>,
    inbox: Arc<Inbox>,
    pending: BTreeMap<PathBuf, Pending>,
    /// What to tell next.
    due: Option<Changes>,
    /// Where directories have to be watched anew before that.
    disturbed: Option<BTreeSet<PathBuf>>,
    faults: u64,
    degraded: bool,
}

#[derive(Debug)]
struct Pending {
    effect: Effect,
    first: Instant,
    due: Instant,
    open: bool,
}

impl Watched {
    /// Knows nothing and watches nothing until it is armed.
    pub(super) fn new(inotify: &Inotify, patterns: &[PathBuf]) -> Self {
        Self {
            patterns: patterns.to_vec(),
            plan: Plan::default(),
            inotify: inotify.clone(),
            armed: BTreeMap::new(),
            inbox: Arc::default(),
            pending: BTreeMap::new(),
            due: None,
            disturbed: None,
            faults: 0,
            degraded: false,
        }
    }

    pub(super) fn patterns(&self) -> &[PathBuf] {
        &self.patterns
    }

    pub(super) fn set(&mut self, patterns: Vec<PathBuf>) {
        self.patterns = patterns;
        self.arm();
    }

    #[cfg(test)]
    pub(super) fn use_inotify(&mut self, inotify: &Inotify) {
        self.inotify = inotify.clone();
    }

    pub(super) fn faults(&self) -> u64 {
        self.faults
    }

    pub(super) fn is_degraded(&self) -> bool {
        self.degraded
    }

    /// Waits until there may be something to collect or to tell.
    pub(super) async fn wait(&self) {
        let filled = self.inbox.filled();
        match self.pending.values().map(|pending| pending.due).min() {
            Some(due) => tokio::select! {
                () = filled => {}
                () = tokio::time::sleep_until(due) => {}
            },
            None => filled.await,
        }
    }

    /// Whether there are new events.
    pub(super) fn has_mail(&self) -> bool {
        !self.inbox.is_empty()
    }

    /// Sorts new events into what is pending. Looks at each path that was touched.
    pub(super) fn collect(&mut self) {
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
            effect.replan |=
                fs::symlink_metadata(real).is_ok_and(|found| found.is_symlink() || has_other_names(&found));
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

    /// Sets aside everything that is not being written, once something is due.
    pub(super) fn fall_due(&mut self, now: Instant) {
        if !self.pending.values().any(|pending| pending.due <= now) {
            return;
        }
        let due = self.due.get_or_insert_default();
        for (real, pending) in self.pending.extract_if(.., |_, pending| !pending.open || pending.due <= now) {
            due.paths.extend(pending.effect.paths);
            due.everything |= pending.effect.everything;
            if pending.effect.replan {
                self.disturbed.get_or_insert_default().insert(real);
            }
        }
    }

    /// Whether [`arm`](Self::arm) comes before what is to be told.
    pub(super) fn is_disturbed(&self) -> bool {
        self.disturbed.is_some()
    }

    /// What is to be told.
    pub(super) fn take(&mut self) -> Option<Changes> {
        self.due.take()
    }

    /// Makes the watched directories those that the paths ask for. Directories at or below disturbed paths are watched
    /// anew, because they may be others now, or not be watched any more.
    pub(super) fn arm(&mut self) {
        let faults = self.faults;
        let disturbed = self.disturbed.take().unwrap_or_default();
        let is_disturbed = |armed: &&PathBuf| disturbed.iter().any(|path| armed.starts_with(path));
        let stale: Vec<_> = self.armed.keys().filter(is_disturbed).cloned().collect();
        stale.iter().for_each(|directory| self.disarm(directory));
        let opened = self.inotify.open();
        if let Err(source) = opened {
            self.fault(&WatchError::Unavailable { source });
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
        let gone: Vec<_> = self.armed.keys().filter(|armed| !self.plan.has_place(armed)).cloned().collect();
        gone.iter().for_each(|directory| self.disarm(directory));
        let wanted: Vec<_> = self.plan.places().cloned().collect();
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
        if !self.inotify.is_open() {
            return false;
        }
        match self.inotify.watch(&self.inbox, directory, identity) {
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
        if let Some(identity) = self.armed.remove(directory) {
            self.inotify.unwatch(&self.inbox, directory, identity);
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

/// Others may go on with the same inotify instance.
impl Drop for Watched {
    fn drop(&mut self) {
        for (directory, identity) in std::mem::take(&mut self.armed) {
            self.inotify.unwatch(&self.inbox, &directory, identity);
        }
    }
}
