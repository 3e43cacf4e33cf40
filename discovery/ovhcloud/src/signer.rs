//! Signs requests with the secret of the application, for a consumer, at the time that it is at OVHcloud.

use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use http::{HeaderName, HeaderValue};
use jiff::Timestamp;
use rosterd_client::{ClientError, Request, Secret, secret_value};
use rosterd_credentials::Authorize;
use rosterd_credentials::sign::hex;
use rosterd_discovery::Error;

use super::OvhcloudConfig;

/// The header of the application, which all requests have.
pub(super) const APPLICATION: HeaderName = HeaderName::from_static("x-ovh-application");
const TIMESTAMP: HeaderName = HeaderName::from_static("x-ovh-timestamp");
const CONSUMER: HeaderName = HeaderName::from_static("x-ovh-consumer");
const SIGNATURE: HeaderName = HeaderName::from_static("x-ovh-signature");

#[derive(Debug)]
pub(super) struct Signer {
    pub(super) application: HeaderValue,
    consumer: HeaderValue,
    application_secret: Secret,
    consumer_key: Secret,
    /// By how many seconds this machine is ahead.
    ahead: AtomicI64,
}

impl Signer {
    pub(super) fn new(config: &OvhcloudConfig) -> Result<Self, ClientError> {
        let unusable = |_| ClientError::Settings { what: "application_key".to_owned(), source: None };
        Ok(Self {
            application: HeaderValue::from_str(&config.application_key).map_err(unusable)?,
            consumer: secret_value("consumer_key", config.consumer_key.expose())?,
            application_secret: config.application_secret.clone(),
            consumer_key: config.consumer_key.clone(),
            ahead: AtomicI64::default(),
        })
    }

    /// It is this time at OVHcloud.
    pub(super) fn synchronise(&self, there: i64) {
        self.ahead.store(Timestamp::now().as_second().saturating_sub(there), Ordering::Relaxed);
    }

    fn signature(&self, request: &Request, time: i64) -> String {
        let (secret, consumer) = (self.application_secret.expose(), self.consumer_key.expose());
        let body = String::from_utf8_lossy(&request.body);
        let url = request.url.without_zone();
        let text = format!("{secret}+{consumer}+{}+{}+{body}+{time}", request.method, url.as_str());
        let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
        format!("$1${}", hex(hash))
    }
}

#[async_trait]
impl Authorize for Signer {
    async fn authorize(&self, request: &mut Request) -> Result<(), Error> {
        let time = Timestamp::now().as_second().saturating_sub(self.ahead.load(Ordering::Relaxed));
        let signature = secret_value("a signature", &self.signature(request, time))?;
        let headers = &mut request.headers;
        headers.insert(APPLICATION, self.application.clone());
        headers.insert(CONSUMER, self.consumer.clone());
        headers.insert(TIMESTAMP, time.into());
        headers.insert(SIGNATURE, signature);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use rosterd_client::Url;

    use super::*;

    #[test]
    fn a_signature_is_the_one_that_prometheus_makes() {
        let config =
            OvhcloudConfig { application_secret: "as".into(), consumer_key: "ck".into(), ..OvhcloudConfig::default() };
        let request = Request::get(Url::parse("http://127.0.0.1:39411/1.0/vps").expect("a URL"));
        let signature = Signer::new(&config).expect("a signer").signature(&request, 1_700_000_000);
        assert_eq!(signature, "$1$4a9caa0e4539270f6880342ff843831455121e8d");
    }
}
