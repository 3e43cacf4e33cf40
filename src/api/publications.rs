//! `/api/v1/publications`: what is published, how that goes, and the operations that have not ended.

use std::path::PathBuf;
use std::sync::Arc;

use axum::extract::State as Extract;
use axum::response::Response;
use rosterd_model::Report;
use serde::Serialize;

use super::State;
use super::envelope::success;
use super::missing::{Causes, MissingSource};
use super::status::rfc3339;
use crate::publish::file_sd::Format;
use crate::publish::{Kind, Publication};
use crate::reconcile::{OperationStatus, Phase, Revision};
use crate::roster::view::RosterView;

#[derive(Serialize)]
struct Publications {
    publications: Vec<Published>,
}

/// A publication, as the API and the page tell of it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Published {
    pub(super) id: String,
    kind: String,
    pub(super) path: Option<PathBuf>,
    pub(super) template: Option<PathBuf>,
    pub(super) format: Option<Format>,
    pub(super) jobs: Vec<Arc<str>>,
    pub(super) state: Phase,
    revision: Option<Revision>,
    desired: Option<Revision>,
    pub(super) operation: Option<OperationStatus>,
    last_written: Option<String>,
    pub(super) last_error: Option<Report>,
    next_try: Option<String>,
    pub(super) blocked: Vec<Blocked>,
    missing: Vec<Lacking>,
}

/// A job that keeps a publication as it is.
#[derive(Serialize)]
pub(super) struct Blocked {
    pub(super) job: Arc<str>,
    /// `None` as long as the roster does not know the job.
    pub(super) error: Option<Report>,
}

/// What is missing of a job.
#[derive(Serialize)]
struct Lacking {
    job: Arc<str>,
    #[serde(flatten)]
    missing: MissingSource,
}

/// All publications.
pub(super) async fn publications(Extract(state): Extract<Arc<State>>) -> Response {
    let (view, causes) = (state.roster.view(), Causes::of(&state));
    let publications = state.publications.list().into_iter();
    success(Publications { publications: publications.map(|it| Published::of(it, &view, &causes)).collect() })
}

