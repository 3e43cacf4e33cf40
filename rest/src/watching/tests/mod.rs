//! The watching of a catalog, on a clock that stands still while somebody works.

mod failures;
mod indexes;
mod turns;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rosterd_client::ClientError;
use rosterd_discovery::Word;
use rosterd_model::TargetGroup;
use rosterd_model::labels::ADDRESS;
use rosterd_tasks::Supervision;
use rosterd_testkit::contract::Run;
use rosterd_testkit::{addresses, leak_checked};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use super::*;
use crate::{Answer, Fault, Known, RestError};

const PACE: Pace =
    Pace { interval: Duration::from_secs(30), wait: Duration::from_secs(120), least: Duration::from_secs(1) };

/// A catalog in memory: each name has an index and a target, or fails.
#[derive(Debug, Default)]
struct Registry {
    held: Mutex<Held>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Held {
    index: u64,
    names: BTreeMap<String, (u64, String)>,
    failing: BTreeSet<String>,
    panicking: BTreeSet<String>,
    /// What fails as all does at a server that is not well.
    down: BTreeSet<String>,
    /// The names are known without asking.
    are_fixed: bool,
    /// Each name has the index of all.
    is_table: bool,
    /// No answer is held back.
    is_unheld: bool,
    /// About these nothing is answered.
    hanging: BTreeSet<String>,
    /// About these only after so much time.
    slow: BTreeMap<String, Duration>,
    /// There is a hint, with the index of all.
    hints: bool,
    /// Names and indexes of all questions.
    asked: Vec<(String, u64)>,
    /// How many questions are under way, by what they are about, and how many were at the same time.
    under_way: BTreeMap<&'static str, usize>,
    most: BTreeMap<&'static str, usize>,
}

/// In place of a name: the question about the names.
const NAMES: &str = "(names)";

/// The same of the hint.
const HINT: &str = "(hint)";

/// Questions about names one by one that wait for news, those that do not, whatever they are about, and all.
const WAITING: &str = "waiting";
const QUICK: &str = "quick";
const ALL: &str = "all";

impl Registry {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Held)) {
        change(&mut self.held());
        self.changed.notify_waiters();
    }

    /// The name has this target from now on.
    fn put(&self, name: &str, address: &str) {
        self.change(|held| {
            held.index += 1;
            held.names.insert(name.to_owned(), (held.index, address.to_owned()));
        });
    }

    /// The server is not well from now on, or it is again.
    fn set_down(&self, is_down: bool) {
        self.change(|held| {
            let all = held.names.keys().cloned().chain([NAMES.to_owned()]);
            held.down = if is_down { all.collect() } else { BTreeSet::new() };
        });
    }

    /// How often names were asked about.
    fn asked_about_names(&self) -> usize {
        self.held().asked.iter().filter(|(name, _)| name != NAMES && name != HINT).count()
    }

    /// The indexes with which was asked for this.
    fn asked(&self, what: &str) -> Vec<u64> {
        self.held().asked.iter().filter(|(name, _)| name == what).map(|(_, index)| *index).collect()
    }

    /// How many questions of these kinds there were at the same time, at most, and how many there are.
    fn counts<const N: usize>(&self, kinds: [&str; N]) -> [(usize, usize); N] {
        let held = self.held();
        let count = |of: &BTreeMap<_, usize>, kind| of.get(kind).copied().unwrap_or_default();
        kinds.map(|kind| (count(&held.most, kind), count(&held.under_way, kind)))
    }

    /// Waits for another index than the one that is known.
    async fn wait(&self, what: &str, known: Known, index: impl Fn(&Held) -> u64) -> Result<u64, Error> {
        let _under_way = UnderWay::begin(self, what, known);
        self.held().asked.push((what.to_owned(), known.index));
        let slow = self.held().slow.get(what).copied().unwrap_or_default();
        sleep(slow).await;
        let end = Instant::now() + known.wait;
        loop {
            let changed = self.changed.notified();
            let (now, hangs) = {
                let held = self.held();
                assert!(!held.panicking.contains(what), "asked about {what}");
                if held.failing.contains(what) {
                    return Err(RestError::Malformed { url: what.to_owned(), source: Fault::new("broken") }.into());
                }
                if held.down.contains(what) {
                    return Err(ClientError::Timeout { url: what.to_owned(), after: PACE.wait }.into());
                }
                if held.is_unheld {
                    return Ok(index(&held));
                }
                (index(&held), held.hanging.contains(what))
            };
            if hangs {
                changed.await;
                continue;
            }
            if known.index == 0 || now != known.index || tokio::time::timeout_at(end, changed).await.is_err() {
                return Ok(now);
            }
        }
    }
}

