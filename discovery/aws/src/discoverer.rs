//! What is read at each refresh, by role.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rosterd_client::SafeUrl;
use rosterd_discovery::{Context, Error, Reading, Refresh};
use rosterd_rest::Counter;

use super::config::{Role, Wanted};
use super::hub::Hub;
use super::roles::{Ec2, Ecs, Elasticache, Lightsail, Msk, Rds};
use super::service::Service;

pub(super) struct Aws {
    hub: Arc<Hub>,
    reader: Reader,
}

enum Reader {
    Ec2(Ec2),
    Lightsail(Lightsail),
    Ecs(Box<Ecs>),
    Msk(Msk),
    Rds(Rds),
    Elasticache(Elasticache),
}

impl Aws {
    pub(super) fn new(wanted: Wanted, endpoint: SafeUrl, interval: Duration, hub: Arc<Hub>, calls: Counter) -> Self {
        let service = Service::new(wanted.role.service(), endpoint, Arc::clone(&hub), calls.clone());
        let reader = match wanted.role {
            Role::Ec2 => Reader::Ec2(Ec2::new(service, &wanted)),
            Role::Lightsail => Reader::Lightsail(Lightsail::new(service, wanted.port)),
            Role::Ecs => {
                // The endpoint is that of ECS. Where EC2 is, the region or the environment says.
                let machines = Service::new(Role::Ec2.service(), SafeUrl::default(), Arc::clone(&hub), calls);
                Reader::Ecs(Box::new(Ecs::new(service, machines, wanted, interval)))
            }
            Role::Msk => Reader::Msk(Msk::new(service, wanted, interval)),
            Role::Rds => Reader::Rds(Rds::new(service, wanted, interval)),
            Role::Elasticache => Reader::Elasticache(Elasticache::new(service, wanted)),
        };
        Self { hub, reader }
    }
}

#[async_trait]
impl Refresh for Aws {
    fn begin(&mut self, cx: &Context) {
        match &self.reader {
            Reader::Ec2(role) => role.service.tell_by(cx),
            Reader::Lightsail(role) => role.service.tell_by(cx),
            Reader::Ecs(role) => role.tell_by(cx),
            Reader::Msk(role) => role.service.tell_by(cx),
            Reader::Rds(role) => role.service.tell_by(cx),
            Reader::Elasticache(role) => role.service.tell_by(cx),
        }
    }

    async fn refresh(&mut self) -> Result<Reading, Error> {
        let region = self.hub.account.region().await?;
        match &mut self.reader {
            Reader::Ec2(role) => role.read(&region).await,
            Reader::Lightsail(role) => role.read(&region).await,
            Reader::Ecs(role) => role.read(&region).await,
            Reader::Msk(role) => role.read(&region).await,
            Reader::Rds(role) => role.read(&region).await,
            Reader::Elasticache(role) => role.read(&region).await,
        }
    }

    fn warning(&self) -> Option<Error> {
        let warning = match &self.reader {
            Reader::Ec2(role) => role.service.warning(),
            Reader::Lightsail(role) => role.service.warning(),
            Reader::Ecs(role) => role.warning(),
            Reader::Msk(role) => role.service.warning(),
            Reader::Rds(role) => role.service.warning(),
            Reader::Elasticache(role) => role.service.warning(),
        };
        warning.map(Error::from)
    }
}
