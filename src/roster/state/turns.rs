//! What happens to the targets of a job during an event, and what it comes to in the end. Pure.

use std::collections::{HashMap, HashSet};
use std::ops::Add;
use std::sync::Arc;

use rosterd_discovery::ProviderKey;
use rosterd_model::labels::ADDRESS;
use rosterd_model::{Labels, SourceId};

use crate::roster::block::Block;
use crate::roster::hold::{HoldReason, HoldReasons};
use crate::roster::pages::{Pages, Turn};
use crate::roster::step::{Difference, Named, Reason, SourceStep};

/// How many targets came and went in a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::roster) struct Delta {
    pub(in crate::roster) added: u64,
    pub(in crate::roster) removed: u64,
}

impl Add for Delta {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { added: self.added + other.added, removed: self.removed + other.removed }
    }
}

/// Where an entry comes from, and why it changes.
#[derive(Debug, Clone)]
pub(super) struct TurnPlace {
    pub(super) provider: ProviderKey,
    pub(super) source: SourceId,
    pub(super) reason: Reason,
    /// A group of the source.
    pub(super) named: Named,
}

impl TurnPlace {
    pub(super) fn new(provider: &ProviderKey, block: &Arc<Block>, group: usize, reason: Reason) -> Self {
        let (source, named) = (block.groups()[group].id.source, Named::new(block, group));
        Self { provider: provider.clone(), source, reason, named }
    }
}

/// The number of a place among those of an event.
pub(super) type PlaceId = u32;

/// Notes what happens to the targets of a job: counts, and where somebody wants to know, each of them.
#[derive(Debug)]
pub(super) struct TargetTurns {
    delta: Delta,
    log: Option<Log>,
}

#[derive(Debug)]
struct Log {
    before: Pages,
    places: Vec<TurnPlace>,
    /// Which targets, where, and why they are held then.
    turned: Vec<(Labels, PlaceId, Option<HoldReason>)>,
    /// Why targets are held by entries beside which there were others.
    holds: HashMap<Labels, HoldReason>,
    /// Which targets lost a reason for which one of their entries was held.
    lost: Vec<(Labels, Lost)>,
    first: Option<Turn>,
    /// Whether different things happened: then a target may be noted twice.
    mixed: bool,
}

/// A reason for which an entry was held.
#[derive(Debug, Clone, Copy)]
struct Lost {
    place: PlaceId,
    was: HoldReason,
    /// The one for which it is now, if it is there and held.
    now: Option<HoldReason>,
}

impl TargetTurns {
    /// Nothing happened yet to the targets as they are in `before`.
    pub(super) fn new(before: &Pages, telling: bool) -> Self {
        let log = || Log {
            before: before.clone(),
            places: Vec::new(),
            turned: Vec::new(),
            holds: HashMap::new(),
            lost: Vec::new(),
            first: None,
            mixed: false,
        };
        Self { delta: Delta::default(), log: telling.then(log) }
    }

    /// Numbers a place.
    pub(super) fn place(&mut self, place: impl FnOnce() -> TurnPlace) -> PlaceId {
        let Some(log) = &mut self.log else { return 0 };
        log.places.push(place());
        PlaceId::try_from(log.places.len() - 1).expect("an event has far fewer than 2^32 groups")
    }

    /// Notes what became of a target by an entry of a place, and why it is held by that, if it is.
    pub(super) fn note(&mut self, turn: Option<Turn>, labels: &Labels, place: PlaceId, hold: Option<HoldReason>) {
        let Some(turn) = turn else {
            // Another entry is not held, yet.
            self.log.iter_mut().for_each(|log| log.holds.extend(hold.map(|hold| (labels.clone(), hold))));
            return;
        };
        match turn {
            Turn::Added => self.delta.added += 1,
            Turn::Removed => self.delta.removed += 1,
            Turn::Held | Turn::Released => {}
        }
        if let Some(log) = &mut self.log {
            log.mixed |= log.first.replace(turn).is_some_and(|before| before != turn);
            log.turned.push((labels.clone(), place, hold));
        }
    }

    /// Notes that an entry of a place was held for a reason, if it was, and for which it is now.
    pub(super) fn hold_otherwise(
        &mut self,
        labels: &Labels,
        place: PlaceId,
        was: Option<HoldReason>,
        now: Option<HoldReason>,
    ) {
        if let (Some(log), Some(was)) = (&mut self.log, was) {
            log.lost.push((labels.clone(), Lost { place, was, now }));
        }
    }

    /// What it comes to: counts, and the differences by source. `after` are the targets as they are now, and `why` finds why some
    /// of these are held.
    pub(super) fn finish(
        self,
        after: &Pages,
        why: impl Fn(HashSet<Labels>) -> HashMap<Labels, HoldReasons>,
    ) -> (Delta, Vec<SourceStep>) {
        (self.delta, self.log.map(|log| log.finish(after, why)).unwrap_or_default())
    }
}

