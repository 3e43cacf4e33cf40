//! `/-/healthy`, `/-/reload`, `/-/quit`.

use std::sync::Arc;

use axum::extract::State as Extract;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tokio::sync::oneshot;

use super::{Error, Refused, State};
use crate::problem::Problem;

/// Alive: the process answers.
pub(super) async fn healthy() -> &'static str {
    "rosterd is Healthy.\n"
}

/// Reads the configuration again and answers when it is in use, or why it is not.
pub(super) async fn reload(Extract(state): Extract<Arc<State>>) -> Result<Response, Problem> {
    if !state.lifecycle.enabled {
        return Err(Error::LifecycleDisabled.into());
    }
    let asked = async {
        let (wish, answer) = oneshot::channel();
        state.lifecycle.reload.send(wish).await.ok()?;
        answer.await.ok()
    };
    // An agent that stops begins no reload any more, and finishes none.
    match state.lifecycle.stopping.run_until_cancelled(asked).await.flatten() {
        Some(Ok(())) => Ok(().into_response()),
        Some(Err(Refused { report, problems })) => Err(Problem::new(report).with("problems", json!(problems))),
        None => Err(Error::Stopping.into()),
    }
}

/// Asks the agent to end.
pub(super) async fn quit(Extract(state): Extract<Arc<State>>) -> Result<&'static str, Problem> {
    if !state.lifecycle.enabled {
        return Err(Error::LifecycleDisabled.into());
    }
    if state.lifecycle.quit.is_cancelled() {
        return Ok("Termination already in progress.");
    }
    state.lifecycle.quit.cancel();
    Ok("Requesting termination... Goodbye!")
}
