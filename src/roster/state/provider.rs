//! A provider as the roster knows it: its groups, its presence, and which of its sources are not simply read.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rosterd_discovery::{Attention, ProviderKey, SeenSources, UnreadSources, Update};
use rosterd_model::{Report, SourceId};
use tokio::time::Instant;

use crate::roster::archive::{Archive, BlockChange, Edit};
use crate::roster::block::{Block, BlockId};
use crate::roster::clock::Now;
use crate::roster::head::{Head, HeldBy};
use crate::roster::hold::{Held, Hold, HoldReason};
use crate::roster::view::{ProviderPresence, ProviderSize, ProviderView};

use super::hidden::{Hidden, hiding};

/// The providers, by key.
pub(super) type Providers = BTreeMap<ProviderKey, Provider>;

#[derive(Debug)]
pub(super) struct Provider {
    pub(super) archive: Archive,
    pub(super) presence: ProviderPresence,
    /// Whether a job of the configuration uses it; otherwise some job holds it.
    pub(super) used: bool,
    /// The jobs that use it or, where it says how, hold it.
    pub(super) users: BTreeMap<Arc<str>, Option<HeldBy>>,
    /// When it became wanted: grace counts from there.
    wanted: Instant,
    /// Whether it did not report within its time of grace.
    pub(super) overdue: bool,
    /// Whether anything was ever known of its targets, were it that there are none.
    pub(super) known: bool,
    /// Why its groups are those from before, and since when, if they are.
    from_before: Hold,
    /// Sources that were never read and of which nothing is stored.
    pub(super) missing: BTreeMap<SourceId, MissingSource>,
    /// Sources of which groups are stored and that were not read since some start of rosterd: they could not be, or were not
    /// there yet.
    unread: Arc<BTreeMap<SourceId, Hold>>,
    /// Those of them that are in and beneath scopes which it told as hiding something.
    hidden: Hidden,
    /// The sources that were read, as it told last, as long as others may still come.
    seen: Option<Arc<SeenSources>>,
    /// All sources that it could not read lately, as it told last.
    told: Arc<UnreadSources>,
    /// How it is asked to tell of each reading, once it has reported to this process.
    attention: Option<Attention>,
    /// What is stored beside its blocks.
    pub(super) head: Option<Head>,
    /// How much of it metrics show.
    pub(super) shown: Option<ProviderSize>,
}

/// A source of which nothing is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MissingSource {
    pub(super) name: Arc<str>,
    /// What the names of the sources beneath it begin with, if it is a scope.
    pub(super) beneath: Option<Arc<str>>,
    /// When it became wanted.
    wanted: Instant,
    /// Whether it could not be read within its time of grace.
    pub(super) overdue: bool,
    /// Why not, the last time.
    pub(super) report: Option<Report>,
}

impl MissingSource {
    /// Its name and what those beneath it begin with, if it is a scope.
    fn scope(&self) -> Option<(Arc<str>, Arc<str>)> {
        Some((Arc::clone(&self.name), self.beneath.clone()?))
    }
}

/// What an update did to a provider.
#[derive(Debug, Default)]
pub(super) struct TakenUpdate {
    pub(super) changes: Vec<BlockChange>,
    /// Whether something else is held or missing.
    pub(super) presence_changed: bool,
    /// Whether groups that are stored are held for another reason, or no longer.
    pub(super) held_changed: bool,
    /// Whether other sources are missing, or it has only now reported: others may be held in their place, or no longer.
    pub(super) misses_others: bool,
}

impl Provider {
    /// A provider of which nothing is known.
    pub(super) fn unsynced(now: Now) -> Self {
        Self {
            archive: Archive::default(),
            presence: ProviderPresence::Unsynced,
            used: true,
            users: BTreeMap::new(),
            wanted: now.instant,
            overdue: false,
            known: false,
            from_before: Hold::new(HoldReason::Restored, now.wall),
            missing: BTreeMap::new(),
            unread: Arc::default(),
            hidden: Hidden::default(),
            seen: None,
            told: Arc::default(),
            attention: None,
            head: None,
            shown: None,
        }
    }

