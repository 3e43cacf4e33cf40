//! One run of a command: a process group that is gone when the run is over, whatever the command did.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rustix::fs::{Access, access};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::timeout;
use tracing::warn;

/// How long a process group may take to end after SIGTERM, before SIGKILL.
const GRACE: Duration = Duration::from_secs(2);
/// How much of the end of standard error is kept.
const TAIL: usize = 2048;
/// How much of what a command prints is read at once: as much as a pipe holds.
const PIECE: usize = 64 << 10;
/// Where programs are looked for, unless `env` says otherwise.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What to run. It has the environment that it is given, and `PATH` unless that has one.
#[derive(Debug)]
pub struct Program(Command);

impl Program {
    /// A program with arguments: no shell is involved. One without a slash is looked for in `PATH`.
    pub fn new(program: &str, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        let mut command = Command::new(program);
        command.args(arguments).env_clear().env("PATH", PATH);
        Self(command)
    }

    /// With these variables in its environment.
    #[must_use]
    pub fn with_environment<'e>(mut self, variables: impl IntoIterator<Item = (&'e str, &'e str)>) -> Self {
        self.0.envs(variables);
        self
    }

    /// In this folder, and not in that of rosterd.
    #[must_use]
    pub fn in_folder(mut self, folder: &Path) -> Self {
        self.0.current_dir(folder);
        self
    }
}

/// The file that a [`Program`] of this name runs, with this `PATH` in its environment if it has one: none if there is none
/// that may be run.
fn program_file(program: &str, path: Option<&str>) -> Option<PathBuf> {
    let may_be_run = |file: &PathBuf| file.is_file() && access(file, Access::EXEC_OK).is_ok();
    if program.contains('/') {
        return Some(PathBuf::from(program)).filter(may_be_run);
    }
    path.unwrap_or(PATH).split(':').map(|folder| Path::new(folder).join(program)).find(may_be_run)
}

/// What to say of a program that is not there at the moment, or may not be run, if it is so; `hint` is what to do about one
/// without a slash.
pub fn no_program(program: &str, path: Option<&str>, hint: &str) -> Option<String> {
    if program_file(program, path).is_some() {
        return None;
    }
    Some(match program.contains('/') {
        true => format!("there is no program {program} at the moment, or it may not be run"),
        false => format!("there is no program {program} in PATH at the moment: {hint}"),
    })
}

/// Takes what a command prints.
pub trait Output: Send {
    /// A piece of it.
    fn push(&mut self, piece: Bytes) -> impl Future<Output = ()> + Send;
}

impl Output for Vec<u8> {
    async fn push(&mut self, piece: Bytes) {
        self.extend_from_slice(&piece);
    }
}

/// A command that runs. Dropped before it has ended, its process group is killed and the runtime reaps it.
#[derive(Debug)]
pub struct Run {
    child: Child,
    stdout: ChildStdout,
    stderr: ChildStderr,
    /// What it said there so far, or the end of it.
    said: Vec<u8>,
}

/// Whether everything was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Read {
    /// The command has exited and printed no more than it may.
    Whole,
    /// The command printed more than it may, and is still running.
    TooMuch,
}

/// How a command that is read to its exit came to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// In time, and its outputs are closed.
    Closed,
    /// In time, but something that it left behind holds an output open.
    LeftOpen,
    /// Not in time.
    TooLate,
}

