//! From `azuread` of the configuration to who asks Microsoft Entra ID for tokens.

use rosterd_client::Environment;
use rosterd_config::AzureAd;
use rosterd_ship::{AzureConfig, AzureMethod, Certificate};

/// Where the webhook of workload identity puts the token of the service account.
const TOKEN: &str = "/var/run/secrets/azure/tokens/azure-identity-token";

/// Whose token of Microsoft Entra ID is asked for. Checks refuse a configuration that does not say it.
pub(super) fn endpoint(written: &AzureAd, environment: &Environment) -> Option<AzureConfig> {
    let method = if let Some(identity) = &written.managed_identity {
        AzureMethod::ManagedIdentity { client_id: identity.client_id.clone() }
    } else if let Some(identity) = &written.workload_identity {
        let told = environment.get("AZURE_FEDERATED_TOKEN_FILE").filter(|path| !path.is_empty());
        let token_file = match identity.token_file_path.as_os_str().is_empty() {
            true => told.unwrap_or(TOKEN).into(),
            false => identity.token_file_path.clone(),
        };
        let (tenant_id, client_id) = (identity.tenant_id.clone(), identity.client_id.clone());
        AzureMethod::WorkloadIdentity { tenant_id, client_id, token_file }
    } else if let Some(oauth) = &written.oauth {
        AzureMethod::Secret {
            tenant_id: oauth.tenant_id.clone(),
            client_id: oauth.client_id.clone(),
            client_secret: oauth.client_secret.clone(),
        }
    } else if let Some(certificate) = &written.certificate {
        let key = &certificate.certificate_key_path;
        AzureMethod::Certificate {
            tenant_id: certificate.tenant_id.clone(),
            client_id: certificate.client_id.clone(),
            certificate: Certificate {
                path: certificate.certificate_path.clone(),
                key_path: (!key.as_os_str().is_empty()).then(|| key.clone()),
                send_chain: certificate.send_certificate_chain,
            },
        }
    } else {
        AzureMethod::Sdk { tenant_id: written.sdk.as_ref()?.tenant_id.clone() }
    };
    Some(AzureConfig { method, authority: written.authority().to_owned(), scope: written.scope().to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn method(text: &str, environment: &[(&str, &str)]) -> AzureMethod {
        let written = serde_yaml::from_str(text).expect(text);
        endpoint(&written, &environment.iter().copied().collect()).expect("it says who asks").method
    }

    #[test]
    fn each_way_to_prove_who_one_is_becomes_one_method() {
        let text = |text: &str| text.to_owned();
        assert_eq!(
            method("managed_identity: {client_id: i}", &[]),
            AzureMethod::ManagedIdentity { client_id: text("i") }
        );
        assert_eq!(method("managed_identity: {}", &[]), AzureMethod::ManagedIdentity { client_id: text("") });
        assert_eq!(
            method("oauth: {tenant_id: t, client_id: c, client_secret: s}", &[]),
            AzureMethod::Secret { tenant_id: text("t"), client_id: text("c"), client_secret: "s".into() }
        );
        let certificate = Certificate { path: "/c".into(), key_path: Some("/k".into()), send_chain: true };
        assert_eq!(
            method(
                "certificate: {tenant_id: t, client_id: c, certificate_path: /c, certificate_key_path: /k, send_certificate_chain: true}",
                &[]
            ),
            AzureMethod::Certificate { tenant_id: text("t"), client_id: text("c"), certificate }
        );
        assert_eq!(method("sdk: {tenant_id: t}", &[]), AzureMethod::Sdk { tenant_id: text("t") });
        assert!(endpoint(&AzureAd::default(), &Environment::default()).is_none());
    }

    #[test]
    fn the_token_of_a_workload_is_where_the_configuration_or_the_environment_says() {
        let file = |keys: &str, environment: &[(&str, &str)]| match method(
            &format!("workload_identity: {{client_id: c, tenant_id: t{keys}}}"),
            environment,
        ) {
            AzureMethod::WorkloadIdentity { token_file, .. } => token_file.display().to_string(),
            other => panic!("{other:?}"),
        };
        let injected = [("AZURE_FEDERATED_TOKEN_FILE", "/injected")];
        assert_eq!(file(", token_file_path: /own", &injected), "/own");
        assert_eq!(file("", &injected), "/injected");
        assert_eq!(file("", &[]), TOKEN);
    }
}
