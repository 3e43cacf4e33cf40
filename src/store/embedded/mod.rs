//! The store in a file of its own, by redb: the default of an agent. One process at a time; blocking work runs on the
//! blocking threads of the runtime.

#[cfg(test)]
mod crash; // a writer that is killed
mod fault; // failures inside the database
mod file; // lock, opening, damaged files
mod tables; // the contract mapped to tables
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use redb::{Database, ReadTransaction, ReadableDatabase};
use rosterd_model::{Coded, Report};
use rosterd_tasks::blocking;
use rosterd_tasks::stopper::Stopper;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{Block, Change, Operation, PendingOperation, Store, StoreError, Transaction, WorkerState};
use fault::{Fault, caught};
use file::{Opener, StoreFile};

/// How long a written group block may stay without being durable.
const SYNC_DELAY: Duration = Duration::from_secs(1);

/// How much may be written without being durable, whatever the delay.
const UNSYNCED_LIMIT: usize = 16 * 1024 * 1024;

/// The embedded store: `roster.redb` in a folder that belongs to this agent alone. Cloning shares it.
///
/// A full disk or another failure of the system is an error of the call that met it; the database is opened again by
/// the next call, without a loss.
#[derive(Debug, Clone)]
pub struct EmbeddedStore(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    file: StoreFile,
    /// Taken before `database` by whoever writes or opens.
    unsynced: Mutex<Unsynced>,
    /// `None` after a failure, until the next use.
    database: RwLock<Option<Database>>,
    written: Notify,
    closing: CancellationToken,
}

/// Transactions that are not durable yet, to be repeated when the database has to be opened again.
#[derive(Debug, Default)]
struct Unsynced {
    transactions: Vec<(u64, Transaction)>,
    bytes: usize,
    /// The number of the last transaction.
    sequence: u64,
}

impl EmbeddedStore {
    /// Opens the store in a folder, which is made if need be. Its tasks run on the stopper, whose end makes all durable;
    /// the folder is free for others when the stopper has ended and the last clone is dropped.
    ///
    /// Fails when another process uses the folder, when the store was written by a newer rosterd, and when the system
    /// refuses. A damaged store is moved aside.
    pub async fn open(folder: &Path, stopper: &Stopper) -> Result<Self, StoreError> {
        Self::open_with(folder, stopper, file::open_file).await
    }

    async fn open_with(folder: &Path, stopper: &Stopper, opener: Opener) -> Result<Self, StoreError> {
        let closing = stopper.token().clone();
        let folder = folder.to_path_buf();
        let inner = blocking(move || Inner::open(&folder, opener, closing)).await?;
        let store = Self(Arc::new(inner));
        stopper.spawn("store sync", store.clone().sync_written());
        Ok(store)
    }

    /// Makes what was written durable after a while, and at the end.
    async fn sync_written(self) {
        let closing = self.0.closing.clone();
        loop {
            tokio::select! {
                biased;
                () = closing.cancelled() => break,
                () = self.0.written.notified() => {}
            }
            tokio::select! {
                biased;
                () = closing.cancelled() => break,
                () = tokio::time::sleep(SYNC_DELAY) => {}
            }
            if self.flush_or_warn().await.is_err() {
                self.0.written.notify_one();
            }
        }
        // Logged is all that can be done for it.
        self.flush_or_warn().await.ok();
    }

    async fn flush_or_warn(&self) -> Result<(), StoreError> {
        let result = self.flush().await;
        if let Err(error) = &result {
            let report = Report::of(error);
            warn!(error = %report, code = error.code(), "groups are not durable yet");
        }
        result
    }

    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&ReadTransaction) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        let inner = Arc::clone(&self.0);
        blocking(move || inner.read(read)).await
    }
}

impl Inner {
    fn open(folder: &Path, opener: Opener, closing: CancellationToken) -> Result<Self, StoreError> {
        let file = StoreFile::lock(folder, opener)?;
        let database = file.open_or_replace()?;
        let sequence = caught(|| tables::sequence(&database)).map_err(|fault| fault.at(&file.path))?;
        let unsynced = Mutex::new(Unsynced { sequence, ..Unsynced::default() });
        Ok(Self { file, unsynced, database: RwLock::new(Some(database)), written: Notify::new(), closing })
    }

