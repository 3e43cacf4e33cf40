//! A fake API server of Kubernetes for other programs to try: `fake_api_server PORT FILE`, where the file is a JSON list of
//! objects with their `kind`. Runs until it is interrupted.

use std::net::{Ipv4Addr, SocketAddr};

use rosterd_testkit::FakeApiServer;
use serde_json::Value;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let usage = "usage: fake_api_server PORT FILE";
    let port: u16 = arguments.next().and_then(|port| port.parse().ok()).expect(usage);
    let text = std::fs::read_to_string(arguments.next().expect(usage)).expect("the file can be read");
    let objects: Vec<Value> = serde_json::from_str(&text).expect("the file is a list of objects");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let server = FakeApiServer::start_on(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await;
        for object in objects {
            server.put(object);
        }
        println!("listens on {}", server.url(""));
        tokio::signal::ctrl_c().await.ok();
        server.finish().await;
    });
}
