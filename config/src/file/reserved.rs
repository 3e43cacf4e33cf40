//! Headers that `headers` may not set: they belong to the connection, to the protocol, or to other settings.

use rosterd_model::Problem;

use crate::error::code;

const RESERVED: [&str; 16] = [
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "user-agent",
    "www-authenticate",
    "x-amz-content-sha256",
    "x-amz-date",
    "x-amz-security-token",
    "x-prometheus-remote-read-version",
    "x-prometheus-remote-write-version",
];

/// Complains of headers that are not the user's to set.
pub(super) fn check_headers<'a>(names: impl Iterator<Item = &'a String>) -> Vec<Problem> {
    names
        .filter_map(|name| {
            let lower = name.to_ascii_lowercase();
            let message = if lower == "authorization" {
                "set the authorization header by basic_auth, authorization, oauth2 or the like".to_owned()
            } else if RESERVED.contains(&lower.as_str()) {
                format!("the header {name:?} is not yours to set: remove it")
            } else {
                return None;
            };
            Some(Problem::new(format!("headers.{name}"), code::INVALID_VALUE, message))
        })
        .collect()
}
