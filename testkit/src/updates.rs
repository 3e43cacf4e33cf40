//! What a manager tells a roster, for tests of the roster.

use std::sync::Arc;

use rosterd_discovery::{ProviderKey, Update};
use rosterd_model::{GroupId, TargetGroup};

/// The whole picture of a provider, all of which could be read.
pub fn everything(provider: ProviderKey, groups: Vec<TargetGroup>) -> Update {
    Update { provider, whole: true, groups, gone: Vec::new(), unread: Arc::default(), seen: None }
}

/// What changed of a provider, while all of its sources can be read.
pub fn changed(provider: ProviderKey, groups: Vec<TargetGroup>, gone: Vec<GroupId>) -> Update {
    Update { whole: false, gone, ..everything(provider, groups) }
}
