//! What targets are made of.

use rosterd_engine::Wanted;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Tasks move on without telling: so long after an event they are looked at again.
const ECHO: Duration = Duration::from_secs(5);

/// What becomes targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The virtual addresses of services.
    Services,
    /// The tasks of services.
    Tasks,
    /// The nodes of the swarm.
    Nodes,
}

impl Role {
    /// As it is written.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Services => "services",
            Self::Tasks => "tasks",
            Self::Nodes => "nodes",
        }
    }

    /// The events that can change targets. There are none of tasks: those of services tell, and those of containers of this node.
    pub(super) fn wanted(self) -> Wanted {
        let (filters, echo): (&[_], _) = match self {
            Self::Services => (&[("scope", "swarm"), ("type", "service"), ("type", "network")], None),
            Self::Nodes => (&[("scope", "swarm"), ("type", "node")], None),
            Self::Tasks => (
                &[
                    ("type", "service"),
                    ("type", "node"),
                    ("type", "network"),
                    ("type", "container"),
                    ("event", "create"),
                    ("event", "update"),
                    ("event", "remove"),
                    ("event", "start"),
                    ("event", "die"),
                    ("event", "destroy"),
                ],
                Some(ECHO),
            ),
        };
        Wanted { filters: filters.iter().copied().collect(), echo }
    }
}
