//! The leak checker: an async test ends with nothing left behind, or fails and says what.
//!
//! Every async test of rosterd runs under it: write `#[test]` with [`leak_checked`] inside, never `#[tokio::test]`.

mod alone;
mod check;
mod descriptors;
mod in_time;
mod watch;

pub use check::{Leaks, leak_checked, leak_checked_live};
