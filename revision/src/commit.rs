//! Finds the commit of a folder without asking git, which need not be there.

use std::path::{Path, PathBuf};

/// What `git archive` fills in where `.gitattributes` says so.
const ARCHIVE: &str = "archive.txt";
/// What `cargo package` adds.
const PACKAGE: &str = ".cargo_vcs_info.json";

/// What a folder says about its commit, and the files that say something else at another one.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Commit {
    pub(crate) revision: Option<String>,
    pub(crate) branch: Option<String>,
    pub(crate) files: Vec<PathBuf>,
}

impl Commit {
    pub(crate) fn at(folder: &Path) -> Self {
        checkout(folder).or_else(|| archive(folder)).or_else(|| package(folder)).unwrap_or_default()
    }
}

/// A git checkout: `.git` is its folder, or says where it is.
fn checkout(folder: &Path) -> Option<Commit> {
    let mut git = folder.join(".git");
    if let Some(text) = read(&git) {
        git = folder.join(text.strip_prefix("gitdir:")?.trim());
    }
    // Branches of a worktree stand with those of the others.
    let common = read(&git.join("commondir")).map_or_else(|| git.clone(), |text| git.join(text.trim()));
    let head = read(&git.join("HEAD"))?;
    // The second changes with each commit, also where a branch has no file of its own yet.
    let mut files: Vec<_> = ["HEAD", "logs/HEAD"].map(|name| git.join(name)).into();
    let Some(branch) = head.trim().strip_prefix("ref: ") else {
        files.retain(|file| file.is_file());
        return Some(Commit { revision: hash(&head), branch: None, files });
    };
    let (loose, packed) = (common.join(branch), common.join("packed-refs"));
    let revision = read(&loose).as_deref().and_then(hash).or_else(|| {
        let text = read(&packed)?;
        let line = text.lines().find(|line| line.split_once(' ').is_some_and(|(_, name)| name == branch))?;
        hash(line)
    });
    files.extend([loose, packed]);
    files.retain(|file| file.is_file());
    Some(Commit { revision, branch: branch.strip_prefix("refs/heads/").map(str::to_owned), files })
}

/// An archive: the commit, and the names that it had, such as `HEAD -> main, tag: v1`.
fn archive(folder: &Path) -> Option<Commit> {
    let text = read(&folder.join(ARCHIVE))?;
    let (revision, names) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
    let branch = names.split(", ").find_map(|name| name.strip_prefix("HEAD -> ")).map(str::to_owned);
    Some(Commit { revision: Some(hash(revision)?), branch, files: Vec::new() })
}

fn package(folder: &Path) -> Option<Commit> {
    let text = read(&folder.join(PACKAGE))?;
    let (_, after) = text.split_once("\"sha1\"")?;
    Some(Commit { revision: Some(hash(after.trim_start_matches([' ', ':', '"']))?), ..Commit::default() })
}

/// The hash that a text begins with.
fn hash(text: &str) -> Option<String> {
    let end = text.find(|it: char| !it.is_ascii_hexdigit()).unwrap_or(text.len());
    (end >= 40).then(|| text[..end].to_owned())
}

fn read(path: &Path) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const ONE: &str = "0123456789abcdef0123456789abcdef01234567";
    const TWO: &str = "89abcdef0123456789abcdef0123456789abcdef";

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().expect("it is in a folder")).expect("made");
            fs::write(path, text).expect("written");
        }
        folder
    }

    /// Commit, branch, and the names of the files to be looked at.
    fn found(at: &Path) -> (String, String, Vec<String>) {
        let Commit { revision, branch, files } = Commit::at(at);
        let name = |path: PathBuf| path.file_name().expect("it has a name").to_string_lossy().into_owned();
        (revision.unwrap_or_default(), branch.unwrap_or_default(), files.into_iter().map(name).collect())
    }

    fn known(revision: &str, branch: &str, files: &[&str]) -> (String, String, Vec<String>) {
        (revision.to_owned(), branch.to_owned(), files.iter().map(|&name| name.to_owned()).collect())
    }

    #[test]
    fn a_checkout_is_read_whatever_its_form() {
        let head = (".git/HEAD", "ref: refs/heads/a/b\n");
        let log = (".git/logs/HEAD", "x");
        let packed = format!("# pack-refs\n{ONE} refs/heads/a/bc\n{TWO} refs/heads/a/b\n");
        let loose = format!("{ONE}\n");
        let of_branch = folder(&[head, log, (".git/refs/heads/a/b", &loose), (".git/packed-refs", &packed)]);
        assert_eq!(found(of_branch.path()), known(ONE, "a/b", &["HEAD", "HEAD", "b", "packed-refs"]));
        let of_packed = folder(&[head, log, (".git/packed-refs", &packed)]);
        assert_eq!(found(of_packed.path()), known(TWO, "a/b", &["HEAD", "HEAD", "packed-refs"]));
        let detached = folder(&[(".git/HEAD", &loose)]);
        assert_eq!(found(detached.path()), known(ONE, "", &["HEAD"]));
        let empty = folder(&[head]);
        assert_eq!(found(empty.path()), known("", "a/b", &["HEAD"]));
        let worktree = folder(&[
            ("tree/.git", "gitdir: ../main/.git/worktrees/tree\n"),
            ("main/.git/worktrees/tree/HEAD", "ref: refs/heads/w\n"),
            ("main/.git/worktrees/tree/commondir", "../..\n"),
            ("main/.git/refs/heads/w", &loose),
        ]);
        assert_eq!(found(&worktree.path().join("tree")), known(ONE, "w", &["HEAD", "w"]));
    }

    #[test]
    fn without_a_checkout_an_archive_or_a_package_says_it() {
        let archive = folder(&[("archive.txt", &format!("{ONE} HEAD -> main, tag: v1\n"))]);
        assert_eq!(found(archive.path()), known(ONE, "main", &[]));
        let of_tag = folder(&[("archive.txt", &format!("{ONE} tag: v1\n"))]);
        assert_eq!(found(of_tag.path()), known(ONE, "", &[]));
        let unfilled = ("archive.txt", "$Format:%H %D$\n");
        let info = format!("{{\n  \"git\": {{\n    \"sha1\": \"{TWO}\"\n  }}\n}}");
        let package = folder(&[unfilled, (".cargo_vcs_info.json", &info)]);
        assert_eq!(found(package.path()), known(TWO, "", &[]));
        assert_eq!(found(folder(&[unfilled]).path()), known("", "", &[]));
    }
}
