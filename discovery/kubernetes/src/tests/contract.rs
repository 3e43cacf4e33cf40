//! The contract suite.

use async_trait::async_trait;
use rosterd_discovery::AnyConfig;
use rosterd_testkit::{FakeApiServer, Fault, On, contract, leak_checked_live};

use super::{config, pod};

/// A namespace for each group, and a pod for each address.
struct Pods {
    server: FakeApiServer,
    held: Vec<(String, String)>,
}

#[async_trait]
impl contract::Driver for Pods {
    fn config(&self) -> Box<dyn AnyConfig> {
        Box::new(config(&self.server, "role: pod, namespaces: {names: [one, two]}"))
    }

    async fn set(&mut self, groups: &[(&str, &[&str])]) {
        let wanted = groups.iter().flat_map(|(namespace, addresses)| addresses.iter().map(|it| (*namespace, *it)));
        let wanted: Vec<_> = wanted.map(|(namespace, address)| (namespace.to_owned(), address.to_owned())).collect();
        let name = |address: &str| format!("p{}", address.replace([':', '.'], "-"));
        for (namespace, address) in self.held.iter().filter(|it| !wanted.contains(it)) {
            self.server.delete("pods", namespace, &name(address));
        }
        for (namespace, address) in wanted.iter().filter(|it| !self.held.contains(it)) {
            let (ip, _) = address.split_once(':').expect("an address has a port");
            self.server.put(pod(namespace, &name(address), ip));
        }
        self.held = wanted;
    }

    async fn break_source(&mut self) -> bool {
        self.server.fail(On::all(), Fault::Status(500));
        self.server.cut_watches();
        true
    }

    async fn break_one(&mut self, name: &str) -> bool {
        self.server.fail(On::all().in_namespace(name), Fault::Status(403));
        self.server.cut_watches();
        true
    }

    async fn heal(&mut self) {
        self.server.heal();
    }
}

#[test]
fn it_keeps_the_promises_of_a_discoverer() {
    leak_checked_live(async || {
        for streams in [true, false] {
            let server = FakeApiServer::start().await;
            server.streams_lists(streams);
            let mut pods = Pods { server, held: Vec::new() };
            contract::check(&mut pods).await;
            pods.server.finish().await;
        }
    });
}
