//! What is known of a watched resource, and who is told of changes.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::machine::Cause;
use super::status::Past;
use super::{Health, Inbox};
use crate::error::SharedError;
use crate::metrics::KubernetesMetrics;
use crate::objects::Link;
use crate::resource::WatchKey;
use crate::store::{Key, Store};

/// How many objects are looked at, at once, by whom others have to wait for.
const AT_ONCE: usize = 1000;

/// A watched resource, in the hands of its task and of its users.
#[derive(Debug)]
pub(crate) struct Watched {
    key: WatchKey,
    store: RwLock<Store>,
    state: Mutex<State>,
    /// Rung when a user comes or goes.
    users_changed: Notify,
    /// Rung when it becomes outdated.
    outdated: Notify,
    metrics: KubernetesMetrics,
    /// What of it the metrics have counted in: objects and bytes.
    counted: Mutex<(i64, i64)>,
    /// When something came last, in milliseconds of Unix time; 0 before anything has.
    pub(super) heard: AtomicU64,
}

#[derive(Debug, Default)]
pub(super) struct State {
    users: Vec<User>,
    next_user: u64,
    pub(super) health: Health,
    pub(super) past: Past,
    /// Whether a user came who needs more than was kept: until a new list has begun, none is whole.
    outdated: bool,
}

#[derive(Debug)]
struct User {
    id: u64,
    /// What the user calls this watch.
    watch: usize,
    inbox: Arc<Inbox>,
}

impl Watched {
    pub(crate) fn new(key: WatchKey, metrics: &KubernetesMetrics) -> Self {
        metrics.watches.inc();
        Self {
            store: RwLock::new(Store::new(key.resource)),
            key,
            state: Mutex::default(),
            users_changed: Notify::new(),
            outdated: Notify::new(),
            metrics: metrics.clone(),
            counted: Mutex::default(),
            heard: AtomicU64::new(0),
        }
    }

    /// What is watched.
    pub(crate) fn key(&self) -> &WatchKey {
        &self.key
    }

    /// What is known. Whoever needs several takes them in the order of resources, and lets go of them soon.
    pub(crate) fn store(&self) -> RwLockReadGuard<'_, Store> {
        self.store.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes some objects findable by what they refer to. Returns whether there are more.
    pub(crate) fn index(&self, link: Link) -> bool {
        !self.store().is_indexed(link) && self.store_mut().index(link, AT_ONCE)
    }

    /// How it is.
    pub(crate) fn health(&self) -> Health {
        self.state().health.clone()
    }

    /// A new user, who calls this watch by a number in its inbox, and needs all.
    pub(crate) fn subscribe(self: &Arc<Self>, watch: usize, inbox: &Arc<Inbox>) -> Subscription {
        let mut state = self.state();
        let id = state.next_user;
        state.next_user += 1;
        state.users.push(User { id, watch, inbox: Arc::clone(inbox) });
        drop(state);
        // From now on nobody thins it.
        self.want_all();
        self.users_changed.notify_one();
        Subscription { watched: Arc::clone(self), id }
    }

    /// Somebody needs all of each object: where no more than names was kept, all is listed anew, and until then nothing is known.
    /// Returns whether that is so.
    pub(crate) fn want_all(&self) -> bool {
        let thin = self.store().is_thin();
        if thin {
            self.update(|state| {
                state.outdated = true;
                (state.health.listed, state.health.forgotten) = (false, state.health.forgotten + 1);
            });
            self.outdated.notify_one();
        }
        thin
    }

    /// Keeps of some objects no more than their names and by which it is seen that they changed, for a user that has told all that it
    /// was told of, needs none of them again, and shares it with nobody. Returns whether there are more.
    pub(crate) fn thin(&self, inbox: &Inbox) -> bool {
        let mut store = self.store_mut();
        // Who is told of changes is told with the store in hand.
        let may = self.state().users.len() == 1 && inbox.is_empty();
        let more = may && store.thin(AT_ONCE);
        if may {
            self.count(&store);
        }
        more
    }

    /// Whether there is more than that, and one user alone.
    pub(crate) fn can_be_thinned(&self) -> bool {
        let store = self.store();
        store.has_whole() && self.state().users.len() == 1
    }

