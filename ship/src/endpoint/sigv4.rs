//! AWS Signature Version 4.

use rosterd_discovery::client::Request;

use crate::config::SigV4Config;

/// Signs requests.
#[derive(Debug)]
pub(super) struct Signer(SigV4Config);

impl Signer {
    pub(super) fn new(config: &SigV4Config) -> Result<Self, String> {
        Err(format!("sigv4 for region {:?} is not supported", config.region))
    }

    pub(super) fn sign(&self, _request: &mut Request) -> Result<(), String> {
        Err(self.0.region.clone())
    }
}
