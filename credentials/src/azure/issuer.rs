//! Who asks Entra ID for tokens, and how.

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::{StatusCode, header};
use jiff::Timestamp;
use rosterd_client::{Client, ClientError, HttpClientConfig, Identity, Options, Request, Secret, System, Tally};
use rosterd_model::Error;
use rosterd_tasks::{blocking, files};

use super::AzureError;
use super::managed::{Source, with_secret};
use super::requests::{Proof, endpoint, of_application};
use crate::exchange::token;
use crate::{Issued, Issuer, Told};

/// How long an endpoint may take. What is on this machine answers at once, or is not there.
const PATIENCE: Duration = Duration::from_secs(30);
const PATIENCE_AT_HOME: Duration = Duration::from_secs(5);
/// What a scope ends in that stands for all of a resource.
const ALL: &str = "/.default";
/// Where the agent of Azure Arc is, and where it leaves what proves that one may read files on this machine.
const AGENT: &str = "/opt/azcmagent/bin/himds";
const AGENT_KEYS: &str = "/var/opt/azcmagent/tokens";
const LONGEST_AGENT_KEY: usize = 4096;
/// What the SDK tries, by its words.
const NAMED: [&str; 3] = ["EnvironmentCredential", "WorkloadIdentityCredential", "ManagedIdentityCredential"];

/// A token that is asked for.
type Asking<'a> = Pin<Box<dyn Future<Output = Result<Issued<Secret>, Error>> + Send + 'a>>;

/// How one proves to Entra ID who one is.
#[derive(Debug, Clone, PartialEq)]
pub enum AzureMethod {
    /// An application, by its secret.
    Secret {
        /// Its tenant.
        tenant_id: String,
        /// Its id.
        client_id: String,
        /// Its secret.
        client_secret: Secret,
    },
    /// An application, by its certificate.
    Certificate {
        /// Its tenant.
        tenant_id: String,
        /// Its id.
        client_id: String,
        /// The certificate.
        certificate: Certificate,
    },
    /// An identity that Azure has given to this machine.
    ManagedIdentity {
        /// Which; that of the machine itself if it is empty.
        client_id: String,
    },
    /// An application, by the token of a service account of Kubernetes. What is empty is said by the environment.
    WorkloadIdentity {
        /// Its tenant.
        tenant_id: String,
        /// Its id.
        client_id: String,
        /// Where that token is.
        token_file: PathBuf,
    },
    /// Whoever the SDK of Azure would find: by the environment, as a workload, or as the machine.
    Sdk {
        /// The tenant of a workload, if it is not that of the environment.
        tenant_id: String,
    },
}

impl AzureMethod {
    /// Says who asks, quietly.
    pub fn identity(&self, id: &mut Identity) {
        id.quietly(|id| self.say(id));
    }

    fn say(&self, id: &mut Identity) {
        match self {
            Self::Secret { tenant_id, client_id, client_secret } => {
                id.text("tenant_id", tenant_id);
                id.text("client_id", client_id);
                id.secret("client_secret", client_secret);
            }
            Self::Certificate { tenant_id, client_id, certificate } => {
                id.text("tenant_id", tenant_id);
                id.text("client_id", client_id);
                id.path("certificate", &certificate.path);
                id.value("send_chain", &certificate.send_chain, &false);
                if let Some(path) = &certificate.key_path {
                    id.path("key", path);
                }
            }
            Self::ManagedIdentity { client_id } => {
                id.text("method", "managed identity");
                id.text("client_id", client_id);
            }
            Self::WorkloadIdentity { tenant_id, client_id, token_file } => {
                id.text("method", "workload identity");
                id.text("tenant_id", tenant_id);
                id.text("client_id", client_id);
                id.path("token_file", token_file);
            }
            Self::Sdk { tenant_id } => {
                id.text("method", "sdk");
                id.text("tenant_id", tenant_id);
            }
        }
    }
}

/// A certificate in PEM.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Certificate {
    /// The file, which may hold the key, too.
    pub path: PathBuf,
    /// The key, if it is in a file of its own.
    pub key_path: Option<PathBuf>,
    /// Whether all certificates of the file are sent.
    pub send_chain: bool,
}

/// Who asks Entra ID for tokens. Files are read each time, so that what they say may change.
#[derive(Debug)]
pub struct Azure {
    method: AzureMethod,
    authority: String,
    scope: String,
    system: System,
    client: Client,
    /// For what is on this machine, which is behind no proxy.
    direct: Client,
    agent_keys: PathBuf,
}