    /// A provider of which this was stored.
    pub(super) fn restored(blocks: BTreeMap<BlockId, Arc<Block>>, head: Head, now: Now) -> Self {
        let missing = head.missing.iter().map(|(name, overdue)| {
            let beneath = head.scopes.get(name).cloned();
            let name = Arc::clone(name);
            let id = SourceId::of(&name);
            (id, MissingSource { name, beneath, wanted: now.instant, overdue: *overdue, report: None })
        });
        let hold = |since: &SystemTime| Hold::new(HoldReason::Unread, *since);
        let reason = if head.replaced { HoldReason::Replaced } else { HoldReason::Restored };
        Self {
            archive: Archive::restore(blocks),
            presence: if head.reported { ProviderPresence::Restored } else { ProviderPresence::Unsynced },
            overdue: !head.reported,
            known: head.known,
            from_before: Hold::new(reason, head.restored.unwrap_or(now.wall)),
            missing: missing.collect(),
            unread: Arc::new(head.unread.iter().map(|(source, since)| (SourceId(*source), hold(since))).collect()),
            head: Some(head),
            ..Self::unsynced(now)
        }
    }

    /// A provider that begins with what is known of another one, and goes on to wait for what that one waits for. Nothing of
    /// it is stored yet.
    pub(super) fn adopting(twin: &Self, now: Now) -> Self {
        let wanted = |since| if twin.used { since } else { now.instant };
        let mut missing = twin.missing.clone();
        missing.values_mut().for_each(|source| source.wanted = wanted(source.wanted));
        Self {
            archive: Archive::restore(twin.archive.blocks().clone()),
            presence: twin.presence.min(ProviderPresence::Restored),
            wanted: wanted(twin.wanted),
            overdue: twin.overdue,
            known: twin.known,
            from_before: match twin.presence {
                ProviderPresence::Restored => twin.from_before,
                ProviderPresence::Unsynced | ProviderPresence::Synced => Hold::new(HoldReason::Replaced, now.wall),
            },
            missing,
            unread: Arc::clone(&twin.unread),
            ..Self::unsynced(now)
        }
    }

    /// The provider as others see it.
    pub(super) fn view(&self, key: &ProviderKey) -> ProviderView {
        ProviderView {
            key: key.clone(),
            presence: self.presence,
            restored: self.is_restored(),
            size: self.size(),
            polls: self.polls(),
        }
    }

    /// How much is known of it.
    pub(super) fn size(&self) -> ProviderSize {
        ProviderSize { known: self.known, groups: self.archive.groups(), targets: self.archive.entries() }
    }

    /// Whether sources that were not there may still come.
    pub(super) fn is_open(&self) -> bool {
        self.seen.is_some()
    }

    /// Whether a source may still come: it was not there yet since rosterd began to read it.
    pub(super) fn may_come(&self, source: SourceId) -> bool {
        self.seen.as_ref().is_some_and(|seen| !seen.contains(&source))
    }

    /// All sources that it could not read lately.
    pub(super) fn told(&self) -> &UnreadSources {
        &self.told
    }

    /// Whether it reads all of its sources again and again, as far as that is known.
    pub(super) fn polls(&self) -> bool {
        self.attention.as_ref().is_none_or(Attention::polls)
    }

    /// Whether what it said last is all that there is now, but for sources that it told and those that may still come.
    pub(super) fn is_reached(&self) -> bool {
        self.attention.as_ref().is_some_and(|attention| !attention.is_failing())
    }

    /// Asks it to tell of each reading from now on, or no more.
    pub(super) fn attend(&self, wanted: bool) {
        if let Some(attention) = &self.attention {
            attention.want(wanted);
        }
    }

    /// Whether an update tells of other unread sources than before.
    pub(super) fn reads_otherwise(&self, update: &Update) -> bool {
        self.told != update.unread
    }

    /// Whether an update tells of other scopes than before, while something is held that may be beneath them.
    pub(super) fn looks_for_hidden(&self, update: &Update) -> bool {
        !self.unread.is_empty() && self.hidden.is_outdated(&update.unread)
    }

