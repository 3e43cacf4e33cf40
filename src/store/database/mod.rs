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
use super::{Loss, StoreError, StoreFailures};
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
    /// What was stored before and was not there at the start.
    lost: Option<Loss>,
    /// Held by whoever writes.
    writing: Mutex<()>,
    opened: RwLock<Opened>,
    /// What was there at the start, for who reads before the file can be opened; `None` until somebody does.
    copy: Mutex<Option<Copy>>,
}

/// A copy in memory of a file that can be read and not be opened; none where it cannot be read, either.
type Copy = Option<Arc<redb::Database>>;

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
    /// cannot be written is told, and every use tries again; what is there is read all the same. What cannot become right by
    /// itself is an error.
    pub(super) fn open(lock: &Lock, format: &'static Format, opener: Opener) -> Result<Self, StoreError> {
        let database_file = file::DatabaseFile::new(lock, format, opener);
        let (opened, lost) = match database_file.open_or_replace() {
            Ok((database, lost)) => (Opened::Open(database), lost),
            Err(error @ (StoreError::Full { .. } | StoreError::Io { .. })) => {
                let (report, code, file) = (Report::of(&error), error.code(), format.file);
                error!(error = %report, code, file, "cannot open the store, going on from memory and trying again");
                database_file.note(Use::Opening, Err(&error));
                (Opened::Never, None)
            }
            Err(error) => return Err(error),
        };
        let (writing, opened, copy) = (Mutex::new(()), RwLock::new(opened), Mutex::new(None));
        Ok(Self(Arc::new(Inner { file: database_file, lost, writing, opened, copy })))
    }

    /// What does not work of the files in its folder.
    pub(super) fn failures(&self) -> &StoreFailures {
        self.0.file.failures()
    }

    /// What was not in it when it was opened, if something was stored before.
    pub(super) fn lost(&self) -> Option<&Loss> {
        self.0.lost.as_ref()
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
            if let Err(error) = self.reopen() {
                self.file.note(Use::Opening, Err(&error));
                let is_of_the_disk = matches!(error, StoreError::Full { .. } | StoreError::Io { .. });
                let copy = if by == Use::Reading && is_of_the_disk { self.copy() } else { None };
                let copy = copy.ok_or(error)?;
                return caught(|| work(&copy)).map_err(|fault| fault.at(&self.file.path));
            }
        };
        if result.as_ref().is_err_and(Fault::needs_reopening) {
            *self.opened.write().unwrap_or_else(PoisonError::into_inner) = Opened::Failed;
        }
        let result = result.map_err(|fault| fault.at(&self.file.path));
        self.file.note(by, result.as_ref().map(drop));
        self.file.note(Use::Opening, Ok(()));
        result
    }

    /// What was there at the start, as long as the file could not be opened since.
    fn copy(&self) -> Copy {
        let opened = self.opened.read().unwrap_or_else(PoisonError::into_inner);
        let mut copy = self.copy.lock().unwrap_or_else(PoisonError::into_inner);
        match *opened {
            Opened::Never => copy.get_or_insert_with(|| self.file.copy().map(Arc::new)).clone(),
            Opened::Failed | Opened::Open(_) => None,
        }
    }

    fn reopen(&self) -> Result<(), StoreError> {
        let mut opened = self.opened.write().unwrap_or_else(PoisonError::into_inner);
        let database = match &*opened {
            Opened::Open(_) => return Ok(()),
            Opened::Never => self.file.open_or_replace()?.0,
            Opened::Failed => self.file.open()?,
        };
        *opened = Opened::Open(database);
        *self.copy.lock().unwrap_or_else(PoisonError::into_inner) = None;
        Ok(())
    }
}
