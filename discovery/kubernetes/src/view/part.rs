//! A namespace of a configuration, or all: the watches that it is made of, and which groups a change concerns.

use std::collections::BTreeSet;
use std::sync::{Arc, Weak};

use rosterd_discovery::{Unreadable, Watch};
use rosterd_model::{Coded, Priority, Retry, TargetGroup};
use rosterd_tasks::{Guard, Panicked};
use tokio::time::Instant;

use super::words::Is;
use crate::config::{Needs, Part as Needed, Role};
use crate::error::SharedError;
use crate::groups::Maker;
use crate::objects::Link;
use crate::resource::{Resource, WatchKey};
use crate::store::{Key, Store, World};
use crate::watch::{Inbox, Subscription, Watched};

/// How many groups are made before others get their turn.
pub(super) const AT_ONCE: usize = 64;

/// A part, as it is watched.
#[derive(Debug)]
pub(super) struct Part {
    needed: Needed,
    role: Role,
    /// In the order in which stores are looked into.
    watches: Vec<Used>,
    name: Arc<str>,
}

/// A watch, as a part uses it.
#[derive(Debug)]
pub(super) struct Used {
    /// What it is called in the inbox.
    pub(super) number: usize,
    /// What is needed; what is watched may be more.
    pub(super) key: WatchKey,
    pub(super) subscription: Subscription,
}

impl Used {
    fn watched(&self) -> &Arc<Watched> {
        self.subscription.watched()
    }
}

/// A panic over one object.
#[derive(Debug, thiserror::Error)]
#[error("making targets of it panicked: {message}")]
struct Broken {
    message: String,
}

impl Coded for Broken {
    fn code(&self) -> &'static str {
        "sd_kubernetes_panicked"
    }

    fn priority(&self) -> Priority {
        Priority::Operator
    }

    fn retry(&self) -> Retry {
        Retry::Never
    }
}

impl Part {
    /// A part that uses these watches.
    pub(super) fn new(needs: &Needs, needed: Needed, mut watches: Vec<Used>) -> Self {
        watches.sort_by_key(|watch| watch.key.resource);
        let part = Self { name: needed.name(needs.role), role: needs.role, needed, watches };
        debug_assert!(part.watched(needs.role.resource()).is_some(), "{} are watched", needs.role.resource());
        part
    }

    /// Makes some objects findable by what their groups are made of. Returns whether there are more; until then not all that a
    /// change [concerns](Self::concerned) is found.
    pub(super) fn index(&self) -> bool {
        let primary = self.watched(self.role.resource());
        let pods = self.watched(Resource::Pod);
        for watch in &self.watches {
            let resource = watch.key.resource;
            let link = match resource {
                _ if resource == self.role.resource() => continue,
                Resource::Node => Link::Node,
                Resource::Namespace => Link::Namespace,
                Resource::Pod => Link::Pod,
                Resource::Service => Link::Service,
                Resource::ReplicaSet => Link::ReplicaSet,
                Resource::Job => Link::Job,
                Resource::Endpoints | Resource::EndpointSlice | Resource::Ingress => continue,
            };
            let linked = if matches!(link, Link::ReplicaSet | Link::Job) { pods } else { primary };
            if linked.is_some_and(|linked| linked.index(link)) {
                return true;
            }
        }
        false
    }

    /// Uses others in place of wider watches that came to nothing: `subscribe` begins to.
    /// Returns whether there were any.
    pub(super) fn narrow(&mut self, subscribe: impl Fn(&WatchKey, usize) -> Subscription) -> bool {
        let mut narrowed = false;
        for watch in &mut self.watches {
            if *watch.watched().key() != watch.key && watch.watched().health().is_lost() {
                watch.subscription = subscribe(&watch.key, watch.number);
                narrowed = true;
            }
        }
        narrowed
    }

