//! What can go wrong besides questions and answers.

use rosterd_model::{Coded, Priority, Retry};

/// There is nobody to ask, or nothing to see.
#[derive(Debug, thiserror::Error)]
pub(super) enum YandexcloudError {
    #[error("the list of services has no usable address of {service}")]
    NoService { service: &'static str },
    #[error(
        "no folder can be seen, and so nothing is discovered: an account with rights on folders alone has to name them in folder_ids"
    )]
    NoFolders,
}

impl Coded for YandexcloudError {
    fn code(&self) -> &'static str {
        match self {
            Self::NoService { .. } => "sd_yandexcloud_no_service",
            Self::NoFolders => "sd_yandexcloud_no_folders",
        }
    }

    fn priority(&self) -> Priority {
        match self {
            Self::NoService { .. } => Priority::Remote,
            Self::NoFolders => Priority::Operator,
        }
    }

    fn retry(&self) -> Retry {
        Retry::Interval
    }
}
