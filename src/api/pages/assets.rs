//! The style, the script and the icon of the pages: they stand in the program, and what changes with it has another address.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State as Extract};
use axum::response::{IntoResponse, Response};
use http::Uri;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use std::sync::Arc;

use super::super::sd::not_utf8;
use super::super::{Error, State};
use crate::problem::Problem;

/// All of them: name, type, content.
const ASSETS: [(&str, &str, &str); 3] = [
    ("style.css", "text/css; charset=utf-8", include_str!("../../../templates/style.css")),
    ("script.js", "text/javascript; charset=utf-8", include_str!("../../../templates/script.js")),
    ("icon.svg", "image/svg+xml", include_str!("../../../templates/icon.svg")),
];

/// Another one for each content that they ever have together.
pub(super) const VERSION: u64 = version();

/// FNV-1a, which the compiler can do.
const fn version() -> u64 {
    let (mut hash, mut asset) = (0xcbf2_9ce4_8422_2325_u64, 0);
    while asset < ASSETS.len() {
        let (bytes, mut at) = (ASSETS[asset].2.as_bytes(), 0);
        while at < bytes.len() {
            hash = (hash ^ bytes[at] as u64).wrapping_mul(0x0100_0000_01b3);
            at += 1;
        }
        asset += 1;
    }
    hash
}

/// One of them. Who asks with the version need not ask again.
pub(in crate::api) async fn asset(
    Extract(state): Extract<Arc<State>>,
    file: Result<Path<String>, PathRejection>,
    uri: Uri,
) -> Result<Response, Problem> {
    let Path(file) = file.map_err(|_| not_utf8("file", &uri))?;
    let Some((_, kind, content)) = ASSETS.iter().find(|(name, ..)| *name == file) else {
        let path = format!("{}/assets/{file}", state.route_prefix);
        return Err(Error::NotFound { path, nearest: None }.into());
    };
    Ok(([(CONTENT_TYPE, *kind), (CACHE_CONTROL, "max-age=31536000, immutable")], *content).into_response())
}
