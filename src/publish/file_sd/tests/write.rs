//! On real folders, with a disk that fails, and with a process that is killed between two steps.

use std::fs;
use std::io::{self, BufRead, BufReader as Lines, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use bytes::Bytes;
use rosterd_model::{Coded, Retry};
use rosterd_testkit::Folder;

use crate::publish::file_sd::write::*;

fn pieces(text: &'static [&'static str]) -> impl Iterator<Item = Bytes> {
    text.iter().map(|piece| Bytes::from_static(piece.as_bytes()))
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = entries.collect();
    names.sort();
    names
}

#[test]
fn a_file_is_made_with_the_folders_above_it() {
    let folder = Folder::new();
    let path = folder.path("new/sub/targets.json");
    replace(&RealDisk, &path, pieces(&["[", "]"])).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "[]");
    assert_eq!(names(path.parent().unwrap()), ["targets.json"]);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o133, 0, "nobody else may write");
    replace(&RealDisk, &path, pieces(&[])).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "");
}

#[test]
fn permissions_and_symbolic_links_stay() {
    let folder = Folder::new();
    let (real, link) = (folder.write("real.json", "old"), folder.path("link.json"));
    fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
    symlink(&real, &link).unwrap();
    replace(&RealDisk, &link, pieces(&["new"])).unwrap();
    assert_eq!(fs::read_to_string(&real).unwrap(), "new");
    assert_eq!(fs::metadata(&real).unwrap().mode() & 0o777, 0o640);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
}

#[test]
fn a_name_may_be_as_long_as_the_file_system_takes_it() {
    let folder = Folder::new();
    for length in [236, 243, 244, 255] {
        let path = folder.path(&"n".repeat(length));
        replace(&RealDisk, &path, pieces(&["x"])).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "x", "{length}");
    }
    assert_eq!(names(folder.root()).len(), 4, "no temporary file is left");
}

#[test]
fn a_folder_is_refused_for_good() {
    let folder = Folder::new();
    let error = replace(&RealDisk, folder.root(), pieces(&["x"])).expect_err("it is a folder");
    assert_eq!((error.code(), error.retry()), ("publish_path_is_folder", Retry::Never));
    let below = folder.write("file", "").join("sub/targets.json");
    let error = replace(&RealDisk, &below, pieces(&["x"])).expect_err("a file is no folder");
    assert_eq!((error.code(), error.retry()), ("publish_folder_failed", Retry::Backoff));
    assert!(error.to_string().contains(&format!("{} is a file", folder.path("file").display())), "{error}");
}

#[test]
fn what_is_no_file_is_neither_waited_for_nor_replaced() {
    let folder = Folder::new();
    let path = folder.named_pipe("targets.json");
    is_content(&path, pieces(&[])).expect_err("it is a pipe");
    let error = replace(&RealDisk, &path, pieces(&["x"])).expect_err("it is a pipe");
    assert_eq!((error.code(), error.retry()), ("publish_path_in_use", Retry::Backoff));
    assert!(error.to_string().contains("is a named pipe, not a file"), "{error}");
    fs::remove_file(&path).unwrap();
    replace(&RealDisk, &path, pieces(&["x"])).unwrap();
}

#[test]
fn owner_and_group_stay_where_the_system_lets_rosterd_give_files_away() {
    let folder = Folder::new();
    let path = folder.write("f.json", "[]");
    // Only root may: for others the file is theirs already.
    let given = std::os::unix::fs::chown(&path, Some(1000), Some(33)).is_ok();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let of = |found: fs::Metadata| (found.uid(), found.gid(), found.permissions().mode() & 0o777);
    let before = of(fs::metadata(&path).unwrap());
    assert!(!given || before == (1000, 33, 0o640), "{before:?}");
    replace(&RealDisk, &path, pieces(&["[1]"])).unwrap();
    assert_eq!(of(fs::metadata(&path).unwrap()), before);
    assert_eq!(folder.read("f.json"), "[1]");
}

#[test]
fn permissions_that_let_nobody_read_do_not_stay() {
    let folder = Folder::new();
    let path = folder.write("targets.json", "old");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o200)).unwrap();
    assert!(is_unreadable(&path));
    replace(&RealDisk, &path, pieces(&["new"])).unwrap();
    assert!(!is_unreadable(&path) && !is_unreadable(&folder.path("missing")));
}

