//! `/operations`: what has to be done for publications, what is being done, and what became of it.

use std::sync::Arc;

use askama::Template;
use axum::extract::State as Extract;
use axum::response::Response;
use http::{StatusCode, Uri};

use super::super::State;
use super::super::operations::{Asked, Operation, is_known};
use super::super::query::Query;
use super::cut::{as_fits, line, written};
use super::link::link;
use super::shell::{Shell, page, refusing};
use crate::problem::Problem;
use crate::reconcile::{OperationState, OperationStatus};

/// How many stand on the page: those that are pending, and then those that ended last.
const SHOWN: usize = 100;
/// How many bytes they may have on the page.
const ROOM: usize = 150_000;

#[derive(Template)]
#[template(path = "operations.html")]
struct Page {
    shell: Shell,
    states: Vec<&'static str>,
    state: &'static str,
    worker: String,
    /// That there is no such worker.
    wrong: Option<String>,
    operations: Vec<Doing>,
    /// Those that are not shown.
    more: usize,
}

/// What is done for a publication, or was.
pub(super) struct Doing {
    pub(super) worker: String,
    pub(super) what: String,
    pub(super) word: &'static str,
    /// Whether it failed, and what it was for has been reached since.
    pub(super) is_over: bool,
    pub(super) class: &'static str,
    pub(super) begun: String,
    pub(super) ended: Option<String>,
    /// When it is tried or begun again.
    pub(super) again: Option<String>,
    pub(super) error: String,
    pub(super) code: String,
}

/// The page.
pub(in crate::api) async fn operations(Extract(state): Extract<Arc<State>>, uri: Uri) -> Result<Response, Problem> {
    let query = Query::of(&uri);
    let asked = Asked::of(&query)?;
    let found: Vec<_> = asked.find(&state).collect();
    let count = found.len();
    let operations = as_fits(found.into_iter().take(SHOWN).map(Doing::of), ROOM, Doing::size);
    let kept = ["state", "worker"].map(|name| (name, query.get(name).unwrap_or_default()));
    let wrong = asked.worker.and_then(|worker| is_known(&state, worker).err()).map(|error| error.to_string());
    let status = if wrong.is_some() { StatusCode::NOT_FOUND } else { StatusCode::OK };
    let shown = page(&Page {
        shell: Shell::of(&state, "/operations", "Operations").with_json(link("/api/v1/operations", kept)),
        states: OperationState::ALL.into_iter().map(|state| state.as_str()).collect(),
        state: asked.state.map(|state| state.as_str()).unwrap_or_default(),
        worker: asked.worker.unwrap_or_default().to_owned(),
        wrong,
        more: count - operations.len(),
        operations,
    });
    Ok(refusing(status, shown))
}

/// What is done, and how far it is.
pub(super) fn told(operation: &OperationStatus) -> String {
    let OperationStatus { action, step, step_name, attempt, .. } = operation;
    let step = match (step_name, step) {
        (Some(name), _) => format!(", {name}"),
        (None, 0) => String::new(),
        (None, step) => format!(", step {}", u64::from(*step) + 1),
    };
    let again = if *attempt > 0 { format!(", try {}", attempt + 1) } else { String::new() };
    format!("{}{step}{again}", action.name())
}

impl Doing {
    /// About how long it is on a page.
    pub(super) fn size(&self) -> usize {
        800 + [&self.worker, &self.what, &self.error].iter().map(|text| written(text)).sum::<usize>()
    }

    pub(super) fn of(operation: Operation) -> Self {
        let class = match operation.status.state {
            OperationState::Failed if operation.is_over => "idle",
            OperationState::Enqueued | OperationState::InFlight => "idle",
            OperationState::Failed => "down",
            OperationState::Done => "up",
        };
        Self {
            what: told(&operation.status),
            word: operation.status.state.as_str(),
            is_over: operation.is_over,
            class,
            worker: line(&operation.worker),
            begun: operation.begun,
            ended: operation.ended,
            again: operation.next_try,
            code: operation.last_error.as_ref().map(|error| error.code.clone()).unwrap_or_default(),
            error: operation.last_error.map(|error| line(&error.to_string())).unwrap_or_default(),
        }
    }
}
