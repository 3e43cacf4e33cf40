//! Threads for calls that block: so many for each kind, though a disk hangs.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;

use crate::blocking;

/// How many threads calls of some kind may hold at a time, though a disk hangs. The others wait in line. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Threads {
    places: Arc<Semaphore>,
    late: Option<Late>,
}

/// Where calls go that take long, and when.
#[derive(Debug, Clone)]
struct Late {
    after: Duration,
    places: Arc<Semaphore>,
}

/// The place of a call, until it is over.
#[derive(Debug, Clone)]
struct Place(Arc<Mutex<Option<OwnedSemaphorePermit>>>);

impl Threads {
    /// So many.
    pub fn new(count: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(count)), late: None }
    }

    /// The same, where a call that takes longer than this, or for which nobody waits any more, holds up no other: it goes on holding
    /// a thread, but one of `aside`, as long as there are any.
    #[must_use]
    pub fn giving_way(self, after: Duration, aside: &Self) -> Self {
        Self { late: Some(Late { after, places: Arc::clone(&aside.places) }), ..self }
    }

    /// Runs a call on one of them, like [`blocking`].
    pub async fn run<T: Send + 'static>(&self, call: impl FnOnce() -> T + Send + 'static) -> T {
        // It is closed by nobody.
        let permit = Arc::clone(&self.places).acquire_owned().await.ok();
        let place = Place(Arc::new(Mutex::new(permit)));
        let held = Held(place.clone());
        let calling = blocking(move || {
            let _held = held;
            call()
        });
        let Some(late) = &self.late else { return calling.await };
        let _leaves = Leaves { place: &place, late };
        tokio::pin!(calling);
        loop {
            tokio::select! {
                biased;
                done = &mut calling => return done,
                () = sleep(late.after) => place.change(late),
            }
        }
    }
}

impl Place {
    /// Takes one of those of late calls in its stead, if there is one, and the call is not over.
    fn change(&self, late: &Late) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_late = |held: &OwnedSemaphorePermit| Arc::ptr_eq(held.semaphore(), &late.places);
        if held.as_ref().is_some_and(|held| !is_late(held))
            && let Ok(other) = Arc::clone(&late.places).try_acquire_owned()
        {
            *held = Some(other);
        }
    }
}

/// Gives the place back when the call is over.
struct Held(Place);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// Changes the place when nobody waits for the call any more.
struct Leaves<'a> {
    place: &'a Place,
    late: &'a Late,
}

impl Drop for Leaves<'_> {
    fn drop(&mut self) {
        self.place.change(self.late);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use futures_util::future::join_all;
    use rosterd_testkit::{eventually, leak_checked_live, patience};
    use tokio::time::timeout;

    use super::*;

    /// A disk that hangs until it is dropped.
    #[derive(Default)]
    struct Disk {
        asked: Arc<AtomicUsize>,
        hung: Arc<Mutex<Vec<mpsc::Sender<()>>>>,
    }

    impl Disk {
        fn hang(&self) -> impl FnOnce() + Send + use<> {
            let (asked, hung) = (Arc::clone(&self.asked), Arc::clone(&self.hung));
            move || {
                let (sender, receiver) = mpsc::channel();
                hung.lock().unwrap().push(sender);
                asked.fetch_add(1, Ordering::SeqCst);
                receiver.recv().ok();
            }
        }

        fn asked(&self) -> usize {
            self.asked.load(Ordering::SeqCst)
        }

        fn let_go(&self) {
            self.hung.lock().unwrap().clear();
        }
    }

    #[test]
    fn what_hangs_gives_way_as_long_as_there_is_room_aside() {
        leak_checked_live(|| async {
            let (disk, aside) = (Disk::default(), Threads::new(3));
            let threads = Threads::new(2).giving_way(Duration::from_millis(20), &aside);
            let calls = join_all((0..5).map(|_| threads.run(disk.hang())));
            let others = async {
                eventually(patience(), "three go aside", || disk.asked() == 5).await;
                assert_eq!((threads.places.available_permits(), aside.places.available_permits()), (0, 0));
                let waits = timeout(Duration::from_millis(100), threads.run(|| ())).await;
                assert!(waits.is_err(), "there is no room for more");
                disk.let_go();
            };
            tokio::join!(calls, others);
            eventually(patience(), "all places are free", || {
                (threads.places.available_permits(), aside.places.available_permits()) == (2, 3)
            })
            .await;
            threads.run(|| ()).await;
        });
    }

    #[test]
    fn what_nobody_waits_for_gives_way_at_once() {
        leak_checked_live(|| async {
            let (disk, aside) = (Disk::default(), Threads::new(1));
            let threads = Threads::new(1).giving_way(10 * patience(), &aside);
            let mut abandoned = Box::pin(threads.run(disk.hang()));
            let asked = eventually(patience(), "it hangs", || disk.asked() == 1);
            tokio::select! {
                biased;
                () = &mut abandoned => unreachable!("it hangs"),
                _ = asked => {}
            }
            drop(abandoned);
            timeout(patience(), threads.run(|| ())).await.expect("another one is not held up");
            assert_eq!(aside.places.available_permits(), 0);
            disk.let_go();
            eventually(patience(), "it is over", || aside.places.available_permits() == 1).await;
        });
    }
}
