//! By the HTTP client with the settings of Prometheus.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use rosterd_client::{Client, ClientError, HttpClientConfig, Options, Request, Response, System, Url};

use super::plugin::{Command, Plugin};
use super::{Answer, Body, Transport};
use crate::error::AskError;

/// An API server at a URL.
#[derive(Debug)]
pub(super) struct Http {
    by: By,
    /// With the path below which everything is, but without a slash at its end.
    base: String,
    headers: HeaderMap,
}

/// Whose credentials are sent.
#[derive(Debug)]
enum By {
    /// Those of the settings.
    Settings(Client),
    /// Those that a command prints.
    Plugin(Box<Plugin>),
}

impl Http {
    pub(super) fn new(
        url: &Url,
        config: &HttpClientConfig,
        command: Option<&Command>,
        system: &System,
    ) -> Result<Self, ClientError> {
        // Bodies are not packed: for a server in the same network that costs both sides more than it saves.
        let options =
            Options { name: "kubernetes".to_owned(), gzip: false, system: system.clone(), ..Options::default() };
        let json = HeaderValue::from_static("application/json");
        let by = match command {
            None => By::Settings(Client::unchecked(config, options)?),
            Some(command) => By::Plugin(Box::new(Plugin::new(command.clone(), config.clone(), options, system))),
        };
        Ok(Self {
            by,
            base: url.to_string().trim_end_matches('/').to_owned(),
            headers: HeaderMap::from_iter([(header::ACCEPT, json)]),
        })
    }

    async fn ask(&self, client: &Client, path: &str, time: Duration) -> Result<Answer, ClientError> {
        let unusable = |error| ClientError::Settings { what: "api_server".to_owned(), source: Some(Box::new(error)) };
        let url = Url::parse(&format!("{}{path}", self.base)).map_err(unusable)?;
        let request = Request { headers: self.headers.clone(), timeout: Some(time), ..Request::get(url) };
        let response = client.send(request).await?;
        let (status, headers) = (response.status(), response.headers().clone());
        Ok(Answer { status, headers, body: Box::new(response) })
    }
}

#[async_trait]
impl Transport for Http {
    async fn get(&self, path: &str, time: Duration) -> Result<Answer, AskError> {
        let plugin = match &self.by {
            By::Settings(client) => return Ok(self.ask(client, path, time).await?),
            By::Plugin(plugin) => plugin,
        };
        let credentials = plugin.credentials().await?;
        let answer = self.ask(&credentials.client, path, time).await?;
        if answer.status != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        let others = plugin.others(&credentials).await?;
        Ok(self.ask(&others.client, path, time).await?)
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
