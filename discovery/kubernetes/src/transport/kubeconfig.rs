//! Kubeconfig files: the API server of the current context and its user, as settings of the HTTP client.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rosterd_client::{BasicAuth, Header, HttpClientConfig, SafeUrl, Secret, TlsConfig, UrlError, parse_url};
use rosterd_tasks::files::{self, resolve};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use url::Url;

use crate::error::KubeconfigError;

/// The server that a file without one means, as for client-go.
const DEFAULT_SERVER: &str = "http://localhost:8080";

/// A kubeconfig file. What is of no use here is passed over.
#[derive(Debug, Deserialize, Default)]
#[serde(default)]
struct File {
    #[serde(rename = "current-context")]
    current_context: String,
    contexts: Vec<NamedContext>,
    clusters: Vec<NamedCluster>,
    users: Vec<NamedUser>,
}

#[derive(Debug, Deserialize, Default)]
#[serde(default)]
struct NamedContext {
    name: String,
    context: Context,
}

#[derive(Debug, Deserialize, Default)]
#[serde(default)]
struct Context {
    cluster: String,
    user: String,
}

#[derive(Debug, Deserialize, Default)]
#[serde(default)]
struct NamedCluster {
    name: String,
    cluster: Cluster,
}

#[derive(Debug, Deserialize, Default)]
#[serde(default, rename_all = "kebab-case")]
struct Cluster {
    server: String,
    certificate_authority: PathBuf,
    certificate_authority_data: String,
    insecure_skip_tls_verify: bool,
    tls_server_name: String,
    proxy_url: String,
}

#[derive(Debug, Deserialize, Default)]
#[serde(default)]
struct NamedUser {
    name: String,
    user: User,
}

#[derive(Debug, Deserialize, Default)]
#[serde(default, rename_all = "kebab-case")]
struct User {
    client_certificate: PathBuf,
    client_certificate_data: String,
    client_key: PathBuf,
    client_key_data: Secret,
    token: Secret,
    #[serde(rename = "tokenFile")]
    token_file: PathBuf,
    username: String,
    password: Secret,
    #[serde(rename = "as")]
    impersonate: String,
    as_uid: String,
    as_groups: Vec<String>,
    exec: Option<IgnoredAny>,
    auth_provider: Option<IgnoredAny>,
}

/// Reads a file. Fails when there is no such file, it is none, or what it says is not supported.
pub(super) fn read(path: &Path) -> Result<(Url, HttpClientConfig), KubeconfigError> {
    let bytes = files::read(path).map_err(|source| KubeconfigError::Read { path: path.to_owned(), source })?;
    // By way of a value, because there is much in such a file that nobody knows here.
    let value: Value = rosterd_yaml::load(path, &bytes)
        .map_err(|source| KubeconfigError::Malformed { path: path.to_owned(), source: Box::new(source) })?;
    let base = path.parent().unwrap_or(Path::new(""));
    let wrong = |reason: String| KubeconfigError::Unusable { path: path.to_owned(), reason };
    // What is wrong may be a secret.
    let file = File::deserialize(value);
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
    settings(cluster.cluster, user, base).map_err(wrong)
}

fn settings(cluster: Cluster, user: User, base: &Path) -> Result<(Url, HttpClientConfig), String> {
    if user.exec.is_some() {
        return Err("exec of a user is not supported yet: use a token, a tokenFile or a certificate".to_owned());
    }
    if user.auth_provider.is_some() {
        return Err("auth-provider of a user is not supported: use a token, a tokenFile or a certificate".to_owned());
    }
    let server = if cluster.server.is_empty() { DEFAULT_SERVER } else { &cluster.server };
    let url = match parse_url(server) {
        Err(UrlError::NoScheme) => parse_url(&format!("http://{server}")),
        parsed => parsed,
    };
    let url = url.map_err(|error| format!("server of the cluster: {error}"))?;
    let mut client = HttpClientConfig {
        tls_config: tls(&cluster, &user, base)?,
        proxy_url: SafeUrl::new(cluster.proxy_url.as_str()),
        // As for client-go, which asks the environment unless the file says otherwise.
        proxy_from_environment: cluster.proxy_url.is_empty(),
        http_headers: impersonation(&user),
        ..HttpClientConfig::default()
    };
    // The file is read again when it changes, and so counts for more than a copy of it.
    if !user.token_file.as_os_str().is_empty() {
        client.bearer_token_file = user.token_file;
        resolve(base, &mut client.bearer_token_file);
    } else if !user.token.is_empty() {
        client.bearer_token = user.token;
    } else if !user.username.is_empty() || !user.password.is_empty() {
        let (username, password) = (user.username, user.password);
        client.basic_auth = Some(BasicAuth { username, password, ..BasicAuth::default() });
    }
    Ok((url, client))
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
    let groups = user.as_groups.clone();
    let all = [
        ("Impersonate-User", vec![user.impersonate.clone()]),
        ("Impersonate-Uid", vec![user.as_uid.clone()]),
        ("Impersonate-Group", groups),
    ];
    let set = all.into_iter().filter(|(_, values)| values.iter().any(|value| !value.is_empty()));
    set.map(|(name, values)| (name.to_owned(), Header { values, ..Header::default() })).collect()
}

