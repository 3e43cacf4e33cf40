//! What a look at the settings of a client shows where everybody has to prove who asks.

use rosterd_client::HttpClientConfig;
use rosterd_discovery::Finding;
use rosterd_model::Problem;

/// What is missing of the files of a client, and that nothing proves who asks, where this host answers nobody who does not.
pub fn examine_proof(client: &HttpClientConfig, host: &str) -> Vec<Finding> {
    let missing = client.examine().into_iter().map(Finding::Missing);
    let unproven = is_unproven(client).then(|| {
        let message = format!(
            "nothing proves who asks, and {host} answers nobody without that: give basic_auth or authorization"
        );
        Finding::Idle(Problem::new("", "cfg_no_effect", message))
    });
    unproven.into_iter().chain(missing).collect()
}

/// A proxy may add what is missing.
fn is_unproven(client: &HttpClientConfig) -> bool {
    let plain = HttpClientConfig {
        follow_redirects: client.follow_redirects,
        enable_http2: client.enable_http2,
        no_proxy: client.no_proxy.clone(),
        ..HttpClientConfig::default()
    };
    *client == plain
}

#[cfg(test)]
mod tests {
    use rosterd_model::Secret;

    use super::*;

    #[test]
    fn who_proves_nothing_is_warned() {
        let found = |client: &HttpClientConfig| examine_proof(client, "api.example.com").len();
        let plain = HttpClientConfig { follow_redirects: false, ..HttpClientConfig::default() };
        assert_eq!(found(&plain), 1);
        assert_eq!(found(&HttpClientConfig { bearer_token: Secret::new("t"), ..plain.clone() }), 0);
        assert_eq!(found(&HttpClientConfig { proxy_url: rosterd_client::SafeUrl::new("http://p"), ..plain }), 0);
    }
}
