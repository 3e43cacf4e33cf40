//! What Entra ID is asked. Pure.

use rosterd_client::{ClientError, Request, Secret, Url};

use crate::exchange::{form, url};

const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// How an application proves that it is the one.
#[derive(Debug, Clone, Copy)]
pub(super) enum Proof<'a> {
    /// By what only it knows.
    Secret(&'a Secret),
    /// By what somebody has signed whom Entra ID trusts.
    Assertion(&'a Secret),
}

/// Where the tokens of a tenant are made.
pub(super) fn endpoint(authority: &str, tenant: &str) -> Result<Url, ClientError> {
    let text = format!("{}/{tenant}/oauth2/v2.0/token", authority.trim_end_matches('/'));
    url(&text, "the authority that makes tokens")
}

/// A token of an application for this scope.
pub(super) fn of_application(endpoint: Url, client_id: &str, proof: Proof<'_>, scope: &str) -> Request {
    let (kind, assertion, secret) = match proof {
        Proof::Secret(secret) => ("", "", secret.expose()),
        Proof::Assertion(assertion) => (ASSERTION, assertion.expose(), ""),
    };
    form(
        endpoint,
        [
            ("grant_type", "client_credentials"),
            ("client_id", client_id),
            ("client_secret", secret),
            ("client_assertion_type", kind),
            ("client_assertion", assertion),
            ("scope", scope),
        ],
    )
}
