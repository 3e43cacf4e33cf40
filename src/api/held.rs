//! How many targets of a job are held, by reason. Pure.

use std::collections::{BTreeMap, HashSet};

use crate::roster::hold::HoldReason;
use crate::roster::target::Entry;
use crate::roster::view::JobView;

/// How many targets are held for each reason, without those for which none is. Entries are counted as they come and go; as long as
/// each of them is a target of its own, or all are held for one reason, that is all that is needed.
pub(super) fn by_reason(job: &JobView) -> BTreeMap<HoldReason, usize> {
    let (held, counts) = (job.pages().held(), job.counts());
    let of = |reason: HoldReason| (reason, counts.held.of(reason));
    let entries: BTreeMap<_, _> = HoldReason::ALL.map(of).into_iter().filter(|(_, entries)| *entries > 0).collect();
    match entries.first_key_value() {
        _ if held == 0 => BTreeMap::new(),
        Some((reason, _)) if entries.len() == 1 => BTreeMap::from([(*reason, held)]),
        _ if counts.duplicates == 0 => entries,
        _ => one_by_one(job),
    }
}

/// Whether this takes long enough to keep others from a thread: in bytes.
pub(super) fn weight(job: &JobView) -> usize {
    let counts = job.counts();
    let reasons = HoldReason::ALL.into_iter().filter(|reason| counts.held.of(*reason) > 0).count();
    if reasons > 1 && counts.duplicates > 0 && job.pages().held() > 0 {
        (counts.targets + counts.duplicates) * size_of::<Entry>()
    } else {
        0
    }
}

/// Looks at all entries. A target that is held for several reasons counts for the first of them.
fn one_by_one(job: &JobView) -> BTreeMap<HoldReason, usize> {
    let (mut held, mut seen) = (BTreeMap::new(), HashSet::new());
    for block in job.blocks() {
        for (at, entry) in block.entries().iter().enumerate() {
            let Entry::Active(labels) = entry else { continue };
            if let Some(hold) = job.hold(block, at)
                && seen.insert(labels)
            {
                *held.entry(hold.reason).or_default() += 1;
            }
        }
    }
    held
}
