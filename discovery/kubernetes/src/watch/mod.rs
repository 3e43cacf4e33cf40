//! One watch: a resource listed once and then followed, for all that need it.

mod inbox; // what users of watches are told
mod machine; // list, watch, resume: what to ask next; pure
mod notices; // what is told once
mod run; // its I/O
mod status; // how it is
#[cfg(test)]
mod tests;
mod watched; // what is known, and who is told

pub(crate) use inbox::Inbox;
pub(crate) use notices::Notices;
pub(crate) use run::{Running, Watches, run};
pub(crate) use status::Health;
pub(crate) use watched::{Subscription, Watched};
