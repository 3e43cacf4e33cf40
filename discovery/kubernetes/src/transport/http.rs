//! By the HTTP client with the settings of Prometheus.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use rosterd_client::{Client, ClientError, HttpClientConfig, Options, Request, Response, System};
use url::Url;

use super::{Answer, Body, Transport};

/// An API server at a URL.
#[derive(Debug)]
pub(super) struct Http {
    client: Client,
    /// With the path below which everything is, but without a slash at its end.
    base: String,
    headers: HeaderMap,
}

impl Http {
    pub(super) fn new(url: &Url, config: &HttpClientConfig, system: &System) -> Result<Self, ClientError> {
        // Bodies are not packed: for a server in the same network that costs both sides more than it saves.
        let options =
            Options { name: "kubernetes".to_owned(), gzip: false, system: system.clone(), ..Options::default() };
        let json = HeaderValue::from_static("application/json");
        Ok(Self {
            client: Client::unchecked(config, options)?,
            base: url.as_str().trim_end_matches('/').to_owned(),
            headers: HeaderMap::from_iter([(header::ACCEPT, json)]),
        })
    }
}

#[async_trait]
impl Transport for Http {
    async fn get(&self, path: &str, time: Duration) -> Result<Answer, ClientError> {
        let unusable = |error| ClientError::Settings { what: "api_server".to_owned(), source: Some(Box::new(error)) };
        let url = rosterd_client::parse_url(&format!("{}{path}", self.base)).map_err(unusable)?;
        let request = Request { headers: self.headers.clone(), timeout: Some(time), ..Request::get(url) };
        let response = self.client.send(request).await?;
        let (status, headers) = (response.status(), response.headers().clone());
        Ok(Answer { status, headers, body: Box::new(response) })
    }
}

#[async_trait]
impl Body for Response {
    async fn chunk(&mut self) -> Result<Option<Bytes>, ClientError> {
        Response::chunk(self).await
    }

    fn hide(&self, text: &str) -> String {
        self.secrets().hide(text)
    }
}
