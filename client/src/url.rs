//! URLs: what Go's reader takes for one, and why a text is none, in plain words.
//!
//! The library that reads them knows no zones of IPv6 addresses, since browsers have none. They are kept beside what it reads.

use std::borrow::Cow;
use std::fmt;
use std::str::{FromStr, Split};
use std::sync::Arc;

use ::url::form_urlencoded::{Parse, Serializer};
use ::url::{ParseError, PathSegmentsMut, Position, UrlQuery};

use crate::secrets::shown;
use crate::zone;

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
    /// A zone of an IPv6 address that cannot be.
    #[error(
        "the zone of the IPv6 address is not written as in http://[fe80::1%25eth0]:9090: %25 and the name of an interface"
    )]
    Zone,
    /// `http://x:y`.
    #[error("the port of the URL is not a number up to 65535")]
    Port,
    /// Anything else.
    #[error("this is not a URL: write scheme://host/path")]
    Other,
}

/// A URL. If its host is an IPv6 address, that may have a zone: the network interface by which it is reached.
///
/// The zone says how to connect. It is a part of the URL wherever that is shown, compared and stored, and of nothing that is
/// said to a server.
#[derive(Clone, PartialEq, Eq)]
pub struct Url {
    plain: ::url::Url,
    zone: Option<Arc<str>>,
}

impl Url {
    /// Reads a URL. Unlike browsers, it takes no host from behind more or less than two slashes.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let url = Self::read(text)?;
        let behind = text.split_once(':').map_or("", |(_, behind)| behind);
        match behind.strip_prefix("//") {
            Some(host) if !host.starts_with(['/', '\\', '?', '#']) && !host.is_empty() => Ok(url),
            Some(_) => Err(UrlError::NoHost),
            None if matches!(url.scheme(), "http" | "https") => Err(UrlError::NoHost),
            None => Err(UrlError::NoScheme),
        }
    }

    /// Reads a URL as browsers do, but for a port without a host.
    pub(crate) fn read(text: &str) -> Result<Self, UrlError> {
        let text = &*with_host(text);
        let (plain, zone) = split(text)?;
        Ok(Self { plain: ::url::Url::parse(&plain).map_err(|error| reason(&plain, error))?, zone })
    }

    /// The URL that this text, which may be relative, stands for in a reply of this one. A host that is the same keeps its zone: the server was not
    /// told it.
    pub fn join(&self, text: &str) -> Result<Self, UrlError> {
        let (text, zone) = split(text)?;
        let plain = self.plain.join(&text).map_err(|error| reason(&text, error))?;
        let zone = zone.or_else(|| self.zone.clone().filter(|_| plain.host() == self.plain.host()));
        Ok(Self { plain, zone })
    }

    /// What a server is told of it: all but the zone.
    pub fn without_zone(&self) -> &::url::Url {
        &self.plain
    }

    /// The name of the interface.
    pub(crate) fn zone(&self) -> Option<&Arc<str>> {
        self.zone.as_ref()
    }

    /// The host as it is spelt in URLs, with its zone; empty if there is none.
    pub(crate) fn host(&self) -> Cow<'_, str> {
        let host = self.plain.host_str().unwrap_or_default();
        self.zone.as_ref().map_or(host.into(), |zone| zone::put(host, zone).into())
    }

    /// The host as it is spelt in URLs, with its zone and a port that is not that of the scheme.
    pub fn authority(&self) -> String {
        let host = self.host();
        self.plain.port().map_or_else(|| host.to_string(), |port| format!("{host}:{port}"))
    }

    /// The scheme, in lower case.
    pub fn scheme(&self) -> &str {
        self.plain.scheme()
    }

    /// The user, as it is encoded; empty if there is none.
    pub fn username(&self) -> &str {
        self.plain.username()
    }

    /// The password, as it is encoded.
    pub fn password(&self) -> Option<&str> {
        self.plain.password()
    }

    /// The path, as it is encoded.
    pub fn path(&self) -> &str {
        self.plain.path()
    }

    /// The segments of the path, as they are encoded; nothing of a URL that has none.
    pub fn path_segments(&self) -> Option<Split<'_, char>> {
        self.plain.path_segments()
    }

    /// The query, as it is encoded.
    pub fn query(&self) -> Option<&str> {
        self.plain.query()
    }

    /// The parameters of the query, decoded.
    pub fn query_pairs(&self) -> Parse<'_> {
        self.plain.query_pairs()
    }

    /// Replaces the path.
    pub fn set_path(&mut self, path: &str) {
        self.plain.set_path(path);
    }

    /// Replaces the query.
    pub fn set_query(&mut self, query: Option<&str>) {
        self.plain.set_query(query);
    }

    /// Without its fragment, which no server is told.
    pub(crate) fn drop_fragment(&mut self) {
        self.plain.set_fragment(None);
    }

    /// The segments of the path, to be changed; nothing of a URL that has none, which is none of HTTP.
    pub fn path_segments_mut(&mut self) -> Option<PathSegmentsMut<'_>> {
        self.plain.path_segments_mut().ok()
    }

    /// The parameters of the query, to be changed.
    pub fn query_pairs_mut(&mut self) -> Serializer<'_, UrlQuery<'_>> {
        self.plain.query_pairs_mut()
    }

    /// Replaces user and password. A URL without a host cannot have them, and stays as it is.
    pub fn set_user(&mut self, user: &str, password: Option<&str>) {
        self.plain.set_username(user).ok();
        self.plain.set_password(password).ok();
    }
}

