//! The form of Prometheus' answers: `{"status": "success", "data": ...}`.

use axum::Json;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

#[derive(Serialize)]
struct Envelope<T> {
    status: &'static str,
    data: T,
    #[serde(skip_serializing_if = "Option::is_none")]
    infos: Option<[String; 1]>,
}

/// A successful answer.
pub(super) fn success(data: impl Serialize) -> Response {
    Json(Envelope { status: "success", data, infos: None }).into_response()
}

/// The same, and beside it why nothing is scraped, if nothing is.
pub(super) fn success_knowing(data: impl Serialize, idle: Option<&str>) -> Response {
    let infos = idle.map(|why| [format!("nothing is scraped: {why}")]);
    Json(Envelope { status: "success", data, infos }).into_response()
}
