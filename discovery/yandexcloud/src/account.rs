//! Where the services are, and tokens to ask them with. Shared by all who ask the same as the same.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::{HeaderName, HeaderValue};
use jiff::Timestamp;
use rosterd_client::{ClientError, HttpClientConfig, SafeUrl, Secret, Url};
use rosterd_credentials::{Issued, Issuer, Tokens};
use rosterd_discovery::{Build, Error};
use rosterd_rest::{Api, Fault, Throttle, json};
use tokio::sync::Mutex;
use tokio::time::Instant;
use tracing::debug;

use super::YandexcloudConfig;
use super::decode::{self, Services};
use super::error::YandexcloudError;

/// Where a machine is told about itself, unless `YC_METADATA_ADDR` of the environment says otherwise, as for Yandex's own programs.
const METADATA: &str = "169.254.169.254";
/// What is asked for, all in all.
const OPERATIONS: [&str; 6] = ["endpoints", "token", "organizations", "clouds", "folders", "instances"];
/// How long the list of services, and a token, may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long the list of services is good, and when it is asked for again if it could not be read.
const GOOD: Duration = Duration::from_secs(3600);
const AGAIN: Duration = Duration::from_secs(60);
/// So soon it is there, or not at all.
const SOON: Duration = Duration::from_secs(5);

/// An account, or rather what it asks with.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) directory: Arc<Directory>,
    pub(super) tokens: Arc<Tokens<Source>>,
}

impl Account {
    pub(super) fn new(config: &YandexcloudConfig, cx: &Build<'_, YandexcloudConfig>) -> Result<Self, ClientError> {
        let scheme = match config.api_endpoint.parse() {
            Some(Ok(url)) => url.scheme().to_owned(),
            _ => "https".to_owned(),
        };
        let api = Api::new(&config.api_endpoint, &config.client, PATIENCE, cx)?.counted(cx.metrics, &OPERATIONS);
        let api = api.throttled(throttle(config, cx));
        let directory = Arc::new(Directory { api, scheme, services: Mutex::default() });
        let source = match config.yandex_passport_oauth_token.is_empty() {
            false => Source::Passport {
                directory: Arc::clone(&directory),
                api: to_services(config, PATIENCE, cx)?,
                token: config.yandex_passport_oauth_token.clone(),
            },
            true => {
                let named = cx.system.environment().get("YC_METADATA_ADDR").filter(|address| !address.is_empty());
                let server = SafeUrl::new(format!("http://{}", named.unwrap_or(METADATA)));
                // It is on the machine itself: no proxy leads there.
                let api = Api::new(&server, &HttpClientConfig::default(), SOON, cx)?;
                Source::Machine(api.counted(cx.metrics, &OPERATIONS))
            }
        };
        Ok(Self { directory, tokens: Arc::new(Tokens::new(source)) })
    }
}

/// What asks the services: what proves to the API who asks is not for those whom it names. They are shown a token.
pub(super) fn to_services(
    config: &YandexcloudConfig,
    timeout: Duration,
    cx: &Build<'_, YandexcloudConfig>,
) -> Result<Api, ClientError> {
    let api = Api::new(&config.api_endpoint, &config.client.without_proof(), timeout, cx)?;
    Ok(api.counted(cx.metrics, &OPERATIONS).throttled(throttle(config, cx)))
}

fn throttle(config: &YandexcloudConfig, cx: &Build<'_, YandexcloudConfig>) -> Arc<Throttle> {
    cx.shared.throttles.get(|id| config.who(id))
}

/// Which service is where: asked when nobody knows, and now and then.
#[derive(Debug)]
pub(super) struct Directory {
    api: Api,
    scheme: String,
    services: Mutex<Known>,
}

/// What is known of where services are, and until when nobody asks for it.
#[derive(Debug, Default)]
struct Known {
    services: Services,
    until: Option<Instant>,
}

impl Directory {
    /// Where a service is. One that the list lacks is looked for in the next one.
    pub(super) async fn service(&self, name: &'static str) -> Result<Url, Error> {
        let mut known = self.services.lock().await;
        let is_fresh = known.until.is_some_and(|until| Instant::now() < until);
        if !is_fresh || self.url(&known.services, name).is_none() {
            let question = self.api.get(["endpoints"]).named("endpoints");
            match question.read(decode::services).await {
                Ok(services) => *known = Known { services, until: Some(Instant::now() + GOOD) },
                // Most likely they are where they were.
                Err(error) if self.url(&known.services, name).is_some() => {
                    debug!(%error, "where services are cannot be read again");
                    known.until = Some(Instant::now() + AGAIN);
                }
                Err(error) => return Err(error),
            }
        }
        let url = self.url(&known.services, name);
        drop(known);
        Ok(url.ok_or(YandexcloudError::NoService { service: name })?)
    }

    fn url(&self, services: &Services, name: &str) -> Option<Url> {
        Url::parse(&format!("{}://{}", self.scheme, services.get(name)?)).ok()
    }
}

