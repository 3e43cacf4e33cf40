//! The registry: which mechanisms there are. Collected at link time, immutable, handed to whoever needs it.

use std::any::{Any, TypeId};
use std::collections::BTreeMap;
use std::sync::Arc;

use rosterd_client::System;
use rosterd_model::{Coded, Priority, Problem, Retry};
use rosterd_tasks::Stopper;
use rosterd_yaml::{Cursor, Fault};

use crate::mechanism::{AnyConfig, CheckContext, MechanismConfig, MechanismMetrics, MechanismShared};

type Decode = fn(Cursor<'_>) -> Result<Box<dyn AnyConfig>, Fault>;
type Share = fn(&Stopper, &System) -> Arc<dyn Any + Send + Sync>;
type RegisterMetrics = fn(&prometheus::Registry) -> Result<Box<dyn Any + Send + Sync>, prometheus::Error>;

/// A mechanism as the registry knows it. Made by [`register!`](crate::register).
#[derive(Debug, Clone, Copy)]
pub struct Mechanism {
    /// The name, `http` for `http_sd_configs`.
    pub name: &'static str,
    /// Reads one configuration.
    pub decode: Decode,
    /// Registers the mechanism's own metrics.
    pub register_metrics: RegisterMetrics,
    /// Makes what its discoverers in one agent share.
    pub share: Share,
    /// The type of that. Mechanisms that name the same type share one.
    pub shared: fn() -> TypeId,
}

impl Mechanism {
    /// The mechanism whose configuration is `C`.
    pub const fn of<C: MechanismConfig>() -> Self {
        Self {
            name: C::MECHANISM,
            decode: |value| Ok(Box::new(C::deserialize(value)?)),
            register_metrics: |registry| Ok(Box::new(C::Metrics::register(registry)?)),
            share: |owner, system| Arc::new(C::Shared::start(owner, system)),
            shared: TypeId::of::<C::Shared>,
        }
    }

    /// The key in a `scrape_config`: `static_configs` for `static`, otherwise `<name>_sd_configs`.
    pub fn key(&self) -> String {
        Self::key_of(self.name)
    }

    /// The key of the mechanism with this name.
    pub fn key_of(name: &str) -> String {
        match name {
            "static" => "static_configs".to_owned(),
            name => format!("{name}_sd_configs"),
        }
    }
}

inventory::collect!(Mechanism);

/// A check that every configuration of every mechanism has to pass, before the mechanism's own.
#[derive(Debug, Clone, Copy)]
pub struct Validator {
    /// For messages and tests.
    pub name: &'static str,
    /// Finds what is wrong.
    pub check: fn(&dyn AnyConfig, &CheckContext) -> Vec<Problem>,
}

inventory::collect!(Validator);

inventory::submit! {
    Validator {
        name: "refresh_interval",
        check: |config, _| match config.refresh_interval() {
            Some(interval) if interval.is_zero() => vec![Problem::new(
                "refresh_interval",
                "cfg_zero_interval",
                "refresh_interval must be greater than 0; leave it out for the default",
            )],
            _ => Vec::new(),
        },
    }
}

/// Registers a mechanism by the type of its configuration, at link time.
///
/// Use it once, beside the type. A crate outside this tree does the same; its `main` names the crate
/// (`use my_mechanism as _;`) so that the linker keeps it.
#[macro_export]
macro_rules! register {
    ($config:ty) => {
        $crate::inventory::submit! { $crate::Mechanism::of::<$config>() }
    };
}

/// Two mechanisms with one name.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("two mechanisms are called {name:?}: rename one of them, or link only one")]
pub struct RegistryError {
    /// The name.
    pub name: &'static str,
}

impl Coded for RegistryError {
    fn code(&self) -> &'static str {
        "sd_duplicate_mechanism"
    }

    fn priority(&self) -> Priority {
        Priority::Operator
    }

    fn retry(&self) -> Retry {
        Retry::Never
    }
}

/// The mechanisms of one agent, by name.
#[derive(Debug, Clone)]
pub struct Registry {
    mechanisms: BTreeMap<&'static str, Mechanism>,
    validators: Vec<Validator>,
}

impl Registry {
    /// All mechanisms and validators that are linked in.
    pub fn linked() -> Result<Self, RegistryError> {
        Self::new(inventory::iter::<Mechanism>().copied(), inventory::iter::<Validator>().copied())
    }

    /// A registry of these, for tests and for agents that want fewer mechanisms than are linked in.
    pub fn new(
        mechanisms: impl IntoIterator<Item = Mechanism>,
        validators: impl IntoIterator<Item = Validator>,
    ) -> Result<Self, RegistryError> {
        let mut by_name = BTreeMap::new();
        for mechanism in mechanisms {
            if by_name.insert(mechanism.name, mechanism).is_some() {
                return Err(RegistryError { name: mechanism.name });
            }
        }
        let mut validators: Vec<_> = validators.into_iter().collect();
        validators.sort_by_key(|validator| validator.name);
        Ok(Self { mechanisms: by_name, validators })
    }

    /// A mechanism by its name.
    pub fn get(&self, name: &str) -> Option<&Mechanism> {
        self.mechanisms.get(name)
    }

    /// A mechanism by its key in a `scrape_config`.
    pub fn by_key(&self, key: &str) -> Option<&Mechanism> {
        let name = match key {
            "static_configs" => "static",
            key => key.strip_suffix("_sd_configs")?,
        };
        self.get(name)
    }

    /// All mechanisms, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Mechanism> {
        self.mechanisms.values()
    }

    /// All that is wrong with a configuration.
    pub fn check(&self, config: &dyn AnyConfig, cx: &CheckContext) -> Vec<Problem> {
        let general = self.validators.iter().flat_map(|validator| (validator.check)(config, cx));
        general.chain(config.check(cx)).collect()
    }
}
