//! How long a page looks for what was asked for, before it is answered with what it has and with where it goes on: its first byte
//! is to come in a twentieth of a second, however much there is.

use std::time::Duration;

use super::super::Error;
use super::super::explain::MOST_PATIENCE;
use super::super::query::Query;

/// Unless the request says otherwise.
const PATIENCE: Duration = Duration::from_millis(20);
/// How long one looks who wants more to be looked at.
pub(super) const LONGER: &str = "10s";

/// How long a request wants that to be at most.
pub(super) fn of(query: &Query) -> Result<Duration, Error> {
    Ok(query.duration("timeout")?.unwrap_or(PATIENCE).min(MOST_PATIENCE))
}
