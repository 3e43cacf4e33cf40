//! What a server says when it does not answer: a query that it does not understand, a token that it does not know.

use std::error::Error as StdError;

use http::StatusCode;
use rosterd_client::{ClientError, Response, Secrets, brief};
use rosterd_discovery::Error;
use rosterd_model::{Coded, Priority, Retry};

/// So many bytes of what it says are read.
const LARGEST: usize = 16 << 10;

/// The error for the status of a reply, with what the server says of it, which is told to `heed`.
pub(crate) async fn refusal(
    mut response: Response,
    secrets: &Secrets,
    heed: &(dyn Fn(StatusCode, &[u8]) + Sync),
) -> Error {
    let status = response.status_error();
    let mut body = Vec::new();
    while body.len() < LARGEST {
        // What cannot be read says nothing. The status does.
        let Ok(Some(part)) = response.chunk().await else { break };
        body.extend_from_slice(&part);
    }
    heed(response.status(), &body);
    match words(&secrets.hide(&String::from_utf8_lossy(&body))) {
        Some(words) => Refused { status, words: Words(words) }.into(),
        None => status.into(),
    }
}

/// The status that an error of a question is about, if it is about one.
pub fn refused_with(error: &Error) -> Option<StatusCode> {
    let error: &(dyn StdError + 'static) = &**error;
    let status = match error.downcast_ref::<Refused>() {
        Some(refused) => &refused.status,
        None => error.downcast_ref()?,
    };
    match status {
        ClientError::Unauthorized { status, .. }
        | ClientError::Throttled { status, .. }
        | ClientError::Status { status, .. } => Some(*status),
        _ => None,
    }
}

/// What a body says that is no answer: one line that can be shown, unless there is nothing, or a page for browsers. Secrets have to be hidden
/// before.
pub fn words(body: &str) -> Option<String> {
    let line = brief(body);
    if line.is_empty() || line.starts_with('<') { None } else { Some(line) }
}

/// A status that is of no use, and why the server gave it.
#[derive(Debug, thiserror::Error)]
#[error("{status}")]
struct Refused {
    status: ClientError,
    #[source]
    words: Words,
}

#[derive(Debug, thiserror::Error)]
#[error("it says: {0}")]
struct Words(String);

impl Coded for Refused {
    fn code(&self) -> &'static str {
        self.status.code()
    }

    fn priority(&self) -> Priority {
        self.status.priority()
    }

    fn retry(&self) -> Retry {
        self.status.retry()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_of_a_refusal_is_known_with_words_and_without() {
        let status = || ClientError::Status { url: "http://h/".to_owned(), status: StatusCode::NOT_FOUND };
        let with_words = Refused { status: status(), words: Words("no such thing".to_owned()) };
        assert_eq!(refused_with(&status().into()), Some(StatusCode::NOT_FOUND));
        assert_eq!(refused_with(&with_words.into()), Some(StatusCode::NOT_FOUND));
        let other = ClientError::TooLarge { url: "http://h/".to_owned(), limit: 1 };
        assert_eq!(refused_with(&other.into()), None);
    }

    #[test]
    fn what_is_said_is_one_line_and_no_page() {
        assert_eq!(
            words("PQL parse error at line 1:\n\nres {\n   ^\n").as_deref(),
            Some("PQL parse error at line 1: res { ^")
        );
        for nothing in ["", " \r\n", "\n<html><body>Bad Gateway</body></html>", "<?xml version='1.0'?>"] {
            assert_eq!(words(nothing), None, "{nothing:?}");
        }
    }
}