impl FromStr for Url {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        Self::parse(text)
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.zone {
            None => f.write_str(self.plain.as_str()),
            Some(zone) => {
                f.write_str(&zone::put(&self.plain[..Position::AfterHost], zone))?;
                f.write_str(&self.plain[Position::AfterHost..])
            }
        }
    }
}

/// Without what is secret in it.
impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown(self))
    }
}

impl From<Url> for String {
    fn from(url: Url) -> Self {
        url.to_string()
    }
}

/// What is meant by a port without a host: Go connects to this machine then.
pub(crate) const LOCAL: &str = "127.0.0.1";

/// The URL with the host that is meant where there is only a port: `http://:9090`.
fn with_host(text: &str) -> Cow<'_, str> {
    let host = text.find("://").and_then(|colon| {
        let start = colon + 3;
        let end = text[start..].find(['/', '?', '#', '\\']).map_or(text.len(), |length| start + length);
        let host = text[start..end].rfind('@').map_or(start, |at| start + at + 1);
        text[host..end].strip_prefix(':').filter(|port| !port.is_empty()).map(|_| host)
    });
    host.map_or(text.into(), |host| format!("{}{LOCAL}{}", &text[..host], &text[host..]).into())
}

/// The text without the zone, and the zone.
fn split(text: &str) -> Result<(Cow<'_, str>, Option<Arc<str>>), UrlError> {
    let Some(place) = zone::place(text) else { return Ok((text.into(), None)) };
    let zone = zone::decode(&text[place.clone()]).ok_or(UrlError::Zone)?;
    Ok((format!("{}{}", &text[..place.start], &text[place.end..]).into(), Some(zone.into())))
}

