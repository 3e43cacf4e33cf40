//! A limit of their own for large answers: who takes them slowly, or many of them, leaves connections for probes and reloads.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::extract::{Request, State as Extract};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use hyper::body::{Frame, SizeHint};

use super::{Error, State};
use crate::problem::Problem;

/// A middleware of the routes with large answers.
pub(super) async fn limit(Extract(state): Extract<Arc<State>>, request: Request, next: Next) -> Response {
    let Ok(permit) = Arc::clone(&state.heavy).try_acquire_owned() else {
        return Problem::from(Error::TooManyLarge).into_response();
    };
    until_taken(next.run(request).await, permit)
}

/// The answer with what is kept until it was sent or given up.
pub(super) fn until_taken<T: Send + Unpin + 'static>(answer: Response, kept: T) -> Response {
    answer.map(|body| Body::new(Large { body, _kept: kept }))
}

/// A body, and what stays as long as it does.
struct Large<T> {
    body: Body,
    _kept: T,
}

impl<T: Unpin> hyper::body::Body for Large<T> {
    type Data = bytes::Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
