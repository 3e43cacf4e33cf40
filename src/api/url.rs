//! The URL of a target, spelt as Go spells it, byte by byte: that is what other tools compare. Pure.

use std::collections::BTreeMap;

use crate::roster::target::Target;
use crate::web::ExternalUrl;

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

/// The parts of a part of a URL that differ in what is escaped.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Host,
    Path,
    Query,
}

/// Writes the URL by which the target is scraped. `params` are those of the job: the labels of the target replace the
/// first value of each.
pub(crate) fn scrape_url(target: Target<'_>, params: &BTreeMap<String, Vec<String>>, out: &mut String) {
    let (scheme, _, _) = target.url_parts();
    write_url(scheme, target.address(), target, params, out);
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

fn write_url(scheme: &str, host: &str, target: Target<'_>, params: &BTreeMap<String, Vec<String>>, out: &mut String) {
    let (_, path, labels) = target.url_parts();
    if !scheme.is_empty() {
        out.push_str(scheme);
        out.push(':');
    }
    if !host.is_empty() || (!scheme.is_empty() && !path.is_empty()) {
        out.push_str("//");
    }
    escape(host, Part::Host, out);
    if !path.is_empty() && !path.starts_with('/') && !host.is_empty() {
        out.push('/');
    }
    if path == "*" {
        out.push('*');
    } else {
        escape(path, Part::Path, out);
    }
    write_query(labels, params, out);
}

fn write_query<'a>(
    labels: impl Iterator<Item = (&'a str, &'a str)> + Clone,
    params: &'a BTreeMap<String, Vec<String>>,
    out: &mut String,
) {
    if params.is_empty() && labels.clone().next().is_none() {
        return;
    }
    let mut values: BTreeMap<&str, Vec<&str>> =
        params.iter().map(|(key, values)| (key.as_str(), values.iter().map(String::as_str).collect())).collect();
    for (key, value) in labels {
        let values = values.entry(key).or_default();
        match values.first_mut() {
            Some(first) => *first = value,
            None => values.push(value),
        }
    }
    let pairs = values.iter().flat_map(|(key, values)| values.iter().map(move |value| (key, value)));
    for (index, (key, value)) in pairs.enumerate() {
        out.push(if index == 0 { '?' } else { '&' });
        escape(key, Part::Query, out);
        out.push('=');
        escape(value, Part::Query, out);
    }
}

fn escape(text: &str, part: Part, out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    if text.bytes().all(|byte| is_plain(byte, part)) {
        out.push_str(text);
        return;
    }
    for byte in text.bytes() {
        if byte == b' ' && part == Part::Query {
            out.push('+');
        } else if is_plain(byte, part) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
}

fn is_plain(byte: u8, part: Part) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'-' | b'_' | b'.' | b'~')
        || match part {
            Part::Host => b"!$&'()*+,;=:[]<>\"".contains(&byte),
            Part::Path => b"$&+,/:;=@".contains(&byte),
            Part::Query => false,
        }
}

#[cfg(test)]
mod tests {
    use rosterd_model::Labels;

    use super::*;

    fn url(labels: &[(&str, &str)], params: &[(&str, &[&str])]) -> String {
        let labels: Labels = labels.iter().copied().collect();
        let params = params
            .iter()
            .map(|(key, values)| ((*key).to_owned(), values.iter().map(|value| (*value).to_owned()).collect()))
            .collect();
        let mut out = String::new();
        scrape_url(Target(&labels), &params, &mut out);
        out
    }

    #[test]
    fn urls_are_escaped_as_go_does() {
        let at =
            |address, path| url(&[("__scheme__", "http"), ("__address__", address), ("__metrics_path__", path)], &[]);
        assert_eq!(at("h:1", "/metrics"), "http://h:1/metrics");
        assert_eq!(at("[::1]:9090", "metrics"), "http://[::1]:9090/metrics");
        assert_eq!(at("a b", "/x y/ü?z%!"), "http://a%20b/x%20y/%C3%BC%3Fz%25%21");
        assert_eq!(at("h", "/a:b@c;d,e=f&g+h$i"), "http://h/a:b@c;d,e=f&g+h$i");
        assert_eq!(at("h<\">", ""), "http://h<\">");
    }

    #[test]
    fn parameters_are_sorted_and_labels_replace_the_first_value() {
        let labels = [
            ("__scheme__", "http"),
            ("__address__", "h"),
            ("__metrics_path__", "/p"),
            ("__param_m", "x y&z"),
            ("__param_a", "1"),
        ];
        assert_eq!(
            url(&labels, &[("m", &["old", "second"]), ("q", &["/"])]),
            "http://h/p?a=1&m=x+y%26z&m=second&q=%2F"
        );
    }

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
