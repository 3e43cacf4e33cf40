//! What `--version` prints.

use rosterd_discovery::Registry;

use crate::api::Build;

/// Version, revision, how it was built, and the mechanisms that are linked in.
pub(super) fn long(build: &Build) -> String {
    let Build { version, revision, branch, build_user, build_date, go_version: rustc } = build;
    let mechanisms = match Registry::linked() {
        Ok(registry) => registry.iter().map(|mechanism| mechanism.name).collect::<Vec<_>>().join(", "),
        Err(error) => error.to_string(),
    };
    format!(
        "{version} (branch: {branch}, revision: {revision})\n  build user:  {build_user}\n  build date:  {build_date}\n  \
         rustc:       {rustc}\n  platform:    {}/{}\n  mechanisms:  {mechanisms}",
        std::env::consts::OS,
        std::env::consts::ARCH,
    )
}
