//! `/api/v1/operations`: what has to be done for publications, what is being done, and what became of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::extract::State as Extract;
use axum::response::Response;
use http::Uri;
use rosterd_model::{Report, nearest};
use serde::Serialize;

use super::envelope::success;
use super::query::Query;
use super::status::rfc3339;
use super::words::few;
use super::{Error, State};
use crate::problem::Problem;
use crate::publish::Publication;
use crate::reconcile::{EndedOperation, OperationState, OperationStatus, Phase};

#[derive(Serialize)]
struct Operations {
    operations: Vec<Operation>,
}

/// An operation, pending or ended.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Operation {
    #[serde(flatten)]
    pub(super) status: OperationStatus,
    pub(super) worker: String,
    kind: String,
    /// When it was decided.
    pub(super) begun: String,
    /// `None` while it is pending.
    pub(super) ended: Option<String>,
    /// Of a pending one, why its last try failed; of one that was given up, why.
    pub(super) last_error: Option<Report>,
    /// When it is tried again, or what was given up is begun anew.
    pub(super) next_try: Option<String>,
    /// It was given up, and what it was for has been reached since.
    #[serde(rename = "over", skip_serializing_if = "std::ops::Not::not")]
    pub(super) is_over: bool,
}

/// The operations, those that are pending first, and then those that ended last. `worker` and `state` say which.
pub(super) async fn operations(Extract(state): Extract<Arc<State>>, uri: Uri) -> Result<Response, Problem> {
    let query = Query::of(&uri);
    let asked = Asked::of(&query)?;
    asked.worker.map_or(Ok(()), |worker| is_known(&state, worker))?;
    Ok(success(Operations { operations: asked.find(&state).collect() }))
}

/// Which operations are asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'q> {
    pub(super) state: Option<OperationState>,
    pub(super) worker: Option<&'q str>,
}

impl<'q> Asked<'q> {
    /// Those that a query means; an empty parameter is none, as forms send it.
    pub(super) fn of(query: &'q Query) -> Result<Self, Error> {
        let state = query.one_of("state", &OperationState::ALL, OperationState::as_str)?;
        Ok(Self { state, worker: query.get("worker") })
    }

    /// All of these. Of what failed, that is what has not been reached since.
    pub(super) fn find(self, state: &State) -> impl Iterator<Item = Operation> + use<'q> {
        all(state).filter(move |operation| {
            self.state.is_none_or(|wanted| operation.status.state == wanted && !operation.is_over)
                && self.worker.is_none_or(|worker| operation.worker == worker)
        })
    }
}

/// All of them, those that are pending first, and then those that ended last.
pub(super) fn all(state: &State) -> impl Iterator<Item = Operation> + use<> {
    let (publications, ended) = (state.publications.list(), state.publications.ended());
    let is_done = |worker: &&Publication| worker.worker.state == Phase::Done;
    let mut reached: BTreeSet<_> = publications.iter().filter(is_done).map(|it| it.worker.id.clone()).collect();
    let mut again: BTreeMap<_, _> =
        publications.iter().filter_map(|it| Some((it.worker.id.clone(), it.worker.next_try?))).collect();
    let pending: Vec<_> = publications.into_iter().filter_map(Operation::pending).collect();
    // What is pending is begun again as it says itself.
    again.retain(|worker, _| pending.iter().all(|operation| operation.worker != **worker));
    pending.into_iter().chain(ended.into_iter().rev().map(move |ended| {
        let is_failed = ended.status.state == OperationState::Failed;
        if ended.means.reached {
            reached.insert(ended.worker.clone());
        }
        let is_over = is_failed && reached.contains(&ended.worker);
        // Only the last one is begun again.
        let is_last = is_failed || ended.means.reached;
        let next_try = is_last.then(|| again.remove(&ended.worker)).flatten();
        let next_try = next_try.filter(|_| is_failed && !is_over).map(rfc3339);
        Operation { is_over, next_try, ..Operation::ended(ended) }
    }))
}

