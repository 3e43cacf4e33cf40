//! Errors for people: who asks for a page with a browser and gets none is told so on one that leads on.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Request, State as Extract};
use axum::middleware::Next;
use axum::response::Response;
use http::HeaderMap;
use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE};
use rosterd_model::nearest;

use super::super::State;
use super::cut::line;
use super::shell::{PAGES, Shell, page};
use crate::problem::{Problem, Told, status_of};

#[derive(Template)]
#[template(path = "refused.html")]
struct Refused {
    shell: Shell,
    status: u16,
    /// Empty where the title says it all.
    why: String,
    code: String,
    /// The page that was most likely meant.
    nearest: Option<&'static str>,
}

/// A middleware that makes a page of a problem, where a page was asked for. Programs, and browsers that ask for what is made for
/// programs, get the problem.
pub(in crate::api) async fn refused(Extract(state): Extract<Arc<State>>, request: Request, next: Next) -> Response {
    let wanted = is_for_people(&state, &request);
    let below = below(&state, &request).to_owned();
    let mut response = next.run(request).await;
    if !wanted {
        return response;
    }
    let Some(problem) = response.extensions_mut().remove::<Problem>() else { return response };
    let status = status_of(problem.report());
    let is_nowhere = problem.report().code == "web_not_found";
    let title = match is_nowhere {
        true => format!("There is no page {}", line(&below)),
        false => status.canonical_reason().unwrap_or("Error").to_owned(),
    };
    let mut shown = page(&Refused {
        shell: Shell::of(&state, "", title),
        status: status.as_u16(),
        why: if is_nowhere { String::new() } else { line(&problem.report().to_string()) },
        code: problem.report().code.clone(),
        nearest: nearest(&below, PAGES.map(|(path, _)| path)).filter(|_| is_nowhere),
    });
    *shown.status_mut() = status;
    let (mut parts, _) = response.into_parts();
    [CONTENT_TYPE, CONTENT_LENGTH].into_iter().for_each(|name| _ = parts.headers.remove(name));
    shown.headers_mut().extend(parts.headers);
    shown.extensions_mut().insert(Told(problem.report().clone()));
    shown
}

fn below<'r>(state: &State, request: &'r Request) -> &'r str {
    let path = request.uri().path();
    path.strip_prefix(state.route_prefix.as_str()).unwrap_or(path)
}

fn is_for_people(state: &State, request: &Request) -> bool {
    let below = below(state, request);
    let for_programs = ["/api/", "/sd/", "/-/", "/assets/"].iter().any(|start| below.starts_with(start));
    !for_programs
        && !matches!(below, "/sd" | "/metrics")
        && (request.method().is_safe() || matches!(below, "/brake/release" | "/relabel/metrics"))
        && accepts_pages(request.headers())
}

fn accepts_pages(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(ACCEPT).iter().filter_map(|accept| accept.to_str().ok());
    accepted.flat_map(|accept| accept.split(',')).any(|kind| kind.trim_start().starts_with("text/html"))
}
