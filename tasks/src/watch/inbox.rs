//! Where the thread that reads events leaves them for the watcher.
//!
//! Bounded: a path is kept once, and when there are too many paths they are forgotten and "anything may have changed"
//! is remembered in their place.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use notify::event::{AccessKind, AccessMode, CreateKind, Event, EventKind, ModifyKind};
use tokio::sync::Notify;

/// How many changed paths are told apart.
const MOST_PATHS: usize = 8192;

/// What happened to a path last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Touch {
    /// It was made; if it is a file, somebody is about to write to it.
    Created,
    /// It was written to by somebody who has not closed it yet.
    Written,
    /// It was closed after writing, renamed, removed: there is nothing to wait for.
    Settled,
}

/// What happened since the last look.
#[derive(Debug, Default)]
pub(super) struct Mail {
    pub(super) touched: HashMap<PathBuf, Touch>,
    /// Events were lost.
    pub(super) rescan: bool,
    pub(super) error: Option<notify::Error>,
}

#[derive(Debug, Default)]
pub(super) struct Inbox {
    mail: Mutex<Mail>,
    wake: Notify,
}

impl Inbox {
    /// Takes everything out.
    pub(super) fn take(&self) -> Mail {
        std::mem::take(&mut *self.mail())
    }

    /// Whether there is nothing to take.
    pub(super) fn is_empty(&self) -> bool {
        let mail = self.mail();
        mail.touched.is_empty() && !mail.rescan && mail.error.is_none()
    }

    /// Waits until there may be something to take. Safe to drop.
    pub(super) async fn filled(&self) {
        self.wake.notified().await;
    }

    /// Takes an event; called on the thread of the watcher, never blocks.
    pub(super) fn put(&self, event: notify::Result<Event>) {
        let event = match event {
            Ok(event) => event,
            Err(error) => {
                let mut mail = self.mail();
                mail.rescan = true;
                mail.error = Some(error);
                drop(mail);
                return self.wake.notify_one();
            }
        };
        let rescan = event.need_rescan();
        let touch = touch(&event.kind);
        if touch.is_none() && !rescan {
            return;
        }
        let mut mail = self.mail();
        mail.rescan |= rescan;
        if let Some(touch) = touch {
            mail.touched.extend(event.paths.into_iter().map(|path| (path, touch)));
        }
        if mail.touched.len() > MOST_PATHS {
            mail.touched = HashMap::new();
            mail.rescan = true;
        }
        drop(mail);
        self.wake.notify_one();
    }

    fn mail(&self) -> MutexGuard<'_, Mail> {
        self.mail.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What an event says about the content of its path; `None` for reading, and for changed owners, modes and times.
fn touch(kind: &EventKind) -> Option<Touch> {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => Some(Touch::Settled),
        EventKind::Access(_) | EventKind::Modify(ModifyKind::Metadata(_)) => None,
        EventKind::Create(CreateKind::Folder) => Some(Touch::Settled),
        EventKind::Create(_) => Some(Touch::Created),
        EventKind::Modify(ModifyKind::Name(_)) | EventKind::Remove(_) => Some(Touch::Settled),
        EventKind::Modify(_) => Some(Touch::Written),
        EventKind::Any | EventKind::Other => Some(Touch::Settled),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use notify::event::{DataChange, MetadataKind};

    fn event(kind: EventKind, path: &str) -> notify::Result<Event> {
        Ok(Event::new(kind).add_path(PathBuf::from(path)))
    }

    #[test]
    fn changed_modes_and_reads_are_no_news() {
        let inbox = Arc::new(Inbox::default());
        inbox.put(event(EventKind::Modify(ModifyKind::Metadata(MetadataKind::Any)), "/a"));
        inbox.put(event(EventKind::Access(AccessKind::Open(AccessMode::Any)), "/a"));
        inbox.put(event(EventKind::Access(AccessKind::Close(AccessMode::Read)), "/a"));
        assert!(inbox.take().touched.is_empty());
    }

    #[test]
    fn the_last_event_of_a_path_counts() {
        let inbox = Arc::new(Inbox::default());
        inbox.put(event(EventKind::Modify(ModifyKind::Data(DataChange::Any)), "/a"));
        inbox.put(event(EventKind::Access(AccessKind::Close(AccessMode::Write)), "/a"));
        inbox.put(event(EventKind::Modify(ModifyKind::Data(DataChange::Any)), "/b"));
        let touched = inbox.take().touched;
        assert_eq!(touched[&PathBuf::from("/a")], Touch::Settled);
        assert_eq!(touched[&PathBuf::from("/b")], Touch::Written);
    }

    #[test]
    fn a_storm_of_paths_becomes_one_rescan() {
        let inbox = Arc::new(Inbox::default());
        for index in 0..MOST_PATHS + 1 {
            inbox.put(event(EventKind::Create(CreateKind::File), &format!("/{index}")));
        }
        let mail = inbox.take();
        assert!(mail.rescan && mail.touched.len() <= MOST_PATHS);
    }
}
