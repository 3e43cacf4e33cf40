//! Asks for nodes, sets watches on what is there, and follows a tree down to its leaves.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::iter::successors;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use prometheus::IntGauge;
use rosterd_discovery::Unreadable;
use rosterd_model::{Names, TargetGroup};
use rosterd_tasks::{Guard, Turns};
use zookeeper_client::{Error as Cause, EventType, OneshotWatcher, Stat};

use crate::error::{ZookeeperError, is_of_session};
use crate::member::{self, Kind};
use crate::session::Session;
use crate::tree::{Listed, Side, Tree, WatchId, parent_and_name};

/// So many requests are on their way at once.
const AT_ONCE: usize = 128;

/// A node, and what of it is to be read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    /// Its data, and its children too if they are not watched.
    Data(Arc<str>),
    /// The names of its children.
    Children(Arc<str>),
    /// Whether it is there: asked where it has to be and was not.
    Presence(Arc<str>),
}

enum Answer {
    Data(Result<(Vec<u8>, Stat, OneshotWatcher), Cause>),
    Children(Result<(Vec<String>, OneshotWatcher), Cause>),
    Presence(Result<(Option<Stat>, OneshotWatcher), Cause>),
}

/// The session is lost: what was asked for is not known.
#[derive(Debug)]
pub(crate) struct Interrupted;

/// What reading brought.
#[derive(Debug, Default)]
pub(crate) struct NodesRead {
    /// Nodes that are targets, and those that are none any more.
    pub(crate) groups: BTreeMap<Arc<str>, TargetGroup>,
    /// What could not be read.
    unread: BTreeMap<Arc<str>, ZookeeperError>,
    /// Nodes of which all that is there is known now: what was said of nodes below them may be of the past.
    pub(crate) revealed: Vec<Arc<str>>,
}

type Watch = Pin<Box<dyn Future<Output = (Arc<str>, Side, WatchId, EventType)> + Send>>;

/// The nodes below some paths as one session sees them, with its watches.
pub(crate) struct View {
    session: Arc<Session>,
    kind: Kind,
    pub(crate) roots: Vec<Arc<str>>,
    guard: Guard,
    tree: Tree,
    /// What is there and could not be read.
    unread: BTreeSet<Arc<str>>,
    /// Paths where nothing is.
    pub(crate) missing: BTreeSet<Arc<str>>,
    watches: FuturesUnordered<Watch>,
    count: Count,
    last: WatchId,
    names: Names,
}

impl View {
    /// Nothing is known yet.
    pub(crate) fn new(session: Arc<Session>, kind: Kind, roots: &[Arc<str>], guard: &Guard, gauge: &IntGauge) -> Self {
        Self {
            session,
            kind,
            roots: roots.to_vec(),
            guard: guard.clone(),
            tree: Tree::default(),
            unread: BTreeSet::new(),
            missing: BTreeSet::new(),
            watches: FuturesUnordered::new(),
            count: Count { gauge: gauge.clone(), counted: 0 },
            last: 0,
            names: Names::new(),
        }
    }

    /// One of which nothing is known yet, in the same session.
    pub(crate) fn anew(&self) -> Self {
        let gauge = &self.count.gauge;
        Self::new(Arc::clone(&self.session), self.kind, &self.roots, &self.guard, gauge)
    }

    /// Where everything begins.
    pub(crate) fn everything(&self) -> Vec<Step> {
        self.roots.iter().cloned().map(Step::Data).collect()
    }

    /// What could not be read, to be read again.
    pub(crate) fn unread(&self) -> Vec<Step> {
        self.unread.iter().cloned().map(Step::Data).collect()
    }

    /// Waits for news of what was read, and returns what has to be read for all that is there: the rest of a storm comes with
    /// the next news.
    pub(crate) async fn news(&mut self) -> (Vec<Step>, Vec<Arc<str>>) {
        let (mut steps, mut gone) = (BTreeSet::new(), Vec::new());
        let mut event = match self.watches.next().await {
            Some(event) => Some(event),
            None => std::future::pending().await,
        };
        while let Some((path, side, watch, what)) = event {
            if self.tree.is_current(&path, side, watch) {
                match (what, side) {
                    (EventType::NodeDeleted, _) => {
                        gone.extend(self.tree.remove(&path));
                        // It may be there again already.
                        steps.insert(Step::Data(path));
                    }
                    (EventType::Session, _) => {}
                    (_, Side::Data) => drop(steps.insert(Step::Data(path))),
                    (_, Side::Children) => drop(steps.insert(Step::Children(path))),
                }
            }
            event = futures_util::FutureExt::now_or_never(self.watches.next()).flatten();
        }
        self.count.set(self.watches.len());
        (steps.into_iter().collect(), gone)
    }

