//! What stands around each page: where one can go, what is wrong now, and what browsers may do with it.

use askama::Template;
use axum::response::{Html, IntoResponse, Response};
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, VARY};

use super::super::State;
use super::super::words::counted;
use super::assets::VERSION;
use super::situation::Situation;
use super::troubles::{Trouble, troubles};
use crate::problem::TYPES;

/// The pages that the head leads to.
pub(super) const PAGES: [(&str, &str); 11] = [
    ("/", "Overview"),
    ("/targets", "Targets"),
    ("/service-discovery", "Discovery"),
    ("/explain", "Explain"),
    ("/journal", "Journal"),
    ("/relabel", "Relabel"),
    ("/remote-write", "Remote write"),
    ("/publications", "Publications"),
    ("/operations", "Operations"),
    (CLUSTER, "Cluster"),
    ("/status", "Status"),
];

/// The page of members, for those that have some.
const CLUSTER: &str = "/cluster";

/// Where the documentation is.
const DOCS: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/tree/main/docs");

/// A page uses its own style, script and icon, asks for itself again, sends its forms back, and does nothing else.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The head and the foot of a page.
pub(super) struct Shell {
    pub(super) title: String,
    /// The path of the page among those of the head.
    pub(super) at: &'static str,
    /// Whether there are other members.
    is_member: bool,
    /// In front of all links.
    pub(super) prefix: String,
    pub(super) version: String,
    /// How many things are wrong, in words, and the class of that.
    pub(super) word: String,
    pub(super) class: &'static str,
    /// Where the same is for programs.
    pub(super) json: Option<String>,
    pub(super) docs: &'static str,
    /// Where codes are explained.
    pub(super) errors: &'static str,
}

impl Shell {
    /// Of the page at a path.
    pub(super) fn new(state: &State, at: &'static str, title: impl Into<String>, troubles: &[Trouble]) -> Self {
        let word = match troubles.len() {
            0 => "all well".to_owned(),
            many => counted(many, "problem"),
        };
        Self {
            title: title.into(),
            at,
            is_member: state.scraped.now().share.table().is_some(),
            prefix: state.external_url.path().to_owned(),
            version: state.build.version.clone(),
            word,
            class: match troubles.iter().map(|trouble| trouble.grave).max() {
                None => "up",
                Some(false) => "warn",
                Some(true) => "down",
            },
            json: None,
            docs: DOCS,
            errors: TYPES,
        }
    }

    /// Of the page at a path that shows nothing of the situation itself.
    pub(super) fn of(state: &State, at: &'static str, title: impl Into<String>) -> Self {
        Self::new(state, at, title, &troubles(&Situation::of(state)))
    }

    /// With the path below the prefix where a program finds the same.
    pub(super) fn with_json(self, json: impl Into<String>) -> Self {
        Self { json: Some(json.into()), ..self }
    }

    /// The pages, each with its name.
    pub(super) fn pages(&self) -> impl Iterator<Item = &'static (&'static str, &'static str)> {
        PAGES.iter().filter(|(path, _)| self.is_member || *path != CLUSTER || self.at == CLUSTER)
    }

    /// The address of a style, script or icon.
    pub(super) fn asset(&self, file: &str) -> String {
        format!("{}/assets/{file}?v={VERSION:016x}", self.prefix)
    }
}

/// The same page as the answer to a question that is not to be had: what is wrong stands on it, in place of what was asked for.
pub(super) fn refusing(status: StatusCode, mut page: Response) -> Response {
    *page.status_mut() = status;
    page
}

/// A page as an answer. It is as of now, and the same address has problems for programs.
pub(super) fn page(template: &impl Template) -> Response {
    let Ok(page) = template.render() else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    ([(CONTENT_SECURITY_POLICY, POLICY), (CACHE_CONTROL, "no-cache"), (VARY, "Accept")], Html(page)).into_response()
}
