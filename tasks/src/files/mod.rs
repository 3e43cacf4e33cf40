//! Files: read without waiting for what never comes, and as they look from outside: whether one has changed since it was
//! read, paths by their text alone, and locks.

mod lock;
mod read;

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, SystemTime};

pub use lock::Lock;
pub use read::{in_the_way, open, read, read_document, read_text};

/// Changed twice within this time, a file may look the same: some file systems count whole seconds.
const SETTLED: Duration = Duration::from_secs(2);

/// What tells one state of a file from another without reading it: it changes by a write, by a rename over the file, by
/// another target of a symbolic link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
    /// Whether the file had rested long enough that another change would show in the rest.
    settled: bool,
}

impl Stamp {
    /// The stamp of the file at a path, links followed. Fails as `stat` does.
    pub fn at(path: &Path) -> io::Result<Self> {
        Ok(Self::of(&std::fs::metadata(path)?))
    }

    /// The stamp that metadata show which were read just now.
    pub fn of(found: &Metadata) -> Self {
        let seconds = |time: i64| Duration::from_secs(time.try_into().unwrap_or_default());
        // A clock that was set back leaves files of the future: these never rest.
        let rested = |time: i64| {
            let at = SystemTime::UNIX_EPOCH + seconds(time);
            SystemTime::now().duration_since(at).is_ok_and(|age| age > SETTLED)
        };
        Self {
            device: found.dev(),
            inode: found.ino(),
            size: found.size(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
            settled: rested(found.ctime()),
        }
    }

    /// Whether a file that was read at `self` surely has the same content at `now`.
    pub fn is_settled_at(&self, now: &Self) -> bool {
        self.settled && Self { settled: true, ..*now } == *self
    }

    /// When the content changed, in seconds since 1970.
    pub fn mtime(&self) -> f64 {
        self.modified.0 as f64
    }
}

/// The path without `.` and `..`, by its text alone, as Go's `filepath.Clean`: two spellings of one path are one.
pub fn clean(path: &Path) -> PathBuf {
    let mut cleaned = PathBuf::new();
    for component in path.components() {
        match (component, cleaned.components().next_back()) {
            (Component::CurDir, _) | (Component::ParentDir, Some(Component::RootDir)) => {}
            (Component::ParentDir, Some(Component::Normal(_))) => drop(cleaned.pop()),
            _ => cleaned.push(component),
        }
    }
    cleaned
}

/// Puts a folder in front of a relative path. An empty path is none, and stays so.
pub fn resolve(base: &Path, path: &mut PathBuf) {
    if !path.as_os_str().is_empty() && path.is_relative() {
        *path = base.join(&*path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(path: &Path) -> Stamp {
        Stamp::at(path).expect("the file is there")
    }

    #[test]
    fn a_file_that_had_just_changed_is_never_settled() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.json");
        std::fs::write(&path, "[]").expect("written");
        let fresh = stamp(&path);
        assert!(!fresh.is_settled_at(&fresh));
        let rested = Stamp { settled: true, ..fresh };
        assert!(rested.is_settled_at(&fresh));
        assert!(!Stamp { size: 3, ..rested }.is_settled_at(&fresh));
    }

    #[test]
    fn a_file_renamed_over_another_of_equal_size_and_time_differs() {
        let folder = tempfile::tempdir().expect("a folder");
        let (old, new) = (folder.path().join("old"), folder.path().join("new"));
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        for path in [&old, &new] {
            std::fs::write(path, "abc").expect("written");
            std::fs::File::options().write(true).open(path).expect("opened").set_modified(time).expect("set");
        }
        let before = Stamp { settled: true, ..stamp(&old) };
        std::fs::rename(&new, &old).expect("renamed");
        assert!(!before.is_settled_at(&stamp(&old)));
    }

    #[test]
    fn spellings_of_a_path_become_one() {
        for (written, cleaned) in [
            ("/etc/p/./x//a.json", "/etc/p/x/a.json"),
            ("/etc/p/../x/a.json", "/etc/x/a.json"),
            ("/../a", "/a"),
            ("../../a", "../../a"),
            ("a/..", ""),
        ] {
            assert_eq!(clean(Path::new(written)), Path::new(cleaned), "{written}");
        }
    }

    #[test]
    fn only_relative_paths_are_resolved() {
        let resolved = |path: &str| {
            let mut path = PathBuf::from(path);
            resolve(Path::new("/base"), &mut path);
            path
        };
        assert_eq!(resolved("a"), Path::new("/base/a"));
        assert_eq!(resolved("/a"), Path::new("/a"));
        assert_eq!(resolved(""), Path::new(""));
    }
}
