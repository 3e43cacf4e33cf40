//! The command of a profile, which prints keys. It is run only where commands may be run.

use std::time::Duration;

use rosterd_client::{Secrets, System};
use rosterd_tasks::process::{Program, Read, Run};
use tokio::time::timeout;

use super::AwsError;
use super::given::{Given, Written};

const WHOSE: &str = "credential_process";
const LONGEST: Duration = Duration::from_secs(60);
const MOST: u64 = 64 << 10;

/// Runs the command of this profile, in a shell and with the environment of rosterd: as all tools of AWS do.
pub(super) async fn keys(system: &System, profile: &str, command: &str) -> Result<Given, AwsError> {
    if !system.allows_commands() {
        return Err(AwsError::CommandDisabled { profile: profile.to_owned() });
    }
    let failed = |reason: String| AwsError::CommandFailed { profile: profile.to_owned(), reason };
    let program = Program::new("/bin/sh", ["-c", command]).with_environment(system.environment().iter());
    let mut run = Run::start(program).map_err(|error| failed(error.to_string()))?;
    let mut printed = Vec::new();
    let read = timeout(LONGEST, run.read(MOST, &mut printed)).await;
    let ended = if matches!(read, Ok(Ok(Read::Whole))) { run.finish().await } else { run.stop().await };
    let status = match (read, ended) {
        (Err(_), _) => return Err(failed(format!("it did not end within {} seconds", LONGEST.as_secs()))),
        (Ok(Ok(Read::TooMuch)), _) => return Err(failed(format!("it printed more than {MOST} bytes"))),
        (Ok(Err(error)), _) | (_, Err(error)) => return Err(failed(error.to_string())),
        (Ok(Ok(Read::Whole)), Ok(status)) => status,
    };
    if !status.success() {
        // It may tell the secrets that it was given. Where it fails, whoever runs it finds out why.
        return Err(failed(format!("it ended with {status}")));
    }
    let written = Written::parse(WHOSE, &printed)?;
    if !written.is_of_command() {
        return Err(failed("it printed another Version than 1".to_owned()));
    }
    written.given(WHOSE, &Secrets::default())
}
