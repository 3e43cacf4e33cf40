//! The tables of the database, and how the items of the contract map to them. Knows transactions of redb, and nothing
//! of files, threads or durability.

use std::ops::Bound;

use bytes::Bytes;
use redb::{ReadTransaction, ReadableDatabase, ReadableTable, Table, TableDefinition, WriteTransaction};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::fault::Fault;
use crate::store::{Block, Change, Operation, OperationId, PendingOperation, Precondition, Transaction, WorkerState};

const GROUPS: TableDefinition<'_, (&str, u64), &[u8]> = TableDefinition::new("groups");
const PENDING: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("operations");
const WORKERS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("workers");
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");

/// The key of the format's version in the table of numbers about the store.
const FORMAT: &str = "format";
/// The key of the number of the last transaction.
const SEQUENCE: &str = "sequence";

/// Changes a store of one format into one of the next.
pub(super) type Step = fn(&WriteTransaction) -> Result<(), Fault>;

/// The steps from each format to the next, from format 1 on. A step that was released is never changed.
pub(super) const STEPS: &[Step] = &[];

/// Makes the tables of a new store, and brings an older one to the newest format.
pub(super) fn prepare(database: &redb::Database, steps: &[Step]) -> Result<(), Fault> {
    let supported = steps.len() as u64 + 1;
    let transaction = database.begin_write()?;
    {
        let mut meta = transaction.open_table(META)?;
        let found = meta.get(FORMAT)?.map(|format| format.value());
        match found {
            Some(found) if found > supported => return Err(Fault::Newer { found, supported }),
            Some(found) if found == supported => return Ok(()),
            Some(found) => {
                for step in &steps[(found.max(1) - 1) as usize..] {
                    step(&transaction)?;
                }
            }
            None => {
                transaction.open_table(GROUPS)?;
                transaction.open_table(PENDING)?;
                transaction.open_table(WORKERS)?;
            }
        }
        meta.insert(FORMAT, supported)?;
    }
    transaction.commit()?;
    Ok(())
}

/// The number of the last transaction that took effect.
pub(super) fn sequence(database: &redb::Database) -> Result<u64, Fault> {
    let meta = database.begin_read()?.open_table(META)?;
    Ok(meta.get(SEQUENCE)?.map_or(0, |number| number.value()))
}

/// Carries out a transaction, which gets a number. Without `durable` a crash may lose it.
pub(super) fn apply(
    database: &redb::Database,
    transaction: &Transaction,
    number: u64,
    durable: bool,
) -> Result<Vec<Change>, Fault> {
    let mut write = database.begin_write()?;
    if !durable {
        write.set_durability(redb::Durability::None)?;
    }
    let changes = {
        let mut tables = Tables::open(&write)?;
        for precondition in &transaction.preconditions {
            if !tables.holds(precondition)? {
                return Err(Fault::Precondition(precondition.clone()));
            }
        }
        tables.meta.insert(SEQUENCE, number)?;
        let mut changes = Vec::new();
        for operation in &transaction.operations {
            changes.extend(tables.carry_out(operation)?);
        }
        changes
    };
    write.commit()?;
    Ok(changes)
}

/// Makes the transactions before durable, by a durable one that changes nothing.
pub(super) fn sync(database: &redb::Database) -> Result<(), Fault> {
    Ok(database.begin_write()?.commit()?)
}

struct Tables<'txn> {
    groups: Table<'txn, (&'static str, u64), &'static [u8]>,
    pending: Table<'txn, u64, &'static [u8]>,
    workers: Table<'txn, &'static str, &'static [u8]>,
    meta: Table<'txn, &'static str, u64>,
}

impl<'txn> Tables<'txn> {
    fn open(transaction: &'txn WriteTransaction) -> Result<Self, Fault> {
        Ok(Self {
            groups: transaction.open_table(GROUPS)?,
            pending: transaction.open_table(PENDING)?,
            workers: transaction.open_table(WORKERS)?,
            meta: transaction.open_table(META)?,
        })
    }

    fn holds(&self, precondition: &Precondition) -> Result<bool, Fault> {
        match precondition {
            Precondition::RevisionIs { worker, revision } => {
                let state: Option<WorkerState> =
                    self.workers.get(worker.as_str())?.map(|it| decode("workers", worker, it.value())).transpose()?;
                Ok(state.and_then(|state| state.actual) == *revision)
            }
            Precondition::OperationPending(id) => Ok(self.pending.get(id.0)?.is_some()),
        }
    }

