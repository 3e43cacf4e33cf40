//! Reads target groups from one URL.

use async_trait::async_trait;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use super::{HttpConfig, HttpError};
use rosterd_client::{Client, ClientError, Request, Response, Url, UrlError, shown};
use rosterd_discovery::decode::{JsonList, ListHash};
use rosterd_discovery::{Error, Reading, Refresh};

/// The label that holds the URL that a group was read from.
const URL_LABEL: &str = "__meta_url";
const INTERVAL_HEADER: HeaderName = HeaderName::from_static("x-prometheus-refresh-interval-seconds");
/// After so many replies in a row that say "not modified" the list is read in full. Many servers make an entity tag of the
/// seconds and the size of a file: two lists may have the same.
const MOST_UNMODIFIED: u32 = 9;

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
    /// The entity tag, with which the server answers 304 if the list has not changed. Never its time: a server calls every
    /// list unchanged that is not younger, also an older one that took the place of the last.
    tag: Option<HeaderValue>,
    /// How often in a row it was said to be unchanged.
    unmodified: u32,
}

impl Read {
    /// The tag, unless it is time to see the list itself.
    fn condition(&self) -> Option<(HeaderName, HeaderValue)> {
        let tag = self.tag.clone().filter(|_| self.unmodified < MOST_UNMODIFIED)?;
        Some((header::IF_NONE_MATCH, tag))
    }
}

impl Http {
    pub(super) fn new(config: &HttpConfig, client: Client) -> Result<Self, ClientError> {
        let unusable = |error| ClientError::Settings { what: "url".to_owned(), source: Some(Box::new(error)) };
        let url = config.url.parse().unwrap_or(Err(UrlError::NoHost)).map_err(unusable)?;
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
    async fn ask(&mut self) -> Result<Option<Response>, Error> {
        let mut request = Request::get(self.url.clone());
        request.headers = self.headers.clone();
        let condition = self.last.as_ref().and_then(Read::condition);
        let asked_for_news = condition.is_some();
        request.headers.extend(condition);
        let response = self.client.send(request).await?;
        match (response.status(), &mut self.last) {
            (StatusCode::OK, _) => {}
            (StatusCode::NOT_MODIFIED, Some(last)) if asked_for_news => {
                last.unmodified += 1;
                return Ok(None);
            }
            _ => return Err(response.status_error().into()),
        }
        Ok(Some(response.json()?))
    }
}

#[async_trait]
impl Refresh for Http {
    async fn refresh(&mut self) -> Result<Reading, Error> {
        let Some(mut response) = self.ask().await? else {
            return Ok(Reading::Unchanged);
        };
        let tag = response.headers().get(header::ETAG).cloned();
        let last = self.last.as_ref().map(|last| last.hash);
        let (mut list, mut read) = (JsonList::new(last, &self.shown, URL_LABEL), 0);
        while let Some(piece) = response.chunk_within(&mut read, self.limit).await? {
            list.push(piece).await;
        }
        let malformed = |source| {
            let error = HttpError::Malformed { url: shown(&self.url), source };
            response.secrets().hide_in_error(&error)
        };
        let (hash, groups) = list.end().await.map_err(malformed)?;
        self.last = Some(Read { hash, tag, unmodified: 0 });
        Ok(groups.map_or(Reading::Unchanged, Reading::Everything))
    }
}
