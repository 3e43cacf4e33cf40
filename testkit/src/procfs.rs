//! A made-up `/proc`.

use std::os::unix::fs::symlink;
use std::path::Path;

use crate::Folder;

/// A folder that shows processes as the kernel does, as far as discovery looks.
#[derive(Debug)]
pub struct FakeProc {
    folder: Folder,
}

/// A process of a [`FakeProc`]. What is empty is not there.
#[derive(Debug, Clone)]
pub struct FakeProcess<'a> {
    /// Its number.
    pub pid: u32,
    /// When it began to run, in ticks; another program has another.
    pub started: u64,
    /// Where its program is; a thread of the kernel has none.
    pub exe: &'a str,
    /// Its folder.
    pub cwd: &'a str,
    /// Its arguments, each with a NUL behind it.
    pub cmdline: &'a str,
    /// Its user.
    pub uid: u32,
    /// Its control groups, a line each.
    pub cgroup: &'a str,
    /// The number of its network.
    pub network: u32,
    /// Its sockets.
    pub sockets: &'a [u64],
}

impl Default for FakeProcess<'_> {
    fn default() -> Self {
        Self {
            pid: 1,
            started: 100,
            exe: "/bin/program",
            cwd: "/",
            cmdline: "program\0",
            uid: 0,
            cgroup: "0::/",
            network: 1,
            sockets: &[],
        }
    }
}

impl FakeProc {
    /// One without processes.
    #[expect(clippy::new_without_default, reason = "it makes a folder")]
    pub fn new() -> Self {
        let folder = Folder::new();
        std::fs::create_dir(folder.path("proc")).expect("a new folder takes a folder");
        Self { folder }
    }

    /// Where it is.
    pub fn path(&self) -> std::path::PathBuf {
        self.folder.path("proc")
    }

    /// Shows a process, in place of one that has its number.
    ///
    /// # Panics
    ///
    /// When it cannot be written.
    pub fn show(&self, process: &FakeProcess<'_>) {
        let pid = process.pid;
        self.remove(pid);
        let write = |name: &str, text: &str| self.folder.write(&format!("proc/{pid}/{name}"), text);
        let stat = format!("{pid} (a) b) S 1{} {} 0 0 1 2 3", " 0".repeat(17), process.started);
        write("stat", &stat);
        write("cmdline", process.cmdline);
        write("status", &format!("Name:\ta\nUid:\t{}\t7\t7\t7\nGid:\t8\t8\t8\t8\n", process.uid));
        write("cgroup", process.cgroup);
        write("net/tcp", "  sl  local_address rem_address   st\n");
        let link = |name: &str, to: &str| {
            let at = self.folder.path(&format!("proc/{pid}/{name}"));
            std::fs::create_dir_all(at.parent().expect("it is below a folder")).expect("a folder takes a folder");
            symlink(to, at).expect("a folder takes a link");
        };
        for (name, to) in [("exe", process.exe), ("cwd", process.cwd)] {
            if !to.is_empty() {
                link(name, to);
            }
        }
        link("ns/net", &format!("net:[{}]", process.network));
        link("fd/0", "/dev/null");
        for (number, socket) in process.sockets.iter().enumerate() {
            link(&format!("fd/{}", number + 1), &format!("socket:[{socket}]"));
        }
    }

    /// What a process sees of the sockets of its network: lines of `net/tcp` or `net/tcp6`, each an address as the kernel prints
    /// it, a state, and the number of the socket.
    ///
    /// # Panics
    ///
    /// When it cannot be written.
    pub fn sockets(&self, pid: u32, table: &str, sockets: &[(&str, &str, u64)]) {
        let line = |(number, (local, state, socket)): (usize, &(&str, &str, u64))| {
            format!(
                "  {number}: {local} 00000000:0000 {state} 00000000:00000000 00:00000000 00000000     0        0 {socket} 1 0\n"
            )
        };
        let lines: String = sockets.iter().enumerate().map(line).collect();
        let head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";
        self.folder.write(&format!("proc/{pid}/{table}"), format!("{head}{lines}"));
    }

    /// Makes something of a process what it never is, so that it cannot be read: also by root, who may read all.
    ///
    /// # Panics
    ///
    /// When it cannot be written.
    pub fn spoil(&self, pid: u32, name: &str) {
        let at = self.folder.path(&format!("proc/{pid}/{name}"));
        let is = std::fs::symlink_metadata(&at).expect("it is there");
        if is.is_file() {
            std::fs::remove_file(&at).expect("it is there");
            std::fs::create_dir(&at).expect("a folder takes a folder");
            return;
        }
        let removed = if is.is_dir() { std::fs::remove_dir_all(&at) } else { std::fs::remove_file(&at) };
        removed.expect("it is there");
        std::fs::write(&at, "neither link nor folder").expect("a folder takes a file");
    }

    /// Takes a process away, if it is there.
    ///
    /// # Panics
    ///
    /// When it cannot be removed.
    pub fn remove(&self, pid: u32) {
        let at = self.folder.path(&format!("proc/{pid}"));
        if at.exists() {
            std::fs::remove_dir_all(at).expect("a folder that was made can be removed");
        }
    }

    /// Takes all away, the folder too, or puts an empty one there.
    ///
    /// # Panics
    ///
    /// When it cannot be.
    pub fn mounted(&self, mounted: bool) {
        let at: &Path = &self.path();
        let done = if mounted { std::fs::create_dir_all(at) } else { std::fs::remove_dir_all(at) };
        done.expect("a folder that was made can be removed");
    }
}