    /// Uses wider watches that run anyway in place of its own: `subscribe` begins to. Returns whether there were any. What was known
    /// of the objects that groups are made of is `left`: a wider watch need not know them.
    pub(super) fn widen(
        &mut self,
        left: &mut BTreeSet<Key>,
        subscribe: impl Fn(&WatchKey, usize) -> Option<Subscription>,
    ) -> bool {
        let mut widened = false;
        for watch in self.watches.iter_mut().filter(|watch| *watch.watched().key() == watch.key) {
            if let Some(wider) = subscribe(&watch.key, watch.number) {
                let before = std::mem::replace(&mut watch.subscription, wider);
                if watch.key.resource == self.role.resource() {
                    let store = before.watched().store();
                    left.extend(store.keys_from(0, self.needed.namespace.as_deref()).map(|(_, key)| key));
                }
                widened = true;
            }
        }
        widened
    }

    /// What is watched, where no group is made again of an object that did not change: targets are told of nothing else.
    fn only(&self) -> Option<&Arc<Watched>> {
        match &self.watches[..] {
            [watch] => Some(watch.watched()),
            _ => None,
        }
    }

    /// Whether there is something to let go of.
    pub(super) fn can_be_thinned(&self) -> bool {
        self.only().is_some_and(|watched| watched.can_be_thinned())
    }

    /// Lets go of some of what groups were made of, all of which were told, where it is not needed again. Returns whether there is
    /// more to let go of now.
    pub(super) fn thin(&self, inbox: &Inbox) -> bool {
        self.only().is_some_and(|watched| watched.thin(inbox))
    }

    /// The watches, for people.
    pub(super) fn watches(&self) -> impl Iterator<Item = Weak<dyn Watch>> {
        self.watches.iter().map(|watch| {
            let watched: Weak<Watched> = Arc::downgrade(watch.watched());
            watched as Weak<dyn Watch>
        })
    }

    /// How often what it is made of has failed.
    pub(super) fn failures(&self) -> u64 {
        self.watches.iter().map(|watch| watch.watched().health().failures).sum()
    }

    /// What it is called as a source.
    pub(super) fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// What the names of its objects as sources begin with, before a slash.
    pub(super) fn path(&self) -> String {
        self.needed.path(self.role)
    }

    fn watched(&self, resource: Resource) -> Option<&Arc<Watched>> {
        self.watches.iter().find(|watch| watch.key.resource == resource).map(Used::watched)
    }

    /// How it is; why it cannot be read, if it cannot; and when that is tried again.
    pub(super) fn health(&self) -> (Is, Option<SharedError>, Option<Instant>) {
        let healths: Vec<_> = self.watches.iter().map(|watch| watch.watched().health()).collect();
        let failing = |unlisted: bool| {
            let failing = healths.iter().filter(|health| health.failure.is_some() && (!unlisted || !health.listed));
            failing.max_by_key(|health| health.failure.as_ref().map(Coded::priority))
        };
        let listed = healths.iter().all(|health| health.listed);
        let (is, health) = match (listed, failing(!listed)) {
            (true, None) => (Is::Known, None),
            (true, failing) => (Is::Stale, failing),
            (false, None) => (Is::Awaited, None),
            (false, failing) => (Is::Unknown, failing),
        };
        (is, health.and_then(|health| health.failure.clone()), health.and_then(|health| health.next_try))
    }

    /// How often what it is made of was forgotten: groups that were made meanwhile are of no use.
    pub(super) fn forgotten(&self) -> u64 {
        self.watches.iter().map(|watch| watch.watched().health().forgotten).sum()
    }

    /// The groups that a change of an object concerns, by the names of their objects.
    pub(super) fn concerned(&self, resource: Resource, key: &Key) -> Vec<Key> {
        let primary = self.role.resource();
        let by = |resource: Resource, link, key: &Key| {
            let watched = self.watched(resource).map(|watched| watched.store());
            watched.map_or_else(Vec::new, |store| store.by(link, &key.namespace, &key.name).collect())
        };
        let mut keys = match resource {
            _ if resource == primary => vec![key.clone()],
            Resource::Node => by(primary, Link::Node, key),
            Resource::Namespace => by(primary, Link::Namespace, key),
            Resource::Service => by(primary, Link::Service, key),
            Resource::Pod => by(primary, Link::Pod, key),
            Resource::ReplicaSet | Resource::Job => {
                let link = if resource == Resource::Job { Link::Job } else { Link::ReplicaSet };
                let pods = by(Resource::Pod, link, key);
                match primary {
                    Resource::Pod => pods,
                    _ => pods.iter().flat_map(|pod| by(primary, Link::Pod, pod)).collect(),
                }
            }
            Resource::Endpoints | Resource::EndpointSlice | Resource::Ingress => Vec::new(),
        };
        // A watch may cover more than this part.
        if let Some(namespace) = &self.needed.namespace {
            keys.retain(|key| key.namespace == *namespace || primary == Resource::Node);
        }
        keys
    }

