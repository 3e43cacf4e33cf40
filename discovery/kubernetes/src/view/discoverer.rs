//! The discoverer: uses watches, and says what becomes of their objects.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rosterd_discovery::{Context, Discoverer, Error, Stopped, Unreadable, Updates};
use rosterd_model::TargetGroup;
use rosterd_tasks::Guard;
use tokio::time::{Instant, sleep_until};

use super::part::{AT_ONCE, Made, Part, Used};
use super::words::{Is, Said, Saying};
use crate::cluster::{Cluster, Clusters};
use crate::config::{KubernetesConfig, Needs};
use crate::error::{AccessError, SharedError};
use crate::groups::Maker;
use crate::metrics::KubernetesMetrics;
use crate::resource::{Resource, WatchKey};
use crate::store::Key;
use crate::transport::{Access, own_namespace};
use crate::watch::Inbox;

/// How long all is kept of objects whose groups were told, at least: those who need it too begin at the same time, mostly.
pub(crate) const REST: Duration = Duration::from_secs(10);

/// What one configuration sees of a cluster.
#[derive(Debug)]
pub(crate) struct View {
    needs: Needs,
    cluster: Arc<Cluster>,
    clusters: Arc<Clusters>,
    metrics: KubernetesMetrics,
    guard: Guard,
}

impl View {
    /// Fails when it cannot be found out where the API server is.
    pub(crate) fn new(
        config: &KubernetesConfig,
        metrics: &KubernetesMetrics,
        clusters: &Arc<Clusters>,
        guard: &Guard,
    ) -> Result<Self, Error> {
        let access = Access::of(config, clusters.system())?;
        let own = if config.namespaces.own_namespace { Some(own_namespace()?) } else { None };
        let role = config.role.ok_or(AccessError::NoRole)?;
        Ok(Self {
            needs: Needs::of(config, role, own.as_deref()),
            cluster: clusters.cluster(&access)?,
            clusters: Arc::clone(clusters),
            metrics: metrics.clone(),
            guard: guard.clone(),
        })
    }
}

#[async_trait]
impl Discoverer for View {
    async fn run(self: Box<Self>, cx: Context, up: Updates) -> Result<(), Error> {
        let mut seeing = Seeing::begin(*self);
        let stop = cx.stop.clone();
        tokio::select! {
            biased;
            () = stop.cancelled() => Ok(()),
            said = seeing.see(&cx, &up) => Ok(said?),
        }
    }
}

/// How a part is, why it cannot be read, and when that is tried again.
type Health = (Is, Option<SharedError>, Option<Instant>);

/// A view that has begun.
struct Seeing {
    view: View,
    inbox: Arc<Inbox>,
    parts: Vec<Part>,
    /// Of each watch, the part that uses it, and what it is of.
    numbers: Vec<(usize, Resource)>,
    maker: Maker,
    said: Said,
    /// What changed and was not said, by part, and what may have gone with a store or a watch that knew it.
    dirty: BTreeMap<usize, BTreeSet<Key>>,
}

/// Makes all objects findable by what their groups are made of, so that others get their turn.
async fn index(parts: &[Part]) {
    for part in parts {
        while part.index() {
            tokio::task::yield_now().await;
        }
    }
}

impl Seeing {
    fn begin(view: View) -> Self {
        let View { needs, cluster, clusters, metrics, .. } = &view;
        let (inbox, mut numbers) = (Arc::<Inbox>::default(), Vec::new());
        let mut parts = Vec::with_capacity(needs.parts.len());
        for needed in &needs.parts {
            let subscribe = |key: &WatchKey| {
                let number = numbers.len();
                numbers.push((parts.len(), key.resource));
                let subscription = clusters.subscribe(cluster, key, number, &inbox, metrics);
                Used { number, key: key.clone(), subscription }
            };
            let watches = needed.watches.iter().map(subscribe).collect();
            parts.push(Part::new(needs, needed.clone(), watches));
        }
        let (maker, said) = (Maker::new(needs.role, needs.attach), Said::new(parts.len()));
        Self { view, inbox, parts, numbers, maker, said, dirty: BTreeMap::new() }
    }

    async fn see(&mut self, cx: &Context, up: &Updates) -> Result<(), Stopped> {
        self.show(cx);
        index(&self.parts).await;
        let mut rested = Instant::now() + REST;
        loop {
            // Taken first: what changes from now on rings again.
            let news = self.inbox.take();
            for (number, key) in news.keys {
                let (part, resource) = self.numbers[number];
                let concerned = self.parts[part].concerned(resource, &key);
                self.dirty.entry(part).or_default().extend(concerned);
            }
            let narrowed = self.narrow();
            let widened = news.health && self.widen();
            if widened {
                // The wider watch may know other things than the narrow one did.
                self.said.begin_anew();
            }
            if narrowed || widened {
                self.show(cx);
                index(&self.parts).await;
            }
            let forgotten = self.forgotten();
            let healths: Vec<_> = self.parts.iter().map(Part::health).collect();
            let is: Vec<Is> = healths.iter().map(|(is, ..)| *is).collect();
            let failures: Vec<_> = self.parts.iter().map(Part::failures).collect();
            let saying = self.said.next(&is, &failures);
            // What is not said to its end, or not known, stays news.
            let dirty = std::mem::take(&mut self.dirty);
            let said = self.say(&saying, &dirty, &healths, forgotten, up).await?;
            self.dirty = dirty;
            self.dirty.retain(|part, _| !said || !saying.tells(*part, is[*part]));
            if !said {
                self.said.begin_anew();
                continue;
            }
            self.said.was_said();
            if let Some(next) = healths.iter().filter_map(|(.., next)| *next).min() {
                cx.next_try(next.saturating_duration_since(Instant::now()));
            }
            let told = |index: &usize| is[*index].is_known() && self.dirty.get(index).is_none_or(BTreeSet::is_empty);
            let told: Vec<_> = match self.said.has_pictured() {
                true => (0..self.parts.len()).filter(told).map(|index| &self.parts[index]).collect(),
                false => Vec::new(),
            };
            if rested <= Instant::now() {
                for part in &told {
                    while part.thin(&self.inbox) {
                        tokio::task::yield_now().await;
                    }
                }
            }
            let can_be_thinned = told.iter().any(|part| part.can_be_thinned());
            if rested <= Instant::now() && !can_be_thinned {
                // Who was held up by news goes on after these.
                rested = Instant::now() + REST;
            }
            tokio::select! {
                biased;
                () = self.inbox.wait() => {}
                () = sleep_until(rested), if can_be_thinned => {}
            }
        }
    }

