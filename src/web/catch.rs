//! A panic in the answering of one request is an answer too: 500, and nothing else ends.

use std::fmt;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::Method;
use rosterd_tasks::Guard;

use super::Refusal;
use crate::problem::Problem;

/// Names a request in the log; what is asked for behind the path may be secret.
struct Named(Method, String);

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0, self.1)
    }
}

/// A middleware around all routes.
pub(super) async fn catch(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let named = Named(request.method().clone(), request.uri().path().to_owned());
    let answered = guard.run(&named, next.run(request)).await;
    answered.unwrap_or_else(|_| Problem::from(Refusal::Panicked).into_response())
}
