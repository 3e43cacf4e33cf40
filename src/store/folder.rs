//! Both stores in a folder.

use std::path::Path;

use rosterd_tasks::blocking;

use super::database::{Lock, Opener, open_file};
use super::{EmbeddedBlocks, EmbeddedLedger, StoreError};

/// Opens the stores in a folder that belongs to this agent alone, and is made if need be. The folder is free for others
/// when the last clone of both is dropped.
///
/// Fails when another process uses the folder, and when it was written by a newer rosterd. A damaged file is moved aside:
/// groups are discovered again, and operations decided again. A disk that is full or cannot be written is told, and each use
/// of a store tries again: until then it fails.
pub async fn open_folder(folder: &Path) -> Result<(EmbeddedBlocks, EmbeddedLedger), StoreError> {
    open_with(folder, open_file).await
}

pub(super) async fn open_with(folder: &Path, opener: Opener) -> Result<(EmbeddedBlocks, EmbeddedLedger), StoreError> {
    let folder = folder.to_path_buf();
    blocking(move || {
        let lock = Lock::of(&folder);
        Ok((EmbeddedBlocks::open(&lock, opener)?, EmbeddedLedger::open(&lock, opener)?))
    })
    .await
}
