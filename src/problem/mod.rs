//! Errors as answers: problem JSON (RFC 9457) with the members of a [`Report`], readable by clients of Prometheus too.
//! Whoever answers requests uses it, and need not know who else does.

use axum::Json;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use rosterd_model::{Coded, Priority, Report, Retry};
use serde_json::{Map, Value, json};

/// Where codes are explained; the code follows as the fragment.
pub const TYPES: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/blob/main/docs/errors.md");

/// The status that goes with a code, for those that say more than their priority.
const STATUSES: [(&str, StatusCode); 16] = [
    ("journal_empty", StatusCode::SERVICE_UNAVAILABLE),
    ("journal_too_early", StatusCode::NOT_FOUND),
    ("roster_unknown_job", StatusCode::NOT_FOUND),
    ("roster_unknown_target", StatusCode::NOT_FOUND),
    ("roster_unsynced", StatusCode::SERVICE_UNAVAILABLE),
    ("web_bad_parameter", StatusCode::BAD_REQUEST),
    ("web_cross_site", StatusCode::FORBIDDEN),
    ("web_crowded", StatusCode::TOO_MANY_REQUESTS),
    ("web_lifecycle_disabled", StatusCode::FORBIDDEN),
    ("web_method_not_allowed", StatusCode::METHOD_NOT_ALLOWED),
    ("web_missing_parameter", StatusCode::BAD_REQUEST),
    ("web_not_found", StatusCode::NOT_FOUND),
    ("web_rate_limited", StatusCode::TOO_MANY_REQUESTS),
    ("web_stopping", StatusCode::SERVICE_UNAVAILABLE),
    ("web_unauthorized", StatusCode::UNAUTHORIZED),
    ("web_unknown_worker", StatusCode::NOT_FOUND),
];

/// The status of the answer to a request that failed in this way.
pub fn status_of(report: &Report) -> StatusCode {
    if let Some((_, status)) = STATUSES.iter().find(|(code, _)| *code == report.code) {
        return *status;
    }
    match report.priority {
        Priority::Retry => StatusCode::SERVICE_UNAVAILABLE,
        Priority::Remote => StatusCode::BAD_GATEWAY,
        Priority::Operator => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// An error on its way to a client.
#[derive(Debug, Clone)]
pub struct Problem(Box<Content>);

#[derive(Debug, Clone)]
struct Content {
    report: Report,
    headers: HeaderMap,
    members: Map<String, Value>,
}

/// What a page tells of that was made of a problem: for who reads answers on their way out.
#[derive(Debug, Clone)]
pub struct Told(pub Report);

impl Problem {
    /// The problem that a report tells of.
    pub fn new(report: Report) -> Self {
        let mut headers = HeaderMap::new();
        if let Retry::After(wait) = report.retry {
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        Self(Box::new(Content { report, headers, members: Map::new() }))
    }

    /// What it tells of.
    pub fn report(&self) -> &Report {
        &self.0.report
    }

    /// Adds a header to the answer.
    pub fn with_header(mut self, name: HeaderName, value: &'static str) -> Self {
        self.0.headers.insert(name, HeaderValue::from_static(value));
        self
    }

    /// Adds a member to the answer, for facts that a program may want.
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.members.insert(name.to_owned(), value.into());
        self
    }

    /// The body. Under `/api/v1`, `status` is the word that Prometheus puts there; elsewhere it is the number of RFC 9457,
    /// whose clients have to ignore a `status` that is none.
    fn body(&self, path: &str, compatible: bool) -> Value {
        let status = status_of(&self.0.report);
        let detail = self.0.report.to_string();
        let mut body = self.0.members.clone();
        if let Ok(Value::Object(report)) = serde_json::to_value(&self.0.report) {
            body.extend(report);
        }
        body.insert("type".to_owned(), format!("{TYPES}#{}", self.0.report.code).into());
        body.insert("title".to_owned(), status.canonical_reason().unwrap_or("Error").into());
        body.insert("instance".to_owned(), path.into());
        if compatible {
            body.insert("status".to_owned(), "error".into());
            body.insert("errorType".to_owned(), error_type(status).into());
            body.insert("error".to_owned(), detail.clone().into());
        } else {
            body.insert("status".to_owned(), json!(status.as_u16()));
        }
        body.insert("detail".to_owned(), detail.into());
        Value::Object(body)
    }
}

/// The word that Prometheus' API has for a status.
fn error_type(status: StatusCode) -> &'static str {
    match status {
        StatusCode::NOT_FOUND => "not_found",
        StatusCode::NOT_ACCEPTABLE => "not_acceptable",
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS | StatusCode::BAD_GATEWAY => "unavailable",
        status if status.is_server_error() => "internal",
        _ => "bad_data",
    }
}

impl<E: Coded> From<E> for Problem {
    fn from(error: E) -> Self {
        Self::new(Report::of(&error))
    }
}

impl IntoResponse for Problem {
    /// An answer without a body: the middleware of the server writes it, because it knows the path.
    fn into_response(self) -> Response {
        let mut response = status_of(&self.0.report).into_response();
        response.headers_mut().extend(self.0.headers.clone());
        response.extensions_mut().insert(self);
        response
    }
}

/// A middleware around everything that may answer with a [`Problem`]: writes the body that suits the path.
pub(crate) async fn render(request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let mut response = next.run(request).await;
    let Some(problem) = response.extensions_mut().remove::<Problem>() else { return response };
    let (mut parts, _) = response.into_parts();
    let (json, body) = Json(problem.body(&path, path.contains("/api/v1/"))).into_response().into_parts();
    parts.headers.extend(json.headers);
    parts.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    Response::from_parts(parts, body)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn report(priority: Priority) -> Report {
        Report { code: "other".to_owned(), message: String::new(), priority, retry: Retry::Backoff, causes: Vec::new() }
    }

    #[test]
    fn a_report_comes_back_whole_from_the_body() {
        let problem =
            Problem::new(Report { retry: Retry::After(Duration::from_millis(1500)), ..report(Priority::Retry) });
        assert_eq!(problem.0.headers[RETRY_AFTER], "2");
        for compatible in [false, true] {
            let body = problem.body("/x", compatible);
            assert_eq!(serde_json::from_value::<Report>(body).unwrap(), problem.0.report);
        }
    }

    #[test]
    fn the_body_is_that_of_prometheus_where_its_clients_look() {
        let problem = Problem::new(Report { code: "web_missing_parameter".to_owned(), ..report(Priority::Remote) });
        let body = problem.body("/api/v1/x", true);
        assert_eq!((&body["status"], &body["errorType"]), (&json!("error"), &json!("bad_data")));
        assert_eq!(body["error"], body["detail"]);
        assert_eq!(problem.body("/x", false)["status"], json!(400));
    }

    #[test]
    fn an_unknown_code_gets_its_status_from_the_priority() {
        assert_eq!(status_of(&report(Priority::Retry)), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(status_of(&report(Priority::Remote)), StatusCode::BAD_GATEWAY);
        assert_eq!(status_of(&report(Priority::Operator)), StatusCode::INTERNAL_SERVER_ERROR);
    }
}
