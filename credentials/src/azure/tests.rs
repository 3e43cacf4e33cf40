//! Whom Entra ID is asked as, with what, and what becomes of its answers.

use std::path::Path;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{RSA_PSS_2048_8192_SHA256, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rosterd_client::{Environment, HttpClientConfig, SafeUrl, Secret, System};
use rosterd_model::{Error, Priority, Retry};
use rosterd_sign::Rsa;
use rosterd_testkit::{Folder, Received, ScriptedServer, Step, fixture, leak_checked_live};
use serde_json::{Value, json};
use url::form_urlencoded::parse;

use super::issuer::{Azure, AzureMethod, Certificate};
use super::managed::Source;
use crate::{Issued, Issuer};

const SCOPE: &str = "https://management.core.windows.net//.default";
const RESOURCE: &str = "https%3A%2F%2Fmanagement.core.windows.net%2F";
const ENDPOINT: &str = "/tenant/oauth2/v2.0/token";

fn azure(server: &ScriptedServer, method: AzureMethod, variables: &[(&str, &str)]) -> Azure {
    let system = System::new("m", Environment::from_iter(variables.iter().copied()));
    let settings = HttpClientConfig::default();
    Azure::new(method, &server.url("/"), SCOPE, &settings, "test", &system).expect("a client")
}

async fn ask(server: &ScriptedServer, method: AzureMethod, variables: &[(&str, &str)]) -> Result<String, String> {
    told(azure(server, method, variables).issue().await)
}

fn told(issued: Result<Issued<Secret>, Error>) -> Result<String, String> {
    match issued {
        Ok(issued) => Ok(issued.token.expose().to_owned()),
        Err(error) => Err(format!("{} {error}", error.code())),
    }
}

fn token(value: &str) -> String {
    json!({"token_type": "Bearer", "expires_in": "3599", "expires_on": "1", "access_token": value}).to_string()
}

fn form(received: &Received) -> Vec<(String, String)> {
    parse(&received.body).into_owned().collect()
}

fn value<'a>(form: &'a [(String, String)], name: &str) -> &'a str {
    form.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
}

fn text(text: &str) -> String {
    text.to_owned()
}

fn secret() -> AzureMethod {
    AzureMethod::Secret { tenant_id: text("tenant"), client_id: text("c"), client_secret: "hunter2&".into() }
}

fn workload(file: &Path) -> AzureMethod {
    AzureMethod::WorkloadIdentity { tenant_id: text("tenant"), client_id: text("c"), token_file: file.to_owned() }
}