impl Azure {
    /// Asks this authority, `https://login.microsoftonline.com`, for tokens of this scope, reached as the settings say. These have
    /// nothing that proves who asks.
    pub fn new(
        method: AzureMethod,
        authority: &str,
        scope: &str,
        settings: &HttpClientConfig,
        name: &str,
        system: &System,
    ) -> Result<Self, ClientError> {
        let options =
            Options { timeout: PATIENCE, name: name.to_owned(), system: system.clone(), ..Options::default() };
        let at_home = Options { timeout: PATIENCE_AT_HOME, ..options.clone() };
        Ok(Self {
            method,
            authority: authority.to_owned(),
            scope: scope.to_owned(),
            system: system.clone(),
            client: Client::new(settings, options)?,
            direct: Client::new(&HttpClientConfig::default(), at_home)?,
            agent_keys: AGENT_KEYS.into(),
        })
    }

    /// The same, with all that is asked for counted as this operation.
    #[must_use]
    pub fn counted(self, operation: &'static str, tally: Arc<dyn Tally>) -> Self {
        let client = self.client.counted(operation, Arc::clone(&tally));
        Self { client, direct: self.direct.counted(operation, tally), ..self }
    }

    fn variable(&self, name: &str) -> Option<String> {
        self.system.environment().get(name).filter(|value| !value.is_empty()).map(str::to_owned)
    }

    async fn of_application(&self, tenant: &str, client_id: &str, proof: Proof<'_>) -> Result<Issued<Secret>, Error> {
        let (Proof::Secret(secret) | Proof::Assertion(secret)) = proof;
        let request = of_application(endpoint(&self.authority, tenant)?, client_id, proof, &self.scope);
        Ok(token(&self.client, request, [secret.clone()]).await?)
    }

    async fn of_certificate(
        &self,
        tenant: &str,
        client_id: &str,
        certificate: &Certificate,
    ) -> Result<Issued<Secret>, Error> {
        let (endpoint, with_chain) = (endpoint(&self.authority, tenant)?, certificate.send_chain);
        let certificate = certificate.clone();
        let pair = blocking(move || certificate.read()).await?;
        let assertion = pair.assertion(&endpoint, client_id, with_chain, Timestamp::now().as_second())?;
        self.of_application(tenant, client_id, Proof::Assertion(&assertion)).await
    }

