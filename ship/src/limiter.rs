//! Keeps messages that could come with each request from filling the log.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

const PAUSE: Duration = Duration::from_secs(10);

/// Lets one message through in ten seconds.
#[derive(Debug, Default)]
pub(crate) struct Limiter(Mutex<Option<Instant>>);

impl Limiter {
    /// Whether this one may be logged.
    pub(crate) fn allows(&self) -> bool {
        let now = Instant::now();
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let allowed = last.is_none_or(|last| now.saturating_duration_since(last) >= PAUSE);
        if allowed {
            *last = Some(now);
        }
        allowed
    }
}
