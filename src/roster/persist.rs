//! Carries changed blocks to the store behind the roster's back: the roster never waits for a disk, and what changed
//! many times between two writes is written once. What waits to be written answers reads.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus::IntCounter;
use rosterd_discovery::{ProviderKey, named_jobs};
use rosterd_model::{Coded, Report};
use rosterd_tasks::Schedule;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use super::block::{Block, BlockId};
use super::head::Head;
use super::state::{Effect, Stored};
use crate::store::{self, Blocks, BlocksChange, StoreError};

/// The id under which a provider's head is kept.
const HEAD: u64 = 0;
/// Blocks of one read: bounds its memory.
const BATCH: usize = 256;
/// Writes are at least this far apart.
const PAUSE: Duration = Duration::from_millis(500);

/// What has to be written.
#[derive(Debug, Default)]
struct Changes {
    forgotten: BTreeSet<ProviderKey>,
    heads: BTreeMap<ProviderKey, Head>,
    blocks: BTreeMap<(ProviderKey, BlockId), Option<Arc<Block>>>,
}

impl Changes {
    fn is_empty(&self) -> bool {
        self.blocks.is_empty() && self.heads.is_empty() && self.forgotten.is_empty()
    }

    /// Puts later changes over these.
    fn extend(&mut self, later: Self) {
        for key in later.forgotten {
            self.blocks.retain(|(provider, _), _| *provider != key);
            self.heads.remove(&key);
            self.forgotten.insert(key);
        }
        self.blocks.extend(later.blocks);
        self.heads.extend(later.heads);
    }

    /// What to do. Forgetting comes first: a provider may be forgotten and come back.
    fn to_write(&self) -> Vec<BlocksChange> {
        let mut changes: Vec<_> = self.forgotten.iter().map(|key| BlocksChange::DeleteProvider(key.shared())).collect();
        for (key, head) in &self.heads {
            let blocks = vec![store::Block { id: HEAD, bytes: head.to_bytes().into() }];
            changes.push(BlocksChange::Put { provider: key.shared(), blocks });
        }
        for ((key, id), block) in &self.blocks {
            let (provider, id) = (key.shared(), *id);
            changes.push(match block {
                Some(block) => {
                    let blocks = vec![store::Block { id, bytes: block.to_bytes().into() }];
                    BlocksChange::Put { provider, blocks }
                }
                None => BlocksChange::Delete { provider, ids: vec![id] },
            });
        }
        changes
    }

    /// Puts what concerns a provider over what is known to wait for it.
    fn add_to(&self, key: &ProviderKey, waiting: &mut Waiting) {
        if self.forgotten.contains(key) {
            *waiting = Waiting { forgotten: true, ..Waiting::default() };
        }
        let range = (key.clone(), 0)..=(key.clone(), BlockId::MAX);
        waiting.blocks.extend(self.blocks.range(range).map(|((_, id), block)| (*id, block.clone())));
        if let Some(head) = self.heads.get(key) {
            waiting.head = Some(head.clone());
        }
    }
}

/// What waits to be written of one provider.
#[derive(Debug, Default)]
struct Waiting {
    /// Whether what the store has of it counts no longer.
    forgotten: bool,
    head: Option<Head>,
    blocks: BTreeMap<BlockId, Option<Arc<Block>>>,
}

/// Where the roster leaves what has to be written.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    changes: Mutex<Queue>,
    news: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: Changes,
    /// What is on its way: the store may have it or not.
    writing: Arc<Changes>,
}

