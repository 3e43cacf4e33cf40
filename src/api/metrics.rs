//! `/metrics`, and the metrics of the HTTP server itself.

use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State as Extract};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use prometheus::{Encoder, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, Opts, Registry, TextEncoder};
use rosterd_tasks::blocking;
use tokio::time::Instant;

use super::State;

/// The metrics of the HTTP server.
#[derive(Debug, Clone)]
pub struct HttpMetrics {
    requests: IntCounterVec,
    duration: HistogramVec,
    running: IntGauge,
}

impl HttpMetrics {
    /// Registers the metrics. Fails when one of the names is taken.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let duration = HistogramOpts::new("rosterd_http_request_duration_seconds", "Time until an answer began.");
        let metrics = Self {
            requests: IntCounterVec::new(
                Opts::new("rosterd_http_requests_total", "Requests that were answered."),
                &["handler", "code"],
            )?,
            duration: HistogramVec::new(duration.buckets(vec![0.001, 0.01, 0.1, 0.5, 1.0, 5.0, 60.0]), &["handler"])?,
            running: IntGauge::new(
                "rosterd_http_requests_running",
                "Requests that wait for the beginning of an answer.",
            )?,
        };
        registry.register(Box::new(metrics.requests.clone()))?;
        registry.register(Box::new(metrics.duration.clone()))?;
        registry.register(Box::new(metrics.running.clone()))?;
        Ok(metrics)
    }
}

/// Counts a running request, also one whose client goes away.
struct Running<'a>(&'a IntGauge);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// A middleware that counts and times requests by route; everything without a route is counted together.
pub(super) async fn observe(Extract(state): Extract<Arc<State>>, request: Request, next: Next) -> Response {
    let metrics = &state.metrics;
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let handler = matched.as_ref().map_or("none", |path| {
        path.as_str().strip_prefix(state.route_prefix.as_str()).filter(|path| !path.is_empty()).unwrap_or("/")
    });
    metrics.running.inc();
    let running = Running(&metrics.running);
    let start = Instant::now();
    let response = next.run(request).await;
    drop(running);
    metrics.duration.with_label_values(&[handler]).observe(start.elapsed().as_secs_f64());
    metrics.requests.with_label_values(&[handler, response.status().as_str()]).inc();
    response
}

/// All metrics of the agent in Prometheus' text format.
pub(super) async fn expose(Extract(state): Extract<Arc<State>>) -> Response {
    // The system is asked about the process, with a look at each open file.
    let text = blocking(move || {
        let mut families = state.registry.gather();
        if state.config.borrow().prometheus_names {
            families.extend(state.prometheus_names.of(&families));
        }
        let mut text = Vec::new();
        TextEncoder::new().encode(&families, &mut text).expect("a vector takes all that is written to it");
        text
    })
    .await;
    ([(CONTENT_TYPE, TextEncoder::new().format_type().to_owned())], text).into_response()
}
