//! Which targets of a job are held, why, and how many. Pure.

use std::collections::{BTreeMap, HashMap};

use rosterd_model::Labels;

use super::hold::{HoldReason, HoldReasons};
use super::pages::Slot;
use super::target::Entry;
use super::view::JobView;

/// Why each target of a job is held.
#[derive(Debug)]
pub struct Holding<'a>(Held<'a>);

#[derive(Debug)]
enum Held<'a> {
    /// All that are, for the same reason.
    Alike(HoldReason),
    Each(HashMap<&'a Labels, HoldReasons>),
}

impl<'a> Holding<'a> {
    /// Of a job. Looks at the entries that are held, unless all are for one reason.
    pub fn of(job: &'a JobView) -> Self {
        if let [reason] = reasons(job)[..] {
            return Self(Held::Alike(reason));
        }
        let mut each = HashMap::<_, HoldReasons>::new();
        job.each_held(|labels, reason| each.entry(labels).or_default().insert(reason));
        Self(Held::Each(each))
    }

    /// Why a target of the job is held: for no reason, if it is not.
    pub fn why(&self, slot: &Slot) -> HoldReasons {
        match &self.0 {
            _ if !slot.is_held() => HoldReasons::default(),
            Held::Alike(reason) => HoldReasons::from(*reason),
            Held::Each(each) => each.get(&slot.labels).copied().unwrap_or_default(),
        }
    }

    /// For which reason all are held that are, if it is one.
    pub fn alike(&self) -> Option<HoldReason> {
        match &self.0 {
            Held::Alike(reason) => Some(*reason),
            Held::Each(_) => None,
        }
    }
}

/// The reasons for which entries of a job are held.
fn reasons(job: &JobView) -> Vec<HoldReason> {
    let counts = job.counts();
    HoldReason::ALL.into_iter().filter(|reason| counts.held.of(*reason) > 0).collect()
}

/// How many targets are braked.
pub fn braked(job: &JobView) -> usize {
    kept(job, HoldReason::Braked)
}

/// How many targets are in their time of grace.
pub fn in_grace(job: &JobView) -> usize {
    kept(job, HoldReason::Grace)
}

/// Each target that is kept is so once, and only while no source says it: it has no other entry.
fn kept(job: &JobView, reason: HoldReason) -> usize {
    job.counts().held.of(reason).min(job.pages().held())
}

/// How many targets are held for any of the other reasons: nobody says that they are gone.
pub fn unsaid(job: &JobView) -> usize {
    job.pages().held().saturating_sub(braked(job) + in_grace(job))
}

/// How many targets are held for each reason, without those for which none is. Entries are counted as they come and go; as long as
/// each of them is a target of its own, or all are held for one reason, that is all that is needed.
pub fn by_reason(job: &JobView) -> BTreeMap<HoldReason, usize> {
    let (unsaid, counts) = (unsaid(job), job.counts());
    let others = [HoldReason::Restored, HoldReason::Unread, HoldReason::Replaced];
    let others: Vec<_> = others.into_iter().filter(|reason| counts.held.of(*reason) > 0).collect();
    let mut held = BTreeMap::from([(HoldReason::Braked, braked(job)), (HoldReason::Grace, in_grace(job))]);
    match others[..] {
        _ if unsaid == 0 => {}
        [] => {}
        [reason] => _ = held.insert(reason, unsaid),
        _ if counts.duplicates == 0 => held.extend(others.into_iter().map(|reason| (reason, counts.held.of(reason)))),
        // One that is held for several reasons counts for the first of them.
        _ => {
            let holding = Holding::of(job);
            let firsts = job.targets().filter_map(|slot| holding.why(slot).first());
            let firsts = firsts.filter(|reason| others.contains(reason));
            firsts.for_each(|reason| *held.entry(reason).or_default() += 1);
        }
    }
    held.retain(|_, targets| *targets > 0);
    held
}

/// Whether [`by_reason`] takes long enough to keep others from a thread: in bytes.
pub fn weight(job: &JobView) -> usize {
    let counts = job.counts();
    let is_kept = |reason: &HoldReason| matches!(reason, HoldReason::Braked | HoldReason::Grace);
    let others = reasons(job).into_iter().filter(|reason| !is_kept(reason)).count();
    if others > 1 && counts.duplicates > 0 && unsaid(job) > 0 {
        (counts.targets + counts.duplicates) * size_of::<Entry>()
    } else {
        0
    }
}
