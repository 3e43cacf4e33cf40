//! Carries changed blocks to the store behind the roster's back: the roster never waits for a disk, and what changed
//! many times between two writes is written once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use rosterd_discovery::ProviderKey;
use rosterd_model::{Coded, Report};
use rosterd_tasks::Schedule;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::block::{Block, BlockId, BlockWriter};
use crate::store::{self, Blocks, BlocksChange, StoreError};

/// The id under which an empty block says that the provider has reported. Without it, having no blocks means nothing.
const REPORTED: u64 = 0;
/// Blocks of one read: bounds its memory.
const BATCH: usize = 256;
/// Writes are at least this far apart.
const PAUSE: Duration = Duration::from_millis(500);

/// What has to be written.
#[derive(Debug, Default)]
struct Changes {
    blocks: BTreeMap<(ProviderKey, BlockId), Option<Arc<Block>>>,
    reported: BTreeSet<ProviderKey>,
    forgotten: BTreeSet<ProviderKey>,
}

impl Changes {
    fn is_empty(&self) -> bool {
        self.blocks.is_empty() && self.reported.is_empty() && self.forgotten.is_empty()
    }

    /// Puts changes that could not be written under those that came since.
    fn put_back(&mut self, older: Self) {
        let newer = std::mem::replace(self, older);
        self.forget(newer.forgotten);
        self.blocks.extend(newer.blocks);
        self.reported.extend(newer.reported);
    }

    fn forget(&mut self, providers: impl IntoIterator<Item = ProviderKey>) {
        for key in providers {
            self.blocks.retain(|(provider, _), _| *provider != key);
            self.reported.remove(&key);
            self.forgotten.insert(key);
        }
    }

    /// What to do, in steps of bounded size. Forgetting comes first: a provider may be forgotten and come back.
    fn in_steps(&self) -> Vec<BlocksChange> {
        let mut changes: Vec<_> = self.forgotten.iter().map(|key| BlocksChange::DeleteProvider(key.shared())).collect();
        let empty: Bytes = BlockWriter::default().finish().to_bytes().into();
        for key in &self.reported {
            let blocks = vec![store::Block { id: REPORTED, bytes: empty.clone() }];
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
}

/// Where the roster leaves what has to be written.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    changes: Mutex<Changes>,
    news: Notify,
}

impl Outbox {
    /// Leaves changes; returns at once.
    pub(super) fn leave(
        &self,
        blocks: Vec<(ProviderKey, BlockId, Option<Arc<Block>>)>,
        reported: Vec<ProviderKey>,
        forgotten: Vec<ProviderKey>,
    ) {
        if blocks.is_empty() && reported.is_empty() && forgotten.is_empty() {
            return;
        }
        let mut changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        changes.forget(forgotten);
        changes.blocks.extend(blocks.into_iter().map(|(key, id, block)| ((key, id), block)));
        changes.reported.extend(reported);
        drop(changes);
        self.news.notify_one();
    }

    fn take(&self) -> Changes {
        std::mem::take(&mut *self.changes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn put_back(&self, changes: Changes) {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner).put_back(changes);
    }

    /// Writes whatever is left here until stopped, and what is left then.
    pub(super) async fn run(&self, store: &dyn Blocks, stop: CancellationToken) {
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
            error!(error = %Report::of(&error), code = error.code(), "the latest changes of the roster were not stored");
        }
    }

    async fn write(&self, store: &dyn Blocks) -> Result<(), StoreError> {
        let changes = self.take();
        if changes.is_empty() {
            return Ok(());
        }
        // Blocks of a provider belong together: all of it at once.
        let result = store.apply(changes.in_steps()).await;
        if result.is_err() {
            self.put_back(changes);
        }
        result
    }
}

/// What is stored of a provider: `None` if it never reported, or if what is stored cannot be read.
pub(super) async fn load(
    store: &dyn Blocks,
    key: &ProviderKey,
) -> Result<Option<BTreeMap<BlockId, Arc<Block>>>, StoreError> {
    let mut blocks = BTreeMap::new();
    let (mut reported, mut from) = (false, 0);
    loop {
        let batch = store.blocks(key.as_str(), from, BATCH).await?;
        for stored in &batch {
            from = stored.id + 1;
            if stored.id == REPORTED {
                reported = true;
                continue;
            }
            match Block::from_bytes(&stored.bytes) {
                Ok(block) => drop(blocks.insert(stored.id, Arc::new(block))),
                Err(error) => {
                    let (provider, code) = (key.as_str(), error.code());
                    warn!(%error, code, provider, "stored groups cannot be read, waiting for the provider instead");
                    return Ok(None);
                }
            }
        }
        if batch.len() < BATCH {
            break;
        }
    }
    if reported {
        let targets: usize = blocks.values().map(|block| block.len()).sum();
        info!(provider = key.as_str(), targets, "restored what the provider reported before");
    }
    Ok(reported.then_some(blocks))
}
