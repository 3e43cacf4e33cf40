//! Test helpers for rosterd and for authors of discoverers.
//!
//! - [`leak_checked`] and [`leak_checked_live`] run an async test and fail it when it leaks a task, a descriptor or a
//!   running stopper; [`Leaks`] allows what has to be allowed.
//! - [`fake`] is a mechanism that a test drives through a [`fake::Probe`].
//! - [`assert_golden`] compares with a file below `testdata/`.
//! - [`eventually`], [`advance_until`] and [`Folder`] wait for conditions, and hold files.

pub mod fake;
mod files;
mod golden;
mod groups;
mod leak;
mod time;

pub use files::{Folder, fixture, testdata};
pub use golden::assert_golden;
pub use groups::{addresses, group, groups};
pub use leak::{Leaks, leak_checked, leak_checked_live};
pub use time::{advance_until, eventually, free_loopback_listener, patience};
