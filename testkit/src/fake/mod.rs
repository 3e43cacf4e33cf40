//! A mechanism that a test drives: a configuration like any other, and a [`Probe`] that decides what it does.
//!
//! ```
//! use rosterd_discovery::{AnyConfig, Mechanism, Registry};
//! use rosterd_testkit::fake;
//!
//! let (probe, config) = fake::mechanism("a");
//! let registry = Registry::new([Mechanism::of::<fake::Config>()], [])?;
//! assert!(registry.get(AnyConfig::mechanism(&config)).is_some());
//! assert_eq!(probe.builds(), 0);
//! # Ok::<(), rosterd_discovery::RegistryError>(())
//! ```

mod config;
mod discoverer;
mod probe;
mod shared;

pub use config::Config;
pub use discoverer::FakeError;
pub use probe::{HungBuilds, Probe};
pub use shared::Shared;

/// A probe, and the configuration of the mechanism that it drives. Configurations of two calls are never equal.
pub fn mechanism(name: &str) -> (Probe, Config) {
    let probe = Probe::new();
    let config = Config { name: name.to_owned(), probe: Some(probe.clone()), ..Config::default() };
    (probe, config)
}
