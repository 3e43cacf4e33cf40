//! One file: whether it changed since it was read, and the groups in it. Blocking.

use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use rosterd_model::TargetGroup;

use super::FileError;
use rosterd_discovery::decode::{json_groups, yaml_groups};

/// The label that holds the path of the file.
const FILEPATH: &str = "__meta_filepath";
/// Twice changed within this time, a file may look the same: clocks of file systems tick slowly.
const TICK: Duration = Duration::from_millis(100);

/// What tells one state of a file from another without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
    /// The file had just changed, so that another change may not show in the rest.
    fresh: bool,
}

impl Stamp {
    fn of(found: &Metadata) -> Self {
        let changed = (found.ctime(), found.ctime_nsec());
        let at = Duration::new(changed.0.try_into().unwrap_or_default(), changed.1.try_into().unwrap_or_default());
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self {
            device: found.dev(),
            inode: found.ino(),
            size: found.size(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed,
            fresh: now < at + TICK,
        }
    }

    /// Whether a file read at `self` surely has the same content at `now`.
    pub(super) fn is_settled_at(&self, now: &Self) -> bool {
        !self.fresh && Self { fresh: false, ..*now } == *self
    }

    /// Seconds since 1970.
    pub(super) fn mtime(&self) -> f64 {
        self.modified.0 as f64
    }
}

/// The state of a regular file, or `None` if nothing of that name exists.
pub(super) fn stat(path: &Path) -> Result<Option<Stamp>, FileError> {
    let failed = |source| FileError::Read { path: path.to_owned(), source };
    match std::fs::metadata(path) {
        Ok(found) if found.is_file() => Ok(Some(Stamp::of(&found))),
        Ok(_) => Err(FileError::NotAFile { path: path.to_owned() }),
        // A link to nothing exists.
        Err(error) if is_missing(&error) && !path.is_symlink() => Ok(None),
        Err(error) => Err(failed(error)),
    }
}

/// The groups in a file, and its state when it was opened. The state is there even if the content is no good.
pub(super) fn read(path: &Path) -> (Option<Stamp>, Result<Vec<TargetGroup>, FileError>) {
    match bytes(path) {
        Ok((stamp, bytes)) => {
            (Some(stamp), groups(path, &bytes).map_err(|source| FileError::Malformed { path: path.to_owned(), source }))
        }
        Err(source) => (None, Err(FileError::Read { path: path.to_owned(), source })),
    }
}

fn bytes(path: &Path) -> io::Result<(Stamp, Vec<u8>)> {
    let mut file = File::open(path)?;
    let found = file.metadata()?;
    let mut bytes = Vec::with_capacity(found.len().try_into().unwrap_or_default());
    file.read_to_end(&mut bytes)?;
    Ok((Stamp::of(&found), bytes))
}

fn groups(path: &Path, bytes: &[u8]) -> Result<Vec<TargetGroup>, rosterd_discovery::decode::DecodeError> {
    let name = path.display().to_string();
    let extra = [(FILEPATH, &*name)];
    let is_json = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("json"));
    match is_json {
        true => json_groups(bytes, |index| source(path, index), &extra),
        false => yaml_groups(bytes, |index| source(path, index), &extra),
    }
}

/// The source of a group, as Prometheus names it.
pub(super) fn source(path: &Path, index: usize) -> String {
    format!("{}:{index}", path.display())
}

pub(super) fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rosterd_testkit::Folder;

    #[test]
    fn a_file_that_had_just_changed_is_never_settled() {
        let folder = Folder::new();
        let path = folder.write("a.json", "[]");
        let stamp = stat(&path).unwrap().unwrap();
        let old = Stamp { fresh: false, ..stamp };
        assert!(old.is_settled_at(&stamp));
        assert!(!Stamp { fresh: true, ..stamp }.is_settled_at(&stamp));
        assert!(!Stamp { size: 3, ..old }.is_settled_at(&stamp));
    }

    #[test]
    fn what_is_no_file_is_not_opened() {
        let folder = Folder::new();
        assert!(matches!(stat(folder.root()), Err(FileError::NotAFile { .. })));
        assert_eq!(stat(&folder.path("none.json")).unwrap(), None);
        std::os::unix::fs::symlink("none", folder.path("link.json")).unwrap();
        assert!(matches!(stat(&folder.path("link.json")), Err(FileError::Read { .. })));
    }

    #[test]
    fn the_ending_decides_the_format() {
        let folder = Folder::new();
        for (name, text) in [("a.JSON", r#"[{"targets": ["a"]}]"#), ("a.yml", "- targets: [a]"), ("a.YAML", "- {}")] {
            let path = folder.write(name, text);
            let groups = read(&path).1.unwrap();
            assert_eq!(&*groups[0].source, format!("{}:0", path.display()));
            assert_eq!(groups[0].labels.get(FILEPATH), path.to_str());
        }
        let path = folder.write("b.json", "- targets: [a]");
        let (stamp, result) = read(&path);
        assert!(stamp.is_some() && matches!(result, Err(FileError::Malformed { .. })));
    }
}
