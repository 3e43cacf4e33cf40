//! How remote write authenticates to clouds: `sigv4`, `azuread`, `google_iam`.

use std::path::{Path, PathBuf};

use rosterd_client::unset;
use rosterd_model::{Problem, Secret};
use rosterd_tasks::files::resolve;
use serde::{Deserialize, Serialize};

use crate::error::code;

/// AWS Signature Version 4.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SigV4 {
    /// The region; by default that of the credentials.
    #[serde(skip_serializing_if = "unset")]
    pub region: String,
    /// The id of a key.
    #[serde(skip_serializing_if = "unset")]
    pub access_key: String,
    /// The key.
    #[serde(skip_serializing_if = "unset")]
    pub secret_key: Secret,
    /// A named profile.
    #[serde(skip_serializing_if = "unset")]
    pub profile: String,
    /// A role to assume.
    #[serde(skip_serializing_if = "unset")]
    pub role_arn: String,
    /// For the role.
    #[serde(skip_serializing_if = "unset")]
    pub external_id: String,
    /// Whether to speak to the FIPS endpoint of STS.
    #[serde(skip_serializing_if = "unset")]
    pub use_fips_sts_endpoint: bool,
    /// The name of the service, `aps` by default.
    #[serde(skip_serializing_if = "unset")]
    pub service_name: String,
}

impl SigV4 {
    pub(super) fn check(&self) -> Option<Problem> {
        let (missing, present) = match (self.access_key.is_empty(), self.secret_key.is_empty()) {
            (true, false) => ("access_key", "secret_key"),
            (false, true) => ("secret_key", "access_key"),
            _ if !self.external_id.is_empty() && self.role_arn.is_empty() => ("role_arn", "external_id"),
            _ => return None,
        };
        let message = format!("{present} needs {missing} beside it");
        Some(Problem::new(format!("sigv4.{missing}"), code::MISSING_KEY, message))
    }
}

/// Microsoft Entra ID.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct AzureAd {
    /// By a managed identity.
    #[serde(skip_serializing_if = "unset")]
    pub managed_identity: Option<AzureManagedIdentity>,
    /// By a workload identity of Kubernetes.
    #[serde(skip_serializing_if = "unset")]
    pub workload_identity: Option<AzureWorkloadIdentity>,
    /// By OAuth client credentials.
    #[serde(skip_serializing_if = "unset")]
    pub oauth: Option<AzureOAuth>,
    /// By what the SDK finds.
    #[serde(skip_serializing_if = "unset")]
    pub sdk: Option<AzureSdk>,
    /// By a certificate.
    #[serde(skip_serializing_if = "unset")]
    pub certificate: Option<AzureCertificate>,
    /// `AzurePublic`, `AzureGovernment` or `AzureChina`.
    #[serde(skip_serializing_if = "unset")]
    pub cloud: String,
    /// What the token is for.
    #[serde(skip_serializing_if = "unset")]
    pub scope: String,
}

/// A managed identity.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct AzureManagedIdentity {
    /// Which; the system's own when empty.
    #[serde(skip_serializing_if = "unset")]
    pub client_id: String,
}

/// A workload identity.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct AzureWorkloadIdentity {
    /// The application or identity.
    #[serde(skip_serializing_if = "unset")]
    pub client_id: String,
    /// Its tenant.
    #[serde(skip_serializing_if = "unset")]
    pub tenant_id: String,
    /// The token of the service account.
    #[serde(skip_serializing_if = "unset")]
    pub token_file_path: PathBuf,
}

/// OAuth client credentials.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct AzureOAuth {
    /// The application.
    #[serde(skip_serializing_if = "unset")]
    pub client_id: String,
    /// Its secret.
    #[serde(skip_serializing_if = "unset")]
    pub client_secret: Secret,
    /// Its tenant.
    #[serde(skip_serializing_if = "unset")]
    pub tenant_id: String,
}

/// What the SDK finds.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct AzureSdk {
    /// The tenant.
    #[serde(skip_serializing_if = "unset")]
    pub tenant_id: String,
}

