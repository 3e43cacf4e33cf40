//! One file: whether it changed since it was read, and the groups in it. Blocking.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use rosterd_model::{Problem, TargetGroup, in_words};
use rosterd_tasks::files::{self, Stamp};
use rosterd_tasks::watch;
use rosterd_yaml::Problem as Fault;

use super::FileError;
use rosterd_discovery::Finding;
use rosterd_discovery::decode::{DecodeError, KEPT_WHOLE, json_groups, json_groups_from, yaml_groups};

/// What a file may hold: some million targets. One beyond it is more likely a mistake than a list,
const LARGEST: u64 = 512 << 20;
/// and in YAML, which is read as a whole and takes many times its size meanwhile, it has less.
const LARGEST_YAML: u64 = 64 << 20;
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

/// What a file holds.
#[derive(Debug)]
pub(super) enum Content {
    /// A list of groups, which may be empty.
    Groups(Vec<TargetGroup>),
    /// Nothing but blanks and comments, which is no group in YAML. A file that is being written begins so.
    Blank,
}

/// The content of a file, and its state when it was opened. The state is there even if the content is no good.
pub(super) fn read(path: &Path) -> (Option<Stamp>, Result<Content, FileError>) {
    let opened = files::open(path).and_then(|file| Ok((file.metadata()?, file)));
    let (found, file) = match opened {
        Ok(opened) => opened,
        Err(source) => return (None, Err(FileError::Read { path: path.to_owned(), source })),
    };
    match content(path, file, found.len()) {
        Err(error @ FileError::Read { .. }) => (None, Err(error)),
        content => (Some(Stamp::of(&found)), content),
    }
}

fn content(path: &Path, file: File, size: u64) -> Result<Content, FileError> {
    let is_json = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("json"));
    let limit = if is_json { LARGEST } else { LARGEST_YAML };
    if size > limit {
        return Err(FileError::TooLarge { path: path.to_owned(), limit });
    }
    let unreadable = |source| FileError::Read { path: path.to_owned(), source };
    let malformed = |source: DecodeError| FileError::Malformed { path: path.to_owned(), source };
    let source = source(path);
    let extra = [(FILEPATH, &*source)];
    // It may grow meanwhile.
    let mut file = file.take(limit);
    if is_json && size > KEPT_WHOLE as u64 {
        let read = json_groups_from(file, &source, &extra).map_err(unreadable)?;
        return read.map(Content::Groups).map_err(malformed);
    }
    let mut bytes = Vec::with_capacity(size.try_into().unwrap_or_default());
    file.read_to_end(&mut bytes).map_err(unreadable)?;
    if is_json {
        return json_groups(&bytes, &source, &extra).map(Content::Groups).map_err(malformed);
    }
    let groups = yaml_groups(&bytes, &source, &extra).map_err(malformed)?;
    Ok(if groups.is_empty() && is_blank(&bytes) { Content::Blank } else { Content::Groups(groups) })
}

/// Whether there is nothing in a text but blanks, comments and the beginning of a document.
fn is_blank(text: &[u8]) -> bool {
    let mut lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    lines.all(|line| line.is_empty() || line.starts_with(b"#") || line == b"---")
}

/// What is wrong with the files that a pattern stands for now; `key` is where it stands in the configuration.
pub(super) fn examine(key: &str, pattern: &Path) -> Vec<Finding> {
    let expansion = watch::expand(&[pattern.to_owned()]);
    let mut found: Vec<_> = expansion
        .unreadable
        .iter()
        .map(|(path, error)| {
            let message = format!("cannot look into {}: {}", path.display(), in_words(error));
            Finding::Missing(Problem::new(key, "cfg_unreadable", message))
        })
        .collect();
    if expansion.files.is_empty() && found.is_empty() {
        let shown = pattern.display().to_string();
        // The path of one was put in order.
        let message = match shown.contains(":/") {
            true => "a URL is no file: write http_sd_configs for a list behind one".to_owned(),
            false => format!("there is no file {shown} at the moment"),
        };
        found.push(Finding::Idle(Problem::new(key, "cfg_no_file", message)));
    }
    found.extend(expansion.files.iter().flat_map(|file| examine_file(file)));
    found
}

/// All that is wrong with one file, or the groups in it.
fn examine_file(path: &Path) -> Vec<Finding> {
    let faults = match read(path).1 {
        Ok(Content::Groups(groups)) => return vec![Finding::Groups { file: Some(path.to_owned()), groups }],
        Ok(Content::Blank) => Vec::new(),
        Err(FileError::Read { source, .. }) => vec![Fault::unreadable(path, &source)],
        Err(FileError::Malformed { source, .. }) => source.problems(path),
        Err(error) => vec![Fault::of_file(path, "cfg_invalid_value", error.to_string())],
    };
    faults.into_iter().map(Finding::Elsewhere).collect()
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
            let Ok(Content::Groups(groups)) = read(&path).1 else { panic!("{name} holds a list") };
            assert_eq!(&*groups[0].source, path.display().to_string());
            assert_eq!(groups[0].labels.get(FILEPATH), path.to_str());
        }
        let path = folder.write("b.json", "- targets: [a]");
        let (stamp, result) = read(&path);
        assert!(stamp.is_some() && matches!(result, Err(FileError::Malformed { .. })));
    }

    #[test]
    fn a_file_beyond_its_limit_is_not_read_and_a_long_one_in_pieces() {
        let folder = Folder::new();
        for (name, size) in [("a.json", LARGEST + 1), ("a.yml", LARGEST_YAML + 1)] {
            let path = folder.write(name, "[]");
            File::options().write(true).open(&path).unwrap().set_len(size).unwrap();
            let (stamp, result) = read(&path);
            assert!(stamp.is_some() && matches!(result, Err(FileError::TooLarge { .. })), "{name}");
        }
        let path = folder.write("long.json", format!("{}[{{\"targets\": [\"a:1\"]}}]", " ".repeat(KEPT_WHOLE)));
        let Ok(Content::Groups(groups)) = read(&path).1 else { panic!("it holds a list") };
        assert_eq!(groups[0].labels.get(FILEPATH), path.to_str());
    }

    #[test]
    fn an_empty_list_is_told_from_a_file_that_says_nothing() {
        let folder = Folder::new();
        for (text, blank) in [
            ("", true),
            (" \n\n", true),
            ("# written by a script\n---\n\n", true),
            ("[]", false),
            ("# none\n[]\n", false),
            ("null", false),
        ] {
            let content = read(&folder.write("a.yml", text)).1.unwrap();
            assert_eq!(matches!(content, Content::Blank), blank, "{text:?}");
        }
    }
}
