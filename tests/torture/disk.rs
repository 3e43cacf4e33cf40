//! A small disk of its own: a tmpfs that a test can fill, free, and make read-only. It is mounted in a space of mounts that lives as
//! long as a process there, and is used through `/proc`: whatever becomes of the test, nothing of it is left.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rosterd_testkit::{Folder, need, skipped};

/// How large it is.
const SIZE: usize = 24 << 20;
/// What fills it.
const BALLAST: &str = "ballast";
/// How much is written at once.
const CHUNK: usize = 64 << 10;

/// See the module.
pub(crate) struct Disk {
    keeper: Child,
    /// Where it is mounted, as its own space sees it.
    mounted: Folder,
    /// The same for all others.
    path: PathBuf,
    /// Something is mounted over it that cannot be written.
    covered: bool,
    is_read_only: bool,
    is_full: bool,
}

impl Disk {
    /// Mounts a new one; `None`, with a line that says so, where this process may not. In CI root may.
    #[expect(clippy::disallowed_methods, reason = "CI says so by the environment")]
    pub(crate) fn mount() -> Option<Self> {
        let mounted = Folder::new();
        // It ends when its input does.
        let script = format!(
            "mount --no-mtab -t tmpfs -o size={SIZE},mode=700 tmpfs \"$0\" && mkdir \"$0\"/disk && echo mounted && exec cat"
        );
        let mut command = Command::new(need("unshare", "util-linux"));
        if !is_root() {
            command.arg("--map-root-user");
        }
        command.args(["--mount", "sh", "-c", &script]).arg(mounted.root());
        let mut keeper = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("unshare can be run");
        let mut told = String::new();
        let output = keeper.stdout.take().expect("it is piped");
        BufReader::new(output).read_line(&mut told).expect("a pipe can be read");
        if told.trim() != "mounted" {
            keeper.kill().ok();
            keeper.wait().expect("a child can be waited for");
            assert!(std::env::var_os("CI").is_none() || !is_root(), "CI has to be able to mount");
            skipped("no disk that is full or read-only, as nothing can be mounted here");
            return None;
        }
        let inside = mounted.path("disk");
        let path = Path::new("/proc").join(keeper.id().to_string()).join("root");
        let path = path.join(inside.strip_prefix("/").expect("temporary folders have a full path"));
        Some(Self { keeper, mounted, path, covered: false, is_read_only: false, is_full: false })
    }

    /// A folder on it.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether all of it can be used.
    pub(crate) fn is_well(&self) -> bool {
        !self.is_full && !self.is_read_only
    }

    /// Fills all that is left.
    pub(crate) fn full(&mut self) {
        self.tight(0);
    }

    /// Fills all that is left but for this many bytes.
    pub(crate) fn tight(&mut self, left: usize) {
        if self.is_read_only {
            return;
        }
        self.is_full = true;
        let reserve = self.path.with_file_name("reserve");
        // There may be less than that.
        std::fs::write(&reserve, vec![1; left]).ok();
        let ballast = self.path.with_file_name(BALLAST);
        let mut ballast = File::options().create(true).append(true).open(ballast).expect("a file takes no room");
        let chunk = vec![1; CHUNK];
        while ballast.write(&chunk).is_ok_and(|written| written > 0) {}
        std::fs::remove_file(reserve).ok();
    }

    /// Takes no writes any more. What is open for writing while this is called goes on, as Linux would refuse it otherwise.
    pub(crate) fn read_only(&mut self) {
        if !std::mem::replace(&mut self.is_read_only, true) && self.mounts("remount,ro", false).is_err() {
            self.covered = true;
            let bound = self.mounts("bind", true).and_then(|()| self.mounts("remount,bind,ro", false));
            bound.expect("a mount can be bound");
        }
    }

    /// Can be used again.
    pub(crate) fn works(&mut self) {
        if std::mem::take(&mut self.is_read_only) {
            let works = match std::mem::take(&mut self.covered) {
                true => self.run("umount", &["--lazy"]),
                false => self.mounts("remount,rw", false),
            };
            works.expect("it was mounted before");
        }
        if std::mem::take(&mut self.is_full) {
            // It may never have come to be.
            std::fs::remove_file(self.path.with_file_name(BALLAST)).ok();
        }
    }

    fn mounts(&self, options: &str, over: bool) -> Result<(), String> {
        let at = self.mounted.root().display().to_string();
        // Nothing of it is noted in files of the machine, which others of these tests share.
        let options = ["--no-mtab", "-o", options];
        if over { self.run("mount", &[&options[..], &[&at]].concat()) } else { self.run("mount", &options) }
    }

    /// Runs a command in its space, for where it is mounted. Returns what it says where it did not work.
    fn run(&self, program: &str, arguments: &[&str]) -> Result<(), String> {
        let mut command = Command::new(need("nsenter", "util-linux"));
        command.args(["--target", &self.keeper.id().to_string(), "--mount"]);
        if !is_root() {
            command.args(["--user", "--preserve-credentials"]);
        }
        let output =
            command.arg(program).args(arguments).arg(self.mounted.root()).output().expect("nsenter can be run");
        if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.keeper.kill().ok();
        self.keeper.wait().ok();
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::*;

    #[test]
    fn a_disk_is_full_or_read_only_as_long_as_it_is_told_to() {
        let Some(mut disk) = Disk::mount() else { return };
        let file = disk.path().join("a");
        let write = |bytes| std::fs::write(&file, vec![0; bytes]).map_err(|error| error.kind());
        assert_eq!(write(CHUNK), Ok(()));
        disk.full();
        assert_eq!((write(CHUNK + 1), disk.is_well()), (Err(ErrorKind::StorageFull), false));
        disk.works();
        assert_eq!((write(CHUNK), disk.is_well()), (Ok(()), true));
        disk.tight(CHUNK);
        assert_eq!(write(3 * CHUNK), Err(ErrorKind::StorageFull));
        disk.works();
        let mut open = File::options().append(true).open(&file).unwrap();
        for is_open in [true, false] {
            disk.read_only();
            assert_eq!(write(1), Err(ErrorKind::ReadOnlyFilesystem));
            if is_open {
                open.write_all(b"it goes on").unwrap();
                open = File::open("/dev/null").unwrap();
            }
            disk.works();
            assert_eq!(write(1), Ok(()));
        }
        let path = disk.path().to_owned();
        drop(disk);
        assert!(!path.exists());
    }
}
