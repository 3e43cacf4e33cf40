//! One run of a discoverer, in the place of the manager.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use rosterd_discovery::{AnyConfig, Context, Discoverer, Equipment, Error, Registry, Status, System, Updates, Word};
use rosterd_model::TargetGroup;
use rosterd_tasks::{Stopper, Supervision, Task};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::{addresses, eventually, patience};

/// How long "soon after `stop` fires" is.
pub(super) const SOON: Duration = Duration::from_secs(10);
const PROVIDER: &str = "test/1";

/// A running discoverer and what it has said. It has to be [stopped](Self::stop).
#[derive(Debug)]
pub struct Run {
    stopper: Stopper,
    task: Task<Result<(), Error>>,
    words: mpsc::Receiver<Word>,
    picture: Picture,
    context: Context,
    equipment: Option<Equipment>,
    metrics: prometheus::Registry,
}

/// What the words amount to, as the manager understands them.
#[derive(Debug, Default)]
struct Picture {
    /// By source and key.
    groups: BTreeMap<(Box<str>, Box<str>), TargetGroup>,
    /// Each with what the names of sources beneath it begin with, if it is a scope.
    unread: Unread,
    /// Those of them of which nothing was ever said.
    never_read: Unread,
    /// All sources that were named as read.
    named: BTreeSet<Box<str>>,
    /// Sources of before this run of which nothing was said.
    held: BTreeSet<Box<str>>,
    has_begun: bool,
    /// Whether what is not there is gone.
    is_whole: bool,
    /// The sources of the pieces of a picture that is not whole yet.
    told: Option<BTreeSet<Box<str>>>,
    fault: Option<String>,
}

type Unread = BTreeMap<Arc<str>, Option<Arc<str>>>;

/// What the mechanism of a configuration has in an agent: for several discoverers that have it in common, each [run](Run::of) by itself. It
/// has to be ended.
pub fn equipment(system: &System, config: &dyn AnyConfig) -> Equipment {
    equipment_with(&prometheus::Registry::new(), system, config)
}

fn equipment_with(metrics: &prometheus::Registry, system: &System, config: &dyn AnyConfig) -> Equipment {
    let mechanisms = Registry::new([config.registration()], []).expect("one mechanism has one name");
    Equipment::new(&mechanisms, metrics, system.clone(), &Supervision::default())
        .expect("an empty registry takes all names")
}

impl Run {
    /// Builds a discoverer and runs it.
    pub async fn start(config: &dyn AnyConfig) -> Result<Self, Error> {
        Self::start_on(&System::default(), config).await
    }

    /// The same on a machine with this environment.
    pub async fn start_on(system: &System, config: &dyn AnyConfig) -> Result<Self, Error> {
        Self::with_equipment(system, config, |_| ()).await
    }

    /// Builds a discoverer and runs it, where these groups are known from before.
    pub async fn after(config: &dyn AnyConfig, before: Vec<TargetGroup>) -> Result<Self, Error> {
        Self::after_on(&System::default(), config, before).await
    }

    /// The same on a machine with this environment.
    pub(super) async fn after_on(
        system: &System,
        config: &dyn AnyConfig,
        before: Vec<TargetGroup>,
    ) -> Result<Self, Error> {
        let mut run = Self::start_on(system, config).await?;
        run.picture.held = before.iter().map(|group| group.source.clone()).collect();
        run.picture.groups =
            before.into_iter().map(|group| ((group.source.clone(), group.key.clone()), group)).collect();
        Ok(run)
    }

    /// Runs a discoverer.
    pub fn of(discoverer: Box<dyn Discoverer>) -> Self {
        Self::begin(discoverer, |_| ())
    }

    /// Runs a discoverer whose channel is full from the start, so that its first word waits for ever.
    pub(super) async fn blocked(system: &System, config: &dyn AnyConfig) -> Result<Self, Error> {
        Self::with_equipment(system, config, |up| {
            let filled = std::pin::pin!(up.unchanged());
            let mut nobody = std::task::Context::from_waker(std::task::Waker::noop());
            assert!(filled.poll(&mut nobody).is_ready(), "a new channel takes one word");
        })
        .await
    }

