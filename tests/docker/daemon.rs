//! A Docker daemon of the test's own, with its data in a temporary folder.

use std::process::Command;

use rosterd_testkit::{Folder, Process, eventually, need, patience};
use rustix::process::Signal;

/// Whether a daemon can run here. CI has to be able to.
#[expect(clippy::disallowed_methods, reason = "CI says so by the environment")]
pub(crate) fn is_possible() -> bool {
    let possible = rustix::process::geteuid().is_root();
    assert!(possible || std::env::var_os("CI").is_none(), "CI has to run this as root");
    if !possible {
        eprintln!("SKIPPED: a Docker daemon needs root");
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

/// A running daemon.
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
        self.process.stop().await;
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        self.process.signal(signal);
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

fn command(folder: &Folder, network: Network) -> Command {
    let path = |name: &str| folder.path(name).display().to_string();
    let daemon = need("dockerd", "docker.io");
    let mut command = match network {
        Network::Machine => Command::new(daemon),
        Network::Own => {
            let mut command = Command::new(need("unshare", "util-linux"));
            command.args(["--net", "sh", "-c", "ip link set lo up && exec \"$0\" \"$@\""]).arg(daemon);
            command
        }
    };
    let host = format!("unix://{}", path("socket"));
    command.args(["--iptables=false", "--ip6tables=false", "--bridge=none", "--host", &host]).args([
        "--data-root",
        &path("data"),
        "--exec-root",
        &path("exec"),
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