impl Published {
    pub(super) fn of(
        Publication { worker, last_written, reached }: Publication,
        view: &RosterView,
        causes: &Causes,
    ) -> Self {
        let (template, format) = match &worker.spec {
            Some(Kind::File(output)) => (None, Some(output.format)),
            Some(Kind::Template(template)) => (Some(template.source.clone()), None),
            None => (None, None),
        };
        let path = worker.spec.as_ref().map(|kind| kind.path().to_owned());
        let jobs = worker.spec.as_ref().map_or_else(Vec::new, |kind| kind.jobs().to_vec());
        let known = || jobs.iter().map(|name| (name, view.job(name)));
        // Jobs that are given up keep no others from a list, but any from a template.
        let given_up = template.is_some() || known().all(|(_, job)| job.is_some_and(|job| job.is_given_up()));
        let blocked = known().filter_map(|(name, job)| {
            let error = job.map(|job| job.servable().err().filter(|_| given_up || !job.is_given_up()));
            // A job that is there and servable blocks nothing.
            let blocks = !matches!(error, Some(None));
            blocks.then(|| Blocked { job: Arc::clone(name), error: error.flatten().map(|error| Report::of(&error)) })
        });
        let missing = known().filter_map(|(name, job)| Some((name, causes.explain(job?.missing()))));
        let missing = missing
            .flat_map(|(name, missing)| missing.into_iter().map(|missing| Lacking { job: Arc::clone(name), missing }));
        Self {
            id: worker.id.to_string(),
            kind: worker.kind,
            path,
            template,
            format,
            state: worker.state,
            revision: reached,
            desired: worker.desired,
            operation: worker.operation,
            last_written: last_written.map(rfc3339),
            last_error: worker.last_error,
            next_try: worker.next_try.map(rfc3339),
            blocked: blocked.collect(),
            missing: missing.collect(),
            jobs,
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::{Duration, SystemTime};

    use rosterd_model::{Priority, Retry};
    use rosterd_testkit::leak_checked_live;
    use serde_json::json;

    use super::*;
    use crate::api::tests::{Face, group, job};
    use crate::publish::Publications;
    use crate::publish::file_sd::Output;
    use crate::reconcile::{Action, OperationId, OperationState, WorkerStatus};

    fn failing() -> Report {
        let (code, message) = ("publish_disk_full".to_owned(), "no space left to write /a.json".to_owned());
        Report { code, message, priority: Priority::Operator, retry: Retry::Backoff, causes: vec!["<full>".to_owned()] }
    }

    pub(in crate::api) fn publication(path: &str, jobs: &[&str]) -> Publication {
        let jobs = jobs.iter().map(|job| (*job).into()).collect();
        let worker = WorkerStatus {
            id: format!("file_sd:{path}").into(),
            kind: "file_sd".to_owned(),
            spec: Some(Kind::File(Output { path: path.into(), format: Format::Yaml, jobs })),
            state: Phase::Done,
            operation: None,
            last_error: None,
            next_try: None,
            desired: Some(Revision(1)),
        };
        Publication { worker, last_written: Some(SystemTime::UNIX_EPOCH), reached: Some(Revision(1)) }
    }

    #[test]
    fn publications_are_told_with_their_operations_and_what_they_lack() {
        leak_checked_live(async || {
            let mut list = vec![publication("/a.yml", &["one"]), publication("/b.yml", &["one", "two", "none"])];
            (list[1].last_written, list[1].reached) = (None, None);
            let (id, action, state) = (OperationId(7), Action::Update, OperationState::Enqueued);
            let operation = OperationStatus { id, action, state, step: 1, step_name: Some("check"), attempt: 2 };
            let next_try = Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1));
            let worker = list[1].worker.clone();
            list[1].worker = WorkerStatus {
                state: Phase::Retrying,
                operation: Some(operation),
                last_error: Some(failing()),
                next_try,
                desired: Some(Revision(2)),
                ..worker
            };
            let face = Face::start(|state| state.publications = Publications::new(move || list.clone())).await;
            let jobs = vec![job("one", "static/1", "[]"), job("two", "dns/2", "[]")];
            face.handle.set_jobs(jobs, Duration::from_secs(300)).await;
            face.report("static/1", vec![group("s", &["a:1"])]).await;
            let told = face.json("/api/v1/publications").await["data"]["publications"].clone();
            let one = "00000000000000000000000000000001";
            let expected = json!({
                "id": "file_sd:/a.yml", "kind": "file_sd", "path": "/a.yml", "template": null, "format": "yaml", "jobs": ["one"],
                "state": "done", "revision": one, "desired": one, "operation": null,
                "lastWritten": "1970-01-01T00:00:00Z", "lastError": null, "nextTry": null, "blocked": [], "missing": [],
            });
            assert_eq!(told[0], expected);
            let operation = json!({
                "id": 7, "action": "update", "state": "enqueued", "step": 1, "stepName": "check", "attempt": 2,
            });
            assert_eq!((&told[1]["state"], &told[1]["operation"]), (&json!("retrying"), &operation));
            assert_eq!(told[1]["revision"], json!(null), "nobody has seen it as it should be");
            assert_eq!(told[1]["nextTry"], "1970-01-01T00:00:01Z");
            assert_eq!(told[1]["lastError"]["causes"], json!(["<full>"]));
            let blocked = &told[1]["blocked"];
            assert_eq!((&blocked[0]["job"], &blocked[0]["error"]["code"]), (&json!("two"), &json!("roster_unsynced")));
            assert_eq!(blocked[1], json!({ "job": "none", "error": null }));
            let missing = json!([{ "job": "two", "provider": "dns/2", "overdue": false }]);
            assert_eq!((blocked.as_array().map(Vec::len), &told[1]["missing"]), (Some(2), &missing));

            let page = face.get("/").await.text().await.unwrap();
            assert!(
                page.contains("file_sd:/b.yml could not be published") && !page.contains("file_sd:/a.yml"),
                "{page}"
            );
            assert!(page.contains("no space left to write /a.json: ") && !page.contains("<full>"), "{page}");
            let page = face.get("/publications").await.text().await.unwrap();
            let row = |name: &str| page.find(name).unwrap_or_else(|| panic!("no {name} in {page}"));
            assert!(row(">/b.yml") < row(">/a.yml"), "what does not go well comes first: {page}");
            for text in [
                ">done</span>",
                ">retrying</span> <span class=\"sub\">update, check, try 3<",
                "&#34;none&#34; is not known",
            ] {
                assert!(page.contains(text) && !page.contains("<full>"), "{text} is not in {page}");
            }
            face.stop().await;
        });
    }
}
