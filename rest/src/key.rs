//! Secret keys that stand in the configuration or in a file, to be sent or signed with.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use http::HeaderName;
use rosterd_client::{ClientError, Identity, Request, Secret, Source, System, secret_value, unset};
use rosterd_credentials::Authorize;
use rosterd_discovery::Error;
use rosterd_model::{Problem, in_words};
use rosterd_tasks::files;

/// A secret key, as a configuration says it.
#[derive(Debug, Clone)]
pub struct Key {
    inline: Secret,
    file: PathBuf,
}

impl Key {
    /// The one of these two that is set.
    pub fn new(inline: &Secret, file: &Path) -> Self {
        Self { inline: inline.clone(), file: file.to_owned() }
    }

    /// What is wrong unless exactly one of the two is set, where this is the name of the key of the first one.
    pub fn check(&self, name: &str) -> Option<Problem> {
        match (self.inline.is_empty(), unset(&self.file)) {
            (true, true) => {
                let message = format!("{name} is missing, or {name}_file");
                Some(Problem::new(name, "cfg_missing_key", message))
            }
            (false, false) => {
                let message = format!("give either {name} or {name}_file");
                Some(Problem::new(format!("{name}_file"), "cfg_conflicting_keys", message))
            }
            _ => None,
        }
    }

    /// What is wrong with the file.
    pub fn examine(&self, name: &str) -> Option<Problem> {
        let error = if unset(&self.file) { return None } else { files::read(&self.file).err()? };
        let message = format!("cannot read {}: {}", self.file.display(), in_words(error));
        Some(Problem::new(format!("{name}_file"), "cfg_unreadable", message))
    }

    /// Says who has it.
    pub fn identity(&self, name: &str, id: &mut Identity) {
        id.secret(name, &self.inline);
        id.quietly(|id| id.path(&format!("{name}_file"), &self.file));
    }

    /// Where it is read from whenever it is used. Fails if there is none, as the key of this name: [`check`](Self::check) refuses that.
    pub fn source(&self, name: &str, system: &System) -> Result<Source, ClientError> {
        let missing = || ClientError::Settings { what: format!("{name}: it is missing"), source: None };
        Source::of_secret(&self.inline, &self.file, system).ok_or_else(missing)
    }
}

/// Sends a key as it is, in a header of its own.
#[derive(Debug)]
pub struct KeyHeader {
    /// The key.
    pub key: Source,
    /// The header.
    pub header: HeaderName,
}

#[async_trait]
impl Authorize for KeyHeader {
    async fn authorize(&self, request: &mut Request) -> Result<(), Error> {
        let key = self.key.read().await?;
        let value = secret_value(&format!("the key for {}", self.header), &key)?;
        request.headers.insert(self.header.clone(), value);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use rosterd_client::Url;
    use rosterd_testkit::{Folder, leak_checked_live};

    use super::*;

    #[test]
    fn exactly_one_of_the_two_is_set() {
        let check = |inline: &str, file: &str| {
            let found = Key::new(&inline.into(), Path::new(file)).check("secret_key");
            found.map(|problem| format!("{} {}", problem.code, problem.path))
        };
        assert_eq!(check("", "").as_deref(), Some("cfg_missing_key secret_key"));
        assert_eq!(check("a", "b").as_deref(), Some("cfg_conflicting_keys secret_key_file"));
        assert_eq!((check("a", ""), check("", "b")), (None, None));
    }

    #[test]
    fn a_key_in_a_file_is_read_each_time_and_marked_as_secret() {
        leak_checked_live(async || {
            let folder = Folder::new();
            let file = folder.write("key", "one\n");
            let header = HeaderName::from_static("x-auth-token");
            let of = |file: &Path| Key::new(&Secret::default(), file);
            let key = of(&file).source("secret_key", &System::default()).expect("a key");
            let sender = KeyHeader { key, header };
            for want in ["one", "two"] {
                folder.write("key", format!(" {want}\n"));
                let mut request = Request::get(Url::parse("http://h/").expect("a URL"));
                sender.authorize(&mut request).await.expect("a key");
                let sent = &request.headers["x-auth-token"];
                assert!(sent.is_sensitive() && sent == want, "{want}");
            }
            folder.write("key", "a\nb");
            let mut request = Request::get(Url::parse("http://h/").expect("a URL"));
            let broken = sender.authorize(&mut request).await.expect_err("a line break");
            assert!(!format!("{broken:?} {broken}").contains("a\nb") && !format!("{sender:?}").contains("two"));
            let missing = of(&folder.path("none"));
            assert_eq!(missing.examine("secret_key").map(|problem| problem.code), Some("cfg_unreadable"));
            let missing = missing.source("secret_key", &System::default()).expect("a file").read().await;
            assert_eq!(rosterd_model::Coded::code(&missing.expect_err("no file")), "http_file_unreadable");
            let none = of(Path::new("")).source("secret_key", &System::default()).expect_err("no key").to_string();
            assert_eq!(none, "cannot use secret_key: it is missing");
        });
    }
}
