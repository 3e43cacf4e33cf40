//! The URL of a target, spelt as Go spells it, byte by byte: that is what other tools compare. Pure.

use std::collections::BTreeMap;

use super::Target;

/// The parts of a part of a URL that differ in what is escaped.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Host,
    Path,
    Query,
}

/// Writes the URL by which the target is scraped. `params` are those of the job: the labels of the target replace the
/// first value of each.
pub fn scrape_url(target: Target<'_>, params: &BTreeMap<String, Vec<String>>, out: &mut String) {
    let (scheme, _, _) = target.url_parts();
    write_url(scheme, target.address(), target, params, out);
}

/// Writes the URL of the target with another scheme and host, spelt as Go spells it, byte by byte: that is what other tools
/// compare.
pub fn write_url(
    scheme: &str,
    host: &str,
    target: Target<'_>,
    params: &BTreeMap<String, Vec<String>>,
    out: &mut String,
) {
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
    use super::*;
    use crate::Labels;

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
}
