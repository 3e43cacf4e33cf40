//! What of a job's targets stays although its sources say that they are gone: what ends by an event, why it is kept, and what lets go
//! of it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use rosterd_discovery::ProviderKey;
use rosterd_model::{Labels, TargetGroup};

use super::{Job, Leftover, Piece, Work};
use crate::roster::block::{BlockId, KEPT};
use crate::roster::brake::Change;
use crate::roster::clock::Now;
use crate::roster::hold::HoldReason;
use crate::roster::job::Keeping;
use crate::roster::state::kept::{KeptEdit, KeptHold, KeptPlace, scraped};
use crate::roster::state::turns::TargetTurns;
use crate::roster::step::Reason;
use crate::roster::target::Entry;
use crate::roster::view::Worked;

/// What an update did to a job, before it is known what of that is kept.
#[derive(Debug, Default)]
pub(in crate::roster::state) struct Happened {
    pub(super) left: Leftover,
    /// Of each target that ends the block and the entry, unless another one with the same URL came in its place.
    pub(super) ends: Vec<(u32, u32)>,
    /// What is kept in whose place targets came.
    pub(super) returned: BTreeSet<KeptPlace>,
    pub(in crate::roster::state) change: Change,
}

impl Happened {
    /// Whether any target ends.
    pub(in crate::roster::state) fn ends(&self) -> usize {
        self.ends.len()
    }

    /// Whether a target came in the place of a kept one.
    pub(in crate::roster::state) fn has_returned(&self, place: &KeptPlace) -> bool {
        self.returned.contains(place)
    }
}

impl Job {
    /// Why what ends by an event is kept, if it is; `agent` says that too much ends in all jobs, `confirmed` that what was braked
    /// before is confirmed.
    pub(in crate::roster::state) fn decide(
        &mut self,
        happened: &Happened,
        agent: bool,
        confirmed: bool,
        now: Now,
    ) -> Option<HoldReason> {
        let Keeping { brake, grace } = self.spec.keeping;
        let (change, now) = (happened.change, now.instant);
        let of_grace = || (!grace.is_zero()).then_some(HoldReason::Grace);
        let Some(brake) = brake else { return of_grace() };
        match confirmed {
            true => self.sizes.begin(change.before, now),
            false => self.sizes.note(change.before, now, brake.window),
        }
        let holds = brake.holds(change, self.sizes.greatest(now, brake.window));
        self.sizes.note(change.after, now, brake.window);
        if holds || agent { Some(HoldReason::Braked) } else { of_grace() }
    }

    /// Makes the blocks of what is kept of a provider those of the job.
    pub(super) fn follow_kept(&self, key: &ProviderKey, reason: Reason, pieces: &mut Vec<Piece>) {
        let known = self.blocks.get(key);
        let mut there = HashSet::new();
        for (id, block) in self.kept.blocks(key) {
            let id = KEPT + id;
            there.insert(id);
            let mark = self.kept.mark(key, block);
            let is_same = |worked: &Worked| Arc::ptr_eq(&worked.block, block) && worked.held == mark;
            if !known.and_then(|known| known.get(&id)).is_some_and(is_same) {
                pieces.push(Piece { provider: key.clone(), id, after: Some((Arc::clone(block), mark)), reason });
            }
        }
        let ids = known.into_iter().flat_map(|known| known.iter().map(|(id, _)| *id));
        pieces.extend(ids.filter(|id| *id >= KEPT && !there.contains(id)).map(|id| Piece::gone(key, id, reason)));
    }

    /// What an update comes to that left these entries, and brought these targets.
    pub(super) fn happened(&self, before: usize, left: Leftover, came: &[Labels]) -> Happened {
        let (mut ending, mut urls): (HashMap<&Labels, u32>, HashSet<u64>) = Default::default();
        for old in left.entries.values().flatten() {
            if let Entry::Active(labels) = &old.entry {
                *ending.entry(labels).or_default() += 1;
            }
        }
        ending.retain(|labels, entries| self.pages.get(labels).is_some_and(|slot| slot.origins <= *entries));
        if !ending.is_empty() {
            urls.extend(came.iter().map(scraped));
        }
        // Each kept entry in whose place a target came, and whether that is the very same one.
        let mut returned = BTreeMap::new();
        for (place, same) in came.iter().flat_map(|labels| self.kept.replaced_by(labels)) {
            *returned.entry(place.clone()).or_insert(false) |= same;
        }
        let still_kept = self.kept.len() - returned.values().filter(|same| **same).count();
        let after = self.pages.len().saturating_sub(ending.len() + still_kept);
        let mut ends = Vec::new();
        for old in left.entries.values().flatten() {
            let Entry::Active(labels) = &old.entry else { continue };
            if ending.contains_key(labels) && !urls.contains(&scraped(labels)) {
                ends.push((old.block, old.index, labels));
            }
        }
        // Of several entries of a target it is the one that was discovered first.
        ends.sort_unstable_by_key(|(block, index, _)| (*block, *index));
        ends.retain(|(.., labels)| ending.remove(labels).is_some());
        let ends = ends.into_iter().map(|(block, index, _)| (block, index)).collect();
        let returned: BTreeSet<_> = returned.into_keys().collect();
        let graced = returned.iter().filter(|place| !self.kept.is_braked(place)).count();
        let kept = self.kept.braked_len() + graced;
        let change = Change { before, after, returned: returned.len(), kept };
        Happened { left, ends, returned, change }
    }

