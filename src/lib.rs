//! rosterd finds out what runs where, keeps one agreed roster of it, and keeps everything that depends on that roster
//! in step. This library is the whole agent; the binary is a thin face of it.

/// Keeps the mechanisms of this build linked in, for the registry to find.
mod mechanisms {
    include!(concat!(env!("OUT_DIR"), "/mechanisms.rs"));
}

pub mod agent;
pub mod api;
pub mod cli;
pub mod cluster;
pub mod explain;
pub mod journal;
pub mod problem;
pub mod publish;
pub mod reconcile;
pub mod roster;
pub mod scrape;
pub mod store;
pub mod web;

pub use rosterd_revision::revision;
