//! How a process of rosterd ends: its exit status, which follows from the code of the error, and its last words.

use std::any::Any;
use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

use rosterd_config::ConfigErrors;
use rosterd_model::{Coded, Report};

use super::Error;
use super::flags::system;
use super::print::plain_lines;
use super::problems::{Severity, Shown};

/// All went well; also help and version, and an output that nobody wanted to read to its end.
pub const OK: u8 = 0;
/// Something failed, or a check found problems. Standard error says what.
pub const FAILED: u8 = 1;
/// The command line cannot be meant: an unknown flag, a value that cannot be.
pub const USAGE: u8 = 2;
/// What a signal adds to its number when it ends the process before the orderly end: 130 for SIGINT, 143 for SIGTERM.
pub const SIGNAL: u8 = 128;

/// Codes of errors in the command line itself, be it that the rosterd that is asked says so.
const USAGE_CODES: [&str; 6] = [
    "cli_unknown_job",
    "cli_unknown_code",
    "cli_invalid_url",
    "web_address_invalid",
    "web_bad_parameter",
    "web_external_url_invalid",
];

/// The exit status for an error with this code.
pub fn status(code: &str) -> u8 {
    if USAGE_CODES.contains(&code) { USAGE } else { FAILED }
}

/// How a command ended that did not succeed.
#[derive(Debug)]
pub(super) enum Failure {
    /// Still to be told.
    Untold(Report),
    /// A configuration with problems, which are still to be told.
    Refused(ConfigErrors),
    /// Told already, as part of the output.
    Told,
    /// Whoever read the output went away.
    NobodyReads,
}

impl<E: Coded> From<E> for Failure {
    fn from(error: E) -> Self {
        match (&error as &dyn Any).downcast_ref::<ConfigErrors>() {
            // Its problems have places and codes of their own.
            Some(refused) => Self::Refused(refused.clone()),
            None => Self::Untold(Report::of(&error)),
        }
    }
}

impl Failure {
    /// The output could not be written.
    pub(super) fn of_output(source: io::Error) -> Self {
        if source.kind() == io::ErrorKind::BrokenPipe { Self::NobodyReads } else { Error::Output { source }.into() }
    }
}

/// Says what is left to say, and turns the end of a command into that of the process.
pub(super) fn report(end: Result<(), Failure>) -> ExitCode {
    let status = match end {
        Ok(()) | Err(Failure::NobodyReads) => OK,
        Err(Failure::Told) => FAILED,
        Err(Failure::Refused(refused)) => {
            let mut shown = Shown::on_stderr(&system());
            refused.problems.iter().for_each(|problem| tell(shown.show(Severity::Problem, problem)));
            FAILED
        }
        Err(Failure::Untold(report)) => {
            tell(plain_lines(&format!("error: {report} ({})", report.code)));
            status(&report.code)
        }
    };
    ExitCode::from(status)
}

/// Writes a line to standard error.
pub(super) fn tell(line: impl fmt::Display) {
    // There is nobody left to tell that nobody is told.
    writeln!(io::stderr(), "{line}").ok();
}

/// Says why the command line was not understood, and what to do if that is known; or what help and version say.
pub(super) fn refused(refused: &clap::Error, hint: Option<&str>) -> ExitCode {
    // There is nobody left to tell that it cannot be written.
    refused.print().ok();
    if let Some(hint) = hint {
        tell(format_args!("\n{hint}"));
    }
    ExitCode::from(if refused.use_stderr() { USAGE } else { OK })
}
