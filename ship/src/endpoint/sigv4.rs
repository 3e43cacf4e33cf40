//! AWS Signature Version 4 of requests, as `sigv4` says. No credentials are looked for behind the user's back: they stand in the
//! configuration or in the file that it names.

use std::path::Path;

use async_trait::async_trait;
use jiff::Timestamp;
use rosterd_client::Request;
use rosterd_credentials::Authorize;
use rosterd_credentials::sigv4::{self, Keys, Scope};
use rosterd_model::{Error, in_words};

use crate::config::SigV4Config;
use crate::error::SendError;

/// Amazon Managed Service for Prometheus.
const SERVICE: &str = "aps";

/// Signs requests.
#[derive(Debug)]
pub(super) struct Signer(SigV4Config);

/// Keys, and where they are good.
#[derive(Debug, Clone, PartialEq, Default)]
struct Credentials {
    keys: Keys,
    region: String,
}

impl Signer {
    /// Fails when there is nothing to sign with.
    pub(super) fn new(config: &SigV4Config) -> Result<Self, String> {
        if !config.role_arn.is_empty() {
            return Err("sigv4.role_arn is not supported: give the keys of a user, or a profile".to_owned());
        }
        let signer = Self(config.clone());
        signer.credentials().map(|_| signer)
    }

    /// Adds the headers of a signature.
    fn sign(&self, request: &mut Request) -> Result<(), String> {
        let Credentials { keys, region } = self.credentials()?;
        let service = if self.0.service.is_empty() { SERVICE } else { &self.0.service };
        let scope = Scope { region: &region, service };
        sigv4::sign(request, &keys, scope, Timestamp::now()).map_err(|error| format!("sigv4: {error}"))
    }

    /// The credentials as they are now.
    fn credentials(&self) -> Result<Credentials, String> {
        let config = &self.0;
        let mut found = match (&config.credentials_file, config.access_key.is_empty()) {
            (_, false) => {
                let (id, secret) = (config.access_key.clone(), config.secret_key.clone());
                Credentials { keys: Keys { id, secret, token: config.session_token.clone() }, region: String::new() }
            }
            (Some(file), true) => of_file(file, &config.profile)?,
            (None, true) => return Err("sigv4 needs access_key and secret_key, or a profile".to_owned()),
        };
        if !config.region.is_empty() {
            found.region.clone_from(&config.region);
        }
        if found.region.is_empty() {
            return Err("sigv4 needs a region".to_owned());
        }
        Ok(found)
    }
}

#[async_trait]
impl Authorize for Signer {
    async fn authorize(&self, request: &mut Request) -> Result<(), Error> {
        Ok(self.sign(request).map_err(|reason| SendError::Unsigned { reason })?)
    }
}

fn of_file(file: &Path, profile: &str) -> Result<Credentials, String> {
    let profile = if profile.is_empty() { "default" } else { profile };
    let text = rosterd_tasks::files::read_text(file)
        .map_err(|error| format!("cannot read {}: {}", file.display(), in_words(error)))?;
    of_profile(&text, profile).ok_or_else(|| format!("{} has no keys of profile {profile:?}", file.display()))
}

/// The keys of a profile, in the format of `~/.aws/credentials` and `~/.aws/config`.
fn of_profile(text: &str, profile: &str) -> Option<Credentials> {
    let (mut ours, mut found) = (false, Credentials::default());
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            let name = name.trim();
            ours = name.strip_prefix("profile ").unwrap_or(name).trim() == profile;
        } else if let Some((key, value)) = line.split_once('=').filter(|_| ours) {
            let value = value.trim();
            match key.trim() {
                "aws_access_key_id" => found.keys.id = value.to_owned(),
                "aws_secret_access_key" => found.keys.secret = value.into(),
                "aws_session_token" => found.keys.token = value.into(),
                "region" => found.region = value.to_owned(),
                _ => {}
            }
        }
    }
    (!found.keys.id.is_empty() && !found.keys.secret.is_empty()).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> SigV4Config {
        SigV4Config {
            region: "us-east-1".to_owned(),
            service: "service".to_owned(),
            access_key: "AKIDEXAMPLE".to_owned(),
            secret_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".into(),
            ..SigV4Config::default()
        }
    }

    #[test]
    fn keys_come_from_a_profile() {
        let text = "[default]\naws_access_key_id = a\naws_secret_access_key=b\n\n[profile prod]\n\
                    aws_access_key_id = c\naws_secret_access_key = d\naws_session_token = e\nregion = f\n";
        let found = of_profile(text, "prod").unwrap();
        assert_eq!(
            (&*found.keys.id, found.keys.secret.expose(), found.keys.token.expose(), &*found.region),
            ("c", "d", "e", "f")
        );
        assert_eq!(of_profile(text, "default").unwrap().keys.id, "a");
        assert_eq!(of_profile(text, "none"), None);
    }

    #[test]
    fn what_cannot_be_signed_with_is_refused() {
        let refused = |config: SigV4Config| Signer::new(&config).unwrap_err();
        assert!(refused(SigV4Config { role_arn: "arn:x".to_owned(), ..config() }).contains("role_arn"));
        assert!(refused(SigV4Config { region: String::new(), ..config() }).contains("region"));
        assert!(refused(SigV4Config { access_key: String::new(), ..config() }).contains("access_key"));
    }
}
