//! What changed of providers since they were last looked at. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use rosterd_discovery::{ProviderKey, ProviderStatus};
use rosterd_journal::{Kind, Note};

use crate::roster::presence::Presence;
use crate::roster::view::RosterView;

/// What is known of each provider.
#[derive(Debug, Default)]
pub(super) struct Known(BTreeMap<ProviderKey, State>);

/// What is worth a line when it changes: times and counts are not.
#[derive(Debug, Clone, PartialEq, Eq)]
struct State {
    presence: Presence,
    /// The code of what fails, if anything does.
    failure: Option<String>,
}

impl Known {
    /// What to tell of providers that are not as they were: one note for each job that uses it. Of a new one nothing is told
    /// before it is known or fails.
    pub(super) fn look(&mut self, providers: &[ProviderStatus], view: &RosterView) -> Vec<Note> {
        let mut notes = Vec::new();
        let mut now = BTreeMap::new();
        for provider in providers {
            let seen = view.provider(&provider.key, &provider.jobs);
            let worst = provider.status.worst();
            let state = State {
                presence: Presence::of_provider(provider.status.presence, seen),
                failure: worst.as_ref().map(|failure| failure.report.code.clone()),
            };
            let before = self.0.get(&provider.key);
            let new = before.is_none() && state.presence == Presence::Unsynced && state.failure.is_none();
            if before != Some(&state) && !new {
                let detail: Option<Arc<str>> =
                    worst.map(|failure| format!("{} ({})", failure.report, failure.report.code).into());
                notes.extend(provider.jobs.iter().map(|job| Note {
                    job: Some(Arc::clone(job)),
                    provider: Some(provider.key.as_str().into()),
                    reason: Some(state.presence.as_str().into()),
                    detail: detail.clone(),
                    ..Note::of(Kind::Provider)
                }));
            }
            now.insert(provider.key.clone(), state);
        }
        self.0 = now;
        notes
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::SystemTime;

    use rosterd_discovery::{Failure, Presence as Reported, Status};
    use rosterd_model::{Priority, Report, Retry};

    use super::*;

    pub(in crate::journal) fn provider(presence: Reported, code: Option<&str>) -> ProviderStatus {
        let failure = |code: &str| {
            let report = Report {
                code: code.to_owned(),
                message: "no".to_owned(),
                priority: Priority::Remote,
                retry: Retry::Backoff,
                causes: Vec::new(),
            };
            Failure { report, at: SystemTime::now(), since: SystemTime::UNIX_EPOCH }
        };
        ProviderStatus {
            key: ProviderKey::new("file/1"),
            jobs: vec!["a".into(), "b".into()],
            reads: Arc::default(),
            status: Status { presence, last_error: code.map(failure), ..Status::default() },
            watches: Vec::new(),
        }
    }

    #[test]
    fn a_change_is_told_once_to_each_job_with_what_fails() {
        let (mut known, view) = (Known::default(), RosterView::default());
        let mut look = |presence, code| {
            let notes = known.look(&[provider(presence, code)], &view);
            let told = |note: Note| (note.job.unwrap().to_string(), note.reason.unwrap().to_string(), note.detail);
            notes.into_iter().map(told).collect::<Vec<_>>()
        };
        let told = |presence: &str, detail: Option<&str>| {
            ["a", "b"].map(|job| (job.to_owned(), presence.to_owned(), detail.map(Arc::from))).to_vec()
        };
        assert_eq!(look(Reported::Unsynced, None), [], "nothing is known of it yet");
        assert_eq!(look(Reported::Unsynced, Some("sd_aws_denied")), told("unsynced", Some("no (sd_aws_denied)")));
        assert_eq!(look(Reported::Unsynced, Some("sd_aws_denied")), []);
        assert_eq!(look(Reported::Unsynced, Some("sd_aws_endpoint")), told("unsynced", Some("no (sd_aws_endpoint)")));
        assert_eq!(look(Reported::Synced, None), told("synced", None));
        assert_eq!(look(Reported::Stale, Some("sd_aws_denied")), told("stale", Some("no (sd_aws_denied)")));
        assert_eq!(known.look(&[], &view), [], "one that is not configured any more is no news");
    }
}
