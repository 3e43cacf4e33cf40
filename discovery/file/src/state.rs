//! What is known of all files, and what a look at some of them changes. Blocking, without a channel or a timer.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rosterd_discovery::Unreadable;
use rosterd_model::TargetGroup;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::FileError;
use super::metrics::{FileMetrics, Mtime};
use super::read::{self, Content};
use rosterd_tasks::files::Stamp;
use rosterd_tasks::{Guard, watch};

/// The first wait before a file that failed is tried again,
const FIRST_RETRY: Duration = Duration::from_millis(100);
/// and the longest.
const LAST_RETRY: Duration = Duration::from_secs(60);
/// For so long a file that had targets may be missing, or have nothing in it, before they go: whoever writes it anew may
/// begin with that.
const REWRITTEN: Duration = Duration::from_secs(2);

/// Which files to look at.
#[derive(Debug)]
pub(super) enum Look {
    Everything,
    These(BTreeSet<PathBuf>),
}

/// What a look found.
#[derive(Debug, Default)]
pub(super) struct FilesRead {
    /// The groups of files that were read, all of each; an empty one for a file that has none or is gone.
    pub(super) groups: Vec<TargetGroup>,
    /// Files and directories that could not be read.
    pub(super) unread: Vec<Unreadable>,
    /// Whether all files were looked at.
    pub(super) all: bool,
}

/// Reads one file.
type Read = fn(&Path) -> (Option<Stamp>, Result<Content, FileError>);

/// All files of one discoverer.
#[derive(Debug)]
pub(super) struct State {
    patterns: Vec<PathBuf>,
    metrics: FileMetrics,
    /// Catches panics of `read`.
    guard: Guard,
    read: Read,
    files: BTreeMap<PathBuf, Known>,
    /// Directories that could not be listed in the last look at everything.
    unlisted: BTreeSet<PathBuf>,
}

/// A file that exists, or did when it was last looked at.
#[derive(Debug, Default)]
struct Known {
    /// The state that was read last, whether the content was good or not.
    stamp: Option<Stamp>,
    mtime: Option<Mtime>,
    failing: Option<Failing>,
    /// Whether there are targets of it.
    has_targets: bool,
    /// When it is believed to be gone, or empty.
    leaving: Option<Instant>,
}

#[derive(Debug)]
struct Failing {
    attempts: u32,
    /// When to try again before the interval is over; never if only a change can help.
    retry: Option<Instant>,
}

/// Whether what a pattern stands for may be in a directory, or beneath it.
fn may_be_in(pattern: &Path, directory: &Path) -> bool {
    let above: PathBuf = pattern.components().take(directory.components().count()).collect();
    above == directory || watch::stands_for(&above, directory)
}

impl State {
    pub(super) fn new(patterns: Vec<PathBuf>, metrics: FileMetrics, guard: Guard) -> Self {
        let (files, unlisted) = (BTreeMap::new(), BTreeSet::new());
        Self { patterns, metrics, guard, read: read::read, files, unlisted }
    }

    /// Looks at files and reads those that changed. Ends early when stopped.
    pub(super) fn look(&mut self, look: Look, stop: &CancellationToken) -> FilesRead {
        let mut found = FilesRead { all: matches!(look, Look::Everything), ..FilesRead::default() };
        let paths = match look {
            Look::Everything => self.list(&mut found),
            Look::These(paths) => paths,
        };
        for path in paths {
            if stop.is_cancelled() {
                break;
            }
            self.look_at(&path, &mut found);
        }
        found
    }

    /// Has the next look read all files, whether they changed or not.
    pub(super) fn read_again(&mut self) {
        self.files.values_mut().for_each(|known| known.stamp = None);
    }

    /// Whether all directories could be listed.
    pub(super) fn is_listed(&self) -> bool {
        self.unlisted.is_empty()
    }

    /// Whether what is not there is gone, as far as a look can tell: nothing is being rewritten.
    pub(super) fn is_certain(&self) -> bool {
        self.files.values().all(|known| known.leaving.is_none())
    }

    /// The paths and patterns that no file is there for, but for what could not be looked into. A file that is being rewritten counts
    /// as there.
    pub(super) fn absent(&self) -> Vec<PathBuf> {
        let is_there = |pattern: &Path| {
            self.files.contains_key(pattern)
                || self.unlisted.iter().any(|directory| may_be_in(pattern, directory))
                || self.files.keys().any(|file| watch::stands_for(pattern, file))
        };
        self.patterns.iter().filter(|pattern| !is_there(pattern)).cloned().collect()
    }

    /// Whether all that exists could be read when it was looked at last.
    pub(super) fn is_well(&self) -> bool {
        self.is_listed() && self.is_certain() && self.files.values().all(|known| known.failing.is_none())
    }

    /// When the next file has to be tried again.
    pub(super) fn next_retry(&self) -> Option<Instant> {
        self.retries().map(|(_, at)| at).min()
    }

    /// The files that have to be tried again now.
    pub(super) fn due(&self, now: Instant) -> BTreeSet<PathBuf> {
        self.retries().filter(|(_, at)| *at <= now).map(|(path, _)| path.clone()).collect()
    }

