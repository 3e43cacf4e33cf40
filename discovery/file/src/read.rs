//! One file: whether it changed since it was read, and the groups in it. Blocking.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use rosterd_model::labels::ADDRESS;
use rosterd_model::{Problem, TargetGroup};
use rosterd_tasks::files::Stamp;
use rosterd_tasks::watch;
use rosterd_yaml::Problem as Fault;

use super::FileError;
use rosterd_discovery::Finding;
use rosterd_discovery::decode::{json_groups, yaml_groups};

/// The label that holds the path of the file.
const FILEPATH: &str = "__meta_filepath";

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
    let source = source(path);
    let extra = [(FILEPATH, &*source)];
    let is_json = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("json"));
    match is_json {
        true => json_groups(bytes, &source, &extra),
        false => yaml_groups(bytes, &source, &extra),
    }
}

/// What is wrong with the files that a pattern stands for now; `key` is where it stands in the configuration.
pub(super) fn examine(key: &str, pattern: &Path) -> Vec<Finding> {
    let expansion = watch::expand(&[pattern.to_owned()]);
    let mut found: Vec<_> = expansion
        .unreadable
        .iter()
        .map(|(path, error)| {
            let message = format!("cannot look into {}: {error}", path.display());
            Finding::Missing(Problem::new(key, "cfg_unreadable", message))
        })
        .collect();
    if expansion.files.is_empty() && found.is_empty() {
        let message = format!("there is no file {} at the moment", pattern.display());
        found.push(Finding::Idle(Problem::new(key, "cfg_no_file", message)));
    }
    found.extend(expansion.files.iter().flat_map(|file| faults(file)).map(Finding::Elsewhere));
    found
}

/// All that is wrong with one file.
fn faults(path: &Path) -> Vec<Fault> {
    let bytes = match bytes(path) {
        Ok((_, bytes)) => bytes,
        Err(error) => return vec![Fault::unreadable(path, &error)],
    };
    let groups = match groups(path, &bytes) {
        Ok(groups) => groups,
        Err(error) => return error.problems(path),
    };
    let mut found = Vec::new();
    for (index, group) in groups.iter().enumerate() {
        for (target, _) in group.targets.iter().enumerate().filter(|(_, labels)| labels.get(ADDRESS).is_none()) {
            let key = format!("[{index}].targets[{target}]");
            let message = "a target is an empty text: write host:port, or remove it";
            found.push(Fault { key, ..Fault::of_file(path, "cfg_invalid_value", message) });
        }
    }
    found
}

/// The name of a file, or of a directory that cannot be listed, as a source.
pub(super) fn source(path: &Path) -> String {
    path.display().to_string()
}

pub(super) fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rosterd_testkit::Folder;

    #[test]
    fn what_is_no_file_is_not_opened() {
        let folder = Folder::new();
        assert!(matches!(stat(folder.root()), Err(FileError::NotAFile { .. })));
        assert!(stat(&folder.path("none.json")).unwrap().is_none());
        std::os::unix::fs::symlink("none", folder.path("link.json")).unwrap();
        assert!(matches!(stat(&folder.path("link.json")), Err(FileError::Read { .. })));
    }

    #[test]
    fn the_ending_decides_the_format() {
        let folder = Folder::new();
        for (name, text) in [("a.JSON", r#"[{"targets": ["a"]}]"#), ("a.yml", "- targets: [a]"), ("a.YAML", "- {}")] {
            let path = folder.write(name, text);
            let groups = read(&path).1.unwrap();
            assert_eq!(&*groups[0].source, path.display().to_string());
            assert_eq!(groups[0].labels.get(FILEPATH), path.to_str());
        }
        let path = folder.write("b.json", "- targets: [a]");
        let (stamp, result) = read(&path);
        assert!(stamp.is_some() && matches!(result, Err(FileError::Malformed { .. })));
    }
}
