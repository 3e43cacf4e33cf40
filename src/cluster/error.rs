//! Why a member has no place in its cluster.

use rosterd_model::{Coded, Priority, Retry};

/// The configuration names members, and this one is none of them.
#[derive(Debug, thiserror::Error)]
#[error(
    "rosterd.cluster.static.members does not name this one, {name:?}: write its name into the list, start it as a member that is there by --cluster.member, or stop it if it shall leave"
)]
pub struct NotAMember {
    /// What this one is called.
    pub name: String,
}

impl Coded for NotAMember {
    fn code(&self) -> &'static str {
        "agent_not_a_member"
    }

    fn priority(&self) -> Priority {
        Priority::Operator
    }

    fn retry(&self) -> Retry {
        Retry::Never
    }
}