    fn carry_out(&mut self, operation: &Operation) -> Result<Option<Change>, Fault> {
        match operation {
            Operation::PutBlocks { provider, blocks } => {
                for block in blocks {
                    self.groups.insert((&**provider, block.id), &*block.bytes)?;
                }
                Ok(blocks_changed(provider, blocks.len(), 0))
            }
            Operation::DeleteBlocks { provider, ids } => {
                let mut deleted = 0;
                for id in ids {
                    deleted += usize::from(self.groups.remove((&**provider, *id))?.is_some());
                }
                Ok(blocks_changed(provider, 0, deleted))
            }
            Operation::DeleteProvider(provider) => {
                let mut deleted = 0;
                let all = (&**provider, 0)..=(&**provider, u64::MAX);
                for entry in self.groups.extract_from_if(all, |_, _| true)? {
                    entry?;
                    deleted += 1;
                }
                Ok(blocks_changed(provider, 0, deleted))
            }
            Operation::PutPending(operation) => {
                let (id, bytes) = (operation.id, encode(operation));
                let same = self.pending.insert(id.0, &*bytes)?.is_some_and(|before| before.value() == bytes);
                Ok((!same).then(|| Change::Pending { id, now: Some(operation.clone()) }))
            }
            Operation::DeletePending(id) => {
                Ok(self.pending.remove(id.0)?.map(|_| Change::Pending { id: *id, now: None }))
            }
            Operation::PutWorker(state) => self.put_worker(state),
            Operation::DeleteWorker(id) => {
                let Some(before) = self.workers.remove(id.as_str())? else { return Ok(None) };
                let before = Some(decode("workers", id, before.value())?);
                Ok(Some(Change::Worker { id: id.clone(), before, now: None }))
            }
        }
    }

    fn put_worker(&mut self, state: &WorkerState) -> Result<Option<Change>, Fault> {
        let bytes = encode(state);
        let before = self.workers.insert(state.id.as_str(), &*bytes)?;
        let before: Option<WorkerState> =
            before.map(|before| decode("workers", &state.id, before.value())).transpose()?;
        Ok((before.as_ref() != Some(state)).then(|| Change::Worker {
            id: state.id.clone(),
            before,
            now: Some(state.clone()),
        }))
    }
}

fn blocks_changed(provider: &std::sync::Arc<str>, put: usize, deleted: usize) -> Option<Change> {
    (put + deleted > 0).then(|| Change::Blocks { provider: provider.clone(), put, deleted })
}

/// See [`Store::providers`](crate::store::Store::providers). Skips from provider to provider.
pub(super) fn providers(read: &ReadTransaction) -> Result<Vec<String>, Fault> {
    let groups = read.open_table(GROUPS)?;
    let mut providers: Vec<String> = Vec::new();
    loop {
        let after = providers.last().map_or(Bound::Unbounded, |last| Bound::Excluded((last.as_str(), u64::MAX)));
        let next = groups.range::<(&str, u64)>((after, Bound::Unbounded))?.next().transpose()?;
        match next.map(|(key, _)| key.value().0.to_owned()) {
            Some(provider) => providers.push(provider),
            None => return Ok(providers),
        }
    }
}

/// See [`Store::blocks`](crate::store::Store::blocks).
pub(super) fn blocks(read: &ReadTransaction, provider: &str, from: u64, limit: usize) -> Result<Vec<Block>, Fault> {
    let groups = read.open_table(GROUPS)?;
    let mut blocks = Vec::new();
    for entry in groups.range((provider, from)..=(provider, u64::MAX))?.take(limit) {
        let (key, bytes) = entry?;
        blocks.push(Block { id: key.value().1, bytes: Bytes::copy_from_slice(bytes.value()) });
    }
    Ok(blocks)
}

/// See [`Store::block`](crate::store::Store::block).
pub(super) fn block(read: &ReadTransaction, provider: &str, id: u64) -> Result<Option<Bytes>, Fault> {
    let found = read.open_table(GROUPS)?.get((provider, id))?;
    Ok(found.map(|bytes| Bytes::copy_from_slice(bytes.value())))
}

/// See [`Store::pending`](crate::store::Store::pending).
pub(super) fn pending(read: &ReadTransaction) -> Result<Vec<PendingOperation>, Fault> {
    let mut operations = Vec::new();
    for entry in read.open_table(PENDING)?.iter()? {
        let (id, bytes) = entry?;
        operations.push(decode("operations", &OperationId(id.value()), bytes.value())?);
    }
    Ok(operations)
}

/// See [`Store::workers`](crate::store::Store::workers).
pub(super) fn workers(read: &ReadTransaction) -> Result<Vec<WorkerState>, Fault> {
    let mut workers = Vec::new();
    for entry in read.open_table(WORKERS)?.iter()? {
        let (id, bytes) = entry?;
        workers.push(decode("workers", &id.value(), bytes.value())?);
    }
    Ok(workers)
}

fn encode(record: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(record).expect("a record has only strings and numbers")
}

fn decode<T: DeserializeOwned>(table: &'static str, key: &dyn std::fmt::Display, bytes: &[u8]) -> Result<T, Fault> {
    serde_json::from_slice(bytes).map_err(|source| Fault::Record { table, key: key.to_string(), source })
}
