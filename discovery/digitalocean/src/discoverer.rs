//! Asks DigitalOcean for droplets, or for clusters of databases, page by page.

use async_trait::async_trait;
use http::HeaderMap;
use rosterd_client::{ClientError, SafeUrl};
use rosterd_discovery::{Build, Error, Reading, Refresh};
use rosterd_model::TargetGroup;
use rosterd_rest::{Api, Before, PagePlace, Question};

use super::{DigitaloceanConfig, Role, databases, droplets};

/// Whom is asked.
pub(super) const HOST: &str = "api.digitalocean.com";
/// As many as it gives on one page.
const PAGE: &str = "200";

pub(super) struct Digitalocean {
    api: Api,
    role: Role,
    port: u16,
}

impl Digitalocean {
    pub(super) fn new(config: &DigitaloceanConfig, cx: &Build<'_, DigitaloceanConfig>) -> Result<Self, ClientError> {
        let server = SafeUrl::new(format!("https://{HOST}"));
        let operations: &[_] = match config.role {
            Role::Droplets => &["droplets"],
            Role::Databases => &["databases"],
        };
        let api = Api::shared(&server, &config.client, config.refresh_interval.into(), cx, operations, |_| ())?;
        Ok(Self { api, role: config.role, port: config.port })
    }

    fn question(&self, list: &'static str) -> Question {
        self.api.get(["v2", list]).named(list).asking_json().parameter("per_page", PAGE)
    }

    async fn droplets(&self) -> Result<Vec<TargetGroup>, Error> {
        Ok(droplets::groups(self.question("droplets").pages(droplets::page).await?, self.port))
    }

    /// This list has no links to other pages, and nobody promises that it has pages: it ends where a page has nothing, or begins as one before.
    async fn databases(&self) -> Result<Vec<TargetGroup>, Error> {
        let question = self.question("databases").parameter("page", "1");
        let page = |_: &HeaderMap, body: &[u8], before: Before| databases::page(body, before.pages);
        let all = question.paged(PagePlace::Unpromised("page"), page).await?;
        Ok(databases::groups(all, self.port))
    }
}

#[async_trait]
impl Refresh for Digitalocean {
    async fn refresh(&mut self) -> Result<Reading, Error> {
        let groups = match self.role {
            Role::Droplets => self.droplets().await?,
            Role::Databases => self.databases().await?,
        };
        Ok(Reading::Everything(groups))
    }
}
