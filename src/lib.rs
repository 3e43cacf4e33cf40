//! rosterd

pub mod store;
