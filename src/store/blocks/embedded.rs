//! Blocks in a file of their own, by redb.

use std::ops::Bound;

use async_trait::async_trait;
use bytes::Bytes;
use redb::{ReadTransaction, Table, TableDefinition, TableHandle, WriteTransaction};
use tracing::warn;

use super::{Block, Blocks, BlocksChange};
use crate::store::database::{Database, Fault, Format, Lock, Opener};
use crate::store::{Loss, StoreError, StoreFailures};

const GROUPS: TableDefinition<'_, (&str, u64), &[u8]> = TableDefinition::new("groups");

/// What the file looks like.
static FORMAT: Format =
    Format { file: "roster.redb", make, steps: &[begin_anew], when_lost: "groups are discovered again" };

/// The default of an agent: `roster.redb` in the folder of the store. Cloning shares it.
///
/// A full disk or another failure of the system is an error of the call that met it; the next call opens the database
/// again.
#[derive(Debug, Clone)]
pub struct EmbeddedBlocks(Database);

impl EmbeddedBlocks {
    /// Opens or makes the file. Blocks the thread.
    pub(in crate::store) fn open(lock: &Lock, opener: Opener) -> Result<Self, StoreError> {
        Database::open(lock, &FORMAT, opener).map(Self)
    }

    /// What does not work of the files in its folder, those of the ledger among them.
    pub fn failures(&self) -> StoreFailures {
        self.0.failures().clone()
    }

    /// What was not in it when it was opened, if something was stored before, or may have been.
    pub fn lost(&self) -> Option<&Loss> {
        self.0.lost()
    }
}

#[async_trait]
impl Blocks for EmbeddedBlocks {
    async fn apply(&self, changes: Vec<BlocksChange>) -> Result<(), StoreError> {
        let apply = move |write: &WriteTransaction| {
            let mut groups = write.open_table(GROUPS)?;
            changes.iter().try_for_each(|change| carry_out(&mut groups, change))
        };
        self.0.write(apply).await
    }

    async fn providers(&self) -> Result<Vec<String>, StoreError> {
        self.0.read(providers).await
    }

    async fn blocks(&self, provider: &str, from: u64, limit: usize) -> Result<Vec<Block>, StoreError> {
        let provider = provider.to_owned();
        self.0.read(move |read| blocks(read, &provider, from, limit)).await
    }
}

fn make(write: &WriteTransaction) -> Result<(), Fault> {
    write.open_table(GROUPS)?;
    Ok(())
}

/// From the first release on, which kept operations and workers in here too, and groups under keys of providers that
/// nobody has any more.
fn begin_anew(write: &WriteTransaction) -> Result<(), Fault> {
    let file = FORMAT.file;
    warn!(file, "made by an earlier rosterd, whose groups cannot be told apart as now: they are discovered again");
    for table in write.list_tables()?.filter(|table| table.name() != "meta").collect::<Vec<_>>() {
        write.delete_table(table)?;
    }
    make(write)
}

fn carry_out(groups: &mut Table<'_, (&str, u64), &[u8]>, change: &BlocksChange) -> Result<(), Fault> {
    match change {
        BlocksChange::Put { provider, blocks } => {
            for block in blocks {
                groups.insert((&**provider, block.id), &*block.bytes)?;
            }
        }
        BlocksChange::Delete { provider, ids } => {
            for id in ids {
                groups.remove((&**provider, *id))?;
            }
        }
        BlocksChange::DeleteProvider(provider) => {
            groups.retain_in((&**provider, 0)..=(&**provider, u64::MAX), |_, _| false)?;
        }
    }
    Ok(())
}

/// Skips from provider to provider.
fn providers(read: &ReadTransaction) -> Result<Vec<String>, Fault> {
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

fn blocks(read: &ReadTransaction, provider: &str, from: u64, limit: usize) -> Result<Vec<Block>, Fault> {
    let groups = read.open_table(GROUPS)?;
    let mut blocks = Vec::new();
    for entry in groups.range((provider, from)..=(provider, u64::MAX))?.take(limit) {
        let (key, bytes) = entry?;
        blocks.push(Block { id: key.value().1, bytes: Bytes::copy_from_slice(bytes.value()) });
    }
    Ok(blocks)
}
