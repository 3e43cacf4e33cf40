//! What is stored of providers that no job uses or holds any more, and of what jobs kept that are gone: it stays for a day, so that
//! whoever takes a configuration back finds what was known, also while the source is down. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use rosterd_discovery::ProviderKey;
use tokio::time::Instant;

use super::Effect;
use crate::roster::clock::Now;
use crate::roster::head::{self, Head};

/// For so long it stays.
const DAY: Duration = Duration::from_secs(24 * 3600);
/// Of more than this, providers and what jobs kept of one together, those go first that are unused for longest.
const MOST: usize = 1000;
/// The same for the bytes that their groups take: some four million targets.
const MOST_BYTES: u64 = 256 << 20;

/// The name in the store of what a job keeps of a provider begins with this, as that of no provider does.
const STORED: &str = "+kept/";

/// Under which name it is stored what a job keeps of a provider.
pub(super) fn stored_name(job: &str, key: &ProviderKey) -> ProviderKey {
    ProviderKey::new(format!("{}{key}", stored_names(job)))
}

/// How the names begin under which it is stored what a job keeps.
fn stored_names(job: &str) -> String {
    format!("{STORED}{}/{job}/", job.len())
}

/// Whether that is stored under this name which a job keeps, rather than what a provider has.
pub(in crate::roster) fn is_kept(key: &ProviderKey) -> bool {
    key.as_str().starts_with(STORED)
}

/// What is stored of a provider that no job uses or holds, or of what a job kept of one.
#[derive(Debug)]
pub(in crate::roster) struct Left {
    pub(in crate::roster) key: ProviderKey,
    /// As it is stored, or should be but for what is said here; `None` if that cannot be read.
    pub(in crate::roster) head: Option<Head>,
    /// The bytes of its groups, unless the head says so.
    pub(in crate::roster) bytes: u64,
}

/// Providers that no job uses or holds, and what jobs kept that are gone.
#[derive(Debug, Default)]
pub(super) struct Unused(BTreeMap<ProviderKey, Lasts>);

/// Until when one stays, and how large it is.
#[derive(Debug, Clone, Copy)]
struct Lasts {
    until: Instant,
    bytes: u64,
}

impl Unused {
    /// How many providers that is.
    pub(super) fn providers(&self) -> usize {
        self.0.len() - self.beginning(STORED).count()
    }

    /// Under which names it is stored what a job kept.
    pub(super) fn kept_of(&self, job: &str) -> Vec<ProviderKey> {
        self.beginning(&stored_names(job)).cloned().collect()
    }

    fn beginning(&self, prefix: &str) -> impl Iterator<Item = &ProviderKey> {
        let from = self.0.range(ProviderKey::new(prefix)..).map(|(key, _)| key);
        from.take_while(move |key| key.as_str().starts_with(prefix))
    }

    /// It is used again.
    pub(super) fn remove(&mut self, key: &ProviderKey) {
        self.0.remove(key);
    }

    /// Takes one, from now on or since its head says so. Nobody holds it until it is used again.
    pub(super) fn take(&mut self, left: Left, now: Now, effect: &mut Effect) {
        let Left { key, head, bytes } = left;
        // Of what never reported there is nothing to keep.
        let Some(head) = head.filter(|head| head.reported) else { return self.forget(&key, effect) };
        let unused = head.unused.unwrap_or(head::Unused { since: now.wall, bytes });
        // A calendar that was put back makes it longer by no more than a day.
        let age = now.wall.duration_since(unused.since).unwrap_or_default();
        if age >= DAY {
            return self.forget(&key, effect);
        }
        self.0.insert(key.clone(), Lasts { until: now.instant + (DAY - age), bytes: unused.bytes });
        let nobodys = Head {
            // Only the job that kept it has it again.
            jobs: if head.kept.is_some() { head.jobs.clone() } else { [].into() },
            held: [].into(),
            restored: None,
            replaced: false,
            unused: Some(unused),
            ..head.clone()
        };
        if nobodys != head {
            effect.heads.push((key, nobodys));
        }
        while self.0.len() > MOST || self.0.values().map(|stay| stay.bytes).sum::<u64>() > MOST_BYTES {
            let Some((first, _)) = self.0.iter().min_by_key(|(_, stay)| stay.until) else { return };
            self.forget(&first.clone(), effect);
        }
    }

    /// When time has to be told next.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.0.values().map(|stay| stay.until).min()
    }

    /// Forgets what had its time.
    pub(super) fn pass(&mut self, now: Now, effect: &mut Effect) {
        let over = self.0.iter().filter(|(_, stay)| stay.until <= now.instant).map(|(key, _)| key.clone());
        over.collect::<Vec<_>>().iter().for_each(|key| self.forget(key, effect));
    }

    pub(super) fn forget(&mut self, key: &ProviderKey, effect: &mut Effect) {
        self.0.remove(key);
        effect.heads.retain(|(other, _)| other != key);
        effect.forgotten.push(key.clone());
    }
}
