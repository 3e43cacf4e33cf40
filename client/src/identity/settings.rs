//! What counts of the settings of the HTTP client: whose view it is that a server gives. That is users, tokens, client ids and
//! certificates, and headers, which may name a tenant or a project. Files count by their paths, because what is in them changes.
//!
//! How the server is reached does not count: proxies, redirects, versions, whom to trust. Nor do keys of certificates: it is
//! the certificate that says who one is.

use std::collections::BTreeMap;

use rosterd_model::Secret;

use super::Identity;
use crate::secrets::proves;
use crate::{Header, HttpClientConfig, TlsConfig};

impl HttpClientConfig {
    /// Says who asks. That is not what is read.
    pub fn identity(&self, id: &mut Identity) {
        id.quietly(|id| self.say(id));
    }

    fn say(&self, id: &mut Identity) {
        if let Some(auth) = &self.basic_auth {
            id.part("basic_auth", |id| {
                id.text("username", &auth.username);
                id.path("username_file", &auth.username_file);
                id.secret("password", &auth.password);
                id.path("password_file", &auth.password_file);
            });
        }
        self.header(id);
        if let Some(oauth2) = &self.oauth2 {
            id.part("oauth2", |id| {
                id.url("token_url", &oauth2.token_url);
                id.text("client_id", &oauth2.client_id);
                id.secret("client_secret", &oauth2.client_secret);
                id.path("client_secret_file", &oauth2.client_secret_file);
                id.set("scopes", &oauth2.scopes);
                if oauth2.is_jwt_bearer() {
                    id.text("grant_type", &oauth2.grant_type);
                    id.text("client_certificate_key_id", &oauth2.client_certificate_key_id);
                    id.secret("client_certificate_key", &oauth2.client_certificate_key);
                    id.path("client_certificate_key_file", &oauth2.client_certificate_key_file);
                    id.text("iss", &oauth2.iss);
                    id.text("audience", &oauth2.audience);
                    let claims = &oauth2.claims;
                    id.part("claims", |id| claims.iter().for_each(|(name, value)| id.named(name, &value.to_string())));
                }
                let params = &oauth2.endpoint_params;
                id.part("endpoint_params", |id| params.iter().for_each(|(name, value)| id.named(name, value)));
                certificate(id, &oauth2.tls_config);
            });
        }
        certificate(id, &self.tls_config);
        id.part("http_headers", |id| headers(id, &self.http_headers));
    }

    /// The `Authorization` header, for which there are two ways to write it.
    fn header(&self, id: &mut Identity) {
        let (kind, credentials, file) = match &self.authorization {
            Some(written) => (written.kind.as_str(), &written.credentials, &written.credentials_file),
            None => ("Bearer", &self.bearer_token, &self.bearer_token_file),
        };
        id.part("authorization", |id| {
            id.value("type", &kind.trim(), &"Bearer");
            id.secret("credentials", credentials);
            id.path("credentials_file", file);
        });
    }
}

fn certificate(id: &mut Identity, tls: &TlsConfig) {
    id.text("cert", &tls.cert);
    id.path("cert_file", &tls.cert_file);
}

/// Names of headers have no case.
fn headers(id: &mut Identity, headers: &BTreeMap<String, Header>) {
    for (name, header) in headers {
        id.part(&name.to_lowercase(), |id| {
            if proves(name) {
                let values: Vec<_> = header.values.iter().map(|value| Secret::new(value.as_str())).collect();
                id.secrets("values", &values);
            } else {
                id.list("values", &header.values);
            }
            id.secrets("secrets", &header.secrets);
            id.parts("files", &header.files, |id, file| id.path("path", file));
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(settings: &str) -> u64 {
        let config: HttpClientConfig = serde_yaml::from_str(settings).expect(settings);
        let mut identity = Identity::new();
        config.identity(&mut identity);
        identity.hash()
    }

    #[test]
    fn who_asks_counts() {
        let settings = [
            "{}",
            "basic_auth: {username: a, password: b}",
            "basic_auth: {username: a, password: c}",
            "basic_auth: {username: a, password_file: /b}",
            "bearer_token: a",
            "bearer_token: b",
            "bearer_token_file: /a",
            "authorization: {type: Token, credentials: a}",
            "oauth2: {token_url: 'http://t', client_id: a, client_secret: b}",
            "oauth2: {token_url: 'http://t', client_id: a, client_secret: b, scopes: [c]}",
            "oauth2: {token_url: 'http://t', client_id: a, client_secret: b, endpoint_params: {c: d}}",
            "oauth2: {token_url: 'http://t', client_id: a, grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', client_certificate_key: b}",
            "oauth2: {token_url: 'http://t', client_id: a, grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', client_certificate_key: b, iss: c}",
            "oauth2: {token_url: 'http://t', client_id: a, grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', client_certificate_key: b, claims: {c: 1}}",
            "tls_config: {cert_file: /a, key_file: /b}",
            "http_headers: {X-Tenant: {values: [a]}}",
            "http_headers: {X-Tenant: {secrets: [a]}}",
            "http_headers: {X-Tenant: {secrets: [b]}}",
        ];
        let distinct: std::collections::BTreeSet<_> = settings.into_iter().map(hash).collect();
        assert_eq!(distinct.len(), settings.len());
    }

    #[test]
    fn what_speaks_of_a_secret_counts_as_one() {
        for settings in [
            "oauth2: {token_url: 'http://t?key=SECRET', client_id: a, endpoint_params: {client_assertion: SECRET}}",
            "http_headers: {X-Api-Key: {values: [SECRET]}, X-Tenant: {secrets: [SECRET]}}",
        ] {
            let of = |secret: &str| {
                let settings = settings.replace("SECRET", secret);
                let config: HttpClientConfig = serde_yaml::from_str(&settings).expect(&settings);
                let mut identity = Identity::new();
                config.identity(&mut identity);
                identity
            };
            assert_ne!(of("hunter2").hash(), of("hunter3").hash(), "{settings}");
            assert!(
                !format!("{:?}", String::from_utf8_lossy(&of("hunter2").encoded())).contains("hunter"),
                "{settings}"
            );
        }
    }

    #[test]
    fn how_it_is_written_and_how_the_server_is_reached_does_not_count() {
        for (one, other) in [
            ("{}", "{follow_redirects: false, enable_http2: false, proxy_url: 'http://p', no_proxy: a}"),
            ("{}", "tls_config: {ca_file: /a, server_name: b, insecure_skip_verify: true, min_version: TLS13}"),
            ("tls_config: {cert_file: /a, key_file: /b}", "tls_config: {cert_file: /x/../a, key_file: /c}"),
            ("bearer_token: a", "authorization: {credentials: a}"),
            ("bearer_token_file: /a", "authorization: {type: Bearer, credentials_file: /./a}"),
            (
                "http_headers: {B: {values: [1]}, A: {values: [2]}}",
                "http_headers: {a: {values: [2]}, b: {values: [1]}}",
            ),
            (
                "oauth2: {token_url: 'http://t', client_id: a, scopes: [c, d]}",
                "oauth2: {token_url: 'http://T/', client_id: a, scopes: [d, c], proxy_url: 'http://p'}",
            ),
        ] {
            assert_eq!(hash(one), hash(other), "{one} and {other}");
        }
    }
}