    fn apply(&self, transaction: Transaction) -> Result<Vec<Change>, StoreError> {
        let mut unsynced = self.unsynced();
        let bytes = size_of(&transaction);
        let durable = transaction.operations.iter().any(Operation::is_durable)
            || unsynced.bytes + bytes > UNSYNCED_LIMIT
            || self.closing.is_cancelled();
        let number = unsynced.sequence + 1;
        let apply = |database: &Database| tables::apply(database, &transaction, number, durable);
        let changes = self.with_open(|| self.reopen(&mut unsynced), apply)?;
        unsynced.sequence = number;
        if durable {
            unsynced.clear();
        } else {
            unsynced.bytes += bytes;
            // Repeated as it is: the preconditions held, and would not again.
            unsynced.transactions.push((number, Transaction { preconditions: Vec::new(), ..transaction }));
            self.written.notify_one();
        }
        Ok(changes)
    }

    fn read<T>(&self, read: impl FnOnce(&ReadTransaction) -> Result<T, Fault>) -> Result<T, StoreError> {
        self.with_open(|| self.reopen(&mut self.unsynced()), |database| read(&database.begin_read()?))
    }

    fn flush(&self) -> Result<(), StoreError> {
        let mut unsynced = self.unsynced();
        if !unsynced.transactions.is_empty() {
            self.with_open(|| self.reopen(&mut unsynced), tables::sync)?;
            unsynced.clear();
        }
        Ok(())
    }

    /// Runs a use of the database, and closes it when it failed in a way that it does not recover from.
    fn with_open<T>(
        &self,
        mut reopen: impl FnMut() -> Result<(), StoreError>,
        work: impl FnOnce(&Database) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        let result = loop {
            let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(database) = &*database {
                break caught(|| work(database));
            }
            drop(database);
            reopen()?;
        };
        if result.as_ref().is_err_and(Fault::needs_reopening) {
            *self.database.write().unwrap_or_else(PoisonError::into_inner) = None;
        }
        result.map_err(|fault| fault.at(&self.file.path))
    }

    /// Opens the database if a failure closed it, and repeats what it lost by that.
    fn reopen(&self, unsynced: &mut Unsynced) -> Result<(), StoreError> {
        let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
        if database.is_some() {
            return Ok(());
        }
        let opened = self.file.reopen()?;
        let repeat = || {
            let found = tables::sequence(&opened)?;
            for (number, transaction) in unsynced.transactions.iter().filter(|(number, _)| *number > found) {
                tables::apply(&opened, transaction, *number, false)?;
            }
            Ok(found)
        };
        let found = caught(repeat).map_err(|fault| fault.at(&self.file.path))?;
        // A commit that failed may have reached the disk all the same.
        unsynced.sequence = unsynced.sequence.max(found);
        *database = Some(opened);
        self.written.notify_one();
        Ok(())
    }

    fn unsynced(&self) -> MutexGuard<'_, Unsynced> {
        self.unsynced.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Unsynced {
    fn clear(&mut self) {
        self.transactions = Vec::new();
        self.bytes = 0;
    }
}

/// What it takes to keep a transaction until it is durable.
fn size_of(transaction: &Transaction) -> usize {
    let size = |operation: &Operation| match operation {
        Operation::PutBlocks { blocks, .. } => blocks.iter().map(|it| size_of_val(it) + it.bytes.len()).sum(),
        Operation::DeleteBlocks { ids, .. } => size_of_val(&**ids),
        _ => size_of_val(operation),
    };
    transaction.operations.iter().map(size).sum()
}

#[async_trait]
impl Store for EmbeddedStore {
    async fn apply(&self, transaction: Transaction) -> Result<Vec<Change>, StoreError> {
        let inner = Arc::clone(&self.0);
        blocking(move || inner.apply(transaction)).await
    }

    async fn providers(&self) -> Result<Vec<String>, StoreError> {
        self.read(tables::providers).await
    }

    async fn blocks(&self, provider: &str, from: u64, limit: usize) -> Result<Vec<Block>, StoreError> {
        let provider = provider.to_owned();
        self.read(move |read| tables::blocks(read, &provider, from, limit)).await
    }

    async fn block(&self, provider: &str, id: u64) -> Result<Option<Bytes>, StoreError> {
        let provider = provider.to_owned();
        self.read(move |read| tables::block(read, &provider, id)).await
    }

    async fn pending(&self) -> Result<Vec<PendingOperation>, StoreError> {
        self.read(tables::pending).await
    }

    async fn workers(&self) -> Result<Vec<WorkerState>, StoreError> {
        self.read(tables::workers).await
    }

    async fn flush(&self) -> Result<(), StoreError> {
        let inner = Arc::clone(&self.0);
        blocking(move || inner.flush()).await
    }
}
