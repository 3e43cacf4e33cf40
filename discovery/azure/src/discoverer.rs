//! Asks the Resource Manager for machines, and for where these are reached.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use http::StatusCode;
use prometheus::IntCounter;
use rosterd_client::{ClientError, HttpClientConfig};
use rosterd_credentials::azure::AzureMethod;
use rosterd_credentials::{Bearer, Kept, Tokens, azure};
use rosterd_discovery::{Build, Error, MechanismShared, Reading, Refresh, System, Unreadable};
use rosterd_model::TargetGroup;
use rosterd_rest::{Api, Sources, Throttles, refused_with};
use rosterd_tasks::Stopper;
use tokio::join;
use tracing::debug;

use super::AzureConfig;
use super::cache::Cache;
use super::decode::{self, Address, Interface, MACHINES, Machine, SETS, Set};
use super::place::ResourcePlace;

/// The versions of the APIs.
const COMPUTE: &str = "2024-03-01";
const NETWORK: &str = "2023-05-01";
/// That for the interfaces of machines of scale sets has not changed since.
const NETWORK_OF_SETS: &str = "2018-10-01";
/// What is asked for: of whoever gives tokens, too.
const TOKEN: &str = "get token";
const OPERATIONS: [&str; 5] =
    ["list machines", "list scale sets", "list machines of scale set", "get interface", TOKEN];
/// How many questions there are at the same time.
const AT_ONCE: usize = 16;

/// What all discoverers have in common: tokens, by who asks, and how much the Resource Manager wants to be asked.
#[derive(Debug, Default)]
pub struct Asked {
    pub(super) tokens: Kept<Asker, Tokens<azure::Azure>>,
    throttles: Throttles,
}

/// Who asks for tokens where, and by which way.
#[derive(Clone, PartialEq)]
pub(super) struct Asker {
    method: AzureMethod,
    authority: String,
    scope: String,
    client: HttpClientConfig,
}

impl MechanismShared for Asked {
    fn start(_: &Stopper, _: &System) -> Self {
        Self::default()
    }
}

pub(super) struct Azure {
    api: Api,
    config: Arc<AzureConfig>,
    known: Mutex<Cache>,
    cache_hits: IntCounter,
    /// Of scale sets, the lists of machines; of machines, the interfaces.
    of_sets: Sources,
    of_machines: Sources,
}

impl Azure {
    pub(super) fn new(config: AzureConfig, cx: &Build<'_, AzureConfig>) -> Result<Self, ClientError> {
        let (method, client) = (config.method(), config.token_client());
        let asker = Asker { method, authority: config.authority(), scope: config.scope(), client };
        let tokens = cx.shared.tokens.get_or_try(asker.clone(), || {
            let Asker { method, authority, scope, client } = asker;
            let asker = azure::Azure::new(method, &authority, &scope, &client, "azure", cx.system)?;
            let tally = Arc::new(cx.metrics.calls.counter(&OPERATIONS));
            Ok::<_, ClientError>(Tokens::new(asker.counted(TOKEN, tally)))
        })?;
        let throttle = cx.shared.throttles.get(|id| {
            id.url("server", &config.server());
            id.text("subscription_id", &config.subscription_id);
            config.who(id);
        });
        let interval = config.refresh_interval.into();
        let api = Api::new(&config.server(), &config.client, interval, cx)?.counted(&cx.metrics.calls, &OPERATIONS);
        Ok(Self {
            api: api.throttled(throttle).authorized(Arc::new(Bearer::new(tokens))),
            config: Arc::new(config),
            known: Mutex::new(Cache::new(interval)),
            cache_hits: cx.metrics.cache_hits.clone(),
            of_sets: Sources::new(interval),
            of_machines: Sources::new(interval),
        })
    }

    /// Where things of this kind are listed: in the resource group, if one is given.
    fn listed<'a>(&'a self, kind: &'a str) -> Vec<&'a str> {
        let mut path = vec!["subscriptions", &*self.config.subscription_id];
        if !self.config.resource_group.is_empty() {
            path.extend(["resourceGroups", &*self.config.resource_group]);
        }
        path.extend(["providers", "Microsoft.Compute", kind]);
        path
    }

    async fn machines(&self) -> Result<Vec<Machine>, Error> {
        let question = self.api.get(self.listed("virtualMachines")).named("list machines");
        question.parameter("api-version", COMPUTE).pages(|body| decode::machines(body, None)).await
    }

    async fn sets(&self) -> Result<Vec<Set>, Error> {
        let question = self.api.get(self.listed("virtualMachineScaleSets")).named("list scale sets");
        question.parameter("api-version", COMPUTE).pages(decode::sets).await
    }

