//! Why an entry is kept, since when, and what time does to that. Pure.

use std::time::{Duration, SystemTime};

use rosterd_model::{Labels, TargetGroup};
use tokio::time::Instant;

use crate::roster::block::RawEntry;
use crate::roster::brake::{Confirm, STILL};
use crate::roster::clock::Now;
use crate::roster::hold::{Hold, HoldReason};
use crate::roster::job::Keeping;

/// Why an entry is kept, and what it is.
#[derive(Debug, Clone)]
pub(in crate::roster) struct KeptHold {
    pub(in crate::roster) hold: Hold,
    /// Since when, on the clock that only goes forward.
    pub(super) at: Instant,
    /// The target, once it is counted.
    pub(super) target: Option<Labels>,
}

impl KeptHold {
    pub(in crate::roster::state) fn new(reason: HoldReason, keeping: &Keeping, now: Now) -> Self {
        Self { hold: Hold::new(reason, now.wall), at: now.instant, target: None }.under(keeping)
    }

    /// The same, with the settings that a job has now.
    pub(super) fn under(mut self, keeping: &Keeping) -> Self {
        self.hold.until = keeping.longest(self.hold.reason).map(|time| self.hold.since + time);
        self
    }

    /// When time may end it.
    pub(super) fn end(&self, keeping: &Keeping, polls: bool) -> Option<Instant> {
        let own = keeping.longest(self.hold.reason);
        let still = || {
            (self.hold.reason == HoldReason::Braked && keeping.confirm()? == Confirm::Reading && !polls)
                .then_some(STILL)
        };
        Some(self.at + own.or_else(still)?)
    }

    /// What it is held for when nothing brakes it any more: its time of grace, if it has one left since its source said that it is gone.
    pub(super) fn graced(&self, keeping: &Keeping, now: Now) -> Option<Self> {
        let has_left = self.hold.reason == HoldReason::Braked && self.at + keeping.grace > now.instant;
        let hold = Hold::new(HoldReason::Grace, self.hold.since);
        has_left.then(|| Self { hold, target: None, ..self.clone() }.under(keeping))
    }

    /// The key of the group of an entry with this hash, which says after a restart what is to be known of it.
    fn key(&self, entry: u64) -> String {
        let since = self.hold.since.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        format!("{},{},{entry:016x}", self.hold.reason.as_str(), since.as_millis())
    }

    /// The group that an entry of this source, with this hash, is kept as.
    pub(in crate::roster::state) fn group(&self, source: &str, entry: RawEntry<'_>, hash: u64) -> TargetGroup {
        TargetGroup { source: source.into(), key: self.key(hash).into(), ..entry.alone() }
    }

    pub(super) fn from_key(key: &str, keeping: &Keeping, now: Now) -> Option<Self> {
        let mut parts = key.split(',');
        let reason = match parts.next()? {
            "braked" => HoldReason::Braked,
            "grace" => HoldReason::Grace,
            _ => return None,
        };
        let since = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(parts.next()?.parse().ok()?))?;
        // A calendar that was put back makes it no longer than it would be anew.
        let age = now.wall.duration_since(since).unwrap_or_default();
        let at = now.instant.checked_sub(age).unwrap_or(now.instant);
        Some(Self { hold: Hold::new(reason, since), at, target: None }.under(keeping))
    }
}
