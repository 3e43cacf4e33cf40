//! Real programs for tests: started, awaited, and gone with the test.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::time::{Instant, sleep};

use crate::{Folder, get, patience};

const LOG: &str = "log";

/// The path of an installed program.
///
/// # Panics
///
/// When it is not installed, with the Debian package that has it.
#[expect(clippy::disallowed_methods, reason = "programs are looked for where a shell would")]
pub fn need(program: &str, package: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let servers = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    let found =
        std::env::split_paths(&path).chain(servers).map(|folder| folder.join(program)).find(|file| file.is_file());
    found.unwrap_or_else(|| panic!("this test needs {program}: apt-get install {package}"))
}

/// A running program with a process group of its own, which is killed when this is dropped. What it prints is kept, and
/// shown when the test fails.
///
/// ```
/// use std::process::Command;
/// use rosterd_testkit::{Process, leak_checked_live, need};
///
/// leak_checked_live(|| async {
///     let mut command = Command::new(need("sh", "dash"));
///     let mut server = Process::start("a server", command.args(["-c", "echo ready; exec sleep 1000"]));
///     server.wait_log("ready").await;
///     assert!(!server.stop().await.success());
/// });
/// ```
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    folder: Folder,
}

impl Process {
    /// Starts a program; its input is empty. `name` is for messages.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    pub fn start(name: impl Into<String>, command: &mut Command) -> Self {
        let (name, folder) = (name.into(), Folder::new());
        let log = File::create(folder.path(LOG)).expect("a new folder takes a file");
        let errors = log.try_clone().expect("a file can be shared");
        let started = command.stdin(Stdio::null()).stdout(log).stderr(errors).process_group(0).spawn();
        let child = started.unwrap_or_else(|error| panic!("cannot start {name} ({command:?}): {error}"));
        // The command would keep the log open.
        command.stdout(Stdio::null()).stderr(Stdio::null());
        Self { name, child, folder }
    }

    /// Its process number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// All it has printed so far.
    pub fn log(&self) -> String {
        self.folder.read(LOG)
    }

    /// Waits until it has printed this text.
    ///
    /// # Panics
    ///
    /// When it ends before, or does not in time.
    pub async fn wait_log(&mut self, text: &str) {
        let end = Instant::now() + patience();
        while !self.log().contains(text) {
            self.still_starting(end, text).await;
        }
    }

    /// Waits until a URL that it serves answers 200, and returns the body.
    ///
    /// # Panics
    ///
    /// When it ends before, or does not in time.
    pub async fn wait_http(&mut self, url: &str) -> String {
        let end = Instant::now() + patience();
        loop {
            if let Ok(Ok((200, body))) = tokio::time::timeout(patience(), get(url)).await {
                return body;
            }
            self.still_starting(end, url).await;
        }
    }

    async fn still_starting(&mut self, end: Instant, what: &str) {
        if let Some(status) = self.exited() {
            panic!("{} ended ({status}) before it was ready ({what})", self.name);
        }
        assert!(Instant::now() < end, "{} is not ready after {:?} ({what})", self.name, patience());
        sleep(Duration::from_millis(10)).await;
    }

    /// Sends a signal to it alone.
    pub fn signal(&self, signal: Signal) {
        // It may have ended already.
        rustix::process::kill_process(self.pid(), signal).ok();
    }

    /// Whether it has ended, and how.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be waited for")
    }

    /// Waits until it ends by itself.
    ///
    /// # Panics
    ///
    /// When it does not in time.
    pub async fn wait(&mut self) -> ExitStatus {
        let end = Instant::now() + patience();
        loop {
            if let Some(status) = self.exited() {
                return status;
            }
            assert!(Instant::now() < end, "{} still runs after {:?}", self.name, patience());
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Asks it to end by SIGTERM and waits.
    ///
    /// # Panics
    ///
    /// When it does not end in time.
    pub async fn stop(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait().await
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The group is gone when the program and all it started have ended before.
        kill_process_group(self.pid(), Signal::KILL).ok();
        self.child.wait().ok();
        if std::thread::panicking() {
            eprintln!("--- {} printed:\n{}---", self.name, self.log());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{eventually, leak_checked_live};

    fn shell(script: &str) -> Process {
        Process::start("shell", Command::new(need("sh", "dash")).args(["-c", script]))
    }

    #[test]
    #[should_panic(expected = "this test needs no-such-program: apt-get install no-such-package")]
    fn a_missing_program_names_its_package() {
        need("no-such-program", "no-such-package");
    }

    #[test]
    fn whatever_a_program_started_dies_with_it() {
        leak_checked_live(|| async {
            let mut process = shell("sleep 1000 & echo $!; wait");
            process.wait_log("\n").await;
            let grandchild: i32 = process.log().trim().parse().unwrap();
            drop(process);
            let pid = Pid::from_raw(grandchild).unwrap();
            let gone = || {
                // Nobody may be there to collect it.
                let state = std::fs::read_to_string(format!("/proc/{grandchild}/stat")).unwrap_or_default();
                rustix::process::test_kill_process(pid).is_err() || state.contains(") Z ")
            };
            eventually(patience(), "the grandchild is gone", gone).await;
        });
    }

    #[test]
    fn a_program_is_awaited_by_what_it_serves() {
        leak_checked_live(|| async {
            let server = crate::ScriptedServer::start([
                crate::Step::get("/ready").status(503),
                crate::Step::get("/ready").body("yes"),
            ])
            .await;
            let mut process = shell("exec sleep 1000");
            assert_eq!(process.wait_http(&server.url("/ready")).await, "yes");
            server.finish().await;
            assert!(process.stop().await.code().is_none());
        });
    }
}
