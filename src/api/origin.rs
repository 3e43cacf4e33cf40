//! Whether a browser sends a request on behalf of another site: a page of somebody else must not reload or stop rosterd by
//! the hand of who looks at it.

use http::header::{HOST, ORIGIN};
use http::uri::Authority;
use http::{HeaderMap, Uri};
use url::Url;

use super::{Error, ExternalUrl};

/// Fails when a browser says that the request comes from another site. Programs say nothing of the kind.
pub(super) fn check(uri: &Uri, headers: &HeaderMap, external: &ExternalUrl) -> Result<(), Error> {
    let site = headers.get("sec-fetch-site").map(|site| site.as_bytes());
    let foreign = match (site, headers.get(ORIGIN)) {
        // Only what the browser itself was told to open, or a page of the same origin.
        (Some(site), _) => !matches!(site, b"none" | b"same-origin"),
        // Browsers send no `Sec-Fetch-Site` to plain HTTP of other machines.
        (None, Some(origin)) => !origin.to_str().is_ok_and(|origin| is_ours(origin, uri, headers, external)),
        (None, None) => false,
    };
    if foreign { Err(Error::CrossSite { origin: origin(headers) }) } else { Ok(()) }
}

fn origin(headers: &HeaderMap) -> String {
    let said = headers.get(ORIGIN).and_then(|origin| origin.to_str().ok());
    said.unwrap_or("another site").to_owned()
}

/// Whether it is where the request was sent to, or where rosterd is seen from outside.
fn is_ours(origin: &str, uri: &Uri, headers: &HeaderMap, external: &ExternalUrl) -> bool {
    let Ok(origin) = Url::parse(origin) else { return false };
    if external.is_origin(&origin) {
        return true;
    }
    let asked = headers.get(HOST).and_then(|host| host.to_str().ok()?.parse::<Authority>().ok());
    let Some(asked) = asked.as_ref().or(uri.authority()) else { return false };
    // Behind a proxy it is not known by which scheme was asked: without a port it is that of the origin.
    let port =
        asked.port_u16().or_else(|| Url::parse(&format!("{}://h", origin.scheme())).ok()?.port_or_known_default());
    origin.host_str().is_some_and(|host| host.eq_ignore_ascii_case(asked.host()))
        && origin.port_or_known_default() == port
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(headers: &[(&'static str, &str)]) -> bool {
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        let external = ExternalUrl::parse(Some("https://rosterd.example/under"), "h", 8395).unwrap();
        check(&Uri::from_static("/-/reload"), &headers, &external).is_ok()
    }

    #[test]
    fn programs_and_pages_of_the_same_origin_may_ask() {
        for headers in [
            &[("host", "h:8395")][..],
            &[],
            &[("host", "h:8395"), ("origin", "http://h:8395")],
            &[("host", "H"), ("origin", "http://h")],
            &[("host", "h"), ("origin", "https://h")],
            &[("host", "[::1]:8395"), ("origin", "http://[::1]:8395")],
            &[("host", "10.0.0.1:8395"), ("origin", "https://rosterd.example")],
            &[("host", "h:8395"), ("origin", "http://inside"), ("sec-fetch-site", "same-origin")],
            &[("host", "h:8395"), ("sec-fetch-site", "none")],
        ] {
            assert!(passes(headers), "{headers:?}");
        }
    }

    #[test]
    fn pages_of_others_may_not() {
        for headers in [
            &[("host", "h:8395"), ("origin", "http://evil.example")][..],
            &[("host", "h:8395"), ("origin", "http://h")],
            &[("host", "h:8395"), ("origin", "http://h:8396")],
            &[("host", "h:8395"), ("origin", "null")],
            &[("origin", "http://h:8395")],
            &[("host", "h:8395"), ("origin", "http://rosterd.example")],
            &[("host", "h:8395"), ("sec-fetch-site", "cross-site")],
            &[("host", "h:8395"), ("sec-fetch-site", "same-site")],
            &[("host", "h:8395"), ("origin", "http://h:8395"), ("sec-fetch-site", "cross-site")],
        ] {
            assert!(!passes(headers), "{headers:?}");
        }
    }
}
