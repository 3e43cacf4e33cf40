//! Redirects: where a reply points to, how to ask there, and which headers stay behind.

use http::{HeaderMap, HeaderName, Method, StatusCode, header};

use crate::{Request, Url};

/// Headers that belong to a host. They are not sent to another one.
const SENSITIVE: [HeaderName; 4] =
    [header::AUTHORIZATION, header::COOKIE, header::PROXY_AUTHORIZATION, header::WWW_AUTHENTICATE];

/// How many redirects are followed for one request.
pub(crate) const MOST: usize = 10;

/// Why none is followed that came over a unix socket: what is behind it knows no host but itself.
pub(crate) const OF_UNIX_SOCKET: &str = "those of a unix socket are not followed";

/// Why none is followed to another host, or out of TLS, by a request with secrets in its body.
pub(crate) const OF_SECRETS: &str = "where it points to is another host, which the secrets of the request are not for";

pub(crate) fn is_sensitive(name: &HeaderName) -> bool {
    SENSITIVE.contains(name)
}

/// Where the reply points to, if it is a redirect that can be followed. One that would turn a `POST` into a `GET` is not: what
/// was to be sent would not arrive, and nobody would notice.
pub(crate) fn target(
    method: &Method,
    from: &Url,
    status: StatusCode,
    headers: &HeaderMap,
) -> Option<Result<Url, String>> {
    let followed = match status.as_u16() {
        301..=303 => matches!(*method, Method::GET | Method::HEAD),
        307 | 308 => true,
        _ => false,
    };
    if !followed {
        return None;
    }
    let location = headers.get(header::LOCATION)?;
    let parsed = location.to_str().map_err(|_| "the location is not text".to_owned());
    Some(parsed.and_then(|text| match from.join(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(url),
        Ok(url) => Err(format!("the scheme {:?} is not HTTP", url.scheme())),
        Err(error) => Err(format!("in its location, {error}")),
    }))
}

/// Whether credentials for one URL may be sent to the other: the host is the same, and TLS is not given up.
pub(crate) fn keeps_credentials(from: &Url, to: &Url) -> bool {
    (from.without_zone().host(), from.zone()) == (to.without_zone().host(), to.zone())
        && !(from.scheme() == "https" && to.scheme() == "http")
}

/// Turns a request into the one that follows the redirect. A token stays behind whatever header it is in.
pub(crate) fn follow(request: &mut Request, to: Url, same_host: bool) {
    if !same_host {
        let headers = request.headers.iter();
        let secret = headers.filter(|(name, value)| is_sensitive(name) || value.is_sensitive());
        let secret: Vec<_> = secret.map(|(name, _)| name.clone()).collect();
        for name in secret {
            request.headers.remove(name);
        }
    }
    request.url = to;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).expect("a URL")
    }

    #[test]
    fn credentials_stay_with_host_and_tls() {
        for (from, to, want) in [
            ("http://a/", "http://a/x", true),
            ("http://a/", "http://a:81/", true),
            ("http://a/", "https://a/", true),
            ("https://a/", "http://a/", false),
            ("http://a/", "http://b/", false),
            ("http://a/", "http://a.a/", false),
            ("http://[fe80::1%25lo]/", "http://[fe80::1%25lo]:81/", true),
            ("http://[fe80::1%25lo]/", "http://[fe80::1%25eth0]/", false),
        ] {
            assert_eq!(keeps_credentials(&url(from), &url(to)), want, "{from} {to}");
        }
    }

    #[test]
    fn a_location_may_be_relative_but_must_be_http() {
        let to = |status: u16, location: &str| {
            let headers = HeaderMap::from_iter([(header::LOCATION, location.parse().expect("a value"))]);
            target(&Method::GET, &url("http://a/b/c"), StatusCode::from_u16(status).expect("a status"), &headers)
        };
        assert_eq!(to(302, "d"), Some(Ok(url("http://a/b/d"))));
        assert_eq!(to(308, "//e/f"), Some(Ok(url("http://e/f"))));
        assert_eq!(to(304, "d"), None);
        assert!(to(302, "file:///etc/passwd").is_some_and(|target| target.is_err()));
        let error = to(302, "http://a:port/").expect("a redirect").expect_err("no URL");
        assert_eq!(error, "in its location, the port of the URL is not a number up to 65535");
    }

    #[test]
    fn what_is_posted_is_posted_again_or_not_at_all() {
        let headers = HeaderMap::from_iter([(header::LOCATION, "http://b/".parse().expect("a value"))]);
        for (status, get, post) in
            [(301, true, false), (302, true, false), (303, true, false), (307, true, true), (308, true, true)]
        {
            let status = StatusCode::from_u16(status).expect("a status");
            let followed = |method| target(&method, &url("http://a/"), status, &headers).is_some();
            assert_eq!((followed(Method::GET), followed(Method::POST)), (get, post), "{status}");
        }
        let mut request = Request::post(url("http://a/"), "b");
        request.headers.insert(header::COOKIE, "c".parse().expect("a value"));
        follow(&mut request, url("http://b/"), false);
        assert_eq!((&request.method, &*request.body), (&Method::POST, &b"b"[..]));
        assert!(request.headers.is_empty());
    }

    #[test]
    fn a_secret_stays_with_its_host_whatever_its_header() {
        let mut request = Request::get(url("http://a/"));
        let mut token = http::HeaderValue::from_static("t");
        token.set_sensitive(true);
        request.headers.insert("x-auth-token", token);
        request.headers.insert("accept", http::HeaderValue::from_static("text/csv"));
        follow(&mut request, url("http://a/b"), true);
        assert_eq!(request.headers.len(), 2);
        follow(&mut request, url("http://b/"), false);
        assert_eq!(request.headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["accept"]);
    }
}