    /// Waits until all has to be listed anew.
    pub(super) async fn outdated(&self) {
        while !self.state().outdated {
            self.outdated.notified().await;
        }
    }

    /// Whether nobody uses it.
    pub(crate) fn is_idle(&self) -> bool {
        self.state().users.is_empty()
    }

    /// Waits until nobody has used it for so long.
    pub(super) async fn idle_for(&self, time: Duration) {
        loop {
            if !self.is_idle() {
                self.users_changed.notified().await;
                continue;
            }
            tokio::select! {
                () = self.users_changed.notified() => {}
                () = tokio::time::sleep(time) => if self.is_idle() { return },
            }
        }
    }

    pub(super) fn store_mut(&self) -> RwLockWriteGuard<'_, Store> {
        self.store.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Objects changed. Before all are known, nobody is told.
    pub(super) fn changed(&self, keys: &[Key]) {
        let state = self.state();
        if state.health.listed && !keys.is_empty() {
            state.users.iter().for_each(|user| user.inbox.changed(user.watch, keys.iter().cloned()));
        }
    }

    /// All objects are known.
    pub(super) fn listed(&self) {
        self.update(|state| {
            let Health { forgotten, failures, .. } = state.health;
            // What was forgotten in the middle of a list is not all.
            if !state.outdated {
                state.health = Health { listed: true, forgotten, failures, ..Health::default() };
            }
        });
    }

    /// It is up to date again.
    pub(super) fn is_well(&self) {
        if self.state().health.failure.is_some() {
            self.update(|state| (state.health.failure, state.health.next_try) = (None, None));
        }
    }

    /// It is not up to date.
    pub(super) fn failed(&self, error: SharedError, pause: Duration) {
        let next_try = Some(Instant::now() + pause);
        let mut state = self.state();
        let goes_on = state.health.failure.is_some();
        state.past.failed(&error, goes_on);
        drop(state);
        self.update(|state| {
            (state.health.failure, state.health.next_try) = (Some(error), next_try);
            state.health.failures += 1;
        });
    }

    /// What is known may be half of something: it is as if nothing were. Its users are told what there was, for what does not come
    /// again is gone.
    pub(super) async fn forget(&self) {
        // First, so that who has looked into the store meanwhile can tell, and says nothing of what it is told now.
        self.update(|state| (state.health.listed, state.health.forgotten) = (false, state.health.forgotten + 1));
        let mut place = 0;
        loop {
            let keys: Vec<_> = self.store().keys_from(place, None).take(AT_ONCE).collect();
            let Some((next, _)) = keys.last() else { break };
            place = *next;
            let keys = || keys.iter().map(|(_, key)| key.clone());
            self.state().users.iter().for_each(|user| user.inbox.changed(user.watch, keys()));
            tokio::task::yield_now().await;
        }
        self.store_mut().reset();
        self.state().outdated = false;
    }

    /// A list begins.
    pub(super) fn list_begins(&self, cause: Cause) {
        self.metrics.lists.with_label_values(&[self.key.resource.plural(), cause.name()]).inc();
        self.state().past.list_begins(cause);
        self.store_mut().begin_list();
    }

    /// How many objects are known.
    pub(super) fn objects(&self) -> usize {
        let counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner).0;
        usize::try_from(counted).unwrap_or_default()
    }

    /// Counts what there is.
    pub(super) fn count(&self, store: &Store) {
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.count_as((number(store.len()), number(store.bytes())));
    }

    fn count_as(&self, now: (i64, i64)) {
        let before = std::mem::replace(&mut *self.counted.lock().unwrap_or_else(PoisonError::into_inner), now);
        let resource = [self.key.resource.plural()];
        self.metrics.objects.with_label_values(&resource).add(now.0 - before.0);
        self.metrics.bytes.with_label_values(&resource).add(now.1 - before.1);
    }

    /// Lets its users look around.
    pub(super) fn ring(&self) {
        self.state().users.iter().for_each(|user| user.inbox.ring());
    }

    fn update(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state();
        change(&mut state);
        state.users.iter().for_each(|user| user.inbox.ring());
    }

    /// It is not up to date, for this reason.
    #[cfg(test)]
    pub(crate) fn breaks(&self, error: crate::error::WatchError) {
        self.failed(SharedError(Arc::new(error)), Duration::ZERO);
    }

    /// All objects are known: this one.
    #[cfg(test)]
    pub(crate) fn learn(&self, json: &[u8]) {
        self.store_mut().take(json, |_, _, _| ()).expect("an object");
        self.listed();
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.count_as((0, 0));
        self.metrics.watches.dec();
    }
}

