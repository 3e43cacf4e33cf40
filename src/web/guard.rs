//! Who may come in: the rate limit, the users and the added headers of the web configuration, for every request.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{Method, StatusCode};
use rosterd_model::Report;
use tracing::{info, warn};

use super::file::Loaded;
use super::seats::Seat;
use super::{Client, Live, Refusal, headers};
use crate::problem::{Problem, Told};

/// A middleware in front of all routes. Without a web configuration everybody may come in for whom there is room.
pub(super) async fn guard(State(live): State<Option<Arc<Live>>>, mut request: Request, next: Next) -> Response {
    let config = match &live {
        Some(live) => Some(live.current().await),
        None => None,
    };
    let mut response = match admit(config.as_deref(), &mut request).await {
        Err(refusal) => answer(refusal),
        Ok(()) => {
            let mut asked = Asked::of(&request);
            let response = next.run(request).await;
            if let Some(asked) = asked.as_mut().filter(|_| response.status() == StatusCode::FORBIDDEN) {
                let told = response.extensions();
                let told = told.get::<Problem>().map(Problem::report).or(told.get::<Told>().map(|Told(report)| report));
                asked.refused = told.cloned();
            }
            response
        }
    };
    headers::complete(response.headers_mut(), config.as_deref().map(|config| &config.headers));
    response
}

/// Tells the log who asks for something to be done, and not only to be shown, once it is done or refused, or whoever asked has gone.
struct Asked {
    client: Client,
    method: Method,
    path: String,
    /// Why it was not to be asked for.
    refused: Option<Report>,
}

impl Asked {
    fn of(request: &Request) -> Option<Self> {
        let client = request.extensions().get::<Client>().filter(|_| !request.method().is_safe())?.clone();
        Some(Self { client, method: request.method().clone(), path: request.uri().path().to_owned(), refused: None })
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        let (Client { address, user }, method, path) = (&self.client, &self.method, &self.path);
        match &self.refused {
            None => info!(%address, user, %method, path, "asked for by HTTP"),
            Some(error) => {
                warn!(%error, code = error.code, %address, user, %method, path, "asked for by HTTP, and refused")
            }
        }
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
