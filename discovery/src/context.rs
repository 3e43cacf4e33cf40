//! What a running discoverer is given, and where it reports how reading goes: log, metrics and status in one place.

use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use rosterd_tasks::{Machine, Schedule};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::contract::Outcome;
use crate::metrics::ProviderMetrics;
use crate::status::StatusHandle;
use crate::{Error, Status, Watch, WatchStatus};

/// What a running discoverer is given.
#[derive(Debug, Clone)]
pub struct Context {
    /// Fires when the discoverer has to end.
    pub stop: CancellationToken,
    /// The name of the provider, for logs: `<mechanism>/<hash>`.
    pub provider: Arc<str>,
    machine: Machine,
    metrics: ProviderMetrics,
    status: StatusHandle,
}

impl Context {
    pub(crate) fn new(
        stop: CancellationToken,
        provider: Arc<str>,
        machine: Machine,
        metrics: ProviderMetrics,
        status: StatusHandle,
    ) -> Self {
        // What was told of another run says nothing of this one.
        status.keep_failing(false);
        status.warn(None);
        Self { stop, provider, machine, metrics, status }
    }

    /// A context that no manager and no registry knows, for tests of a discoverer.
    pub fn detached(provider: impl Into<Arc<str>>) -> Self {
        let (stop, metrics) = (CancellationToken::new(), ProviderMetrics::detached());
        Self::new(stop, provider.into(), Machine::default(), metrics, StatusHandle::default())
    }

    /// When to read at this interval: spread over providers, and over machines with the same configuration.
    pub fn schedule(&self, interval: Duration) -> Schedule {
        Schedule::new(interval, &self.provider).on(self.machine)
    }

    /// A read failed as a whole, and the discoverer goes on; `retry_in` says when it tries again, if it knows. What is known
    /// stays. Sources that could not be read beside others that could are said with [`Updates`](crate::Updates) instead.
    pub fn failed(&self, error: &Error, retry_in: Option<Duration>) {
        let (code, provider, jobs) = (error.code(), &*self.provider, &*self.status.jobs());
        let retry = retry_in.map(tracing::field::debug);
        self.metrics.refresh_failures.inc();
        let Some(failures) = self.status.failed(error, at(retry_in)) else { return };
        if self.status.get().targets > 0 {
            warn!(%error, code, provider, jobs, failures, retry_in = retry, "refresh failed, keeping stale targets");
        } else {
            warn!(%error, code, provider, jobs, failures, retry_in = retry, "refresh failed");
        }
    }

    /// As [`failed`](Self::failed), of something that goes on failing while the rest can be read: no word ends it, before
    /// [`recovered`](Self::recovered).
    pub fn keeps_failing(&self, error: &Error, retry_in: Option<Duration>) {
        self.status.keep_failing(true);
        self.failed(error, retry_in);
    }

    /// What kept failing does not any more: the next word of success ends the failure.
    pub fn recovered(&self) {
        self.status.keep_failing(false);
    }

    /// Something that a person should know although nothing fails, from now on, or that there is nothing. It is shown as long as
    /// it is so, and told in the log once.
    pub fn warning(&self, warning: Option<&Error>) {
        if self.status.warn(warning)
            && let Some(error) = warning
        {
            let (code, provider, jobs) = (error.code(), &*self.provider, &*self.status.jobs());
            warn!(%error, code, provider, jobs, "discovery works, but not as it should");
        }
    }

    /// It reads all of its sources again and again: what it said once it says, or takes back, at each interval.
    pub(crate) fn polls(&self) {
        self.status.polls();
    }

    /// When the next read begins if nothing happens before; for people who wait for it.
    pub fn next_try(&self, wait: Duration) {
        self.status.update(|status| status.next_try = at(Some(wait)));
    }

    /// What the discoverer follows from now on, for people who look at the provider. Nothing is kept alive by that.
    pub fn watches(&self, watches: Vec<Weak<dyn Watch>>) {
        self.status.watches(watches);
    }

    /// A read took so long, whatever came of it.
    pub fn took(&self, time: Duration) {
        self.metrics.refresh_duration.observe(time.as_secs_f64());
    }