    /// Makes some groups of all objects, of those from a place on; returns the place to go on from, if that was not the end.
    pub(super) fn all_groups(&self, place: usize, maker: &mut Maker, guard: &Guard, made: &mut Made) -> Option<usize> {
        let watched = self.watched(self.role.resource())?;
        // What was let go of comes anew, and then it was forgotten meanwhile.
        if watched.want_all() {
            return None;
        }
        let keys: Vec<_> = watched.store().keys_from(place, self.needed.namespace.as_deref()).take(AT_ONCE).collect();
        let count = self.groups(keys.iter().map(|(_, key)| key), maker, guard, made);
        let (next, _) = keys.get(count.checked_sub(1)?)?;
        Some(*next)
    }

    /// Names those of these objects that are not there, as gone.
    pub(super) fn gone(&self, keys: &[&Key], maker: &Maker, made: &mut Made) {
        let Some(watched) = self.watched(self.role.resource()) else { return };
        let store = watched.store();
        let gone = keys.iter().filter(|key| !store.has(key));
        gone.for_each(|key| made.add(TargetGroup::gone(maker.source(key))));
    }

    /// Makes groups of these objects, of as many as others may wait for; returns of how many. What panics is unread.
    pub(super) fn groups<'k>(
        &self,
        keys: impl Iterator<Item = &'k Key>,
        maker: &mut Maker,
        guard: &Guard,
        made: &mut Made,
    ) -> usize {
        let stores: Vec<_> = self.watches.iter().map(|watch| watch.watched().store()).collect();
        let world = World::of(stores.iter().map(|store| -> &Store { store }));
        let mut count = 0;
        for key in keys.take(AT_ONCE) {
            count += 1;
            match guard.call(key, || maker.group(key, world)) {
                Ok(group) => made.add(group),
                Err(Panicked(message)) => {
                    maker.begin_anew();
                    made.unread.push(Unreadable::new(maker.source(key), Broken { message }));
                }
            }
            if made.is_full() {
                break;
            }
        }
        count
    }
}

/// Groups that are about to be said, and sources of which none could be made.
#[derive(Debug, Default)]
pub(super) struct Made {
    pub(super) groups: Vec<TargetGroup>,
    pub(super) unread: Vec<Unreadable>,
    targets: usize,
}

/// How many targets make a piece.
const PIECE: usize = 1000;

impl Made {
    fn add(&mut self, group: TargetGroup) {
        self.targets += group.targets.len().max(1);
        self.groups.push(group);
    }

    /// Whether there are enough groups for a word.
    pub(super) fn is_full(&self) -> bool {
        self.targets >= PIECE
    }

    /// Takes the groups.
    pub(super) fn take(&mut self) -> Vec<TargetGroup> {
        self.targets = 0;
        std::mem::take(&mut self.groups)
    }
}

#[cfg(test)]
mod tests {
    use rosterd_discovery::MechanismMetrics as _;
    use rosterd_tasks::Supervision;

    use super::*;
    use crate::error::WatchError;
    use crate::metrics::KubernetesMetrics;

