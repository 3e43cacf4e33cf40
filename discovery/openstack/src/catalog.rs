//! What Keystone gives with a token: when it ends, and where each service is. Pure.

use std::collections::BTreeSet;
use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use jiff::Timestamp;
use rosterd_client::Url;
use rosterd_rest::{Fault, Issued, json};

use super::error::OpenstackError;

/// The header in which a token comes.
const SUBJECT: &str = "x-subject-token";

rosterd_rest::reply! {
    struct Answer {
        token: Given = "token",
    }

    struct Given {
        issued: String = "issued_at",
        expires: String = "expires_at",
        catalog: Vec<Entry> = "catalog",
    }

    struct Entry {
        kind: String = "type",
        endpoints: Vec<Endpoint> = "endpoints",
    }

    struct Endpoint {
        interface: String = "interface",
        region: String = "region",
        region_id: String = "region_id",
        url: String = "url",
    }
}

/// A token, and where it is good.
#[derive(Debug)]
pub(super) struct Grant {
    token: HeaderValue,
    catalog: Vec<Entry>,
}

/// A service that is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Service {
    /// Nova.
    Compute,
    /// Neutron.
    Network,
    /// Octavia.
    LoadBalancer,
}

impl Service {
    const fn kind(self) -> &'static str {
        match self {
            Self::Compute => "compute",
            Self::Network => "network",
            Self::LoadBalancer => "load-balancer",
        }
    }

    /// The version that is asked for where the catalog names none. All three are in the second.
    const fn version(self) -> &'static str {
        match self {
            Self::Compute => "v2.1",
            Self::Network | Self::LoadBalancer => "v2.0",
        }
    }
}

/// Reads a token. It is not shown.
pub(super) fn issued(headers: &HeaderMap, body: &[u8]) -> Result<Issued<Grant>, Fault> {
    let Answer { token: Given { issued, expires, catalog } } = json(body)?;
    let missing = || Fault::new("the header X-Subject-Token, which has the token, is missing");
    let mut token = headers.get(SUBJECT).filter(|token| !token.is_empty()).ok_or_else(missing)?.clone();
    token.set_sensitive(true);
    let time = |key: &str, text: &str| {
        text.parse::<Timestamp>().map_err(|_| Fault::new(format!("{key} is {text:?}, which is no point in time")))
    };
    let lasts = match (issued.as_str(), expires.as_str()) {
        // By the clock of Keystone alone.
        (issued, expires) if !issued.is_empty() && !expires.is_empty() => {
            let lasts = time("token.expires_at", expires)?.duration_since(time("token.issued_at", issued)?);
            Some(Duration::try_from(lasts).unwrap_or_default())
        }
        _ => None,
    };
    Ok(Issued { token: Grant { token, catalog }, lasts })
}

impl Grant {
    /// The token.
    pub(super) fn token(&self) -> HeaderValue {
        self.token.clone()
    }

    /// The URL of a service, with a version: the first one that fits.
    pub(super) fn endpoint(&self, service: Service, interface: &str, region: &str) -> Result<Url, OpenstackError> {
        let of_kind = || self.catalog.iter().filter(|entry| entry.kind == service.kind()).flat_map(|it| &it.endpoints);
        let is_there = |endpoint: &&Endpoint| endpoint.region == region || endpoint.region_id == region;
        let fits = of_kind().filter(|endpoint| endpoint.interface == interface).filter(is_there);
        let found = fits.filter_map(|endpoint| versioned(&endpoint.url, service)).next();
        found.ok_or_else(|| {
            let there: BTreeSet<_> = of_kind().map(|it| format!("{} in {}", it.interface, it.region)).collect();
            let reason = match (self.catalog.is_empty(), there.is_empty()) {
                (true, _) => "it is empty, as without a project".to_owned(),
                (false, true) => "there is no such service".to_owned(),
                (false, false) => format!("there is {}", Vec::from_iter(there).join(", ")),
            };
            let wanted = format!("endpoint of version 2 of the service {}, {interface} in {region}", service.kind());
            OpenstackError::NoEndpoint { wanted, reason }
        })
    }
}

/// The URL with a version of the API, unless it is one of another.
fn versioned(url: &str, service: Service) -> Option<Url> {
    let mut url = Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    match url.path_segments()?.find(|segment| is_version(segment)) {
        Some(version) if version != "v2" && !version.starts_with("v2.") => return None,
        Some(_) => {}
        None => {
            url.path_segments_mut()?.pop_if_empty().push(service.version());
        }
    }
    Some(url)
}

/// Whether a segment of a path is a version: `v3`, `v2.1`.
pub(super) fn is_version(segment: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let Some(number) = segment.strip_prefix('v') else { return false };
    match number.split_once('.') {
        Some((major, minor)) => digits(major) && digits(minor),
        None => digits(number),
    }
}
