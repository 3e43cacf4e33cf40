//! rosterd: service discovery and target sync from your own `prometheus.yml`.

pub mod api;
pub mod publish;
pub mod roster;
pub mod store;
pub mod web;
