//! The server of a cloud, which all jobs ask together as the same user.

use std::time::Duration;

use rosterd_client::{ClientError, HttpClientConfig, Identity, SafeUrl};
use rosterd_discovery::{Build, MechanismConfig};

use crate::{Api, Calls, Throttles};

impl Api {
    /// The same as [`Api::new`], with each question counted as one of these operations, and asked less when the server wants that: by
    /// all who ask it as the same user. `who` says who that is besides what the settings say.
    pub fn shared<C: MechanismConfig<Metrics = Calls<C>, Shared = Throttles>>(
        server: &SafeUrl,
        settings: &HttpClientConfig,
        timeout: Duration,
        cx: &Build<'_, C>,
        operations: &'static [&'static str],
        who: impl FnOnce(&mut Identity),
    ) -> Result<Self, ClientError> {
        let throttle = cx.shared.get(|id| {
            id.url("server", server);
            settings.identity(id);
            who(id);
        });
        Ok(Self::new(server, settings, timeout, cx)?.throttled(throttle).counted(cx.metrics, operations))
    }
}