    fn forgotten(&self) -> u64 {
        self.parts.iter().map(Part::forgotten).sum()
    }

    /// Uses others in place of wider watches that came to nothing.
    fn narrow(&mut self) -> bool {
        let View { cluster, clusters, metrics, .. } = &self.view;
        let mut narrowed = false;
        for part in &mut self.parts {
            narrowed |= part.narrow(|key, number| clusters.subscribe(cluster, key, number, &self.inbox, metrics));
        }
        narrowed
    }

    /// Uses wider watches that run by now in place of narrow ones.
    fn widen(&mut self) -> bool {
        let View { cluster, clusters, .. } = &self.view;
        let mut widened = false;
        for (index, part) in self.parts.iter_mut().enumerate() {
            let left = self.dirty.entry(index).or_default();
            widened |= part.widen(left, |key, number| clusters.wider(cluster, key, number, &self.inbox));
        }
        widened
    }

    /// Shows people what is watched.
    fn show(&self, cx: &Context) {
        cx.watches(self.parts.iter().flat_map(Part::watches).collect());
    }

    /// Says what has to be said. False, and not all of it, when what it is made of was forgotten meanwhile: what was made of half of
    /// what there is must not be said.
    async fn say(
        &mut self,
        saying: &Saying,
        dirty: &BTreeMap<usize, BTreeSet<Key>>,
        healths: &[Health],
        forgotten: u64,
        up: &Updates,
    ) -> Result<bool, Stopped> {
        let Saying { picture, whole, changes, recovered, unread: failing } = saying;
        let keys_of = |index: &usize| dirty.get(index).into_iter().flatten().collect::<Vec<_>>();
        let mut made = Made::default();
        if *picture {
            let _turn = self.view.clusters.turn().await;
            let mut pieces = up.in_pieces();
            // Each part that is known is named: what is beneath it and not there is gone, and it is no news when it fails later.
            let known = healths.iter().zip(&self.parts).filter(|((is, ..), _)| is.is_known());
            made.groups.extend(known.map(|(_, part)| TargetGroup::gone(&**part.name())));
            for (index, (is, ..)) in healths.iter().enumerate() {
                if !is.is_known() {
                    made.unread.extend(self.unread(index, healths));
                    continue;
                }
                let mut place = Some(0);
                while let Some(from) = place {
                    place = self.parts[index].all_groups(from, &mut self.maker, &self.view.guard, &mut made);
                    if self.forgotten() != forgotten {
                        return Ok(false);
                    }
                    match made.is_full() {
                        true => pieces.piece(made.take()).await?,
                        false => tokio::task::yield_now().await,
                    }
                }
            }
            let groups = made.take();
            pieces.everything_but(groups, made.unread).await?;
        } else {
            for &index in whole {
                let before = keys_of(&index);
                let (mut before, mut place) = (before.chunks(AT_ONCE), Some(0));
                while let Some(from) = place {
                    match before.next() {
                        Some(keys) => self.parts[index].gone(keys, &self.maker, &mut made),
                        None => {
                            place = self.parts[index].all_groups(from, &mut self.maker, &self.view.guard, &mut made)
                        }
                    }
                    if !self.pass_on(&mut made, forgotten, up).await? {
                        return Ok(false);
                    }
                }
            }
            for &index in changes {
                let keys = keys_of(&index);
                let mut rest = &keys[..];
                while !rest.is_empty() {
                    let count =
                        self.parts[index].groups(rest.iter().copied(), &mut self.maker, &self.view.guard, &mut made);
                    rest = &rest[count..];
                    if !self.pass_on(&mut made, forgotten, up).await? {
                        return Ok(false);
                    }
                }
            }
            made.groups.extend(recovered.iter().map(|index| TargetGroup::gone(&**self.parts[*index].name())));
            if !made.groups.is_empty() {
                up.changed(made.take()).await?;
            }
            if !made.unread.is_empty() {
                up.unread(made.unread).await?;
            }
        }
        let failing: Vec<_> = failing.iter().filter_map(|index| self.unread(*index, healths)).collect();
        if !failing.is_empty() {
            up.unread(failing).await?;
        }
        Ok(true)
    }

    /// Says changes, when there are enough of them for a word; false when what they are made of was forgotten.
    async fn pass_on(&self, made: &mut Made, forgotten: u64, up: &Updates) -> Result<bool, Stopped> {
        if self.forgotten() != forgotten {
            return Ok(false);
        }
        match made.is_full() {
            true => up.changed(made.take()).await?,
            false => tokio::task::yield_now().await,
        }
        Ok(true)
    }

    fn unread(&self, index: usize, healths: &[Health]) -> Option<Unreadable> {
        let error = healths[index].1.clone()?;
        let part = &self.parts[index];
        Some(Unreadable::scope(Arc::clone(part.name()), &part.path(), error))
    }
}
