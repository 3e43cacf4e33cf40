//! What should run.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::store::ledger::Revision;

/// Names a worker, unique among all kinds: `file_sd:/etc/targets.json`.
pub type WorkerId = Arc<str>;

/// What one worker should do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Desired<S> {
    /// Equal for specifications that mean the same, also in another process.
    pub revision: Revision,
    /// What to do.
    pub spec: S,
}

/// All workers that should run.
pub type DesiredSet<S> = BTreeMap<WorkerId, Desired<S>>;
