//! What is secret of a request, so that it is hidden wherever it comes back: in what the other side says, and in URLs.

use std::collections::BTreeSet;
use std::error::Error;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderValue};
use rosterd_model::{Coded, HIDDEN, Priority, Report, Retry, Secret};
use url::form_urlencoded::{byte_serialize, parse};

use crate::Url;

/// What stands in a URL in place of a secret: `<` and `>` would be encoded there.
const HIDDEN_IN_URL: &str = "xxxxx";
/// What is shorter is found in too many words to be hidden.
const SHORTEST: usize = 4;

/// The secrets that were sent with a request.
#[derive(Clone, Default)]
pub struct Secrets {
    /// Values of headers that are not to be shown.
    headers: Vec<HeaderValue>,
    texts: Vec<Secret>,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl Secrets {
    /// Those of a request with these headers; costs nothing when it has none.
    pub(crate) fn of(headers: &HeaderMap, url: &str) -> Self {
        let query = url.split_once('?').map_or("", |(_, query)| query);
        let query = parse(query.split('#').next().unwrap_or_default().as_bytes());
        Self {
            headers: headers.values().filter(|value| value.is_sensitive()).cloned().collect(),
            texts: query.filter(|(name, _)| proves(name)).map(|(_, value)| Secret::new(&*value)).collect(),
        }
    }

    /// These as well.
    pub fn and(mut self, texts: impl IntoIterator<Item = Secret>) -> Self {
        self.texts.extend(texts);
        self
    }

    /// Those of both.
    pub(crate) fn merge(&mut self, others: &Self) {
        self.headers.extend_from_slice(&others.headers);
        self.texts.extend_from_slice(&others.texts);
    }

    /// The text without what was sent as a secret: as it was sent, and as a program may repeat it.
    pub fn hide(&self, text: &str) -> String {
        let mut spellings: Vec<_> = self.spellings().into_iter().collect();
        // One may be a part of another.
        spellings.sort_by_key(|spelling| std::cmp::Reverse(spelling.len()));
        spellings.iter().fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), HIDDEN))
    }

    /// The same for an error and its causes.
    pub fn hide_in(&self, report: Report) -> Report {
        if self.headers.is_empty() && self.texts.is_empty() {
            return report;
        }
        let causes = report.causes.iter().map(|cause| self.hide(cause)).collect();
        Report { message: self.hide(&report.message), causes, ..report }
    }

    /// The same for an error that goes on as one.
    pub fn hide_in_error(&self, error: &impl Coded) -> Discreet {
        let Report { message, causes, priority, retry, .. } = self.hide_in(Report::of(error));
        let cause = causes.into_iter().rev().fold(None, |cause, message| Some(Box::new(Cause { message, cause })));
        Discreet { code: error.code(), priority, retry, cause: Cause { message, cause } }
    }

    fn spellings(&self) -> BTreeSet<String> {
        let mut plain: BTreeSet<String> = self.texts.iter().map(|text| text.expose().to_owned()).collect();
        for value in &self.headers {
            let value = String::from_utf8_lossy(value.as_bytes());
            // The kind of the credentials is no secret.
            if let Some((kind, rest)) = value.split_once(' ') {
                plain.insert(rest.to_owned());
                if kind.eq_ignore_ascii_case("basic") {
                    let user = STANDARD.decode(rest).ok().and_then(|bytes| String::from_utf8(bytes).ok());
                    plain.extend(user.iter().filter_map(|user| Some(user.split_once(':')?.1.to_owned())));
                    plain.extend(user);
                }
            }
            plain.insert(value.into_owned());
        }
        let encoded = |text: &String| byte_serialize(text.as_bytes()).collect::<String>();
        let escaped = |text: &String| {
            let json = serde_json::Value::from(text.as_str()).to_string();
            json[1..json.len() - 1].to_owned()
        };
        let spelt = plain.iter().flat_map(|text| [text.clone(), encoded(text), escaped(text)]);
        spelt.filter(|text| text.len() >= SHORTEST).collect()
    }
}

/// An error as it was, without the secrets that were repeated in it.
#[derive(Debug)]
pub struct Discreet {
    code: &'static str,
    priority: Priority,
    retry: Retry,
    cause: Cause,
}

#[derive(Debug)]
struct Cause {
    message: String,
    cause: Option<Box<Cause>>,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Cause {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as _)
    }
}

impl fmt::Display for Discreet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cause.fmt(f)
    }
}

