//! What the ledger keeps.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::SystemTime;

use rosterd_model::Report;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Whose records they are: one rosterd of a cluster, or the only one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Member(Arc<str>);

impl Member {
    /// The member of this name.
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// The only member, of a rosterd that is in no cluster.
    pub fn local() -> Self {
        Self::new("local")
    }

    /// Its name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The number of an operation, unique among those of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OperationId(pub u64);

impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What an operation does to its worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Makes the worker and brings it to its revision.
    Start,
    /// Brings a worker that runs to another revision.
    Update,
    /// Ends the worker.
    Stop,
}

impl Action {
    /// The name, as in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Update => "update",
            Self::Stop => "stop",
        }
    }
}

/// An operation that was decided and has not ended. It says all that is needed to go on with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// Its number.
    pub id: OperationId,
    /// The worker it is for.
    pub worker: String,
    /// The kind of the worker.
    pub kind: String,
    /// What it does.
    pub action: Action,
    /// Where it leads; `None` when it stops the worker.
    pub revision: Option<Revision>,
    /// The specification of the worker: the one to reach, or the last one of a worker that is stopped.
    pub spec: Value,
    /// How far it is.
    #[serde(default)]
    pub progress: Progress,
}

/// How far an operation is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Progress {
    /// The number of the step that is next, from 0 on.
    pub step: u32,
    /// How many tries of this step failed.
    pub attempt: u32,
    /// Why the last of them did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<Report>,
    /// What the step before left behind; `Null` before the first.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub left: Value,
}

/// Where a worker is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerState {
    /// Unique among all workers of a member.
    pub id: String,
    /// The kind of the worker.
    pub kind: String,
    /// The revision that it last reached.
    pub revision: Option<Revision>,
    /// The specification that it was last told to reach.
    pub spec: Value,
    /// Its last operation, if that failed for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<FailedOperation>,
}

/// An operation that was given up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedOperation {
    /// As it was at the end: its last error is why it was given up.
    pub operation: Operation,
    /// When that was.
    pub ended: SystemTime,
}

/// Names a state: equal for equal content, in every process. Shown and stored as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub u128);

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Revision({self})")
    }
}

impl FromStr for Revision {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u128::from_str_radix(text, 16).map(Self)
    }
}

impl Serialize for Revision {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Revision {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use rosterd_model::{Priority, Retry};

    use super::*;

    #[test]
    fn an_operation_crosses_json_whole() {
        let (code, message) = ("publish_disk_full".to_owned(), "no space left".to_owned());
        let (priority, retry, causes) = (Priority::Operator, Retry::Backoff, vec!["the system said so".to_owned()]);
        let operation = Operation {
            id: OperationId(1 << 52),
            worker: "file_sd:/x.json".to_owned(),
            kind: "file_sd".to_owned(),
            action: Action::Update,
            revision: Some(Revision(7)),
            spec: serde_json::json!({ "path": "/x.json" }),
            progress: Progress {
                step: 2,
                attempt: 5,
                last_error: Some(Report { code, message, priority, retry, causes }),
                left: serde_json::json!(["half", 1]),
            },
        };
        let json = serde_json::to_string(&operation).expect("operations serialise");
        assert!(json.contains("\"00000000000000000000000000000007\""), "{json}");
        assert_eq!(serde_json::from_str::<Operation>(&json).expect("operations come back"), operation);
    }
}
