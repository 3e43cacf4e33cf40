//! The URL of a target as others reach it. Pure.

use std::collections::BTreeMap;

use rosterd_model::target::{Target, write_url};

use super::ExternalUrl;

/// How this agent is reached from outside and from its own host.
#[derive(Debug, Clone)]
pub(super) struct Outside {
    /// The scheme of the external URL.
    pub(super) scheme: String,
    /// Its host and port.
    pub(super) host: String,
    /// The port that this agent listens on.
    pub(super) own_port: String,
}

impl Outside {
    pub(super) fn new(external: &ExternalUrl, own_port: u16) -> Self {
        Self { scheme: external.scheme().to_owned(), host: external.host(), own_port: own_port.to_string() }
    }
}

/// Writes the URL by which others can reach the target: a target on the loopback interface is on the host of the
/// external URL. When the address cannot be taken apart, it stays as it is, and the error is Go's.
pub(super) fn global_url(
    target: Target<'_>,
    params: &BTreeMap<String, Vec<String>>,
    outside: &Outside,
    out: &mut String,
) -> Result<(), String> {
    let (scheme, _, _) = target.url_parts();
    let address = target.address();
    let outcome = seen_from_outside(scheme, address, outside);
    let (scheme, host) = match &outcome {
        Ok(Some((scheme, host))) => (*scheme, host.as_str()),
        _ => (scheme, address),
    };
    write_url(scheme, host, target, params, out);
    outcome.map(|_| ())
}

/// Scheme and host from outside, `None` when they are the same.
fn seen_from_outside<'a>(
    scheme: &'a str,
    address: &str,
    outside: &'a Outside,
) -> Result<Option<(&'a str, String)>, String> {
    let (host, port) = split(address)?;
    if !matches!(host, "127.0.0.1" | "localhost" | "::1") {
        return Ok(None);
    }
    if port == outside.own_port {
        return Ok(Some((&outside.scheme, outside.host.clone())));
    }
    let (host, _) = split(&outside.host)?;
    let bracketed = if host.contains(':') && !port.is_empty() { format!("[{host}]") } else { host.to_owned() };
    Ok(Some((scheme, if port.is_empty() { bracketed } else { format!("{bracketed}:{port}") })))
}

/// Host and port as `net.SplitHostPort` finds them; the port may be missing.
fn split(address: &str) -> Result<(&str, &str), String> {
    let wrong = |what: &str| Err(format!("address {address}: {what}"));
    let colon = address.rfind(':');
    let (host, port, rest) = if let Some(inside) = address.strip_prefix('[') {
        let Some(end) = inside.find(']') else { return wrong("missing ']' in address") };
        let after = &inside[end + 1..];
        match after.strip_prefix(':') {
            None if after.is_empty() => (&inside[..end], "", after),
            Some(port) if !port.contains(':') => (&inside[..end], port, after),
            Some(_) => return wrong("too many colons in address"),
            // A port appended to this would not help either.
            None => return wrong("missing port in address"),
        }
    } else {
        match colon {
            None => (address, "", address),
            Some(colon) if address[..colon].contains(':') => return wrong("too many colons in address"),
            Some(colon) => (&address[..colon], &address[colon + 1..], address),
        }
    };
    if host.contains('[') || rest.contains('[') {
        return wrong("unexpected '[' in address");
    }
    if rest.contains(']') {
        return wrong("unexpected ']' in address");
    }
    Ok((host, port))
}

#[cfg(test)]
mod tests {
    use rosterd_model::Labels;

    use super::*;

    fn global(address: &str, external: &str) -> (String, Result<(), String>) {
        let outside = Outside::new(&ExternalUrl::parse(Some(external), "box", 9090).unwrap(), 9090);
        let labels: Labels =
            [("__scheme__", "http"), ("__address__", address), ("__metrics_path__", "/m")].into_iter().collect();
        let mut out = String::new();
        let outcome = global_url(Target(&labels), &BTreeMap::new(), &outside, &mut out);
        (out, outcome)
    }

    #[test]
    fn loopback_is_the_external_host_seen_from_outside() {
        let url = |address, external| {
            let (url, outcome) = global(address, external);
            assert_eq!(outcome, Ok(()), "{address}");
            url
        };
        assert_eq!(url("localhost:9090", "https://out.example:444/x"), "https://out.example:444/m");
        assert_eq!(url("127.0.0.1:9100", "https://out.example:444/x"), "http://out.example:9100/m");
        assert_eq!(url("[::1]:9100", "https://[fd00::1]/"), "http://[fd00::1]:9100/m");
        assert_eq!(url("localhost", "https://out.example/"), "http://out.example/m");
        assert_eq!(url("other:9090", "https://out.example/"), "http://other:9090/m");
        assert_eq!(url("[::2]", "https://out.example/"), "http://[::2]/m");
    }

    #[test]
    fn an_address_that_cannot_be_split_stays_and_tells_why() {
        let (url, outcome) = global("::1", "http://out.example/");
        assert_eq!(
            (url.as_str(), outcome),
            ("http://::1/m", Err("address ::1: too many colons in address".to_owned()))
        );
        assert_eq!(global("[::1", "http://o/").1, Err("address [::1: missing ']' in address".to_owned()));
        assert_eq!(global("a]:1", "http://o/").1, Err("address a]:1: unexpected ']' in address".to_owned()));
    }
}
