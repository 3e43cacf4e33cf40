//! What has to be done to get from what is to what should be. Pure.

use std::collections::BTreeMap;

use super::{DesiredSet, WorkerId};
use crate::store::ledger::{Action, Revision};

/// What is known of a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Actual {
    /// Whether it was started in this process.
    pub running: bool,
    /// Where it is, or is on the way to.
    pub aim: Aim,
    /// Whether its operation is at work, or past its first step: nothing else is decided before that is over.
    pub bound: bool,
}

/// Where a worker is, or is on the way to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aim {
    /// Nowhere yet: it is known from the store alone.
    Unknown,
    /// It is at this revision, is being brought there, or has refused it for good.
    Revision(Revision),
    /// It is being stopped.
    End,
}

/// What to do with one worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Start it with this revision.
    Start(Revision),
    /// Bring it to this revision.
    Update(Revision),
    /// Stop it.
    Stop,
}

impl Step {
    /// What it does, without where to.
    pub fn action(self) -> Action {
        match self {
            Self::Start(_) => Action::Start,
            Self::Update(_) => Action::Update,
            Self::Stop => Action::Stop,
        }
    }

    /// Where it leads; `None` to the end.
    pub fn revision(self) -> Option<Revision> {
        match self {
            Self::Start(revision) | Self::Update(revision) => Some(revision),
            Self::Stop => None,
        }
    }

    /// What is known of the worker once the step was taken.
    pub fn aim(self) -> Aim {
        self.revision().map_or(Aim::End, Aim::Revision)
    }
}

/// What to do, for each worker that something has to be done for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// The steps. They do not depend on each other.
    pub steps: BTreeMap<WorkerId, Step>,
}

/// The steps from what is to what should be: none for workers that are there or on the way, or bound.
pub fn plan<S>(actual: &BTreeMap<WorkerId, Actual>, desired: &DesiredSet<S>) -> Plan {
    let wanted = desired.iter().filter_map(|(id, desired)| {
        let step = match actual.get(id) {
            Some(Actual { bound: true, .. }) => return None,
            Some(Actual { aim: Aim::Revision(revision), .. }) if *revision == desired.revision => return None,
            Some(Actual { running: true, .. }) => Step::Update(desired.revision),
            Some(Actual { running: false, .. }) | None => Step::Start(desired.revision),
        };
        Some((id.clone(), step))
    });
    let unwanted = actual
        .iter()
        .filter(|(id, actual)| !desired.contains_key(*id) && !actual.bound && actual.aim != Aim::End)
        .map(|(id, _)| (id.clone(), Step::Stop));
    Plan { steps: wanted.chain(unwanted).collect() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::reconcile::Desired;

    type Known = BTreeMap<WorkerId, Actual>;

    /// What is known once all steps were taken.
    fn applied(mut actual: Known, plan: &Plan) -> Known {
        for (id, step) in &plan.steps {
            match step {
                Step::Stop => drop(actual.remove(id)),
                _ => drop(actual.insert(id.clone(), Actual { running: true, aim: step.aim(), bound: false })),
            }
        }
        actual
    }

    fn ids() -> impl Strategy<Value = WorkerId> {
        "[a-f]".prop_map(Into::into)
    }

    fn actual() -> impl Strategy<Value = Known> {
        let aim = prop_oneof![
            Just(Aim::Unknown),
            (0..3u128).prop_map(|revision| Aim::Revision(Revision(revision))),
            Just(Aim::End)
        ];
        let actual = (any::<bool>(), aim).prop_map(|(running, aim)| Actual { running, aim, bound: false });
        prop::collection::btree_map(ids(), actual, 0..6)
    }

    fn desired() -> impl Strategy<Value = DesiredSet<()>> {
        let desired = (0..3u128).prop_map(|revision| Desired { revision: Revision(revision), spec: () });
        prop::collection::btree_map(ids(), desired, 0..6)
    }

    proptest! {
        #[test]
        fn taking_all_steps_reaches_what_is_desired(actual in actual(), desired in desired()) {
            let reached = applied(actual.clone(), &plan(&actual, &desired));
            let stopping = |known: &Actual| known.aim == Aim::End;
            let aims: BTreeMap<_, _> = reached.iter().filter(|(_, known)| !stopping(known)).map(|(id, known)| (id, known.aim)).collect();
            let wanted = desired.iter().map(|(id, desired)| (id, Aim::Revision(desired.revision))).collect();
            prop_assert_eq!(aims, wanted);
        }

        #[test]
        fn equal_inputs_give_an_empty_plan(actual in actual(), desired in desired()) {
            let reached = applied(actual.clone(), &plan(&actual, &desired));
            prop_assert_eq!(plan(&reached, &desired), Plan::default());
        }

        #[test]
        fn the_order_of_steps_does_not_matter(actual in actual(), desired in desired()) {
            let plan = plan(&actual, &desired);
            let mut reached = actual.clone();
            for (id, step) in plan.steps.iter().rev() {
                reached = applied(reached, &Plan { steps: [(id.clone(), *step)].into() });
            }
            prop_assert_eq!(reached, applied(actual, &plan));
        }

        #[test]
        fn a_worker_that_is_there_is_left_alone(actual in actual(), desired in desired()) {
            for (id, step) in plan(&actual, &desired).steps {
                let aim = actual.get(&id).map(|known| known.aim);
                prop_assert_ne!(aim, Some(step.aim()), "{:?} leads where it is already", step);
                prop_assert_eq!(step.action() == Action::Stop, !desired.contains_key(&id));
            }
        }
    }

    #[test]
    fn a_worker_known_from_the_store_is_started_not_updated() {
        let actual = BTreeMap::from([("w".into(), Actual { running: false, aim: Aim::Unknown, bound: false })]);
        let desired = DesiredSet::from([("w".into(), Desired { revision: Revision(1), spec: () })]);
        assert_eq!(plan(&actual, &desired).steps, BTreeMap::from([("w".into(), Step::Start(Revision(1)))]));
    }

    #[test]
    fn a_worker_that_comes_back_while_it_stops_is_brought_back() {
        let actual = BTreeMap::from([("w".into(), Actual { running: true, aim: Aim::End, bound: false })]);
        let desired = DesiredSet::from([("w".into(), Desired { revision: Revision(1), spec: () })]);
        assert_eq!(plan(&actual, &desired).steps, BTreeMap::from([("w".into(), Step::Update(Revision(1)))]));
    }

    #[test]
    fn nothing_else_is_decided_in_the_middle_of_an_operation() {
        let bound = |aim| Actual { running: true, aim, bound: true };
        let aims = [("a", Aim::Revision(Revision(1))), ("b", Aim::Revision(Revision(1))), ("c", Aim::End)];
        let actual = aims.map(|(id, aim)| (id.into(), bound(aim))).into();
        let desired = ["a", "c"].map(|id| (id.into(), Desired { revision: Revision(2), spec: () })).into();
        assert_eq!(plan(&actual, &desired), Plan::default());
    }
}
