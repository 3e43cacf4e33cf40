//! Kubeconfig files: the API server of the current context and its user, as settings of the HTTP client. The rules are those
//! of client-go.

mod exec; // a command that prints credentials
mod file; // what stands in a file
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use rosterd_client::{BasicAuth, Header, HttpClientConfig, SafeUrl, Secret, TlsConfig, Url, UrlError};
use rosterd_tasks::files::{self, resolve};
use serde::Deserialize;
use serde_json::Value;

use super::Access;
use crate::error::KubeconfigError;
use file::{Cluster, File, User};

/// What may stand in the name of a header.
const TOKEN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'!')
    .remove(b'#')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'*')
    .remove(b'+')
    .remove(b'-')
    .remove(b'.')
    .remove(b'^')
    .remove(b'_')
    .remove(b'`')
    .remove(b'|')
    .remove(b'~');

/// Reads a file. Fails when there is no such file, it is none, or what it says is not supported.
pub(crate) fn read(path: &Path) -> Result<Access, KubeconfigError> {
    let bytes = files::read(path).map_err(|source| KubeconfigError::Read { path: path.to_owned(), source })?;
    // By way of a value, because there is much in such a file that nobody knows here.
    let value: Value = rosterd_yaml::load(path, &bytes)
        .map_err(|source| KubeconfigError::Malformed { path: path.to_owned(), source: Box::new(source) })?;
    let base = path.parent().unwrap_or(Path::new(""));
    let wrong = |reason: String| KubeconfigError::Unusable { path: path.to_owned(), reason };
    // What is wrong may be a secret.
    let file = File::deserialize(without_nulls(value));
    let file = file.map_err(|_| wrong("one of its settings is of another type than it should be".to_owned()))?;
    let name = &file.current_context;
    let context = file.contexts.into_iter().find(|context| context.name == *name);
    let context = match context {
        Some(context) => context.context,
        None if name.is_empty() => return Err(wrong("it has no current-context".to_owned())),
        None => return Err(wrong(format!("its current-context {name:?} is not among its contexts"))),
    };
    let cluster = file.clusters.into_iter().find(|cluster| cluster.name == context.cluster);
    let cluster =
        cluster.ok_or_else(|| wrong(format!("the cluster {:?} is not among its clusters", context.cluster)))?;
    let user = file.users.into_iter().find(|user| user.name == context.user);
    let user = match user {
        Some(user) => user.user,
        // Whoever needs no user leaves the name out.
        None if context.user.is_empty() => User::default(),
        None => return Err(wrong(format!("the user {:?} is not among its users", context.user))),
    };
    access(cluster.cluster, user, base).map_err(wrong)
}

/// Keys without a value are as good as left out: `kubectl` writes `args: null`.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let set = map.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(set.map(|(key, value)| (key, without_nulls(value))).collect())
        }
        Value::Array(list) => Value::Array(list.into_iter().map(without_nulls).collect()),
        value => value,
    }
}

fn access(cluster: Cluster, user: User, base: &Path) -> Result<Access, String> {
    if cluster.server.is_empty() {
        return Err("the cluster has no server".to_owned());
    }
    let url = match Url::parse(&cluster.server) {
        Err(UrlError::NoScheme) => Url::parse(&format!("http://{}", cluster.server)),
        parsed => parsed,
    };
    let url = url.map_err(|error| format!("server of the cluster: {error}"))?;
    if let Some(Err(error)) = SafeUrl::new(cluster.proxy_url.as_str()).parse() {
        return Err(format!("proxy-url of the cluster: {error}"));
    }
    check(&user)?;
    let mut client = HttpClientConfig {
        proxy_url: SafeUrl::new(cluster.proxy_url.as_str()),
        // As for client-go, which asks the environment unless the file says otherwise.
        proxy_from_environment: cluster.proxy_url.is_empty(),
        http_headers: impersonation(&user),
        ..HttpClientConfig::default()
    };
    // Nobody's secrets are sent in the clear.
    if url.scheme() != "https" {
        return Ok(Access { url, client, command: None, withholds: user.has_credentials() });
    }
    client.tls_config = tls(&cluster, &user, base)?;
    let has_certificate = !client.tls_config.cert.is_empty() || !client.tls_config.cert_file.as_os_str().is_empty();
    let mut command = None;
    // The file is read again when it changes, and so counts for more than a copy of it.
    if !user.token_file.as_os_str().is_empty() {
        client.bearer_token_file = user.token_file;
        resolve(base, &mut client.bearer_token_file);
    } else if !user.token.is_empty() {
        client.bearer_token = user.token;
    } else if !user.username.is_empty() || !user.password.is_empty() {
        let (username, password) = (user.username, user.password);
        client.basic_auth = Some(BasicAuth { username, password, ..BasicAuth::default() });
    } else if let Some(exec) = user.exec.filter(|_| !has_certificate) {
        command = Some(exec.command(&cluster, &client.tls_config, base)?);
    }
    Ok(Access { url, client, command, withholds: false })
}