/// Whether anything is known of a worker, were it only what it was; a slip of the pen is told from one that has nothing to do.
pub(super) fn is_known(state: &State, worker: &str) -> Result<(), Error> {
    let publications = state.publications.list().into_iter().map(|publication| publication.worker.id.to_string());
    let ended = state.publications.ended().into_iter().map(|ended| ended.worker.to_string());
    let workers: BTreeSet<_> = publications.chain(ended).collect();
    if workers.contains(worker) {
        return Ok(());
    }
    let part = || workers.iter().find(|known| known.contains(worker)).map(String::as_str);
    let known = match nearest(worker, workers.iter().map(String::as_str)).or_else(part) {
        Some(near) => format!("did you mean {near:?}?"),
        None if workers.is_empty() => "nothing is written to files".to_owned(),
        None => format!("there are {}", few(&workers.iter().collect::<Vec<_>>())),
    };
    Err(Error::NoSuchWorker { worker: worker.to_owned(), known })
}

impl Operation {
    fn pending(Publication { worker, .. }: Publication) -> Option<Self> {
        let status = worker.operation?;
        Some(Self {
            begun: begun(&status),
            status,
            worker: worker.id.to_string(),
            kind: worker.kind,
            ended: None,
            last_error: worker.last_error,
            next_try: worker.next_try.map(rfc3339),
            is_over: false,
        })
    }

    fn ended(EndedOperation { worker, kind, status, ended, error, means: _ }: EndedOperation) -> Self {
        Self {
            begun: begun(&status),
            status,
            worker: worker.to_string(),
            kind,
            ended: Some(rfc3339(ended)),
            last_error: error,
            next_try: None,
            is_over: false,
        }
    }
}

/// Numbers of operations are times.
fn begun(status: &OperationStatus) -> String {
    rfc3339(SystemTime::UNIX_EPOCH + Duration::from_micros(status.id.0))
}

#[cfg(test)]
mod tests {
    use rosterd_model::{Priority, Retry};
    use rosterd_testkit::leak_checked_live;
    use serde_json::{Value, json};

    use super::*;
    use crate::api::publications::tests::publication;
    use crate::api::tests::Face;
    use crate::publish::Publications;
    use crate::reconcile::{Action, Means, OperationId};

    fn status(id: u64, state: OperationState, step: u32, step_name: &'static str) -> OperationStatus {
        let (id, action, step_name) = (OperationId(id), Action::Update, Some(step_name));
        OperationStatus { id, action, state, step, step_name, attempt: 0 }
    }

