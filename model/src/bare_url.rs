//! URLs as messages show them: where something is, and not with what one gets in.

use std::borrow::Cow;

/// What stands for a part of which nobody knows whether it is secret.
const UNKNOWN: &str = "...";

/// What messages show of a URL, or of a text that should be one: scheme, host, port and path. Neither user and password nor
/// parameters are shown, as any of them may be a secret.
///
/// A text that is no URL is cut in the same places. Where an `@` stands behind what could be the host, as where somebody left a `/` or `?` of a
/// password as it is, nothing behind the scheme is shown.
pub fn bare_url(text: &str) -> Cow<'_, str> {
    let (scheme, rest) = text.split_at(behind_scheme(text));
    let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
    let host = match rest.rfind('@') {
        Some(at) if at < end => at + 1,
        Some(_) if scheme.is_empty() || !is_place(&rest[..end]) => return format!("{scheme}{UNKNOWN}").into(),
        _ => 0,
    };
    let stop = rest[host..].find(['?', '#']).map_or(rest.len(), |length| host + length);
    match host {
        0 => text[..scheme.len() + stop].into(),
        _ => format!("{scheme}{}", &rest[host..stop]).into(),
    }
}

/// What messages show of a key or a name, which may be a URL.
pub fn bare_key(text: &str) -> Cow<'_, str> {
    if text.contains("://") { bare_url(text) } else { text.into() }
}

/// Where the host begins, unless there is no scheme before it.
fn behind_scheme(text: &str) -> usize {
    let is_before = |text: &str| !text.contains(['/', '?', '#', '@', '\\']);
    text.find("://").filter(|colon| is_before(&text[..*colon])).map_or(0, |colon| colon + 3)
}

/// Whether it is a host with or without a port, and not what comes before a password.
fn is_place(text: &str) -> bool {
    let is_port = |port: &str| port.ends_with(']') || port.parse::<u16>().is_ok();
    !text.is_empty() && !text.contains('@') && text.rsplit_once(':').is_none_or(|(_, port)| is_port(port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_it_is_is_shown_and_nothing_else() {
        for (text, shown) in [
            ("http://h:1/a/b", "http://h:1/a/b"),
            ("http://h", "http://h"),
            ("h:9100", "h:9100"),
            ("", ""),
            ("http://u:hunter2@h:99999/p?sid=hunter2#hunter2", "http://h:99999/p"),
            ("http://hunter2@h/p#hunter2", "http://h/p"),
            ("https://u:hunter@2@h", "https://h"),
            ("u:hunter2@h:9100/metrics?x=hunter2", "h:9100/metrics"),
            ("http://h?sid=hunter2", "http://h"),
            ("http://u:hunter2@[::1%25lo]:x/", "http://[::1%25lo]:x/"),
            ("http://h/p?mail=a@b.example", "http://h/p"),
            ("http://[::1]:80/a@b", "http://[::1]:80/a@b"),
            ("http://[::1]/a@b", "http://[::1]/a@b"),
            (" \"http://u:hunter2@h/\"", " \"http://h/\""),
            ("remote_write.http://u:hunter2@h/p?x=1", "remote_write.http://h/p"),
        ] {
            assert_eq!(bare_url(text), shown, "{text}");
        }
    }

    #[test]
    fn where_nobody_knows_what_belongs_to_a_password_nothing_is_shown() {
        for (text, shown) in [
            ("http://u:hun/ter2@h/p", "http://..."),
            ("http://u:hun?ter2@h/p", "http://..."),
            ("http://u:hun#ter2@h/p", "http://..."),
            ("http://u:hun@t/er2@h/p", "http://..."),
            ("http:\\\\u:hunter2@h", "..."),
            ("http:/u:hunter2@h", "..."),
            ("//u:hunter2@h/", "..."),
            ("http://?hunter2@h", "http://..."),
            ("u:hun/ter2@h", "..."),
            ("hun/ter2@h", "..."),
            ("h:?hunter2@x", "..."),
            ("h:99999/p?mail=a@b.example", "..."),
        ] {
            assert_eq!(bare_url(text), shown, "{text}");
        }
    }

    #[test]
    fn a_key_that_is_no_url_is_shown_as_it_is() {
        assert_eq!(bare_key("params.a@b?"), "params.a@b?");
        assert_eq!(bare_key("remote_write.http://u:hunter2@h/?hunter2"), "remote_write.http://h/");
    }

    #[test]
    fn what_shows_all_of_it_costs_no_copy() {
        assert!(matches!(bare_url("http://h:1/p"), Cow::Borrowed("http://h:1/p")));
        assert!(matches!(bare_url("http://h:1/p?a=b"), Cow::Borrowed("http://h:1/p")));
        assert!(matches!(bare_url("http://u@h"), Cow::Owned(_)));
    }
}
