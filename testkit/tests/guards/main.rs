//! Guards: rules of this workspace that hold for its sources, and that neither the compiler nor clippy looks after.

#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests too")]

mod contexts; // contexts of the agent know each other in one direction only
mod leak_checks; // async tests run under the leak checker
mod supervision; // a panic in whatever is spawned is seen

use std::fs;
use std::path::{Path, PathBuf};

/// Folders in which nothing is looked at by any guard.
const SKIPPED: [&str; 3] = ["target", "benches", "fuzz"];

/// The lines of all sources that break a rule, with their files. Folders of the names in `skipped` are left out; `violations` gets
/// the path below the workspace and the text. `known` is a file that must be among them: that the sources are where they were.
fn broken(skipped: &[&str], known: &str, violations: impl Fn(&Path, &str) -> Vec<usize>) -> Vec<String> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut files = Vec::new();
    sources(workspace, skipped, &mut files);
    assert!(files.iter().any(|file| file.ends_with(known)), "the sources are not where they were");
    let mut found = Vec::new();
    for file in files {
        let name = file.strip_prefix(workspace).unwrap();
        let text = fs::read_to_string(&file).unwrap();
        found.extend(violations(name, &text).iter().map(|line| format!("{}:{line}", name.display())));
    }
    found
}

fn sources(folder: &Path, skipped: &[&str], found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the sources can be read") {
        let path = entry.expect("the sources can be read").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let is_skipped = name.starts_with('.') || SKIPPED.contains(&&*name) || skipped.contains(&&*name);
        if path.is_dir() && !is_skipped {
            sources(&path, skipped, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Whether a line, without its indentation, excuses the one after it: the marker, and a reason.
fn excuses(line: &str, marker: &str) -> bool {
    line.strip_prefix(marker).is_some_and(|reason| !reason.trim().is_empty())
}

/// Whether all of a file is test code: `tests.rs`, and what is below a folder `tests`.
fn is_test_file(path: &Path) -> bool {
    path.components().any(|part| part.as_os_str() == "tests") || path.ends_with("tests.rs")
}