impl Error for Discreet {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.source()
    }
}

impl Coded for Discreet {
    fn code(&self) -> &'static str {
        self.code
    }

    fn priority(&self) -> Priority {
        self.priority
    }

    fn retry(&self) -> Retry {
        self.retry
    }
}

/// Whether what has such a name, a header or a parameter, proves who one is as a password does: it is not shown.
pub fn proves(name: &str) -> bool {
    const PARTS: [&str; 9] =
        ["assertion", "auth", "cookie", "credential", "key", "pass", "secret", "signature", "token"];
    const WHOLE: [&str; 3] = ["jwt", "pwd", "sig"];
    let name = name.to_lowercase();
    WHOLE.contains(&&*name) || PARTS.iter().any(|part| name.contains(part))
}

/// A URL as errors and the log show it: scheme, host, port and path. Any of its parameters may be a secret.
pub fn shown(url: &Url) -> String {
    format!("{}://{}{}", url.scheme(), url.authority(), url.path())
}

/// The query with the values of secret parameters hidden, if there are any; all else stays as it is spelt.
pub(crate) fn hidden_query(url: &Url) -> Option<String> {
    let mut hidden = false;
    let pieces = url.query()?.split('&').map(|piece| match (piece.split_once('='), parse(piece.as_bytes()).next()) {
        (Some((name, value)), Some((decoded, _))) if !value.is_empty() && proves(&decoded) => {
            hidden = true;
            format!("{name}={HIDDEN_IN_URL}")
        }
        _ => piece.to_owned(),
    });
    let query = pieces.collect::<Vec<_>>().join("&");
    hidden.then_some(query)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::basic;

    fn secret(text: &str) -> HeaderValue {
        let mut value = HeaderValue::from_str(text).expect("a value");
        value.set_sensitive(true);
        value
    }

    #[test]
    fn what_was_sent_is_hidden_however_it_is_repeated() {
        let headers = HeaderMap::from_iter([
            (http::header::AUTHORIZATION, basic("me", "hunter2\"+")),
            (http::header::COOKIE, secret("id=abc def")),
            (http::header::ACCEPT, HeaderValue::from_static("application/json")),
        ]);
        let secrets = Secrets::of(&headers, "http://h/p?api_key=k%2Fey1&env=prod#x");
        for text in ["hunter2\"+", "me:hunter2\"+", "hunter2\\\"+", "hunter2%22%2B", "id=abc def", "k/ey1", "k%2Fey1"] {
            assert_eq!(secrets.hide(&format!("no {text}.")), format!("no {HIDDEN}."), "{text}");
        }
        assert_eq!(secrets.hide(&format!("{:?}", "Basic bWU6aHVudGVyMiIr")), format!("\"{HIDDEN}\""));
        assert_eq!(secrets.hide("me: application/json of prod"), "me: application/json of prod");
    }

    #[test]
    fn a_token_is_hidden_without_its_kind_too() {
        let headers = HeaderMap::from_iter([(http::header::AUTHORIZATION, secret("Bearer abcdef"))]);
        let secrets = Secrets::of(&headers, "http://h/");
        assert_eq!(secrets.hide("token abcdef: bad"), format!("token {HIDDEN}: bad"));
        assert_eq!(secrets.hide("the bearer is bad"), "the bearer is bad");
        assert_eq!(Secrets::of(&HeaderMap::new(), "http://h/?a=bcde").hide("bcde"), "bcde");
    }

    #[test]
    fn an_error_keeps_its_code_and_its_causes() {
        let secrets = Secrets::default().and([Secret::new("hunter2")]);
        let source = std::io::Error::other("no hunter2 here").into();
        let error = crate::ClientError::Connect { url: "http://h/".to_owned(), source };
        let report = Report::of(&error);
        let causes = vec![format!("no {HIDDEN} here")];
        assert_eq!(Report::of(&secrets.hide_in_error(&error)), Report { causes, ..report });
    }

    #[test]
    fn where_a_url_is_is_shown() {
        for (url, want) in [
            ("http://u:hunter2@h:81/a@b/c%20d?sid=hunter2#hunter2", "http://h:81/a@b/c%20d"),
            ("https://h:443?sid=hunter2", "https://h/"),
            ("http://u:hunter2@[fe80::1%25eth0]:9/x", "http://[fe80::1%25eth0]:9/x"),
        ] {
            assert_eq!(shown(&Url::parse(url).expect("a URL")), want);
        }
    }
}
