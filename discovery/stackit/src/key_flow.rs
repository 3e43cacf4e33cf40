//! Tokens by the key of a service account: an assertion that it signs.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use rosterd_client::{Client, ClientError, Environment, Granted, Options, Secret, Tally, form, granted};
use rosterd_credentials::sign::{Algorithm, KeyError, jwt};
use rosterd_credentials::{Issued, Issuer};
use rosterd_discovery::{Error, MechanismConfig as _, System};
use rosterd_tasks::blocking;
use serde_json::{Map, Value};
use url::form_urlencoded::Serializer;

use super::StackitConfig;
use super::key::{Key, KeyFault};

/// What it is called where it is counted.
pub(super) const TOKEN: &str = "token";
const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// How long the endpoint may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long an assertion is good, in seconds.
const LIFETIME: u64 = 3600;

pub(super) struct KeyFlow {
    client: Client,
    config: StackitConfig,
    environment: Environment,
}

impl KeyFlow {
    pub(super) fn new(config: StackitConfig, system: &System, tally: Arc<dyn Tally>) -> Result<Self, ClientError> {
        let name = StackitConfig::MECHANISM.to_owned();
        let options = Options { timeout: PATIENCE, name, system: system.clone(), ..Options::default() };
        let client = Client::new(&config.client, options)?.counted(TOKEN, tally);
        Ok(Self { client, config, environment: system.environment().clone() })
    }

    /// What says who asks.
    fn assertion(key: &Key) -> Result<Secret, KeyError> {
        let claims = jwt::claims(&key.issuer, &key.subject, &key.audience, seconds(), LIFETIME)?;
        let header = Map::from_iter([("kid".to_owned(), Value::from(&*key.id))]);
        jwt::signed(&key.private, Algorithm::Rs512, header, &claims)
    }
}

#[async_trait]
impl Issuer for KeyFlow {
    type Token = Secret;

    async fn issue(&self) -> Result<Issued<Secret>, Error> {
        let (config, environment) = (self.config.clone(), self.environment.clone());
        let (endpoint, assertion) = blocking(move || {
            let key = Key::read(&config, &environment)?;
            let assertion = KeyFlow::assertion(&key);
            let what = "service_account_key".to_owned();
            Ok::<_, KeyFault>((key.endpoint, assertion.map_err(|source| KeyFault::Private { what, source })?))
        })
        .await?;
        let unusable = |source: Option<Box<dyn std::error::Error + Send + Sync>>| ClientError::Settings {
            what: "the tokenEndpoint of a key".to_owned(),
            source,
        };
        let url = match endpoint.parse() {
            Some(Ok(url)) => url,
            Some(Err(error)) => return Err(unusable(Some(error.into())).into()),
            None => return Err(unusable(None).into()),
        };
        let body = || {
            let mut body = Serializer::new(String::new());
            body.append_pair("assertion", assertion.expose()).append_pair("grant_type", GRANT).finish()
        };
        let request = form(url, body());
        let given = granted(&self.client, request, [assertion]).await?;
        let Granted { secret, lasts, .. } = given;
        let said = || {
            let end = jwt::ends(secret.expose())?;
            Some(Duration::from_secs(end.saturating_sub(seconds())))
        };
        let lasts = lasts.or_else(said);
        Ok(Issued { token: secret, lasts })
    }
}

fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