#[test]
fn an_application_has_a_secret() {
    leak_checked_live(async || {
        let scope = "https%3A%2F%2Fmanagement.core.windows.net%2F%2F.default";
        let body = format!("grant_type=client_credentials&client_id=c&client_secret=hunter2%26&scope={scope}");
        let step = || Step::post(ENDPOINT).with_body(body.clone());
        let server = ScriptedServer::start([
            step().json(token("t1")),
            step()
                .status(400)
                .json(r#"{"error": "unauthorized_client", "error_description": "AADSTS700016: no hunter2&"}"#),
            step().status(503).reply_header("retry-after", "7"),
        ])
        .await;
        assert_eq!(ask(&server, secret(), &[]).await, Ok(text("t1")));
        let refused = ask(&server, secret(), &[]).await.expect_err("refused");
        assert!(refused.starts_with("http_no_token ") && refused.contains("AADSTS700016: no <secret>"), "{refused}");
        let busy = ask(&server, secret(), &[]).await.expect_err("busy");
        assert!(busy.starts_with("http_throttled "), "{busy}");
        server.finish().await;
    });
}

#[test]
fn a_workload_shows_the_token_that_kubernetes_gave_it() {
    leak_checked_live(async || {
        let server =
            ScriptedServer::start([Step::post(ENDPOINT).json(token("t1")), Step::post(ENDPOINT).json(token("t2"))])
                .await;
        let folder = Folder::new();
        let file = folder.write("token", "proof\n");
        assert_eq!(ask(&server, workload(&file), &[]).await, Ok(text("t1")));
        let injected = AzureMethod::WorkloadIdentity {
            tenant_id: String::new(),
            client_id: String::new(),
            token_file: Default::default(),
        };
        let path = file.display().to_string();
        let variables =
            [("AZURE_CLIENT_ID", "c"), ("AZURE_TENANT_ID", "tenant"), ("AZURE_FEDERATED_TOKEN_FILE", &path)];
        assert_eq!(ask(&server, injected.clone(), &variables).await, Ok(text("t2")));
        for request in server.requests() {
            let form = form(&request);
            let want = [
                ("grant_type", "client_credentials"),
                ("client_id", "c"),
                ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
                ("client_assertion", "proof"),
                ("scope", SCOPE),
            ];
            assert_eq!(form, want.map(|(name, value)| (text(name), text(value))));
        }
        for (missing, _) in variables {
            let others: Vec<_> = variables.into_iter().filter(|(name, _)| *name != missing).collect();
            let told = ask(&server, injected.clone(), &others).await.expect_err("not injected");
            assert!(told.starts_with(&format!("cloud_azure_not_injected {missing} ")), "{told}");
        }
        let told = ask(&server, workload(Path::new("/none/token")), &[]).await.expect_err("no file");
        assert!(told.starts_with("cloud_azure_unreadable cannot read /none/token"), "{told}");
        server.finish().await;
    });
}

/// A certificate of the key of the tests, and one that another key has.
fn certificates() -> (String, String) {
    let key = rcgen::KeyPair::from_pem(&fixture("sign/rfc7515.pkcs8.pem")).expect("a key");
    let params = || rcgen::CertificateParams::new(vec![text("a.example")]).expect("parameters");
    let other = rcgen::KeyPair::generate().expect("a key");
    let pem = |key: &rcgen::KeyPair| params().self_signed(key).expect("a certificate").pem();
    (pem(&key), pem(&other))
}

#[test]
fn a_certificate_signs_who_asks() {
    leak_checked_live(async || {
        let server =
            ScriptedServer::start([Step::post(ENDPOINT).json(token("t1")), Step::post(ENDPOINT).json(token("t2"))])
                .await;
        let folder = Folder::new();
        let ((own, other), key) = (certificates(), fixture("sign/rfc7515.pkcs8.pem"));
        let together = folder.write("all.pem", format!("{other}{key}{own}"));
        let method = |path: &Path, key: Option<&Path>, send_chain: bool| AzureMethod::Certificate {
            tenant_id: text("tenant"),
            client_id: text("c"),
            certificate: Certificate { path: path.to_owned(), key_path: key.map(Path::to_owned), send_chain },
        };
        assert_eq!(ask(&server, method(&together, None, true), &[]).await, Ok(text("t1")));
        let (apart, key_file) = (folder.write("cert.pem", &own), folder.write("key.pem", &key));
        assert_eq!(ask(&server, method(&apart, Some(&key_file), false), &[]).await, Ok(text("t2")));
        let der = |pem: &str| {
            let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
            STANDARD.decode(body).expect("base64")
        };
        for (request, with_chain) in server.requests().iter().zip([true, false]) {
            let form = form(request);
            assert_eq!(value(&form, "client_id"), "c");
            let (message, signature) = value(&form, "client_assertion").rsplit_once('.').expect("three parts");
            let decoded = |text: &str| URL_SAFE_NO_PAD.decode(text).expect("base64");
            let parts: Vec<Value> =
                message.split('.').map(|part| serde_json::from_slice(&decoded(part)).expect("JSON")).collect();
            let thumbprint = STANDARD.encode(digest(&SHA256, &der(&own)));
            let mut header = json!({"alg": "PS256", "typ": "JWT", "x5t#S256": thumbprint});
            if with_chain {
                header["x5c"] = json!([STANDARD.encode(der(&own)), STANDARD.encode(der(&other))]);
            }
            assert_eq!(parts[0], header);
            let (begin, id) = (parts[1]["nbf"].as_i64().expect("a number"), parts[1]["jti"].clone());
            let endpoint = server.url(ENDPOINT);
            let claims = json!({"aud": endpoint, "iss": "c", "sub": "c", "jti": id, "nbf": begin, "exp": begin + 600});
            assert_eq!(parts[1], claims);
            let public = Rsa::from_pem(key.as_bytes()).expect("a key").public_key().expect("a key");
            let public = UnparsedPublicKey::new(&RSA_PSS_2048_8192_SHA256, public);
            public.verify(message.as_bytes(), &decoded(signature)).expect("it is signed");
        }
        let strange = folder.write("strange.pem", format!("{other}{key}"));
        let binary = folder.write("client.pfx", [0x30, 0x82, 0x0a]);
        for (path, want) in [
            (strange, "none of the certificates in it is that of the key"),
            (binary, "it is not PEM"),
            (apart, "there is no private key in it"),
        ] {
            let told = ask(&server, method(&path, None, false), &[]).await.expect_err("of no use");
            assert!(told.contains(want) && told.contains(&path.display().to_string()), "{told}");
        }
        server.finish().await;
    });
}

#[test]
fn a_certificate_may_be_named_by_the_environment() {
    leak_checked_live(async || {
        let folder = Folder::new();
        let ((own, other), key) = (certificates(), fixture("sign/rfc7515.pkcs8.pem"));
        let path = folder.write("all.pem", format!("{own}{key}{other}")).display().to_string();
        for (send_chain, count) in [("", 0), ("no", 0), ("1", 2), ("TRUE", 2)] {
            let server = ScriptedServer::start([Step::post(ENDPOINT).json(token("t"))]).await;
            let variables = [
                ("AZURE_TENANT_ID", "tenant"),
                ("AZURE_CLIENT_ID", "c"),
                ("AZURE_CLIENT_CERTIFICATE_PATH", &*path),
                ("AZURE_CLIENT_SEND_CERTIFICATE_CHAIN", send_chain),
            ];
            let sdk = AzureMethod::Sdk { tenant_id: String::new() };
            assert_eq!(ask(&server, sdk, &variables).await, Ok(text("t")), "{send_chain}");
            let form = form(&server.requests()[0]);
            let header = value(&form, "client_assertion").split('.').next().expect("a header");
            let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).expect("base64")).expect("JSON");
            assert_eq!(header["x5c"].as_array().map_or(0, Vec::len), count, "{send_chain}");
            server.finish().await;
        }
    });
}