    async fn of_workload(&self, tenant: &str, client_id: &str, file: &Path) -> Result<Issued<Secret>, Error> {
        let or = |text: &str, variable: &'static str| match text.is_empty() {
            false => Ok(text.to_owned()),
            true => self.variable(variable).ok_or(AzureError::NotInjected { variable }),
        };
        let client_id = or(client_id, "AZURE_CLIENT_ID")?;
        let tenant = or(tenant, "AZURE_TENANT_ID")?;
        let file = or(&file.display().to_string(), "AZURE_FEDERATED_TOKEN_FILE")?;
        let assertion = read_secret(file.into()).await?;
        self.of_application(&tenant, &client_id, Proof::Assertion(&assertion)).await
    }

    async fn of_machine(&self, client_id: &str) -> Result<Issued<Secret>, Error> {
        let has_agent = blocking(|| Path::new(AGENT).exists()).await;
        let source = Source::of(self.system.environment(), has_agent)?;
        let resource = self.scope.strip_suffix(ALL).unwrap_or(&self.scope);
        let request = source.request(resource, client_id)?;
        let request = match source {
            Source::Arc { .. } => self.challenged(request).await?,
            _ => request,
        };
        let secrets = request.headers.values().filter(|value| value.is_sensitive());
        let secrets: Vec<_> = secrets.filter_map(|value| value.to_str().ok()).map(Secret::new).collect();
        let issued = token(&self.direct, request, secrets).await;
        Ok(issued.map_err(|source| AzureError::Identity { source })?)
    }

    /// The agent of Azure Arc names a file that only those may read whom the machine trusts.
    async fn challenged(&self, request: Request) -> Result<Request, AzureError> {
        let response = self.direct.send(request.clone()).await.map_err(|source| AzureError::Identity { source })?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return Ok(request);
        }
        let challenge = response.headers().get(header::WWW_AUTHENTICATE).and_then(|value| value.to_str().ok());
        let path = challenge.and_then(|challenge| challenge.strip_prefix("Basic realm=")).map(PathBuf::from);
        let is_key = |path: &PathBuf| {
            path.parent() == Some(&self.agent_keys) && path.extension().is_some_and(|extension| extension == "key")
        };
        let Some(path) = path.filter(is_key) else {
            let reason = format!("the agent of Azure Arc names no key in {}", self.agent_keys.display());
            return Err(AzureError::Environment { reason });
        };
        let key = read_secret(path.clone()).await?;
        if key.expose().len() > LONGEST_AGENT_KEY {
            let reason = format!("{} is no key of the agent of Azure Arc: it is too long", path.display());
            return Err(AzureError::Environment { reason });
        }
        with_secret(request, "authorization", &Secret::new(format!("Basic {}", key.expose())))
    }

    /// As the SDK of Azure does: who is named and refused ends it, who is not there leaves it to the next.
    async fn of_sdk(&self, tenant: &str) -> Result<Issued<Secret>, Error> {
        let [environment, workload, machine] = self.tried()?;
        if environment && let Some(method) = self.of_environment()? {
            return self.of(&method).await;
        }
        let is_injected =
            self.variable("AZURE_FEDERATED_TOKEN_FILE").is_some() && self.variable("AZURE_CLIENT_ID").is_some();
        if workload && is_injected {
            return self.of_workload(tenant, "", Path::new("")).await;
        }
        if !machine {
            return Err(AzureError::Nobody { source: None }.into());
        }
        let client_id = self.variable("AZURE_CLIENT_ID").unwrap_or_default();
        let issued = self.of_machine(&client_id).await;
        issued.map_err(|error| AzureError::Nobody { source: Some(Told::from(error)) }.into())
    }

    /// Which of the three are tried.
    fn tried(&self) -> Result<[bool; 3], AzureError> {
        let Some(named) = self.variable("AZURE_TOKEN_CREDENTIALS") else { return Ok([true; 3]) };
        let is = |name: &&str| named.eq_ignore_ascii_case(name);
        match NAMED.iter().position(&is) {
            Some(at) => Ok([0, 1, 2].map(|number| number == at)),
            None if is(&"prod") => Ok([true; 3]),
            None => {
                let known = format!("prod, {}", NAMED.join(", "));
                let reason =
                    format!("AZURE_TOKEN_CREDENTIALS is {named:?}, of which nothing can be tried here: {known} can");
                Err(AzureError::Environment { reason })
            }
        }
    }

    /// Whom the environment names.
    fn of_environment(&self) -> Result<Option<AzureMethod>, AzureError> {
        let (Some(tenant_id), Some(client_id)) = (self.variable("AZURE_TENANT_ID"), self.variable("AZURE_CLIENT_ID"))
        else {
            return Ok(None);
        };
        if let Some(secret) = self.variable("AZURE_CLIENT_SECRET") {
            return Ok(Some(AzureMethod::Secret { tenant_id, client_id, client_secret: secret.into() }));
        }
        if let Some(path) = self.variable("AZURE_CLIENT_CERTIFICATE_PATH") {
            let send_chain = self.variable("AZURE_CLIENT_SEND_CERTIFICATE_CHAIN");
            let send_chain = send_chain.is_some_and(|value| matches!(&*value.to_lowercase(), "1" | "true"));
            let certificate = Certificate { path: path.into(), key_path: None, send_chain };
            return Ok(Some(AzureMethod::Certificate { tenant_id, client_id, certificate }));
        }
        if self.variable("AZURE_USERNAME").is_some() && self.variable("AZURE_PASSWORD").is_some() {
            let reason = "AZURE_USERNAME and AZURE_PASSWORD are not supported, as Azure itself advises: give an application a \
                          secret or a certificate";
            return Err(AzureError::Environment { reason: reason.to_owned() });
        }
        Ok(None)
    }

    /// A token, by a method that may lead to another.
    fn of<'a>(&'a self, method: &'a AzureMethod) -> Asking<'a> {
        Box::pin(async move {
            match method {
                AzureMethod::Secret { tenant_id, client_id, client_secret } => {
                    self.of_application(tenant_id, client_id, Proof::Secret(client_secret)).await
                }
                AzureMethod::Certificate { tenant_id, client_id, certificate } => {
                    self.of_certificate(tenant_id, client_id, certificate).await
                }
                AzureMethod::ManagedIdentity { client_id } => self.of_machine(client_id).await,
                AzureMethod::WorkloadIdentity { tenant_id, client_id, token_file } => {
                    self.of_workload(tenant_id, client_id, token_file).await
                }
                AzureMethod::Sdk { tenant_id } => self.of_sdk(tenant_id).await,
            }
        })
    }
}

async fn read_secret(path: PathBuf) -> Result<Secret, AzureError> {
    blocking(move || match files::read_text(&path) {
        Ok(text) => Ok(Secret::new(text.trim())),
        Err(source) => Err(AzureError::Unreadable { path, source }),
    })
    .await
}

#[cfg(test)]
impl Azure {
    pub(super) fn keys_of_agent_in(&mut self, folder: &Path) {
        self.agent_keys = folder.to_owned();
    }
}

#[async_trait]
impl Issuer for Azure {
    type Token = Secret;

    async fn issue(&self) -> Result<Issued<Secret>, Error> {
        self.of(&self.method).await
    }
}
