//! Who may come in: the rate limit, the users and the added headers of the web configuration, for every request.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use tracing::info;

use super::file::Loaded;
use super::seats::Seat;
use super::{Client, Live, Refusal, headers};
use crate::problem::Problem;

/// A middleware in front of all routes. Without a web configuration everybody may come in for whom there is room.
pub(super) async fn guard(State(live): State<Option<Arc<Live>>>, mut request: Request, next: Next) -> Response {
    let config = match &live {
        Some(live) => Some(live.current().await),
        None => None,
    };
    let mut response = match admit(config.as_deref(), &mut request).await {
        Err(refusal) => answer(refusal),
        Ok(()) => {
            note(&request);
            next.run(request).await
        }
    };
    headers::complete(response.headers_mut(), config.as_deref().map(|config| &config.headers));
    response
}

/// Tells the log who asks for something to be done, and not only to be shown.
fn note(request: &Request) {
    if request.method().is_safe() {
        return;
    }
    if let Some(Client { address, user }) = request.extensions().get() {
        info!(%address, user, method = %request.method(), path = request.uri().path(), "asked for by HTTP");
    }
}

async fn admit(config: Option<&Loaded>, request: &mut Request) -> Result<(), Refusal> {
    let seat = request.extensions().get::<Arc<Seat>>();
    if seat.is_some_and(|seat| !seat.may_ask(request.uri().path())) {
        return Err(Refusal::Busy);
    }
    let Some(config) = config else { return Ok(()) };
    if let Some(wait) = config.rate.as_ref().and_then(|bucket| bucket.take().err()) {
        return Err(Refusal::RateLimited { wait });
    }
    if config.users.is_empty() {
        return Ok(());
    }
    let authorization = request.headers().get(AUTHORIZATION).cloned();
    let address = request.extensions().get::<Client>().map(|client| client.address.ip());
    let user = config.users.admit(authorization.as_ref(), address).await?;
    if let Some(client) = request.extensions_mut().get_mut::<Client>() {
        client.user = Some(user);
    }
    Ok(())
}

fn answer(refusal: Refusal) -> Response {
    let problem = Problem::from(refusal);
    match refusal {
        Refusal::Unauthorized => problem.with_header(WWW_AUTHENTICATE, "Basic realm=\"rosterd\", charset=\"UTF-8\""),
        _ => problem,
    }
    .into_response()
}
