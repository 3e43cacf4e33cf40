//! Asks the services of a region, each list page by page, with a token that is kept as long as it is good.

use std::sync::Arc;

use async_trait::async_trait;
use http::HeaderName;
use rosterd_client::ClientError;
use rosterd_discovery::{Build, Error, Reading, Refresh};
use rosterd_model::TargetGroup;
use rosterd_rest::{Api, Fault, Page, Question, Tokens, distinct};
use tokio::try_join;

use super::catalog::{Grant, Service};
use super::decode::{self, FloatingIps};
use super::error::OpenstackError;
use super::keystone::{Keystone, LOGIN};
use super::{OpenstackConfig, Role};

/// The header of the token.
const TOKEN: HeaderName = HeaderName::from_static("x-auth-token");

pub(super) struct Openstack {
    tokens: Arc<Tokens<Keystone>>,
    /// For services, wherever they are.
    api: Api,
    config: OpenstackConfig,
}

impl Openstack {
    pub(super) fn new(config: OpenstackConfig, cx: &Build<'_, OpenstackConfig>) -> Result<Self, ClientError> {
        let interval = config.refresh_interval.into();
        let api = Api::new(&config.identity_endpoint, &config.client(), interval, cx)?;
        let api = api.counted(cx.metrics, operations(config.role));
        Ok(Self { tokens: cx.shared.tokens(&config, &api), api, config })
    }

    /// Nothing is left out where a list cannot be read: which addresses are floating decides what the targets are.
    async fn servers(&self) -> Result<Vec<TargetGroup>, Error> {
        // Of a port, much is told that nobody needs.
        let fields = [("fields", "id"), ("fields", "device_id")];
        let (ports, floating) = try_join!(
            self.list(Service::Network, "ports", &["ports"], &fields, decode::ports),
            self.list(Service::Network, "floating_ips", &["floatingips"], &[], decode::floating_ips),
        )?;
        let (floating, port) = (Arc::new(FloatingIps::of(&ports, floating)), self.config.port);
        let all = [("all_tenants", "true")];
        let all = if self.config.all_tenants { &all[..] } else { &[] };
        let decode = move |body: &[u8]| decode::servers(body, &floating, port);
        self.list(Service::Compute, "servers", &["servers", "detail"], all, decode).await
    }

    async fn hypervisors(&self) -> Result<Vec<TargetGroup>, Error> {
        let port = self.config.port;
        let decode = move |body: &[u8]| decode::hypervisors(body, port);
        self.list(Service::Compute, "hypervisors", &["os-hypervisors", "detail"], &[], decode).await
    }

    async fn load_balancers(&self) -> Result<Vec<TargetGroup>, Error> {
        let (balancers, listeners, floating) = try_join!(
            self.list(
                Service::LoadBalancer,
                "load_balancers",
                &["lbaas", "loadbalancers"],
                &[],
                decode::load_balancers
            ),
            self.list(Service::LoadBalancer, "listeners", &["lbaas", "listeners"], &[], decode::listeners),
            self.list(Service::Network, "floating_ips", &["floatingips"], &[], decode::floating_ips),
        )?;
        Ok(decode::groups_of_load_balancers(&balancers, &listeners, &floating))
    }

    async fn list<T: Send + 'static>(
        &self,
        service: Service,
        operation: &'static str,
        path: &[&str],
        parameters: &[(&str, &str)],
        decode: impl Fn(&[u8]) -> Result<Page<T>, Fault> + Clone + Send + 'static,
    ) -> Result<Vec<T>, Error> {
        let ask = |grant: Arc<Grant>| {
            let (question, decode) = (self.question(&grant, service, path, parameters), decode.clone());
            async move { question?.named(operation).pages(decode).await }
        };
        self.tokens.with(ask).await
    }

    fn question(
        &self,
        grant: &Grant,
        service: Service,
        path: &[&str],
        parameters: &[(&str, &str)],
    ) -> Result<Question, Error> {
        let endpoint = grant.endpoint(service, self.config.availability.name(), &self.config.region)?;
        let question = self.api.at(endpoint).get(path.iter().copied()).asking_json().header(TOKEN, grant.token());
        Ok(parameters.iter().fold(question, |question, (name, value)| question.parameter(name, value)))
    }
}

#[async_trait]
impl Refresh for Openstack {
    async fn refresh(&mut self) -> Result<Reading, Error> {
        let groups = match self.config.role {
            // Checks refuse a configuration without one.
            None | Some(Role::Instance) => self.servers().await,
            Some(Role::Hypervisor) => self.hypervisors().await,
            Some(Role::LoadBalancer) => self.load_balancers().await,
        };
        if let Err(error) = &groups
            && lacks_endpoint(error)
        {
            // The catalog came with the token: who logs in again is given what it has by then.
            self.tokens.forget_if(|_| true).await;
        }
        Ok(Reading::Everything(distinct(groups?)))
    }
}

/// What is asked for, of Keystone, too.
const fn operations(role: Option<Role>) -> &'static [&'static str] {
    match role {
        None | Some(Role::Instance) => &[LOGIN, "ports", "floating_ips", "servers"],
        Some(Role::Hypervisor) => &[LOGIN, "hypervisors"],
        Some(Role::LoadBalancer) => &[LOGIN, "load_balancers", "listeners", "floating_ips"],
    }
}

fn lacks_endpoint(error: &Error) -> bool {
    let error: &(dyn std::error::Error + 'static) = &**error;
    matches!(error.downcast_ref(), Some(OpenstackError::NoEndpoint { .. }))
}
