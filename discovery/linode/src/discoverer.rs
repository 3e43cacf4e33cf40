//! Asks Linode for instances, addresses and ranges of addresses, page by page, when there is news of them.

use async_trait::async_trait;
use http::{HeaderName, HeaderValue};
use rosterd_client::{ClientError, SafeUrl};
use rosterd_discovery::{Build, Error, Reading, Refresh};
use rosterd_rest::{Api, Fault, Page, PagePlace, Question};
use serde_json::{Value, json};
use tokio::try_join;

use super::LinodeConfig;
use super::decode::{self, Instance};
use super::feed::Feed;

/// Whom is asked.
pub(super) const HOST: &str = "api.linode.com";
/// The header in which a list is narrowed down.
const FILTER: HeaderName = HeaderName::from_static("x-filter");
/// What it is asked for.
const OPERATIONS: [&str; 4] = ["events", "instances", "ips", "ranges"];
/// As many as it gives on one page.
const PAGE: &str = "500";

pub(super) struct Linode {
    api: Api,
    config: LinodeConfig,
    feed: Feed,
}

impl Linode {
    pub(super) fn new(config: &LinodeConfig, cx: &Build<'_, LinodeConfig>) -> Result<Self, ClientError> {
        let server = SafeUrl::new(format!("https://{HOST}/v4"));
        let api = Api::shared(&server, &config.client, config.refresh_interval.into(), cx, &OPERATIONS, |_| ())?;
        Ok(Self { api, config: config.clone(), feed: Feed::default() })
    }

    async fn list<T: Send + 'static>(
        &self,
        operation: &'static str,
        path: &[&str],
        decode: impl Fn(&[u8]) -> Result<Page<T>, Fault> + Clone + Send + 'static,
    ) -> Result<Vec<T>, Error> {
        let mut question = question(&self.api, operation, path, PAGE);
        if !self.config.region.is_empty() {
            question = narrowed(question, &json!({"region": self.config.region}))?;
        }
        question.paged(PagePlace::Parameter("page"), move |_, body, _| decode(body)).await
    }
}

/// A list from its first page on.
pub(super) fn question(api: &Api, operation: &'static str, path: &[&str], size: &str) -> Question {
    let question = api.get(path.iter().copied()).named(operation).asking_json();
    question.parameter("page", "1").parameter("page_size", size)
}

/// Of a list, what this says.
pub(super) fn narrowed(question: Question, filter: &Value) -> Result<Question, ClientError> {
    let unusable = |_| ClientError::Settings { what: "region: no header can have it".to_owned(), source: None };
    Ok(question.header(FILTER, HeaderValue::from_bytes(filter.to_string().as_bytes()).map_err(unusable)?))
}

#[async_trait]
impl Refresh for Linode {
    async fn refresh(&mut self) -> Result<Reading, Error> {
        let Some(mark) = self.feed.look(&self.api).await? else { return Ok(Reading::Unchanged) };
        let (instances, addresses, ranges) = try_join!(
            self.list("instances", &["linode", "instances"], decode::instances),
            self.list("ips", &["networking", "ips"], decode::addresses),
            self.list("ranges", &["networking", "ipv6", "ranges"], decode::ranges),
        )?;
        self.feed.read(mark, instances.iter().any(Instance::is_passing));
        Ok(Reading::Everything(decode::groups(instances, addresses, ranges, &self.config)))
    }
}
