//! The sources of the workspace, as text: what stands in string literals outside tests.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The root of the workspace.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files below a folder whose name ends so, sorted.
pub(crate) fn files(folder: impl AsRef<Path>, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        for path in entries.map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.to_str().unwrap().ends_with(ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// A file of the workspace.
pub(crate) fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The sources of the crates that make up rosterd, without tests and comments, by path.
pub(crate) fn sources() -> BTreeMap<PathBuf, String> {
    let crates = [
        "model",
        "yaml",
        "tasks",
        "client",
        "sign",
        "credentials",
        "engine",
        "rest",
        "config",
        "exposition",
        "ship",
        "scrape",
        "journal",
        "resident",
        "",
    ];
    let folders = crates.iter().map(|name| Path::new(name).join("src")).chain(discovery());
    let paths = folders.flat_map(|folder| files(folder, ".rs"));
    let paths = paths.filter(|path| !path.iter().any(|part| part.to_str().unwrap().starts_with("tests")));
    paths.map(|path| (path.clone(), without_tests(&read(&path)))).collect()
}

/// The sources of discovery itself and of each mechanism.
fn discovery() -> impl Iterator<Item = PathBuf> {
    let entries = std::fs::read_dir(root().join("discovery")).expect("discovery has a folder");
    let mechanisms = entries.map(|entry| entry.unwrap().path().join("src")).filter(|sources| sources.is_dir());
    mechanisms.chain([PathBuf::from("discovery/src")])
}

/// Tests stand at the end of a file.
fn without_tests(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.map(|line| format!("{line}\n")).collect()
}

/// The string literals of a text that stand in one line each.
pub(crate) fn literals(text: &str) -> BTreeSet<&str> {
    text.lines().flat_map(|line| line.split('"').skip(1).step_by(2)).collect()
}

/// Whether a literal could be an identifier such as a code or the name of a metric.
pub(crate) fn is_word(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    text.contains('_') && !text.ends_with('_') && text.bytes().all(word)
}
