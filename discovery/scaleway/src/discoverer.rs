//! Asks Scaleway for servers, page by page, and for what it tells of them elsewhere: addresses in private networks, offers and operating
//! systems.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::{HeaderMap, HeaderName};
use rosterd_client::ClientError;
use rosterd_discovery::{Build, Error, Identity, Reading, Refresh};
use rosterd_model::TargetGroup;
use rosterd_rest::{Api, Before, Fault, KeyHeader, Page, PagePlace, Question};
use tokio::time::Instant;

use super::baremetal::{self, Catalog};
use super::config::SECRET_KEY;
use super::instance::{self, PrivateAddresses};
use super::{Role, ScalewayConfig, check};

/// The header of the key.
const TOKEN: HeaderName = HeaderName::from_static("x-auth-token");
/// As many as all of its lists give on one page.
const PAGE: &str = "100";
/// So many ids fit into a URL.
const AT_ONCE: usize = 50;
/// Offers and operating systems are read again after so long, even if they explain all servers.
const DAILY: Duration = Duration::from_secs(86_400);

pub(super) struct Scaleway {
    api: Api,
    config: ScalewayConfig,
    catalog: Catalog,
    /// When the catalog was read, and which ids it did not explain.
    read: Option<(Instant, HashSet<String>)>,
}

impl Scaleway {
    pub(super) fn new(config: &ScalewayConfig, cx: &Build<'_, ScalewayConfig>) -> Result<Self, ClientError> {
        let key = config.key();
        let who = |id: &mut Identity| key.identity(SECRET_KEY, id);
        let operations: &[_] = match config.role {
            Some(Role::Baremetal) => &["servers", "offers", "os"],
            // Checks refuse a configuration without one.
            None | Some(Role::Instance) => &["servers", "ips"],
        };
        let api = Api::shared(&config.api_url, &config.client, config.refresh_interval.into(), cx, operations, who)?;
        let api = api.authorized(Arc::new(KeyHeader { key: key.source(SECRET_KEY, cx.system)?, header: TOKEN }));
        Ok(Self { api, config: config.clone(), catalog: Catalog::default(), read: None })
    }

    /// A list of a product in the zone.
    fn list(&self, product: &str, list: &'static str, size: &str) -> Question {
        let question = self.api.get([product, "v1", "zones", &*self.config.zone, list]).named(list);
        question.asking_json().parameter(size, PAGE).parameter_if_set("name", &self.config.name_filter)
    }

    async fn instances(&self) -> Result<Vec<TargetGroup>, Error> {
        let question = self.list("instance", "servers", "per_page").parameter("order", "creation_date_desc");
        let question = question.parameter_if_set("tags", &self.config.tags_filter.join(","));
        let servers = pages(question, instance::page).await?;
        let mut private = PrivateAddresses::default();
        let cards: Vec<_> = servers.iter().flat_map(instance::Server::cards_alone).collect();
        if let Some(region) = check::region(&self.config.zone) {
            for some in cards.chunks(AT_ONCE) {
                let question = self.api.get(["ipam", "v1", "regions", region, "ips"]).named("ips");
                let question =
                    question.asking_json().parameter("page_size", PAGE).parameter("order_by", "created_at_desc");
                let question = question.parameter("resource_types", "instance_private_nic");
                let question = some.iter().fold(question, |question, id| question.parameter("resource_ids", id));
                private.extend(pages(question, instance::addresses).await?);
            }
        }
        Ok(instance::groups(servers, &private, self.config.port))
    }

    async fn servers(&mut self) -> Result<Vec<TargetGroup>, Error> {
        let question = self.list("baremetal", "servers", "page_size").parameter("order_by", "created_at_asc");
        let question = self.config.tags_filter.iter().fold(question, |question, tag| question.parameter("tags", tag));
        let servers = pages(question, baremetal::page).await?;
        let unknown = self.catalog.unknown(&servers);
        let is_known = |(at, unexplained): &(Instant, HashSet<String>)| {
            at.elapsed() < DAILY && unknown.iter().all(|id| unexplained.contains(id))
        };
        if !self.read.as_ref().is_some_and(is_known) {
            let of =
                |list| self.api.get(["baremetal", "v1", "zones", &*self.config.zone, list]).named(list).asking_json();
            let offers = pages(of("offers").parameter("page_size", PAGE), baremetal::offers).await?;
            let systems = pages(of("os").parameter("page_size", PAGE), baremetal::systems).await?;
            self.catalog = Catalog::of(offers, systems);
            self.read = Some((Instant::now(), self.catalog.unknown(&servers)));
        }
        Ok(baremetal::groups(servers, &self.catalog, self.config.port))
    }
}

async fn pages<T: Send + 'static>(
    question: Question,
    decode: impl Fn(&HeaderMap, &[u8], Before) -> Result<Page<T>, Fault> + Clone + Send + 'static,
) -> Result<Vec<T>, Error> {
    question.parameter("page", "1").paged(PagePlace::Parameter("page"), decode).await
}

#[async_trait]
impl Refresh for Scaleway {
    async fn refresh(&mut self) -> Result<Reading, Error> {
        let groups = match self.config.role {
            Some(Role::Baremetal) => self.servers().await?,
            // Checks refuse a configuration without one.
            Some(Role::Instance) | None => self.instances().await?,
        };
        Ok(Reading::Everything(groups))
    }
}
