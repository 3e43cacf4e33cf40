//! The handle that drives a fake and tells what became of it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex as StdMutex, PoisonError, Weak, mpsc as std_mpsc};

use rosterd_discovery::{Watch, Word};
use rosterd_model::{Retry, TargetGroup};
use tokio::sync::{Mutex, mpsc, oneshot, watch};

use super::discoverer::{Order, failing};
use super::{FakeError, Shared};
use crate::patience;

/// Drives the discoverers that were built from one fake configuration. Cloning shares it.
///
/// Orders are carried out one after the other by whichever discoverer runs; each method that gives one waits for it,
/// also through restarts, and panics when [`patience`](crate::patience) is over.
#[derive(Debug, Clone)]
pub struct Probe(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    orders: mpsc::Sender<Order>,
    pending: Mutex<mpsc::Receiver<Order>>,
    counts: watch::Sender<Counts>,
    ignores_stop: AtomicBool,
    panics_on_build: AtomicBool,
    /// Builds wait as long as the other end is there.
    hangs: StdMutex<Option<Arc<StdMutex<std_mpsc::Receiver<()>>>>>,
    refuses: StdMutex<Option<FakeError>>,
    shared: StdMutex<Option<Arc<Shared>>>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    builds: usize,
    runs: usize,
    ended: usize,
}

/// Builds that hang, until it is dropped.
#[derive(Debug)]
pub struct HungBuilds(#[expect(dead_code, reason = "it is there to be dropped")] std_mpsc::Sender<()>);

/// Counts a run as ended, however it ended.
#[derive(Debug)]
pub(super) struct Running(Probe);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.0.counts.send_modify(|counts| counts.ended += 1);
    }
}

impl Probe {
    pub(super) fn new() -> Self {
        let (orders, pending) = mpsc::channel(16);
        Self(Arc::new(Inner {
            orders,
            pending: Mutex::new(pending),
            counts: watch::Sender::default(),
            ignores_stop: AtomicBool::new(false),
            panics_on_build: AtomicBool::new(false),
            hangs: StdMutex::default(),
            refuses: StdMutex::default(),
            shared: StdMutex::default(),
        }))
    }

    /// Makes the discoverer say that this is everything; returns when it was heard, as do the other words.
    pub async fn everything(&self, groups: Vec<TargetGroup>) {
        self.say(Word::Everything(groups)).await;
    }

    /// Makes the discoverer say that this is everything but these sources, which fail.
    pub async fn everything_but(&self, groups: Vec<TargetGroup>, unread: &[&str]) {
        self.say(Word::EverythingBut(groups, failing(unread))).await;
    }

    /// Makes the discoverer say that it found this, while others than these may still come, and that these sources fail.
    pub async fn found(&self, groups: Vec<TargetGroup>, unread: &[&str]) {
        self.say(Word::Found(groups, failing(unread))).await;
    }

    /// Makes the discoverer say that this is some of a picture of which more follows, and whether the picture begins with it.
    pub async fn piece(&self, first: bool, groups: Vec<TargetGroup>) {
        self.say(Word::Piece { first, groups }).await;
    }

    /// Makes the discoverer say that the picture of which it said pieces is whole, but for these sources, which fail.
    pub async fn pieced(&self, unread: &[&str]) {
        self.say(Word::Pieced { unread: failing(unread), found: false }).await;
    }

    /// Makes the discoverer say that what it said in pieces is all that is there now, while others may still come, and that these
    /// sources fail.
    pub async fn found_in_pieces(&self, unread: &[&str]) {
        self.say(Word::Pieced { unread: failing(unread), found: true }).await;
    }

    /// Makes the discoverer say that this changed.
    pub async fn changed(&self, groups: Vec<TargetGroup>) {
        self.say(Word::Changed(groups)).await;
    }

    /// Makes the discoverer say that these sources fail.
    pub async fn unread(&self, sources: &[&str]) {
        self.say(Word::Unread(failing(sources))).await;
    }

    /// Makes the discoverer say that it read everything again and nothing changed.
    pub async fn unchanged(&self) {
        self.say(Word::Unchanged).await;
    }

    async fn say(&self, word: Word) {
        self.order("say something", |done| Order::Say(word, done)).await;
    }

    /// Makes the discoverer tell that it follows these from now on.
    pub async fn follow(&self, watches: Vec<Weak<dyn Watch>>) {
        self.order("follow something", |done| Order::Follow(watches, done)).await;
    }

    /// Makes the discoverer report a failed read that it survives.
    pub async fn report_failure(&self, retry: Retry) {
        self.order("report a failure", |done| Order::Report(FakeError { retry }, done)).await;
    }

