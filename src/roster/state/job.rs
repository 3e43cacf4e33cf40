//! A job at work: the blocks of its providers, what became of their entries, and what it holds.

mod entries; // what becomes of the entries of its blocks
mod settle; // what stays although its source says that it is gone

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use rosterd_discovery::ProviderKey;
use rosterd_model::{Labels, Names, SourceId};

use super::effect::Tally;
use super::former::{Former, alike};
use super::kept::Kept;
use super::provider::{Provider, Providers};
use super::turns::{PlaceId, TargetTurns, TurnPlace};
use crate::roster::archive::BlockChange;
use crate::roster::block::{Block, BlockId};
use crate::roster::brake::Sizes;
use crate::roster::hold::{Held, HoldReason, HoldReasons, Mark, Missing};
use crate::roster::job::{JobSpec, Keeping};
use crate::roster::pages::{Pages, Turn};
use crate::roster::step::Reason;
use crate::roster::target::{Entry, Workbench};
use crate::roster::tree::Tree;
use crate::roster::view::{Counts, JobView, ProviderPresence, Worked};

pub(super) use settle::Happened;

/// What all relabelling shares, and notes.
pub(super) struct Work<'a> {
    pub(super) bench: &'a mut Workbench,
    pub(super) tally: &'a mut Tally,
    /// The targets that came out of entries which were not there before.
    pub(super) came: Vec<Labels>,
}

impl<'a> Work<'a> {
    pub(super) fn new(bench: &'a mut Workbench, tally: &'a mut Tally) -> Self {
        Self { bench, tally, came: Vec::new() }
    }
}

#[derive(Debug)]
pub(super) struct Job {
    pub(super) spec: Arc<JobSpec>,
    /// The blocks of each of its providers, those it holds among them.
    blocks: BTreeMap<ProviderKey, Tree<BlockId, Worked>>,
    pub(super) pages: Pages,
    counts: Counts,
    names: Names,
    /// Providers that a reload replaced, as far as the new ones have not told what is in their place.
    pub(super) former: BTreeMap<ProviderKey, Former>,
    /// What stays although its source says that it is gone.
    pub(super) kept: Kept,
    /// How many targets it had lately that sources said.
    pub(super) sizes: Sizes,
}

/// A block of a job that comes, changes or goes.
#[derive(Debug)]
pub(super) struct Piece {
    provider: ProviderKey,
    id: BlockId,
    after: Option<(Arc<Block>, Mark)>,
    reason: Reason,
}

/// An entry of a block that was there.
#[derive(Debug)]
struct Old {
    entry: Entry,
    held: Option<HoldReason>,
    place: PlaceId,
    /// Which of the blocks that were taken away it was in, and where.
    block: u32,
    index: u32,
}

/// Entries of blocks that were taken away.
#[derive(Debug, Default)]
pub(super) struct Leftover {
    /// By the hash of their discovered labels.
    entries: HashMap<u64, Vec<Old>>,
    blocks: Vec<Arc<Block>>,
}

impl Job {
    pub(super) fn new(spec: JobSpec) -> Self {
        Self {
            spec: Arc::new(spec),
            blocks: BTreeMap::new(),
            pages: Pages::default(),
            counts: Counts::default(),
            names: Names::new(),
            former: BTreeMap::new(),
            kept: Kept::default(),
            sizes: Sizes::default(),
        }
    }

    /// How many targets it has that sources say, or may say.
    pub(super) fn said(&self) -> usize {
        self.pages.len().saturating_sub(self.kept.len())
    }

    /// Whether removals are held of it.
    pub(super) fn is_braked(&self) -> bool {
        self.spec.keeping.brake.is_some()
    }

    /// The providers of which it has something: its own, and those it holds.
    pub(super) fn wanted(&self) -> Vec<ProviderKey> {
        self.spec.providers.iter().chain(self.former.keys()).cloned().collect()
    }

    /// What of a provider's groups the job holds.
    fn held(&self, key: &ProviderKey, provider: &Provider) -> Held {
        self.former.get(key).map_or_else(|| provider.held(), |former| provider.held_by(former.hold))
    }

    /// Makes the job's blocks those of its providers and of what it holds.
    pub(super) fn follow_providers(
        &mut self,
        providers: &Providers,
        reason: Reason,
        work: &mut Work<'_>,
        turns: &mut TargetTurns,
    ) {
        let mut pieces = Vec::new();
        for (key, blocks) in &self.blocks {
            if !self.spec.providers.contains(key) && !self.former.contains_key(key) {
                pieces.extend(blocks.iter().map(|(id, _)| Piece::gone(key, *id, reason)));
            }
        }
        let wanted = self.wanted();
        for key in &wanted {
            let Some(provider) = providers.get(key) else { continue };
            pieces.extend(self.pieces(key, provider, provider.archive.blocks().iter(), reason));
            self.follow_kept(key, reason, &mut pieces);
        }
        let left = self.change(pieces, &BTreeSet::new(), Leftover::default(), work, turns);
        self.end_all(left, turns);
        self.blocks.retain(|key, _| wanted.contains(key));
        for key in &wanted {
            let Some(provider) = providers.get(key) else { continue };
            self.remark(key, &self.held(key, provider), reason, turns);
        }
        let blocks = self.kept.providers().flat_map(|key| self.kept.blocks(key).map(move |(id, _)| (key.clone(), id)));
        let blocks = blocks.collect();
        self.sieve(blocks, work, turns);
    }