    /// Builds the discoverer with the [equipment](equipment()) of an agent of its own.
    async fn with_equipment(
        system: &System,
        config: &dyn AnyConfig,
        prepare: impl FnOnce(&Updates),
    ) -> Result<Self, Error> {
        let metrics = prometheus::Registry::new();
        let equipment = equipment_with(&metrics, system, config);
        match equipment.of(config.mechanism()).build(config, PROVIDER) {
            Ok(discoverer) => Ok(Self { equipment: Some(equipment), metrics, ..Self::begin(discoverer, prepare) }),
            Err(error) => {
                equipment.end(Instant::now() + SOON).await;
                Err(error)
            }
        }
    }

    fn begin(discoverer: Box<dyn Discoverer>, prepare: impl FnOnce(&Updates)) -> Self {
        let context = Context::detached(PROVIDER);
        let stopper = Stopper::new();
        let (up, words) = Updates::channel(&context);
        prepare(&up);
        let task = stopper.spawn("discoverer under test", discoverer.run(context.clone(), up));
        let (picture, metrics) = (Picture::default(), prometheus::Registry::new());
        Self { stopper, task, words, picture, context, equipment: None, metrics }
    }

    /// The next word; `None` when the run has ended, or none came within [`patience`].
    pub async fn next(&mut self) -> Option<Word> {
        let word = tokio::time::timeout(patience(), self.words.recv()).await.ok()??;
        self.picture.take(&word);
        Some(word)
    }

    /// Waits until the targets have exactly these addresses, in alphabetical order.
    ///
    /// # Panics
    ///
    /// When they do not come to that within [`patience`].
    pub async fn finds(&mut self, want: &[&str]) {
        let deadline = Instant::now() + patience();
        loop {
            let found = addresses(self.picture());
            if found.iter().map(String::as_str).eq(want.iter().copied()) {
                return;
            }
            let in_time = Instant::now() < deadline;
            assert!(in_time && self.next().await.is_some(), "found {found:?}, want {want:?}: {:?}", self.status());
        }
    }

    /// A word that has arrived already.
    pub fn try_next(&mut self) -> Option<Word> {
        let word = self.words.try_recv().ok()?;
        self.picture.take(&word);
        Some(word)
    }

    /// All groups that have targets, after all words so far.
    pub fn picture(&self) -> impl Iterator<Item = &TargetGroup> {
        self.picture.groups.values()
    }

    /// The sources that could not be read, after all words so far.
    pub fn unread(&self) -> impl Iterator<Item = &str> {
        self.picture.unread.keys().map(|source| &**source)
    }

    /// Those of them that count as never read: neither they nor anything beneath them was ever said.
    pub fn never_read(&self) -> impl Iterator<Item = &str> {
        let is_named = |(source, beneath): &(&Arc<str>, &Option<Arc<str>>)| {
            let named = &self.picture.named;
            let is_beneath = |it: &str| beneath.as_ref().is_some_and(|beneath| it.starts_with(&**beneath));
            named.contains(&***source) || named.iter().any(|it| is_beneath(it))
        };
        self.picture.unread.iter().filter(move |unread| !is_named(unread)).map(|(source, _)| &**source)
    }

    /// Whether the whole picture was said: what was not there at first is gone.
    pub fn is_whole(&self) -> bool {
        self.picture.is_whole
    }

    /// Whether a picture was begun in pieces and is not whole yet.
    pub fn is_in_pieces(&self) -> bool {
        self.picture.told.is_some()
    }

    /// What was wrong with a word so far, by itself or at its place.
    pub fn fault(&self) -> Option<&str> {
        self.picture.fault.as_deref()
    }

    /// What the discoverer says about itself.
    pub fn status(&self) -> Status {
        self.context.status()
    }

