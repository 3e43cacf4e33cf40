//! What the fakes of one agent share.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rosterd_discovery::{MechanismShared, System};
use rosterd_tasks::Stopper;
use tokio::sync::watch;

/// Counts the discoverers that use it, and has a task that runs until its owner is stopped.
#[derive(Debug)]
pub struct Shared {
    users: Arc<AtomicUsize>,
    ended: watch::Receiver<Option<usize>>,
}

/// Counts as a user until it is dropped.
#[derive(Debug)]
pub(super) struct User(Arc<Shared>);

impl MechanismShared for Shared {
    fn start(owner: &Stopper, _: &System) -> Self {
        let users = Arc::new(AtomicUsize::new(0));
        let (end, ended) = watch::channel(None);
        let (stop, counted) = (owner.token().clone(), Arc::clone(&users));
        owner.spawn_expendable("fake/shared", async move {
            stop.cancelled().await;
            end.send_replace(Some(counted.load(Ordering::Relaxed)));
        });
        Self { users, ended }
    }
}

impl Shared {
    /// Whether it has been ended: how many discoverers still ran then.
    pub fn ended_with(&self) -> Option<usize> {
        *self.ended.borrow()
    }

    /// How many discoverers use it.
    pub fn users(&self) -> usize {
        self.users.load(Ordering::Relaxed)
    }

    pub(super) fn used(self: &Arc<Self>) -> User {
        self.users.fetch_add(1, Ordering::Relaxed);
        User(Arc::clone(self))
    }
}

impl Drop for User {
    fn drop(&mut self) {
        self.0.users.fetch_sub(1, Ordering::Relaxed);
    }
}
