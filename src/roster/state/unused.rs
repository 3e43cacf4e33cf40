//! What is stored of providers that no job uses or holds any more: it stays for a day, so that whoever takes a configuration
//! back finds what was known, also while the source is down. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use rosterd_discovery::ProviderKey;
use tokio::time::Instant;

use super::Effect;
use crate::roster::clock::Now;
use crate::roster::head::{self, Head};

/// For so long.
const KEPT: Duration = Duration::from_secs(24 * 3600);
/// Of more providers than this those go first that are unused for longest.
const MOST: usize = 1000;
/// The same for the bytes that their groups take: some four million targets.
const MOST_BYTES: u64 = 256 << 20;

/// What is stored of a provider that no job uses or holds.
#[derive(Debug)]
pub(in crate::roster) struct Left {
    pub(in crate::roster) key: ProviderKey,
    /// As it is stored, or should be but for what is said here; `None` if that cannot be read.
    pub(in crate::roster) head: Option<Head>,
    /// The bytes of its groups, unless the head says so.
    pub(in crate::roster) bytes: u64,
}

/// Providers that no job uses or holds.
#[derive(Debug, Default)]
pub(super) struct Unused(BTreeMap<ProviderKey, Kept>);

#[derive(Debug, Clone, Copy)]
struct Kept {
    until: Instant,
    bytes: u64,
}

impl Unused {
    pub(super) fn len(&self) -> usize {
        self.0.len()
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
        if age >= KEPT {
            return self.forget(&key, effect);
        }
        self.0.insert(key.clone(), Kept { until: now.instant + (KEPT - age), bytes: unused.bytes });
        let nobodys = Head {
            jobs: [].into(),
            held: [].into(),
            restored: None,
            replaced: false,
            unused: Some(unused),
            ..head.clone()
        };
        if nobodys != head {
            effect.heads.push((key, nobodys));
        }
        while self.0.len() > MOST || self.0.values().map(|kept| kept.bytes).sum::<u64>() > MOST_BYTES {
            let Some((first, _)) = self.0.iter().min_by_key(|(_, kept)| kept.until) else { return };
            self.forget(&first.clone(), effect);
        }
    }

    /// When time has to be told next.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.0.values().map(|kept| kept.until).min()
    }

    /// Forgets what had its time.
    pub(super) fn pass(&mut self, now: Now, effect: &mut Effect) {
        let over = self.0.iter().filter(|(_, kept)| kept.until <= now.instant).map(|(key, _)| key.clone());
        over.collect::<Vec<_>>().iter().for_each(|key| self.forget(key, effect));
    }

    fn forget(&mut self, key: &ProviderKey, effect: &mut Effect) {
        self.0.remove(key);
        effect.heads.retain(|(other, _)| other != key);
        effect.forgotten.push(key.clone());
    }
}