/// Why a text is no URL.
fn reason(text: &str, error: ParseError) -> UrlError {
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
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_shown_is_read_again(
            text in r"(http|socks5)://(u:p@)?\[(fe80::1|::ffff:1\.2\.3\.4)(%25[ -~é]{1,4})?\](:[0-9]{1,5})?[/?#]?[ -~]{0,6}"
        ) {
            if let Ok(url) = Url::parse(&text) {
                prop_assert_eq!(Url::parse(&url.to_string()), Ok(url));
            }
        }
    }

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
            ("http://[1.2.3.4%25eth0]/", UrlError::Ipv6),
            ("http://[x%25eth0]/", UrlError::Ipv6),
            ("http://[fe80::1%eth0]:80/", UrlError::Zone),
            ("http://[fe80::1%25]:80/", UrlError::Zone),
            ("http://[fe80::1%25a%2Fb]:80/", UrlError::Zone),
            ("//[fe80::1%25eth0]:80/", UrlError::NoScheme),
            ("http://x:y/", UrlError::Port),
            ("http://x:70000/", UrlError::Port),
            ("http://[fe80::1%25eth0]:70000/", UrlError::Port),
            ("http://a b/", UrlError::Host),
        ] {
            assert_eq!(Url::parse(text), Err(error), "{text}");
        }
        for text in ["http://a", "https://a:1/b?c#d", "http://[::1]:9090/", "socks5://user:pw@a:1", "HTTP://a"] {
            assert!(Url::parse(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn a_port_without_a_host_is_one_of_this_machine() {
        for (text, url) in [
            ("http://:9090", "http://127.0.0.1:9090/"),
            ("https://:9090/a:b@c?d=:1", "https://127.0.0.1:9090/a:b@c?d=:1"),
            ("http://u:p@:9090/x", "http://u:p@127.0.0.1:9090/x"),
            ("socks5://:1080", "socks5://127.0.0.1:1080"),
            ("http://h/?to=http://:9090", "http://h/?to=http://:9090"),
            ("http://h:9090/", "http://h:9090/"),
        ] {
            assert_eq!(Url::parse(text).map(|url| url.to_string()).as_deref(), Ok(url), "{text}");
        }
        for (text, error) in
            [("http://:", UrlError::NoHost), ("http://:x", UrlError::Port), (":9090", UrlError::NoScheme)]
        {
            assert_eq!(Url::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn a_zone_is_shown_and_not_sent() {
        for (text, zone, shown, sent) in [
            (
                "http://[fe80::1%25eth0]:8428/api",
                "eth0",
                "http://[fe80::1%25eth0]:8428/api",
                "http://[fe80::1]:8428/api",
            ),
            ("HTTPS://[FE80::0:1%25Eth0]", "Eth0", "https://[fe80::1%25Eth0]/", "https://[fe80::1]/"),
            ("http://u:p@[::1%251]:1?q=%25", "1", "http://u:p@[::1%251]:1/?q=%25", "http://u:p@[::1]:1/?q=%25"),
            ("socks5://[::1%25a%2bb]:1", "a+b", "socks5://[::1%25a%2Bb]:1", "socks5://[::1]:1"),
        ] {
            let url = Url::parse(text).expect(text);
            assert_eq!((url.zone().map(|zone| &**zone), &*url.to_string()), (Some(zone), shown));
            assert_eq!(url.without_zone().as_str(), sent);
            assert_eq!(Url::parse(shown), Ok(url), "{text}");
        }
        let url = |zone: &str| Url::parse(&format!("http://[fe80::1{zone}]/")).expect(zone);
        assert_eq!(url("%25eth0").authority(), "[fe80::1%25eth0]");
        assert_ne!(url("%25eth0"), url("%25eth1"));
        assert_ne!(url("%25eth0"), url(""));
    }

    #[test]
    fn a_server_that_speaks_of_itself_knows_no_zone() {
        let url = Url::parse("http://[fe80::1%25eth0]:80/a/b").expect("a URL");
        for (location, to) in [
            ("c", "http://[fe80::1%25eth0]/a/c"),
            ("/c", "http://[fe80::1%25eth0]/c"),
            ("http://[fe80::1]:81/", "http://[fe80::1%25eth0]:81/"),
            ("https://[fe80::2]/", "https://[fe80::2]/"),
            ("//[fe80::2%25eth1]/", "http://[fe80::2%25eth1]/"),
            ("http://h/", "http://h/"),
        ] {
            assert_eq!(url.join(location).expect(location).to_string(), to, "{location}");
        }
        assert_eq!(url.join("http://[fe80::2%eth1]/"), Err(UrlError::Zone));
    }
}
