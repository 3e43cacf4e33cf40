//! A job at work: the blocks of its providers, what became of their entries, and what it holds.

mod settle; // what stays although its source says that it is gone

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use rosterd_discovery::ProviderKey;
use rosterd_model::{Labels, Names, SourceId};

use super::effect::{TOLD, Tally};
use super::former::{Former, alike};
use super::kept::{Kept, KeptPlace};
use super::provider::{Provider, Providers};
use super::turns::{PlaceId, TargetTurns, TurnPlace};
use crate::roster::archive::BlockChange;
use crate::roster::block::{Block, BlockId, KEPT, RawEntry};
use crate::roster::brake::Sizes;
use crate::roster::entries::Entries;
use crate::roster::hold::{Held, HoldReason, Mark, Missing};
use crate::roster::job::{JobSpec, Keeping};
use crate::roster::pages::{Pages, Turn};
use crate::roster::step::Reason;
use crate::roster::target::{Entry, Workbench, relabel};
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

    /// Why these targets are held: for each all reasons there are, each once.
    pub(super) fn holds_of(&self, targets: HashSet<Labels>) -> HashMap<Labels, Vec<HoldReason>> {
        let slots = targets.iter().filter_map(|labels| self.pages.get(labels));
        let mut left: u64 = slots.map(|slot| u64::from(slot.held())).sum();
        let mut holds: HashMap<_, Vec<_>> = targets.into_iter().map(|labels| (labels, Vec::new())).collect();
        let mut marked = self.blocks.values().flat_map(Tree::iter).map(|(_, worked)| worked);
        while let Some(worked) = marked.next().filter(|_| left > 0) {
            worked.each_held(|_, labels, hold| {
                let Some(reasons) = holds.get_mut(labels) else { return };
                left = left.saturating_sub(1);
                if !reasons.contains(&hold) {
                    reasons.push(hold);
                }
            });
        }
        holds
    }

    /// Relabels the entries of changed blocks that were not there before, and counts them in before those that are
    /// gone are counted out: a target that only moved is neither added nor removed. Those that are left already may be among them.
    /// In the place of kept ones that are `replaced` others came. Returns what is still left, and counts.
    fn change(
        &mut self,
        pieces: Vec<Piece>,
        replaced: &BTreeSet<KeptPlace>,
        mut left: Leftover,
        work: &mut Work<'_>,
        turns: &mut TargetTurns,
    ) -> Leftover {
        self.take_old(&pieces, replaced, &mut left, turns);
        for Piece { provider, id, after, reason } in pieces {
            let Some((block, held)) = after else { continue };
            let entries = self.entries(&provider, &block, &held, reason, &mut left.entries, work, turns);
            self.blocks.entry(provider).or_default().insert(id, Worked { block, entries, held });
        }
        left
    }

    /// What is left ends.
    fn end_all(&mut self, left: Leftover, turns: &mut TargetTurns) {
        for old in left.entries.into_values().flatten() {
            self.count_out(&old, turns);
        }
    }

    /// Takes the blocks away as they were.
    fn take_old(
        &mut self,
        pieces: &[Piece],
        replaced: &BTreeSet<KeptPlace>,
        left: &mut Leftover,
        turns: &mut TargetTurns,
    ) {
        let is_replaced = |provider: &ProviderKey, id| {
            !replaced.is_empty() && replaced.contains(&KeptPlace { provider: provider.clone(), id })
        };
        for Piece { provider, id, reason, .. } in pieces {
            let worked = self.blocks.get_mut(provider).and_then(|blocks| blocks.remove(id));
            let Some(Worked { block, entries, held }) = worked else { continue };
            let number = left.blocks.len() as u32;
            for (group, head) in block.groups().iter().enumerate() {
                // What was kept goes for another reason than that for which other targets are kept.
                let reason = match *reason {
                    Reason::Source if *id >= KEPT && is_replaced(provider, head.id) => Reason::Replaced,
                    Reason::Source if *id >= KEPT => Reason::Over,
                    other => other,
                };
                let place = turns.place(|| TurnPlace::new(provider, &block, group, reason));
                for index in block.entries_of(group) {
                    let (entry, held) = (entries[index].clone(), held.of(group));
                    let one = Old { entry, held, place, block: number, index: index as u32 };
                    left.entries.entry(block.entries()[index]).or_default().push(one);
                }
            }
            left.blocks.push(block);
        }
    }

    /// What becomes of the entries of a block: as before where the discovered labels are as before.
    #[expect(clippy::too_many_arguments, reason = "they are what the entries of one block depend on")]
    fn entries(
        &mut self,
        provider: &ProviderKey,
        block: &Arc<Block>,
        held: &Mark,
        reason: Reason,
        old: &mut HashMap<u64, Vec<Old>>,
        work: &mut Work<'_>,
        turns: &mut TargetTurns,
    ) -> Entries {
        let mut kept: Vec<Option<Old>> =
            block.entries().iter().map(|hash| old.get_mut(hash).and_then(Vec::pop)).collect();
        let unpacked = kept.iter().any(Option::is_none).then(|| block.unpack());
        let mut raw = unpacked.iter().flat_map(|unpacked| unpacked.groups());
        let mut entries = Vec::with_capacity(kept.len());
        for group in 0..block.groups().len() {
            let (held, mut place) = (held.of(group), None);
            let mut raw = raw.next().map(|group| group.entries());
            for kept in &mut kept[block.entries_of(group)] {
                let raw = raw.as_mut().and_then(Iterator::next);
                if let Some(old) = kept.take_if(|old| old.held == held) {
                    entries.push(old.entry);
                    continue;
                }
                let place =
                    *place.get_or_insert_with(|| turns.place(|| TurnPlace::new(provider, block, group, reason)));
                entries.push(match kept.take() {
                    Some(old) => {
                        self.mark(&old.entry, old.held, held, place, turns);
                        old.entry
                    }
                    None => {
                        let raw = raw.expect("a block has as many entries as it says");
                        let entry = self.relabelled(raw, work);
                        self.count_in(entry, held, place, &mut work.came, turns)
                    }
                });
            }
        }
        entries.into()
    }

    /// What relabelling makes of an entry.
    fn relabelled(&mut self, raw: RawEntry<'_>, work: &mut Work<'_>) -> Entry {
        let entry = relabel(work.bench, raw, &self.spec, &mut self.names);
        work.tally.relabelled += 1;
        if let Entry::Failed(failure) = &entry {
            *work.tally.failed.entry(Arc::clone(&self.spec.name)).or_default() += 1;
            if work.tally.failures.len() < TOLD {
                work.tally.failures.push((Arc::clone(&self.spec.name), Arc::clone(failure)));
            }
        }
        entry
    }

    fn count_in(
        &mut self,
        entry: Entry,
        held: Option<HoldReason>,
        place: PlaceId,
        came: &mut Vec<Labels>,
        turns: &mut TargetTurns,
    ) -> Entry {
        match entry {
            Entry::Active(labels) => {
                let (shared, turn) = self.pages.add(labels, held.is_some());
                turns.note(turn, &shared, place, held);
                came.push(shared.clone());
                self.counts.held.count_in(held);
                Entry::Active(shared)
            }
            Entry::Dropped => {
                self.counts.dropped += 1;
                entry
            }
            Entry::Failed(_) => {
                self.counts.failed += 1;
                entry
            }
        }
    }

    fn count_out(&mut self, old: &Old, turns: &mut TargetTurns) {
        match &old.entry {
            Entry::Active(labels) => {
                self.counts.held.count_out(old.held);
                let turn = self.pages.remove(labels, old.held.is_some());
                turns.note(turn, labels, old.place, None);
                turns.hold_otherwise(labels, old.place, old.held, None);
            }
            Entry::Dropped => self.counts.dropped -= 1,
            Entry::Failed(_) => self.counts.failed -= 1,
        }
    }

    /// Takes note of what else is held of a provider, in blocks that did not change.
    fn remark(&mut self, key: &ProviderKey, held: &Held, reason: Reason, turns: &mut TargetTurns) {
        let Some(mut blocks) = self.blocks.remove(key) else { return };
        let own = blocks.iter().take_while(|(id, _)| **id < KEPT);
        let marks = own.map(|(id, worked)| (*id, held.mark(&worked.block), &worked.held));
        let other: Vec<_> = marks.filter(|(_, now, before)| now != *before).map(|(id, now, _)| (id, now)).collect();
        for (id, now) in other {
            let Some(worked) = blocks.get(&id).cloned() else { continue };
            for group in 0..worked.block.groups().len() {
                let (before, now) = (worked.held.of(group), now.of(group));
                if before == now {
                    continue;
                }
                let place = turns.place(|| TurnPlace::new(key, &worked.block, group, reason));
                for entry in &worked.entries[worked.block.entries_of(group)] {
                    self.mark(entry, before, now, place, turns);
                }
            }
            blocks.insert(id, Worked { held: now, ..worked });
        }
        self.blocks.insert(key.clone(), blocks);
    }

    /// Takes an entry as held, held for another reason, or held no longer.
    fn mark(
        &mut self,
        entry: &Entry,
        before: Option<HoldReason>,
        now: Option<HoldReason>,
        place: PlaceId,
        turns: &mut TargetTurns,
    ) {
        let Entry::Active(labels) = entry else { return };
        self.counts.held.count_out(before);
        self.counts.held.count_in(now);
        turns.hold_otherwise(labels, place, before, now);
        if before.is_some() != now.is_some() {
            turns.note(self.pages.mark(labels, now.is_some()), labels, place, now);
        }
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
            braked: self.kept.braked(),
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