    fn retries(&self) -> impl Iterator<Item = (&PathBuf, Instant)> {
        let retry = |known: &Known| known.failing.as_ref().and_then(|failing| failing.retry);
        self.files.iter().filter_map(move |(path, known)| Some((path, known.leaving.or_else(|| retry(known))?)))
    }

    /// All files that exist, and those known that may not exist any more.
    fn list(&mut self, found: &mut FilesRead) -> BTreeSet<PathBuf> {
        let expansion = watch::expand(&self.patterns);
        let mut paths = expansion.files;
        let hidden = |path: &Path| expansion.unreadable.iter().any(|(directory, _)| path.starts_with(directory));
        paths.extend(self.files.keys().filter(|path| !hidden(path)).cloned());
        let before = std::mem::take(&mut self.unlisted);
        for (path, source) in expansion.unreadable {
            let (name, error) = (read::source(&path), FileError::List { path: path.clone(), source });
            found.unread.push(Unreadable::scope(&*name, &name, error));
            self.unlisted.insert(path);
        }
        for directory in before.difference(&self.unlisted) {
            found.groups.push(TargetGroup::gone(read::source(directory)));
            // With it, all that is in it counts as told: what cannot be read has to be told again, be it as it was.
            let failing =
                |(path, known): &(&PathBuf, &mut Known)| known.failing.is_some() && path.starts_with(directory);
            self.files.iter_mut().filter(failing).for_each(|(_, known)| known.stamp = None);
        }
        paths
    }

    fn look_at(&mut self, path: &Path, found: &mut FilesRead) {
        match read::stat(path) {
            Ok(None) if self.may_be_rewritten(path) => {}
            Ok(None) => self.forget(path, found),
            Ok(Some(now)) if self.is_settled(path, &now) => {}
            Ok(Some(_)) => {
                let read = self.guard.call(&path.display(), || (self.read)(path));
                let (stamp, content) = read.unwrap_or_else(|panicked| {
                    (None, Err(FileError::Panicked { path: path.to_owned(), message: panicked.0 }))
                });
                match content {
                    Ok(Content::Blank) if self.may_be_rewritten(path) => {}
                    Ok(Content::Blank) => self.take(path, stamp, Vec::new(), found),
                    Ok(Content::Groups(groups)) => self.take(path, stamp, groups, found),
                    Err(error) => self.fail(path, stamp, error, found),
                }
            }
            Err(error) => self.fail(path, None, error, found),
        }
    }

    /// Whether the targets of a file that is missing, or has nothing in it, are to wait for what comes next.
    fn may_be_rewritten(&mut self, path: &Path) -> bool {
        let Some(known) = self.files.get_mut(path).filter(|known| known.has_targets) else { return false };
        known.stamp = None;
        let now = Instant::now();
        *known.leaving.get_or_insert(now + REWRITTEN) > now
    }

    /// Whether reading the file again would give what it gave before.
    fn is_settled(&mut self, path: &Path, now: &Stamp) -> bool {
        let Some(known) = self.files.get_mut(path) else { return false };
        let settled = known.stamp.is_some_and(|stamp| stamp.is_settled_at(now));
        if settled && let Some(failing) = &mut known.failing {
            failing.retry = None;
        }
        settled
    }

    fn take(&mut self, path: &Path, stamp: Option<Stamp>, groups: Vec<TargetGroup>, found: &mut FilesRead) {
        let known = self.files.entry(path.to_owned()).or_default();
        known.failing = None;
        known.leaving = None;
        known.has_targets = groups.iter().any(|group| !group.targets.is_empty());
        known.stamp = stamp;
        if let Some(stamp) = stamp {
            known.mtime.get_or_insert_with(|| self.metrics.mtime(&path.to_string_lossy())).set(stamp.mtime());
        }
        match (found.groups.is_empty(), groups.is_empty()) {
            (_, true) => found.groups.push(TargetGroup::gone(read::source(path))),
            (true, false) => found.groups = groups,
            (false, false) => found.groups.extend(groups),
        }
    }

    fn fail(&mut self, path: &Path, stamp: Option<Stamp>, error: FileError, found: &mut FilesRead) {
        let known = self.files.entry(path.to_owned()).or_default();
        known.leaving = None;
        let attempts = known.failing.take().map_or(0, |old| old.attempts);
        let wait = FIRST_RETRY.saturating_mul(1 << attempts.min(16)).min(LAST_RETRY);
        // With its stamp kept, a file of bad content is read again only if it changed since.
        known.stamp = stamp.filter(|_| error.is_of_content());
        found.unread.push(Unreadable::new(read::source(path), error));
        let retry = Some(Instant::now() + wait);
        known.failing = Some(Failing { attempts: attempts.saturating_add(1), retry });
    }

