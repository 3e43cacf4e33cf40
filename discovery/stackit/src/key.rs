//! Keys of service accounts: where they are, and what they say. Reads files, and blocks meanwhile.

use std::path::{Path, PathBuf};

use rosterd_client::{Environment, SafeUrl, Secret, unset};
use rosterd_credentials::sign::{KeyError, Rsa};
use rosterd_model::{Coded, Priority, Retry, in_words};
use rosterd_rest::{Fault, json};
use rosterd_tasks::files;
use tracing::warn;

use super::StackitConfig;

/// Where tokens are to be had, unless a key or the environment says otherwise.
const TOKENS: &str = "https://service-account.api.stackit.cloud/token";

/// What is wrong with a key.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeyFault {
    #[error("cannot read {}: {reason}", path.display())]
    Unreadable { path: PathBuf, reason: String },
    #[error("{what} is no key of a service account of STACKIT")]
    Malformed { what: String, source: Fault },
    #[error("{what} has no private key that can be used")]
    Private { what: String, source: KeyError },
}

impl Coded for KeyFault {
    fn code(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "sd_stackit_key_unreadable",
            Self::Malformed { .. } => "sd_stackit_key_malformed",
            Self::Private { .. } => "sd_stackit_private_key",
        }
    }

    fn priority(&self) -> Priority {
        Priority::Operator
    }

    fn retry(&self) -> Retry {
        // A file may be put right.
        Retry::Interval
    }
}

rosterd_rest::reply! {
    struct Written {
        credentials: Credentials = "credentials",
    }

    struct Credentials {
        id: String = "kid",
        issuer: String = "iss",
        subject: String = "sub",
        audience: String = "aud",
        private_key: Secret = "privateKey",
        endpoint: String = "tokenEndpoint",
    }

    /// What a file of credentials may have.
    struct Stored {
        path: PathBuf = "STACKIT_PRIVATE_KEY_PATH",
        key: Secret = "STACKIT_PRIVATE_KEY",
    }
}

/// What a token is asked for with.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) id: String,
    pub(super) issuer: String,
    pub(super) subject: String,
    pub(super) audience: String,
    pub(super) endpoint: SafeUrl,
    pub(super) private: Rsa,
}

impl Key {
    pub(super) fn read(config: &StackitConfig, environment: &Environment) -> Result<Self, KeyFault> {
        let path = &config.service_account_key_path;
        let (what, text) = match config.service_account_key.is_empty() {
            false => ("service_account_key".to_owned(), config.service_account_key.expose().to_owned()),
            true => (path.display().to_string(), read(path)?),
        };
        let Written { credentials } = parse(&what, &text)?;
        let private = match private_key(config, environment) {
            Some(key) => key,
            None => credentials.private_key,
        };
        let private = Rsa::from_pem(private.expose().as_bytes());
        let missing = || Fault::new("credentials.kid, iss, sub or aud is missing");
        if [&credentials.id, &credentials.issuer, &credentials.subject, &credentials.audience]
            .iter()
            .any(|it| it.is_empty())
        {
            return Err(KeyFault::Malformed { what, source: missing() });
        }
        let named = environment.get("STACKIT_TOKEN_BASEURL").filter(|url| !url.is_empty());
        let written = Some(&*credentials.endpoint).filter(|url| !url.is_empty());
        Ok(Self {
            endpoint: SafeUrl::new(named.or(written).unwrap_or(TOKENS)),
            private: private.map_err(|source| KeyFault::Private { what, source })?,
            id: credentials.id,
            issuer: credentials.issuer,
            subject: credentials.subject,
            audience: credentials.audience,
        })
    }
}

/// The private key that is not in the key of the account, from where there is one first. A place that cannot be read is passed over, as
/// by STACKIT's own programs.
fn private_key(config: &StackitConfig, environment: &Environment) -> Option<Secret> {
    if !config.private_key.is_empty() {
        return Some(config.private_key.clone());
    }
    let variable = |name: &str| environment.get(name).filter(|value| !value.is_empty());
    let named = || variable("STACKIT_PRIVATE_KEY_PATH").map(Path::new);
    let path = Some(&*config.private_key_path).filter(|path| !path.as_os_str().is_empty()).or_else(named);
    if let Some(key) = path.and_then(tried) {
        return Some(key);
    }
    if let Some(key) = variable("STACKIT_PRIVATE_KEY") {
        return Some(Secret::new(key));
    }
    let stored = match (unset(&config.credentials_file_path), variable("STACKIT_CREDENTIALS_PATH")) {
        (false, _) => config.credentials_file_path.clone(),
        (true, Some(path)) => PathBuf::from(path),
        (true, None) => {
            let usual = Path::new(variable("HOME")?).join(".stackit/credentials.json");
            if usual.exists() { usual } else { return None }
        }
    };
    let stored: Stored = parse(&stored.display().to_string(), tried(&stored)?.expose()).ok()?;
    let by_path = || Some(&*stored.path).filter(|path| !path.as_os_str().is_empty()).and_then(tried);
    by_path().or_else(|| Some(stored.key.clone()).filter(|key| !key.is_empty()))
}

fn tried(path: &Path) -> Option<Secret> {
    match read(path) {
        Ok(text) => Some(Secret::new(text)),
        Err(error) => {
            warn!(%error, code = error.code(), "passing over a private key that cannot be read");
            None
        }
    }
}

fn read(path: &Path) -> Result<String, KeyFault> {
    files::read_text(path).map_err(|error| KeyFault::Unreadable { path: path.to_owned(), reason: in_words(error) })
}

/// The faults of JSON do not quote texts.
fn parse<T: serde::de::DeserializeOwned>(what: &str, text: &str) -> Result<T, KeyFault> {
    let malformed = |source| KeyFault::Malformed { what: what.to_owned(), source };
    if text.trim_start().starts_with("-----BEGIN") {
        return Err(malformed(Fault::new(
            "it is a private key: the key of a service account is JSON, and may have it in it",
        )));
    }
    json(text.as_bytes()).map_err(malformed)
}
