//! Asks Keystone for tokens.

use async_trait::async_trait;
use rosterd_client::{ClientError, HttpClientConfig, Secret, unset};
use rosterd_discovery::{Build, Error};
use rosterd_rest::{Api, Issued, Issuer};

use super::OpenstackConfig;
use super::catalog::{self, Grant};
use super::credentials;
use super::error::OpenstackError;

pub(super) struct Keystone {
    api: Api,
    /// Where tokens are made.
    path: &'static [&'static str],
    config: OpenstackConfig,
}

impl Keystone {
    pub(super) fn new(
        config: OpenstackConfig,
        client: &HttpClientConfig,
        cx: &Build<'_, OpenstackConfig>,
    ) -> Result<Self, ClientError> {
        let api = Api::new(&config.identity_endpoint, client, config.refresh_interval.into(), cx)?;
        let path: &[_] = match credentials::version(&config.identity_endpoint) {
            Some(_) => &["auth", "tokens"],
            None => &["v3", "auth", "tokens"],
        };
        Ok(Self { api, path, config })
    }

    /// The client for all that is asked.
    pub(super) fn api(&self) -> Api {
        self.api.clone()
    }

    async fn token(&self) -> Result<Secret, OpenstackError> {
        let path = &self.config.token_file;
        if unset(path) {
            return Ok(self.config.token.clone());
        }
        let read = tokio::fs::read_to_string(path).await;
        let unreadable = |source| OpenstackError::TokenUnreadable { path: path.clone(), source };
        Ok(Secret::new(read.map_err(unreadable)?.trim()))
    }
}

#[async_trait]
impl Issuer for Keystone {
    type Token = Grant;

    async fn issue(&self) -> Result<Issued<Grant>, Error> {
        let token = self.token().await?;
        let request = credentials::request(&self.config, &token).to_string().into_bytes();
        let question = self.api.post(self.path.iter().copied(), request).hiding(token);
        let question = question.hiding(self.config.password.clone());
        let question = question.hiding(self.config.application_credential_secret.clone());
        question.read_whole(catalog::issued).await
    }
}