    #[test]
    fn what_only_the_narrow_watch_knew_is_gone_with_it() {
        let config = serde_yaml::from_str("{role: pod, namespaces: {names: [a]}}").expect("a configuration");
        let needs = Needs::of(&config, Role::Pod, None);
        let metrics = KubernetesMetrics::register(&prometheus::Registry::new()).expect("an empty registry");
        let (key, inbox) = (needs.parts[0].watches[0].clone(), Arc::default());
        let [narrow, wide] =
            [key.clone(), WatchKey::all(Resource::Pod, None)].map(|key| Arc::new(Watched::new(key, &metrics)));
        let pod = |namespace: &str, name: &str| {
            format!(r#"{{"metadata": {{"namespace": "{namespace}", "name": "{name}"}}}}"#)
        };
        ["x", "y"].iter().for_each(|name| narrow.learn(pod("a", name).as_bytes()));
        [("a", "y"), ("b", "z")].iter().for_each(|(namespace, name)| wide.learn(pod(namespace, name).as_bytes()));
        let used = Used { number: 0, key, subscription: narrow.subscribe(0, &inbox) };
        let mut part = Part::new(&needs, needs.parts[0].clone(), vec![used]);
        let mut left = BTreeSet::new();
        assert!(part.widen(&mut left, |_, number| Some(wide.subscribe(number, &inbox))));
        let (keys, mut made) = (left.iter().collect::<Vec<_>>(), Made::default());
        part.gone(&keys, &Maker::new(needs.role, needs.attach), &mut made);
        let gone: Vec<_> = made.take().iter().map(|group| group.source.to_string()).collect();
        assert_eq!((keys.len(), gone), (2, vec!["pod/a/x".to_owned()]));
        assert!(narrow.is_idle() && !wide.is_idle());
    }

    #[test]
    fn a_part_is_not_known_before_all_of_it_was_listed_and_does_not_fail_for_what_was() {
        let config = serde_yaml::from_str("{role: pod, attach_metadata: {node: true}}").expect("a configuration");
        let needs = Needs::of(&config, Role::Pod, None);
        let metrics = KubernetesMetrics::register(&prometheus::Registry::new()).expect("an empty registry");
        let inbox = Arc::default();
        let watched = |key: &WatchKey| Arc::new(Watched::new(key.clone(), &metrics));
        let all: Vec<_> = needs.parts[0].watches.iter().map(watched).collect();
        let of = |resource: Resource| all.iter().find(|it| it.key().resource == resource).expect("it is watched");
        let (pods, nodes) = (of(Resource::Pod), of(Resource::Node));
        let used =
            all.iter().map(|it| Used { number: 0, key: it.key().clone(), subscription: it.subscribe(0, &inbox) });
        let part = Part::new(&needs, needs.parts[0].clone(), used.collect());
        let breaks = |it: &Watched| it.breaks(WatchError::Incomplete { key: it.key().clone() });
        let health = || {
            let (is, error, _) = part.health();
            (is, error.map(|error| error.to_string().contains("nodes")))
        };
        assert_eq!(health(), (Is::Awaited, None));
        pods.learn(br#"{"metadata": {"namespace": "a", "name": "x"}}"#);
        breaks(pods);
        assert_eq!(health(), (Is::Awaited, None));
        breaks(nodes);
        assert_eq!(health(), (Is::Unknown, Some(true)));
        nodes.learn(br#"{"metadata": {"name": "n"}}"#);
        assert_eq!(health(), (Is::Stale, Some(false)));
        pods.learn(br#"{"metadata": {"namespace": "a", "name": "x"}}"#);
        assert_eq!(health(), (Is::Known, None));
    }

    #[test]
    fn of_names_alone_no_groups_are_made_and_all_is_wanted_anew() {
        let config = serde_yaml::from_str("{role: pod}").expect("a configuration");
        let needs = Needs::of(&config, Role::Pod, None);
        let metrics = KubernetesMetrics::register(&prometheus::Registry::new()).expect("an empty registry");
        let (key, inbox) = (needs.parts[0].watches[0].clone(), Arc::default());
        let watched = Arc::new(Watched::new(key.clone(), &metrics));
        let used = Used { number: 0, key, subscription: watched.subscribe(0, &inbox) };
        let part = Part::new(&needs, needs.parts[0].clone(), vec![used]);
        let pod = br#"{"metadata": {"namespace": "a", "name": "x"}, "spec": {"containers": [{}]}, "status": {"podIP": "::1"}}"#;
        watched.learn(pod);
        inbox.take();
        let guard = Supervision::default().guard("a view");
        let (mut maker, mut made) = (Maker::new(needs.role, needs.attach), Made::default());
        let forgotten = part.forgotten();
        part.all_groups(0, &mut maker, &guard, &mut made);
        assert_eq!((made.take().len(), part.can_be_thinned(), part.forgotten()), (1, true, forgotten));
        part.thin(&inbox);
        part.all_groups(0, &mut maker, &guard, &mut made);
        assert_eq!((made.take().len(), part.health().0, part.forgotten()), (0, Is::Awaited, forgotten + 1));
    }
}
