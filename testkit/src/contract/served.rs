//! A driver for mechanisms that ask a server: the test says what the server answers, and nothing else.

use async_trait::async_trait;
use rosterd_discovery::{AnyConfig, MechanismConfig, Registry, System};

use super::{Driver, check};
use crate::Step;

/// What a server has to answer with at the moment.
#[derive(Debug, Default)]
pub struct Served {
    held: Vec<ServedGroup>,
    broken: Broken,
    index: u64,
}

/// A group that a server holds, or held once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServedGroup {
    /// Its name.
    pub name: String,
    /// Its addresses, `host:port`; none once it has gone.
    pub addresses: Vec<String>,
    is_held: bool,
}

/// What cannot be read of a server.
#[derive(Debug, Default, PartialEq, Eq)]
enum Broken {
    #[default]
    Nothing,
    One(String),
    All,
}

impl Served {
    /// The groups that it holds.
    pub fn groups(&self) -> impl Iterator<Item = &ServedGroup> {
        self.held.iter().filter(|group| group.is_held)
    }

    /// The groups that it holds, and those that it held once: whoever does not know yet that one has gone asks about it.
    pub fn all_groups(&self) -> impl Iterator<Item = &ServedGroup> {
        self.held.iter()
    }

    /// Another number after each change.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// Whether nothing can be read.
    pub fn is_broken(&self) -> bool {
        self.broken == Broken::All
    }

    /// Whether this group cannot be read, alone or with all others.
    pub fn is_broken_of(&self, group: &ServedGroup) -> bool {
        self.is_broken() || self.broken == Broken::One(group.name.clone())
    }

    /// This answer at any time, with status 500 while nothing can be read.
    #[must_use]
    pub fn answer(&self, step: Step) -> Step {
        Self::unless(self.is_broken(), step)
    }

    /// The same of one group, which may be broken alone.
    #[must_use]
    pub fn answer_of(&self, group: &ServedGroup, step: Step) -> Step {
        Self::unless(self.is_broken_of(group), step)
    }

    fn unless(is_broken: bool, step: Step) -> Step {
        let step = step.any_times();
        if is_broken { step.status(500) } else { step }
    }

    /// Holds these groups from now on, and no others.
    fn hold(&mut self, groups: &[(&str, &[&str])]) {
        for group in &mut self.held {
            (group.addresses, group.is_held) = (Vec::new(), false);
        }
        for (name, addresses) in groups {
            let addresses = addresses.iter().map(|&address| address.to_owned()).collect();
            let group = ServedGroup { name: (*name).to_owned(), addresses, is_held: true };
            match self.held.iter_mut().find(|held| held.name == *name) {
                Some(held) => *held = group,
                None => self.held.push(group),
            }
        }
    }
}

impl ServedGroup {
    /// Hosts and ports of its addresses.
    pub fn endpoints(&self) -> impl Iterator<Item = (&str, u16)> {
        self.addresses.iter().map(|address| {
            let (host, port) = address.split_once(':').expect("an address has a port");
            (host, port.parse().expect("a port is a number"))
        })
    }

    /// The hosts of its addresses. All ports are 9100.
    pub fn hosts(&self) -> impl Iterator<Item = &str> {
        self.endpoints().map(|(host, _)| host)
    }
}

/// Checks a mechanism that asks a server which holds all groups in one source: with this configuration, while the server answers what
/// `answer` makes it answer. The mechanism has to be registered, too.
///
/// ```no_run
/// # use rosterd_discovery::MechanismConfig;
/// use rosterd_testkit::{ScriptedServer, Step, contract, leak_checked_live};
///
/// # fn check<Config: MechanismConfig>(yaml: impl Fn(String) -> Config + Send + Sync + Copy) {
/// leak_checked_live(async || {
///     let server = ScriptedServer::start([]).await;
///     let config = || yaml(format!("{{server: '{}', refresh_interval: 1s}}", server.url("")));
///     contract::check_server(config, |served| {
///         let hosts: Vec<_> = served.groups().flat_map(|group| group.hosts()).collect();
///         server.then(served.answer(Step::get("/hosts")).body(hosts.join("\n")));
///     })
///     .await;
///     server.finish().await;
/// });
/// # }
/// ```
///
/// # Panics
///
/// As [`check`] does.
pub async fn check_server<C: MechanismConfig>(
    config: impl Fn() -> C + Send + Sync,
    answer: impl Fn(&Served) + Send + Sync,
) {
    check_server_on(System::default(), config, answer).await;
}