impl Log {
    fn finish(
        mut self,
        after: &Pages,
        why: impl Fn(HashSet<Labels>) -> HashMap<Labels, HoldReasons>,
    ) -> Vec<SourceStep> {
        let mut steps = SourceSteps::default();
        let mut seen = HashSet::new();
        let holds = self.holds(after, &why);
        for (labels, place, hold) in std::mem::take(&mut self.turned) {
            if self.mixed && !seen.insert(labels.clone()) {
                continue;
            }
            let hold = holds.get(&labels).copied().or(hold).unwrap_or(HoldReason::Replaced);
            let held = |pages: &Pages| pages.get(&labels).map(|slot| slot.is_held());
            let held_by = |labels| Difference::Held(labels, hold);
            let differences: &[&dyn Fn(Labels) -> Difference] = match (held(&self.before), held(after)) {
                (None, Some(false)) => &[&Difference::Added],
                (None, Some(true)) => &[&Difference::Added, &held_by],
                (Some(_), None) => &[&Difference::Removed],
                (Some(false), Some(true)) => &[&held_by],
                (Some(true), Some(false)) => &[&Difference::Released],
                (None, None) | (Some(_), Some(_)) => continue,
            };
            steps.of(&self.places[place as usize]).extend(differences.iter().map(|of| of(labels.clone())));
        }
        for (labels, place, hold) in self.held_otherwise(after, why) {
            steps.of(&self.places[place as usize]).push(Difference::Held(labels, hold));
        }
        steps.all.into_iter().map(|step| SourceStep { differences: paired(step.differences), ..step }).collect()
    }

    /// The targets that are held as before, but not for a reason any more for which they were: where, and for which they are now.
    fn held_otherwise(
        &mut self,
        after: &Pages,
        why: impl Fn(HashSet<Labels>) -> HashMap<Labels, HoldReasons>,
    ) -> Vec<(Labels, PlaceId, HoldReason)> {
        let (mut otherwise, mut of): (Vec<_>, HashMap<_, Vec<_>>) = Default::default();
        for (labels, lost) in std::mem::take(&mut self.lost) {
            let is_held = |pages: &Pages| pages.get(&labels).is_some_and(|slot| slot.is_held());
            if is_held(after) && is_held(&self.before) {
                of.entry(labels).or_default().push(lost);
            }
        }
        // What has one entry is held for the reason of that. Others have to be looked for.
        of.retain(|labels, lost| {
            let (first, last) = (lost[0], lost[lost.len() - 1]);
            let alone = last.now.filter(|_| after.get(labels).is_some_and(|slot| slot.origins == 1));
            otherwise.extend(alone.filter(|now| *now != first.was).map(|now| (labels.clone(), last.place, now)));
            alone.is_none()
        });
        if !of.is_empty() {
            let reasons = why(of.keys().cloned().collect());
            otherwise.extend(of.into_iter().filter_map(|(labels, lost)| {
                let reasons = reasons.get(&labels)?;
                let lost = lost.into_iter().find(|lost| !reasons.contains(lost.was))?;
                Some((labels, lost.place, reasons.first()?))
            }));
        }
        otherwise
    }

    /// Why targets are held that were not, as far as that is not said where they were noted: by entries that did not change, or by
    /// others than in the beginning.
    fn holds(
        &mut self,
        after: &Pages,
        why: impl Fn(HashSet<Labels>) -> HashMap<Labels, HoldReasons>,
    ) -> HashMap<Labels, HoldReason> {
        let holds = std::mem::take(&mut self.holds);
        let is_held = |labels: &Labels| after.get(labels).is_some_and(|slot| slot.is_held());
        let is_said = |labels: &Labels, hold: Option<HoldReason>| hold.is_some() || holds.contains_key(labels);
        let unsaid = self.turned.iter().filter(|(labels, _, hold)| {
            (self.mixed || !is_said(labels, *hold))
                && is_held(labels)
                && !self.before.get(labels).is_some_and(|slot| slot.is_held())
        });
        let unsaid: HashSet<_> = unsaid.map(|(labels, ..)| labels.clone()).collect();
        match unsaid.is_empty() {
            true => holds,
            false => {
                let found = why(unsaid).into_iter().filter_map(|(labels, reasons)| Some((labels, reasons.first()?)));
                holds.into_iter().chain(found).collect()
            }
        }
    }
}

/// Differences by where they come from, and why.
#[derive(Default)]
struct SourceSteps {
    all: Vec<SourceStep>,
    index: HashMap<(ProviderKey, SourceId, Reason), usize>,
}

impl SourceSteps {
    /// Those of a place.
    fn of(&mut self, place: &TurnPlace) -> &mut Vec<Difference> {
        let at = *self.index.entry((place.provider.clone(), place.source, place.reason)).or_insert_with(|| {
            self.all.push(SourceStep {
                provider: place.provider.clone(),
                source: place.source,
                reason: place.reason,
                named: place.named.clone(),
                differences: Vec::new(),
            });
            self.all.len() - 1
        });
        &mut self.all[at].differences
    }
}

/// Takes a target that went and one that came with the same address as one that changed.
fn paired(differences: Vec<Difference>) -> Vec<Difference> {
    let mut gone: HashMap<String, Vec<Labels>> = HashMap::new();
    let address = |labels: &Labels| labels.get(ADDRESS).unwrap_or_default().to_owned();
    if !differences.iter().any(|it| matches!(it, Difference::Added(_))) {
        return differences;
    }
    for difference in &differences {
        if let Difference::Removed(labels) = difference {
            gone.entry(address(labels)).or_default().push(labels.clone());
        }
    }
    if gone.is_empty() {
        return differences;
    }
    let mut paired = Vec::with_capacity(differences.len());
    for difference in differences {
        match difference {
            Difference::Removed(_) => {}
            Difference::Added(to) => match gone.get_mut(&address(&to)).and_then(Vec::pop) {
                Some(from) => paired.push(Difference::Changed { from, to }),
                None => paired.push(Difference::Added(to)),
            },
            other => paired.push(other),
        }
    }
    paired.extend(gone.into_values().flatten().map(Difference::Removed));
    paired
}