    /// What of its groups is held.
    pub(super) fn held(&self) -> Held {
        match self.presence {
            ProviderPresence::Restored => Held::All { hold: self.from_before, earlier: Arc::clone(&self.unread) },
            ProviderPresence::Unsynced | ProviderPresence::Synced if self.unread.is_empty() => Held::None,
            ProviderPresence::Unsynced | ProviderPresence::Synced => Held::Sources(Arc::clone(&self.unread)),
        }
    }

    /// What of its groups a job holds that held all of it since then, as others came in its place.
    pub(super) fn held_by(&self, mut hold: Hold) -> Held {
        if self.presence == ProviderPresence::Restored {
            hold.since = hold.since.min(self.from_before.since);
        }
        Held::All { hold, earlier: Arc::clone(&self.unread) }
    }

    /// Whether all that is known of it is from before this process.
    pub(super) fn is_restored(&self) -> bool {
        self.presence == ProviderPresence::Restored && self.from_before.reason == HoldReason::Restored
    }

    /// Follows whether it is used. One that is not used reports no more, and begins anew when it is used again.
    pub(super) fn set_used(&mut self, used: bool, now: Now) {
        if used == self.used {
            return;
        }
        self.used = used;
        self.wanted = now.instant;
        self.overdue = false;
        self.missing.values_mut().for_each(|source| source.wanted = now.instant);
        self.told = Arc::default();
        self.seen = None;
        if self.presence == ProviderPresence::Synced {
            self.presence = ProviderPresence::Restored;
            self.from_before = Hold::new(HoldReason::Replaced, now.wall);
        }
    }

    /// Takes what it reports. A piece of its first picture changes the sources that are in it; all that is known counts as from
    /// before until the picture is whole. Otherwise what is stored of a source that could not be read stays until it can, and
    /// what is stored of one that was not there until it comes, or may come no more.
    pub(super) fn take(&mut self, update: Update, now: Now) -> TakenUpdate {
        let any_heard = !update.piece && self.follow_hidden(&update);
        let replaced = self.replaced_by(&update);
        let Update { provider: _, whole, piece, told: pieces, groups, gone, unread: told, seen, read: _, attention } =
            update;
        self.attention = Some(attention);
        if piece {
            // Nothing is known of other sources yet.
            let changes = self.archive.apply(&Edit { replaced, groups, gone, ..Edit::default() });
            return TakenUpdate { changes, ..TakenUpdate::default() };
        }
        let first = self.presence != ProviderPresence::Synced;
        self.presence = ProviderPresence::Synced;
        let mut unread = HashSet::new();
        if whole {
            unread.extend(self.stays_unread(&told));
            // What came in pieces is here already.
            unread.extend(pieces);
        }
        let may_come = |source: &SourceId| seen.as_ref().is_some_and(|seen| !seen.contains(source));
        let edit = Edit { replaced, unread, whole: whole && seen.is_none(), groups, gone };
        let changes = self.archive.apply(&edit);
        let told = std::mem::replace(&mut self.told, told);
        let was_open = std::mem::replace(&mut self.seen, seen.clone()).is_some();
        if !first && !was_open && seen.is_none() && told == self.told && !any_heard {
            self.known |= !self.archive.blocks().is_empty();
            return TakenUpdate { changes, ..TakenUpdate::default() };
        }
        let unseen: Vec<_> = match whole && seen.is_some() {
            true => self.archive.sources().filter(may_come).collect(),
            false => self.unread.keys().filter(|source| may_come(source)).copied().collect(),
        };
        let before = (self.missing.clone(), Arc::clone(&self.unread));
        self.sort_unread(first, whole, &unseen, now);
        self.known |= self.missing.is_empty() || !self.archive.blocks().is_empty();
        let held_changed = first || before.1 != self.unread;
        let presence_changed = held_changed || before.0 != self.missing;
        // Not why, or since when.
        let names = |missing: &BTreeMap<SourceId, MissingSource>| {
            missing.iter().map(|(source, missing)| (*source, missing.beneath.clone())).collect::<Vec<_>>()
        };
        let misses_others = first || presence_changed && names(&before.0) != names(&self.missing);
        TakenUpdate { changes, presence_changed, held_changed, misses_others }
    }

