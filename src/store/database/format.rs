//! The version of a database, and how an older one becomes a newer one. There is no way back.

use redb::{ReadableTable, TableDefinition, WriteTransaction};

use super::Fault;

const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");

/// The key of the version.
const VERSION: &str = "format";

/// Changes a database of one version into one of the next.
pub(in crate::store) type Step = fn(&WriteTransaction) -> Result<(), Fault>;

/// What a database looks like.
#[derive(Debug)]
pub(in crate::store) struct Format {
    /// The name of its file.
    pub(in crate::store) file: &'static str,
    /// Makes the tables of a new database, in the newest version.
    pub(in crate::store) make: Step,
    /// The steps from each version to the next, from version 1 on. A step that was released is never changed.
    pub(in crate::store) steps: &'static [Step],
    /// What it means that a damaged database was replaced by an empty one, for the log.
    pub(in crate::store) when_lost: &'static str,
}

impl Format {
    /// Makes the tables of a new database, and brings an older one to the newest version.
    pub(super) fn prepare(&self, database: &redb::Database) -> Result<(), Fault> {
        let supported = self.steps.len() as u64 + 1;
        let transaction = database.begin_write()?;
        {
            let mut meta = transaction.open_table(META)?;
            let found = meta.get(VERSION)?.map(|version| version.value());
            match found {
                Some(found) if found > supported => return Err(Fault::Newer { found, supported }),
                Some(found) if found == supported => return Ok(()),
                Some(found) => {
                    for step in &self.steps[(found.max(1) - 1) as usize..] {
                        step(&transaction)?;
                    }
                }
                None => (self.make)(&transaction)?,
            }
            meta.insert(VERSION, supported)?;
        }
        transaction.commit()?;
        Ok(())
    }
}
