//! A Docker daemon of the test's own, with its data in a temporary folder.

use std::process::Command;

use rosterd_testkit::{Folder, Process, eventually, need, patience};

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
}

impl Daemon {
    pub(crate) async fn start() -> Self {
        let folder = Folder::new();
        let path = |name: &str| folder.path(name).display().to_string();
        let mut command = Command::new(need("dockerd", "docker.io"));
        command.args(["--iptables=false", "--bridge=none", "--host", &format!("unix://{}", path("socket"))]).args([
            "--data-root",
            &path("data"),
            "--exec-root",
            &path("exec"),
            "--pidfile",
            &path("pid"),
        ]);
        let daemon = Self { process: Process::start("dockerd", &mut command), folder };
        let mut process = daemon.process;
        let client =
            |arguments: &[&str]| docker(&daemon.folder).args(arguments).output().is_ok_and(|o| o.status.success());
        eventually(patience(), "the Docker daemon answers", || {
            assert!(process.exited().is_none(), "no Docker daemon can run here:\n{}", process.log());
            client(&["version"])
        })
        .await;
        Self { process, folder: daemon.folder }
    }

    /// Runs a command of the client, which has to succeed.
    pub(crate) fn docker(&self, arguments: &[&str]) -> String {
        output(docker(&self.folder).args(arguments))
    }

    /// Whether a command of the client succeeds.
    pub(crate) fn succeeds(&self, arguments: &[&str]) -> bool {
        docker(&self.folder).args(arguments).output().is_ok_and(|output| output.status.success())
    }

    /// Ends it, and what it started.
    pub(crate) async fn stop(mut self) {
        self.process.stop().await;
    }
}

/// The client. Only its older builder is everywhere.
fn docker(folder: &Folder) -> Command {
    let mut command = Command::new(need("docker", "docker.io"));
    command.env("DOCKER_HOST", format!("unix://{}", folder.path("socket").display())).env("DOCKER_BUILDKIT", "0");
    command
}
