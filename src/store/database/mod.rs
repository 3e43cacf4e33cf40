//! A redb database in a file of its own: opened, migrated, opened again after a failure, moved aside when it is damaged.
//! Knows neither blocks nor the ledger. Blocking work runs on the blocking threads of the runtime.

mod fault; // failures inside the database
mod file; // the lock of the folder, opening, damaged files
mod format; // versions and migrations
#[cfg(test)]
pub(super) mod tests;

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use redb::{ReadTransaction, ReadableDatabase, WriteTransaction};
use rosterd_model::{Coded, Report};
use rosterd_tasks::blocking;
use tracing::error;

use super::failures::Use;
use super::{StoreError, StoreFailures};
use fault::caught;

pub(super) use fault::{Fault, decode, encode};
pub(super) use file::{Lock, Opener, open_file};
pub(super) use format::Format;

/// A database. Cloning shares it.
#[derive(Debug, Clone)]
pub(super) struct Database(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    file: file::DatabaseFile,
    /// Held by whoever writes.
    writing: Mutex<()>,
    opened: RwLock<Opened>,
}

/// Whether the database can be used.
#[derive(Debug)]
enum Opened {
    /// It could not be opened yet: what is there may be the beginning of a file.
    Never,
    /// It failed, and has to be opened again.
    Failed,
    Open(redb::Database),
}

impl Database {
    /// Opens the database of this name in the folder, which is locked as long as the database lives. A disk that is full or
    /// cannot be written is told, and every use tries again; what cannot become right by itself is an error.
    pub(super) fn open(lock: &Lock, format: &'static Format, opener: Opener) -> Result<Self, StoreError> {
        let database_file = file::DatabaseFile::new(lock, format, opener);
        let opened = match database_file.open_or_replace() {
            Ok(database) => Opened::Open(database),
            Err(error @ (StoreError::Full { .. } | StoreError::Io { .. })) => {
                let (report, code, file) = (Report::of(&error), error.code(), format.file);
                error!(error = %report, code, file, "cannot open the store, going on from memory and trying again");
                database_file.note(Use::Opening, Err(&error));
                Opened::Never
            }
            Err(error) => return Err(error),
        };
        Ok(Self(Arc::new(Inner { file: database_file, writing: Mutex::new(()), opened: RwLock::new(opened) })))
    }

    /// What does not work of the files in its folder.
    pub(super) fn failures(&self) -> &StoreFailures {
        self.0.file.failures()
    }

    /// Reads what is there at one moment.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&ReadTransaction) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        let inner = Arc::clone(&self.0);
        blocking(move || inner.with_open(Use::Reading, |database| read(&database.begin_read()?))).await
    }

    /// Writes in one transaction, which is durable when this returns. When `write` fails, nothing has changed.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        write: impl FnOnce(&WriteTransaction) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.write_and(write, |_| {}).await
    }

    /// Like [`write`](Self::write); `ended` sees the result before another transaction begins, also when nobody waits
    /// for it any more.
    pub(super) async fn write_and<T: Send + 'static>(
        &self,
        write: impl FnOnce(&WriteTransaction) -> Result<T, Fault> + Send + 'static,
        ended: impl FnOnce(Result<&T, &StoreError>) + Send + 'static,
    ) -> Result<T, StoreError> {
        let inner = Arc::clone(&self.0);
        let work = move |database: &redb::Database| {
            let transaction = database.begin_write()?;
            let written = write(&transaction)?;
            transaction.commit()?;
            Ok(written)
        };
        blocking(move || {
            let _turn = inner.writing.lock().unwrap_or_else(PoisonError::into_inner);
            let result = inner.with_open(Use::Writing, work);
            inner.file.look();
            ended(result.as_ref());
            result
        })
        .await
    }
}

impl Inner {
    /// Runs a use of the database, and closes it when it failed in a way that it does not recover from.
    fn with_open<T>(&self, by: Use, work: impl FnOnce(&redb::Database) -> Result<T, Fault>) -> Result<T, StoreError> {
        let result = loop {
            let database = self.opened.read().unwrap_or_else(PoisonError::into_inner);
            if let Opened::Open(database) = &*database {
                break caught(|| work(database));
            }
            drop(database);
            self.reopen().inspect_err(|error| self.file.note(Use::Opening, Err(error)))?;
        };
        if result.as_ref().is_err_and(Fault::needs_reopening) {
            *self.opened.write().unwrap_or_else(PoisonError::into_inner) = Opened::Failed;
        }
        let result = result.map_err(|fault| fault.at(&self.file.path));
        self.file.note(by, result.as_ref().map(drop));
        self.file.note(Use::Opening, Ok(()));
        result
    }

    fn reopen(&self) -> Result<(), StoreError> {
        let mut opened = self.opened.write().unwrap_or_else(PoisonError::into_inner);
        let database = match &*opened {
            Opened::Open(_) => return Ok(()),
            Opened::Never => self.file.open_or_replace()?,
            Opened::Failed => self.file.open()?,
        };
        *opened = Opened::Open(database);
        Ok(())
    }
}