    /// Follows what one of its providers has told of these sources.
    pub(super) fn hear(
        &mut self,
        told: &[SourceId],
        providers: &Providers,
        work: &mut Work<'_>,
        turns: &mut TargetTurns,
    ) {
        let former: Vec<_> = self.former.keys().filter(|_| !told.is_empty()).cloned().collect();
        for key in former {
            let (Some(provider), Some(former)) = (providers.get(&key), self.former.get_mut(&key)) else { continue };
            let heard = former.hear(told, &provider.archive, &alike(&key, &self.spec.providers, providers));
            if !heard.is_empty() {
                self.follow_sources(&key, provider, &heard, work, turns);
            }
        }
    }

    /// Makes the job's blocks those of what it holds of a former provider, where other sources are held of it than before.
    pub(super) fn follow_sources(
        &mut self,
        key: &ProviderKey,
        provider: &Provider,
        sources: &[SourceId],
        work: &mut Work<'_>,
        turns: &mut TargetTurns,
    ) {
        let blocks: BTreeSet<_> = sources.iter().flat_map(|source| provider.archive.blocks_of(*source)).collect();
        let blocks = blocks.iter().filter_map(|id| Some((id, provider.archive.blocks().get(id)?)));
        let pieces = self.pieces(key, provider, blocks, Reason::Reload);
        let left = self.change(pieces, &BTreeSet::new(), Leftover::default(), work, turns);
        self.end_all(left, turns);
    }

