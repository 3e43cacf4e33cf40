//! For whom a certificate is.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rustls_pki_types::ServerName;
use x509_parser::extensions::GeneralName;

use super::Untrusted;
use super::read::Certificate;

/// Whether the certificate of a server is for this name. Only alternative names count.
pub(super) fn is_for(certificate: &Certificate<'_>, wanted: &ServerName<'_>) -> Result<(), Untrusted> {
    let names = certificate.names()?;
    let good = names.iter().any(|name| match (name, wanted) {
        (GeneralName::DNSName(pattern), ServerName::DnsName(host)) => matches(pattern, host.as_ref()),
        (GeneralName::IPAddress(bytes), ServerName::IpAddress(wanted)) => {
            address(bytes).is_some_and(|address| address.to_canonical() == IpAddr::from(*wanted).to_canonical())
        }
        _ => false,
    });
    if good {
        return Ok(());
    }
    let names: Vec<_> = names.iter().filter_map(text).collect();
    let (is_address, wanted) = (matches!(wanted, ServerName::IpAddress(_)), wanted.to_str().into_owned());
    match names.as_slice() {
        // Addresses that fit have been found before.
        names if is_address && names.contains(&wanted) => Err(Untrusted::AddressAsName { wanted }),
        [] => Err(Untrusted::Nameless { wanted }),
        names => Err(Untrusted::Name { wanted, names: names.join(", ") }),
    }
}

/// Whether a name, of which the first label may be a star, is that of a host. A star stands for one label, wherever the domain
/// is: also for all of `*.internal`.
fn matches(pattern: &str, host: &str) -> bool {
    if !is_pattern(pattern) {
        return false;
    }
    let (mut pattern, mut host) = (pattern.split('.'), host.strip_suffix('.').unwrap_or(host).split('.'));
    let mut first = true;
    loop {
        match (pattern.next(), host.next()) {
            (None, None) => return true,
            (Some("*"), Some(_)) if first => {}
            (Some(pattern), Some(host)) if pattern.eq_ignore_ascii_case(host) => {}
            _ => return false,
        }
        first = false;
    }
}

/// Labels of letters, digits, underscores and inner hyphens, of which the first may be a star, if there are others.
fn is_pattern(pattern: &str) -> bool {
    let label = |label: &str| {
        let known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        !label.is_empty() && !label.starts_with('-') && label.bytes().all(known)
    };
    let rest = pattern.strip_prefix("*.").unwrap_or(pattern);
    rest.split('.').all(label)
}

fn text(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => address(bytes).map(|address| address.to_string()),
        _ => None,
    }
}

/// The address that a certificate names, if the bytes are one.
pub fn address(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
        return Some(Ipv4Addr::from(v4).into());
    }
    <[u8; 16]>::try_from(bytes).ok().map(|v6| Ipv6Addr::from(v6).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_one_label_at_the_beginning() {
        for (pattern, host, good) in [
            ("a.example", "A.Example", true),
            ("a.example", "a.example.", true),
            ("*.example", "a.example", true),
            ("*.internal", "a.internal", true),
            ("*.example", "a.b.example", false),
            ("*.example", "example", false),
            ("a.*", "a.example", false),
            ("a*.example", "ab.example", false),
            ("*", "localhost", false),
            ("*.*", "a.example", false),
            ("a_b.example", "a_b.example", true),
            ("-a.example", "-a.example", false),
            ("a.example.", "a.example", false),
            ("", "", false),
        ] {
            assert_eq!(matches(pattern, host), good, "{pattern} {host}");
        }
    }
}