/// Uses a watch until it is dropped.
#[derive(Debug)]
pub(crate) struct Subscription {
    watched: Arc<Watched>,
    id: u64,
}

impl Subscription {
    /// What is used.
    pub(crate) fn watched(&self) -> &Arc<Watched> {
        &self.watched
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.watched.state().users.retain(|user| user.id != self.id);
        self.watched.users_changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use rosterd_discovery::MechanismMetrics as _;
    use rosterd_testkit::leak_checked;

    use super::*;
    use crate::resource::Resource;

    #[test]
    fn who_used_what_was_forgotten_is_told_what_there_was() {
        leak_checked(who_used_it_is_told);
    }

    async fn who_used_it_is_told() {
        let metrics = KubernetesMetrics::register(&prometheus::Registry::new()).expect("an empty registry");
        let watched = Arc::new(Watched::new(WatchKey::all(Resource::Pod, None), &metrics));
        let inbox = Arc::<Inbox>::default();
        let _used = watched.subscribe(3, &inbox);
        // More than are looked at, at once.
        let wanted: HashSet<_> = (0..AT_ONCE + 1).map(|number| (3, Key::new("a", &number.to_string()))).collect();
        for (_, key) in &wanted {
            watched.learn(format!(r#"{{"metadata": {{"namespace": "a", "name": "{}"}}}}"#, key.name).as_bytes());
        }
        inbox.take();
        watched.forget().await;
        let news = inbox.take();
        assert_eq!((news.keys, news.health), (wanted, true));
        assert_eq!((watched.store().len(), watched.health().listed), (0, false));
    }

    #[test]
    fn how_often_it_failed_is_not_forgotten() {
        let metrics = KubernetesMetrics::register(&prometheus::Registry::new()).expect("an empty registry");
        let watched = Watched::new(WatchKey::all(Resource::Pod, None), &metrics);
        let breaks = || watched.breaks(crate::error::WatchError::Incomplete { key: watched.key().clone() });
        breaks();
        watched.listed();
        assert!(watched.health().is_well());
        breaks();
        assert_eq!((watched.health().failures, watched.health().is_well()), (2, false));
    }

    #[test]
    fn names_are_enough_for_one_user_without_news_and_nobody_takes_them_for_all() {
        leak_checked(names_are_enough);
    }

    async fn names_are_enough() {
        let metrics = KubernetesMetrics::register(&prometheus::Registry::new()).expect("an empty registry");
        let watched = Arc::new(Watched::new(WatchKey::all(Resource::Pod, None), &metrics));
        let inbox = Arc::<Inbox>::default();
        let used = watched.subscribe(3, &inbox);
        let pod = br#"{"metadata": {"namespace": "a", "name": "x"}}"#;
        watched.learn(pod);
        let thins = || {
            let (can, before) = (watched.can_be_thinned(), watched.store().bytes());
            watched.thin(&inbox);
            (can, watched.store().bytes() != before)
        };
        assert_eq!(thins(), (true, false), "there are news of its health");
        inbox.take();
        watched.changed(&[Key::new("a", "x")]);
        assert_eq!(thins(), (true, false), "there are news of an object");
        inbox.take();
        let other = watched.subscribe(0, &Arc::default());
        assert_eq!(thins(), (false, false), "another needs it");
        drop(other);
        assert_eq!(thins(), (true, true));
        assert_eq!(thins(), (false, false), "nothing is left to do");
        assert!(watched.health().listed && inbox.take().keys.is_empty(), "who uses it need not know");
        drop(used);
        let used = watched.subscribe(3, &inbox);
        assert!(!watched.health().listed && inbox.take().health);
        // A list that was taken meanwhile knows nothing of what was thin.
        watched.listed();
        assert!(!watched.health().listed);
        watched.forget().await;
        watched.learn(pod);
        assert!(watched.health().listed && watched.store().has_whole());
        drop(used);
    }
}
