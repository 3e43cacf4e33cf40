//! URLs of the configuration: what Go's reader takes for one, and why a text is none, in plain words.

use ::url::{ParseError, Url};

/// Why a text is no URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// `localhost:9090`.
    #[error("the URL has no scheme: write http:// or https:// in front of it")]
    NoScheme,
    /// `http:///x`.
    #[error("the host is missing in the URL: it follows the two slashes")]
    NoHost,
    /// A name or an IPv4 address that cannot be.
    #[error("the host of the URL is neither a name nor an address")]
    Host,
    /// An IPv6 address that cannot be.
    #[error("the host of the URL is no IPv6 address: these stand in brackets, as in http://[::1]:9090")]
    Ipv6,
    /// An IPv6 address with a zone.
    #[error(
        "a URL cannot name the zone of an IPv6 address here: use a name that stands for it, or an address without a zone"
    )]
    Zone,
    /// `http://x:y`.
    #[error("the port of the URL is not a number up to 65535")]
    Port,
    /// Anything else.
    #[error("this is not a URL: write scheme://host/path")]
    Other,
}

/// Reads a URL. Unlike browsers, it takes no host from behind more or less than two slashes.
pub fn parse_url(text: &str) -> Result<Url, UrlError> {
    let url = Url::parse(text).map_err(|error| reason(text, error))?;
    let behind = text.split_once(':').map_or("", |(_, behind)| behind);
    match behind.strip_prefix("//") {
        Some(host) if !host.starts_with(['/', '\\', '?', '#']) && !host.is_empty() => Ok(url),
        Some(_) => Err(UrlError::NoHost),
        None if matches!(url.scheme(), "http" | "https") => Err(UrlError::NoHost),
        None => Err(UrlError::NoScheme),
    }
}

/// Why a text is no URL.
pub(crate) fn reason(text: &str, error: ParseError) -> UrlError {
    match error {
        ParseError::RelativeUrlWithoutBase | ParseError::RelativeUrlWithCannotBeABaseBase => UrlError::NoScheme,
        ParseError::EmptyHost => UrlError::NoHost,
        ParseError::InvalidPort => UrlError::Port,
        ParseError::InvalidIpv6Address if text.contains('%') => UrlError::Zone,
        ParseError::InvalidIpv6Address => UrlError::Ipv6,
        ParseError::IdnaError | ParseError::InvalidIpv4Address | ParseError::InvalidDomainCharacter => UrlError::Host,
        _ => UrlError::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_url_is_told_in_plain_words() {
        for (text, error) in [
            ("localhost:9090", UrlError::NoScheme),
            ("localhost", UrlError::NoScheme),
            ("/x", UrlError::NoScheme),
            ("10.0.0.1:9090", UrlError::NoScheme),
            ("http:///x", UrlError::NoHost),
            ("http:/x", UrlError::NoHost),
            ("https:x", UrlError::NoHost),
            ("http://", UrlError::NoHost),
            ("http://?a=b", UrlError::NoHost),
            ("http:\\\\x", UrlError::NoHost),
            ("http://[::1", UrlError::Ipv6),
            ("http://[fe80::1%25eth0]:80/", UrlError::Zone),
            ("http://x:y/", UrlError::Port),
            ("http://x:70000/", UrlError::Port),
            ("http://a b/", UrlError::Host),
        ] {
            assert_eq!(parse_url(text), Err(error), "{text}");
        }
        for text in ["http://a", "https://a:1/b?c#d", "http://[::1]:9090/", "socks5://user:pw@a:1", "HTTP://a"] {
            assert!(parse_url(text).is_ok(), "{text}");
        }
    }
}
