//! What a mechanism is to the rest of rosterd: a configuration that builds discoverers.

use std::any::Any;
use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rosterd_client::{Identity, System};
use rosterd_model::{Problem, TargetGroup};
use rosterd_tasks::{Guard, Stopper};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Discoverer, Error, Mechanism, Permission};

/// The configuration of a mechanism: one entry of its `<name>_sd_configs`.
///
/// Its `Default` holds every default, with `#[serde(default, deny_unknown_fields)]` on the type. Secrets are
/// [`Secret`](rosterd_model), so that a serialised configuration can be shown.
pub trait MechanismConfig: DeserializeOwned + Serialize + PartialEq + Clone + Debug + Send + Sync + 'static {
    /// The name of the mechanism, `http` for `http_sd_configs`.
    const MECHANISM: &'static str;

    /// Metrics of this mechanism beyond those every provider has; `()` if there are none.
    type Metrics: MechanismMetrics;

    /// What all discoverers of this mechanism in one agent have in common: watches, credentials, connections; `()` if
    /// nothing. Mechanisms that name the same type have one in common.
    type Shared: MechanismShared;

    /// Says what is read, and as whom: two configurations that say the same find the same data, and what one has found may
    /// be taken for the other's after a restart. Intervals, timeouts, limits and the way to the source do not count. What it
    /// says of a configuration stays the same for ever. People are shown it where they look at the provider, without secrets;
    /// what they should not see is said [quietly](Identity::quietly).
    fn identity(&self, id: &mut Identity);

    /// The same where the machine says something of it: whom the environment names is as good as whom the configuration does.
    fn identity_on(&self, id: &mut Identity, _system: &System) {
        self.identity(id);
    }

    /// Hands over each text in which `${VARIABLES}` of the environment stand for their values, with its path; before anything is
    /// checked.
    fn expand(&mut self, _expand: &mut Expand<'_>) {}

    /// All that is wrong with the configuration.
    fn check(&self, _cx: &CheckContext) -> Vec<Problem> {
        Vec::new()
    }

    /// Makes relative paths absolute; `base` is the folder of the configuration file.
    fn resolve_paths(&mut self, _base: &Path) {}

    /// What a look at the files that it names shows. Only checks look, after the paths were made absolute: whoever runs
    /// finds out by itself, and goes on when a file comes back.
    fn examine(&self, _cx: &CheckContext) -> Vec<Finding> {
        Vec::new()
    }

    /// What it has to be allowed in the API of Kubernetes, if it asks that; `own` is the namespace in which rosterd runs.
    fn permissions(&self, _own: &str) -> Vec<Permission> {
        Vec::new()
    }

    /// The interval of a polling mechanism.
    fn refresh_interval(&self) -> Option<Duration> {
        None
    }

    /// Makes a discoverer. Fails on what only shows now: an unreadable certificate, say.
    fn build(&self, cx: Build<'_, Self>) -> Result<Box<dyn Discoverer>, Error>;
}

/// Puts values of the environment into a text that stands at a path of the configuration.
pub type Expand<'a> = dyn FnMut(&str, &mut String) + 'a;

/// What [`MechanismConfig::build`] is given.
#[derive(Debug)]
pub struct Build<'a, C: MechanismConfig> {
    /// The mechanism's own metrics, registered once for all its discoverers.
    pub metrics: &'a C::Metrics,
    /// What all discoverers of the mechanism in this agent have in common, and those of others that name the same type.
    pub shared: &'a Arc<C::Shared>,
    /// The name of the provider, for logs.
    pub provider: &'a str,
    /// The machine, with the environment as the command line saw it. A mechanism looks at no other.
    pub system: &'a System,
    /// For what reads several sources: a panic in the reading of one is caught, and that one is unread.
    pub guard: &'a Guard,
}

/// What the discoverers of one mechanism in one agent share, or of all that name the same type. It is made when the first of
/// them is built, as a part of that: if it panics, it is tried again. Its owner is stopped after the last one has ended.
pub trait MechanismShared: Debug + Send + Sync + Sized + 'static {
    /// Makes it. What it spawns belongs to `owner`, which lives as long as the agent.
    fn start(owner: &Stopper, system: &System) -> Self;
}

impl MechanismShared for () {
    fn start(_: &Stopper, _: &System) {}
}

/// [`Build`] for any mechanism: what its [`Mechanism`](crate::Mechanism) made, and the rest.
#[derive(Debug)]
pub struct AnyBuild<'a> {
    /// What the mechanism registered.
    pub metrics: &'a (dyn Any + Send + Sync),
    /// What its discoverers share.
    pub shared: &'a Arc<dyn Any + Send + Sync>,
    /// The name of the provider, for logs.
    pub provider: &'a str,
    /// The machine.
    pub system: &'a System,
    /// Catches panics in the reading of one source.
    pub guard: &'a Guard,
}

/// Metrics that a mechanism registers once.
pub trait MechanismMetrics: Send + Sync + Sized + 'static {
    /// Registers the metrics.
    fn register(registry: &prometheus::Registry) -> Result<Self, prometheus::Error>;
}