impl Run {
    /// Starts the command.
    pub fn start(program: Program) -> io::Result<Self> {
        let Program(mut command) = program;
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).kill_on_drop(true);
        let mut child = command.spawn()?;
        let stdout = child.stdout.take().expect("stdout is piped");
        let stderr = child.stderr.take().expect("stderr is piped");
        Ok(Self { child, stdout, stderr, said: Vec::new() })
    }

    /// Reads until the command has exited and both its outputs are closed, or until it has printed more than `limit`
    /// bytes (0 for any amount). What it prints goes into `output`.
    pub async fn read(&mut self, limit: u64, output: &mut impl Output) -> io::Result<Read> {
        let Self { child, stdout, stderr, said } = self;
        let limit = if limit == 0 { u64::MAX } else { limit };
        let out = async {
            let whole = read_up_to(stdout, output, limit).await?;
            if whole { Ok(()) } else { Err(Cut::TooMuch) }
        };
        let err_and_end = async {
            read_tail(stderr, said).await?;
            Ok(exited(child).await?)
        };
        match tokio::try_join!(out, err_and_end) {
            Ok(((), ())) => Ok(Read::Whole),
            Err(Cut::TooMuch) => Ok(Read::TooMuch),
            Err(Cut::Io(error)) => Err(error),
        }
    }

    /// Reads until the command has exited, however much it prints, and both its outputs are closed. What it left behind may hold
    /// them open: once it has exited, which it has to within `time`, they are read for `patience` at most.
    pub async fn read_to_exit(
        &mut self,
        output: &mut impl Output,
        time: Duration,
        patience: Duration,
    ) -> io::Result<Exit> {
        let Self { child, stdout, stderr, said } = self;
        let printed = async {
            tokio::try_join!(read_up_to(stdout, output, u64::MAX), read_tail(stderr, said))?;
            io::Result::Ok(())
        };
        let mut printed = std::pin::pin!(printed);
        let exit = async {
            tokio::select! {
                read = &mut printed => {
                    read?;
                    exited(child).await?;
                    io::Result::Ok(true)
                }
                ended = exited(child) => ended.map(|_| false),
            }
        };
        match timeout(time, exit).await {
            Err(_) => Ok(Exit::TooLate),
            Ok(Ok(true)) => Ok(Exit::Closed),
            Ok(Ok(false)) => {
                let read = timeout(patience, printed).await;
                read.map_or(Ok(Exit::LeftOpen), |read| read.map(|()| Exit::Closed))
            }
            Ok(Err(error)) => Err(error),
        }
    }

    /// Ends the whole process group: asks it, and kills what is left of it after a grace.
    pub async fn stop(&mut self) -> io::Result<ExitStatus> {
        self.signal(Signal::TERM);
        let Self { child, stdout, stderr, said } = self;
        let ended = async {
            let mut rest = Vec::new();
            tokio::try_join!(read_tail(stdout, &mut rest), read_tail(stderr, said))?;
            exited(child).await
        };
        if let Ok(Err(error)) = timeout(GRACE, ended).await {
            warn!(%error, "cannot watch a command end, killing it");
        }
        self.finish().await
    }

    /// Kills whatever is left of the process group, and reaps the command.
    pub async fn finish(&mut self) -> io::Result<ExitStatus> {
        self.signal(Signal::KILL);
        self.child.wait().await
    }

    /// The end of standard error so far, for people.
    pub fn stderr_tail(&self) -> String {
        tail(&self.said, TAIL)
    }

    /// Signals the process group. As long as the command is not reaped, nobody else can have its number.
    fn signal(&self, signal: Signal) {
        let Some(group) = group(&self.child) else { return };
        match kill_process_group(group, signal) {
            Ok(()) | Err(Errno::SRCH) => {}
            Err(error) => warn!(%error, "cannot signal the process group of a command"),
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

/// The last bytes of what was printed, so many at most, as text that begins with a whole character.
pub fn tail(printed: &[u8], most: usize) -> String {
    let cut = &printed[printed.len().saturating_sub(most)..];
    // What goes on a character that is cut away; none has more than three of these.
    let within = cut.iter().take(3).take_while(|byte| **byte & 0xC0 == 0x80).count();
    String::from_utf8_lossy(&cut[within..]).trim().to_owned()
}

/// The process group, `None` once the command was reaped.
fn group(child: &Child) -> Option<Pid> {
    child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?))
}

/// Waits until the command has exited, without reaping it.
async fn exited(child: &Child) -> io::Result<()> {
    let Some(id) = group(child) else { return Ok(()) };
    // Subscribed before looking, so that no signal is missed in between.
    let mut changes = signal(SignalKind::child())?;
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
    while waitid(WaitId::Pid(id), look)?.is_none() {
        changes.recv().await;
    }
    Ok(())
}

/// Why reading ended early.
enum Cut {
    TooMuch,
    Io(io::Error),
}

impl From<io::Error> for Cut {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Reads to the end, unless there is more than `limit`. Returns whether it got to the end.
async fn read_up_to(from: &mut (impl AsyncRead + Unpin), output: &mut impl Output, limit: u64) -> io::Result<bool> {
    let (mut read, mut buffer) = (0, BytesMut::new());
    loop {
        buffer.reserve(PIECE);
        let count = from.read_buf(&mut buffer).await?;
        if count == 0 {
            return Ok(true);
        }
        read += count as u64;
        if read > limit {
            return Ok(false);
        }
        output.push(buffer.split().freeze()).await;
    }
}

/// Reads to the end and keeps the end.
async fn read_tail(from: &mut (impl AsyncRead + Unpin), into: &mut Vec<u8>) -> io::Result<()> {
    loop {
        into.reserve(TAIL);
        if from.read_buf(into).await? == 0 {
            return Ok(());
        }
        if into.len() > 2 * TAIL {
            into.drain(..into.len() - TAIL);
        }
    }
}

#[cfg(test)]
mod tests {
    use rosterd_testkit::leak_checked_live;

    use super::*;

    #[test]
    fn the_end_of_what_was_printed_begins_with_a_whole_character() {
        for (most, expected) in [(10, "ä€x"), (6, "ä€x"), (5, "€x"), (4, "€x"), (3, "x"), (1, "x"), (0, "")] {
            assert_eq!(tail("ä€x".as_bytes(), most), expected, "{most}");
        }
    }

    struct Nowhere;

    impl Output for Nowhere {
        async fn push(&mut self, _: Bytes) {}
    }

    #[test]
    fn how_a_command_came_to_its_exit_is_told_whatever_it_left_behind() {
        leak_checked_live(async || {
            let (long, moment) = (Duration::from_secs(60), Duration::from_millis(1));
            for (script, time, patience, expected) in [
                ("exit 0", long, long, Exit::Closed),
                ("sleep 600 & exit 0", long, moment, Exit::LeftOpen),
                ("sleep 600", moment, long, Exit::TooLate),
                // Without outputs it goes on all the same.
                ("exec >&- 2>&-; sleep 600", moment, long, Exit::TooLate),
            ] {
                let mut run = Run::start(Program::new("sh", ["-c", script])).unwrap();
                assert_eq!(run.read_to_exit(&mut Nowhere, time, patience).await.unwrap(), expected, "{script}");
                run.stop().await.unwrap();
            }
        });
    }
}
