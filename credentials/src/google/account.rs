//! Who asks Google for a token, as the files of its tools say it. Pure.

use std::collections::BTreeMap;

use rosterd_client::Secret;
use serde::Deserialize;
use serde_json::Value;

/// Where the tokens of accounts are made, unless a file says so.
const TOKEN_URL: &str = "https://oauth2.googleapis.com/token";
/// The same for what others vouch for.
const STS_URL: &str = "https://sts.googleapis.com/v1/token";
/// How long a token of somebody else is wanted, in seconds.
const LIFETIME: u64 = 3600;

/// Who asks.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Account {
    /// A service account, by its key.
    Service(Service),
    /// A person who has logged in once, by what was left of that.
    User(User),
    /// Somebody whom another identity provider vouches for.
    External(Box<External>),
    /// Somebody who may act as a service account.
    Impersonated { as_whom: Impersonation, source: Box<Account> },
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Service {
    pub(super) email: String,
    pub(super) key: Secret,
    pub(super) key_id: String,
    pub(super) token_url: String,
    /// What the assertion is for, if not the token URL.
    pub(super) audience: String,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct User {
    pub(super) client_id: String,
    pub(super) client_secret: Secret,
    pub(super) refresh_token: Secret,
    pub(super) token_url: String,
    /// Whether the client proves itself by a header instead of in the form.
    pub(super) by_header: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct External {
    pub(super) audience: String,
    pub(super) subject_token_type: String,
    pub(super) token_url: String,
    pub(super) client_id: String,
    pub(super) client_secret: Secret,
    /// Whose project pays, of somebody who is no workload.
    pub(super) user_project: String,
    pub(super) subject: Subject,
    pub(super) format: Format,
    pub(super) as_whom: Option<Impersonation>,
}

/// Where the proof of the other identity provider is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Subject {
    File(String),
    Url { url: String, headers: BTreeMap<String, Secret> },
}

/// How that is written.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Format {
    Text,
    /// The value of this key.
    Json(String),
}

/// A service account to act as.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Impersonation {
    pub(super) url: String,
    pub(super) delegates: Vec<String>,
    pub(super) seconds: u64,
}

/// What a file says.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct FoundAccount {
    pub(super) account: Account,
    /// The project that pays for what is asked for.
    pub(super) quota_project: String,
}

