//! Asks one server after another: each knows all, and one that fails is no reason to wait.

use async_trait::async_trait;
use http::{HeaderValue, header};
use rosterd_client::{ClientError, Source, secret_value};
use rosterd_discovery::{Build, Error, Reading, Refresh};
use rosterd_model::TargetGroup;
use rosterd_rest::Api;

use super::config::MarathonConfig;
use super::decode;
use super::error::MarathonError;

pub(super) struct Marathon {
    /// The one that is asked stands first.
    servers: Vec<Api>,
    token: Option<Source>,
}

impl Marathon {
    pub(super) fn new(config: &MarathonConfig, cx: &Build<'_, MarathonConfig>) -> Result<Self, Error> {
        let timeout = config.refresh_interval.into();
        let api = |server| Api::new(server, &config.client, timeout, cx);
        let servers = config.servers.iter().map(api).collect::<Result<_, _>>()?;
        Ok(Self { servers, token: Source::of_secret(&config.auth_token, &config.auth_token_file, cx.system) })
    }

    /// The header that DC/OS wants.
    async fn authorization(&self) -> Result<Option<HeaderValue>, Error> {
        let Some(token) = &self.token else { return Ok(None) };
        let token = token.read().await.map_err(|error| match error {
            ClientError::FileUnreadable { path, source } => MarathonError::TokenUnreadable { path, source }.into(),
            error => Error::from(error),
        })?;
        if token.is_empty() {
            return Ok(None);
        }
        let value = secret_value("token", &format!("token={token}"));
        Ok(Some(value.map_err(|_| MarathonError::TokenInvalid)?))
    }

    async fn ask(&self, server: &Api, token: Option<HeaderValue>) -> Result<Vec<TargetGroup>, Error> {
        let mut question = server.get(["v2", "apps", ""]).parameter("embed", "apps.tasks");
        if let Some(token) = token {
            question = question.header(header::AUTHORIZATION, token);
        }
        question.read(decode::groups).await
    }
}

#[async_trait]
impl Refresh for Marathon {
    async fn refresh(&mut self) -> Result<Reading, Error> {
        let token = self.authorization().await?;
        let mut failed = None;
        for _ in 0..self.servers.len() {
            match self.ask(&self.servers[0], token.clone()).await {
                Ok(groups) => return Ok(Reading::Everything(groups)),
                Err(error) => {
                    // The next one, until it fails too.
                    self.servers.rotate_left(1);
                    failed = failed.or(Some(error));
                }
            }
        }
        failed.map_or(Ok(Reading::Everything(Vec::new())), Err)
    }
}
