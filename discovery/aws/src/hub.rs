//! What jobs have in common, of all mechanisms of AWS: who asks, connections, and how fast each service is asked.

use std::sync::Arc;
use std::time::Duration;

use rosterd_client::{Client, ClientError, HttpClientConfig, Options, SafeUrl, Tally};
use rosterd_credentials::Kept;
use rosterd_credentials::aws::{Account, Who};
use rosterd_discovery::{MechanismShared, System};
use rosterd_tasks::Stopper;

use super::config::Access;
use super::rate::Rate;

/// The shared state of all mechanisms of AWS.
#[derive(Debug, Default)]
pub struct Hubs {
    /// By who asks, and by which way STS is reached.
    accounts: Kept<(Who, HttpClientConfig), Account>,
    /// By all that a client is made of.
    clients: Kept<HttpClientConfig, Client>,
    /// By who asks which service, and where, if that is said.
    rates: Kept<(Who, &'static str, SafeUrl), Rate>,
}

/// Who asks, and how.
#[derive(Debug)]
pub(super) struct Hub {
    pub(super) account: Arc<Account>,
    pub(super) client: Arc<Client>,
    /// How long an answer may take.
    pub(super) patience: Duration,
    who: Who,
    all: Arc<Hubs>,
}

impl MechanismShared for Hubs {
    fn start(_: &Stopper, _: &System) -> Self {
        Self::default()
    }
}

impl Hubs {
    /// What this access has in common with others, each with those that are equal in what counts for it.
    pub(super) fn get(
        self: &Arc<Self>,
        access: &Access<'_>,
        system: &System,
        name: &str,
        tally: Arc<dyn Tally>,
    ) -> Result<Arc<Hub>, ClientError> {
        let Access { who, client, interval, .. } = access;
        let way = client.without_proof();
        let account = || Account::new(who.clone(), &way, system, Some(Arc::clone(&tally)));
        let account = self.accounts.get_or_try((who.clone(), way.clone()), account)?;
        let options = Options { name: name.to_owned(), system: system.clone(), ..Options::default() };
        let client = self.clients.get_or_try((*client).clone(), || Client::new(client, options))?;
        Ok(Arc::new(Hub { account, client, patience: *interval, who: who.clone(), all: Arc::clone(self) }))
    }
}

impl Hub {
    /// How fast this service is asked, at this endpoint if it is not that of the region.
    pub(super) fn rate(&self, service: &'static str, endpoint: &SafeUrl) -> Arc<Rate> {
        self.all.rates.get((self.who.clone(), service, endpoint.clone()), Rate::default)
    }
}

#[cfg(test)]
mod tests {
    use rosterd_client::Response;

    use super::*;

    #[derive(Debug)]
    struct Nobody;

    impl Tally for Nobody {
        fn sent(&self, _: &'static str, _: &Result<Response, ClientError>) {}
    }

    #[test]
    fn each_part_is_shared_by_those_who_are_equal_in_what_it_is_made_of() {
        let hubs = Arc::new(Hubs::default());
        let (plain, nowhere) = (HttpClientConfig::default(), SafeUrl::default());
        let by = |proxy: &str| HttpClientConfig { proxy_url: SafeUrl::new(proxy), ..HttpClientConfig::default() };
        let who = |key: &str| Who { access_key: "id".to_owned(), secret_key: key.into(), ..Who::default() };
        let hub = |who: &Who, client: &HttpClientConfig, seconds: u64| {
            let (who, interval) = (who.clone(), Duration::from_secs(seconds));
            let access = Access { who, endpoint: nowhere.clone(), client, interval };
            hubs.get(&access, &System::default(), "test/1", Arc::new(Nobody)).expect("a hub")
        };
        let same = |one: &Hub, other: &Hub| {
            let rate = |hub: &Hub| hub.rate("ec2", &nowhere);
            let rates = Arc::ptr_eq(&rate(one), &rate(other));
            [Arc::ptr_eq(&one.account, &other.account), Arc::ptr_eq(&one.client, &other.client), rates]
        };
        let one = hub(&who("a"), &plain, 60);
        assert_eq!(same(&one, &hub(&who("a"), &plain, 60)), [true, true, true]);
        assert_eq!(same(&one, &hub(&who("a"), &plain, 61)), [true, true, true], "another interval");
        assert_eq!(same(&one, &hub(&who("b"), &plain, 60)), [false, true, false], "another key");
        let mut proof = plain.clone();
        proof.bearer_token = "t".into();
        assert_eq!(same(&one, &hub(&who("a"), &proof, 60)), [true, false, true], "STS is not shown that");
        let proxied = hub(&who("a"), &by("http://u:one@proxy"), 60);
        assert_eq!(same(&one, &proxied), [false, false, true], "another way");
        assert_eq!(same(&proxied, &hub(&who("a"), &by("http://u:two@proxy"), 60)), [false, false, true], "a password");
        assert!(!Arc::ptr_eq(&one.rate("ec2", &nowhere), &one.rate("rds", &nowhere)));
        assert!(!Arc::ptr_eq(&one.rate("ec2", &nowhere), &one.rate("ec2", &SafeUrl::new("http://other"))));
    }
}