/// A certificate.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct AzureCertificate {
    /// The application.
    #[serde(skip_serializing_if = "unset")]
    pub client_id: String,
    /// Its tenant.
    #[serde(skip_serializing_if = "unset")]
    pub tenant_id: String,
    /// The certificate, PEM or PFX.
    #[serde(skip_serializing_if = "unset")]
    pub certificate_path: PathBuf,
    /// The key, when it is in a file of its own.
    #[serde(skip_serializing_if = "unset")]
    pub certificate_key_path: PathBuf,
    /// The password of a PFX file.
    #[serde(skip_serializing_if = "unset")]
    pub certificate_password: Secret,
    /// Whether to send the chain.
    #[serde(skip_serializing_if = "unset")]
    pub send_certificate_chain: bool,
}

impl AzureAd {
    /// Where tokens are made: the authority of the cloud.
    pub fn authority(&self) -> &'static str {
        match &*self.cloud {
            "AzureGovernment" => "https://login.microsoftonline.us",
            "AzureChina" => "https://login.chinacloudapi.cn",
            _ => "https://login.microsoftonline.com",
        }
    }

    /// What tokens are good for: by default the monitoring of the cloud. Its two slashes are right.
    pub fn scope(&self) -> &str {
        match (&*self.scope, &*self.cloud) {
            ("", "AzureGovernment") => "https://monitor.azure.us//.default",
            ("", "AzureChina") => "https://monitor.azure.cn//.default",
            ("", _) => "https://monitor.azure.com//.default",
            (scope, _) => scope,
        }
    }

    pub(super) fn resolve_paths(&mut self, base: &Path) {
        if let Some(identity) = &mut self.workload_identity {
            resolve(base, &mut identity.token_file_path);
        }
        if let Some(certificate) = &mut self.certificate {
            resolve(base, &mut certificate.certificate_path);
            resolve(base, &mut certificate.certificate_key_path);
        }
    }

    pub(super) fn check(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if !matches!(self.cloud.as_str(), "" | "AzurePublic" | "AzureGovernment" | "AzureChina") {
            let message = "cloud must be one of AzurePublic, AzureGovernment, AzureChina";
            problems.push(Problem::new("azuread.cloud", code::INVALID_VALUE, message));
        }
        let ways = [
            self.managed_identity.is_some(),
            self.workload_identity.is_some(),
            self.oauth.is_some(),
            self.sdk.is_some(),
            self.certificate.is_some(),
        ];
        let code = match ways.iter().filter(|way| **way).count() {
            0 => Some(code::MISSING_KEY),
            1 => None,
            _ => Some(code::CONFLICTING_KEYS),
        };
        if let Some(code) = code {
            let message = "exactly one of managed_identity, workload_identity, oauth, sdk, certificate is needed";
            problems.push(Problem::new("azuread", code, message));
        }
        if let Some(identity) = &self.managed_identity {
            problems.extend(uuid("managed_identity.client_id", &identity.client_id, true));
        }
        if let Some(identity) = &self.workload_identity {
            problems.extend(uuid("workload_identity.client_id", &identity.client_id, false));
            problems.extend(uuid("workload_identity.tenant_id", &identity.tenant_id, false));
        }
        if let Some(oauth) = &self.oauth {
            problems.extend(uuid("oauth.client_id", &oauth.client_id, false));
            problems.extend(needed("oauth.tenant_id", oauth.tenant_id.is_empty()));
            problems.extend(needed("oauth.client_secret", oauth.client_secret.is_empty()));
        }
        if let Some(certificate) = &self.certificate {
            problems.extend(uuid("certificate.client_id", &certificate.client_id, false));
            problems.extend(needed("certificate.tenant_id", certificate.tenant_id.is_empty()));
            let path = &certificate.certificate_path;
            problems.extend(needed("certificate.certificate_path", path.as_os_str().is_empty()));
        }
        let scope_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"_ \t\n\r\x0c:/.-".contains(&byte);
        if !self.scope.bytes().all(scope_byte) {
            let message = "the scope has characters that no scope has";
            problems.push(Problem::new("azuread.scope", code::INVALID_VALUE, message));
        }
        problems
    }
}

