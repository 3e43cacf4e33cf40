//! The button that lets go of what is braked of a job, and leads back to where it stood.

use std::sync::Arc;

use axum::extract::{Request, State as Extract};
use axum::response::{IntoResponse, Redirect, Response};

use super::super::{State, brake};
use super::link::link;
use crate::problem::Problem;

/// Where the button is sent to: a path below the prefix.
pub(super) fn path(job: &str) -> String {
    link("/brake/release", [("job", job)])
}

/// Lets go of what is braked.
pub(in crate::api) async fn release_brake(
    Extract(state): Extract<Arc<State>>,
    request: Request,
) -> Result<Response, Problem> {
    let home = format!("{}/", state.external_url.path());
    brake::release(Extract(state), request).await?;
    Ok(Redirect::to(&home).into_response())
}