    /// What is shown of the provider now.
    pub fn status(&self) -> Status {
        self.status.get()
    }

    /// How what the discoverer follows is now.
    pub fn watched(&self) -> Vec<WatchStatus> {
        self.status.watched().iter().filter_map(Weak::upgrade).map(|watch| watch.status()).collect()
    }

    /// How often reading failed, as a whole or in part.
    pub fn failures(&self) -> u64 {
        self.metrics.refresh_failures.get()
    }

    /// A word was taken.
    pub(crate) fn said(&self, outcome: Outcome) {
        match outcome {
            Outcome::Success if self.status.keeps_failing() => {}
            Outcome::Partial if self.status.keeps_failing() => self.metrics.refresh_failures.inc(),
            Outcome::Success => {
                self.status.worked(&self.provider);
                self.status.update(|status| status.next_try = None);
            }
            // Counted once however many sources it is: how often reading fails is what alerts ask for.
            Outcome::Partial => {
                self.metrics.refresh_failures.inc();
                self.status.worked(&self.provider);
            }
            Outcome::Unread => self.metrics.refresh_failures.inc(),
            Outcome::Underway => {}
        }
    }
}

fn at(wait: Option<Duration>) -> Option<SystemTime> {
    SystemTime::now().checked_add(wait?)
}

#[cfg(test)]
mod tests {
    use rosterd_testkit::Log;

    use super::*;
    use crate::error::RunError;

    fn shown(cx: &Context) -> (Option<String>, Option<String>) {
        let status = cx.status();
        (status.last_error.map(|failure| failure.report.code), status.warning.map(|warning| warning.report.code))
    }

    #[test]
    fn what_keeps_failing_is_ended_by_a_word_only_once_it_recovered() {
        let (cx, code) = (Context::detached("test/1"), Some("sd_ended_unasked".to_owned()));
        cx.keeps_failing(&RunError::EndedUnasked.into(), None);
        for outcome in [Outcome::Success, Outcome::Partial, Outcome::Unread] {
            cx.said(outcome);
            assert_eq!(shown(&cx).0, code, "{outcome:?}");
        }
        assert_eq!(cx.failures(), 3, "the failure, and the words that name sources");
        cx.recovered();
        assert_eq!(shown(&cx).0, code);
        cx.said(Outcome::Success);
        assert_eq!(shown(&cx).0, None);
    }

    #[test]
    fn stale_targets_are_spoken_of_only_where_there_are_some() {
        let (cx, log) = (Context::detached("test/1"), Log::of("rosterd_discovery"));
        let told = |targets, error: Error| {
            cx.status.update(|status| status.targets = targets);
            tracing::subscriber::with_default(log.clone(), || cx.failed(&error, None));
            log.take()
                .iter()
                .map(|line| line.split(" error=").next().unwrap_or_default().to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(told(0, RunError::EndedUnasked.into()), ["WARN refresh failed"]);
        let other = RunError::Panicked { message: String::new() };
        assert_eq!(told(3, other.into()), ["WARN refresh failed, keeping stale targets"]);
    }

    #[test]
    fn a_warning_is_shown_as_long_as_it_is_so_and_ends_with_the_run() {
        let cx = Context::detached("test/1");
        let begin_again = || {
            let (stop, provider) = (cx.stop.clone(), Arc::clone(&cx.provider));
            Context::new(stop, provider, cx.machine, cx.metrics.clone(), cx.status.clone())
        };
        let (one, other) = (RunError::EndedUnasked.into(), RunError::Panicked { message: String::new() }.into());
        for (warning, is_told) in [(&one, true), (&one, false), (&other, true), (&one, false)] {
            assert_eq!(cx.status.warn(Some(warning)), is_told, "{warning}");
            assert_eq!(shown(&cx), (None, Some(warning.code().to_owned())));
            cx.said(Outcome::Success);
        }
        begin_again();
        assert_eq!(shown(&cx), (None, None));
        cx.keeps_failing(&one, None);
        begin_again().said(Outcome::Success);
        assert_eq!(shown(&cx), (None, None), "it is another run");
    }
}