    /// Keeps what ends by an update of a provider, or nothing of it; lets go of what came back, and of what is over.
    #[expect(clippy::too_many_arguments, reason = "it is all that is known of an update in the end")]
    pub(in crate::roster::state) fn settle(
        &mut self,
        key: &ProviderKey,
        happened: Happened,
        reason: Option<HoldReason>,
        over: Vec<KeptPlace>,
        now: Now,
        work: &mut Work<'_>,
        turns: &mut TargetTurns,
    ) {
        let mut edits: BTreeMap<ProviderKey, KeptEdit> = BTreeMap::new();
        if let Some(reason) = reason.filter(|_| !happened.ends.is_empty()) {
            let hold = KeptHold::new(reason, &self.spec.keeping, now);
            edits.entry(key.clone()).or_default().groups = kept_groups(&happened, &hold);
        }
        for place in &happened.returned {
            edits.entry(place.provider.clone()).or_default().gone.push(place.id);
        }
        for (key, lapsed) in self.kept.lapsed(over, &self.spec.keeping, now) {
            let edit = edits.entry(key).or_default();
            edit.groups.extend(lapsed.groups);
            edit.gone.extend(lapsed.gone);
        }
        self.keep(edits, &happened.returned, happened.left, work, turns);
    }

    /// Lets go of what had its time, but of what was braked only when its time of grace is over too.
    pub(in crate::roster::state) fn lapse(
        &mut self,
        over: Vec<KeptPlace>,
        now: Now,
        work: &mut Work<'_>,
        turns: &mut TargetTurns,
    ) {
        let edits = self.kept.lapsed(over, &self.spec.keeping, now);
        self.keep(edits, &BTreeSet::new(), Leftover::default(), work, turns);
    }

    /// Lets go of what is kept.
    pub(in crate::roster::state) fn release(
        &mut self,
        over: Vec<KeptPlace>,
        work: &mut Work<'_>,
        turns: &mut TargetTurns,
    ) {
        let mut edits: BTreeMap<ProviderKey, KeptEdit> = BTreeMap::new();
        for place in over {
            edits.entry(place.provider).or_default().gone.push(place.id);
        }
        self.keep(edits, &BTreeSet::new(), Leftover::default(), work, turns);
    }

    /// Changes what is kept. Its entries are taken from those that are left, and the others end. In the place of those that
    /// are `replaced` others came.
    fn keep(
        &mut self,
        edits: BTreeMap<ProviderKey, KeptEdit>,
        replaced: &BTreeSet<KeptPlace>,
        left: Leftover,
        work: &mut Work<'_>,
        turns: &mut TargetTurns,
    ) {
        let mut pieces = Vec::new();
        for (key, edit) in edits {
            for change in self.kept.edit(&key, edit, &self.spec.keeping) {
                let after = change.after.map(|block| {
                    let mark = self.kept.mark(&key, &block);
                    (block, mark)
                });
                pieces.push(Piece { provider: key.clone(), id: KEPT + change.id, after, reason: Reason::Source });
            }
        }
        let is_there = |piece: &&Piece| piece.after.is_some();
        let blocks = pieces.iter().filter(is_there).map(|piece| (piece.provider.clone(), piece.id - KEPT)).collect();
        let left = self.change(pieces, replaced, left, work, turns);
        self.end_all(left, turns);
        self.sieve(blocks, work, turns);
    }

    /// Learns which targets the groups of kept blocks are, and lets go of those that are none, or that others say too.
    pub(super) fn sieve(&mut self, blocks: Vec<(ProviderKey, BlockId)>, work: &mut Work<'_>, turns: &mut TargetTurns) {
        let (mut unfit, mut fewer) = (Vec::new(), HashMap::<Labels, u32>::new());
        for (key, id) in blocks {
            let Some(worked) = self.blocks.get(&key).and_then(|blocks| blocks.get(&(KEPT + id))).cloned() else {
                continue;
            };
            for (head, entry) in worked.block.groups().iter().zip(&*worked.entries) {
                if let Entry::Active(labels) = entry {
                    let origins = self.pages.get(labels).map_or(0, |slot| slot.origins);
                    if origins == fewer.get(labels).map_or(0, |fewer| *fewer) + 1 {
                        self.kept.locate(&key, head.id, labels);
                        continue;
                    }
                    *fewer.entry(labels.clone()).or_default() += 1;
                }
                unfit.push(KeptPlace { provider: key.clone(), id: head.id });
            }
        }
        if !unfit.is_empty() {
            self.release(unfit, work, turns);
        }
    }
}

/// The targets that end by an update as groups that are kept.
fn kept_groups(happened: &Happened, hold: &KeptHold) -> Vec<(TargetGroup, KeptHold)> {
    let mut groups = Vec::with_capacity(happened.ends.len());
    for ends in happened.ends.chunk_by(|(one, _), (other, _)| one == other) {
        let block = &happened.left.blocks[ends[0].0 as usize];
        let unpacked = block.unpack();
        let mut ends = ends.iter().map(|(_, index)| *index as usize).peekable();
        let entries = unpacked.groups().flat_map(|group| group.entries().map(move |entry| (group.source(), entry)));
        for ((index, (source, entry)), hash) in entries.enumerate().zip(block.entries()) {
            if ends.next_if_eq(&index).is_some() {
                groups.push((hold.group(source, entry, *hash), hold.clone()));
            }
        }
    }
    groups
}
