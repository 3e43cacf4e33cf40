//! Where Consul is: `server`, `scheme` and `path_prefix` as one URL. Pure.

use rosterd_client::SafeUrl;

/// The URL of the server. Behind a host there may be a path, which counts instead of `path_prefix`; a scheme in front of it counts
/// instead of `scheme`, except that what was to be secure stays so.
pub(super) fn url(server: &str, scheme: &str, path_prefix: &str) -> SafeUrl {
    let (written, rest) = match server.split_once("://") {
        Some((written, rest)) => (Some(written), rest),
        None => (None, server),
    };
    let scheme = match written {
        None | Some("http") => {
            if scheme.is_empty() {
                "http"
            } else {
                scheme
            }
        }
        Some(other) => other,
    };
    let (host, path) = match written.and_then(|_| rest.split_once('/')) {
        Some((host, path)) => (host, path),
        None => (rest, path_prefix.trim_start_matches('/')),
    };
    SafeUrl::new(format!("{scheme}://{host}/{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_scheme_and_prefix_are_one_url() {
        for (server, scheme, prefix, want) in [
            ("localhost:8500", "http", "", "http://localhost:8500/"),
            ("localhost:8500", "", "", "http://localhost:8500/"),
            ("localhost:8500", "https", "/consul", "https://localhost:8500/consul"),
            ("localhost:8500", "http", "consul/", "http://localhost:8500/consul/"),
            ("http://consul", "http", "/a", "http://consul/a"),
            ("http://consul/b/c", "http", "/a", "http://consul/b/c"),
            ("https://consul", "http", "", "https://consul/"),
            ("http://consul", "https", "", "https://consul/"),
            ("[::1]:8500", "http", "", "http://[::1]:8500/"),
            ("ftp://consul", "http", "", "ftp://consul/"),
        ] {
            assert_eq!(url(server, scheme, prefix).to_string(), want, "{server} {scheme} {prefix}");
        }
    }
}
