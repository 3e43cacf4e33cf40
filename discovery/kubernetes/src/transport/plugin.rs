//! Credentials by a command that a kubeconfig names: `exec` of a user, as client-go runs it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use rosterd_client::{Client, HttpClientConfig, Options, Secret, Secrets, System};
use rosterd_tasks::process::{Program, Read, Run};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::error::PluginError;

/// Where the command finds what it is asked for.
const INFO: &str = "KUBERNETES_EXEC_INFO";
/// How long a command may take.
const TIME: Duration = Duration::from_secs(30);
/// How much it may print.
const LIMIT: u64 = 1 << 20;
/// How long before they expire credentials are renewed.
const AHEAD: Duration = Duration::from_secs(30);
/// The versions of what a command prints.
pub(super) const VERSIONS: [&str; 2] = ["client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"];

/// A command that prints credentials.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Command {
    pub(super) program: String,
    pub(super) arguments: Vec<String>,
    /// Besides the environment of rosterd.
    pub(super) environment: Vec<(String, Secret)>,
    /// One of [`VERSIONS`].
    pub(super) version: String,
    /// What to do where there is no such program.
    pub(super) hint: String,
    /// The cluster, for a command that wants to know: as it is told, but without the certificates of `ca_file`.
    pub(super) cluster: Option<Value>,
    /// Certificates that the cluster is told with.
    pub(super) ca_file: PathBuf,
}

/// Runs the command whenever credentials are missing or about to expire, and never twice at once.
#[derive(Debug)]
pub(super) struct Plugin {
    command: Command,
    /// What a client has besides credentials.
    settings: HttpClientConfig,
    options: Options,
    system: System,
    /// How often the command was run.
    runs: AtomicU64,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    credentials: Option<Credentials>,
    /// Why the last run came to nothing, if it did.
    failed: Option<Arc<PluginError>>,
}

/// Credentials, as a client that has them.
#[derive(Debug, Clone)]
pub(super) struct Credentials {
    pub(super) client: Client,
    /// Which run of the command they are of.
    run: u64,
    printed: Printed,
    expire: Option<SystemTime>,
}

impl Credentials {
    fn are_good_for(&self, time: Duration) -> bool {
        self.expire.is_none_or(|expire| SystemTime::now() + time < expire)
    }
}

/// What a command prints.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ExecCredential {
    #[serde(default)]
    api_version: String,
    #[serde(default)]
    kind: String,
    status: Option<Printed>,
}

#[derive(Debug, Clone, PartialEq, Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Printed {
    expiration_timestamp: Option<String>,
    token: Option<Secret>,
    client_certificate_data: Option<String>,
    client_key_data: Option<Secret>,
}

impl Plugin {
    pub(super) fn new(command: Command, settings: HttpClientConfig, options: Options, system: &System) -> Self {
        let (runs, held) = (AtomicU64::new(0), Mutex::default());
        Self { command, settings, options, system: system.clone(), runs, held }
    }

    /// Credentials that have not expired.
    pub(super) async fn credentials(&self) -> Result<Credentials, Arc<PluginError>> {
        self.get(None).await
    }

    /// Others, for the server has refused these. Those that somebody else got meanwhile will do.
    pub(super) async fn others(&self, than: &Credentials) -> Result<Credentials, Arc<PluginError>> {
        self.get(Some(than.run)).await
    }

    /// Those that there are, or those of a new run if they are about to expire or were refused. Who waited while the command
    /// ran takes what came of that.
    async fn get(&self, refused: Option<u64>) -> Result<Credentials, Arc<PluginError>> {
        let before = self.runs.load(Ordering::Relaxed);
        let mut held = self.held.lock().await;
        let will_do = |held: &&Credentials, time| refused != Some(held.run) && held.are_good_for(time);
        if let Some(good) = held.credentials.as_ref().filter(|held| will_do(held, AHEAD)) {
            return Ok(good.clone());
        }
        let runs = self.runs.load(Ordering::Relaxed);
        let error = match &held.failed {
            Some(error) if runs > before => Arc::clone(error),
            _ => {
                let came = self.run().await.and_then(|printed| self.take(printed, runs + 1, held.credentials.as_ref()));
                self.runs.store(runs + 1, Ordering::Relaxed);
                match came {
                    Ok(credentials) => {
                        held.failed = None;
                        return Ok(held.credentials.insert(credentials).clone());
                    }
                    Err(error) => Arc::new(error),
                }
            }
        };
        held.failed = Some(Arc::clone(&error));
        // What is good for a moment longer serves until it is not.
        held.credentials.as_ref().filter(|held| will_do(held, Duration::ZERO)).cloned().ok_or(error)
    }

    fn take(&self, printed: Printed, run: u64, before: Option<&Credentials>) -> Result<Credentials, PluginError> {
        let command = || self.command.program.clone();
        let wrong = |reason: String| PluginError::Malformed { command: command(), reason };
        let expire = match printed.expiration_timestamp.as_deref() {
            None => None,
            Some(text) => {
                let time = text.parse::<Timestamp>();
                Some(SystemTime::from(time.map_err(|_| wrong(format!("expirationTimestamp {text:?} is no time")))?))
            }
        };
        // The same credentials keep their connections.
        if let Some(before) = before.filter(|before| before.printed == printed) {
            return Ok(Credentials { run, expire, ..before.clone() });
        }
        let mut settings = self.settings.clone();
        settings.bearer_token = printed.token.clone().unwrap_or_default();
        if let (Some(certificate), Some(key)) = (&printed.client_certificate_data, &printed.client_key_data) {
            (settings.tls_config.cert, settings.tls_config.key) = (certificate.clone(), key.clone());
        }
        let client = Client::new(&settings, self.options.clone());
        let client = client.map_err(|source| PluginError::Unusable { command: command(), source })?;
        Ok(Credentials { client, run, printed, expire })
    }

