//! Threads for calls that block: so many for each kind, though a disk hangs.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;

use crate::blocking;

/// How many threads calls of some kind may hold at a time, though a disk hangs. The others wait in line. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Threads {
    places: Arc<Semaphore>,
    /// Calls that go aside to these as soon as there is room.
    line: Arc<Mutex<VecDeque<ThreadPlace>>>,
    late: Option<Late>,
}

/// Where calls go that take long, and when.
#[derive(Debug, Clone)]
struct Late {
    after: Duration,
    places: Arc<Semaphore>,
    line: Arc<Mutex<VecDeque<ThreadPlace>>>,
}

/// The place of a call, until it is over.
#[derive(Debug, Clone)]
struct ThreadPlace(Arc<Mutex<Option<OwnedSemaphorePermit>>>);

impl Threads {
    /// So many.
    pub fn new(count: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(count)), line: Arc::default(), late: None }
    }

    /// The same, where a call that takes longer than this, or for which nobody waits any more, holds up no other: it goes on holding
    /// a thread, but one of `aside`, as soon as there is one.
    #[must_use]
    pub fn giving_way(self, after: Duration, aside: &Self) -> Self {
        let late = Late { after, places: Arc::clone(&aside.places), line: Arc::clone(&aside.line) };
        Self { late: Some(late), ..self }
    }

    /// Runs a call on one of them, like [`blocking`].
    pub async fn run<T: Send + 'static>(&self, call: impl FnOnce() -> T + Send + 'static) -> T {
        // It is closed by nobody.
        let permit = Arc::clone(&self.places).acquire_owned().await.ok();
        let place = ThreadPlace(Arc::new(Mutex::new(permit)));
        let held = Held { place: place.clone(), late: self.late.clone() };
        let calling = blocking(move || {
            let _held = held;
            call()
        });
        let Some(late) = &self.late else { return calling.await };
        let _leaves = Leaves { place: &place, late };
        tokio::pin!(calling);
        tokio::select! {
            biased;
            done = &mut calling => return done,
            () = sleep(late.after) => late.take(&place),
        }
        calling.await
    }
}

impl Late {
    /// Gives the call at this place one of these in its stead, now or as soon as one is free.
    fn take(&self, place: &ThreadPlace) {
        if self.is_wanted(place) {
            let mut line = lock(&self.line);
            line.retain(|place| self.is_wanted(place));
            line.push_back(place.clone());
            drop(line);
            self.hand_on();
        }
    }

    /// Gives free places to those that wait for one.
    fn hand_on(&self) {
        let mut line = lock(&self.line);
        while let Some(first) = line.front() {
            if self.is_wanted(first) {
                let Ok(free) = Arc::clone(&self.places).try_acquire_owned() else { return };
                let mut held = lock(&first.0);
                // It may just have ended.
                *held = held.is_some().then_some(free);
            }
            line.pop_front();
        }
    }

    /// Whether the call at this place is not over, and has none of these.
    fn is_wanted(&self, place: &ThreadPlace) -> bool {
        lock(&place.0).as_ref().is_some_and(|held| !Arc::ptr_eq(held.semaphore(), &self.places))
    }
}

/// Gives the place back when the call is over, and on to who waits for it.
struct Held {
    place: ThreadPlace,
    late: Option<Late>,
}

impl Drop for Held {
    fn drop(&mut self) {
        lock(&self.place.0).take();
        if let Some(late) = &self.late {
            late.hand_on();
        }
    }
}

/// Changes the place when nobody waits for the call any more.
struct Leaves<'a> {
    place: &'a ThreadPlace,
    late: &'a Late,
}

impl Drop for Leaves<'_> {
    fn drop(&mut self) {
        self.late.take(self.place);
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
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

    #[test]
    fn what_nobody_waits_for_gives_way_as_soon_as_there_is_room() {
        leak_checked_live(|| async {
            let (disks, aside) = ([Disk::default(), Disk::default()], Threads::new(1));
            let threads = Threads::new(2).giving_way(10 * patience(), &aside);
            for disk in &disks {
                let mut abandoned = Box::pin(threads.run(disk.hang()));
                let asked = eventually(patience(), "it hangs", || disk.asked() == 1);
                tokio::select! {
                    biased;
                    () = &mut abandoned => unreachable!("it hangs"),
                    () = asked => {}
                }
            }
            let free = || (threads.places.available_permits(), aside.places.available_permits());
            assert_eq!(free(), (1, 0), "there is room for one");
            disks[0].let_go();
            eventually(patience(), "the other one takes its place", || free() == (2, 0)).await;
            disks[1].let_go();
            eventually(patience(), "all is over", || free() == (2, 1)).await;
        });
    }
}
