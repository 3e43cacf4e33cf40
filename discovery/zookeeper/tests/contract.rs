//! nerve and serverset keep the contract of discoverers, at a real ZooKeeper.

use std::time::Duration;

use async_trait::async_trait;
use rosterd_discovery::AnyConfig;
use rosterd_discovery_zookeeper::{Members, NerveConfig, ServersetConfig};
use rosterd_testkit::contract::{self, Driver};
use rosterd_testkit::{Leaks, ZookeeperServer};

/// The client's reactor, which stays for the life of the process.
const REACTOR: &str = "anon_inode:";
const ROOT: &str = "/services";

/// A service for each group, a member for each of its addresses.
struct Services {
    server: ZookeeperServer,
    nerve: bool,
    is_down: bool,
    held: Vec<String>,
    wanted: Vec<(String, String)>,
}

impl Services {
    async fn start(nerve: bool) -> Self {
        let server = ZookeeperServer::start().await;
        let mut session = server.session().await;
        session.set(&format!("{ROOT}/one"), "").await;
        session.set(&format!("{ROOT}/two"), "").await;
        session.close().await;
        Self { server, nerve, is_down: false, held: Vec::new(), wanted: Vec::new() }
    }

    async fn write(&mut self) {
        let mut session = self.server.session().await;
        for path in std::mem::take(&mut self.held) {
            if !self.wanted.iter().any(|(wanted, _)| *wanted == path) {
                session.delete(&path).await;
            }
        }
        for (path, data) in &self.wanted {
            session.set(path, data).await;
            self.held.push(path.clone());
        }
        session.close().await;
    }
}

#[async_trait]
impl Driver for Services {
    fn config(&self) -> Box<dyn AnyConfig> {
        let timeout = Duration::from_secs(2).into();
        let members = Members { servers: vec![self.server.address()], paths: vec![ROOT.to_owned()], timeout };
        if self.nerve { Box::new(NerveConfig(members)) } else { Box::new(ServersetConfig(members)) }
    }

    async fn set(&mut self, groups: &[(&str, &[&str])]) {
        let member = |address: &str| {
            let (host, port) = address.split_once(':').expect("host:port");
            let endpoint = format!(r#"{{"host": "{host}", "port": {port}}}"#);
            if self.nerve { endpoint } else { format!(r#"{{"serviceEndpoint": {endpoint}}}"#) }
        };
        let all = groups.iter().flat_map(|(name, addresses)| addresses.iter().map(move |address| (name, address)));
        self.wanted = all.map(|(name, address)| (format!("{ROOT}/{name}/{address}"), member(address))).collect();
        if !self.is_down {
            self.write().await;
        }
    }

    async fn break_source(&mut self) -> bool {
        self.server.kill().await;
        self.is_down = true;
        true
    }

    async fn heal(&mut self) {
        if std::mem::take(&mut self.is_down) {
            self.server.again().await;
        }
        self.write().await;
    }
}

#[test]
fn nerve_keeps_the_contract() {
    Leaks::none().allow_descriptors(REACTOR).check_live(async || {
        contract::check(&mut Services::start(true).await).await;
    });
}

#[test]
fn serverset_keeps_the_contract() {
    Leaks::none().allow_descriptors(REACTOR).check_live(async || {
        contract::check(&mut Services::start(false).await).await;
    });
}
