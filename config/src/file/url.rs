//! A URL to send to. Its password and secret parameters are not shown.

use std::fmt;

use rosterd_client::{SafeUrl, Url};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The URL of a remote endpoint, shown and serialised without its password and secret parameters.
#[derive(Clone, PartialEq, Eq)]
pub struct DestinationUrl(Url);

impl DestinationUrl {
    /// The URL with its password. Whoever calls this promises to send it where it belongs and nowhere else.
    pub fn expose(&self) -> &Url {
        &self.0
    }
}

impl fmt::Display for DestinationUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        SafeUrl::new(self.0.clone()).fmt(f)
    }
}

impl fmt::Debug for DestinationUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for DestinationUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for DestinationUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match Url::parse(&text) {
            Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(Self(url)),
            Ok(_) => Err(de::Error::custom("the URL must begin with http:// or https://")),
            Err(error) => Err(de::Error::custom(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_is_not_shown() {
        let url: DestinationUrl = serde_yaml::from_str("http://user:hunter2@host/write").unwrap();
        assert_eq!(format!("{url} {url:?}"), "http://user:xxxxx@host/write http://user:xxxxx@host/write");
        assert_eq!(url.expose().password(), Some("hunter2"));
        let url: DestinationUrl = serde_yaml::from_str("http://host/write?tenant=a&token=hunter2").unwrap();
        assert_eq!(url.to_string(), "http://host/write?tenant=a&token=xxxxx");
        let url: DestinationUrl = serde_yaml::from_str("http://user:hunter2@[fe80::1%25eth0]:8428/write").unwrap();
        assert_eq!(url.to_string(), "http://user:xxxxx@[fe80::1%25eth0]:8428/write");
        for text in ["http://[fe80::1%eth0]/", "write", "ftp://host/", "''"] {
            assert!(serde_yaml::from_str::<DestinationUrl>(text).is_err(), "{text}");
        }
    }
}
