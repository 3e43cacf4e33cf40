//! What jobs should keep of what their sources no longer have, braked or in its time of grace: the rules on plain sets.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rosterd::roster::Keeping;
use rosterd::roster::brake::{Brake, Confirm};
use rosterd::roster::hold::HoldReason;
use rosterd_discovery::ProviderKey;

use crate::truth::Content;

/// A reading sooner after a removal than this does not confirm it.
pub(crate) const APART: Duration = Duration::from_secs(10);
/// What a source that is watched does not take back for so long it has confirmed.
pub(crate) const STILL: Duration = Duration::from_secs(60);

/// What each job, and all of them together, keep.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Keepings {
    pub(crate) of_job: Vec<Keeping>,
    pub(crate) agent: Option<Brake>,
}

impl Keepings {
    pub(crate) fn of(&self, job: usize) -> Keeping {
        self.of_job.get(job).copied().unwrap_or_default()
    }
}

/// A target that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeptTarget {
    pub(crate) provider: ProviderKey,
    /// The source that lost it. Of several that did at once it is any: which one is seen later.
    pub(crate) sources: BTreeSet<String>,
    pub(crate) reason: HoldReason,
    /// Since when, counted from the beginning of the history.
    pub(crate) since: Duration,
}

/// The targets that a job keeps, by address.
pub(crate) type KeptTargets = BTreeMap<String, KeptTarget>;

impl KeptTarget {
    pub(crate) fn is_braked(&self) -> bool {
        self.reason == HoldReason::Braked
    }

    /// Until when it is kept at most, if time alone ends it.
    pub(crate) fn until(&self, keeping: &Keeping) -> Option<Duration> {
        match (self.reason, keeping.confirm()) {
            (HoldReason::Grace, _) => Some(self.since + keeping.grace),
            (_, Some(Confirm::After(time))) => Some(self.since + time),
            _ => None,
        }
    }

    /// Whether its time is over, if its source can be read where that matters.
    pub(crate) fn is_over(&self, keeping: &Keeping, now: Duration) -> bool {
        let still = || (keeping.confirm() == Some(Confirm::Reading)).then_some(self.since + STILL);
        self.until(keeping).or_else(still).is_some_and(|end| end <= now)
    }

    /// What it is kept as when nothing brakes it any more, if it has some of its time of grace left.
    pub(crate) fn graced(&self, keeping: &Keeping, now: Duration) -> Option<Self> {
        let has_left = self.is_braked() && self.since + keeping.grace > now;
        has_left.then(|| Self { reason: HoldReason::Grace, ..self.clone() })
    }

    /// The same as it is read from the store.
    pub(crate) fn restored(&self) -> Self {
        Self { since: Duration::from_millis(u64::try_from(self.since.as_millis()).unwrap()), ..self.clone() }
    }
}

/// Whether a job that has these settings keeps anything for this reason.
fn keeps(keeping: &Keeping, reason: HoldReason) -> bool {
    match reason {
        HoldReason::Braked => keeping.brake.is_some(),
        _ => !keeping.grace.is_zero(),
    }
}

/// What stays of it when a job has other settings, or uses and holds other providers: one with the same data takes the place of one
/// that is gone. What the job has besides is kept no more.
pub(crate) fn follow(
    targets: &mut KeptTargets,
    keeping: &Keeping,
    wanted: &[ProviderKey],
    has: &Content,
    now: Duration,
) {
    let before: BTreeSet<_> = targets.values().map(|it| it.provider.clone()).collect();
    let mut now_of: BTreeMap<ProviderKey, ProviderKey> = BTreeMap::new();
    for key in &before {
        let is_free = |twin: &&ProviderKey| !before.contains(*twin) && !now_of.values().any(|other| other == *twin);
        let twin = || wanted.iter().filter(|twin| twin.data() == key.data()).find(is_free);
        if let Some(now) = wanted.iter().find(|other| *other == key).or_else(twin).cloned() {
            now_of.insert(key.clone(), now);
        }
    }
    targets.retain(|address, it| {
        let Some(of) = now_of.get(&it.provider).filter(|_| !has.contains(address)) else { return false };
        it.provider = of.clone();
        keeps(keeping, it.reason) || it.graced(keeping, now).map(|graced| *it = graced).is_some()
    });
}

/// How many targets there were when.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sizes(Vec<(Duration, usize)>);

impl Sizes {
    /// What there was before counts no more.
    pub(crate) fn begin(&mut self, now: Duration, size: usize) {
        self.0 = vec![(now, size)];
    }

    pub(crate) fn note(&mut self, now: Duration, size: usize) {
        self.0.push((now, size));
    }

    /// Whether a removal that leaves so many of so many, some of which were kept before, is held, where others are kept that count as
    /// there.
    pub(crate) fn holds(
        &mut self,
        brake: &Brake,
        now: Duration,
        before: usize,
        (after, returned, kept): (usize, usize, usize),
    ) -> bool {
        self.note(now, before);
        let lately = self.0.iter().filter(|(at, _)| *at + brake.window >= now);
        let of = lately.map(|(_, size)| *size).max().unwrap_or_default().max(before + kept);
        after < before + returned && of >= brake.min_targets && (of - after) as f64 > brake.share * of as f64
    }
}