    /// Runs the command, and reads what it prints.
    async fn run(&self) -> Result<Printed, PluginError> {
        let command = || self.command.program.clone();
        let info = self.info()?.to_string();
        let own = self.command.environment.iter().map(|(name, value)| (name.as_str(), value.expose()));
        let program = Program::new(&self.command.program, &self.command.arguments)
            .with_environment(self.system.environment().iter())
            .with_environment(own)
            .with_environment([(INFO, info.as_str())]);
        let hint = || self.command.hint.clone();
        let started = Run::start(program);
        let mut run = started.map_err(|source| PluginError::Start { command: command(), hint: hint(), source })?;
        let mut output = Vec::new();
        let read = timeout(TIME, run.read(LIMIT, &mut output)).await;
        let ended = if matches!(read, Ok(Ok(Read::Whole))) { run.finish().await } else { run.stop().await };
        // Scripts like to tell what they were given.
        let secrets = Secrets::default().and(self.command.environment.iter().map(|(_, value)| value.clone()));
        let stderr = secrets.hide(&run.stderr_tail());
        match (read, ended) {
            (Err(_), _) => return Err(PluginError::Timeout { command: command(), after: TIME, stderr }),
            (Ok(Ok(Read::TooMuch)), _) => return Err(PluginError::TooMuch { command: command(), limit: LIMIT }),
            (Ok(Err(source)), _) | (_, Err(source)) => return Err(PluginError::Read { command: command(), source }),
            (_, Ok(status)) if !status.success() => {
                return Err(PluginError::Failed { command: command(), status, stderr });
            }
            _ => {}
        }
        printed(&output, &self.command.version).map_err(|reason| PluginError::Malformed { command: command(), reason })
    }

    /// What the command is told.
    fn info(&self) -> Result<Value, PluginError> {
        let mut spec = json!({"interactive": false});
        if let Some(cluster) = &self.command.cluster {
            let mut cluster = cluster.clone();
            if !self.command.ca_file.as_os_str().is_empty() {
                let read = super::kubeconfig::packed(&self.command.ca_file);
                let (command, path) = (self.command.program.clone(), self.command.ca_file.clone());
                let unread = |source| PluginError::Certificates { command, path, source };
                cluster["certificate-authority-data"] = read.map_err(unread)?.into();
            }
            spec["cluster"] = cluster;
        }
        Ok(json!({"kind": "ExecCredential", "apiVersion": self.command.version, "spec": spec}))
    }
}

/// What a command of this version printed. What is wrong is told without what it printed, which may be a secret.
fn printed(output: &[u8], version: &str) -> Result<Printed, String> {
    let value: Value = serde_json::from_slice(output).map_err(|_| "it is not JSON".to_owned())?;
    let credential = ExecCredential::deserialize(value);
    let ExecCredential { api_version, kind, status } =
        credential.map_err(|_| "it is no ExecCredential: something in it is of another type than it should be")?;
    if kind != "ExecCredential" {
        return Err(format!("its kind is {kind:?}, and should be \"ExecCredential\""));
    }
    if api_version != version {
        return Err(format!("its apiVersion is {api_version:?}, and the kubeconfig says {version:?}"));
    }
    let status = status.ok_or("it has no status")?;
    let has = |text: Option<&str>| text.is_some_and(|text| !text.is_empty());
    let token = has(status.token.as_ref().map(Secret::expose));
    let certificate = has(status.client_certificate_data.as_deref());
    let key = has(status.client_key_data.as_ref().map(Secret::expose));
    match (token, certificate, key) {
        (_, true, false) => Err("it has a clientCertificateData and no clientKeyData".to_owned()),
        (_, false, true) => Err("it has a clientKeyData and no clientCertificateData".to_owned()),
        (false, false, false) => Err("its status has neither a token nor a certificate and its key".to_owned()),
        _ => Ok(status),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_command_prints_is_read_and_what_is_wrong_with_it_is_said() {
        let read = |text: &str| printed(text.as_bytes(), VERSIONS[0]).map(|it| it.token.unwrap_or_default());
        let head = r#""apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential""#;
        let token = read(&format!(r#"{{{head}, "spec": {{"interactive": false}}, "status": {{"token": "s3cret"}}}}"#));
        assert_eq!(token.expect("a token").expose(), "s3cret");
        for (text, wanted) in [
            ("token".to_owned(), "it is not JSON"),
            (format!("{{{head}, \"status\": 7}}"), "of another type"),
            (format!("{{{head}}}"), "it has no status"),
            (format!("{{{head}, \"status\": {{}}}}"), "neither a token nor a certificate"),
            (format!("{{{head}, \"status\": {{\"token\": \"\"}}}}"), "neither a token nor a certificate"),
            (format!("{{{head}, \"status\": {{\"clientKeyData\": \"k\"}}}}"), "no clientCertificateData"),
            (
                format!("{{{head}, \"status\": {{\"clientCertificateData\": \"c\", \"token\": \"t\"}}}}"),
                "no clientKeyData",
            ),
            (head.replace("/v1", "/v1beta1").replace("\"apiV", "{\"apiV") + "}", "and the kubeconfig says"),
            (format!("{{{}}}", head.replace("ExecC", "C")), "and should be \"ExecCredential\""),
        ] {
            let error = read(&text).expect_err(&text);
            assert!(error.contains(wanted), "{text}: {error}");
        }
    }
}
