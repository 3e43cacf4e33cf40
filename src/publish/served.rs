//! When lists were last handed out.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use crate::roster::view::RosterView;

/// When the list of each job was last asked for and handed out, or known to be unchanged. Cloning shares it.
#[derive(Debug, Clone, Default)]
pub struct ServedLists(Arc<Mutex<Served>>);

#[derive(Debug, Default)]
struct Served {
    jobs: BTreeMap<Arc<str>, SystemTime>,
    all: Option<SystemTime>,
}

impl ServedLists {
    /// Notes that the list of a job was, or that of all of them. Jobs that are gone from the roster are forgotten.
    pub fn note(&self, job: Option<&str>, now: SystemTime, view: &RosterView) {
        let mut served = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match job {
            None => served.all = Some(now),
            Some(job) => match served.jobs.get_mut(job) {
                Some(last) => *last = now,
                None => {
                    served.jobs.retain(|name, _| view.job(name).is_some());
                    served.jobs.insert(job.into(), now);
                }
            },
        }
    }

    /// When a list with the targets of this job was handed out last.
    pub fn last(&self, job: &str) -> Option<SystemTime> {
        let served = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        served.jobs.get(job).copied().max(served.all)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_list_of_all_jobs_counts_for_each_and_those_that_are_gone_are_forgotten() {
        let (lists, view) = (ServedLists::default(), RosterView::default());
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        assert_eq!(lists.last("a"), None);
        lists.note(Some("a"), at(1), &view);
        lists.note(None, at(2), &view);
        lists.note(Some("a"), at(3), &view);
        assert_eq!((lists.last("a"), lists.last("b")), (Some(at(3)), Some(at(2))));
        lists.note(Some("b"), at(4), &view);
        assert_eq!((lists.last("a"), lists.last("b")), (Some(at(2)), Some(at(4))));
    }
}
