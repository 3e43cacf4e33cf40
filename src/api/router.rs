//! All routes in one table, from which the router is made, and which the test of the documentation reads.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State as Extract};
use axum::middleware::from_fn_with_state;
use axum::response::Redirect;
use axum::routing::{MethodRouter, get, post};
use rosterd_model::nearest;
use tower_http::compression::{CompressionLayer, CompressionLevel};

use super::Error;
use super::{
    State, brake, cluster, explain, failed, heavy, journal, lifecycle, metadata, metrics, operations, pages, pools,
    providers, publications, ready, remote_write, sd, status, targets, top,
};
use crate::problem::Problem;

/// One path of the API.
#[derive(Debug)]
pub struct Route {
    /// The methods that it answers to; `GET` includes `HEAD`.
    pub methods: &'static [&'static str],
    /// The path below the route prefix.
    pub path: &'static str,
    /// Whether its answers grow with the roster.
    large: bool,
    handler: MethodRouter<Arc<State>>,
}

const READ: &[&str] = &["GET"];
const ACT: &[&str] = &["POST", "PUT"];

/// Everything that is served.
pub fn routes() -> Vec<Route> {
    let read = |path, handler| Route { methods: READ, path, large: false, handler };
    let list = |path, handler| Route { methods: READ, path, large: true, handler };
    let act = |path, handler| Route { methods: ACT, path, large: false, handler };
    vec![
        list("/", get(pages::overview)),
        list("/targets", get(pages::targets)),
        list("/service-discovery", get(pages::discovery)),
        list("/explain", get(pages::explain)),
        list("/journal", get(pages::journal)),
        list("/relabel", get(pages::workbench)),
        Route {
            methods: &["GET", "POST"],
            path: "/relabel/metrics",
            large: true,
            handler: get(pages::metric_rules).post(pages::try_metric_rules),
        },
        list("/publications", get(pages::publications)),
        list("/operations", get(pages::operations)),
        list("/remote-write", get(pages::remote_write)),
        list("/cluster", get(pages::cluster)),
        list("/status", get(pages::status)),
        list("/config", get(pages::config)),
        read("/flags", get(pages::flags)),
        act("/brake/release", post(pages::release_brake).put(pages::release_brake)),
        read("/assets/{file}", get(pages::asset)),
        list("/sd", get(sd::all)),
        // The name of a job may hold slashes, which some clients (vmagent) do not escape whatever they are told.
        list("/sd/{*job}", get(sd::job)),
        read("/-/healthy", get(lifecycle::healthy)),
        read("/-/ready", get(ready::ready)),
        act("/-/reload", post(lifecycle::reload).put(lifecycle::reload)),
        act("/-/quit", post(lifecycle::quit).put(lifecycle::quit)),
        list("/metrics", get(metrics::expose)),
        list("/api/v1/targets", get(targets::targets)),
        list("/api/v1/targets/failed", get(failed::failed)),
        list("/api/v1/targets/metadata", get(metadata::of_targets)),
        list("/api/v1/targets/relabel_steps", get(pools::relabel_steps)),
        list("/api/v1/scrape_pools", get(pools::scrape_pools)),
        list("/api/v1/explain", get(explain::explain)),
        list("/api/v1/top", get(top::top)),
        list("/api/v1/providers", get(providers::providers)),
        read("/api/v1/brake", get(brake::brakes)),
        act("/api/v1/brake/release", post(brake::release).put(brake::release)),
        list("/api/v1/publications", get(publications::publications)),
        list("/api/v1/journal", get(journal::journal)),
        list("/api/v1/roster", get(journal::roster)),
        read("/api/v1/watch", get(journal::watch)),
        list("/api/v1/operations", get(operations::operations)),
        list("/api/v1/cluster", get(cluster::cluster)),
        list("/api/v1/metadata", get(metadata::of_families)),
        read("/api/v1/remote_write", get(remote_write::remote_write)),
        read("/api/v1/status/config", get(status::config)),
        read("/api/v1/status/flags", get(status::flags)),
        read("/api/v1/status/buildinfo", get(status::build)),
        read("/api/v1/status/runtimeinfo", get(status::runtime)),
    ]
}

/// The router of all routes, under the prefix of the state. [`Server::serve`](crate::web::Server::serve) writes the
/// bodies of its problems.
pub fn router(state: Arc<State>) -> Router {
    let prefix = state.route_prefix.clone();
    let mut router = Router::new();
    for mut route in routes() {
        if route.large {
            route.handler = route.handler.layer(from_fn_with_state(Arc::clone(&state), heavy::limit));
        }
        if route.path == "/" && !prefix.is_empty() {
            router = router.route(&prefix, route.handler.clone());
        }
        router = router.route(&format!("{prefix}{}", route.path), route.handler);
    }
    if !prefix.is_empty() {
        let home = format!("{prefix}/");
        router = router.route("/", get(|| async move { Redirect::temporary(&home) }));
    }
    router
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(from_fn_with_state(Arc::clone(&state), pages::refused))
        .layer(CompressionLayer::new().quality(CompressionLevel::Fastest))
        .layer(from_fn_with_state(Arc::clone(&state), metrics::observe))
        .with_state(state)
}

async fn not_found(Extract(state): Extract<Arc<State>>, request: Request) -> Problem {
    let path = request.uri().path();
    let below = path.strip_prefix(state.route_prefix.as_str()).unwrap_or(path);
    let nearest = nearest(below, routes().iter().map(|route| route.path));
    Error::NotFound { path: path.to_owned(), nearest }.into()
}

async fn method_not_allowed(request: Request) -> Problem {
    Error::MethodNotAllowed { path: request.uri().path().to_owned(), method: request.method().to_string() }.into()
}
