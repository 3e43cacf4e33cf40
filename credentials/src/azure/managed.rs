//! The identity of the machine, the application or the shell that this runs in: who knows it, and how that is asked. Pure.

use http::{HeaderName, HeaderValue};
use rosterd_client::{Environment, Request, Secret, Url, secret_value};
use rosterd_model::bare_url;

use super::AzureError;
use crate::exchange::{form, url};

/// The service of virtual machines, unless the environment says where else it is.
const IMDS: &str = "http://169.254.169.254";
/// The agent of machines that Azure manages from outside.
const ARC: &str = "http://127.0.0.1:40342/metadata/identity/oauth2/token";

/// Who knows the identity.
#[derive(Debug, PartialEq)]
pub(super) enum Source {
    AppService { endpoint: String, key: Secret },
    MachineLearning { endpoint: String, secret: Secret, usual: String },
    CloudShell { endpoint: String },
    Arc { endpoint: String },
    Imds { host: String },
}

impl Source {
    /// The first that the environment fits; `has_agent` says whether the agent of Azure Arc is installed.
    pub(super) fn of(environment: &Environment, has_agent: bool) -> Result<Self, AzureError> {
        let text = |name: &str| environment.get(name).filter(|value| !value.is_empty()).map(str::to_owned);
        let [identity, key] = ["IDENTITY_ENDPOINT", "IDENTITY_HEADER"].map(text);
        if identity.is_some() && key.is_some() && text("IDENTITY_SERVER_THUMBPRINT").is_some() {
            let reason =
                "the managed identity of Service Fabric (IDENTITY_SERVER_THUMBPRINT) is not supported".to_owned();
            return Err(AzureError::Environment { reason });
        }
        if let (Some(endpoint), Some(key)) = (&identity, key) {
            return Ok(Self::AppService { endpoint: endpoint.clone(), key: key.into() });
        }
        if let Some(endpoint) = text("MSI_ENDPOINT") {
            return Ok(match text("MSI_SECRET") {
                Some(secret) => {
                    let usual = text("DEFAULT_IDENTITY_CLIENT_ID").unwrap_or_default();
                    Self::MachineLearning { endpoint, secret: secret.into(), usual }
                }
                None => Self::CloudShell { endpoint },
            });
        }
        match identity.filter(|_| text("IMDS_ENDPOINT").is_some()) {
            Some(endpoint) => Ok(Self::Arc { endpoint }),
            None if has_agent => Ok(Self::Arc { endpoint: ARC.to_owned() }),
            None => {
                Ok(Self::Imds { host: text("AZURE_POD_IDENTITY_AUTHORITY_HOST").unwrap_or_else(|| IMDS.to_owned()) })
            }
        }
    }

    /// Asks for a token for this resource, as the identity of this id, or as the usual one.
    pub(super) fn request(&self, resource: &str, client_id: &str) -> Result<Request, AzureError> {
        let get = |endpoint: &str, version: &str, id: (&str, &str)| {
            let mut url = place(endpoint)?;
            let mut query = url.query_pairs_mut();
            query.append_pair("api-version", version).append_pair("resource", resource);
            if !id.1.is_empty() {
                query.append_pair(id.0, id.1);
            }
            drop(query);
            Ok::<_, AzureError>(Request::get(url))
        };
        let only_one = |of: &str| match client_id.is_empty() {
            true => Ok(()),
            false => {
                Err(AzureError::Environment { reason: format!("{of} has one identity only: leave out client_id") })
            }
        };
        match self {
            Self::AppService { endpoint, key } => {
                with_secret(get(endpoint, "2019-08-01", ("client_id", client_id))?, "x-identity-header", key)
            }
            Self::MachineLearning { endpoint, secret, usual } => {
                let id = if client_id.is_empty() { usual } else { client_id };
                with_secret(get(endpoint, "2017-09-01", ("clientid", id))?, "secret", secret)
            }
            Self::CloudShell { endpoint } => {
                only_one("Cloud Shell")?;
                Ok(metadata(form(place(endpoint)?, [("resource", resource)])))
            }
            Self::Arc { endpoint } => {
                only_one("a machine of Azure Arc")?;
                get(endpoint, "2020-06-01", ("", "")).map(metadata)
            }
            Self::Imds { host } => {
                let endpoint = format!("{}/metadata/identity/oauth2/token", host.trim_end_matches('/'));
                get(&endpoint, "2018-02-01", ("client_id", client_id)).map(metadata)
            }
        }
    }
}

fn place(endpoint: &str) -> Result<Url, AzureError> {
    let what = format!("{:?} of the environment", bare_url(endpoint));
    url(endpoint, &what).map_err(|source| AzureError::Identity { source })
}

fn metadata(mut request: Request) -> Request {
    request.headers.insert("metadata", HeaderValue::from_static("true"));
    request
}

pub(super) fn with_secret(mut request: Request, name: &'static str, secret: &Secret) -> Result<Request, AzureError> {
    let value = secret_value(&format!("the header {name}"), secret.expose());
    let value = value.map_err(|source| AzureError::Identity { source })?;
    request.headers.insert(HeaderName::from_static(name), value);
    Ok(request)
}
