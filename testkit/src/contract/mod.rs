//! What every discoverer promises, checked on a real one: see [`Discoverer`](rosterd_discovery::Discoverer).
//!
//! A mechanism's test implements [`Driver`]: it changes, breaks and heals the source that the discoverer watches. Then
//! [`check`] does the rest. Where the source is a server, the test only says what that answers: [`check_server`], or
//! [`check_catalog`]. Run it within [`leak_checked`](crate::leak_checked), or within
//! [`leak_checked_live`](crate::leak_checked_live) when the mechanism uses sockets or real files.

mod faults;
mod promises;
mod run;
mod served;
mod sharing;

use async_trait::async_trait;
use rosterd_discovery::{AnyConfig, System};

pub use faults::check_faults;
pub use promises::{Violation, violations};
pub use run::{Run, equipment};
pub use served::{Served, ServedGroup, check_catalog, check_server, check_server_on, check_server_with_own_addresses};
pub use sharing::{failures_in_turn, shared_by};

/// The source that a discoverer watches, in the hands of a test.
#[async_trait]
pub trait Driver: Send {
    /// The configuration of a discoverer that watches the source. A short interval makes the checks fast.
    fn config(&self) -> Box<dyn AnyConfig>;

    /// The machine that it runs on, for what its environment says.
    fn system(&self) -> System {
        System::default()
    }

    /// Makes the source hold exactly these groups: a name for each and its addresses, `host:port`. All ports are 9100
    /// and all hosts IPv4 addresses. The names need not be the `source` of the groups that the discoverer makes.
    async fn set(&mut self, groups: &[(&str, &[&str])]);

    /// Makes the source impossible to read; `false` when it cannot be broken.
    async fn break_source(&mut self) -> bool;

    /// Makes what holds the group of this name impossible to read, and nothing else; `false` where one source holds all
    /// groups, or none can be broken.
    async fn break_one(&mut self, _name: &str) -> bool {
        false
    }

    /// Undoes [`break_source`](Self::break_source) and [`break_one`](Self::break_one). The source holds what it held before, or what was set since.
    async fn heal(&mut self);

    /// What becomes of an address of [`set`](Self::set), where a discoverer makes its own of what the source holds.
    fn made_of(&self, address: &str) -> String {
        address.to_owned()
    }

    /// Whether a running discoverer notices that the source has changed; otherwise a change is a new configuration.
    fn follows_changes(&self) -> bool {
        true
    }
}

/// Checks all promises.
///
/// # Panics
///
/// When one is broken: all broken ones are named, with what happened instead.
pub async fn check(driver: &mut dyn Driver) {
    let violations = violations(driver).await;
    let report: Vec<_> = violations.iter().map(Violation::to_string).collect();
    assert!(report.is_empty(), "the discoverer breaks its contract:\n  {}", report.join("\n  "));
}

#[cfg(test)]
mod tests;
