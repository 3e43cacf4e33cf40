//! The clock that the roster is handed.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use tokio::time::Instant;

/// A moment on both clocks: the one that only goes forward, for deadlines, and the one of the calendar, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Now {
    pub(super) instant: Instant,
    pub(super) wall: SystemTime,
}

/// Tells the time. Cloning shares it.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> SystemTime + Send + Sync>);

impl Clock {
    /// The clock of the system.
    pub fn system() -> Self {
        Self::new(SystemTime::now)
    }

    /// A calendar of one's own; deadlines follow the clock of the runtime in any case.
    pub fn new(wall: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self(Arc::new(wall))
    }

    pub(super) fn now(&self) -> Now {
        Now { instant: Instant::now(), wall: (self.0)() }
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}
