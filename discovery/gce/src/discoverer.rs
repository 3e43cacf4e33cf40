//! Asks the API for the instances of a zone.

use std::sync::Arc;

use async_trait::async_trait;
use http::HeaderMap;
use rosterd_client::ClientError;
use rosterd_credentials::Kept;
use rosterd_credentials::google::{Google, GoogleBearer};
use rosterd_discovery::{Build, Error, MechanismConfig, MechanismShared, Reading, Refresh, System};
use rosterd_model::TargetGroup;
use rosterd_rest::{Api, Before, PagePlace, Throttles};
use rosterd_tasks::Stopper;

use super::{GceConfig, decode};

/// What a token has to be good for.
const SCOPE: &str = "https://www.googleapis.com/auth/compute.readonly";
/// What is asked for: of whoever gives tokens, too.
const TOKEN: &str = "get token";
const OPERATIONS: [&str; 2] = ["list instances", TOKEN];

/// What all discoverers have in common: the token, for all ask as whoever the environment names, and how much the API wants to be asked.
#[derive(Debug, Default)]
pub struct Asked {
    bearer: Kept<(), GoogleBearer>,
    throttles: Throttles,
}

impl MechanismShared for Asked {
    fn start(_: &Stopper, _: &System) -> Self {
        Self::default()
    }
}

pub(super) struct Gce {
    api: Api,
    config: Arc<GceConfig>,
}

impl Gce {
    pub(super) fn new(config: GceConfig, cx: &Build<'_, GceConfig>) -> Result<Self, ClientError> {
        let tally = || Arc::new(cx.metrics.counter(&OPERATIONS));
        let google = || Google::by_default(SCOPE, GceConfig::MECHANISM, cx.system);
        let bearer = || google().map(|google| GoogleBearer::new(google.counted(TOKEN, tally())));
        let bearer = cx.shared.bearer.get_or_try((), bearer)?;
        let throttle = cx.shared.throttles.get(|id| {
            id.url("server", &config.server());
            id.text("project", &config.project);
        });
        let api = Api::new(&config.server(), &GceConfig::client(), config.refresh_interval.into(), cx)?;
        let api = api.counted(cx.metrics, &OPERATIONS).throttled(throttle).authorized(bearer);
        Ok(Self { api, config: Arc::new(config) })
    }
}

#[async_trait]
impl Refresh for Gce {
    async fn refresh(&mut self) -> Result<Reading, Error> {
        let config = Arc::clone(&self.config);
        let path = ["compute", "v1", "projects", &*config.project, "zones", &*config.zone, "instances"];
        let question = self.api.get(path).named("list instances").parameter("alt", "json");
        let question = question.parameter("prettyPrint", "false").parameter_if_set("filter", &config.filter);
        let config = Arc::clone(&self.config);
        let decode = move |_: &HeaderMap, body: &[u8], _: Before| decode::instances(body, &config);
        let targets = question.paged(PagePlace::Parameter("pageToken"), decode).await?;
        let source = format!("GCE_{}_{}", self.config.project, self.config.zone).into();
        Ok(Reading::Everything(vec![TargetGroup { source, targets, ..TargetGroup::default() }]))
    }
}