    /// Whether the run has ended by itself.
    pub fn has_ended(&self) -> bool {
        self.stopper.running().is_empty()
    }

    /// Whether the discoverer has told of a failed read, or has ended.
    pub fn has_failed(&self) -> bool {
        self.context.failures() > 0 || self.has_ended()
    }

    /// How often it has told of a failed read.
    pub fn failures(&self) -> u64 {
        self.context.failures()
    }

    /// The code of the failure that is told first: that a source cannot be read, or that nothing can.
    ///
    /// # Panics
    ///
    /// When none is told within [`patience`].
    pub async fn first_failure(&mut self) -> String {
        let mut code = None;
        eventually(patience(), "a failure is told", || {
            let word = self.try_next();
            let unread = word.as_ref().and_then(|word| word.unread().first());
            let unread = unread.map(|unread| unread.error.code().to_owned());
            code = unread.or_else(|| self.status().last_error.map(|failure| failure.report.code));
            code.is_some()
        })
        .await;
        code.expect("it was told")
    }

    /// How often the API was asked for what with which result, `servers ok`, as the metrics of its mechanism count it: also what never
    /// came, if it is counted from the start.
    pub fn requests(&self) -> BTreeMap<String, u64> {
        let families = self.metrics.gather();
        let family = families.iter().find(|family| family.name() == "rosterd_discovery_api_requests_total");
        let label = |metric: &prometheus::proto::Metric, name: &str| {
            metric.get_label().iter().find(|label| label.name() == name).map_or("", |label| label.value()).to_owned()
        };
        let request = |metric: &prometheus::proto::Metric| {
            let name = format!("{} {}", label(metric, "operation"), label(metric, "result"));
            (name, metric.get_counter().get_value() as u64)
        };
        family.into_iter().flat_map(|family| family.get_metric()).map(request).collect()
    }

    /// Those of them that came, in the order of their names.
    pub fn requests_that_came(&self) -> Vec<String> {
        let came = self.requests().into_iter().filter(|(_, count)| *count > 0);
        came.map(|(name, count)| format!("{name} {count}")).collect()
    }

    /// Asks the discoverer to end. Fails, with the reason, when it does not end soon, or has panicked.
    pub async fn stop(self) -> Result<Result<(), Error>, String> {
        self.context.stop.cancel();
        let mut stragglers = self.stopper.stop(SOON).await;
        if let Some(equipment) = self.equipment {
            stragglers.extend(equipment.end(Instant::now() + SOON).await);
        }
        if !stragglers.is_empty() {
            return Err(format!("the run did not end within {SOON:?} after it was stopped"));
        }
        match self.task.await {
            Some(Ok(result)) => Ok(result),
            Some(Err(panicked)) => Err(format!("the run panicked: {panicked}")),
            None => Err("the run was aborted".to_owned()),
        }
    }
}

