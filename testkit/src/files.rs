//! Files for tests: fixtures of the workspace, and folders that vanish with the test.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// The path of a file below `testdata/` of the workspace (of the package, when it is in none).
#[expect(clippy::disallowed_methods, reason = "cargo tells tests where they are")]
pub fn testdata(path: &str) -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from("."), PathBuf::from);
    let is_workspace = |folder: &&Path| {
        std::fs::read_to_string(folder.join("Cargo.toml"))
            .is_ok_and(|text| text.lines().any(|line| line == "[workspace]"))
    };
    package.ancestors().find(is_workspace).unwrap_or(&package).join("testdata").join(path)
}

/// The content of a file below `testdata/`.
///
/// # Panics
///
/// When it cannot be read.
pub fn fixture(path: &str) -> String {
    read(&testdata(path))
}

/// A new folder, removed with all it holds when it is dropped.
///
/// ```
/// let folder = rosterd_testkit::Folder::new();
/// let file = folder.write("targets/a.json", "[]");
/// folder.replace("targets/a.json", r#"[{"targets": ["a:9100"]}]"#);
/// assert!(std::fs::read_to_string(file)?.contains("a:9100"));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Folder(TempDir);

impl Default for Folder {
    fn default() -> Self {
        Self::new()
    }
}

impl Folder {
    /// Creates the folder.
    pub fn new() -> Self {
        Self(TempDir::with_prefix("rosterd-test-").expect("the folder for temporary files is writable"))
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        self.0.path()
    }

    /// A path in the folder; an empty one is the folder itself.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root().join(name)
    }

    /// Writes a file in place, with the folders above it, and returns its path.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        let parent = path.parent().expect("a file is in a folder");
        std::fs::create_dir_all(parent).unwrap_or_else(|error| panic!("cannot create {}: {error}", parent.display()));
        std::fs::write(&path, content).unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
        path
    }

    /// Makes a named pipe, and returns its path.
    pub fn named_pipe(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0)
            .unwrap_or_else(|error| panic!("cannot make the pipe {}: {error}", path.display()));
        path
    }

    /// Replaces a file at once by renaming another over it, as careful programs do.
    pub fn replace(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        let new = self.write(&format!("{name}.new"), content);
        std::fs::rename(&new, &path).unwrap_or_else(|error| panic!("cannot rename {}: {error}", new.display()));
        path
    }

    /// Removes a file.
    pub fn remove(&self, name: &str) {
        let path = self.path(name);
        std::fs::remove_file(&path).unwrap_or_else(|error| panic!("cannot remove {}: {error}", path.display()));
    }

    /// The content of a file.
    pub fn read(&self, name: &str) -> String {
        read(&self.path(name))
    }
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()))
}
