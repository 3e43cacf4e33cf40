//! A Docker daemon of the test's own, with its data in a temporary folder.

use std::path::{Path, PathBuf};
use std::process::Command;

use rosterd_testkit::{Folder, Process, eventually, need, patience, skipped};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

/// Where control groups are.
const CONTROL_GROUPS: &str = "/sys/fs/cgroup";

/// Whether a daemon can run here. CI has to be able to.
#[expect(clippy::disallowed_methods, reason = "CI says so by the environment")]
pub(crate) fn is_possible() -> bool {
    let possible = rustix::process::geteuid().is_root();
    assert!(possible || std::env::var_os("CI").is_none(), "CI has to run this as root");
    if !possible {
        skipped("a Docker daemon needs root");
    }
    possible
}

/// What a command prints; it has to succeed.
pub(crate) fn output(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (printed, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}\n{printed}{errors}");
    printed.into_owned() + &errors
}

/// A running daemon, in a space of processes and mounts of its own: what it started, containers and their shims, ends with it, also
/// when a test panics, and no mount outlives it.
pub(crate) struct Daemon {
    process: Process,
    folder: Folder,
    network: Network,
}

/// The network that its containers are started from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Network {
    /// That of this machine.
    Machine,
    /// One of its own, which goes with it: nothing of what is made there is seen from here, and no port is taken.
    Own,
}

impl Daemon {
    pub(crate) async fn start(network: Network) -> Self {
        let folder = Folder::new();
        let process = Process::start("dockerd", &mut command(&folder, network));
        let mut daemon = Self { process, folder, network };
        daemon.wait().await;
        daemon
    }

    /// Ends the daemon, and its containers with it.
    pub(crate) async fn halt(&mut self) {
        self.signal(Signal::TERM);
        self.process.wait().await;
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        if let Some(daemon) = self.pid() {
            // It may have ended already.
            kill_process(daemon, signal).ok();
        }
    }

    /// Its process number, as seen from here: the first process of its space, and the only child of what made that.
    fn pid(&self) -> Option<Pid> {
        let maker = self.process.id();
        let children = std::fs::read_to_string(format!("/proc/{maker}/task/{maker}/children")).ok()?;
        Pid::from_raw(children.split_whitespace().next()?.parse().ok()?)
    }

    /// Starts it again, with what it had stored.
    pub(crate) async fn resume(&mut self) {
        self.process = Process::start("dockerd", &mut command(&self.folder, self.network));
        self.wait().await;
    }

    async fn wait(&mut self) {
        let Self { process, folder, .. } = self;
        eventually(patience(), "the Docker daemon answers", || {
            assert!(process.exited().is_none(), "no Docker daemon can run here:\n{}", process.log());
            docker(folder).arg("version").output().is_ok_and(|output| output.status.success())
        })
        .await;
    }

    /// Where it is, as `host` says it.
    pub(crate) fn host(&self) -> String {
        format!("unix://{}", self.folder.path("socket").display())
    }

    /// Runs a command of the client, which has to succeed.
    pub(crate) fn docker(&self, arguments: &[&str]) -> String {
        output(docker(&self.folder).args(arguments))
    }

    /// Whether a command of the client succeeds.
    pub(crate) fn succeeds(&self, arguments: &[&str]) -> bool {
        docker(&self.folder).args(arguments).output().is_ok_and(|output| output.status.success())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some(daemon) = self.pid()
            && let Ok(process) = pidfd_open(daemon, PidfdFlags::empty())
        {
            self.signal(Signal::KILL);
            // It has ended when all in its space have, and then the folder can be removed.
            let longest = Timespec { tv_sec: 60, tv_nsec: 0 };
            poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&longest)).ok();
        }
        for group in control_groups(self.folder.root()) {
            // Files are no groups.
            entries(&group).iter().for_each(|container| drop(std::fs::remove_dir(container)));
            std::fs::remove_dir(group).ok();
        }
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

/// The name of the control group of all containers of a daemon with this folder.
fn control_group(folder: &Path) -> String {
    let name = folder.file_name().expect("a temporary folder has a name").to_string_lossy();
    format!("rosterd-test-{}", name.trim_start_matches('.'))
}

/// Where it is: one in each hierarchy, while there are any.
pub(crate) fn control_groups(folder: &Path) -> Vec<PathBuf> {
    let all = Path::new(CONTROL_GROUPS);
    let groups =
        entries(all).into_iter().chain([all.to_owned()]).map(|hierarchy| hierarchy.join(control_group(folder)));
    groups.filter(|group| group.is_dir()).collect()
}

fn command(folder: &Folder, network: Network) -> Command {
    let path = |name: &str| folder.path(name).display().to_string();
    let daemon = need("dockerd", "docker.io");
    let mut command = Command::new(need("unshare", "util-linux"));
    command.args(["--pid", "--fork", "--kill-child", "--mount-proc"]);
    match network {
        Network::Machine => command.arg(daemon),
        Network::Own => command.args(["--net", "sh", "-c", "ip link set lo up && exec \"$0\" \"$@\""]).arg(daemon),
    };
    let host = format!("unix://{}", path("socket"));
    command.args(["--iptables=false", "--ip6tables=false", "--bridge=none", "--host", &host]).args([
        "--data-root",
        &path("data"),
        "--exec-root",
        &path("exec"),
        "--cgroup-parent",
        &format!("/{}", control_group(folder.root())),
        "--pidfile",
        &path("pid"),
    ]);
    command
}

/// The client. Only its older builder is everywhere.
fn docker(folder: &Folder) -> Command {
    let mut command = Command::new(need("docker", "docker.io"));
    command.env("DOCKER_HOST", format!("unix://{}", folder.path("socket").display())).env("DOCKER_BUILDKIT", "0");
    command
}
