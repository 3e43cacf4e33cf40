//! How many questions there were, and what became of them.

use std::marker::PhantomData;

use http::StatusCode;
use prometheus::{IntCounterVec, Opts, Registry};
use rosterd_client::{ClientError, Response, Tally};
use rosterd_discovery::{MechanismConfig, MechanismMetrics};

/// The metric of the mechanism with this configuration that counts what it asks: its [`MechanismConfig::Metrics`], or a part of
/// them. [`Api::counted`](crate::Api::counted) takes it.
#[derive(Debug)]
pub struct Calls<C> {
    counter: IntCounterVec,
    mechanism: PhantomData<fn() -> C>,
}

impl<C: MechanismConfig> MechanismMetrics for Calls<C> {
    fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let opts = Opts::new(
            "rosterd_discovery_api_requests_total",
            "Requests to the API of a mechanism, by operation and what came of them.",
        )
        .const_label("mechanism", C::MECHANISM);
        let counter = IntCounterVec::new(opts, &["operation", "result"])?;
        registry.register(Box::new(counter.clone()))?;
        Ok(Self { counter, mechanism: PhantomData })
    }
}

impl<C: MechanismConfig> Calls<C> {
    /// What counts these operations, for who does not ask by an [`Api`](crate::Api). All that may come of them is there from now on,
    /// so that the first failure is more than there was before.
    pub fn counter(&self, operations: &'static [&'static str]) -> Counter {
        for operation in operations {
            for result in RESULTS {
                self.counter.with_label_values(&[*operation, result]);
            }
        }
        Counter { counter: self.counter.clone(), operations }
    }
}

/// What may come of a question. That nothing has changed (`not_modified`) only few are told.
const RESULTS: [&str; 6] = ["ok", "unauthorized", "forbidden", "throttled", "refused", "failed"];

/// Counts.
#[derive(Debug, Clone)]
pub struct Counter {
    counter: IntCounterVec,
    /// Those that there are.
    operations: &'static [&'static str],
}

impl Tally for Counter {
    fn sent(&self, operation: &'static str, sent: &Result<Response, ClientError>) {
        self.count(operation, sent);
    }
}

impl Counter {
    pub(crate) fn count(&self, operation: &str, sent: &Result<Response, ClientError>) {
        let result = match sent {
            Ok(response) => of_status(response.status()),
            Err(_) => "failed",
        };
        self.add(operation, result);
    }

    /// Counts a question by what became of it: one of `ok`, `not_modified`, `unauthorized`, `forbidden`, `throttled`, `refused` and
    /// `failed`.
    pub fn add(&self, operation: &str, result: &str) {
        debug_assert!(self.operations.contains(&operation), "{operation:?} is none of {:?}", self.operations);
        self.counter.with_label_values(&[operation, result]).inc();
    }
}

#[cfg(test)]
impl Counter {
    pub(crate) fn of(counter: IntCounterVec, operations: &'static [&'static str]) -> Self {
        Self { counter, operations }
    }

    /// How often this came of that operation.
    pub(crate) fn counted(&self, operation: &str, result: &str) -> u64 {
        self.counter.with_label_values(&[operation, result]).get()
    }
}

const fn of_status(status: StatusCode) -> &'static str {
    match status.as_u16() {
        304 => "not_modified",
        401 => "unauthorized",
        403 => "forbidden",
        429 | 503 => "throttled",
        200..=399 => "ok",
        400..=499 => "refused",
        _ => "failed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_result_is_what_a_person_would_do_something_else_for() {
        for (status, want) in [
            (200, "ok"),
            (304, "not_modified"),
            (401, "unauthorized"),
            (403, "forbidden"),
            (404, "refused"),
            (429, "throttled"),
            (503, "throttled"),
            (500, "failed"),
        ] {
            assert_eq!(of_status(StatusCode::from_u16(status).expect("a status")), want, "{status}");
        }
    }
}