impl User {
    fn has_token(&self) -> bool {
        !self.token.is_empty() || !self.token_file.as_os_str().is_empty()
    }

    fn has_password(&self) -> bool {
        !self.username.is_empty() || !self.password.is_empty()
    }

    fn has_certificate(&self) -> bool {
        !self.client_certificate.as_os_str().is_empty() || !self.client_certificate_data.is_empty()
    }

    fn has_credentials(&self) -> bool {
        self.has_token() || self.has_password() || self.has_certificate() || self.exec.is_some()
    }
}

/// What does not go together.
fn check(user: &User) -> Result<(), String> {
    let (token, basic) = (user.has_token(), user.has_password());
    let key = !user.client_key.as_os_str().is_empty() || !user.client_key_data.is_empty();
    let certificate = user.has_certificate();
    let as_nobody = user.impersonate.is_empty()
        && !(user.as_uid.is_empty() && user.as_groups.is_empty() && user.as_user_extra.is_empty());
    let wrong = [
        (
            user.auth_provider.is_some(),
            "auth-provider of the user is not supported: use exec, a token or a certificate",
        ),
        (token && basic, "the user has both a token and a username: leave one of them out"),
        (certificate && !key, "the user has a client-certificate and no client-key"),
        (key && !certificate, "the user has a client-key and no client-certificate"),
        (as_nobody, "the user has as-uid, as-groups or as-user-extra without as"),
    ];
    wrong.into_iter().find(|(is, _)| *is).map_or(Ok(()), |(_, reason)| Err(reason.to_owned()))
}

/// A file, as it stands in the data of a kubeconfig.
pub(super) fn packed(path: &Path) -> io::Result<String> {
    files::read(path).map(|bytes| BASE64_STANDARD.encode(bytes))
}

fn tls(cluster: &Cluster, user: &User, base: &Path) -> Result<TlsConfig, String> {
    let mut tls = TlsConfig {
        insecure_skip_verify: cluster.insecure_skip_tls_verify,
        server_name: cluster.tls_server_name.clone(),
        ..TlsConfig::default()
    };
    match cluster.certificate_authority_data.as_str() {
        "" => tls.ca_file.clone_from(&cluster.certificate_authority),
        data => tls.ca = pem("certificate-authority-data", data)?,
    }
    match user.client_certificate_data.as_str() {
        "" => tls.cert_file.clone_from(&user.client_certificate),
        data => tls.cert = pem("client-certificate-data", data)?,
    }
    match user.client_key_data.expose() {
        "" => tls.key_file.clone_from(&user.client_key),
        data => tls.key = Secret::new(pem("client-key-data", data)?),
    }
    [&mut tls.ca_file, &mut tls.cert_file, &mut tls.key_file].into_iter().for_each(|file| resolve(base, file));
    Ok(tls)
}

fn pem(key: &str, data: &str) -> Result<String, String> {
    let packed: String = data.split_ascii_whitespace().collect();
    let bytes = BASE64_STANDARD.decode(packed).map_err(|_| format!("{key} is not base64"))?;
    String::from_utf8(bytes).map_err(|_| format!("{key} is not PEM in base64"))
}

/// The headers by which one user acts as another.
fn impersonation(user: &User) -> BTreeMap<String, Header> {
    let extra = |(key, values): (&String, &Vec<String>)| {
        (format!("Impersonate-Extra-{}", utf8_percent_encode(key, TOKEN)), values.clone())
    };
    let own = [
        ("Impersonate-User", vec![user.impersonate.clone()]),
        ("Impersonate-Uid", vec![user.as_uid.clone()]),
        ("Impersonate-Group", user.as_groups.clone()),
    ];
    let all =
        own.into_iter().map(|(name, values)| (name.to_owned(), values)).chain(user.as_user_extra.iter().map(extra));
    let set = all.filter(|(_, values)| values.iter().any(|value| !value.is_empty()));
    set.map(|(name, values)| (name, Header { values, ..Header::default() })).collect()
}