    async fn machines_of(&self, set: Set) -> Result<Vec<Machine>, Error> {
        let subscription = &*self.config.subscription_id;
        let path = ["subscriptions", subscription, "resourceGroups", &*set.group, "providers", "Microsoft.Compute"];
        let path = path.into_iter().chain(["virtualMachineScaleSets", &*set.name, "virtualMachines"]);
        let question = self.api.get(path).named("list machines of scale set").parameter("api-version", COMPUTE);
        question.pages(move |body| decode::machines(body, Some(&set))).await
    }

    /// The target of a machine, if it is reached anywhere.
    async fn target(&self, machine: Machine) -> Result<Option<TargetGroup>, Error> {
        Ok(self.address(&machine).await?.map(|address| machine.target(&address, &self.config)))
    }

    /// Where a machine is reached, if it is.
    async fn address(&self, machine: &Machine) -> Result<Option<Address>, Error> {
        for id in &machine.interfaces {
            match self.interface(machine, id).await? {
                Some(Interface::Other) => {}
                Some(Interface::Primary(address)) if !address.private.is_empty() => return Ok(Some(address)),
                found => {
                    debug!(machine = machine.source, interface = id, ?found, "a machine has no address");
                    return Ok(None);
                }
            }
        }
        Ok(None)
    }

    /// A network interface; none if it is not there any more.
    async fn interface(&self, machine: &Machine, id: &str) -> Result<Option<Interface>, Error> {
        if let Some(known) = self.known().get(id).cloned() {
            self.cache_hits.inc();
            return Ok(Some(known));
        }
        let Some(place) = ResourcePlace::of(id) else { return Ok(None) };
        let subscription = &*self.config.subscription_id;
        let (path, version) = match &machine.instance {
            None => {
                let path = ["subscriptions", subscription, "resourceGroups", place.group];
                let path: Vec<_> = path.into_iter().chain(["providers", "Microsoft.Network"]).collect();
                (path, NETWORK)
            }
            Some(instance) => {
                let path = ["subscriptions", subscription, "resourceGroups", &machine.group];
                let set = ["providers", "microsoft.Compute", "virtualMachineScaleSets", &machine.set];
                (path.into_iter().chain(set).chain(["virtualMachines", instance]).collect(), NETWORK_OF_SETS)
            }
        };
        let question = self.api.get(path.into_iter().chain(["networkInterfaces", place.name])).named("get interface");
        let question = question.parameter("$expand", "IPConfigurations/PublicIPAddress");
        match question.parameter("api-version", version).read(decode::interface).await {
            Ok(interface) => {
                self.known().put(id, interface.clone());
                Ok(Some(interface))
            }
            Err(error) if is_not_there(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn known(&self) -> MutexGuard<'_, Cache> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What has been read, and what could not be.
#[derive(Default)]
struct Picture {
    machines: Vec<Machine>,
    groups: Vec<TargetGroup>,
    unread: Vec<Unreadable>,
}

impl Picture {
    /// The machines beneath a source, or why they could not be listed.
    fn take(&mut self, source: &str, listed: Result<Vec<Machine>, Error>) {
        match listed {
            Ok(machines) => {
                // It was read, so that what is not there any more is gone.
                self.groups.push(TargetGroup::gone(source));
                self.machines.extend(machines);
            }
            Err(error) => self.unread.push(Unreadable::scope(source, source, error)),
        }
    }
}

#[async_trait]
impl Refresh for Azure {
    async fn refresh(&mut self) -> Result<Reading, Error> {
        let mut picture = Picture::default();
        let this = &*self;
        let (machines, sets) = match join!(this.machines(), this.sets()) {
            (Err(error), Err(_)) => return Err(error),
            listed => listed,
        };
        picture.take(MACHINES, machines);
        match sets {
            Err(error) => picture.unread.push(Unreadable::scope(SETS, SETS, error)),
            Ok(sets) => {
                picture.groups.push(TargetGroup::gone(SETS));
                let mut reading = Vec::new();
                for set in sets {
                    reading.push((set.source.clone(), this.machines_of(set)));
                }
                for (source, machines) in this.of_sets.read(AT_ONCE, reading).await {
                    picture.take(&source, machines);
                }
            }
        }
        let Picture { machines, mut groups, mut unread } = picture;
        // What comes or goes while pages are read may stand on two of them.
        let (mut seen, mut reading) = (HashSet::new(), Vec::new());
        for machine in machines {
            if seen.insert(machine.source.clone()) {
                reading.push((machine.source.clone(), this.target(machine)));
            }
        }
        for (source, target) in this.of_machines.read(AT_ONCE, reading).await {
            match target {
                Ok(target) => groups.extend(target),
                Err(error) => unread.push(Unreadable::new(source, error)),
            }
        }
        Ok(Reading::EverythingBut(groups, unread))
    }
}

/// Whether the Resource Manager says that there is no such thing.
fn is_not_there(error: &Error) -> bool {
    refused_with(error) == Some(StatusCode::NOT_FOUND)
}
