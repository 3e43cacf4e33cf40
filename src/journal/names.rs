//! The names of sources, for people: they stand in packed blocks.

use std::collections::HashMap;
use std::sync::Arc;

use crate::roster::block::Block;
use crate::roster::step::Named;

/// Reads names of sources. Those of one step mostly stand in few blocks, one after the other: the last one stays unpacked.
#[derive(Debug, Default)]
pub(super) struct Names {
    block: Option<Arc<Block>>,
    names: HashMap<usize, Arc<str>>,
}

impl Names {
    /// The name of a source.
    pub(super) fn of(&mut self, named: &Named) -> Option<Arc<str>> {
        if !self.block.as_ref().is_some_and(|known| Arc::ptr_eq(known, &named.block)) {
            let unpacked = named.block.unpack();
            self.names = unpacked.groups().map(|group| Arc::from(group.source())).enumerate().collect();
            self.block = Some(Arc::clone(&named.block));
        }
        self.names.get(&named.group).cloned()
    }

    /// Gives the memory back.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }
}
