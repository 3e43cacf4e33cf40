//! What proves to receivers who sends: made once for those who prove the same, and kept when endpoints change.

use std::sync::Arc;

use rosterd_client::{ClientError, HttpClientConfig, Identity, System};
use rosterd_credentials::aws::{Account, Signer, Who};
use rosterd_credentials::azure::Azure;
use rosterd_credentials::google::{Google, GoogleBearer};
use rosterd_credentials::{Authorize, Bearer, Kept, Tokens};

use crate::config::{AzureConfig, EndpointConfig, GoogleConfig};
use crate::error::ShipError;

/// What a token of Google has to be good for.
const GOOGLE_SCOPE: &str = "https://www.googleapis.com/auth/monitoring.write";
/// Amazon Managed Service for Prometheus.
const AWS_SERVICE: &str = "aps";
const NAME: &str = "remote write";

/// The proofs of all endpoints.
#[derive(Debug, Default)]
pub(crate) struct Proofs {
    aws: Kept<Who, Account>,
    google: Kept<GoogleConfig, GoogleBearer>,
    azure: Kept<AzureConfig, Tokens<Azure>>,
}

impl Proofs {
    /// That of an endpoint, if it has one of a cloud.
    pub(super) fn of(&self, config: &EndpointConfig, system: &System) -> Result<Option<Arc<dyn Authorize>>, ShipError> {
        let unusable = |source| ShipError::Client { endpoint: config.name.clone(), source };
        if let Some(sigv4) = &config.sigv4 {
            let settings = HttpClientConfig { proxy_from_environment: true, ..HttpClientConfig::default() };
            let make = || Account::new(sigv4.who.clone(), &settings, system, None);
            let account = self.aws.get_or_try(sigv4.who.clone(), make).map_err(unusable)?;
            let service = if sigv4.service.is_empty() { AWS_SERVICE } else { &sigv4.service };
            return Ok(Some(Arc::new(Signer::new(account, service))));
        }
        if let Some(google) = &config.google_iam {
            let bearer = self.google.get_or_try(google.clone(), || google_bearer(google, system));
            return Ok(Some(bearer.map_err(unusable)?));
        }
        let Some(azure) = &config.azuread else { return Ok(None) };
        let make = || {
            // As the tools of Azure do, whatever proxies and certificates the receiver needs.
            let settings = HttpClientConfig { proxy_from_environment: true, ..HttpClientConfig::default() };
            let AzureConfig { method, authority, scope } = azure;
            Azure::new(method.clone(), authority, scope, &settings, NAME, system).map(Tokens::new)
        };
        let tokens = self.azure.get_or_try(azure.clone(), make).map_err(unusable)?;
        Ok(Some(Arc::new(Bearer::new(tokens))))
    }
}

fn google_bearer(config: &GoogleConfig, system: &System) -> Result<GoogleBearer, ClientError> {
    let google = match &config.credentials_file {
        Some(file) => Google::by_key(file, GOOGLE_SCOPE, NAME, system),
        None => Google::by_default(GOOGLE_SCOPE, NAME, system),
    };
    google.map(|google| GoogleBearer::new(google).naming_project())
}

impl GoogleConfig {
    /// Says who sends.
    pub(crate) fn identity(&self, id: &mut Identity) {
        id.text("by", "google");
        if let Some(file) = &self.credentials_file {
            id.path("credentials_file", file);
        }
    }
}

impl AzureConfig {
    /// Says who sends.
    pub(crate) fn identity(&self, id: &mut Identity) {
        id.text("authority", &self.authority);
        id.text("scope", &self.scope);
        self.method.identity(id);
    }
}

#[cfg(test)]
mod tests {
    use rosterd_credentials::azure::AzureMethod;

    use super::*;
    use crate::tests::endpoint;

    #[test]
    fn endpoints_that_prove_the_same_share_it_over_changes() {
        let (proofs, system) = (Proofs::default(), System::default());
        let azure = |secret: &str| AzureConfig {
            method: AzureMethod::Secret {
                tenant_id: "t".to_owned(),
                client_id: "c".to_owned(),
                client_secret: secret.into(),
            },
            authority: "http://login".to_owned(),
            scope: "s/.default".to_owned(),
        };
        let with = |secret: &str| EndpointConfig { azuread: Some(azure(secret)), ..endpoint("a", "http://r/w") };
        for secret in ["one", "one", "two"] {
            assert!(proofs.of(&with(secret), &system).expect("a proof").is_some());
        }
        assert_eq!(format!("{:?}", proofs.azure), "2 kept");
        let google = |file: Option<&str>| EndpointConfig {
            google_iam: Some(GoogleConfig { credentials_file: file.map(Into::into) }),
            ..endpoint("a", "http://r/w")
        };
        for file in [None, Some("/a/key.json"), None, Some("/a/./key.json")] {
            assert!(proofs.of(&google(file), &system).expect("a proof").is_some());
        }
        assert_eq!(format!("{:?}", proofs.google), "2 kept");
        assert!(proofs.of(&endpoint("a", "http://r/w"), &system).expect("none").is_none());
    }
}
