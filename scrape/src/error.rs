//! Why a scrape failed.

use std::sync::Arc;

use rosterd_client::ClientError;
use rosterd_exposition::ContentTypeError;
use rosterd_model::{Coded, Priority, Retry};

use crate::inflate::InflateError;
use crate::ingest::IngestError;

/// Why a scrape failed: the target is down, misconfigured, or says what cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum ScrapeError {
    /// There is no reply, or not the wanted one.
    #[error(transparent)]
    Fetch(#[from] ClientError),
    /// The body is larger than `body_size_limit`, as sent or once unpacked.
    #[error("body size limit exceeded: the body has {limit} bytes or more")]
    BodySize {
        /// The limit.
        limit: u64,
    },
    /// The body does not fit into what is left of the memory for scrapes under way.
    #[error(
        "the body does not fit into the memory for all scrapes under way \
         (rosterd.scrape.memory_limit: {limit} bytes): raise it, or let the target expose less"
    )]
    Memory {
        /// How much there is for all.
        limit: u64,
    },
    /// The body is not what its `Content-Encoding` says.
    #[error("the body is damaged: it cannot be unpacked as gzip")]
    Gzip,
    /// Nothing says what format the body has.
    #[error(transparent)]
    ContentType(#[from] ContentTypeError),
    /// The body is not taken.
    #[error(transparent)]
    Ingest(#[from] IngestError),
    /// The job has more targets than it may have: none of them is scraped.
    #[error(
        "target_limit exceeded (number of targets: {targets}, limit: {limit}): raise it, or drop some by relabel_configs"
    )]
    TargetLimit {
        /// How many it has.
        targets: usize,
        /// How many it may have.
        limit: usize,
    },
    /// The scrape panicked: a fault of rosterd, which cost this scrape and what was remembered of the target's series.
    #[error("the scrape panicked: {message}")]
    Panicked {
        /// What it said.
        message: String,
    },
    /// The target asked to be left alone for a while, and is.
    #[error("left alone until it may be asked again")]
    Snoozing(#[source] Arc<ScrapeError>),
}

impl ScrapeError {
    /// Why a body cannot be unpacked, which has to be smaller than `limit` and to fit into the `memory` for all.
    pub(crate) const fn of_gzip(why: InflateError, limit: u64, memory: u64) -> Self {
        match why {
            InflateError::TooLarge => Self::BodySize { limit },
            InflateError::NoMemory => Self::Memory { limit: memory },
            InflateError::Damaged => Self::Gzip,
        }
    }
}

impl Coded for ScrapeError {
    fn code(&self) -> &'static str {
        match self {
            Self::Fetch(error) => error.code(),
            Self::BodySize { .. } => "scrape_body_size_limit",
            Self::Memory { .. } => "scrape_memory_limit",
            Self::Gzip => "scrape_gzip",
            Self::ContentType(_) => "scrape_content_type",
            Self::Ingest(error) => error.code(),
            Self::TargetLimit { .. } => "scrape_target_limit",
            Self::Panicked { .. } => "scrape_panicked",
            Self::Snoozing(_) => "scrape_snoozing",
        }
    }

    fn priority(&self) -> Priority {
        match self {
            Self::Fetch(error) => error.priority(),
            Self::Gzip => Priority::Remote,
            Self::Ingest(error) => error.priority(),
            Self::BodySize { .. }
            | Self::Memory { .. }
            | Self::ContentType(_)
            | Self::TargetLimit { .. }
            | Self::Panicked { .. } => Priority::Operator,
            Self::Snoozing(_) => Priority::Retry,
        }
    }

    fn retry(&self) -> Retry {
        match self {
            Self::Fetch(error) => match error.retry() {
                after @ Retry::After(_) => after,
                _ => Retry::Interval,
            },
            _ => Retry::Interval,
        }
    }
}
