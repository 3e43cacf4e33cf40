//! Why there is nothing to sign with, or nobody to ask.

use std::path::PathBuf;

use rosterd_client::ClientError;
use rosterd_model::{Coded, Priority, Retry};

/// There are no credentials, or there is no region.
#[derive(Debug, thiserror::Error)]
pub enum AwsError {
    /// A shared file, or the file of a token, is there and cannot be read.
    #[error("cannot read {}", path.display())]
    FileUnreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A profile that is named is in none of the shared files.
    #[error("there is no profile {profile:?} in {files}")]
    NoProfile {
        /// Its name.
        profile: String,
        /// The files.
        files: String,
    },
    /// What a profile, the environment or a setting says is of no use.
    #[error("{place} is of no use: {reason}")]
    Unusable {
        /// Whose setting it is.
        place: String,
        /// What is wrong.
        reason: String,
    },
    /// A profile has a command, and commands are not allowed.
    #[error("profile {profile:?} has credential_process: start rosterd with --enable-exec-sd to let it run commands")]
    CommandDisabled {
        /// The profile.
        profile: String,
    },
    /// The command of a profile gave no keys.
    #[error("credential_process of profile {profile:?} gave no keys: {reason}")]
    CommandFailed {
        /// The profile.
        profile: String,
        /// Why not.
        reason: String,
    },
    /// Nothing is configured, and whoever could give keys to a machine does not answer.
    #[error("no credentials are configured, and there are none of {whose}")]
    NoCredentials {
        /// Who was asked.
        whose: &'static str,
        /// What it answered.
        source: ClientError,
    },
    /// Nothing is configured, and nobody may be asked.
    #[error("no credentials are configured, and the metadata of the instance are switched off")]
    NothingConfigured,
    /// No region is configured, and the machine does not know its own.
    #[error("there is no region: set region, AWS_REGION or that of the profile")]
    NoRegion {
        /// Why the machine does not know it.
        #[source]
        source: Option<ClientError>,
    },
    /// STS, the container or the instance refuses to give keys.
    #[error("{whose} gives no keys: {code}: {message}")]
    Refused {
        /// Who was asked.
        whose: &'static str,
        /// The code of the refusal.
        code: String,
        /// What it says besides.
        message: String,
        /// Whether it may pass by itself.
        passes: bool,
    },
    /// Whoever was asked answers something else.
    #[error("what {whose} answers has no keys: {reason}")]
    Malformed {
        /// Who was asked.
        whose: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// An exchange with it failed.
    #[error("cannot ask {whose} for keys")]
    Unreachable {
        /// Who was asked.
        whose: &'static str,
        /// Why not.
        source: ClientError,
    },
}

impl Coded for AwsError {
    fn code(&self) -> &'static str {
        match self {
            Self::FileUnreadable { .. } => "cloud_aws_file_unreadable",
            Self::NoProfile { .. } => "cloud_aws_no_profile",
            Self::Unusable { .. } => "cloud_aws_unusable",
            Self::CommandDisabled { .. } => "cloud_aws_command_disabled",
            Self::CommandFailed { .. } => "cloud_aws_command_failed",
            Self::NoCredentials { .. } | Self::NothingConfigured => "cloud_aws_no_credentials",
            Self::NoRegion { .. } => "cloud_aws_no_region",
            Self::Refused { .. } => "cloud_aws_no_keys",
            Self::Malformed { .. } => "cloud_aws_malformed",
            Self::Unreachable { .. } => "cloud_aws_unreachable",
        }
    }

    fn priority(&self) -> Priority {
        match self {
            Self::Unreachable { source, .. } => source.priority(),
            Self::Refused { passes: true, .. } => Priority::Retry,
            Self::Malformed { .. } => Priority::Remote,
            _ => Priority::Operator,
        }
    }

    fn retry(&self) -> Retry {
        match self {
            Self::Unreachable { source, .. } => source.retry(),
            // Files come, commands are mended, roles are given.
            _ => Retry::Backoff,
        }
    }
}
