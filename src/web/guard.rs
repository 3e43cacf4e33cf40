//! Who may come in: the rate limit, the users and the added headers of the web configuration, for every request.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::HeaderValue;
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};

use super::file::Loaded;
use super::{Live, Refusal};
use crate::problem::Problem;

/// A middleware in front of all routes. Without a web configuration everybody may come in.
pub(super) async fn guard(State(live): State<Option<Arc<Live>>>, request: Request, next: Next) -> Response {
    let Some(live) = live else { return next.run(request).await };
    let config = live.current();
    let mut response = match refusal(&config, request.headers().get(AUTHORIZATION).cloned()).await {
        Some(refusal) => refusal.into_response(),
        None => next.run(request).await,
    };
    for (name, value) in &config.headers {
        response.headers_mut().insert(name, value.clone());
    }
    response
}

async fn refusal(config: &Loaded, authorization: Option<HeaderValue>) -> Option<Problem> {
    if let Some(wait) = config.rate.as_ref().and_then(|bucket| bucket.take().err()) {
        return Some(Refusal::RateLimited { wait }.into());
    }
    if config.users.is_empty() || config.users.admit(authorization.as_ref()).await {
        return None;
    }
    let problem = Problem::from(Refusal::Unauthorized);
    Some(problem.with_header(WWW_AUTHENTICATE, "Basic realm=\"rosterd\", charset=\"UTF-8\""))
}
