//! Asks Keystone for tokens.

use std::sync::Arc;

use async_trait::async_trait;
use rosterd_client::{Secret, unset};
use rosterd_credentials::Kept;
use rosterd_discovery::{Error, MechanismShared, System};
use rosterd_rest::{Api, Issued, Issuer, Tokens};
use rosterd_tasks::Stopper;

use super::OpenstackConfig;
use super::catalog::{self, Grant};
use super::credentials;
use super::error::OpenstackError;

/// What a question for a token is called where it is counted.
pub(super) const LOGIN: &str = "token";

/// What all discoverers have in common: the tokens, of each who asks the same Keystone in the same way one.
#[derive(Debug, Default)]
pub struct Logins(Kept<OpenstackConfig, Tokens<Keystone>>);

impl MechanismShared for Logins {
    fn start(_: &Stopper, _: &System) -> Self {
        Self::default()
    }
}

impl Logins {
    /// The tokens of this configuration, for which Keystone is asked by such an API if nobody has asked it so far.
    pub(super) fn tokens(&self, config: &OpenstackConfig, api: &Api) -> Arc<Tokens<Keystone>> {
        let login = config.login();
        self.0.get(login.clone(), || Tokens::new(Keystone::new(login, api.clone())))
    }
}

pub(super) struct Keystone {
    api: Api,
    /// Where tokens are made.
    path: &'static [&'static str],
    config: OpenstackConfig,
}

impl Keystone {
    fn new(config: OpenstackConfig, api: Api) -> Self {
        let path: &[_] = match credentials::version(&config.identity_endpoint) {
            Some(_) => &["auth", "tokens"],
            None => &["v3", "auth", "tokens"],
        };
        Self { api, path, config }
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
        let question = self.api.post(self.path.iter().copied(), request).named(LOGIN).hiding(token);
        let question = question.hiding(self.config.password.clone());
        let question = question.hiding(self.config.application_credential_secret.clone());
        question.read_whole(catalog::issued).await
    }
}
