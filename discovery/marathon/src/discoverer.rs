//! Asks one server after another: each knows all, and one that fails is no reason to wait.

use std::path::PathBuf;

use async_trait::async_trait;
use http::{HeaderValue, header};
use rosterd_client::{Secret, secret_value};
use rosterd_discovery::{Build, Error, Reading, Refresh};
use rosterd_model::TargetGroup;
use rosterd_rest::Api;

use super::config::MarathonConfig;
use super::decode;
use super::error::MarathonError;

pub(super) struct Marathon {
    /// The one that is asked stands first.
    servers: Vec<Api>,
    token: Secret,
    token_file: PathBuf,
}

impl Marathon {
    pub(super) fn new(config: &MarathonConfig, cx: &Build<'_, MarathonConfig>) -> Result<Self, Error> {
        let timeout = config.refresh_interval.into();
        let api = |server| Api::new(server, &config.client, timeout, cx);
        let servers = config.servers.iter().map(api).collect::<Result<_, _>>()?;
        Ok(Self { servers, token: config.auth_token.clone(), token_file: config.auth_token_file.clone() })
    }

    /// The header that DC/OS wants.
    async fn authorization(&self) -> Result<Option<HeaderValue>, MarathonError> {
        let token = match self.token_file.as_os_str().is_empty() {
            true => self.token.clone(),
            false => {
                let read = tokio::fs::read_to_string(&self.token_file).await;
                let unreadable = |source| MarathonError::TokenUnreadable { path: self.token_file.clone(), source };
                Secret::new(read.map_err(unreadable)?.trim())
            }
        };
        if token.is_empty() {
            return Ok(None);
        }
        let value = secret_value("token", &format!("token={}", token.expose()));
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
