//! The form of Prometheus' answers: `{"status": "success", "data": ...}`.

use axum::Json;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

#[derive(Serialize)]
struct Envelope<T> {
    status: &'static str,
    data: T,
}

/// A successful answer.
pub(super) fn success(data: impl Serialize) -> Response {
    Json(Envelope { status: "success", data }).into_response()
}
