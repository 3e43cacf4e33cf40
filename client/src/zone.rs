//! Zones of IPv6 addresses in URLs (RFC 6874): the network interface by which an address is reached, as in
//! `http://[fe80::1%25eth0]:9090`. Only who connects has to know it. Pure.

use std::ops::Range;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// What stands between an address and its zone: a `%`, as URLs spell it.
const MARK: &str = "%25";
/// What is escaped of a zone.
const ESCAPED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Where the zone stands in a URL, or in one without a scheme, from the `%` to the closing bracket.
pub(crate) fn place(url: &str) -> Option<Range<usize>> {
    let slashes = url.find("//")?;
    let scheme = &url[..slashes];
    let is_scheme = |scheme: &str| scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    if !scheme.is_empty() && !scheme.strip_suffix(':').is_some_and(is_scheme) {
        return None;
    }
    let start = slashes + 2;
    let authority = &url[start..];
    let authority = &authority[..authority.find(['/', '\\', '?', '#']).unwrap_or(authority.len())];
    let host = authority.rfind('@').map_or(0, |at| at + 1);
    let inside = authority[host..].strip_prefix('[')?;
    let inside = &inside[..inside.find(']')?];
    let first = start + host + 1;
    Some(first + inside.find('%')?..first + inside.len())
}

/// The name of the interface that is written as this; nothing if it cannot be one.
pub(crate) fn decode(zone: &str) -> Option<String> {
    let name = percent_decode_str(zone.strip_prefix(MARK)?).decode_utf8().ok()?;
    let possible = |sign: char| sign != '/' && !sign.is_whitespace() && !sign.is_control();
    (!name.is_empty() && name.chars().all(possible)).then(|| name.into_owned())
}

/// Such a zone behind an address, which may be in brackets.
pub(crate) fn put(address: &str, zone: &str) -> String {
    let (address, end) = address.strip_suffix(']').map_or((address, ""), |address| (address, "]"));
    format!("{address}{MARK}{}{end}", utf8_percent_encode(zone, &ESCAPED))
}

/// An address without its zone, and how the zone is written.
pub(crate) fn split(address: &str) -> Option<(&str, &str)> {
    address.find('%').map(|at| address.split_at(at))
}

/// An address in brackets, perhaps with a port, without its zone.
pub(crate) fn without(authority: &str) -> Option<String> {
    let (inside, rest) = authority.strip_prefix('[')?.split_once(']')?;
    split(inside).map(|(address, _)| format!("[{address}]{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_stands_behind_an_address_in_brackets() {
        for (url, zone) in [
            ("http://[fe80::1%25eth0]:8428/api", Some("%25eth0")),
            ("//[fe80::1%25eth0]", Some("%25eth0")),
            ("https://u:p@[fe80::1%eth0]?x=[a%25b]", Some("%eth0")),
            ("http://u%25:p@[fe80::1]/%25", None),
            ("http://h/?x=//[fe80::1%25eth0]", None),
            ("/x//[fe80::1%25eth0]", None),
            ("a b://[fe80::1%25eth0]", None),
            ("http://[fe80::1%25eth0", None),
        ] {
            assert_eq!(place(url).map(|place| &url[place]), zone, "{url}");
        }
    }

    #[test]
    fn names_of_interfaces_are_escaped() {
        for (written, name) in [
            ("%25eth0", Some("eth0")),
            ("%2525", Some("25")),
            ("%25eth0.1_~-", Some("eth0.1_~-")),
            ("%25a%2Bb%25", Some("a+b%")),
            ("%25%C3%BC", Some("ü")),
            ("%25", None),
            ("%eth0", None),
            ("%25a%2Fb", None),
            ("%25a%20b", None),
            ("%25%FF", None),
        ] {
            assert_eq!(decode(written).as_deref(), name, "{written}");
        }
        assert_eq!(put("[fe80::1]", "a+b%"), "[fe80::1%25a%2Bb%25]");
        assert_eq!(put("fe80::1", "eth0"), "fe80::1%25eth0");
        assert_eq!(without("[fe80::1%25eth0]:80").as_deref(), Some("[fe80::1]:80"));
        assert_eq!((without("[fe80::1]:80"), without("h:80")), (None, None));
    }
}