    /// Makes the run end with an error.
    pub async fn fail(&self, retry: Retry) {
        self.order("fail", |done| Order::Fail(FakeError { retry }, done)).await;
    }

    /// Makes the run end without an error, although nobody stopped it.
    pub async fn end(&self) {
        self.order("end", Order::End).await;
    }

    /// Makes the run panic.
    pub async fn panic(&self) {
        self.order("panic", Order::Panic).await;
    }

    /// From now on the discoverer does not end when it is stopped; it can only be aborted.
    pub fn ignore_stop(&self) {
        self.0.ignores_stop.store(true, Ordering::Relaxed);
    }

    /// From now on building a discoverer panics, or does not any more.
    pub fn panic_on_build(&self, panics: bool) {
        self.0.panics_on_build.store(panics, Ordering::Relaxed);
    }

    /// From now on building a discoverer holds its thread, until what is returned is dropped.
    #[must_use = "builds hang for as long as it is held"]
    pub fn hang_builds(&self) -> HungBuilds {
        let (held, until) = std_mpsc::channel();
        *self.0.hangs.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(StdMutex::new(until)));
        HungBuilds(held)
    }

    /// From now on a discoverer cannot be built, or can again.
    pub fn refuse_builds(&self, retry: Option<Retry>) {
        *self.0.refuses.lock().unwrap_or_else(PoisonError::into_inner) = retry.map(|retry| FakeError { retry });
    }

    /// How often a discoverer was built, or tried to be.
    pub fn builds(&self) -> usize {
        self.counts().builds
    }

    /// What the discoverer that was built last shares with the other fakes of its agent.
    pub fn shared(&self) -> Option<Arc<Shared>> {
        self.0.shared.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many runs have begun.
    pub fn runs(&self) -> usize {
        self.counts().runs
    }

    /// Whether a run has begun and not ended.
    pub fn is_running(&self) -> bool {
        self.counts().runs > self.counts().ended
    }

    /// Whether there was a run and none is left.
    pub fn has_ended(&self) -> bool {
        self.counts().runs > 0 && !self.is_running()
    }

    /// Waits until so many runs have begun since the probe was made.
    pub async fn wait_runs(&self, count: usize) {
        self.wait("begin to run", |counts| counts.runs >= count).await;
    }

    /// Waits until there was a run and none is left.
    pub async fn wait_ended(&self) {
        self.wait("end", |counts| counts.runs > 0 && counts.runs == counts.ended).await;
    }

    /// Whether both drive the same fake.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    async fn wait(&self, what: &str, condition: impl FnMut(&Counts) -> bool) {
        let mut counts = self.0.counts.subscribe();
        let waited = tokio::time::timeout(patience(), counts.wait_for(condition)).await;
        assert!(waited.is_ok(), "the fake did not {what} within {:?}: {:?}", patience(), self.counts());
    }

    async fn order(&self, what: &str, order: impl FnOnce(oneshot::Sender<()>) -> Order) {
        let (done, carried_out) = oneshot::channel();
        let ordered = async {
            self.0.orders.send(order(done)).await.ok()?;
            carried_out.await.ok()
        };
        match tokio::time::timeout(patience(), ordered).await {
            Ok(Some(())) => {}
            Ok(None) => panic!("the fake was told to {what}, but was stopped before it could"),
            Err(_) => panic!("the fake was told to {what}, but did not within {:?}: {:?}", patience(), self.counts()),
        }
    }

    fn counts(&self) -> Counts {
        *self.0.counts.borrow()
    }

    pub(super) fn built(&self, shared: &Arc<Shared>) -> Result<(), FakeError> {
        *self.0.shared.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(shared));
        self.0.counts.send_modify(|counts| counts.builds += 1);
        let hangs = self.0.hangs.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(until) = hangs {
            // Nobody says anything: it ends when the other end is dropped.
            until.lock().unwrap_or_else(PoisonError::into_inner).recv().ok();
        }
        assert!(
            !self.0.panics_on_build.load(Ordering::Relaxed),
            "the fake panics while it is built, as it was told to"
        );
        match *self.0.refuses.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    pub(super) fn started(&self) -> Running {
        self.0.counts.send_modify(|counts| counts.runs += 1);
        Running(self.clone())
    }

    pub(super) fn ignores_stop(&self) -> bool {
        self.0.ignores_stop.load(Ordering::Relaxed)
    }

    /// The next order; of several discoverers one at a time waits for it.
    pub(super) async fn next_order(&self) -> Order {
        let mut pending = self.0.pending.lock().await;
        pending.recv().await.expect("the probe keeps the other end open")
    }
}
