//! Strings that must not be seen: passwords, tokens, keys.

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

/// What is shown in place of a secret.
pub const HIDDEN: &str = "<secret>";

/// A string that prints and serialises as `<secret>`, or as nothing when it is empty.
///
/// Two secrets are equal when their contents are, so that a configuration with a changed password is a different
/// configuration; the comparison takes the same time wherever they differ.
#[derive(Clone, Default, Deserialize)]
#[serde(transparent)]
pub struct Secret(Box<str>);

impl Secret {
    /// Hides a string.
    pub fn new(content: impl Into<Box<str>>) -> Self {
        Self(content.into())
    }

    /// The content. Whoever calls this promises to send it where it belongs and nowhere else.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether nothing is hidden here.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn shown(&self) -> &'static str {
        if self.is_empty() { "" } else { HIDDEN }
    }
}

impl From<String> for Secret {
    fn from(content: String) -> Self {
        Self::new(content)
    }
}

impl From<&str> for Secret {
    fn from(content: &str) -> Self {
        Self::new(content)
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        let (left, right) = (self.0.as_bytes(), other.0.as_bytes());
        let differences = left.iter().zip(right).fold(0, |all, (left, right)| all | (left ^ right));
        // The hint keeps the loop from being turned into one that stops early.
        left.len() == right.len() && std::hint::black_box(differences) == 0
    }
}

impl Eq for Secret {}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.shown())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.shown())
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.shown())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_shown() {
        let secret = Secret::from("hunter2");
        assert_eq!(format!("{secret} {secret:?} {:?}", Some(&secret)), "<secret> <secret> Some(<secret>)");
        assert_eq!(serde_json::to_string(&secret).unwrap(), r#""<secret>""#);
        assert_eq!(secret.expose(), "hunter2");
    }

    #[test]
    fn nothing_is_shown_as_nothing() {
        let secret = Secret::default();
        assert_eq!(format!("[{secret}{secret:?}]"), "[]");
        assert_eq!(serde_json::to_string(&secret).unwrap(), r#""""#);
    }

    #[test]
    fn the_content_is_the_identity() {
        let secret: Secret = serde_yaml::from_str("hunter2").unwrap();
        assert_eq!(secret, Secret::from("hunter2"));
        for other in ["", "hunter3", "hunter", "hunter22", "Hunter2"] {
            assert_ne!(secret, Secret::from(other), "{other}");
        }
    }
}