    fn forget(&mut self, path: &Path, found: &mut FilesRead) {
        if self.files.remove(path).is_some() {
            found.groups.push(TargetGroup::gone(read::source(path)));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use prometheus::Registry;
    use rosterd_discovery::MechanismMetrics;
    use rosterd_tasks::Supervision;
    use rosterd_testkit::{Folder, eventually, leak_checked, leak_checked_live, patience};

    use super::*;

    fn read_or_panic(path: &Path) -> (Option<Stamp>, Result<Content, FileError>) {
        assert!(!path.ends_with("bad.json"), "what a file");
        read::read(path)
    }

    #[test]
    fn a_file_that_panics_is_unread_and_hides_no_other() {
        let folder = Folder::new();
        for name in ["a.json", "bad.json", "c.json"] {
            folder.write(name, r#"[{"targets": ["a:1"]}]"#);
        }
        let (metrics, guard) =
            (FileMetrics::register(&Registry::new()).unwrap(), Supervision::default().guard("source"));
        let mut state = State { read: read_or_panic, ..State::new(vec![folder.path("*.json")], metrics, guard) };
        for _ in 0..2 {
            let found = state.look(Look::Everything, &CancellationToken::new());
            let [Unreadable { source, error, beneath: None }] = &*found.unread else {
                panic!("not one: {:?}", found.unread)
            };
            assert_eq!((&**source, error.code()), (&*read::source(&folder.path("bad.json")), "sd_file_panicked"));
            assert!(error.to_string().ends_with("panicked: what a file"), "{error}");
            assert!(!state.is_well() && state.next_retry().is_some());
        }
        assert!(state.files.keys().eq(&["a.json", "bad.json", "c.json"].map(|name| folder.path(name))));
    }

    /// Looks at everything. The addresses by the names of files that were read, and when to look next.
    fn look(state: &mut State, folder: &Folder) -> Vec<String> {
        let found = state.look(Look::Everything, &CancellationToken::new());
        let root = format!("{}/", folder.root().display());
        let shown = |group: &TargetGroup| {
            let addresses: Vec<_> = group.targets.iter().filter_map(|target| target.get("__address__")).collect();
            format!("{}={}", group.source.trim_start_matches(&root), addresses.join(","))
        };
        found.groups.iter().map(shown).collect()
    }

    #[test]
    fn what_cannot_be_read_in_a_folder_that_can_be_listed_again_is_told_again() {
        leak_checked_live(|| async {
            let folder = Folder::new();
            for name in ["d/bad.json", "e/bad.json"] {
                folder.write(name, "no list");
            }
            let (metrics, guard) =
                (FileMetrics::register(&Registry::new()).unwrap(), Supervision::default().guard("source"));
            let patterns = ["d/*.json", "e/*.json"].map(|pattern| folder.path(pattern));
            let mut state = State::new(patterns.to_vec(), metrics, guard);
            let look = |state: &mut State| {
                let found = state.look(Look::Everything, &CancellationToken::new());
                found.unread.iter().map(|unread| unread.source.to_string()).collect::<Vec<_>>()
            };
            assert_eq!(look(&mut state).len(), 2);
            eventually(patience(), "nothing is new of files that rest", || look(&mut state).is_empty()).await;
            state.unlisted.insert(folder.path("d"));
            assert_eq!(look(&mut state), [read::source(&folder.path("d/bad.json"))]);
        });
    }

    #[test]
    fn a_file_that_is_written_anew_loses_nothing_meanwhile() {
        leak_checked(|| async {
            let folder = Folder::new();
            let (metrics, guard) =
                (FileMetrics::register(&Registry::new()).unwrap(), Supervision::default().guard("source"));
            let mut state = State::new(vec![folder.path("*.json"), folder.path("*.yml")], metrics, guard);
            for name in ["a.json", "b.yml", "c.yml"] {
                folder.write(name, r#"[{"targets": ["x:1"]}]"#);
            }
            assert_eq!(look(&mut state, &folder), ["a.json=x:1", "b.yml=x:1", "c.yml=x:1"]);

            // Somebody begins to write them: nothing is said of the first two, an empty list counts.
            fs::remove_file(folder.path("a.json")).unwrap();
            folder.write("b.yml", "# written by a script\n");
            folder.write("c.yml", "[]");
            assert_eq!(look(&mut state, &folder), ["c.yml="]);
            fs::remove_file(folder.path("c.yml")).unwrap();
            assert_eq!(look(&mut state, &folder), ["c.yml="], "it has nothing to lose");
            assert!(!state.is_certain() && state.next_retry() == Some(Instant::now() + REWRITTEN));
            tokio::time::advance(REWRITTEN / 2).await;
            assert_eq!(look(&mut state, &folder), [""; 0]);
            folder.write("a.json", r#"[{"targets": ["x:2"]}]"#);
            folder.write("b.yml", "# written by a script\n- targets: [x:2]\n");
            assert_eq!(look(&mut state, &folder), ["a.json=x:2", "b.yml=x:2"]);
            assert!(state.is_certain() && state.next_retry().is_none());

            // Nobody does any more.
            fs::remove_file(folder.path("a.json")).unwrap();
            folder.write("b.yml", "");
            tokio::time::advance(REWRITTEN).await;
            assert_eq!(look(&mut state, &folder), [""; 0], "the time begins when it is seen");
            tokio::time::advance(REWRITTEN).await;
            assert_eq!(look(&mut state, &folder), ["a.json=", "b.yml="]);
            assert!(state.is_certain());
        });
    }
}
