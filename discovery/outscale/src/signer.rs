//! Signs requests as AWS does, with what Outscale takes for the region and the service.

use async_trait::async_trait;
use jiff::Timestamp;
use rosterd_client::{Request, Secret};
use rosterd_credentials::Authorize;
use rosterd_credentials::sigv4::{Keys, Scope, sign};
use rosterd_discovery::Error;
use rosterd_rest::Key;

/// The same in all regions, as in the library that Prometheus uses: nobody looks at it.
pub(super) const SCOPE: Scope<'static> = Scope { region: "eu-west-2", service: "oapi" };

#[derive(Debug)]
pub(super) struct Signer {
    pub(super) id: String,
    pub(super) secret: Key,
}

#[async_trait]
impl Authorize for Signer {
    async fn authorize(&self, request: &mut Request) -> Result<(), Error> {
        let keys = Keys { id: self.id.clone(), secret: self.secret.read().await?, token: Secret::default() };
        Ok(sign(request, &keys, SCOPE, Timestamp::now())?)
    }
}
