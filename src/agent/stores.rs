//! The stores of an agent: where they are, and what does not work of them.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::AgentError;
use crate::api;
use crate::journal::JournalHandle;
use crate::store::ledger::Member;
use crate::store::{Blocks, Ledger, Loss, MemoryBlocks, MemoryLedger, StoreFailure, StoreFailures, open_folder};

/// How often a store that fails is tried.
const TRIED_AGAIN: Duration = Duration::from_secs(5);

/// Where state outlives the process, if there is a folder for it.
pub(super) struct Stores {
    pub(super) blocks: Arc<dyn Blocks>,
    pub(super) ledger: Arc<dyn Ledger>,
    pub(super) failures: StoreFailures,
    /// What is not there that was stored of targets.
    pub(super) lost: Option<Loss>,
}

impl Stores {
    pub(super) async fn open(folder: Option<&Path>) -> Result<Self, AgentError> {
        Ok(match folder {
            Some(folder) => {
                let (blocks, ledger) = open_folder(folder).await?;
                let (failures, lost) = (blocks.failures(), blocks.lost().cloned());
                Self { blocks: Arc::new(blocks), ledger: Arc::new(ledger), failures, lost }
            }
            None => Self {
                blocks: Arc::new(MemoryBlocks::new()),
                ledger: Arc::new(MemoryLedger::new()),
                failures: StoreFailures::default(),
                lost: None,
            },
        })
    }
}

/// Uses the ledger from time to time while it cannot be used. Nobody else does where no work is due, and until somebody does it is
/// told that it fails, also when the disk has long been well again.
pub(super) async fn try_again(ledger: Arc<dyn Ledger>, failures: StoreFailures, stop: CancellationToken) {
    while stop.run_until_cancelled(tokio::time::sleep(TRIED_AGAIN)).await.is_some() {
        if !failures.list().is_empty() {
            // How it ends is noted there.
            ledger.read(&Member::local()).await.ok();
        }
    }
}

pub(super) fn storage_failures(failures: &StoreFailures, journal: &JournalHandle) -> Vec<api::StorageFailure> {
    let told = |(file, StoreFailure { report, since })| api::StorageFailure { file, report, since };
    let journal = journal.failing().map(|failing| ("journal", failing.report, failing.since));
    let journal = journal.map(|(file, report, since)| api::StorageFailure { file, report, since });
    failures.list().into_iter().map(told).chain(journal).collect()
}
