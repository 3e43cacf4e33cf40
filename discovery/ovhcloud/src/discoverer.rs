//! Asks OVHcloud for its time, for the names of servers, and for each of them by itself.

use std::sync::Arc;

use async_trait::async_trait;
use rosterd_client::{ClientError, HttpClientConfig};
use rosterd_discovery::{Build, Error, Identity, Reading, Refresh, Unreadable};
use rosterd_model::{TargetGroup, bare_key};
use rosterd_rest::{Api, Question, Sources, json};
use tracing::debug;

use super::addresses::Addresses;
use super::signer::{APPLICATION, Signer};
use super::{OvhcloudConfig, Service, decode};

/// What it is asked for.
const OPERATIONS: [&str; 4] = ["time", "servers", "server", "ips"];
/// So many servers are asked about at the same time.
const AT_ONCE: usize = 4;

pub(super) struct Ovhcloud {
    /// The same API, for who proves nothing.
    open: Api,
    api: Api,
    signer: Arc<Signer>,
    service: Service,
    sources: Sources,
}

impl Ovhcloud {
    pub(super) fn new(config: &OvhcloudConfig, cx: &Build<'_, OvhcloudConfig>) -> Result<Self, ClientError> {
        let unknown =
            || ClientError::Settings { what: format!("the endpoint {:?}", bare_key(&config.endpoint)), source: None };
        let server = config.server().ok_or_else(unknown)?;
        // There are no keys for it, and Prometheus takes the proxy of the environment then.
        let settings = HttpClientConfig { proxy_from_environment: true, ..HttpClientConfig::default() };
        let who = |id: &mut Identity| id.text("application_key", &config.application_key);
        let open = Api::shared(&server, &settings, config.refresh_interval.into(), cx, &OPERATIONS, who)?;
        let signer = Arc::new(Signer::new(config)?);
        let api = open.clone().authorized(Arc::clone(&signer) as Arc<_>);
        // Checks refuse a configuration without a service.
        let (service, sources) = (config.service.unwrap_or(Service::Vps), Sources::new(config.refresh_interval.into()));
        Ok(Self { open, api, signer, service, sources })
    }

    fn question(&self, operation: &'static str, more: &[&str]) -> Question {
        let path: &[_] = match self.service {
            Service::Vps => &["vps"],
            Service::DedicatedServer => &["dedicated", "server"],
        };
        self.api.get(path.iter().chain(more).copied()).named(operation).asking_json()
    }

    /// A server without an address is no target.
    async fn server(&self, name: String) -> Result<Option<TargetGroup>, Error> {
        let (service, name) = (self.service, &*name);
        let details = self.question("server", &[name]).read(move |body| decode::details(body, service)).await?;
        let addresses = self.question("ips", &[name, "ips"]).read(|body| Addresses::of(&json::<Vec<String>>(body)?));
        let group = decode::group(name, &details, &addresses.await?);
        if group.is_none() {
            debug!(server = name, "a server has no address");
        }
        Ok(group)
    }
}

#[async_trait]
impl Refresh for Ovhcloud {
    async fn refresh(&mut self) -> Result<Reading, Error> {
        let ovhcloud = &*self;
        let time = ovhcloud.open.get(["auth", "time"]).named("time").asking_json();
        let time = time.header(APPLICATION, ovhcloud.signer.application.clone());
        ovhcloud.signer.synchronise(time.read(json::<i64>).await?);
        let names: Vec<String> = ovhcloud.question("servers", &[]).read(json).await?;
        let mut reading = Vec::new();
        for name in names {
            reading.push((name.clone(), ovhcloud.server(name)));
        }
        let (mut groups, mut unread) = (Vec::new(), Vec::new());
        for (name, server) in ovhcloud.sources.read(AT_ONCE, reading).await {
            match server {
                Ok(group) => groups.extend(group),
                Err(error) => unread.push(Unreadable::new(name, error)),
            }
        }
        Ok(Reading::EverythingBut(groups, unread))
    }
}
