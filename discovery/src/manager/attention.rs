//! What the roster may ask of a provider while it holds what that one does not say any more.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::status::StatusHandle;

/// How the roster asks a provider to be told of each reading, also of one that found nothing new, and how it sees whether the
/// provider works. Cloning shares it. Who it is asked of is no part of what an update says: any two are equal.
#[derive(Debug, Clone, Default)]
pub struct Attention {
    wanted: Arc<AtomicBool>,
    status: StatusHandle,
}

impl PartialEq for Attention {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Attention {}

impl Attention {
    pub(crate) fn of(status: StatusHandle) -> Self {
        Self { wanted: Arc::default(), status }
    }

    /// One of a provider that reads again and again, for who makes updates of their own.
    pub fn of_polling() -> Self {
        let status = StatusHandle::default();
        status.polls();
        Self::of(status)
    }

    /// Readings that find nothing new are told from now on, or no more.
    pub fn want(&self, wanted: bool) {
        self.wanted.store(wanted, Ordering::Relaxed);
    }

    /// Whether readings that find nothing new are told.
    pub fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::Relaxed)
    }

    /// Whether the provider reads all of its sources again and again; one that watches them need not read any twice.
    pub fn polls(&self) -> bool {
        self.status.is_polling()
    }

    /// Whether the last reading failed as a whole; which sources could not be read updates tell.
    pub fn is_failing(&self) -> bool {
        self.status.fails_as_a_whole()
    }
}
