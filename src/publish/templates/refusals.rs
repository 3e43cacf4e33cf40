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

/// What is refused of a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// The content with this hash.
    Content(u128),
    /// Nothing was rendered: what is, is something else.
    Rendering,
    /// Whatever is rendered.
    Anything,
}

/// What was refused last.
struct Refused {
    what: What,
    /// When it is tried again.
    until: Instant,
}

impl Refusals {
    /// Nothing was refused yet. The name moves the times.
    pub(super) fn new(name: &str) -> Self {
        Self { last: None, schedule: Schedule::new(LONGEST, name) }
    }

    /// Notes that this was refused, and is left alone for so long at least.
    pub(super) fn refused(&mut self, what: What, at_least: Duration) {
        if self.last.as_ref().is_none_or(|last| last.what != what) {
            self.schedule.succeeded();
        }
        let until = Instant::now() + self.schedule.failed(Retry::Backoff).max(at_least);
        self.last = Some(Refused { what, until });
    }

    /// Whether it was this very content.
    pub(super) fn has(&self, content: u128) -> bool {
        self.last.as_ref().is_some_and(|last| last.what == What::Content(content))
    }

    /// When this content is tried again, if it is not to be tried now.
    pub(super) fn until(&self, content: u128) -> Option<Instant> {
        self.waits(|what| matches!(what, What::Anything) || what == What::Content(content))
    }

    /// When a template is tried again that did not render, if it is not to be tried now.
    pub(super) fn until_rendered(&self) -> Option<Instant> {
        self.waits(|what| !matches!(what, What::Content(_)))
    }

    fn waits(&self, of: impl FnOnce(What) -> bool) -> Option<Instant> {
        let last = self.last.as_ref().filter(|last| of(last.what))?;
        Some(last.until).filter(|until| *until > Instant::now())
    }

    /// Forgets it.
    pub(super) fn clear(&mut self) {
        self.last = None;
    }
}
