//! What several subcommands share: values of flags, and what stands in the environment.

use std::time::Duration;

/// Where rosterd listens unless told otherwise. Not 9090, because rosterd often runs beside a Prometheus; and not between
/// 9100 and 9999, where each port is allocated to an exporter.
pub(super) const DEFAULT_PORT: u16 = 8395;

/// A variable of the environment.
pub(super) fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// A duration as in the configuration, `1m30s`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let duration: rosterd_model::Duration = text.parse().map_err(|error| format!("{error}"))?;
    Ok(duration.into())
}