#[cfg(test)]
mod tests {
    use rosterd_testkit::Folder;

    use super::*;

    const FILE: &str = "
apiVersion: v1
kind: Config
preferences: {colors: true}
current-context: b
contexts:
  - {name: a, context: {cluster: one, user: two}}
  - {name: b, context: {cluster: one, user: USER, namespace: x}}
clusters:
  - name: one
    cluster:
      server: https://k.example:6443
      certificate-authority: pki/ca.crt
      tls-server-name: api
      extensions: []
users:
  - {name: cert, user: {client-certificate-data: Y2VydA==, client-key-data: a2V5, as: her, as-groups: [g, h]}}
  - {name: files, user: {client-certificate: me.crt, client-key: /abs/me.key, tokenFile: token, token: old}}
  - {name: token, user: {token: hunter2}}
  - {name: basic, user: {username: u, password: p}}
  - {name: exec, user: {exec: {command: aws, apiVersion: client.authentication.k8s.io/v1}}}
  - {name: broken, user: {client-certificate-data: '?'}}
";

    fn read_as(user: &str) -> Result<(Url, HttpClientConfig), KubeconfigError> {
        let folder = Folder::new();
        let path = folder.path("kube/config");
        std::fs::create_dir_all(folder.path("kube")).unwrap();
        std::fs::write(&path, FILE.replace("USER", user)).unwrap();
        read(&path).map(|(url, mut client)| {
            // As if the folder were always the same.
            let base = folder.path("kube");
            let files =
                [&mut client.tls_config.ca_file, &mut client.tls_config.cert_file, &mut client.bearer_token_file];
            for file in files {
                if let Ok(rest) = file.strip_prefix(&base) {
                    *file = Path::new("/kube").join(rest);
                }
            }
            (url, client)
        })
    }

    #[test]
    fn the_current_context_says_who_asks_whom() {
        let (url, client) = read_as("files").expect("a file");
        assert_eq!(url.as_str(), "https://k.example:6443/");
        let tls = &client.tls_config;
        assert_eq!((tls.ca_file.as_path(), &*tls.server_name), (Path::new("/kube/pki/ca.crt"), "api"));
        assert_eq!(
            (tls.cert_file.as_path(), tls.key_file.as_path()),
            (Path::new("/kube/me.crt"), Path::new("/abs/me.key"))
        );
        assert_eq!(
            (client.bearer_token_file.as_path(), client.bearer_token.is_empty()),
            (Path::new("/kube/token"), true)
        );
        assert!(client.proxy_from_environment && client.http_headers.is_empty());
        let (_, client) = read_as("cert").expect("a file");
        assert_eq!((&*client.tls_config.cert, client.tls_config.key.expose()), ("cert", "key"));
        assert_eq!(client.http_headers["Impersonate-User"].values, ["her"]);
        assert_eq!(client.http_headers["Impersonate-Group"].values, ["g", "h"]);
        assert_eq!(read_as("token").expect("a file").1.bearer_token.expose(), "hunter2");
        assert_eq!(read_as("basic").expect("a file").1.basic_auth.expect("it is basic").username, "u");
        assert_eq!(read_as("''").expect("a file").1.basic_auth, None);
    }

    #[test]
    fn what_is_of_no_use_is_said() {
        for (user, wanted) in [
            ("nobody", "the user \"nobody\" is not among its users"),
            ("exec", "exec of a user is not supported yet"),
            ("broken", "client-certificate-data is not base64"),
        ] {
            let error = read_as(user).expect_err(user).to_string();
            assert!(error.contains(wanted), "{error}");
        }
        let folder = Folder::new();
        let path = folder.path("k");
        for (text, wanted) in [
            ("{}", "it has no current-context"),
            ("current-context: a", "is not among its contexts"),
            ("{current-context: a, contexts: [{name: a, context: {cluster: c}}]}", "is not among its clusters"),
            ("users: 7", "is of another type"),
            ("users: [", "does not hold a kubeconfig"),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = read(&path).expect_err(text).to_string();
            assert!(error.contains(wanted), "{error}");
        }
        assert!(matches!(read(&folder.path("gone")), Err(KubeconfigError::Read { .. })));
    }
}
