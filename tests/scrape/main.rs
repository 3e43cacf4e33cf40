//! The real binary scrapes and writes: what arrives when receivers or rosterd itself are away for a while, and what targets
//! may ask of it.

mod arrivals;
mod cluster;
mod counter;
mod outages;
mod prometheus_names;
mod queues;
mod reloads;
mod targets;
mod tls_target;
mod zones;

use std::path::Path;
use std::process::Command;

use rosterd_testkit::{Folder, Server};

/// A running rosterd, with a store that outlives [`Server::again`].
async fn rosterd(config: &Path, more: &[&str]) -> Server {
    let (config, data) = (config.to_owned(), Folder::new());
    let storage = data.path(Server::DATA);
    let more: Vec<String> = more.iter().map(|&argument| argument.to_owned()).collect();
    Server::start("rosterd", "/-/healthy", data, move |port| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rosterd"));
        command
            .arg("run")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.path={}", storage.display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .args(&more);
        command
    })
    .await
}