impl MechanismMetrics for () {
    fn register(_: &prometheus::Registry) -> Result<Self, prometheus::Error> {
        Ok(())
    }
}

/// What checks of a configuration may depend on besides the configuration itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CheckContext {
    /// Whether configured commands may be run (`--enable-exec-sd`).
    pub allow_exec: bool,
}

/// What a look at the files of a configuration shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// Something named in the configuration is not there.
    Missing(Problem),
    /// As it is, something in the configuration has no effect.
    Idle(Problem),
    /// What is found has no address, which the rules of the job have to give it.
    NoAddress(Problem),
    /// Something is wrong in another file.
    Elsewhere(rosterd_yaml::Problem),
    /// Target groups that can be told without asking anybody, for the job to try its rules on.
    Groups {
        /// The list that they stand in; none for the configuration itself. A group's place there is its index.
        file: Option<PathBuf>,
        /// All groups of the list.
        groups: Vec<TargetGroup>,
    },
}

/// A [`MechanismConfig`] of any mechanism.
pub trait AnyConfig: Debug + Send + Sync + 'static {
    /// The name of the mechanism.
    fn mechanism(&self) -> &'static str;

    /// The mechanism, whether it is registered or not.
    fn registration(&self) -> Mechanism;

    /// What is read, and as whom: the same in every version, and on every machine that says the same of it.
    fn identified(&self, system: &System) -> Identity;

    /// Puts values of the environment where it takes them.
    fn expand(&mut self, expand: &mut Expand<'_>);

    /// The mechanism's own checks.
    fn check(&self, cx: &CheckContext) -> Vec<Problem>;

    /// Makes relative paths absolute.
    fn resolve_paths(&mut self, base: &Path);

    /// What a look at the files that it names shows.
    fn examine(&self, cx: &CheckContext) -> Vec<Finding>;

    /// What it has to be allowed in the API of Kubernetes, if it asks that; `own` is the namespace in which rosterd runs.
    fn permissions(&self, own: &str) -> Vec<Permission>;

    /// The interval of a polling mechanism.
    fn refresh_interval(&self) -> Option<Duration>;

    /// Makes a discoverer.
    fn build(&self, cx: AnyBuild<'_>) -> Result<Box<dyn Discoverer>, Error>;

    /// Whether both are of the same mechanism and equal.
    fn equals(&self, other: &dyn AnyConfig) -> bool;

    /// The configuration as it may be shown: secrets are hidden.
    fn shown(&self) -> &dyn erased_serde::Serialize;

    /// For [`equals`](Self::equals).
    fn as_any(&self) -> &dyn Any;

    /// A copy behind a new pointer.
    fn boxed(&self) -> Box<dyn AnyConfig>;
}

impl<C: MechanismConfig> AnyConfig for C {
    fn mechanism(&self) -> &'static str {
        C::MECHANISM
    }

    fn registration(&self) -> Mechanism {
        Mechanism::of::<C>()
    }

    fn identified(&self, system: &System) -> Identity {
        let mut identity = Identity::new();
        self.identity_on(&mut identity, system);
        identity
    }

    fn expand(&mut self, expand: &mut Expand<'_>) {
        MechanismConfig::expand(self, expand);
    }

    fn check(&self, cx: &CheckContext) -> Vec<Problem> {
        MechanismConfig::check(self, cx)
    }

    fn resolve_paths(&mut self, base: &Path) {
        MechanismConfig::resolve_paths(self, base);
    }

    fn examine(&self, cx: &CheckContext) -> Vec<Finding> {
        MechanismConfig::examine(self, cx)
    }

    fn permissions(&self, own: &str) -> Vec<Permission> {
        MechanismConfig::permissions(self, own)
    }

    fn refresh_interval(&self) -> Option<Duration> {
        MechanismConfig::refresh_interval(self)
    }

    fn build(&self, cx: AnyBuild<'_>) -> Result<Box<dyn Discoverer>, Error> {
        let AnyBuild { metrics, shared, provider, system, guard } = cx;
        let metrics = metrics.downcast_ref().expect("the registry hands a mechanism its own metrics");
        let shared = Arc::clone(shared).downcast().expect("the registry hands a mechanism its own shared state");
        MechanismConfig::build(self, Build { metrics, shared: &shared, provider, system, guard })
    }

    fn equals(&self, other: &dyn AnyConfig) -> bool {
        other.as_any().downcast_ref::<C>() == Some(self)
    }

    fn shown(&self) -> &dyn erased_serde::Serialize {
        self
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn boxed(&self) -> Box<dyn AnyConfig> {
        Box::new(self.clone())
    }
}

impl PartialEq for dyn AnyConfig {
    fn eq(&self, other: &Self) -> bool {
        self.equals(other)
    }
}

impl Clone for Box<dyn AnyConfig> {
    fn clone(&self) -> Self {
        (**self).boxed()
    }
}

impl Serialize for dyn AnyConfig {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        erased_serde::serialize(self.shown(), serializer)
    }
}
