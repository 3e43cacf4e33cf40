//! Reads target groups from one URL.

use async_trait::async_trait;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use url::Url;

use super::{HttpConfig, HttpError};
use rosterd_client::{Client, ClientError, Request, Response};
use rosterd_discovery::decode::{ListHash, json_groups_if_changed};
use rosterd_discovery::{Error, Reading, Refresh};

/// The label that holds the URL that a group was read from.
const URL_LABEL: &str = "__meta_url";
const INTERVAL_HEADER: HeaderName = HeaderName::from_static("x-prometheus-refresh-interval-seconds");

pub(super) struct Http {
    client: Client,
    url: Url,
    /// As it was written, but without user and password: it goes into labels.
    shown: String,
    headers: HeaderMap,
    limit: Option<u64>,
    last: Option<Read>,
}

/// What is remembered of the last list.
struct Read {
    hash: ListHash,
    /// What makes the server answer 304 if it has not changed.
    conditions: HeaderMap,
}

impl Http {
    pub(super) fn new(config: &HttpConfig, client: Client) -> Result<Self, ClientError> {
        let unusable = |error| ClientError::Settings { what: "url".to_owned(), source: Some(Box::new(error)) };
        let url = config.url.parse().unwrap_or(Err(rosterd_client::UrlError::NoHost)).map_err(unusable)?;
        let seconds = config.refresh_interval.as_secs_f64().to_string();
        let seconds = HeaderValue::from_str(&seconds).expect("a number has only digits and a point");
        let json = HeaderValue::from_static("application/json");
        Ok(Self {
            client,
            shown: config.url.without_user(),
            url,
            headers: HeaderMap::from_iter([(header::ACCEPT, json), (INTERVAL_HEADER, seconds)]),
            limit: Some(config.body_size_limit.bytes()).filter(|limit| *limit > 0),
            last: None,
        })
    }

    /// The reply, or `None` if the server says that the list is still the last one.
    async fn ask(&self) -> Result<Option<Response>, Error> {
        let mut request = Request::get(self.url.clone());
        request.headers = self.headers.clone();
        request.headers.extend(self.last.iter().flat_map(|last| last.conditions.clone()));
        let response = self.client.send(request).await?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_MODIFIED if self.last.is_some() => return Ok(None),
            _ => return Err(response.status_error().into()),
        }
        let kind = response.headers().get(header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
        let kind = String::from_utf8_lossy(kind);
        if !is_json(&kind) {
            return Err(HttpError::ContentType { url: self.shown.clone(), got: kind.into_owned() }.into());
        }
        Ok(Some(response))
    }
}

#[async_trait]
impl Refresh for Http {
    async fn refresh(&mut self) -> Result<Reading, Error> {
        let Some(response) = self.ask().await? else {
            return Ok(Reading::Unchanged);
        };
        let conditions = conditions(response.headers());
        let body = response.body(self.limit).await?;
        let last = self.last.as_ref().map(|last| last.hash);
        let (hash, groups) = json_groups_if_changed(body, last, &self.shown, URL_LABEL)
            .await
            .map_err(|source| HttpError::Malformed { url: self.shown.clone(), source })?;
        self.last = Some(Read { hash, conditions });
        Ok(groups.map_or(Reading::Unchanged, Reading::Everything))
    }
}

/// The headers with which to ask whether a reply with these headers is still current.
fn conditions(headers: &HeaderMap) -> HeaderMap {
    let pairs = [(header::ETAG, header::IF_NONE_MATCH), (header::LAST_MODIFIED, header::IF_MODIFIED_SINCE)];
    pairs.into_iter().filter_map(|(from, to)| Some((to, headers.get(from)?.clone()))).collect()
}

/// Whether this is the content type of a list, which must be in UTF-8.
fn is_json(content_type: &str) -> bool {
    let kind = content_type.trim().to_ascii_lowercase();
    let Some(parameter) = kind.strip_prefix("application/json") else {
        return false;
    };
    let charset = parameter.strip_prefix(';').map(|parameter| parameter.trim_ascii_start());
    parameter.is_empty() || matches!(charset, Some("charset=utf-8" | "charset=\"utf-8\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_json_in_utf8_is_a_list() {
        for kind in [
            "application/json",
            " Application/JSON ",
            "application/json;charset=utf-8",
            "application/json; charset=UTF-8",
            "application/json;  charset=\"utf-8\"",
        ] {
            assert!(is_json(kind), "{kind}");
        }
        for kind in ["", "text/json", "application/jsonp", "application/json; charset=latin1", "application/json;"] {
            assert!(!is_json(kind), "{kind}");
        }
    }
}
