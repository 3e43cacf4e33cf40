//! What becomes of the entries of a job's blocks as these come, change and go: they are relabelled, counted, and held or not.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use rosterd_discovery::ProviderKey;
use rosterd_model::Labels;

use super::{Job, Leftover, Old, Piece, Work};
use crate::roster::block::{Block, KEPT, RawEntry};
use crate::roster::entries::Entries;
use crate::roster::hold::{Held, HoldReason, Mark};
use crate::roster::state::effect::TOLD;
use crate::roster::state::kept::KeptPlace;
use crate::roster::state::turns::{PlaceId, TargetTurns, TurnPlace};
use crate::roster::step::Reason;
use crate::roster::target::{Entry, relabel};
use crate::roster::view::Worked;

impl Job {
    /// Relabels the entries of changed blocks that were not there before, and counts them in before those that are
    /// gone are counted out: a target that only moved is neither added nor removed. Those that are left already may be among them.
    /// In the place of kept ones that are `replaced` others came. Returns what is still left, and counts.
    pub(super) fn change(
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
    pub(super) fn end_all(&mut self, left: Leftover, turns: &mut TargetTurns) {
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
    pub(super) fn remark(&mut self, key: &ProviderKey, held: &Held, reason: Reason, turns: &mut TargetTurns) {
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
}