    /// The sources of which nothing stays that an update does not name: those of a piece, and those that were read for the first
    /// time, of which the roster may have what is stored.
    pub(super) fn replaced_by(&self, update: &Update) -> HashSet<SourceId> {
        let Update { whole, piece, told: pieces, groups, unread: told, seen, .. } = update;
        if *piece {
            return groups.iter().map(|group| SourceId::of(&group.source)).collect();
        }
        let may_come = |source: &SourceId| seen.as_ref().is_some_and(|seen| !seen.contains(source));
        let was_read = |name: &Arc<str>| told.get(name).is_none_or(|unread| unread.known);
        let first_read = self.told.iter().filter(|(name, before)| !before.known && was_read(name));
        // One that is not among the unread any more was read, unless it is not there now and may still come, or nobody could look where
        // it is.
        let first_read = first_read.map(|(name, _)| SourceId::of(name)).filter(|source| !may_come(source));
        let mut replaced: HashSet<_> = first_read.collect();
        if !replaced.is_empty() {
            let unread: HashSet<_> = self.stays_unread(told).collect();
            replaced.retain(|source| !unread.contains(source));
        }
        if !self.unread.is_empty() {
            replaced.extend(sources_in(update).filter(|source| self.unread.contains_key(source)));
        }
        match seen {
            // All that was read, and nothing else.
            Some(seen) if *whole => replaced.extend(seen.iter().copied()),
            _ if self.unread.is_empty() => {}
            // All that is held has still to be.
            None if !whole && !self.is_open() && *told == self.told => {}
            _ => {
                let unread: HashSet<_> = self.stays_unread(told).collect();
                replaced.extend(self.unread.keys().filter(|it| !may_come(it) && !unread.contains(*it)).copied());
            }
        }
        // What came in pieces is here already.
        replaced.retain(|source| !pieces.contains(source));
        replaced
    }

    /// The sources of which nothing is known but what is stored: those that were never read, themselves and in and beneath scopes. Of
    /// one that was read before it failed all is told.
    fn stays_unread(&self, told: &UnreadSources) -> impl Iterator<Item = SourceId> {
        let never = told.iter().filter(|(_, unread)| !unread.known).map(|(name, _)| SourceId::of(name));
        never.chain(self.hidden.sources())
    }

    /// Follows which scopes may hide something, and what is held beneath them. Returns whether an update tells of sources that were
    /// held.
    fn follow_hidden(&mut self, update: &Update) -> bool {
        let Update { whole, told: pieces, unread: told, .. } = update;
        if *whole {
            self.hidden = Hidden::default();
        }
        if self.hidden.is_outdated(told) {
            let (archive, held) = (&self.archive, &self.unread);
            if *whole {
                let named: HashSet<_> = sources_in(update).collect();
                self.hidden.follow(hiding(told), |each| {
                    archive.for_each_name(|name, source| {
                        if !named.contains(&source) && !pieces.contains(&source) {
                            each(name, source);
                        }
                    });
                });
                return false;
            }
            self.hidden.follow(hiding(told), |each| archive.names_of(held.keys().copied(), each));
        }
        let mut any_heard = false;
        for source in sources_in(update).filter(|source| self.unread.contains_key(source)) {
            self.hidden.reveal(source);
            any_heard = true;
        }
        any_heard
    }

