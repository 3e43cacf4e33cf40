//! What a manager tells a roster, for tests of the roster.

use std::collections::HashSet;
use std::sync::Arc;

use rosterd_discovery::{Attention, ProviderKey, Update};
use rosterd_model::{GroupId, TargetGroup};

/// The whole picture of a provider, all of which could be read.
pub fn everything(provider: ProviderKey, groups: Vec<TargetGroup>) -> Update {
    Update { whole: true, ..changed(provider, groups, Vec::new()) }
}

/// What changed of a provider, while all of its sources can be read.
pub fn changed(provider: ProviderKey, groups: Vec<TargetGroup>, gone: Vec<GroupId>) -> Update {
    let (told, unread) = (HashSet::new(), Arc::default());
    let attention = Attention::default();
    Update { provider, whole: false, piece: false, told, groups, gone, unread, seen: None, read: false, attention }
}
