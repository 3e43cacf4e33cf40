//! The HTTP client that all of rosterd shares: Prometheus' settings (`basic_auth`, `tls_config`, `proxy_url` and so on)
//! as one part of a configuration, and the client that follows them.

mod assertion; // who asks for a token, signed
mod auth; // the `Authorization` header
mod brief; // what others say, in a line
mod budget; // memory that what is under way shares
pub mod certificates; // which are trusted, and which are ours
mod check; // which settings go together
mod config; // what the user writes
mod connect; // how a connection comes to be
mod embed; // the settings as keys of a larger section
mod error;
mod exchange; // one exchange over a connection
mod fetch; // bodies as they are sent, over connections that the caller keeps
mod grant; // what a token endpoint gives
mod head; // heads of replies; pure
mod headers; // `http_headers`
mod identity; // what is read, and as whom
mod message; // requests and replies
mod names; // hosts and their addresses
mod oauth2; // tokens: fetched once, kept until they expire or are refused
mod proxy; // which proxy a URL is reached by; pure
mod redirect; // where a reply points to, and what may be sent there; pure
mod safe_url; // a URL that is shown without its secrets
mod secrets; // what is hidden wherever it comes back
mod send; // the client
mod source; // strings that stand in the configuration or in a file that may change
mod system; // what is taken from the machine: its name, environment and certificates
#[cfg(test)]
mod tests;
mod tls; // certificates, versions
mod tls_words; // what went wrong with a secure connection
mod transport; // connections, made anew when certificates change
mod unpack; // gzip
mod url; // what is a URL, and why a text is none
mod zone; // by which interface an address is reached; pure

pub use auth::basic;
pub use brief::brief;
pub use budget::{Budget, Share};
pub use config::{
    Authorization, BasicAuth, EndpointParams, Header, HttpClientConfig, OAuth2, TlsConfig, TlsVersion, unreadable,
};
#[doc(hidden)]
pub use embed::unset;
pub use error::{ClientError, retry_after, without_user};
pub use fetch::{Connection, Fetch, Fetched, never_fetched};
pub use grant::{Granted, form, granted};
pub use headers::secret_value;
pub use identity::{Identity, Reads};
pub use message::{Request, Response};
pub use rosterd_model::Secret;
pub use safe_url::SafeUrl;
pub use secrets::{Discreet, Secrets, proves, shown};
pub use send::{Client, Options, Tally};
pub use source::Source;
pub use system::{Environment, System};
pub use url::{Url, UrlError};