/// Where tokens come from.
pub(super) enum Source {
    /// For the token of a person.
    Passport { directory: Arc<Directory>, api: Api, token: Secret },
    /// For the service account of this machine.
    Machine(Api),
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Passport { .. } => "a passport",
            Self::Machine(_) => "a machine",
        })
    }
}

#[async_trait]
impl Issuer for Source {
    type Token = Secret;

    async fn issue(&self) -> Result<Issued<Secret>, Error> {
        match self {
            Self::Passport { directory, api, token } => {
                let iam = api.at(directory.service("iam").await?);
                let body = serde_json::json!({"yandexPassportOauthToken": token.expose()}).to_string().into_bytes();
                let question = iam.post(["iam", "v1", "tokens"], body).named("token").hiding(token.clone());
                question.read(|body| of_passport(body, Timestamp::now())).await
            }
            Self::Machine(api) => {
                let path = ["computeMetadata", "v1", "instance", "service-accounts", "default", "token"];
                let question = api.get(path).named("token");
                let question =
                    question.header(HeaderName::from_static("metadata-flavor"), HeaderValue::from_static("Google"));
                match question.read(of_machine).await {
                    // Machines may still be told of themselves as those of Amazon are, and by nothing else.
                    Err(error) => {
                        let path = ["latest", "meta-data", "iam", "security-credentials", "default"];
                        let old = api.get(path).named("token").read(|body| of_old_machine(body, Timestamp::now()));
                        old.await.map_err(|_| error)
                    }
                    issued => issued,
                }
            }
        }
    }
}

rosterd_rest::reply! {
    struct OfPassport {
        token: Secret = "iamToken",
        end: String = "expiresAt",
    }

    struct OfMachine {
        token: Secret = "access_token",
        seconds: Option<u64> = "expires_in",
        kind: String = "token_type",
    }

    struct OfOldMachine {
        token: Secret = "Token",
        end: String = "Expiration",
    }
}

fn of_passport(body: &[u8], now: Timestamp) -> Result<Issued<Secret>, Fault> {
    let OfPassport { token, end } = json(body)?;
    until(token, &end, now, ["iamToken", "expiresAt"])
}

fn of_old_machine(body: &[u8], now: Timestamp) -> Result<Issued<Secret>, Fault> {
    let OfOldMachine { token, end } = json(body)?;
    until(token, &end, now, ["Token", "Expiration"])
}

/// A token that is good until then; how both are called in the answer is for what is said of it.
fn until(token: Secret, end: &str, now: Timestamp, called: [&str; 2]) -> Result<Issued<Secret>, Fault> {
    if token.is_empty() {
        return Err(Fault::new(format!("{} is missing", called[0])));
    }
    let lasts = match end {
        "" => None,
        end => {
            let end: Timestamp = end.parse().map_err(|_| Fault::new(format!("{} is no point in time", called[1])))?;
            Some(Duration::try_from(end.duration_since(now)).unwrap_or_default())
        }
    };
    Ok(Issued { token, lasts })
}

fn of_machine(body: &[u8]) -> Result<Issued<Secret>, Fault> {
    let OfMachine { token, seconds, kind } = json(body)?;
    if token.is_empty() {
        return Err(Fault::new("access_token is missing"));
    }
    if !kind.is_empty() && !kind.eq_ignore_ascii_case("bearer") {
        return Err(Fault::new("token_type is another one than Bearer"));
    }
    Ok(Issued { token, lasts: seconds.map(Duration::from_secs) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_says_how_long_it_is_good() {
        let now: Timestamp = "2026-11-29T12:00:00Z".parse().expect("a time");
        let body = br#"{"iamToken": "t1.x", "expiresAt": "2026-11-30T00:00:00.123456789Z"}"#;
        let Issued { token, lasts } = of_passport(body, now).expect("a token");
        assert_eq!((token.expose(), lasts.map(|lasts| lasts.as_secs())), ("t1.x", Some(43_200)));
        let body = br#"{"access_token": "t1.y", "expires_in": 600, "token_type": "Bearer"}"#;
        let Issued { token, lasts } = of_machine(body).expect("a token");
        assert_eq!((token.expose(), lasts.map(|lasts| lasts.as_secs())), ("t1.y", Some(600)));
        let body = br#"{"Code": "Success", "Expiration": "2026-11-29T12:10:00Z", "Token": "t1.z"}"#;
        let Issued { token, lasts } = of_old_machine(body, now).expect("a token");
        assert_eq!((token.expose(), lasts.map(|lasts| lasts.as_secs())), ("t1.z", Some(600)));
        let told = |result: Result<Issued<Secret>, Fault>| result.expect_err("no token").to_string();
        assert_eq!(told(of_passport(b"{}", now)), "iamToken is missing");
        assert_eq!(
            told(of_passport(br#"{"iamToken": "t", "expiresAt": "soon"}"#, now)),
            "expiresAt is no point in time"
        );
        assert_eq!(told(of_machine(b"{}")), "access_token is missing");
        let other = br#"{"access_token": "t", "token_type": "MAC"}"#;
        assert_eq!(told(of_machine(other)), "token_type is another one than Bearer");
    }
}