/// A question that is under way, until it is answered or forgotten.
struct UnderWay<'a>(&'a Registry, [&'static str; 2]);

impl<'a> UnderWay<'a> {
    fn begin(registry: &'a Registry, what: &str, known: Known) -> Self {
        let waits = known.index > 0 && known.wait > Duration::from_millis(1);
        let kind = match what {
            _ if !waits => QUICK,
            NAMES => NAMES,
            HINT => HINT,
            _ => WAITING,
        };
        let mut held = registry.held();
        for kind in [kind, ALL] {
            let now = held.under_way.entry(kind).or_default();
            *now += 1;
            let now = *now;
            let most = held.most.entry(kind).or_default();
            *most = now.max(*most);
        }
        Self(registry, [kind, ALL])
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let mut held = self.0.held();
        for kind in self.1 {
            *held.under_way.get_mut(kind).expect("it was counted") -= 1;
        }
    }
}

#[async_trait]
impl Catalog for Arc<Registry> {
    type Name = String;

    fn fixed(&self) -> Option<BTreeSet<String>> {
        let held = self.held();
        held.are_fixed.then(|| held.names.keys().cloned().collect())
    }

    async fn names(&self, known: Known) -> Result<Answer<BTreeSet<String>>, Error> {
        let index = self.wait(NAMES, known, |held| held.index).await?;
        let names = self.held().names.keys().cloned().collect();
        Ok(Answer { index, news: (known.index == 0 || index != known.index).then_some(names) })
    }

    fn hints(&self) -> Vec<String> {
        if self.held().hints { vec![HINT.to_owned()] } else { Vec::new() }
    }

    async fn hint(&self, _: usize, known: Known) -> Result<Answer<()>, Error> {
        let index = self.wait(HINT, known, |held| held.index).await?;
        Ok(Answer { index, news: None })
    }

    async fn group(&self, name: &String, known: Known) -> Result<Answer<TargetGroup>, Error> {
        let of = |held: &Held| match held.is_table {
            true => held.index,
            false => held.names.get(name).map_or(1, |(index, _)| *index),
        };
        let index = self.wait(name, known, of).await?;
        let held = self.held();
        let targets = held.names.get(name).map(|(_, address)| [(ADDRESS, address.as_str())].into_iter().collect());
        let group = TargetGroup { targets: targets.into_iter().collect(), ..TargetGroup::default() };
        Ok(Answer { index, news: (known.index == 0 || index != known.index).then_some(group) })
    }
}

fn watch(registry: &Arc<Registry>) -> Run {
    watch_at(&Server::new(), registry)
}

/// The same at a server that others ask, too.
fn watch_at(server: &Arc<Server>, registry: &Arc<Registry>) -> Run {
    let guard = Supervision::default().guard("source");
    Run::of(Watching::boxed(Arc::clone(registry), Arc::clone(server), PACE, &guard))
}

fn registry(names: &[(&str, &str)]) -> Arc<Registry> {
    let registry = Arc::<Registry>::default();
    names.iter().for_each(|(name, address)| registry.put(name, address));
    registry
}

/// Lets time pass, and takes what is said in it.
async fn pass(run: &mut Run, time: Duration) {
    let end = Instant::now() + time;
    while Instant::now() < end {
        sleep(Duration::from_millis(500)).await;
        while run.try_next().is_some() {}
    }
}

fn shown(run: &Run) -> Vec<String> {
    addresses(run.picture()).into_iter().collect()
}
