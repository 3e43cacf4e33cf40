//! Files as people have them, and what is wrong with them.

use rosterd_testkit::Folder;
use serde_json::json;

use super::*;
use crate::transport::plugin::VERSIONS;

const FILE: &str = "
apiVersion: v1
kind: Config
preferences: {colors: true}
current-context: b
contexts:
  - {name: a, context: {cluster: one, user: two}}
  - {name: b, context: {cluster: CLUSTER, user: USER, namespace: x}}
clusters:
  - name: one
    cluster:
      server: https://k.example:6443
      certificate-authority: pki/ca.crt
      tls-server-name: api
      extensions: [{name: client.authentication.k8s.io/exec, extension: {audience: x}}]
  - {name: plain, cluster: {server: 'k.example:8080'}}
  - {name: open, cluster: {server: 'https://k', insecure-skip-tls-verify: true, proxy-url: 'http://proxy:3128'}}
  - {name: nowhere, cluster: {insecure-skip-tls-verify: true}}
  - {name: proxied, cluster: {server: 'https://k', proxy-url: '://'}}
users:
  - name: cert
    user:
      client-certificate-data: Y2VydA==
      client-key-data: a2V5
      as: her
      as-groups: [g, h]
      as-user-extra: {'a/b': [c]}
  - {name: files, user: {client-certificate: me.crt, client-key: /abs/me.key, tokenFile: token, token: old}}
  - {name: token, user: {token: hunter2}}
  - {name: basic, user: {username: u, password: p}}
  - name: exec
    user:
      exec:
        apiVersion: client.authentication.k8s.io/v1
        command: bin/aws
        args: [token]
        env: [{name: REGION, value: eu}]
        interactiveMode: IfAvailable
        provideClusterInfo: true
        installHint: get it
  - {name: old, user: {exec: {apiVersion: client.authentication.k8s.io/v1beta1, command: aws, args: null, env: null}}}
  - {name: alpha, user: {exec: {apiVersion: client.authentication.k8s.io/v1alpha1, command: aws}}}
  - {name: always, user: {exec: {apiVersion: client.authentication.k8s.io/v1, command: a, interactiveMode: Always}}}
  - {name: unsaid, user: {exec: {apiVersion: client.authentication.k8s.io/v1, command: a}}}
  - {name: empty, user: {exec: {apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never}}}
  - {name: provider, user: {auth-provider: {name: gcp}}}
  - {name: both, user: {token: t, username: u}}
  - {name: keyless, user: {client-certificate: c}}
  - {name: groups, user: {as-groups: [g]}}
  - {name: broken, user: {client-certificate-data: '?', client-key-data: a2V5}}
";

fn read_as(user: &str) -> Result<Access, KubeconfigError> {
    read_of("one", user)
}

fn read_of(cluster: &str, user: &str) -> Result<Access, KubeconfigError> {
    let folder = Folder::new();
    let path = folder.path("kube/config");
    std::fs::create_dir_all(folder.path("kube")).unwrap();
    std::fs::write(&path, FILE.replace("USER", user).replace("CLUSTER", cluster)).unwrap();
    read(&path).map(|mut access| {
        // As if the folder were always the same.
        let base = folder.path("kube");
        let client = &mut access.client;
        let files = [&mut client.tls_config.ca_file, &mut client.tls_config.cert_file, &mut client.bearer_token_file];
        for file in files {
            if let Ok(rest) = file.strip_prefix(&base) {
                *file = Path::new("/kube").join(rest);
            }
        }
        if let Some(command) = &mut access.command {
            command.program = command.program.replace(base.to_str().unwrap(), "/kube");
        }
        access
    })
}

