//! Finds out who asks Google, and asks for tokens.

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::HeaderName;
use jiff::Timestamp;
use rosterd_client::{Client, ClientError, HttpClientConfig, Options, Request, Secret, System, Tally};
use rosterd_model::Error;
use rosterd_tasks::{blocking, files};

use super::GoogleError;
use super::account::{self, Account, External, FoundAccount, Impersonation, Subject};
use super::requests::{self, CLOUD_PLATFORM};
use crate::bearer::bearer;
use crate::exchange::{ask, token, url};
use crate::{Authorize, Issued, Issuer, Tokens};

/// Where the metadata server of a machine is, unless the environment says so.
const METADATA: &str = "169.254.169.254";
/// How long an endpoint may take. The metadata server is on the same machine, or not there.
const PATIENCE: Duration = Duration::from_secs(30);
const PATIENCE_AT_HOME: Duration = Duration::from_secs(5);
/// Whose quota is used.
const USER_PROJECT: HeaderName = HeaderName::from_static("x-goog-user-project");

/// Who asks Google for tokens. Files are read each time, so that what they say may change.
#[derive(Debug)]
pub struct Google {
    scope: String,
    /// The key of a service account; without one the environment says who asks.
    key: Option<PathBuf>,
    system: System,
    /// By the proxy of the environment, as Google's own programs do.
    client: Client,
    /// For the metadata server, which is behind no proxy.
    direct: Client,
}

/// A token that is asked for.
type Asking<'a> = Pin<Box<dyn Future<Output = Result<Issued<Secret>, Error>> + Send + 'a>>;

/// A token, and the project whose quota is used with it, if one is named.
#[derive(Debug, Clone, PartialEq)]
pub struct GoogleToken {
    secret: Secret,
    quota_project: String,
}

impl Google {
    /// Application default credentials: whoever `GOOGLE_APPLICATION_CREDENTIALS` names, else whoever has logged in by the tools of
    /// Google, else the service account of the machine.
    pub fn by_default(scope: &str, name: &str, system: &System) -> Result<Self, ClientError> {
        Self::new(None, scope, name, system)
    }

    /// A service account, whose key is in this file.
    pub fn by_key(key: &Path, scope: &str, name: &str, system: &System) -> Result<Self, ClientError> {
        Self::new(Some(key.to_owned()), scope, name, system)
    }

    fn new(key: Option<PathBuf>, scope: &str, name: &str, system: &System) -> Result<Self, ClientError> {
        let settings = HttpClientConfig { proxy_from_environment: true, ..HttpClientConfig::default() };
        let (name, system) = (name.to_owned(), system.clone());
        let options = Options { timeout: PATIENCE, name, system: system.clone(), ..Options::default() };
        let at_home = Options { timeout: PATIENCE_AT_HOME, ..options.clone() };
        let (client, direct) = (Client::new(&settings, options)?, Client::new(&HttpClientConfig::default(), at_home)?);
        Ok(Self { scope: scope.to_owned(), key, system, client, direct })
    }

    /// The same, with all that is asked for counted as this operation.
    #[must_use]
    pub fn counted(self, operation: &'static str, tally: Arc<dyn Tally>) -> Self {
        let client = self.client.counted(operation, Arc::clone(&tally));
        Self { client, direct: self.direct.counted(operation, tally), ..self }
    }

    /// What says who asks.
    async fn found(&self) -> Result<Option<FoundAccount>, GoogleError> {
        if let Some(key) = &self.key {
            return read(key.clone(), account::read_service).await.map(Some);
        }
        if let Some(named) = self.variable("GOOGLE_APPLICATION_CREDENTIALS") {
            return read(named.into(), account::read).await.map(Some);
        }
        let Some(left) = self.left() else { return Ok(None) };
        match read(left, account::read).await {
            Err(GoogleError::Unreadable { .. }) => Ok(None),
            read => read.map(Some),
        }
    }

    /// Where the tools of Google leave the credentials of who logs in.
    fn left(&self) -> Option<PathBuf> {
        self.variable("HOME").map(|home| Path::new(home).join(".config/gcloud/application_default_credentials.json"))
    }

    fn variable(&self, name: &str) -> Option<&str> {
        self.system.environment().get(name).filter(|value| !value.is_empty())
    }