/// A disk that is full after a piece, or cannot rename.
struct Broken(&'static str);

impl Disk for Broken {
    fn write(&self, file: &mut dyn Write, piece: &[u8]) -> io::Result<()> {
        file.write_all(piece)?;
        if self.0 == "write" { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn rename(&self, _: &Path, _: &Path) -> io::Result<()> {
        Err(io::ErrorKind::PermissionDenied.into())
    }
}

#[test]
fn a_failure_names_the_file_and_leaves_the_old_one() {
    for (broken, code) in [("write", "publish_disk_full"), ("rename", "publish_write_failed")] {
        let folder = Folder::new();
        let path = folder.write("targets.json", "old");
        let error = replace(&Broken(broken), &path, pieces(&["new"])).expect_err("the disk is broken");
        assert_eq!((error.code(), error.retry()), (code, Retry::Backoff));
        assert!(error.to_string().ends_with("targets.json: the old file stays"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(names(folder.root()), ["targets.json"]);
        let error = replace(&Broken(broken), &folder.path("new.json"), pieces(&["new"])).expect_err("as before");
        assert!(error.to_string().ends_with("new.json: there was no file before, and there is none now"), "{error}");
    }
}

#[test]
fn a_folder_that_nobody_may_look_into_is_named() {
    let folder = Folder::new();
    let (hidden, path) = (folder.path("hidden"), folder.path("hidden/a/b/targets.json"));
    fs::create_dir(&hidden).unwrap();
    fs::set_permissions(&hidden, fs::Permissions::from_mode(0o000)).unwrap();
    let written = replace(&RealDisk, &path, pieces(&["x"]));
    fs::set_permissions(&hidden, fs::Permissions::from_mode(0o700)).unwrap();
    // Root may look anywhere.
    let Err(error) = written else { return };
    let (above, below) = (hidden.display(), path.parent().unwrap().display());
    assert_eq!(error.code(), "publish_folder_failed");
    assert_eq!(error.to_string(), format!("cannot look into {above}, which is above the folder {below}"));
}

#[test]
fn content_is_compared_whole() {
    let folder = Folder::new();
    let path = folder.write("x", "abcdef");
    assert!(is_content(&path, pieces(&["abc", "", "def"])).unwrap());
    for other in [&["abc", "deX"][..], &["abc"], &["abcdef", "g"], &[]] {
        let other = other.iter().map(|piece| Bytes::copy_from_slice(piece.as_bytes()));
        assert!(!is_content(&path, other).unwrap());
    }
    assert!(!is_content(&folder.path("missing"), pieces(&[])).unwrap());
    is_content(folder.root(), pieces(&[])).expect_err("what cannot be read is not other content");
    symlink("loop", folder.path("loop")).unwrap();
    is_content(&folder.path("loop"), pieces(&[])).expect_err("it leads nowhere");
}

/// Tells the child where to write. It is set for the child alone.
const FILE: &str = "ROSTERD_TEST_FILE";

/// Says when it is about to rename, and never does.
struct Hanging;

impl Disk for Hanging {
    fn rename(&self, _: &Path, _: &Path) -> io::Result<()> {
        writeln!(io::stderr(), "about to rename")?;
        loop {
            std::thread::park();
        }
    }
}

#[test]
#[ignore = "the process that the test below kills"]
#[expect(clippy::disallowed_methods, reason = "the test tells its child process what to do")]
fn child_that_hangs_before_the_rename() {
    let Some(path) = std::env::var_os(FILE) else { return };
    replace(&Hanging, Path::new(&path), pieces(&["half", "way"])).unwrap();
}

#[test]
fn a_process_killed_before_the_rename_leaves_the_old_file() {
    let folder = Folder::new();
    let path = folder.write("targets.json", "old");
    let name = concat!(module_path!(), "::child_that_hangs_before_the_rename");
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name.split_once("::").unwrap().1, "--ignored", "--nocapture"])
        .env(FILE, &path)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = Lines::new(child.stderr.take().unwrap()).lines();
    assert_eq!(output.next().unwrap().unwrap(), "about to rename");
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "old");
    assert_eq!(names(folder.root()).len(), 2, "the temporary file was left");
    replace(&RealDisk, &path, pieces(&["new"])).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "new");
    assert_eq!(names(folder.root()), ["targets.json"]);
}