    #[test]
    fn operations_are_told_by_what_becomes_of_them() {
        leak_checked_live(async || {
            let mut going = publication("/b.yml", &["one"]);
            going.worker.operation = Some(status(3_000_000, OperationState::InFlight, 4, "reload"));
            let mut list = vec![publication("/a.yml", &["one"]), going];
            let (code, message) = ("publish_command_failed".to_owned(), "no".to_owned());
            let (priority, retry) = (Priority::Operator, Retry::Backoff);
            let error = Some(Report { code, message, priority, retry, causes: Vec::new() });
            let ended = |id, worker: &str, state, error: Option<Report>| EndedOperation {
                means: Means { reached: error.is_none(), again: false },
                worker: worker.into(),
                kind: "template".to_owned(),
                status: status(id, state, 1, "check"),
                ended: SystemTime::UNIX_EPOCH + Duration::from_secs(9),
                error,
            };
            let (failed, done, c) = (OperationState::Failed, OperationState::Done, "template:/c.conf");
            let all = [
                ended(1, "template:/over.conf", failed, error.clone()),
                ended(2, "template:/over.conf", done, None),
                ended(3, c, failed, error.clone()),
                ended(4, c, failed, error),
                ended(5, "file_sd:/a.yml", done, None),
                // That it is looked after since a restart does not mean that it is well.
                EndedOperation { means: Means::default(), ..ended(6, c, done, None) },
            ];
            let mut given_up = publication("/c.conf", &["one"]);
            given_up.worker.id = c.into();
            given_up.worker.state = Phase::Pending;
            given_up.worker.next_try = Some(SystemTime::UNIX_EPOCH + Duration::from_secs(60));
            list.push(given_up);
            let face = Face::start(|state| {
                state.publications = Publications::with_ended(move || list.clone(), move || all.to_vec());
            })
            .await;
            let told = face.json("/api/v1/operations").await["data"]["operations"].clone();
            let expected = json!({
                "id": 3_000_000, "action": "update", "state": "in_flight", "step": 4, "stepName": "reload", "attempt": 0,
                "worker": "file_sd:/b.yml", "kind": "file_sd", "begun": "1970-01-01T00:00:03Z", "ended": null,
                "lastError": null, "nextTry": null,
            });
            assert_eq!(told[0], expected);
            let states: Vec<_> = told.as_array().unwrap().iter().map(|it| it["state"].as_str().unwrap()).collect();
            assert_eq!(
                states,
                ["in_flight", "done", "done", "failed", "failed", "done", "failed"],
                "what ended last comes first"
            );
            let failed = face.json("/api/v1/operations?state=failed").await["data"]["operations"].clone();
            let of: Vec<_> = failed.as_array().unwrap().iter().map(|it| (&it["worker"], &it["nextTry"])).collect();
            let again = json!("1970-01-01T00:01:00Z");
            assert_eq!(of, [(&json!(c), &again), (&json!(c), &Value::Null)], "one that was done since is over");
            assert_eq!(
                (&failed[0]["ended"], &failed[0]["lastError"]["message"]),
                (&json!("1970-01-01T00:00:09Z"), &json!("no"))
            );
            let of = face.json("/api/v1/operations?worker=file_sd:/b.yml").await["data"]["operations"].clone();
            assert_eq!(of, json!([expected]));
            for (worker, told) in
                [("file_sd:/a.yaml", "did you mean"), ("over.conf", "did you mean"), ("x", "there are file_sd")]
            {
                let refused = face.get(&format!("/api/v1/operations?worker={worker}")).await;
                assert_eq!(refused.status(), 404);
                let refused = refused.text().await.unwrap();
                assert!(refused.contains(told), "{worker}: {refused}");
            }
            // One that failed is told also while it is tried again.
            let overview = face.get("/").await.text().await.unwrap();
            let failed = "template:/c.conf could not be published.";
            assert!(overview.contains(failed) && !overview.contains("over.conf could not"), "{overview}");
            let unknown = face.get("/operations?worker=over.conf").await;
            assert_eq!(unknown.status(), 404);
            let (unknown, words) =
                (unknown.text().await.unwrap(), "there is no worker &#34;over.conf&#34;: did you mean");
            assert!(unknown.contains(words) && !unknown.contains("Nothing is like that"), "{unknown}");
            for path in ["/api/v1/operations?state=lost", "/operations?state=lost"] {
                assert_eq!(face.get(path).await.status(), 400, "{path}");
            }
            for (query, here, not) in [
                ("", &["file_sd:/b.yml", ">in_flight<", ">failed<", "update, reload"][..], "Nothing is like that"),
                (
                    "?state=failed&worker=",
                    &["template:/c.conf", "<option selected>failed</option>"][..],
                    "file_sd:/b.yml",
                ),
                ("?worker=file_sd:/b.yml", &["update, reload", "value=\"file_sd:/b.yml\""][..], "template:/c.conf<"),
            ] {
                let page = face.get(&format!("/operations{query}")).await.text().await.unwrap();
                for text in here {
                    assert!(page.contains(text) && !page.contains(not), "{query}: {text} and not {not}: {page}");
                }
            }
            face.stop().await;
        });
    }
}