    /// A token of an account, which may need that of another.
    fn of_account<'a>(&'a self, account: &'a Account, scope: &'a str) -> Asking<'a> {
        Box::pin(async move {
            match account {
                Account::Service(service) => {
                    let (request, assertion) = requests::of_service(service, scope, Timestamp::now().as_second())?;
                    Ok(token(&self.client, request, [assertion]).await?)
                }
                Account::User(user) => {
                    let secrets = [user.client_secret.clone(), user.refresh_token.clone()];
                    Ok(token(&self.client, requests::of_user(user)?, secrets).await?)
                }
                Account::External(external) => self.of_external(external, scope).await,
                Account::Impersonated { as_whom, source } => {
                    let own = self.of_account(source, CLOUD_PLATFORM).await?;
                    Ok(self.of_other(as_whom, &own.token, scope).await?)
                }
            }
        })
    }

    async fn of_external(&self, external: &External, scope: &str) -> Result<Issued<Secret>, Error> {
        let proof = match &external.subject {
            Subject::File(path) => {
                let format = external.format.clone();
                read(path.into(), move |text| requests::proof(text, &format)).await?
            }
            Subject::Url { url: place, headers } => {
                let request = requests::of_subject(url(place, "the url of credential_source")?, headers.clone())?;
                let read = |body: &[u8]| requests::proof(&String::from_utf8_lossy(body), &external.format);
                ask(&self.client, request, read).await?
            }
        };
        let asked_for = if external.as_whom.is_some() { CLOUD_PLATFORM } else { scope };
        let request = requests::of_external(external, &proof, asked_for)?;
        let own = token(&self.client, request, [proof]).await?;
        match &external.as_whom {
            None => Ok(own),
            Some(as_whom) => Ok(self.of_other(as_whom, &own.token, scope).await?),
        }
    }

    async fn of_other(
        &self,
        as_whom: &Impersonation,
        own: &Secret,
        scope: &str,
    ) -> Result<Issued<Secret>, ClientError> {
        let read = |body: &[u8]| requests::impersonated(body, Timestamp::now());
        ask(&self.client, requests::of_other(as_whom, own, scope)?, read).await
    }

    async fn of_machine(&self) -> Result<Issued<Secret>, Error> {
        let named = self.variable("GCE_METADATA_HOST");
        let request: Request = requests::of_machine(named.unwrap_or(METADATA), &self.scope)?;
        match token(&self.direct, request, []).await {
            Ok(issued) => Ok(issued),
            // Who answers is there, and has no account to give.
            Err(error @ (ClientError::Connect { .. } | ClientError::Timeout { .. })) => {
                Err(GoogleError::Nobody { source: error }.into())
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// Reads a file that says who asks, or proves it.
async fn read<T: Send + 'static>(
    path: PathBuf,
    read: impl FnOnce(&str) -> Result<T, String> + Send + 'static,
) -> Result<T, GoogleError> {
    blocking(move || match files::read_text(&path) {
        Ok(text) => read(&text).map_err(|reason| GoogleError::Unusable { path, reason }),
        Err(source) => Err(GoogleError::Unreadable { path, source }),
    })
    .await
}

#[async_trait]
impl Issuer for Google {
    type Token = GoogleToken;

    async fn issue(&self) -> Result<Issued<GoogleToken>, Error> {
        let found = self.found().await?;
        let issued = match &found {
            Some(found) => self.of_account(&found.account, &self.scope).await?,
            None => self.of_machine().await?,
        };
        // The environment counts more, as for Google's own programs.
        let named = self.variable("GOOGLE_CLOUD_QUOTA_PROJECT").map(str::to_owned);
        let quota_project = named.or(found.map(|found| found.quota_project)).unwrap_or_default();
        Ok(Issued { token: GoogleToken { secret: issued.token, quota_project }, lasts: issued.lasts })
    }
}

/// Sends the tokens of Google.
#[derive(Debug)]
pub struct GoogleBearer {
    tokens: Tokens<Google>,
    names_project: bool,
}

impl GoogleBearer {
    /// As `Authorization: Bearer`, and nothing else.
    pub fn new(google: Google) -> Self {
        Self { tokens: Tokens::new(google), names_project: false }
    }

    /// With the project whose quota is used, too.
    #[must_use]
    pub fn naming_project(self) -> Self {
        Self { names_project: true, ..self }
    }
}

#[async_trait]
impl Authorize for GoogleBearer {
    async fn authorize(&self, request: &mut Request) -> Result<(), Error> {
        let token = self.tokens.get().await?;
        request.headers.insert(http::header::AUTHORIZATION, bearer(&token.secret)?);
        if self.names_project && !token.quota_project.is_empty() {
            let unusable = |_| ClientError::Settings { what: "the quota project of Google".to_owned(), source: None };
            let project = http::HeaderValue::from_str(&token.quota_project).map_err(unusable)?;
            request.headers.insert(USER_PROJECT, project);
        }
        Ok(())
    }

    async fn refused(&self, request: &Request) -> bool {
        let sent = request.headers.get(http::header::AUTHORIZATION);
        self.tokens.forget_if(|token| bearer(&token.secret).ok().as_ref() == sent).await;
        sent.is_some()
    }
}
