//! The code that reads and shows the settings of HTTP clients, compiled once: a mechanism that is built for size takes it from here, and
//! has none of its own. Nobody calls it.

use rosterd_client::HttpClientConfig;
use rosterd_yaml::{Cursor, Fault};
use serde::Deserialize;

/// Reads them.
#[inline(never)]
pub fn read(value: Cursor<'_>) -> Result<HttpClientConfig, Fault> {
    HttpClientConfig::deserialize(value)
}

/// Shows them.
#[inline(never)]
pub fn shown(settings: &HttpClientConfig) -> &dyn erased_serde::Serialize {
    settings
}