    /// Asks the ensemble for something, so that all events from before it are here once it has answered.
    pub(crate) fn catch_up(&self) -> impl Future<Output = Result<(), Interrupted>> + Send + use<> {
        let session = Arc::clone(&self.session);
        async move { session.client.check_stat("/").await.map(drop).map_err(|_| Interrupted) }
    }

    /// Reads these, and all below that is new. `gone` is known to be targets no more.
    pub(crate) async fn read(&mut self, steps: Vec<Step>, gone: Vec<Arc<str>>) -> Result<NodesRead, Interrupted> {
        let mut found = NodesRead::default();
        gone.into_iter().for_each(|path| found.is_gone(&path));
        let mut queue = VecDeque::from(steps);
        let (mut asked, mut turns) = (FuturesUnordered::new(), Turns::default());
        loop {
            while asked.len() < AT_ONCE
                && let Some(step) = queue.pop_front()
            {
                asked.push(ask(Arc::clone(&self.session), step));
            }
            let Some((path, answer)) = asked.next().await else { break };
            turns.next().await;
            match answer {
                Answer::Data(answer) => self.data(path, answer, &mut queue, &mut found)?,
                Answer::Children(answer) => self.children(path, answer, &mut queue, &mut found)?,
                Answer::Presence(answer) => self.presence(path, answer, &mut queue, &mut found)?,
            }
        }
        self.count.set(self.watches.len());
        Ok(found)
    }

    fn data(
        &mut self,
        path: Arc<str>,
        answer: Result<(Vec<u8>, Stat, OneshotWatcher), Cause>,
        queue: &mut VecDeque<Step>,
        found: &mut NodesRead,
    ) -> Result<(), Interrupted> {
        match answer {
            Ok((data, stat, watcher)) => {
                let (kind, names) = (self.kind, &mut self.names);
                let read = self.guard.call(&path, || member::target(kind, &path, &data, names));
                let watch = self.watch(&path, Side::Data, watcher);
                self.missing.remove(&path);
                let was_unread = self.unread.remove(&path);
                if was_unread {
                    found.revealed.push(Arc::clone(&path));
                }
                let was_target = self.tree.is_target(&path);
                let target = match read {
                    Ok(target) => target,
                    Err(panicked) => {
                        self.tree.read(&path, watch, was_target);
                        self.names = Names::new();
                        self.cannot(&path, ZookeeperError::panicked(&path, panicked), found);
                        return Ok(());
                    }
                };
                self.tree.read(&path, watch, target.is_some());
                match target {
                    Some(labels) => found.is_there(&path, labels),
                    // Named in any case: should it fail later, it is known that it was read.
                    None => found.is_gone(&path),
                }
                // What a session holds has no children.
                if stat.ephemeral_owner == 0 && !self.tree.is_listed(&path) {
                    queue.push_back(Step::Children(path));
                }
            }
            Err(Cause::NoNode) => self.is_not_there(path, queue, found),
            Err(cause) if is_of_session(&cause) => return Err(Interrupted),
            Err(cause) => self.cannot(&path, ZookeeperError::of_node(&path, cause), found),
        }
        Ok(())
    }

    fn children(
        &mut self,
        path: Arc<str>,
        answer: Result<(Vec<String>, OneshotWatcher), Cause>,
        queue: &mut VecDeque<Step>,
        found: &mut NodesRead,
    ) -> Result<(), Interrupted> {
        match answer {
            Ok((names, watcher)) => {
                let watch = self.watch(&path, Side::Children, watcher);
                if let Some(Listed { new, gone }) = self.tree.listed(&path, watch, names) {
                    queue.extend(new.into_iter().map(Step::Data));
                    for child in gone {
                        self.forget(&child, found);
                    }
                }
            }
            Err(Cause::NoNode) => self.is_not_there(path, queue, found),
            Err(cause) if is_of_session(&cause) => return Err(Interrupted),
            Err(cause) => {
                self.tree.unlisted(&path);
                self.cannot(&path, ZookeeperError::of_node(&path, cause), found);
            }
        }
        Ok(())
    }