/// The same on a machine with this environment.
///
/// # Panics
///
/// As [`check`] does.
pub async fn check_server_on<C: MechanismConfig>(
    system: System,
    config: impl Fn() -> C + Send + Sync,
    answer: impl Fn(&Served) + Send + Sync,
) {
    run(system, config, answer, str::to_owned, false).await;
}

/// The same of a mechanism that makes addresses of its own of what the server holds: this one of each.
///
/// # Panics
///
/// As [`check`] does.
pub async fn check_server_with_own_addresses<C: MechanismConfig>(
    config: impl Fn() -> C + Send + Sync,
    answer: impl Fn(&Served) + Send + Sync,
    made_of: impl Fn(&str) -> String + Send + Sync,
) {
    run(System::default(), config, answer, made_of, false).await;
}

/// Checks a mechanism that asks a server for each group by itself: one of them may [be broken alone](Served::answer_of). Otherwise
/// as [`check_server`].
///
/// # Panics
///
/// As [`check`] does.
pub async fn check_catalog<C: MechanismConfig>(
    config: impl Fn() -> C + Send + Sync,
    answer: impl Fn(&Served) + Send + Sync,
) {
    run(System::default(), config, answer, str::to_owned, true).await;
}

async fn run<C: MechanismConfig>(
    system: System,
    config: impl Fn() -> C + Send + Sync,
    answer: impl Fn(&Served) + Send + Sync,
    made_of: impl Fn(&str) -> String + Send + Sync,
    is_catalog: bool,
) {
    let key = format!("{}_sd_configs", C::MECHANISM);
    let registry = Registry::linked().expect("distinct names");
    assert_eq!(registry.by_key(&key).map(|mechanism| mechanism.name), Some(C::MECHANISM), "{key} is not registered");
    check(&mut Server { system, config, answer, made_of, is_catalog, served: Served::default() }).await;
}

struct Server<F, G, M> {
    system: System,
    config: F,
    answer: G,
    made_of: M,
    is_catalog: bool,
    served: Served,
}

impl<F, G: Fn(&Served), M> Server<F, G, M> {
    fn tell(&mut self, change: impl FnOnce(&mut Served)) {
        change(&mut self.served);
        self.served.index += 1;
        (self.answer)(&self.served);
    }
}

#[async_trait]
impl<C, F, G, M> Driver for Server<F, G, M>
where
    C: MechanismConfig,
    F: Fn() -> C + Send + Sync,
    G: Fn(&Served) + Send + Sync,
    M: Fn(&str) -> String + Send + Sync,
{
    fn config(&self) -> Box<dyn AnyConfig> {
        Box::new((self.config)())
    }

    fn system(&self) -> System {
        self.system.clone()
    }

    async fn set(&mut self, groups: &[(&str, &[&str])]) {
        self.tell(|served| served.hold(groups));
    }

    async fn break_source(&mut self) -> bool {
        self.tell(|served| served.broken = Broken::All);
        true
    }

    async fn break_one(&mut self, name: &str) -> bool {
        if self.is_catalog {
            self.tell(|served| served.broken = Broken::One(name.to_owned()));
        }
        self.is_catalog
    }

    async fn heal(&mut self) {
        self.tell(|served| served.broken = Broken::Nothing);
    }

    fn made_of(&self, address: &str) -> String {
        (self.made_of)(address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(served: &Served) -> Vec<(&str, Vec<&str>)> {
        served.groups().map(|group| (&*group.name, group.hosts().collect())).collect()
    }

    #[test]
    fn what_it_held_once_is_known_and_not_held() {
        let mut served = Served::default();
        served.hold(&[("one", &["10.0.0.1:9100"]), ("two", &["10.0.0.2:9100", "10.0.0.3:9100"])]);
        assert_eq!(named(&served), [("one", vec!["10.0.0.1"]), ("two", vec!["10.0.0.2", "10.0.0.3"])]);
        served.hold(&[("two", &[])]);
        assert_eq!(named(&served), [("two", vec![])]);
        assert_eq!(served.all_groups().map(|group| &*group.name).collect::<Vec<_>>(), ["one", "two"]);
    }
}