    /// Tells of the sources that this process never read which are held and which are missing; those that were not there are
    /// `unseen`. What was known of the provider before, was without those that are missing now and were not then: they keep
    /// nothing from consumers.
    fn sort_unread(&mut self, first: bool, whole: bool, unseen: &[SourceId], now: Now) {
        let never = self.told.iter().filter(|(_, unread)| !unread.known);
        let never: Vec<_> = never.map(|(name, unread)| (SourceId::of(name), name, unread)).collect();
        // Groups of a source that was never read were there before the whole picture, or are not there. A provider that began
        // again tells another one, and has forgotten what it had read.
        let stored = match first || whole {
            true => self.archive.which_of(never.iter().map(|(source, ..)| *source).collect()),
            false => self.unread.keys().copied().collect(),
        };
        let wanted = if first { self.wanted } else { now.instant };
        let given_up = !self.missing.is_empty() && self.missing.values().all(|source| source.overdue);
        let overdue = self.overdue || self.known || given_up;
        let (mut missing, mut unread) = (BTreeMap::new(), BTreeMap::new());
        for (source, name, told) in never {
            if told.beneath.as_ref().is_some_and(|beneath| self.hidden.within(beneath).next().is_some()) {
                // It is not missing: of what is in or beneath it something is held.
                continue;
            }
            if stored.contains(&source) {
                let since = if first { self.from_before.since } else { told.since };
                let since = self.unread.get(&source).map_or(since, |before| before.since);
                unread.insert(source, Hold::new(HoldReason::Unread, since));
                continue;
            }
            let before = self.missing.get(&source);
            missing.insert(
                source,
                MissingSource {
                    name: Arc::clone(name),
                    beneath: told.beneath.clone(),
                    wanted: before.map_or(wanted, |before| before.wanted),
                    overdue: before.map_or(overdue, |before| before.overdue),
                    report: Some(told.report.clone()),
                },
            );
        }
        for source in unseen.iter().copied().chain(self.hidden.sources()) {
            let since = if first { self.from_before.since } else { now.wall };
            let since = self.unread.get(&source).map_or(since, |before| before.since);
            unread.entry(source).or_insert(Hold::new(HoldReason::Unread, since));
        }
        self.missing = missing;
        self.unread = Arc::new(unread);
    }

    /// When the time of grace of something is over, if anything is waited for.
    pub(super) fn deadline(&self, grace: Duration) -> Option<Instant> {
        let own = (self.used && self.presence == ProviderPresence::Unsynced && !self.overdue).then_some(self.wanted);
        let sources = self.missing.values().filter(|source| self.used && !source.overdue);
        own.into_iter().chain(sources.map(|source| source.wanted)).min().map(|wanted| wanted + grace)
    }

    /// Notes what did not come within its time of grace.
    pub(super) fn pass(&mut self, grace: Duration, now: Now) {
        self.overdue |= self.presence == ProviderPresence::Unsynced && self.wanted + grace <= now.instant;
        for source in self.missing.values_mut() {
            source.overdue |= source.wanted + grace <= now.instant;
        }
    }

    /// What has to be stored beside its blocks, if that is not what is stored.
    pub(super) fn changed_head(&mut self) -> Option<Head> {
        if self.presence == ProviderPresence::Unsynced && !self.overdue {
            return None;
        }
        let held = self.users.iter().filter_map(|(job, held)| Some((Arc::clone(job), held.clone()?)));
        let head = Head {
            jobs: self.users.keys().cloned().collect(),
            held: held.collect(),
            missing: self.missing.values().map(|source| (Arc::clone(&source.name), source.overdue)).collect(),
            scopes: self.missing.values().filter_map(MissingSource::scope).collect(),
            unread: self.unread.iter().map(|(source, hold)| (source.0, hold.since)).collect(),
            restored: (self.presence == ProviderPresence::Restored).then_some(self.from_before.since),
            replaced: self.presence == ProviderPresence::Restored && self.from_before.reason == HoldReason::Replaced,
            reported: self.presence != ProviderPresence::Unsynced,
            known: self.known,
            unused: None,
            kept: None,
        };
        (self.head.as_ref() != Some(&head)).then(|| self.head.insert(head).clone())
    }
}

/// The sources of which an update tells something.
pub(super) fn sources_in(update: &Update) -> impl Iterator<Item = SourceId> {
    let named = update.groups.iter().map(|group| SourceId::of(&group.source));
    named.chain(update.gone.iter().map(|id| id.source))
}

/// What is stored of a provider.
#[derive(Debug)]
pub(in crate::roster) struct Stored {
    pub(in crate::roster) key: ProviderKey,
    pub(in crate::roster) head: Head,
    pub(in crate::roster) blocks: BTreeMap<BlockId, Arc<Block>>,
}