impl Picture {
    fn take(&mut self, word: &Word) {
        if self.fault.is_none() {
            self.fault = self.fault_of(word);
        }
        let named = |source: &str| word.groups().iter().any(|group| *group.source == *source);
        let unread: Unread =
            word.unread().iter().map(|unread| (Arc::clone(&unread.source), unread.beneath.clone())).collect();
        let sources = word.groups().iter().map(|group| group.source.clone());
        let told = match word {
            Word::Piece { first: true, .. } => {
                self.told = Some(sources.clone().collect());
                BTreeSet::new()
            }
            Word::Piece { first: false, .. } | Word::Changed(_) => {
                self.told.iter_mut().for_each(|told| told.extend(sources.clone()));
                BTreeSet::new()
            }
            Word::Unread(_) | Word::Unchanged => BTreeSet::new(),
            Word::Everything(_) | Word::EverythingBut(..) | Word::Found(..) => {
                self.told = None;
                BTreeSet::new()
            }
            Word::Pieced { .. } => self.told.take().unwrap_or_default(),
        };
        let is_beneath =
            |scopes: &Unread, source: &str| scopes.values().flatten().any(|beneath| source.starts_with(&**beneath));
        self.held.retain(|source| !named(source));
        self.named.extend(sources);
        match word {
            Word::Everything(_) | Word::EverythingBut(..) | Word::Pieced { found: false, .. } => {
                if !std::mem::replace(&mut self.has_begun, true) {
                    self.never_read.clone_from(&unread);
                }
                let stays =
                    |source: &str| unread.contains_key(source) || told.contains(source) || is_beneath(&unread, source);
                self.groups.retain(|(source, _), _| stays(source) && !named(source));
                self.unread = unread;
                self.is_whole = true;
            }
            Word::Found(..) | Word::Pieced { found: true, .. } => {
                if !std::mem::replace(&mut self.has_begun, true) {
                    self.never_read.clone_from(&unread);
                }
                self.groups.retain(|(source, _), _| !named(source));
                self.unread = unread;
            }
            Word::Changed(_) | Word::Piece { .. } => {
                // What is known from before beneath a scope that was never read goes with the name of that.
                let (read, never_read): (Unread, Unread) =
                    std::mem::take(&mut self.never_read).into_iter().partition(|(source, _)| named(source));
                let goes = |source: &str| {
                    self.held.contains(source) && is_beneath(&read, source) && !is_beneath(&never_read, source)
                };
                self.groups.retain(|(source, _), _| !named(source) && !goes(source));
                self.never_read = never_read;
                self.unread.retain(|source, _| !named(source));
            }
            Word::Unread(_) => {
                let is_known = |source: &str| self.groups.keys().any(|(known, _)| **known == *source);
                let new = unread.iter().filter(|(source, _)| !self.unread.contains_key(*source));
                // One beneath a scope that was never read was not either.
                let never = new.filter(|(source, _)| is_beneath(&self.never_read, source) && !is_known(source));
                let never: Vec<_> = never.map(|(source, beneath)| (Arc::clone(source), beneath.clone())).collect();
                self.never_read.extend(never);
                self.unread.extend(unread);
            }
            Word::Unchanged => self.unread.clone_from(&self.never_read),
        }
        self.never_read.retain(|source, _| self.unread.contains_key(source));
        let held = word.groups().iter().filter(|group| !group.targets.is_empty());
        self.groups.extend(held.map(|group| ((group.source.clone(), group.key.clone()), group.clone())));
    }

    fn fault_of(&self, word: &Word) -> Option<String> {
        let begins = matches!(
            word,
            Word::Everything(_) | Word::EverythingBut(..) | Word::Found(..) | Word::Piece { first: true, .. }
        );
        if !self.has_begun && !begins && self.told.is_none() {
            return Some(format!("the first word is {word:?} and not the whole picture"));
        }
        if let Word::Piece { groups, first: false } = word {
            let Some(told) = &self.told else { return Some(format!("{word:?} continues no picture")) };
            if let Some(group) = groups.iter().find(|group| told.contains(&group.source)) {
                return Some(format!("{:?} stands in two pieces", group.source));
            }
        }
        if matches!(word, Word::Pieced { .. }) && self.told.is_none() {
            return Some(format!("{word:?} ends no picture"));
        }
        if let Some(unread) =
            word.unread().iter().find(|it| word.groups().iter().any(|group| *group.source == *it.source))
        {
            return Some(format!("{:?} has groups and is unread in one word", unread.source));
        }
        if let (Word::Unchanged, Some(source)) = (word, self.never_read.keys().next()) {
            return Some(format!("{source:?} was never read, but is said to be unchanged"));
        }
        let mut names = BTreeSet::new();
        let held = word.groups().iter().filter(|group| !group.targets.is_empty());
        let twice = held.into_iter().find(|group| !names.insert((&group.source, &group.key)));
        twice.map(|group| format!("two groups have the source {:?} and the key {:?}", group.source, group.key))
    }
}