#[test]
fn a_machine_has_an_identity_and_perhaps_more_than_one() {
    leak_checked_live(async || {
        let path = format!("/metadata/identity/oauth2/token?api-version=2018-02-01&resource={RESOURCE}");
        let server = ScriptedServer::start([
            Step::get(&path).with_header("metadata", "true").json(token("t1")),
            Step::get(&format!("{path}&client_id=other")).with_header("metadata", "true").json(token("t2")),
            Step::get(&path)
                .status(400)
                .json(r#"{"error": "invalid_request", "error_description": "Identity not found"}"#),
            Step::get(&path).status(410),
        ])
        .await;
        let host = server.url("");
        let variables = [("AZURE_POD_IDENTITY_AUTHORITY_HOST", &*host), ("HTTP_PROXY", "http://127.0.0.1:1")];
        let machine = |client_id: &str| AzureMethod::ManagedIdentity { client_id: text(client_id) };
        assert_eq!(ask(&server, machine(""), &variables).await, Ok(text("t1")));
        assert_eq!(ask(&server, machine("other"), &variables).await, Ok(text("t2")));
        let none = ask(&server, machine(""), &variables).await.expect_err("no identity");
        assert!(
            none.starts_with("cloud_azure_identity ") && none.contains("invalid_request: Identity not found"),
            "{none}"
        );
        let error = azure(&server, machine(""), &variables).issue().await.expect_err("it is being updated");
        assert_eq!(error.retry(), Retry::Backoff, "it does not last");
        server.then(Step::get(&path).status(429).reply_header("retry-after", "7"));
        let error = azure(&server, machine(""), &variables).issue().await.expect_err("it is busy");
        assert_eq!((error.priority(), error.retry()), (Priority::Retry, Retry::After(Duration::from_secs(7))));
        server.then(Step::get(&path).json(token("t3")));
        let settings =
            HttpClientConfig { proxy_url: SafeUrl::new("http://127.0.0.1:1"), ..HttpClientConfig::default() };
        let system = System::new("m", Environment::from_iter([variables[0]]));
        let proxied = Azure::new(machine(""), "http://a", SCOPE, &settings, "test", &system).expect("a client");
        assert_eq!(told(proxied.issue().await), Ok(text("t3")), "no proxy leads to the machine itself");
        server.finish().await;
    });
}

#[test]
fn who_knows_the_identity_is_found_by_the_environment() {
    let of = |variables: &[(&str, &str)], has_agent: bool| {
        Source::of(&Environment::from_iter(variables.iter().copied()), has_agent).expect("a source")
    };
    assert_eq!(of(&[], false), Source::Imds { host: text("http://169.254.169.254") });
    let agent = text("http://127.0.0.1:40342/metadata/identity/oauth2/token");
    assert_eq!(of(&[], true), Source::Arc { endpoint: agent });
    let endpoint = ("IDENTITY_ENDPOINT", "http://e");
    assert_eq!(of(&[endpoint], false), of(&[], false), "it needs another variable beside it");
    assert_eq!(of(&[endpoint, ("IMDS_ENDPOINT", "http://i")], false), Source::Arc { endpoint: text("http://e") });
    let query = |source: Source, id: &str| {
        source.request("r", id).map(|request| request.url.to_string()).map_err(|error| error.to_string())
    };
    let learning =
        || of(&[("MSI_ENDPOINT", "http://e"), ("MSI_SECRET", "s"), ("DEFAULT_IDENTITY_CLIENT_ID", "u")], false);
    assert_eq!(query(learning(), "i"), Ok(text("http://e/?api-version=2017-09-01&resource=r&clientid=i")));
    assert_eq!(query(learning(), ""), Ok(text("http://e/?api-version=2017-09-01&resource=r&clientid=u")));
    let told = query(of(&[], true), "i");
    assert_eq!(told, Err(text("a machine of Azure Arc has one identity only: leave out client_id")));
}

#[test]
fn where_an_application_runs_says_who_knows_its_identity() {
    leak_checked_live(async || {
        let server = ScriptedServer::start([
            Step::get(&format!("/app?api-version=2019-08-01&resource={RESOURCE}&client_id=i"))
                .with_header("x-identity-header", "hunter2")
                .json(token("t1")),
            Step::get(&format!("/ml?api-version=2017-09-01&resource={RESOURCE}&clientid=usual"))
                .with_header("secret", "hunter2")
                .json(token("t2")),
            Step::post("/shell")
                .with_header("metadata", "true")
                .with_body(format!("resource={RESOURCE}"))
                .json(token("t3")),
        ])
        .await;
        let [app, ml, shell] = ["/app", "/ml", "/shell"].map(|path| server.url(path));
        let machine = |client_id: &str| AzureMethod::ManagedIdentity { client_id: text(client_id) };
        let service = [("IDENTITY_ENDPOINT", &*app), ("IDENTITY_HEADER", "hunter2")];
        assert_eq!(ask(&server, machine("i"), &service).await, Ok(text("t1")));
        let learning = [("MSI_ENDPOINT", &*ml), ("MSI_SECRET", "hunter2"), ("DEFAULT_IDENTITY_CLIENT_ID", "usual")];
        assert_eq!(ask(&server, machine(""), &learning).await, Ok(text("t2")));
        let cloud = [("MSI_ENDPOINT", &*shell)];
        assert_eq!(ask(&server, machine(""), &cloud).await, Ok(text("t3")));
        let told = ask(&server, machine("i"), &cloud).await.expect_err("it has one only");
        assert!(told.starts_with("cloud_azure_environment Cloud Shell has one identity only"), "{told}");
        let fabric = [service[0], service[1], ("IDENTITY_SERVER_THUMBPRINT", "ab")];
        let told = ask(&server, machine(""), &fabric).await.expect_err("not supported");
        assert!(told.contains("Service Fabric"), "{told}");
        server.finish().await;
    });
}

#[test]
fn the_agent_of_azure_arc_wants_to_see_a_file_of_its_own_and_no_other() {
    leak_checked_live(async || {
        let folder = Folder::new();
        let (key, other) = (folder.write("1.key", "proof"), folder.write("1.pem", "hunter2"));
        let path = format!("/arc?api-version=2020-06-01&resource={RESOURCE}");
        let asked = || Step::get(&path).with_header("metadata", "true");
        let challenge = |file: &Path| {
            let realm = format!("Basic realm={}", file.display());
            asked().without_header("authorization").status(401).reply_header("www-authenticate", &realm)
        };
        let server = ScriptedServer::start([
            challenge(&key),
            asked().with_header("authorization", "Basic proof").json(token("t1")),
            challenge(&other),
            challenge(Path::new("/etc/shadow.key")),
        ])
        .await;
        let endpoint = server.url("/arc");
        let variables = [("IDENTITY_ENDPOINT", &*endpoint), ("IMDS_ENDPOINT", "http://here")];
        let mut azure = azure(&server, AzureMethod::ManagedIdentity { client_id: String::new() }, &variables);
        azure.keys_of_agent_in(folder.root());
        assert_eq!(told(azure.issue().await), Ok(text("t1")));
        for _ in 0..2 {
            let told = told(azure.issue().await).expect_err("no key of the agent");
            assert!(told.starts_with("cloud_azure_environment the agent of Azure Arc names no key in"), "{told}");
        }
        server.finish().await;
    });
}

#[test]
fn the_sdk_tries_the_environment_then_the_workload_then_the_machine() {
    leak_checked_live(async || {
        let imds = "/metadata/identity/oauth2/token";
        let server = ScriptedServer::start([
            Step::post(ENDPOINT).json(token("by secret")),
            Step::post(ENDPOINT).status(401).json(r#"{"error": "invalid_client"}"#),
            Step::post("/own/oauth2/v2.0/token").json(token("by workload")),
            Step::get(imds).json(token("by machine")),
            Step::get(imds).status(404),
            Step::get(&format!("{imds}?api-version=2018-02-01&resource={RESOURCE}&client_id=c"))
                .json(token("only by machine")),
        ])
        .await;
        let (folder, host) = (Folder::new(), server.url(""));
        let file = folder.write("token", "proof").display().to_string();
        let sdk = |tenant: &str| AzureMethod::Sdk { tenant_id: text(tenant) };
        let machine = ("AZURE_POD_IDENTITY_AUTHORITY_HOST", &*host);
        let who = [("AZURE_TENANT_ID", "tenant"), ("AZURE_CLIENT_ID", "c"), machine];
        let with = |more: &[(&'static str, &'static str)]| [&who[..], more].concat();
        let by_secret = with(&[("AZURE_CLIENT_SECRET", "hunter2")]);
        assert_eq!(ask(&server, sdk(""), &by_secret).await, Ok(text("by secret")));
        let refused = ask(&server, sdk(""), &by_secret).await.expect_err("who is named and refused ends it");
        assert!(refused.contains("invalid_client"), "{refused}");
        let workload = [&who[..], &[("AZURE_FEDERATED_TOKEN_FILE", &*file)]].concat();
        assert_eq!(ask(&server, sdk("own"), &workload).await, Ok(text("by workload")));
        assert_eq!(ask(&server, sdk(""), &[machine]).await, Ok(text("by machine")));
        let nobody = ask(&server, sdk(""), &[machine]).await.expect_err("nobody");
        assert!(nobody.starts_with("cloud_azure_nobody nothing says who asks"), "{nobody}");
        let only = [&by_secret[..], &[("AZURE_TOKEN_CREDENTIALS", "managedidentitycredential")]].concat();
        assert_eq!(ask(&server, sdk(""), &only).await, Ok(text("only by machine")));
        let named = format!("{imds}?api-version=2018-02-01&resource={RESOURCE}&client_id=c");
        server.then(Step::get(&named).json(token("of many")));
        let all = with(&[("AZURE_TOKEN_CREDENTIALS", "prod")]);
        assert_eq!(ask(&server, sdk(""), &all).await, Ok(text("of many")), "an id alone is one of the machine");
        let injected = [("AZURE_FEDERATED_TOKEN_FILE", &*file), machine];
        server.then(Step::get(imds).json(token("without an id")));
        assert_eq!(ask(&server, sdk(""), &injected).await, Ok(text("without an id")));
        let tools = with(&[("AZURE_TOKEN_CREDENTIALS", "AzureCLICredential")]);
        let told = ask(&server, sdk(""), &tools).await.expect_err("tools are not run");
        assert!(told.starts_with("cloud_azure_environment AZURE_TOKEN_CREDENTIALS is"), "{told}");
        let person = with(&[("AZURE_USERNAME", "u"), ("AZURE_PASSWORD", "hunter2")]);
        let told = ask(&server, sdk(""), &person).await.expect_err("people are not supported");
        assert!(told.contains("AZURE_USERNAME") && !told.contains("hunter2"), "{told}");
        server.finish().await;
    });
}
