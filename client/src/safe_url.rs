//! A URL of the configuration, which is shown without what is secret in it.

use std::fmt;

use rosterd_model::{HIDDEN, Problem, bare_url};
use serde::{Deserialize, Serialize, Serializer};

use crate::Url;
use crate::check::SCHEME;
use crate::error::without_user;
use crate::secrets::hidden_query;
use crate::url::UrlError;

/// A URL as it was written. Its password and secret parameters are not shown.
#[derive(Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(transparent)]
pub struct SafeUrl(String);

impl SafeUrl {
    /// Keeps a text that should be a URL.
    pub fn new(url: impl Into<String>) -> Self {
        Self(url.into())
    }

    /// What is written, with its password.
    pub fn written(&self) -> &str {
        &self.0
    }

    /// The URL with its password, if anything is written at all.
    pub fn parse(&self) -> Option<Result<Url, UrlError>> {
        (!self.0.is_empty()).then(|| Url::parse(&self.0))
    }

    /// What is wrong with it as the value of this key, which has to be a URL of HTTP.
    pub fn check(&self, key: &str) -> Option<Problem> {
        let (code, message) = match self.parse() {
            None => ("cfg_missing_key", format!("{key} is missing: write a URL that begins with http:// or https://")),
            Some(Err(error)) => ("cfg_invalid_value", error.to_string()),
            Some(Ok(url)) if matches!(url.scheme(), "http" | "https") => return None,
            Some(Ok(_)) => ("cfg_invalid_value", SCHEME.to_owned()),
        };
        Some(Problem::new(key, code, message))
    }

    /// The URL as it is spelt, without user and password, with secret parameters hidden.
    pub fn without_user(&self) -> String {
        let Ok(url) = Url::read(&self.0) else { return self.to_string() };
        let hidden = hidden_query(&url);
        if url.username().is_empty() && url.password().is_none() && hidden.is_none() {
            return self.0.clone();
        }
        let mut shown = without_user(&url);
        if hidden.is_some() {
            shown.set_query(hidden.as_deref());
        }
        shown.into()
    }
}

impl fmt::Display for SafeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Url::read(&self.0) {
            Ok(mut url) if url.password().is_some() || hidden_query(&url).is_some() => {
                if let Some(query) = hidden_query(&url) {
                    url.set_query(Some(&query));
                }
                if url.password().is_some() {
                    let user = url.username().to_owned();
                    url.set_user(&user, Some("xxxxx"));
                }
                url.fmt(f)
            }
            Ok(url) if url.without_zone().has_host() => f.write_str(&self.0),
            // What is not `scheme://host` cannot be searched for a password.
            _ if self.0.contains('@') => f.write_str(HIDDEN),
            _ => f.write_str(&bare_url(&self.0)),
        }
    }
}

impl fmt::Debug for SafeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for SafeUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_of_a_proxy_is_not_shown() {
        for (url, shown) in [
            ("http://user:hunter2@proxy:3128", "http://user:xxxxx@proxy:3128/"),
            ("http://proxy:3128", "http://proxy:3128"),
            ("http://u:hunter2@h/x?token=abc", "http://u:xxxxx@h/x?token=xxxxx"),
            ("http://h?x=1&token=abc", "http://h/?x=1&token=xxxxx"),
            ("http://u:hunter2@[fe80::1%25eth0]/x?token=abc", "http://u:xxxxx@[fe80::1%25eth0]/x?token=xxxxx"),
            ("http://[FE80::1%25eth0]", "http://[FE80::1%25eth0]"),
            ("user:hunter2@proxy", "<secret>"),
            ("proxy:3128", "proxy:3128"),
            ("proxy:3128/x?sid=hunter2", "proxy:3128/x"),
            ("http://proxy:99999/x?sid=hunter2", "http://proxy:99999/x"),
            ("", ""),
        ] {
            assert_eq!(SafeUrl::new(url).to_string(), shown);
            assert_eq!(format!("{:?}", SafeUrl::new(url)), shown);
        }
    }

    #[test]
    fn only_the_values_of_secret_parameters_are_hidden() {
        for (url, want) in [
            ("http://u:p@h/w?x=1&api_key=abc&Access_Token=d%20e", "http://h/w?x=1&api_key=xxxxx&Access_Token=xxxxx"),
            ("http://h/w?sig=a&design=b&token=&token", "http://h/w?sig=xxxxx&design=b&token=&token"),
            ("http://h/w?to%6ben=a", "http://h/w?to%6ben=xxxxx"),
            ("http://h/sd?env=a b&match[]=x", "http://h/sd?env=a b&match[]=x"),
        ] {
            assert_eq!(SafeUrl::new(url).without_user(), want);
        }
    }
}
