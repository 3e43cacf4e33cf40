//! Runs a test and compares what was there before with what is there after.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::time::Instant;

use super::{alone, descriptors, in_time::in_time, watch::Watch};
use crate::time::Clock;

/// How many times every task that can run gets its turn before a task counts as leaked.
const YIELDS: usize = 200;
/// How long a task, a blocking call or a descriptor may need to end when the clock is real.
const GRACE: Duration = Duration::from_secs(60);
/// How long a test may take in all, whatever its clock says: far longer than any does on a loaded machine.
const LONGEST: Duration = Duration::from_secs(900);

/// Runs an async test on a current-thread runtime with a paused clock and fails it when something outlives it.
///
/// Checked are tasks (named when a [`Stopper`](rosterd_tasks::stopper::Stopper) spawned them), stoppers that were
/// dropped while their tasks ran, and, when the test runs alone in its process, descriptors.
///
/// The runtime has no I/O: a paused clock jumps ahead whenever a socket is idle, so a test on sockets needs
/// [`leak_checked_live`].
///
/// ```
/// rosterd_testkit::leak_checked(|| async {
///     tokio::time::sleep(std::time::Duration::from_secs(3600)).await; // takes no time at all
/// });
/// ```
///
/// # Panics
///
/// With the report when something leaked, or with the panic of the test itself. A test that does not end within 15 minutes fails, too.
pub fn leak_checked(test: impl AsyncFnOnce()) {
    Leaks::none().check(test);
}

/// Runs an async test with a real clock and I/O, alone in a process of its own, and fails it when something outlives it.
///
/// Descriptors belong to a process, and other tests open and close theirs at any time. So the test binary is started
/// once more for just this test, unless it runs alone anyhow. Hence call it once, as the whole body of a `#[test]`:
/// what follows it runs in the first process, where the test did not happen. `#[should_panic]` does not work with it.
///
/// # Panics
///
/// With the output of the other process when the test failed or something leaked.
pub fn leak_checked_live(test: impl AsyncFnOnce()) {
    Leaks::none().check_live(test);
}

/// What a test may leave behind; nothing unless it says so.
///
/// ```
/// use rosterd_testkit::Leaks;
///
/// Leaks::none().allow_unnamed_tasks(1).check(|| async {
///     let mut tasks = tokio::task::JoinSet::new();
///     tasks.spawn(std::future::pending::<()>());
///     tasks.detach_all();
/// });
/// ```
#[derive(Debug, Clone, Default)]
pub struct Leaks {
    tasks: Vec<String>,
    unnamed: usize,
    descriptors: Vec<String>,
    longest: Option<Duration>,
}

impl Leaks {
    /// Allows nothing.
    pub fn none() -> Self {
        Self::default()
    }

    /// Allows tasks of stoppers whose name begins with `name`, also when their stopper is dropped.
    #[must_use]
    pub fn allow_task(mut self, name: impl Into<String>) -> Self {
        self.tasks.push(name.into());
        self
    }

    /// Allows so many tasks that no stopper spawned: those of a library, say.
    #[must_use]
    pub fn allow_unnamed_tasks(mut self, count: usize) -> Self {
        self.unnamed += count;
        self
    }

    /// Allows descriptors whose target in `/proc/self/fd` contains `target`: `inotify`, `socket:`, a path.
    #[must_use]
    pub fn allow_descriptors(mut self, target: impl Into<String>) -> Self {
        self.descriptors.push(target.into());
        self
    }

    /// The test may take so long, instead of 15 minutes.
    #[must_use]
    pub fn longest(mut self, longest: Duration) -> Self {
        self.longest = Some(longest);
        self
    }

    /// [`leak_checked`] with these exceptions.
    pub fn check(&self, test: impl AsyncFnOnce()) {
        let alone = alone::is_alone();
        self.run(Clock::Paused, alone, test);
    }

    /// [`leak_checked_live`] with these exceptions.
    pub fn check_live(&self, test: impl AsyncFnOnce()) {
        if alone::is_alone() {
            alone::die_with_parent();
            self.run(Clock::Real, true, test);
        } else {
            alone::run_alone();
        }
    }

