//! One question for a token, and its answer: what the endpoints of clouds have in common.

use rosterd_client::{Client, ClientError, Request, Response, Secret, Secrets, Url, UrlError, granted, shown};
use serde::Deserialize;
use serde_json::Value;
use url::form_urlencoded::Serializer;

use crate::Issued;

/// A reply with a token is small.
const LARGEST: u64 = 1 << 20;
/// So many bytes of what is said of a refusal are read.
const LARGEST_REFUSAL: usize = 16 << 10;

/// A form that is posted, with the fields that are not empty.
pub(crate) fn form<'a>(url: Url, fields: impl IntoIterator<Item = (&'a str, &'a str)>) -> Request {
    let mut form = Serializer::new(String::new());
    form.extend_pairs(fields.into_iter().filter(|(_, value)| !value.is_empty()));
    rosterd_client::form(url, form.finish())
}

/// A URL that a file or the environment names.
pub(crate) fn url(text: &str, what: &str) -> Result<Url, ClientError> {
    let unusable = |error: UrlError| ClientError::Settings {
        what: format!("{what}, which should be a URL"),
        source: Some(Box::new(error)),
    };
    Url::parse(text).map_err(unusable)
}

/// Asks for a token, with these secrets in the body.
pub(crate) async fn token(
    client: &Client,
    request: Request,
    secrets: impl IntoIterator<Item = Secret>,
) -> Result<Issued<Secret>, ClientError> {
    let granted = granted(client, request, secrets).await?;
    Ok(Issued { token: granted.secret, lasts: granted.lasts })
}

/// Asks for something else, and reads what comes by `read`, whose error says what is wrong without a word of it.
pub(crate) async fn ask<T>(
    client: &Client,
    request: Request,
    read: impl FnOnce(&[u8]) -> Result<T, String>,
) -> Result<T, ClientError> {
    let response = client.send(request).await?;
    if !response.status().is_success() {
        return Err(refusal(response).await);
    }
    let url = shown(response.url());
    let body = response.body(Some(LARGEST)).await?;
    read(&body).map_err(|reason| ClientError::NoToken { url, reason })
}

/// Why there is nothing, in the words of who refuses it.
async fn refusal(mut response: Response) -> ClientError {
    let (status, failure, url) = (response.status(), response.status_error(), shown(response.url()));
    let secrets: Secrets = response.secrets().clone();
    let mut body = Vec::new();
    // What cannot be read says nothing. The status does.
    while body.len() < LARGEST_REFUSAL
        && let Ok(Some(part)) = response.chunk().await
    {
        body.extend_from_slice(&part);
    }
    match words(&body).filter(|_| status.is_client_error() && status.as_u16() != 429) {
        Some(words) => ClientError::NoToken { url, reason: secrets.brief(&format!("HTTP status {status}, {words}")) },
        None => failure,
    }
}

/// What the APIs of Google say of a refusal.
fn words(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Refusal {
        error: Value,
    }
    let Refusal { error } = serde_json::from_slice(body).ok()?;
    let parts = ["status", "message"].into_iter().filter_map(|key| error.get(key)?.as_str());
    let words = parts.filter(|text| !text.is_empty()).collect::<Vec<_>>().join(": ");
    (!words.trim().is_empty()).then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_a_refusal_is_told() {
        for (body, told) in [
            (r#"{"error": {"code": 403, "message": "no, no", "status": "DENIED"}}"#, Some("DENIED: no, no")),
            (r#"{"error": {"code": 403}}"#, None),
            (r#"{"error": "no"}"#, None),
            ("<html>", None),
        ] {
            assert_eq!(words(body.as_bytes()).as_deref(), told, "{body}");
        }
    }
}