impl Outbox {
    /// Leaves what an event changed; returns at once.
    pub(super) fn leave(&self, effect: &mut Effect) {
        let changes = Changes {
            forgotten: std::mem::take(&mut effect.forgotten).into_iter().collect(),
            heads: std::mem::take(&mut effect.heads).into_iter().collect(),
            blocks: effect.blocks.drain(..).map(|(key, id, block)| ((key, id), block)).collect(),
        };
        if changes.is_empty() {
            return;
        }
        self.queue().waiting.extend(changes);
        self.news.notify_one();
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn waiting(&self, key: &ProviderKey) -> Waiting {
        let (queue, mut waiting) = (self.queue(), Waiting::default());
        queue.writing.add_to(key, &mut waiting);
        queue.waiting.add_to(key, &mut waiting);
        waiting
    }

    /// Writes whatever is left here until stopped, and what is left then.
    pub(super) async fn run(&self, store: &dyn Blocks, failures: &IntCounter, stop: CancellationToken) {
        let mut schedule = Schedule::new(Duration::from_secs(60), "store");
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = self.news.notified() => {}
            }
            let mut wait = PAUSE;
            if let Err(error) = self.write(store).await {
                wait = schedule.failed(error.retry());
                failures.inc();
                let report = Report::of(&error);
                error!(error = %report, code = error.code(), retry_in = ?wait, "cannot store the roster, a restart now would forget its latest changes");
                self.news.notify_one();
            } else {
                schedule.succeeded();
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = tokio::time::sleep(wait) => {}
            }
        }
        if let Err(error) = self.write(store).await {
            failures.inc();
            error!(error = %Report::of(&error), code = error.code(), "the latest changes of the roster were not stored");
        }
    }

    async fn write(&self, store: &dyn Blocks) -> Result<(), StoreError> {
        let changes = {
            let mut queue = self.queue();
            queue.writing = Arc::new(std::mem::take(&mut queue.waiting));
            Arc::clone(&queue.writing)
        };
        if changes.is_empty() {
            return Ok(());
        }
        let writes = rosterd_tasks::blocking(move || changes.to_write()).await;
        // Blocks of a provider belong together: all of it at once.
        let result = store.apply(writes).await;
        let mut queue = self.queue();
        let written = Arc::into_inner(std::mem::take(&mut queue.writing)).expect("reads look at it under the lock");
        if result.is_err() {
            let later = std::mem::replace(&mut queue.waiting, written);
            queue.waiting.extend(later);
        }
        result
    }

    /// All providers of which something is stored, or waits to be.
    pub(super) async fn providers(&self, store: &dyn Blocks) -> Result<BTreeSet<ProviderKey>, StoreError> {
        let mut known: BTreeSet<_> = {
            let queue = self.queue();
            queue.writing.heads.keys().chain(queue.waiting.heads.keys()).cloned().collect()
        };
        known.extend(store.providers().await?.into_iter().map(ProviderKey::new));
        known.retain(|key| {
            let waiting = self.waiting(key);
            !waiting.forgotten || waiting.head.is_some()
        });
        Ok(known)
    }

    /// What is stored of a provider beside its blocks, as [`load`](Self::load) tells it.
    pub(super) async fn head(
        &self,
        store: &dyn Blocks,
        key: &ProviderKey,
        jobs: &[Arc<str>],
    ) -> Result<Option<Head>, StoreError> {
        let waiting = self.waiting(key);
        if waiting.forgotten || waiting.head.is_some() {
            return Ok(waiting.head);
        }
        let stored = store.blocks(key.as_str(), HEAD, 1).await?;
        Ok(stored.first().filter(|block| block.id == HEAD).and_then(|block| head(key, jobs, &block.bytes)))
    }

    /// The bytes that a provider's groups take in the store.
    pub(super) async fn size(&self, store: &dyn Blocks, key: &ProviderKey) -> Result<u64, StoreError> {
        let (mut from, mut bytes) = (HEAD + 1, 0);
        loop {
            let batch = store.blocks(key.as_str(), from, BATCH).await?;
            bytes += batch.iter().map(|block| block.bytes.len() as u64).sum::<u64>();
            match batch.last() {
                Some(last) if batch.len() == BATCH => from = last.id + 1,
                _ => return Ok(bytes),
            }
        }
    }

    /// What is stored of a provider: `None` if it never reported, or if what is stored cannot be read. That is told with the
    /// jobs that use it.
    pub(super) async fn load(
        &self,
        store: &dyn Blocks,
        key: &ProviderKey,
        jobs: &[Arc<str>],
    ) -> Result<Option<Stored>, StoreError> {
        // First what waits: what is written meanwhile is in both.
        let waiting = self.waiting(key);
        let (mut stored, mut ended) = (Vec::new(), waiting.forgotten);
        while !ended {
            let from = stored.last().map_or(HEAD, |block: &store::Block| block.id + 1);
            let batch = store.blocks(key.as_str(), from, BATCH).await?;
            ended = batch.len() < BATCH;
            stored.extend(batch);
        }
        let (own, jobs) = (key.clone(), jobs.to_vec());
        Ok(rosterd_tasks::blocking(move || put_together(own, &jobs, stored, waiting)).await)
    }
}

/// What is stored with what waits over it.
fn put_together(key: ProviderKey, jobs: &[Arc<str>], stored: Vec<store::Block>, waiting: Waiting) -> Option<Stored> {
    let (mut found, mut blocks) = (None, BTreeMap::new());
    for store::Block { id, bytes } in stored {
        if id == HEAD {
            found = head(&key, jobs, &bytes);
            continue;
        }
        if waiting.blocks.contains_key(&id) {
            continue;
        }
        match Block::from_bytes(&bytes) {
            Ok(block) => drop(blocks.insert(id, Arc::new(block))),
            Err(error) => {
                let (provider, jobs, code) = (key.as_str(), named_jobs(jobs.iter()), error.code());
                warn!(%error, code, provider, jobs, "stored groups cannot be read, waiting for the provider instead");
                return None;
            }
        }
    }
    let head = waiting.head.or(found)?;
    let newer = waiting.blocks.into_iter().filter_map(|(id, block)| Some((id, block?)));
    blocks.extend(newer);
    Some(Stored { key, head, blocks })
}

fn head(key: &ProviderKey, jobs: &[Arc<str>], bytes: &[u8]) -> Option<Head> {
    let read = Head::from_bytes(bytes);
    read.inspect_err(|error| {
        let (provider, jobs, code) = (key.as_str(), named_jobs(jobs.iter()), error.code());
        warn!(%error, code, provider, jobs, "what is stored of a provider cannot be read, waiting for the provider instead");
    })
    .ok()
}

#[cfg(test)]
mod tests;