    /// What of these blocks of a provider the job has to have otherwise.
    fn pieces<'a>(
        &self,
        key: &ProviderKey,
        provider: &Provider,
        blocks: impl Iterator<Item = (&'a BlockId, &'a Arc<Block>)>,
        reason: Reason,
    ) -> Vec<Piece> {
        let (held, known, former) = (self.held(key, provider), self.blocks.get(key), self.former.get(key));
        let piece = |(id, block): (&BlockId, &Arc<Block>)| {
            let part = former.map_or_else(|| Some(Arc::clone(block)), |former| former.part(block));
            match (known.and_then(|known| known.get(id)), part) {
                (None, None) => None,
                (Some(worked), Some(part)) if Arc::ptr_eq(&worked.block, &part) || worked.block == part => None,
                (_, Some(part)) => Some(Piece::new(key, *id, part, &held, reason)),
                (Some(_), None) => Some(Piece::gone(key, *id, reason)),
            }
        };
        blocks.filter_map(piece).collect()
    }

    /// Takes changed blocks of a provider. What is held of those that did not change may be held no longer: `held_changed`. What
    /// ends of it counts until [`settle`](Self::settle) is told what of that is kept.
    pub(super) fn update(
        &mut self,
        key: &ProviderKey,
        provider: &Provider,
        changes: &[BlockChange],
        held_changed: bool,
        work: &mut Work<'_>,
        turns: &mut TargetTurns,
    ) -> Happened {
        let before = self.said();
        let held = self.held(key, provider);
        let former = self.former.get(key);
        let part = |block: &Arc<Block>| former.map_or_else(|| Some(Arc::clone(block)), |former| former.part(block));
        let piece = |change: &BlockChange| match change.after.as_ref().and_then(part) {
            Some(block) => Piece::new(key, change.id, block, &held, Reason::Source),
            None => Piece::gone(key, change.id, Reason::Source),
        };
        let pieces = changes.iter().map(piece).collect();
        let left = self.change(pieces, &BTreeSet::new(), Leftover::default(), work, turns);
        if held_changed {
            self.remark(key, &held, Reason::Source, turns);
        }
        if self.spec.keeping == Keeping::default() && self.kept.is_empty() {
            return Happened { left, ..Happened::default() };
        }
        self.happened(before, left, &work.came)
    }

    /// What changed from an earlier state of the job that was relabelled by other rules.
    pub(super) fn compare(&self, earlier: &Self, turns: &mut TargetTurns) {
        let reason = |key: &ProviderKey| match self.blocks.contains_key(key) && earlier.blocks.contains_key(key) {
            true => Reason::Rules,
            false => Reason::Reload,
        };
        self.each_target(reason, turns, |labels, slot_held| {
            match earlier.pages.get(labels).map(|slot| slot.is_held()) {
                None => Some(Turn::Added),
                Some(before) if before == slot_held => None,
                Some(true) => Some(Turn::Released),
                Some(false) => Some(Turn::Held),
            }
        });
        earlier.each_target(reason, turns, |labels, _| self.pages.get(labels).is_none().then_some(Turn::Removed));
        for (key, blocks) in &earlier.blocks {
            for (_, worked) in blocks.iter().filter(|(_, worked)| worked.held != Mark::None) {
                let mut known = None;
                worked.each_held(|group, labels, hold| {
                    let place = match known {
                        Some((of, place)) if of == group => place,
                        _ => turns.place(|| TurnPlace::new(key, &worked.block, group, reason(key))),
                    };
                    known = Some((group, place));
                    turns.hold_otherwise(labels, place, Some(hold), None);
                });
            }
        }
    }

    /// That all its targets are gone.
    pub(super) fn end(&self, turns: &mut TargetTurns) {
        self.each_target(|_| Reason::Reload, turns, |_, _| Some(Turn::Removed));
    }

    /// Notes what became of each target, once, where `turn` says that anything did.
    fn each_target(
        &self,
        reason: impl Fn(&ProviderKey) -> Reason,
        turns: &mut TargetTurns,
        turn: impl Fn(&Labels, bool) -> Option<Turn>,
    ) {
        let mut seen = HashSet::new();
        for (key, blocks) in &self.blocks {
            for (_, worked) in blocks.iter() {
                for group in 0..worked.block.groups().len() {
                    let mut place = None;
                    for entry in &worked.entries[worked.block.entries_of(group)] {
                        let Entry::Active(labels) = entry else { continue };
                        let Some(slot) = self.pages.get(labels) else { continue };
                        let Some(turn) = turn(labels, slot.is_held()) else { continue };
                        if slot.origins > 1 && !seen.insert(labels.clone()) {
                            continue;
                        }
                        let place = *place.get_or_insert_with(|| {
                            turns.place(|| TurnPlace::new(key, &worked.block, group, reason(key)))
                        });
                        turns.note(Some(turn), labels, place, worked.held.of(group));
                    }
                }
            }
        }
    }

    /// Why these targets are held: for each all reasons there are.
    pub(super) fn holds_of(&self, targets: HashSet<Labels>) -> HashMap<Labels, HoldReasons> {
        let slots = targets.iter().filter_map(|labels| self.pages.get(labels));
        let mut left: u64 = slots.map(|slot| u64::from(slot.held())).sum();
        let mut holds: HashMap<_, _> = targets.into_iter().map(|labels| (labels, HoldReasons::default())).collect();
        let mut marked = self.blocks.values().flat_map(Tree::iter).map(|(_, worked)| worked);
        while let Some(worked) = marked.next().filter(|_| left > 0) {
            worked.each_held(|_, labels, hold| {
                let Some(reasons) = holds.get_mut(labels) else { return };
                left = left.saturating_sub(1);
                reasons.insert(hold);
            });
        }
        holds
    }

    /// What is missing of the job: providers that did not report, and sources that were never read and are not held.
    fn missing(&self, providers: &Providers) -> Vec<Missing> {
        let held = |source: &SourceId| self.former.values().any(|former| former.names(source));
        let mut missing = Vec::new();
        for key in &self.spec.providers {
            let Some(provider) = providers.get(key) else { continue };
            if provider.presence == ProviderPresence::Unsynced {
                let overdue = provider.overdue;
                missing.push(Missing { provider: key.clone(), source: None, overdue, report: None });
                continue;
            }
            missing.extend(provider.missing.iter().filter(|(source, _)| !held(source)).map(|(_, source)| Missing {
                provider: key.clone(),
                source: Some(Arc::clone(&source.name)),
                overdue: source.overdue,
                report: source.report.clone(),
            }));
        }
        missing
    }

    /// The job as others see it.
    pub(super) fn view(&self, providers: &Providers) -> JobView {
        let of = |key: &ProviderKey| Some(providers.get(key)?.view(key));
        let own = || self.spec.providers.iter().filter_map(|key| Some((key, providers.get(key)?)));
        let order = self.spec.providers.iter().chain(self.former.keys());
        let blocks = order.filter_map(|key| Some((key.clone(), self.blocks.get(key)?.clone())));
        let held = self.spec.providers.iter().chain(self.former.keys());
        let held = held.filter_map(|key| Some((key.clone(), self.held(key, providers.get(key)?))));
        let targets = self.pages.len();
        let held: BTreeMap<_, _> = held.filter(|(_, held)| *held != Held::None).collect();
        JobView {
            providers: self.spec.providers.iter().filter_map(of).collect(),
            known: !self.former.is_empty()
                || own().any(|(_, provider)| provider.known)
                || self.spec.providers.is_empty(),
            missing: self.missing(providers),
            held,
            kept: self.kept.holds(),
            braked: self.kept.braked().zip(self.kept.braked_last()),
            awaited: self.kept.awaited(providers).cloned().collect(),
            spec: Arc::clone(&self.spec),
            pages: self.pages.clone(),
            blocks: blocks.collect(),
            counts: Counts { targets, duplicates: self.pages.duplicates(), ..self.counts },
        }
    }
}

impl Piece {
    fn new(provider: &ProviderKey, id: BlockId, block: Arc<Block>, held: &Held, reason: Reason) -> Self {
        let mark = held.mark(&block);
        Self { provider: provider.clone(), id, after: Some((block, mark)), reason }
    }

    fn gone(provider: &ProviderKey, id: BlockId, reason: Reason) -> Self {
        Self { provider: provider.clone(), id, after: None, reason }
    }
}
