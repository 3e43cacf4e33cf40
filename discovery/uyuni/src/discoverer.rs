//! Logs in, and asks for systems, their exporters and their names.

use std::time::Duration;

use async_trait::async_trait;
use rosterd_client::{Secrets, shown};
use rosterd_discovery::{Error, Reading, Refresh};
use rosterd_model::{Secret, TargetGroup};
use rosterd_rest::{Api, Fault, Issued, Issuer, Tokens};

use super::config::UyuniConfig;
use super::error::{NO_SESSION, UyuniError};
use super::rpc::{Argument, Value, answer, call, escaped};
use super::systems::{endpoints, groups, networks, systems};

/// How long a session is asked for.
const SESSION: Duration = Duration::from_secs(600);

pub(super) struct Uyuni {
    api: Api,
    entitlement: String,
    separator: String,
    sessions: Tokens<Login>,
}

impl Uyuni {
    pub(super) fn new(config: &UyuniConfig, api: Api) -> Self {
        let login = Login { api: api.clone(), username: config.username.clone(), password: config.password.clone() };
        Self {
            api,
            entitlement: config.entitlement.clone(),
            separator: config.separator.clone(),
            sessions: Tokens::new(login),
        }
    }

    async fn groups(&self, session: &Secret) -> Result<Vec<TargetGroup>, Error> {
        let entitled = [Argument::Text(session.expose()), Argument::Text(&self.entitlement)];
        let method = "system.listSystemGroupsForSystemsWithEntitlement";
        let systems = ask(&self.api, method, &entitled, session, systems).await?;
        if systems.is_empty() {
            return Ok(Vec::new());
        }
        let numbers: Vec<_> = systems.keys().copied().collect();
        let of_these = [Argument::Text(session.expose()), Argument::Numbers(&numbers)];
        let endpoints = ask(&self.api, "system.monitoring.listEndpoints", &of_these, session, endpoints).await?;
        let networks = ask(&self.api, "system.getNetworkForSystems", &of_these, session, networks).await?;
        Ok(groups(&systems, &networks, endpoints, &self.separator))
    }
}

#[async_trait]
impl Refresh for Uyuni {
    async fn refresh(&mut self) -> Result<Reading, Error> {
        let uyuni = &*self;
        let groups = uyuni.sessions.with(|session| async move { uyuni.groups(&session).await }).await;
        if groups.is_err() {
            // It may be a session that is not known, in words that nobody knows here: the next reading has another one, as in Prometheus.
            uyuni.sessions.forget_if(|_| true).await;
        }
        Ok(Reading::Everything(groups?))
    }
}

/// Gives sessions.
struct Login {
    api: Api,
    username: String,
    password: Secret,
}

#[async_trait]
impl Issuer for Login {
    type Token = Secret;

    async fn issue(&self) -> Result<Issued<Secret>, Error> {
        let seconds = Argument::Number(SESSION.as_secs().cast_signed());
        let arguments = [Argument::Text(&self.username), Argument::Text(self.password.expose()), seconds];
        let session = ask(&self.api, "auth.login", &arguments, &self.password, session).await?;
        Ok(Issued { token: Secret::new(session), lasts: Some(SESSION) })
    }

    fn is_refused(&self, error: &Error) -> bool {
        error.code() == NO_SESSION
    }
}

fn session(answer: Value<'_>) -> Result<String, Fault> {
    let session = answer.text()?;
    if session.is_empty() { Err(Fault::new("the session is empty")) } else { Ok(session) }
}

/// Calls a method. The secret is among the arguments, and may be repeated in what is answered.
async fn ask<T: Send + 'static>(
    api: &Api,
    method: &'static str,
    arguments: &[Argument<'_>],
    secret: &Secret,
    read: impl FnOnce(Value<'_>) -> Result<T, Fault> + Send + 'static,
) -> Result<T, Error> {
    let question = api.post_as(["rpc", "api"], "text/xml", call(method, arguments).into_bytes());
    let question = question.hiding(secret.clone()).hiding(Secret::new(escaped(secret.expose())));
    let url = shown(question.url());
    let refusal = match question.read(move |body| answer(body, read)).await? {
        Ok(value) => return Ok(value),
        Err(refusal) => refusal,
    };
    let (code, text) = (refusal.code, Secrets::default().and([secret.clone()]).brief(&refusal.text));
    // It has no code of its own: a session that is not known is an exception of the server like any other.
    Err(match text.to_lowercase().contains("session") {
        true => UyuniError::Session { url, method, code, text },
        false => UyuniError::Fault { url, method, code, text },
    }
    .into())
}
