//! Threads for calls that block, all of them taken: what is done aside then waits, and what is not shows.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, mpsc};

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use rosterd_tasks::blocking;

/// As many as a runtime has.
const THREADS: usize = 512;

type Call = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Holds all threads of the runtime for calls that block, until it is dropped.
///
/// ```
/// # use futures_util::FutureExt;
/// # use rosterd_testkit::{BusyThreads, leak_checked};
/// leak_checked(|| async {
///     let busy = BusyThreads::all();
///     let mut aside = Box::pin(rosterd_tasks::blocking(|| 7));
///     assert!((&mut aside).now_or_never().is_none());
///     busy.release().await;
///     assert_eq!(aside.await, 7);
/// });
/// ```
#[derive(Debug)]
pub struct BusyThreads {
    release: mpsc::Sender<()>,
    calls: FuturesUnordered<Call>,
}

impl BusyThreads {
    /// Takes them all. What was asked for before has its thread.
    pub fn all() -> Self {
        let (release, until) = mpsc::channel();
        let until = Arc::new(Mutex::new(until));
        let hold = |_| {
            let until = Arc::clone(&until);
            let call = move || {
                let until = until.lock().expect("none of them panics");
                assert!(until.recv().is_err(), "nobody says anything");
            };
            Box::pin(blocking(call)) as Call
        };
        let mut calls: FuturesUnordered<_> = (0..THREADS).map(hold).collect();
        assert!(calls.next().now_or_never().is_none(), "all of them wait");
        Self { release, calls }
    }

    /// Lets them go, and waits until they are gone.
    pub async fn release(self) {
        let Self { release, mut calls } = self;
        drop(release);
        while calls.next().await.is_some() {}
    }
}