/// All that stands in one kind of file or another.
#[derive(Deserialize, Default)]
#[serde(default)]
struct File {
    #[serde(rename = "type")]
    kind: Option<String>,
    client_email: String,
    private_key: Secret,
    private_key_id: String,
    token_uri: String,
    audience: String,
    client_id: String,
    client_secret: Secret,
    refresh_token: Secret,
    token_url: String,
    subject_token_type: String,
    workforce_pool_user_project: String,
    credential_source: Option<CredentialSource>,
    service_account_impersonation_url: String,
    service_account_impersonation: Lifetime,
    delegates: Vec<String>,
    source_credentials: Option<Box<File>>,
    quota_project_id: String,
    web: Option<Value>,
    installed: Option<Value>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Lifetime {
    token_lifetime_seconds: u64,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct CredentialSource {
    file: String,
    url: String,
    headers: BTreeMap<String, Secret>,
    format: SourceFormat,
    environment_id: String,
    executable: Option<Value>,
    certificate: Option<Value>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct SourceFormat {
    #[serde(rename = "type")]
    kind: String,
    subject_token_field_name: String,
}

/// Reads a file. What is wrong is told without what stands in it: that may be a key.
pub(super) fn read(text: &str) -> Result<FoundAccount, String> {
    let place = |error: serde_json::Error| {
        format!("it is not the JSON of credentials (line {}, column {})", error.line(), error.column())
    };
    let file: File = serde_json::from_str(text).map_err(place)?;
    let quota_project = file.quota_project_id.clone();
    Ok(FoundAccount { account: file.account()?, quota_project })
}

/// Reads the key of a service account, and nothing else.
pub(super) fn read_service(text: &str) -> Result<FoundAccount, String> {
    let found = read(text)?;
    match found.account {
        Account::Service(_) => Ok(found),
        _ => Err("it is not the key of a service account: its type has to be service_account".to_owned()),
    }
}

impl File {
    fn account(self) -> Result<Account, String> {
        let Some(kind) = self.kind.clone() else {
            return Err(match self.web.is_some() || self.installed.is_some() {
                true => "it names a program that people log in with (an OAuth client), and nobody who asks".to_owned(),
                false => "it has no type: it is not a file of credentials of Google".to_owned(),
            });
        };
        match &*kind {
            "service_account" | "gdch_service_account" => self.service().map(Account::Service),
            "authorized_user" => self.user(false).map(Account::User),
            "external_account_authorized_user" => self.user(true).map(Account::User),
            "external_account" => self.external().map(|external| Account::External(Box::new(external))),
            "impersonated_service_account" => self.impersonated(),
            kind => Err(format!(
                "credentials of the type {kind:?} are not known: service_account, authorized_user, external_account, \
                 external_account_authorized_user and impersonated_service_account are"
            )),
        }
    }

    fn service(self) -> Result<Service, String> {
        needs("client_email", self.client_email.is_empty())?;
        needs("private_key", self.private_key.is_empty())?;
        Ok(Service {
            email: self.client_email,
            key: self.private_key,
            key_id: self.private_key_id,
            token_url: or(self.token_uri, TOKEN_URL),
            audience: self.audience,
        })
    }

    fn user(self, is_external: bool) -> Result<User, String> {
        needs("refresh_token", self.refresh_token.is_empty())?;
        needs("client_id", self.client_id.is_empty())?;
        let token_url = match is_external {
            true => or(self.token_url, "https://sts.googleapis.com/v1/oauthtoken"),
            false => or(self.token_uri, TOKEN_URL),
        };
        Ok(User {
            client_id: self.client_id,
            client_secret: self.client_secret,
            refresh_token: self.refresh_token,
            token_url,
            by_header: is_external,
        })
    }

    fn external(self) -> Result<External, String> {
        needs("audience", self.audience.is_empty())?;
        needs("subject_token_type", self.subject_token_type.is_empty())?;
        let source = self.credential_source.unwrap_or_default();
        let format = match (&*source.format.kind, source.format.subject_token_field_name) {
            ("" | "text", _) => Format::Text,
            ("json", key) if !key.is_empty() => Format::Json(key),
            ("json", _) => return Err("credential_source.format has no subject_token_field_name".to_owned()),
            _ => return Err("credential_source.format.type is neither text nor json".to_owned()),
        };
        let unsupported = |what| Err(format!("{what} are not supported: use a file or a url in credential_source"));
        let subject = if !source.environment_id.is_empty() {
            return unsupported("credentials of AWS as proof (environment_id)");
        } else if source.executable.is_some() {
            return unsupported("programs that print the proof (executable)");
        } else if source.certificate.is_some() {
            return unsupported("certificates as proof (certificate)");
        } else if !source.file.is_empty() {
            Subject::File(source.file)
        } else if !source.url.is_empty() {
            Subject::Url { url: source.url, headers: source.headers }
        } else {
            return Err("credential_source has neither a file nor a url".to_owned());
        };
        let seconds = self.service_account_impersonation.token_lifetime_seconds;
        Ok(External {
            audience: self.audience,
            subject_token_type: self.subject_token_type,
            token_url: or(self.token_url, STS_URL),
            client_id: self.client_id,
            client_secret: self.client_secret,
            user_project: self.workforce_pool_user_project,
            subject,
            format,
            as_whom: impersonation(self.service_account_impersonation_url, Vec::new(), seconds),
        })
    }

    fn impersonated(self) -> Result<Account, String> {
        let as_whom = impersonation(self.service_account_impersonation_url, self.delegates, 0);
        let as_whom = as_whom.ok_or_else(|| missing("service_account_impersonation_url"))?;
        let source = self.source_credentials.ok_or_else(|| missing("source_credentials"))?;
        let source = source.account().map_err(|reason| format!("its source_credentials are of no use: {reason}"))?;
        Ok(Account::Impersonated { as_whom, source: Box::new(source) })
    }
}

fn impersonation(url: String, delegates: Vec<String>, seconds: u64) -> Option<Impersonation> {
    let seconds = if seconds == 0 { LIFETIME } else { seconds };
    (!url.is_empty()).then_some(Impersonation { url, delegates, seconds })
}

fn or(text: String, default: &str) -> String {
    if text.is_empty() { default.to_owned() } else { text }
}

fn missing(key: &str) -> String {
    format!("{key} is missing in it")
}

fn needs(key: &str, is_missing: bool) -> Result<(), String> {
    if is_missing { Err(missing(key)) } else { Ok(()) }
}
