//! The HTTP client that all of rosterd shares: Prometheus' settings (`basic_auth`, `tls_config`, `proxy_url` and so on)
//! as one part of a configuration, and the client that follows them.

mod check; // which settings go together
mod config; // what the user writes
mod embed; // the settings as keys of a larger section

pub use config::{Authorization, BasicAuth, Header, HttpClientConfig, OAuth2, ProxyUrl, TlsConfig, TlsVersion};
#[doc(hidden)]
pub use embed::unset;
pub use rosterd_model::Secret;
