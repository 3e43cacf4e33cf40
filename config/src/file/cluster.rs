//! `rosterd.cluster`: the members that share the targets of one configuration.

use std::collections::BTreeSet;

use rosterd_client::unset;
use rosterd_model::{Problem, bare_key};
use serde::{Deserialize, Serialize};

use crate::error::code;

/// Who scrapes the targets, besides this rosterd.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Cluster {
    /// Tells the schedules of this cluster from those of others.
    #[serde(skip_serializing_if = "unset")]
    pub name: String,
    /// The members stand in the configuration.
    #[serde(rename = "static", skip_serializing_if = "unset")]
    pub fixed: Option<StaticMembers>,
}

/// Members that come and go by the configuration alone.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct StaticMembers {
    /// Their names; each member knows its own.
    pub members: Vec<String>,
}

/// As many members as a table of slots may have.
const MOST_MEMBERS: usize = 1024;

impl Cluster {
    pub(super) fn check(&self) -> Vec<Problem> {
        let Some(StaticMembers { members }) = &self.fixed else { return Vec::new() };
        let mut problems = Vec::new();
        if members.is_empty() {
            let message = "members is missing: write the names of all members, as in [rosterd-0, rosterd-1]";
            problems.push(Problem::new("cluster.static.members", code::MISSING_KEY, message));
        }
        if members.len() > MOST_MEMBERS {
            let message = format!("{} members are too many: give {MOST_MEMBERS} at most", members.len());
            problems.push(Problem::new("cluster.static.members", code::INVALID_VALUE, message));
        }
        let mut seen = BTreeSet::new();
        for (index, name) in members.iter().enumerate() {
            let path = format!("cluster.static.members[{index}]");
            if name.is_empty() {
                problems.push(Problem::new(path, code::INVALID_VALUE, "a member needs a name"));
            } else if name.trim() != name {
                let message = format!("the name {name:?} has spaces around it: take them away");
                problems.push(Problem::new(path, code::INVALID_VALUE, message));
            } else if !seen.insert(name) {
                let message = format!("there are two members {:?}: give each a name of its own", bare_key(name));
                problems.push(Problem::new(path, code::DUPLICATE_NAME, message));
            }
        }
        problems
    }
}
