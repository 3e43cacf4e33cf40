//! What was rendered and refused: it is tried again, ever later, as the reason may be outside of it.

use std::time::Duration;

use rosterd_model::Retry;
use rosterd_tasks::Schedule;
use tokio::time::Instant;

/// The longest wait before a content is tried again.
const LONGEST: Duration = Duration::from_secs(300);

/// What was refused of a template.
pub(super) struct Refusals {
    last: Option<Refused>,
    schedule: Schedule,
}

/// What was refused last.
struct Refused {
    /// Its hash; `None` for whatever is rendered.
    content: Option<u128>,
    /// When it is tried again.
    until: Instant,
}

impl Refusals {
    /// Nothing was refused yet. The name moves the times.
    pub(super) fn new(name: &str) -> Self {
        Self { last: None, schedule: Schedule::new(LONGEST, name) }
    }

    /// Notes that this was refused, and is left alone for so long at least.
    pub(super) fn refused(&mut self, content: Option<u128>, at_least: Duration) {
        if self.last.as_ref().is_none_or(|last| last.content != content) {
            self.schedule.succeeded();
        }
        let until = Instant::now() + self.schedule.failed(Retry::Backoff).max(at_least);
        self.last = Some(Refused { content, until });
    }

    /// Whether it was this very content.
    pub(super) fn has(&self, content: u128) -> bool {
        self.last.as_ref().is_some_and(|last| last.content == Some(content))
    }

    /// When this content is tried again, if it is not to be tried now.
    pub(super) fn until(&self, content: u128) -> Option<Instant> {
        let last = self.last.as_ref().filter(|last| last.content.is_none_or(|refused| refused == content))?;
        Some(last.until).filter(|until| *until > Instant::now())
    }

    /// Forgets it.
    pub(super) fn clear(&mut self) {
        self.last = None;
    }
}
