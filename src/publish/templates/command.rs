//! Commands and signals by which other programs judge a file and learn of it.

use std::io;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use rosterd_config::STAGED;
use rosterd_tasks::process::{Exit, Output, Program, Run, tail};
use rosterd_tasks::{blocking, files};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use super::{Reload, SignalName, Template, TemplateError};

/// How much of the end of what a command prints is kept, for those that complain there.
const TAIL: usize = 2048;

/// How long what a command printed is waited for once it has exited: what it left behind may hold its output open for ever.
const AFTER_EXIT: Duration = Duration::from_secs(1);

/// How a command ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ran {
    /// Well, or there is none.
    Well,
    /// It was cut off, as rosterd ends.
    CutOff,
}

/// Keeps the end of what is printed.
#[derive(Default)]
struct Tail(Vec<u8>);

impl Output for Tail {
    async fn push(&mut self, piece: Bytes) {
        self.0.extend_from_slice(&piece);
        let forgotten = self.0.len().saturating_sub(TAIL);
        self.0.drain(..forgotten);
    }
}

/// Runs a command of a template, unless it is empty. `staged` is what `{file}` in its arguments stands for.
pub(super) async fn run(
    what: &'static str,
    command: &[String],
    template: &Template,
    staged: &Path,
    stop: &CancellationToken,
) -> Result<Ran, TemplateError> {
    let Some((program, arguments)) = command.split_first() else { return Ok(Ran::Well) };
    let (name, path): (Box<str>, _) = (program.as_str().into(), template.destination.clone());
    let staged = staged.to_string_lossy();
    let arguments = arguments.iter().map(|argument| argument.replace(STAGED, &staged));
    let mut run = match Run::start(Program::new(program, arguments)) {
        Ok(run) => run,
        Err(source) => return Err(TemplateError::Start { what, command: name, path, source }),
    };
    let mut printed = Tail::default();
    let read = tokio::select! {
        biased;
        read = run.read_to_exit(&mut printed, template.timeout, AFTER_EXIT) => Some(read),
        () = stop.cancelled() => None,
    };
    if matches!(read, Some(Ok(Exit::LeftOpen))) {
        info!(command = &*name, file = %path.display(), what, "command left behind what holds its output, which is ended");
    }
    let is_in_time = matches!(read, Some(Ok(Exit::Closed | Exit::LeftOpen)));
    let ended = if is_in_time { run.finish().await } else { run.stop().await };
    let said = match run.stderr_tail() {
        said if said.is_empty() => tail(&printed.0, TAIL),
        said => said,
    };
    match (read, ended) {
        (None, _) => Ok(Ran::CutOff),
        (Some(Ok(Exit::TooLate)), _) => {
            Err(TemplateError::Timeout { what, command: name, path, after: template.timeout, said })
        }
        (Some(Err(source)), _) | (_, Err(source)) => Err(TemplateError::Start { what, command: name, path, source }),
        (_, Ok(status)) if !status.success() => Err(TemplateError::Failed { what, command: name, path, status, said }),
        _ => {
            debug!(command = &*name, file = %path.display(), what, "command ended well");
            Ok(Ran::Well)
        }
    }
}

/// Tells the program that its file is another one.
pub(super) async fn reload(template: &Template, stop: &CancellationToken) -> Result<Ran, TemplateError> {
    match &template.reload {
        Reload::None => Ok(Ran::Well),
        Reload::Command(command) => run("reload", command, template, &template.destination, stop).await,
        Reload::Signal { signal, pid_file } => {
            let (signal, path) = (*signal, pid_file.clone());
            blocking(move || send(signal, &path)).await.map(|()| Ran::Well)
        }
    }
}

/// Sends a signal to the process whose number is in a file. A process that is not there has nothing to learn.
fn send(signal: SignalName, pid_file: &Path) -> Result<(), TemplateError> {
    let failed = |source| TemplateError::Signal { path: pid_file.to_owned(), source };
    let text = match files::read_text(pid_file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            info!(file = %pid_file.display(), "no process to signal: it reads its file when it starts");
            return Ok(());
        }
        Err(error) => return Err(failed(error)),
    };
    if text.trim().is_empty() {
        let nothing = "it is empty: the process has not written its number yet";
        return Err(failed(io::Error::new(io::ErrorKind::UnexpectedEof, nothing)));
    }
    let no_number = || io::Error::new(io::ErrorKind::InvalidData, "it holds no number of a process");
    let number: i32 = text.trim().parse().ok().filter(|number| *number > 0).ok_or_else(|| failed(no_number()))?;
    let pid = Pid::from_raw(number).ok_or_else(|| failed(no_number()))?;
    let signal = match signal {
        SignalName::Hup => Signal::HUP,
        SignalName::Usr1 => Signal::USR1,
        SignalName::Usr2 => Signal::USR2,
    };
    match kill_process(pid, signal) {
        Ok(()) => Ok(()),
        Err(Errno::SRCH) => {
            info!(file = %pid_file.display(), "no process to signal: it reads its file when it starts");
            Ok(())
        }
        Err(error) => Err(failed(error.into())),
    }
}
