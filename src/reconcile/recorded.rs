//! What the ledger has of workers, and the transaction that makes it something else. Pure.

use std::collections::BTreeMap;

use super::WorkerId;
use crate::store::ledger::{Member, Operation, Picture, Precondition, Transaction, WorkerState, Write};

/// What the ledger has of a worker.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Recorded {
    pub(super) operation: Option<Operation>,
    pub(super) state: Option<WorkerState>,
}

impl Recorded {
    pub(super) fn kind(&self) -> Option<&str> {
        let operation = self.operation.as_ref().map(|operation| operation.kind.as_str());
        operation.or_else(|| self.state.as_ref().map(|state| state.kind.as_str()))
    }
}

/// What was read, by worker.
pub(super) fn by_worker(found: Picture) -> BTreeMap<WorkerId, Recorded> {
    let mut workers = BTreeMap::<WorkerId, Recorded>::new();
    for state in found.workers {
        let id = state.id.as_str().into();
        workers.entry(id).or_default().state = Some(state);
    }
    for operation in found.operations {
        let id = operation.worker.as_str().into();
        workers.entry(id).or_default().operation = Some(operation);
    }
    workers
}

/// Makes one into the other, for each worker: nobody else has changed it meanwhile.
pub(super) fn transaction<'a>(
    member: &Member,
    differing: impl IntoIterator<Item = (&'a WorkerId, &'a Recorded, &'a Recorded)>,
) -> Transaction {
    let mut transaction = Transaction { member: member.clone(), preconditions: Vec::new(), writes: Vec::new() };
    for (id, before, after) in differing {
        let revision = before.state.as_ref().and_then(|state| state.revision);
        transaction.preconditions.push(Precondition::RevisionIs { worker: id.to_string(), revision });
        if before.operation != after.operation {
            let (old, new) = (before.operation.as_ref(), after.operation.as_ref());
            transaction.preconditions.extend(old.map(|old| Precondition::OperationPending(old.id)));
            let replaced = old.filter(|old| new.is_none_or(|new| new.id != old.id));
            transaction.writes.extend(replaced.map(|replaced| Write::DeleteOperation(replaced.id)));
            transaction.writes.extend(new.cloned().map(Write::PutOperation));
        }
        if before.state != after.state {
            let write = after.state.clone().map_or_else(|| Write::DeleteWorker(id.to_string()), Write::PutWorker);
            transaction.writes.push(write);
        }
    }
    transaction
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::ledger::{Action, OperationId, Progress, Revision};

    #[test]
    fn what_is_written_depends_on_what_was_there() {
        let operation = |id| Operation {
            id: OperationId(id),
            worker: "a".to_owned(),
            kind: "k".to_owned(),
            action: Action::Update,
            revision: Some(Revision(2)),
            spec: serde_json::Value::Null,
            progress: Progress::default(),
        };
        let state = |revision| WorkerState {
            id: "a".to_owned(),
            kind: "k".to_owned(),
            revision: Some(Revision(revision)),
            spec: serde_json::Value::Null,
            failed: None,
        };
        let before = Recorded { operation: Some(operation(1)), state: Some(state(1)) };
        let id = WorkerId::from("a");
        let write = |after: &Recorded| {
            let Transaction { preconditions, writes, .. } = transaction(&Member::local(), [(&id, &before, after)]);
            (preconditions, writes)
        };
        let revision = || Precondition::RevisionIs { worker: "a".to_owned(), revision: Some(Revision(1)) };
        let both = || vec![revision(), Precondition::OperationPending(OperationId(1))];
        let ended = Recorded { operation: None, state: Some(state(2)) };
        let writes = vec![Write::DeleteOperation(OperationId(1)), Write::PutWorker(state(2))];
        assert_eq!(write(&ended), (both(), writes));
        let replaced = Recorded { operation: Some(operation(3)), ..before.clone() };
        let writes = vec![Write::DeleteOperation(OperationId(1)), Write::PutOperation(operation(3))];
        assert_eq!(write(&replaced), (both(), writes));
        let gone = Recorded { state: None, ..before.clone() };
        assert_eq!(write(&gone), (vec![revision()], vec![Write::DeleteWorker("a".to_owned())]));
    }
}
