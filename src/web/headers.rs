//! The headers by which browsers are told what an answer may do. The web configuration has the last word.

use http::header::{CONTENT_SECURITY_POLICY, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderValue};

/// Nothing is loaded, and nobody shows it in a frame. Pages, which need more, say so themselves.
const NOTHING: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
const NO_SNIFFING: HeaderValue = HeaderValue::from_static("nosniff");

/// Adds what an answer does not say itself, and then what is configured. What is configured without a value is not sent.
pub(super) fn complete(headers: &mut HeaderMap, configured: Option<&HeaderMap>) {
    headers.entry(CONTENT_SECURITY_POLICY).or_insert(NOTHING);
    headers.entry(X_CONTENT_TYPE_OPTIONS).or_insert(NO_SNIFFING);
    for (name, value) in configured.into_iter().flatten() {
        if value.is_empty() {
            headers.remove(name);
        } else {
            headers.insert(name, value.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(headers: &[(&'static str, &'static str)]) -> HeaderMap {
        headers.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn the_configuration_wins_over_the_answer_which_wins_over_the_defaults() {
        let (policy, sniffing) = ("content-security-policy", "x-content-type-options");
        let completed = |own: &[(&'static str, &'static str)], configured: &[(&'static str, &'static str)]| {
            let mut headers = map(own);
            complete(&mut headers, Some(&map(configured)));
            headers
        };
        let strict = "default-src 'none'; frame-ancestors 'none'";
        assert_eq!(completed(&[], &[]), map(&[(policy, strict), (sniffing, "nosniff")]));
        assert_eq!(completed(&[(policy, "a")], &[]), map(&[(policy, "a"), (sniffing, "nosniff")]));
        assert_eq!(completed(&[(policy, "a")], &[(policy, "b")]), map(&[(policy, "b"), (sniffing, "nosniff")]));
        assert_eq!(completed(&[(policy, "a")], &[(policy, ""), (sniffing, "")]), map(&[]));
    }
}
