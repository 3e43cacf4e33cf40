//! How the endpoint has been lately. Pure.

use std::time::{Duration, SystemTime};

use rosterd_model::Report;
use tokio::time::Instant;

use crate::status::EndpointState;

/// See the module.
#[derive(Debug, Clone, Default)]
pub(super) struct Health {
    pub(super) last_error: Option<Report>,
    pub(super) last_success: Option<SystemTime>,
    trouble: Option<Trouble>,
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

    /// There was no answer, or one that asks to come again.
    pub(super) fn failed(&mut self, now: Instant, error: Report, told: bool) {
        self.trouble(EndpointState::Failing, now, error, told);
    }

    /// Nothing of a request was taken, and nothing will be.
    pub(super) fn rejected(&mut self, now: Instant, error: Report, told: bool) {
        self.trouble(EndpointState::Rejecting, now, error, told);
    }

    /// Something was taken. Returns how long there was trouble, if the log knows of it.
    pub(super) fn succeeded(&mut self, now: Instant) -> Option<Duration> {
        self.last_success = Some(SystemTime::now());
        let trouble = self.trouble.take().filter(|trouble| trouble.told)?;
        Some(now.saturating_duration_since(trouble.since))
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
        Report::of(&SendError::Unsigned { reason: "no key".to_owned() })
    }

    #[test]
    fn an_endpoint_that_answers_and_takes_nothing_does_not_work_again() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let mut health = Health::default();
        assert_eq!(health.state(), EndpointState::Working);
        health.failed(start, error(), true);
        assert_eq!((health.state(), health.failing_since()), (EndpointState::Failing, Some(start)));
        health.rejected(start + second, error(), false);
        assert_eq!((health.state(), health.failing_since()), (EndpointState::Rejecting, None));
        assert_eq!(health.last_success, None);
        assert_eq!(health.succeeded(start + 3 * second), Some(3 * second));
        assert_eq!((health.state(), health.succeeded(start)), (EndpointState::Working, None));
    }

    #[test]
    fn the_end_of_what_the_log_does_not_know_is_not_told() {
        let mut health = Health::default();
        health.rejected(Instant::now(), error(), false);
        assert_eq!(health.succeeded(Instant::now()), None);
        assert!(health.last_success.is_some());
    }
}
