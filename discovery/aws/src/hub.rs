//! What jobs with the same access have in common: who asks, connections, and how fast each service is asked.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use rosterd_client::{Client, ClientError, Identity, Options};
use rosterd_credentials::Kept;
use rosterd_credentials::aws::Account;
use rosterd_discovery::{MechanismShared, System};
use rosterd_tasks::Stopper;

use super::config::Access;
use super::rate::Rate;

/// The shared state of a mechanism.
#[derive(Debug, Default)]
pub struct Hubs(Kept<Hub>);

/// Who asks, and how.
#[derive(Debug)]
pub(super) struct Hub {
    pub(super) account: Arc<Account>,
    pub(super) client: Client,
    rates: Mutex<BTreeMap<&'static str, Arc<Rate>>>,
}

impl MechanismShared for Hubs {
    fn start(_: &Stopper, _: &System) -> Self {
        Self::default()
    }
}

impl Hubs {
    /// The one for this access.
    pub(super) fn get(&self, access: &Access<'_>, system: &System, name: &str) -> Result<Arc<Hub>, ClientError> {
        let mut id = Identity::new();
        access.identity(&mut id);
        // By which way and how long is a matter of the connections; secrets are in the hash.
        let key = format!("{:x} {:?} {:?}", id.hash(), access.client, access.interval);
        self.0.get_or_try(&key, || {
            let options = Options {
                timeout: access.interval,
                name: name.to_owned(),
                system: system.clone(),
                ..Options::default()
            };
            Ok(Hub {
                account: Arc::new(Account::new(access.who.clone(), access.client, system)?),
                client: Client::new(access.client, options)?,
                rates: Mutex::default(),
            })
        })
    }
}

impl Hub {
    /// How fast this service is asked.
    pub(super) fn rate(&self, service: &'static str) -> Arc<Rate> {
        let mut rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(rates.entry(service).or_default())
    }
}
