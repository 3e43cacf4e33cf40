//! Asks the API of the cloud for servers and networks, page by page, or that of Robot for servers.

use async_trait::async_trait;
use rosterd_client::{ClientError, SafeUrl};
use rosterd_discovery::{Build, Error, Reading, Refresh};
use rosterd_model::TargetGroup;
use rosterd_rest::{Api, PagePlace, Question, Reset};

use super::{HetznerConfig, Role, cloud, robot};

/// As many as it gives on one page.
const PAGE: &str = "50";
const NEXT: PagePlace = PagePlace::Parameter("page");

pub(super) struct Hetzner {
    api: Api,
    config: HetznerConfig,
}

impl Hetzner {
    pub(super) fn new(config: &HetznerConfig, cx: &Build<'_, HetznerConfig>) -> Result<Self, ClientError> {
        let server = SafeUrl::new(format!("https://{}", config.role().host()));
        let operations: &[_] = match config.role() {
            Role::Hcloud => &["servers", "networks"],
            Role::Robot => &["servers"],
        };
        let api = Api::shared(&server, &config.client, config.refresh_interval.into(), cx, operations, |_| ())?;
        // Of the cloud, a question comes back each second.
        Ok(Self { api: api.reset(Reset::Full), config: config.clone() })
    }

    fn list(&self, list: &'static str) -> Question {
        let question = self.api.get(["v1", list]).named(list).asking_json();
        question.parameter("page", "1").parameter("per_page", PAGE)
    }

    async fn cloud(&self) -> Result<Vec<TargetGroup>, Error> {
        let servers = self.list("servers").parameter_if_set("label_selector", &self.config.label_selector);
        let servers = servers.paged(NEXT, |_, body, _| cloud::servers(body)).await?;
        // Most servers are in none, and then nobody asks for their names.
        let networks = match servers.iter().any(cloud::Server::has_networks) {
            true => self.list("networks").paged(NEXT, |_, body, _| cloud::networks(body)).await?,
            false => Vec::new(),
        };
        Ok(cloud::groups(servers, networks, self.config.port))
    }

    async fn robot(&self) -> Result<Vec<TargetGroup>, Error> {
        let port = self.config.port;
        self.api
            .get(["server"])
            .named("servers")
            .asking_json()
            .heeding(robot::pause)
            .read(move |body| robot::groups(body, port))
            .await
    }
}

#[async_trait]
impl Refresh for Hetzner {
    async fn refresh(&mut self) -> Result<Reading, Error> {
        let groups = match self.config.role() {
            Role::Hcloud => self.cloud().await?,
            Role::Robot => self.robot().await?,
        };
        Ok(Reading::Everything(groups))
    }
}
