//! `dns` keeps the contract of discoverers: each name is a source.

use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;
use rosterd_discovery::AnyConfig;
use rosterd_discovery_dns::{DnsConfig, Nameserver as Server, RecordKind};
use rosterd_testkit::contract::{self, Driver};
use rosterd_testkit::{Nameserver, leak_checked_live};

const NAMES: [&str; 2] = ["one", "two"];

/// Two names, each with the addresses of a group.
struct Names {
    nameserver: Nameserver,
    groups: Vec<(String, Vec<SocketAddr>)>,
    broken: Vec<String>,
}

impl Names {
    fn tell(&self) {
        for name in NAMES {
            let group = self.groups.iter().find(|(group, _)| group == name);
            let addresses = group.into_iter().flat_map(|(_, addresses)| addresses);
            let addresses: Vec<_> = addresses
                .map(|address| match address {
                    SocketAddr::V4(address) => *address.ip(),
                    SocketAddr::V6(address) => panic!("{address} has no A record"),
                })
                .collect();
            match self.broken.iter().any(|broken| broken == name) {
                true => self.nameserver.fails(name),
                false => self.nameserver.knows(name, &addresses),
            }
        }
    }
}

#[async_trait]
impl Driver for Names {
    fn config(&self) -> Box<dyn AnyConfig> {
        Box::new(DnsConfig {
            names: NAMES.map(str::to_owned).to_vec(),
            kind: RecordKind::A,
            port: 9100,
            refresh_interval: Duration::from_millis(20).into(),
            nameservers: vec![Server(self.nameserver.address())],
        })
    }

    async fn set(&mut self, groups: &[(&str, &[&str])]) {
        let address = |text: &&str| text.parse().expect("an address and a port");
        let group = |(name, addresses): &(&str, &[&str])| ((*name).to_owned(), addresses.iter().map(address).collect());
        self.groups = groups.iter().map(group).collect();
        self.tell();
    }

    async fn break_source(&mut self) -> bool {
        self.broken = NAMES.map(str::to_owned).to_vec();
        self.tell();
        true
    }

    async fn break_one(&mut self, name: &str) -> bool {
        self.broken = vec![name.to_owned()];
        self.tell();
        true
    }

    async fn heal(&mut self) {
        self.broken.clear();
        self.tell();
    }
}

#[test]
fn dns_keeps_the_contract() {
    leak_checked_live(|| async {
        let mut driver = Names { nameserver: Nameserver::start().await, groups: Vec::new(), broken: Vec::new() };
        contract::check(&mut driver).await;
        driver.nameserver.stop().await;
    });
}
