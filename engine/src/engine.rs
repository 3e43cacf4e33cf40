//! Requests to an engine, in the newest version of its API that both sides know.

use std::fmt;
use std::time::Duration;

use http::{HeaderMap, StatusCode};
use rosterd_client::{Client, ClientError, HttpClientConfig, Options, Request, Response, Url, shown};
use rosterd_discovery::{Build, Error, MechanismConfig};
use rosterd_rest::{RestError, json};
use rosterd_tasks::by_size;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::host::Address;
use crate::{EngineError, Filters, Host};

/// The newest version of the API that is understood here.
const NEWEST: Version = Version(1, 55);
/// The header with the newest version that an engine speaks.
const VERSION: &str = "api-version";
/// The largest answer that is read.
const LARGEST: u64 = 512 << 20;
/// The largest refusal that is read, and how much of it is told.
const LARGEST_REFUSAL: u64 = 64 << 10;
const LONGEST_MESSAGE: usize = 500;

/// An engine. Clones share its connections.
#[derive(Debug, Clone)]
pub struct Engine {
    pub(crate) client: Client,
    pub(crate) base: Url,
    pub(crate) spoken: Spoken,
}

/// A version of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version(u16, u16);

/// What an engine speaks, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spoken {
    Unknown,
    /// It does not say: it is asked without a version.
    Unsaid,
    Version(Version),
}

impl Version {
    fn of(headers: &HeaderMap) -> Option<Self> {
        let (major, minor) = headers.get(VERSION)?.to_str().ok()?.trim().split_once('.')?;
        let version = Self(major.parse().ok()?, minor.parse().ok()?);
        Some(version.min(NEWEST))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}.{}", self.0, self.1)
    }
}

impl Engine {
    /// The engine at this place, with so much time for each answer. The settings count where the place is a URL of HTTP.
    pub fn new<C: MechanismConfig>(
        host: &Host,
        settings: &HttpClientConfig,
        timeout: Duration,
        cx: &Build<'_, C>,
    ) -> Result<Self, Error> {
        let Address { socket, url, has_settings } = host.address().map_err(EngineError::Host)?;
        let none = HttpClientConfig::default();
        let options = Options {
            timeout,
            name: cx.provider.to_owned(),
            system: cx.system.clone(),
            unix_socket: socket,
            ..Options::default()
        };
        let client = Client::new(if has_settings { settings } else { &none }, options)?;
        Ok(Self { client, base: url, spoken: Spoken::Unknown })
    }

    /// Asks for what fits these filters.
    pub async fn list<T: DeserializeOwned + Default + Send + 'static>(
        &mut self,
        path: &str,
        filters: &Filters,
    ) -> Result<T, Error> {
        if self.spoken == Spoken::Unknown {
            self.agree().await?;
        }
        let asked = self.spoken;
        let mut response = self.ask(path, filters).await?;
        if response.status() == StatusCode::BAD_REQUEST && self.spoken != asked {
            // Another version answers than before.
            response = self.ask(path, filters).await?;
        }
        if !response.status().is_success() {
            return Err(refused(response).await.into());
        }
        let (url, secrets) = (shown(response.url()), response.secrets().clone());
        let body = response.body(Some(LARGEST)).await?;
        let read = by_size(body.len(), move || json::<Option<T>>(&body)).await;
        let malformed = |source| secrets.hide_in_error(&RestError::Malformed { url, source });
        Ok(read.map_err(malformed)?.unwrap_or_default())
    }

    /// Finds out what the engine speaks. One that does not say so, or does not let itself be asked, is asked without a version.
    async fn agree(&mut self) -> Result<(), ClientError> {
        let response = self.client.send(Request::get(self.url("_ping"))).await?;
        let version = Version::of(response.headers()).filter(|_| response.status().is_success());
        self.spoken = version.map_or(Spoken::Unsaid, Spoken::Version);
        // So that the connection can be used again; what it says does not matter.
        response.body(Some(LARGEST_REFUSAL)).await.ok();
        Ok(())
    }

    async fn ask(&mut self, path: &str, filters: &Filters) -> Result<Response, ClientError> {
        let mut url = match self.spoken {
            Spoken::Version(version) => self.url(&format!("{version}/{path}")),
            Spoken::Unknown | Spoken::Unsaid => self.url(path),
        };
        let filters = filters.json();
        if !filters.is_empty() {
            url.query_pairs_mut().append_pair("filters", &filters);
        }
        let response = self.client.send(Request::get(url)).await?;
        // Each answer says it, so that engines may be replaced by newer and by older ones.
        if let Some(version) = Version::of(response.headers()).filter(|_| self.spoken != Spoken::Unsaid) {
            self.spoken = Spoken::Version(version);
        }
        Ok(response)
    }

    /// The URL of a path, without a version.
    pub(crate) fn url(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path()));
        url
    }
}

#[derive(Deserialize)]
struct Refusal {
    message: String,
}

/// The error of an answer that is none, with the words of the engine as far as they can be read.
pub(crate) async fn refused(response: Response) -> EngineError {
    let (source, secrets) = (response.status_error(), response.secrets().clone());
    let body = response.body(Some(LARGEST_REFUSAL)).await.unwrap_or_default();
    let message = serde_json::from_slice::<Refusal>(&body).map(|refusal| refusal.message).unwrap_or_default();
    let message: String = secrets.hide(message.trim()).chars().take(LONGEST_MESSAGE).collect();
    EngineError::Refused { message, source }
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn the_newest_version_that_both_know_is_spoken() {
        for (said, version) in [
            ("1.41", Some("v1.41")),
            ("1.9", Some("v1.9")),
            ("1.55", Some("v1.55")),
            ("1.99", Some("v1.55")),
            ("2.0", Some("v1.55")),
            ("", None),
            ("one", None),
        ] {
            let value = HeaderValue::from_static(said);
            let headers = HeaderMap::from_iter([(HeaderName::from_static(VERSION), value)]);
            assert_eq!(Version::of(&headers).map(|version| version.to_string()).as_deref(), version, "{said}");
        }
        assert_eq!(Version::of(&HeaderMap::new()), None);
    }
}
