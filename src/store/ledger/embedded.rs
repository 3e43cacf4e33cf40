//! The ledger in a file of its own, by redb.

use std::sync::Arc;

use async_trait::async_trait;
use redb::{ReadTransaction, ReadableTable, Table, TableDefinition, WriteTransaction};

use super::watch::Feed;
use super::{Ledger, Member, OperationId, Picture, Precondition, Transaction, Version, Watch, WorkerState, Write};
use crate::store::StoreError;
use crate::store::database::{Database, Fault, Format, Lock, Opener, decode, encode};

/// Pending operations by member and number.
const OPERATIONS: TableDefinition<'_, (&str, u64), &[u8]> = TableDefinition::new("operations");
/// States of workers by member and id.
const WORKERS: TableDefinition<'_, (&str, &str), &[u8]> = TableDefinition::new("workers");
const COUNTERS: TableDefinition<'_, &str, u64> = TableDefinition::new("counters");

/// The key of the version among the counters.
const VERSION: &str = "version";

/// What the file looks like.
static FORMAT: Format =
    Format { file: "ledger.redb", make, steps: &[], when_lost: "what has to be done is decided again" };

/// The default of an agent: `ledger.redb` in the folder of the store. Cloning shares it.
///
/// A full disk or another failure of the system is an error of the call that met it; the next call opens the database
/// again.
#[derive(Debug, Clone)]
pub struct EmbeddedLedger {
    database: Database,
    feed: Arc<Feed>,
}

impl EmbeddedLedger {
    /// Opens or makes the file. Blocks the thread.
    pub(in crate::store) fn open(lock: &Lock, opener: Opener) -> Result<Self, StoreError> {
        Ok(Self { database: Database::open(lock, &FORMAT, opener)?, feed: Arc::default() })
    }
}

#[async_trait]
impl Ledger for EmbeddedLedger {
    async fn apply(&self, transaction: Transaction) -> Result<Option<Version>, StoreError> {
        let (feed, member) = (Arc::clone(&self.feed), transaction.member.clone());
        let write = move |write: &WriteTransaction| apply(write, &transaction);
        let tell = move |applied: Result<&Option<Version>, &StoreError>| match applied {
            Ok(Some(version)) => feed.changed(&member, *version),
            Ok(None) | Err(StoreError::Precondition(_)) => {}
            // It may have happened all the same.
            Err(_) => feed.missed(),
        };
        self.database.write_and(write, tell).await
    }

    async fn read(&self, member: &Member) -> Result<Picture, StoreError> {
        let member = member.clone();
        self.database.read(move |read| picture(read, member.as_str())).await
    }

    async fn watch(&self, member: &Member) -> Result<Watch, StoreError> {
        Ok(self.feed.watch(member))
    }
}

fn make(write: &WriteTransaction) -> Result<(), Fault> {
    write.open_table(OPERATIONS)?;
    write.open_table(WORKERS)?;
    write.open_table(COUNTERS)?;
    Ok(())
}

fn apply(write: &WriteTransaction, transaction: &Transaction) -> Result<Option<Version>, Fault> {
    let mut records = Records {
        member: transaction.member.as_str(),
        operations: write.open_table(OPERATIONS)?,
        workers: write.open_table(WORKERS)?,
    };
    for precondition in &transaction.preconditions {
        if !records.holds(precondition)? {
            return Err(Fault::Precondition(precondition.clone()));
        }
    }
    let mut changed = false;
    for write in &transaction.writes {
        changed |= records.carry_out(write)?;
    }
    if !changed {
        return Ok(None);
    }
    let mut counters = write.open_table(COUNTERS)?;
    let version = counters.get(VERSION)?.map_or(0, |version| version.value()) + 1;
    counters.insert(VERSION, version)?;
    Ok(Some(Version(version)))
}

/// The records of a member, to be written.
struct Records<'txn> {
    member: &'txn str,
    operations: Table<'txn, (&'static str, u64), &'static [u8]>,
    workers: Table<'txn, (&'static str, &'static str), &'static [u8]>,
}

impl Records<'_> {
    fn holds(&self, precondition: &Precondition) -> Result<bool, Fault> {
        match precondition {
            Precondition::RevisionIs { worker, revision } => {
                let state = self.workers.get((self.member, worker.as_str()))?;
                let state: Option<WorkerState> =
                    state.map(|state| decode("workers", worker, state.value())).transpose()?;
                Ok(state.and_then(|state| state.revision) == *revision)
            }
            Precondition::OperationPending(id) => Ok(self.operations.get((self.member, id.0))?.is_some()),
        }
    }

    /// Says whether that changed anything.
    fn carry_out(&mut self, write: &Write) -> Result<bool, Fault> {
        let member = self.member;
        Ok(match write {
            Write::PutOperation(operation) => {
                let bytes = encode(operation);
                let before = self.operations.insert((member, operation.id.0), &*bytes)?;
                before.is_none_or(|before| before.value() != bytes)
            }
            Write::DeleteOperation(id) => self.operations.remove((member, id.0))?.is_some(),
            Write::PutWorker(state) => {
                let bytes = encode(state);
                let before = self.workers.insert((member, state.id.as_str()), &*bytes)?;
                before.is_none_or(|before| before.value() != bytes)
            }
            Write::DeleteWorker(id) => self.workers.remove((member, id.as_str()))?.is_some(),
        })
    }
}

fn picture(read: &ReadTransaction, member: &str) -> Result<Picture, Fault> {
    let version = read.open_table(COUNTERS)?.get(VERSION)?.map_or(0, |version| version.value());
    let mut operations = Vec::new();
    for entry in read.open_table(OPERATIONS)?.range((member, 0)..=(member, u64::MAX))? {
        let (key, bytes) = entry?;
        operations.push(decode("operations", &OperationId(key.value().1), bytes.value())?);
    }
    let mut workers = Vec::new();
    for entry in read.open_table(WORKERS)?.range((member, "")..)? {
        let (key, bytes) = entry?;
        if key.value().0 != member {
            break;
        }
        workers.push(decode("workers", &key.value().1, bytes.value())?);
    }
    Ok(Picture { version: Version(version), operations, workers })
}