    fn run(&self, clock: Clock, alone: bool, test: impl AsyncFnOnce()) {
        // The first runtime with I/O opens a pair of sockets for signals, which stay for the life of the process.
        drop(runtime(clock));
        let before = descriptors::open();
        let watch = Watch::default();
        let runtime = runtime(clock);
        let _clock = clock.enter();
        let result = {
            let _subscriber = tracing::subscriber::set_default(watch.clone());
            catch_unwind(AssertUnwindSafe(|| {
                runtime.block_on(async {
                    in_time(self.longest.unwrap_or(LONGEST), test()).await;
                    self.leaked_tasks(clock, &watch).await
                })
            }))
        };
        let stopping = Instant::now();
        runtime.shutdown_timeout(GRACE);
        let mut leaked = result.unwrap_or_else(|panic| resume_unwind(panic));
        leaked.aborted = watch.aborted();
        leaked.aborted.retain(|name| !self.allows(name));
        leaked.blocking = stopping.elapsed() >= GRACE;
        if alone {
            leaked.descriptors = self.leaked_descriptors(&before);
        }
        if let Some(report) = leaked.report() {
            panic!("{report}");
        }
    }

    /// Gives tasks that were asked to end the time to do so.
    async fn leaked_tasks(&self, clock: Clock, watch: &Watch) -> Leaked {
        let end = Instant::now() + GRACE;
        let mut round = 0;
        loop {
            let leaked = self.tasks_now(watch);
            let over = match clock {
                Clock::Paused => round == YIELDS,
                Clock::Real => Instant::now() >= end,
            };
            if over || (leaked.named.is_empty() && leaked.unnamed == 0) {
                return leaked;
            }
            match clock {
                Clock::Real if round >= YIELDS => tokio::time::sleep(Duration::from_millis(2)).await,
                _ => tokio::task::yield_now().await,
            }
            round += 1;
        }
    }

    fn tasks_now(&self, watch: &Watch) -> Leaked {
        let (mut named, alive) = (watch.running(), Handle::current().metrics().num_alive_tasks());
        let unnamed = alive.saturating_sub(named.len()).saturating_sub(self.unnamed);
        named.retain(|name| !self.allows(name));
        Leaked { named, unnamed, ..Leaked::default() }
    }

    fn allows(&self, task: &str) -> bool {
        self.tasks.iter().any(|allowed| task.starts_with(allowed))
    }

    /// Threads close their descriptors when they get to it: waits for them.
    fn leaked_descriptors(&self, before: &BTreeMap<i32, String>) -> Vec<String> {
        let end = Instant::now() + GRACE;
        loop {
            let mut leaked = descriptors::new_since(before);
            leaked.retain(|target| !self.descriptors.iter().any(|allowed| target.contains(allowed)));
            if leaked.is_empty() || Instant::now() >= end {
                return leaked;
            }
            std::thread::park_timeout(Duration::from_millis(2));
        }
    }
}

fn runtime(clock: Clock) -> Runtime {
    let mut builder = Builder::new_current_thread();
    match clock {
        Clock::Paused => builder.enable_time().start_paused(true),
        Clock::Real => builder.enable_all(),
    };
    builder.build().expect("a runtime needs only a few descriptors")
}

/// What a test left behind.
#[derive(Debug, Default)]
struct Leaked {
    named: Vec<String>,
    unnamed: usize,
    aborted: Vec<String>,
    blocking: bool,
    descriptors: Vec<String>,
}

impl Leaked {
    /// What to tell the author of the test, if anything leaked.
    fn report(&self) -> Option<String> {
        let mut lines = String::new();
        let mut line = |text: String| writeln!(lines, "  {text}").expect("a string takes any text");
        for name in &self.named {
            line(format!("the task {name:?} still runs: stop its stopper and await the end"));
        }
        if self.unnamed > 0 {
            line(format!("{} task(s) that no Stopper spawned still run: drop or join their owner", self.unnamed));
        }
        for name in &self.aborted {
            line(format!("a Stopper was dropped while its task {name:?} ran: call stop() and await it"));
        }
        if self.blocking {
            line(format!("a blocking call did not return within {GRACE:?}"));
        }
        for target in &self.descriptors {
            line(format!("the descriptor {target} is still open"));
        }
        let help = "rosterd_testkit::Leaks allows what has to outlive a test";
        (!lines.is_empty()).then(|| format!("the test left this behind:\n{lines}  ({help})"))
    }
}

#[cfg(test)]
mod tests;