fn needed(path: &str, is_missing: bool) -> Option<Problem> {
    is_missing.then(|| Problem::new(format!("azuread.{path}"), code::MISSING_KEY, format!("{path} is needed")))
}

fn uuid(path: &str, id: &str, optional: bool) -> Option<Problem> {
    if id.is_empty() {
        return needed(path, !optional);
    }
    (!is_uuid(id))
        .then(|| Problem::new(format!("azuread.{path}"), code::INVALID_VALUE, format!("{path} is not a UUID")))
}

/// As Google's library for Go reads them: in braces, with `urn:uuid:` in front, or without dashes, too.
fn is_uuid(id: &str) -> bool {
    let bare = match id.len() {
        38 => id.strip_prefix('{').and_then(|id| id.strip_suffix('}')),
        45 => id.split_at_checked(9).filter(|(urn, _)| urn.eq_ignore_ascii_case("urn:uuid:")).map(|(_, id)| id),
        _ => Some(id),
    };
    let Some(bare) = bare else { return false };
    let lengths: Vec<_> = bare.split('-').map(str::len).collect();
    let is_whole = lengths == [8, 4, 4, 4, 12] || lengths == [32] && bare == id;
    is_whole && bare.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}

/// Google's IAM.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct GoogleIam {
    /// The key of a service account; the environment's own credentials when empty.
    #[serde(skip_serializing_if = "unset")]
    pub credentials_file: PathBuf,
}

impl GoogleIam {
    pub(super) fn resolve_paths(&mut self, base: &Path) {
        resolve(base, &mut self.credentials_file);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn azure(text: &str) -> AzureAd {
        serde_yaml::from_str(text).expect(text)
    }

    #[test]
    fn ids_are_written_in_as_many_ways_as_google_reads_them() {
        let id = "00000000-a12b-3cd4-e56f-000000000000";
        for good in [id, &id.to_uppercase(), &format!("{{{id}}}"), &format!("URN:uuid:{id}"), &id.replace('-', "")] {
            assert!(is_uuid(good), "{good}");
        }
        let urn = format!("urn:uid::{id}");
        let bare = format!("{{{}}}", id.replace('-', ""));
        for bad in ["", "a", &id[1..], &format!("({id})"), &urn, &bare, &id.replace('a', "g"), &"\u{fc}".repeat(19)] {
            assert!(!is_uuid(bad), "{bad}");
        }
    }

    #[test]
    fn each_cloud_has_its_own_authority_and_monitoring() {
        for (text, want) in [
            ("{}", ["https://login.microsoftonline.com", "https://monitor.azure.com//.default"]),
            ("{cloud: AzurePublic}", ["https://login.microsoftonline.com", "https://monitor.azure.com//.default"]),
            ("{cloud: AzureGovernment}", ["https://login.microsoftonline.us", "https://monitor.azure.us//.default"]),
            ("{cloud: AzureChina}", ["https://login.chinacloudapi.cn", "https://monitor.azure.cn//.default"]),
            ("{cloud: AzureChina, scope: 'a/.default'}", ["https://login.chinacloudapi.cn", "a/.default"]),
        ] {
            let azure = azure(text);
            assert_eq!([azure.authority(), azure.scope()], want, "{text}");
        }
    }

    #[test]
    fn files_are_found_beside_the_configuration() {
        let mut azure = azure(
            "{workload_identity: {token_file_path: t}, certificate: {certificate_path: /c, certificate_key_path: k}}",
        );
        azure.resolve_paths(Path::new("/etc/rosterd"));
        let (identity, certificate) =
            (azure.workload_identity.unwrap_or_default(), azure.certificate.unwrap_or_default());
        assert_eq!(identity.token_file_path, Path::new("/etc/rosterd/t"));
        assert_eq!(certificate.certificate_path, Path::new("/c"));
        assert_eq!(certificate.certificate_key_path, Path::new("/etc/rosterd/k"));
    }
}