    fn presence(
        &mut self,
        path: Arc<str>,
        answer: Result<(Option<Stat>, OneshotWatcher), Cause>,
        queue: &mut VecDeque<Step>,
        found: &mut NodesRead,
    ) -> Result<(), Interrupted> {
        match answer {
            Ok((Some(_), _)) => queue.push_back(Step::Data(path)),
            Ok((None, watcher)) => {
                let watch = self.watch(&path, Side::Data, watcher);
                self.tree.awaits(&path, watch);
                self.missing.insert(Arc::clone(&path));
                // That is an answer: nothing is there.
                found.is_gone(&path);
            }
            Err(cause) if is_of_session(&cause) => return Err(Interrupted),
            Err(cause) => self.cannot(&path, ZookeeperError::of_node(&path, cause), found),
        }
        Ok(())
    }

    /// A node is not there: of all others their parents tell when they come, but not of those where everything begins.
    fn is_not_there(&mut self, path: Arc<str>, queue: &mut VecDeque<Step>, found: &mut NodesRead) {
        self.forget(&path, found);
        if self.roots.contains(&path) {
            queue.push_back(Step::Presence(path));
        }
    }

    fn forget(&mut self, path: &Arc<str>, found: &mut NodesRead) {
        for target in self.tree.remove(path) {
            found.is_gone(&target);
        }
        if self.unread.is_empty() {
            return;
        }
        let below = format!("{path}/");
        let gone: Vec<_> = self.unread.extract_if(.., |unread| unread == path || unread.starts_with(&below)).collect();
        if !gone.is_empty() {
            found.revealed.push(Arc::clone(path));
        }
        gone.iter().for_each(|unread| found.is_gone(unread));
    }

    fn cannot(&mut self, path: &Arc<str>, error: ZookeeperError, found: &mut NodesRead) {
        self.unread.insert(Arc::clone(path));
        found.cannot(path, error);
    }

    fn watch(&mut self, path: &Arc<str>, side: Side, watcher: OneshotWatcher) -> WatchId {
        self.last += 1;
        let (path, id) = (Arc::clone(path), self.last);
        self.watches.push(Box::pin(async move { (path, side, id, watcher.changed().await.event_type) }));
        id
    }

    /// Whether all that is there could be read.
    pub(crate) fn is_complete(&self) -> bool {
        self.unread.is_empty()
    }

    /// Whether what was once said of a node may be so still: it is a target, or nobody knows, because it or a node above it
    /// could not be read.
    pub(crate) fn may_be_target(&self, path: &str) -> bool {
        let mut upwards = successors(Some(path), |path| parent_and_name(path).map(|(parent, _)| parent));
        self.tree.is_target(path) || upwards.any(|path| self.unread.contains(path))
    }
}

impl NodesRead {
    fn is_there(&mut self, path: &Arc<str>, labels: rosterd_model::Labels) {
        let group = TargetGroup { targets: vec![labels], ..TargetGroup::gone(&**path) };
        self.unread.remove(path);
        self.groups.insert(Arc::clone(path), group);
    }

    pub(crate) fn is_gone(&mut self, path: &Arc<str>) {
        self.unread.remove(path);
        self.groups.insert(Arc::clone(path), TargetGroup::gone(&**path));
    }

    fn cannot(&mut self, path: &Arc<str>, error: ZookeeperError) {
        // Data and children of one node may both be refused, or one of them.
        self.groups.remove(path);
        self.unread.insert(Arc::clone(path), error);
    }

    /// What is to be said: nodes that were read, and those that could not be, of which nobody knows what is below them.
    pub(crate) fn into_words(self) -> (Vec<TargetGroup>, Vec<Unreadable>) {
        let unread = self.unread.into_iter().map(|(path, error)| Unreadable::scope(Arc::clone(&path), &path, error));
        (self.groups.into_values().collect(), unread.collect())
    }
}

async fn ask(session: Arc<Session>, step: Step) -> (Arc<str>, Answer) {
    let client = &session.client;
    match step {
        Step::Data(path) => {
            let answer = client.get_and_watch_data(&path).await;
            (path, Answer::Data(answer))
        }
        Step::Children(path) => {
            let answer = client.list_and_watch_children(&path).await;
            (path, Answer::Children(answer))
        }
        Step::Presence(path) => {
            let answer = client.check_and_watch_stat(&path).await;
            (path, Answer::Presence(answer))
        }
    }
}

/// The part of one view in a metric of all.
#[derive(Debug)]
struct Count {
    gauge: IntGauge,
    counted: i64,
}

impl Count {
    fn set(&mut self, watches: usize) {
        let now = i64::try_from(watches).unwrap_or(i64::MAX);
        self.gauge.add(now - self.counted);
        self.counted = now;
    }
}

impl Drop for Count {
    fn drop(&mut self) {
        self.gauge.sub(self.counted);
    }
}
