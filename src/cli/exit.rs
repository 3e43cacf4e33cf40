//! How a process of rosterd ends: its exit status, which follows from the code of the error, and its last words.

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

use rosterd_model::{Coded, Report};

use super::Error;

/// All went well; also help and version, and an output that nobody wanted to read to its end.
pub const OK: u8 = 0;
/// Something failed, or a check found problems. Standard error says what.
pub const FAILED: u8 = 1;
/// The command line cannot be meant: an unknown flag, a value that cannot be.
pub const USAGE: u8 = 2;
/// What a signal adds to its number when it ends the process before the orderly end: 130 for SIGINT, 143 for SIGTERM.
pub const SIGNAL: u8 = 128;

/// Codes of errors in the command line itself.
const USAGE_CODES: [&str; 4] =
    ["cli_unknown_job", "cli_invalid_url", "web_address_invalid", "web_external_url_invalid"];

/// The exit status for an error with this code.
pub fn status(code: &str) -> u8 {
    if USAGE_CODES.contains(&code) { USAGE } else { FAILED }
}

/// How a command ended that did not succeed.
#[derive(Debug)]
pub(super) enum Failure {
    /// Still to be told.
    Untold(Report),
    /// Told already, as part of the output.
    Told,
    /// Whoever read the output went away.
    NobodyReads,
}

impl<E: Coded> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Untold(Report::of(&error))
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
        Err(Failure::Untold(report)) => {
            tell(last_words(&report));
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

/// One line, or for a list of problems one line each, which have codes of their own.
fn last_words(report: &Report) -> String {
    match report.code.as_str() {
        rosterd_config::code::INVALID_CONFIG => report.to_string(),
        code => format!("error: {report} ({code})"),
    }
}

/// Says why the command line was not understood, or what help and version say.
pub(super) fn refused(refused: &clap::Error) -> ExitCode {
    // There is nobody left to tell that it cannot be written.
    refused.print().ok();
    ExitCode::from(if refused.use_stderr() { USAGE } else { OK })
}
