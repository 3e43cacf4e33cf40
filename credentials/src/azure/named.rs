//! Whom the environment names, where a method leaves that to it. Pure.

use std::path::Path;

use rosterd_client::{Environment, Identity};
use rosterd_model::Secret;

use super::AzureMethod;

impl AzureMethod {
    /// Says, quietly, whom the environment names, as far as the method leaves that to it.
    pub fn named_by(&self, environment: &Environment, id: &mut Identity) {
        let variable = |name: &str| environment.get(name).unwrap_or_default();
        id.quietly(|id| {
            let mut text = |name: &str, written: &str| {
                if written.is_empty() {
                    id.text(&format!("environment/{name}"), variable(name));
                }
            };
            match self {
                Self::Secret { .. } | Self::Certificate { .. } | Self::ManagedIdentity { .. } => {}
                Self::WorkloadIdentity { tenant_id, client_id, .. } => {
                    text("AZURE_TENANT_ID", tenant_id);
                    text("AZURE_CLIENT_ID", client_id);
                }
                Self::Sdk { .. } => {
                    for name in ["AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_TOKEN_CREDENTIALS"] {
                        text(name, "");
                    }
                    let certificate = "AZURE_CLIENT_CERTIFICATE_PATH";
                    id.path(&format!("environment/{certificate}"), Path::new(variable(certificate)));
                    let secret = "AZURE_CLIENT_SECRET";
                    id.secret(&format!("environment/{secret}"), &Secret::new(variable(secret)));
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn data(method: &AzureMethod, variables: &[(&str, &str)]) -> u64 {
        let mut id = Identity::new();
        method.named_by(&variables.iter().copied().collect(), &mut id);
        assert_eq!(id.reads().iter().count(), 0, "nobody is shown who asks");
        id.hash()
    }

    #[test]
    fn what_is_left_to_the_environment_counts_and_nothing_else() {
        let sdk = AzureMethod::Sdk { tenant_id: String::new() };
        let workload = |client_id: &str| AzureMethod::WorkloadIdentity {
            tenant_id: String::new(),
            client_id: client_id.to_owned(),
            token_file: "/t".into(),
        };
        let machine = AzureMethod::ManagedIdentity { client_id: String::new() };
        let all = [
            data(&sdk, &[]),
            data(&sdk, &[("AZURE_TENANT_ID", "a")]),
            data(&sdk, &[("AZURE_CLIENT_ID", "a")]),
            data(&sdk, &[("AZURE_CLIENT_SECRET", "a")]),
            data(&sdk, &[("AZURE_CLIENT_SECRET", "b")]),
            data(&sdk, &[("AZURE_CLIENT_CERTIFICATE_PATH", "/a")]),
            data(&sdk, &[("AZURE_TOKEN_CREDENTIALS", "prod")]),
        ];
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len(), "{all:?}");
        let application = [("AZURE_CLIENT_ID", "a")];
        assert_ne!(data(&workload(""), &application), data(&workload(""), &[]));
        assert_eq!(data(&workload("b"), &application), data(&workload("b"), &[]), "what is written counts more");
        assert_eq!(data(&machine, &application), data(&machine, &[]), "the machine does not look");
    }
}
