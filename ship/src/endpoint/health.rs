//! How the endpoint has been lately. Pure.

use std::time::{Duration, SystemTime};

use rosterd_model::Report;
use rosterd_tasks::Telling;
use tokio::time::Instant;

use crate::status::EndpointState;

/// See the module.
#[derive(Debug, Clone, Default)]
pub(super) struct Health {
    pub(super) last_error: Option<Report>,
    pub(super) last_success: Option<SystemTime>,
    trouble: Option<Trouble>,
    /// What the log knows of requests that failed.
    telling: Telling,
}

/// What is the matter since something was last taken.
#[derive(Debug, Clone, Copy)]
struct Trouble {
    state: EndpointState,
    since: Instant,
    /// The log knows of it.
    told: bool,
}

impl Health {
    pub(super) fn state(&self) -> EndpointState {
        self.trouble.map_or(EndpointState::Working, |trouble| trouble.state)
    }

    /// Since when there has been trouble, if the last request failed.
    pub(super) fn failing_since(&self) -> Option<Instant> {
        self.trouble.filter(|trouble| trouble.state == EndpointState::Failing).map(|trouble| trouble.since)
    }

    /// There was no answer, or one that asks to come again. Returns how many requests failed in a row, if this one is to be told
    /// in the log.
    pub(super) fn failed(&mut self, now: Instant, code: &'static str, error: Report) -> Option<u64> {
        let failures = self.telling.failed(code, now);
        self.trouble(EndpointState::Failing, now, error, failures.is_some());
        failures
    }

    /// Nothing of a request was taken, and nothing will be.
    pub(super) fn rejected(&mut self, now: Instant, error: Report, told: bool) {
        self.trouble(EndpointState::Rejecting, now, error, told);
    }

    /// Something was taken. Returns how long there was trouble, and how many requests failed in it, if the log knows of it.
    pub(super) fn succeeded(&mut self, now: Instant) -> Option<(Duration, Option<u64>)> {
        self.last_success = Some(SystemTime::now());
        let failures = self.telling.worked();
        let trouble = self.trouble.take().filter(|trouble| trouble.told)?;
        Some((now.saturating_duration_since(trouble.since), failures))
    }

    fn trouble(&mut self, state: EndpointState, now: Instant, error: Report, told: bool) {
        let (since, before) = self.trouble.map_or((now, false), |trouble| (trouble.since, trouble.told));
        self.trouble = Some(Trouble { state, since, told: told || before });
        self.last_error = Some(error);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::SendError;

    fn error() -> Report {
        Report::of(&SendError::Rejected { url: "http://r".to_owned(), status: 400, words: String::new() })
    }

    #[test]
    fn an_endpoint_that_answers_and_takes_nothing_does_not_work_again() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let mut health = Health::default();
        assert_eq!(health.state(), EndpointState::Working);
        assert_eq!(health.failed(start, "a", error()), Some(1));
        assert_eq!((health.state(), health.failing_since()), (EndpointState::Failing, Some(start)));
        health.rejected(start + second, error(), false);
        assert_eq!((health.state(), health.failing_since()), (EndpointState::Rejecting, None));
        assert_eq!(health.last_success, None);
        assert_eq!(health.succeeded(start + 3 * second), Some((3 * second, Some(1))));
        assert_eq!((health.state(), health.succeeded(start)), (EndpointState::Working, None));
    }

    #[test]
    fn an_outage_is_told_when_it_begins_at_growing_distances_and_with_all_its_failures_at_its_end() {
        let (start, mut health) = (Instant::now(), Health::default());
        let after = |seconds| start + Duration::from_secs(seconds);
        let fails = |health: &mut Health, from, to| -> Vec<(u64, u64)> {
            (from..to).filter_map(|second| Some((second, health.failed(after(second), "a", error())?))).collect()
        };
        assert_eq!(fails(&mut health, 0, 200), [(0, 1), (60, 61), (180, 181)]);
        assert_eq!(health.failed(after(200), "b", error()), Some(201), "another reason");
        assert_eq!(health.succeeded(after(201)), Some((Duration::from_secs(201), Some(201))));
        // One more that was under way, and one success more: nothing that the log has to know.
        assert_eq!((health.failed(after(202), "a", error()), health.succeeded(after(203))), (None, None));
    }

    #[test]
    fn the_end_of_what_the_log_does_not_know_is_not_told() {
        let mut health = Health::default();
        health.rejected(Instant::now(), error(), false);
        assert_eq!(health.succeeded(Instant::now()), None);
        assert!(health.last_success.is_some());
    }
}
