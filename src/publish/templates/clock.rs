//! The time of a rendering. It is asked wherever the engine comes back to us: for what is printed and what is asked of targets.

use std::sync::Arc;

use minijinja::{Error, ErrorKind};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::engine::Bounds;

/// When a rendering has to end.
#[derive(Debug)]
pub(super) struct Clock {
    /// `None` for never.
    until: Option<Instant>,
    stop: CancellationToken,
}

impl Clock {
    /// Its time begins.
    pub(super) fn start(bounds: &Bounds) -> Arc<Self> {
        Arc::new(Self { until: Instant::now().checked_add(bounds.time), stop: bounds.stop.clone() })
    }

    /// Whether it has to end now.
    pub(super) fn is_over(&self) -> bool {
        self.stop.is_cancelled() || self.until.is_some_and(|until| Instant::now() >= until)
    }

    /// Fails when it has to end now.
    pub(super) fn check(&self) -> Result<(), Error> {
        if self.is_over() { Err(ErrorKind::OutOfFuel.into()) } else { Ok(()) }
    }
}
