//! Signs requests as AWS does, with what Outscale takes for the region and the service.

use async_trait::async_trait;
use jiff::Timestamp;
use rosterd_client::{Request, Secret, Source};
use rosterd_credentials::Authorize;
use rosterd_credentials::sigv4::{Keys, Scope, sign};
use rosterd_discovery::Error;

/// The same in all regions, as in the library that Prometheus uses: nobody looks at it.
pub(super) const SCOPE: Scope<'static> = Scope { region: "eu-west-2", service: "oapi" };

#[derive(Debug)]
pub(super) struct Signer {
    pub(super) id: String,
    pub(super) secret: Source,
}

#[async_trait]
impl Authorize for Signer {
    async fn authorize(&self, request: &mut Request) -> Result<(), Error> {
        let secret = Secret::new(&*self.secret.read().await?);
        let keys = Keys { id: self.id.clone(), secret, token: Secret::default() };
        Ok(sign(request, &keys, SCOPE, Timestamp::now())?)
    }
}
