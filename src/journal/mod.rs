//! The journal of the agent: follows the roster and whatever else happens, and writes it down; answers what was. It never holds
//! anything up: who falls behind writes differences, and says so.

mod beginning; // what it says first; pure
mod disk; // the writer, on threads that may block
mod down; // the targets that were
mod follow; // the task
mod handle;
mod lost; // with a store; pure
pub mod metrics;
mod names; // of sources
mod opened; // as it can be had
mod providers; // what changed of them; pure
#[cfg(test)]
mod tests;
mod whys; // why the targets of a job are held; pure
mod words; // why things happened, and which time words mean; pure

pub use follow::{Journal, ListProviders};
pub use handle::{Failing, Following, JournalHandle, Rebuild, TAKEN};
pub use rosterd_journal::{
    Counts, Event, Held, JournalError, Kind, Note, Page, Past, PastDifference, Query, Settings, Time, meaning,
};
pub use words::{A_TIME, time_of, why};