#[test]
fn the_current_context_says_who_asks_whom() {
    let Access { url, client, .. } = read_as("files").expect("a file");
    assert_eq!(url.to_string(), "https://k.example:6443/");
    let tls = &client.tls_config;
    assert_eq!((tls.ca_file.as_path(), &*tls.server_name), (Path::new("/kube/pki/ca.crt"), "api"));
    assert_eq!(
        (tls.cert_file.as_path(), tls.key_file.as_path()),
        (Path::new("/kube/me.crt"), Path::new("/abs/me.key"))
    );
    assert_eq!((client.bearer_token_file.as_path(), client.bearer_token.is_empty()), (Path::new("/kube/token"), true));
    assert!(client.proxy_from_environment && client.http_headers.is_empty());
    let client = read_as("cert").expect("a file").client;
    assert_eq!((&*client.tls_config.cert, client.tls_config.key.expose()), ("cert", "key"));
    assert_eq!(client.http_headers["Impersonate-User"].values, ["her"]);
    assert_eq!(client.http_headers["Impersonate-Group"].values, ["g", "h"]);
    assert_eq!(client.http_headers["Impersonate-Extra-a%2Fb"].values, ["c"]);
    assert_eq!(read_as("token").expect("a file").client.bearer_token.expose(), "hunter2");
    assert_eq!(read_as("basic").expect("a file").client.basic_auth.expect("it is basic").username, "u");
    assert_eq!(read_as("''").expect("a file").client.basic_auth, None);
    let client = read_of("open", "token").expect("a file").client;
    assert!(client.tls_config.insecure_skip_verify && !client.proxy_from_environment);
    assert_eq!(client.proxy_url, SafeUrl::new("http://proxy:3128"));
}

#[test]
fn nothing_secret_goes_over_a_connection_that_is_in_the_clear() {
    for user in ["token", "basic", "exec", "files", "cert"] {
        let Access { url, client, command, withholds } = read_of("plain", user).expect(user);
        assert_eq!(url.to_string(), "http://k.example:8080/");
        let bare = HttpClientConfig { proxy_from_environment: true, ..HttpClientConfig::default() };
        assert_eq!(HttpClientConfig { http_headers: BTreeMap::new(), ..client }, bare, "{user}");
        assert!(command.is_none() && withholds, "{user}");
        assert!(!read_as(user).expect(user).withholds, "{user}");
    }
    assert!(!read_of("plain", "''").expect("a file").withholds, "there is nothing to withhold");
}

#[test]
fn a_command_is_taken_with_all_that_it_is_told() {
    let command = read_as("exec").expect("a file").command.expect("a command");
    assert_eq!((&*command.program, &*command.arguments), ("/kube/bin/aws", &["token".to_owned()][..]));
    assert_eq!(command.environment, [("REGION".to_owned(), Secret::from("eu"))]);
    assert_eq!((&*command.version, &*command.hint), (VERSIONS[0], "get it"));
    let cluster = json!({"server": "https://k.example:6443", "tls-server-name": "api", "config": {"audience": "x"}});
    assert_eq!(command.cluster, Some(cluster));
    assert!(command.ca_file.ends_with("pki/ca.crt"));
    let command = read_as("old").expect("a file").command.expect("a command");
    assert_eq!((&*command.program, command.cluster), ("aws", None));
    // Whoever has a token needs none.
    assert_eq!(read_as("token").expect("a file").command, None);
}

#[test]
fn what_is_of_no_use_is_said() {
    for (user, wanted) in [
        ("nobody", "the user \"nobody\" is not among its users"),
        ("alpha", "apiVersion of exec is \"client.authentication.k8s.io/v1alpha1\""),
        ("always", "there is nobody to be asked"),
        ("unsaid", "exec has no interactiveMode"),
        ("empty", "exec has no command"),
        ("provider", "auth-provider of the user is not supported"),
        ("both", "both a token and a username"),
        ("keyless", "no client-key"),
        ("groups", "without as"),
        ("broken", "client-certificate-data is not base64"),
    ] {
        let error = read_as(user).expect_err(user).to_string();
        assert!(error.contains(wanted), "{error}");
    }
    for (cluster, wanted) in [("nowhere", "the cluster has no server"), ("proxied", "proxy-url of the cluster: ")] {
        let error = read_of(cluster, "token").expect_err(cluster).to_string();
        assert!(error.contains(wanted), "{error}");
    }
    let folder = Folder::new();
    let path = folder.path("k");
    for (text, wanted) in [
        ("{}", "it has no current-context"),
        ("current-context: a", "is not among its contexts"),
        ("{current-context: a, contexts: [{name: a, context: {cluster: c}}]}", "is not among its clusters"),
        ("{current-context: a, contexts: null, clusters: null}", "is not among its contexts"),
        ("users: 7", "is of another type"),
        ("users: [", "does not hold a kubeconfig"),
    ] {
        std::fs::write(&path, text).unwrap();
        let error = read(&path).expect_err(text).to_string();
        assert!(error.contains(wanted), "{error}");
    }
    assert!(matches!(read(&folder.path("gone")), Err(KubeconfigError::Read { .. })));
}
